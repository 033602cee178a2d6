//! What a log counts.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told apart, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;

/// What has been done since the log was opened.
#[derive(Clone, Debug)]
pub struct LogStats {
    /// Entries proposed by the owner.
    pub groups: u64,
    /// Durable writes.
    pub writes: u64,
    /// Bytes written durably, padding included.
    pub bytes: u64,
    /// Times that the device was entered.
    pub device_waits: u64,
    /// Microseconds from the start of a durable write to its completion being seen.
    pub write_latency_us: Histogram<u64>,
}

impl LogStats {
    pub(crate) fn new() -> Self {
        Self {
            groups: 0,
            writes: 0,
            bytes: 0,
            device_waits: 0,
            write_latency_us: Histogram::new_with_bounds(1, LATENCY_MAX_US, 2)
                .expect("the bounds are constants that hdrhistogram accepts"),
        }
    }

    pub(crate) fn record_latency(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.write_latency_us.saturating_record(micros.max(1));
    }
}
