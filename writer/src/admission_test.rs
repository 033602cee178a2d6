//! The clock that commits share.

use std::time::Duration;

use aquifer_lsm::Backlog;

use super::{Admission, LEAD_MAX, Pacer, Shortage, shortage};

const MS: u64 = 1_000_000;

fn pacer() -> Pacer {
    Pacer::new(64 << 20, 256 << 20)
}

fn wait_of(admission: Admission) -> Duration {
    match admission {
        Admission::Now => Duration::ZERO,
        Admission::After(wait) => wait,
        Admission::NoRoom => panic!("a place on the clock is always there"),
    }
}

#[test]
fn reserve_holds_the_rate_for_many_callers() {
    let pacer = pacer();
    // One million bytes a second, a thousand bytes each: one a millisecond, however many ask at once.
    let waits: Vec<Duration> = (0..20).map(|_| wait_of(pacer.reserve(5 * MS, 1_000, 1_000_000))).collect();
    let wanted: Vec<Duration> = (0..20).map(Duration::from_millis).collect();
    assert_eq!(waits, wanted);
}

#[test]
fn reserve_after_idle_time_does_not_wait() {
    let pacer = pacer();
    let _ = pacer.reserve(0, 10_000, 1_000_000);
    assert_eq!(pacer.reserve(11 * MS, 10_000, 1_000_000), Admission::Now);
    assert_eq!(wait_of(pacer.reserve(11 * MS, 1, 1_000_000)), Duration::from_millis(10));
}

#[test]
fn reserve_behind_a_huge_commit_waits_for_the_lead_only() {
    let pacer = pacer();
    assert_eq!(pacer.reserve(MS, usize::MAX, 1), Admission::Now, "the huge one itself goes in");
    for _ in 0..100 {
        assert_eq!(wait_of(pacer.reserve(MS, 1_000, 1)), LEAD_MAX);
    }
}

#[test]
fn reserve_of_nothing_takes_no_time() {
    let pacer = pacer();
    for _ in 0..10 {
        assert_eq!(pacer.reserve(0, 0, 1), Admission::Now);
    }
}

#[test]
fn shortage_names_the_limit_that_was_reached() {
    let calm = Backlog { memtable_bytes: 0, memtable_bytes_target: 10, memtable_bytes_max: 100, runs: 0 };
    let runs = Backlog { runs: aquifer_lsm::pressure::RUNS_STOP, ..calm };
    assert_eq!(shortage(&runs), Shortage::Runs);
    assert_eq!(shortage(&Backlog { memtable_bytes: 100, ..runs }), Shortage::Memory);
}
