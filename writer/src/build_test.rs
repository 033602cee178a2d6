//! How compaction gives way.

use std::time::Duration;

use super::{PAUSE_DEBT_MAX, pause};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn pause_of_compaction_alone_on_its_core_is_none() {
    assert_eq!(pause(MS(4), MS(4), 0), Duration::ZERO);
    assert_eq!(pause(MS(5), MS(4), 0), Duration::ZERO, "a little noise is no contention");
}

#[test]
fn pause_of_compaction_that_others_displace_is_as_long_as_its_work() {
    assert_eq!(pause(MS(12), MS(4), 0), MS(4));
}

#[test]
fn pause_with_debt_is_shorter_and_then_none() {
    let pauses: Vec<Duration> = (0..=10).map(|tenth| pause(MS(12), MS(4), tenth * 100)).collect();
    assert!(pauses.is_sorted_by(|before, after| before >= after), "{pauses:?}");
    assert_eq!(pause(MS(12), MS(4), PAUSE_DEBT_MAX / 2), MS(2));
    assert_eq!(pause(MS(12), MS(4), PAUSE_DEBT_MAX), Duration::ZERO);
}
