//! Measures durable groups: `log_bench [directory] [seconds]`.
//!
//! Prints, for every device, group size and number in flight, microseconds a group and percentiles of
//! the write latency, and how often the device was entered for a group.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aquifer_commitlog::{DeviceKind, DirectIo, Log, LogError, LogOptions, Wait};
use aquifer_types::Epoch;
use bytes::Bytes;

fn main() -> Result<(), LogError> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "/tmp/log_bench".to_owned()));
    let seconds = args.next().and_then(|s| s.parse().ok()).unwrap_or(2.0);
    println!("device                       bytes  in flight  us/group  p50  p99  max  enters/group");
    for (device, direct) in [
        (DeviceKind::IoUring, DirectIo::Auto),
        (DeviceKind::IoUring, DirectIo::Off),
        (DeviceKind::Plain, DirectIo::Auto),
        (DeviceKind::Plain, DirectIo::Off),
    ] {
        for bytes in [4_000, 16_000] {
            for in_flight_max in [1, 4] {
                let options = LogOptions { device, direct, in_flight_max, ..LogOptions::default() };
                run(&dir, options, bytes, Duration::from_secs_f64(seconds))?;
            }
        }
    }
    Ok(())
}

fn run(dir: &std::path::Path, options: LogOptions, bytes: usize, time: Duration) -> Result<(), LogError> {
    let _ = std::fs::remove_dir_all(dir);
    let in_flight = options.in_flight_max;
    let (mut log, _) = Log::open(dir, options, Epoch(0))?;
    let data = Bytes::from(vec![7; bytes]);
    let started = Instant::now();
    let mut last = None;
    let mut committed = 0_u64;
    while started.elapsed() < time {
        while log.can_propose() {
            log.propose(data.clone())?;
        }
        for entry in log.poll(Wait::Forever)? {
            committed += 1;
            last = Some(entry.index);
        }
        if let Some(last) = last.filter(|_| committed.is_multiple_of(1000)) {
            log.truncate_prefix(last)?;
        }
    }
    let elapsed = started.elapsed();
    let stats = log.stats();
    let latency = &stats.write_latency_us;
    #[allow(clippy::cast_precision_loss, reason = "a report")]
    let (per_group, enters) =
        (elapsed.as_secs_f64() * 1e6 / committed as f64, stats.device_waits as f64 / committed as f64);
    println!(
        "{:<28} {bytes:>5}  {in_flight:>9}  {per_group:>8.1}  {:>3}  {:>3}  {:>4}  {enters:.2}",
        log.describe_device(),
        latency.value_at_quantile(0.5),
        latency.value_at_quantile(0.99),
        latency.max(),
    );
    log.close()?;
    let _ = std::fs::remove_dir_all(dir);
    Ok(())
}
