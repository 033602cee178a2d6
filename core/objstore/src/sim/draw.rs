//! Random numbers of a simulation: functions of the seed, the request's number, and what is drawn.

use std::sync::atomic::{AtomicU64, Ordering};

/// All draws of one store.
#[derive(Debug)]
pub(super) struct Draws {
    seed: u64,
    requests: AtomicU64,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, requests: AtomicU64::new(0) }
    }

    /// The number of the next request.
    pub(super) fn next_number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// 64 random bits, by the finalizer of SplitMix64.
    fn bits(&self, number: u64, what: u64) -> u64 {
        let mut bits = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (what << 56);
        for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xbf58_476d_1ce4_e5b9] {
            bits = (bits ^ (bits >> 30)).wrapping_mul(factor);
        }
        bits ^ (bits >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&self, number: u64, what: u64, end: u64) -> u64 {
        u64::try_from((u128::from(self.bits(number, what)) * u128::from(end)) >> 64).unwrap_or(0)
    }

    /// A number above 0 and at most 1.
    #[allow(clippy::cast_precision_loss)]
    fn unit(&self, number: u64, what: u64) -> f64 {
        ((self.bits(number, what) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// A draw of the standard normal distribution (Box and Muller). Uses `what` and the one after it.
    pub(super) fn normal(&self, number: u64, what: u64) -> f64 {
        let radius = (-2.0 * self.unit(number, what).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit(number, what + 1)).cos()
    }
}
