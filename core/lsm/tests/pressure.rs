//! Writers slow down before they stop, and come to the rate that flush keeps up with.
#![allow(clippy::unwrap_used)]

use aquifer_lsm::pressure::{Backlog, DEBT_MAX, Pressure, RATE_MAX, RATE_MIN, RUNS_SLOWDOWN, RUNS_STOP};
use proptest::prelude::*;

const MIB: usize = 1 << 20;

fn backlog(memtable_bytes: usize, runs: usize) -> Backlog {
    Backlog { memtable_bytes, memtable_bytes_target: 64 * MIB, memtable_bytes_max: 320 * MIB, runs }
}

fn rate(pressure: Pressure) -> u64 {
    match pressure {
        Pressure::None => u64::MAX,
        Pressure::Rate(rate) => rate,
        Pressure::Stop => 0,
    }
}

#[test]
fn pressure_of_idle_tree_is_none() {
    assert_eq!(backlog(0, 0).pressure(), Pressure::None);
    assert_eq!(backlog(128 * MIB, RUNS_SLOWDOWN - 1).pressure(), Pressure::None);
}

#[test]
fn pressure_at_limits_is_stop() {
    assert_eq!(backlog(320 * MIB, 0).pressure(), Pressure::Stop);
    assert_eq!(backlog(0, RUNS_STOP).pressure(), Pressure::Stop);
    assert_eq!(backlog(usize::MAX, usize::MAX).debt(), DEBT_MAX);
}

#[test]
fn pressure_slows_before_it_stops() {
    let first = rate(backlog(129 * MIB, 0).pressure());
    assert!(first < RATE_MAX && first > RATE_MAX / 2, "hardly noticed at first: {first}");
    let last = rate(backlog(319 * MIB, 0).pressure());
    assert!((RATE_MIN..2 * RATE_MIN).contains(&last), "slow before the limit: {last}");
    let one_run = rate(backlog(0, RUNS_SLOWDOWN).pressure());
    assert!(one_run > RATE_MAX / 4 && one_run < RATE_MAX);
}

#[test]
fn pressure_with_limit_below_two_memtables_still_ends_in_stop() {
    let tight = |memtable_bytes| Backlog {
        memtable_bytes,
        memtable_bytes_target: 64 * MIB,
        memtable_bytes_max: 64 * MIB,
        runs: 0,
    };
    assert_eq!(tight(128 * MIB).pressure(), Pressure::None);
    assert_eq!(tight(129 * MIB).pressure(), Pressure::Stop);
}

/// Writers that take what they are given, and a flush of whole memtables that drains at a fixed speed.
/// Returns the bytes that came in each hundredth of a second.
fn run(drain_per_second: u64, seconds: usize) -> Vec<u64> {
    let (mut active, mut frozen, mut flushed) = (0u64, 0u64, 0u64);
    let target = 64 * MIB as u64;
    let mut came = Vec::new();
    for _ in 0..seconds * 100 {
        let state = backlog(usize::try_from(active + frozen).unwrap(), 0);
        let taken = rate(state.pressure()).min(RATE_MAX) / 100;
        active += taken;
        came.push(taken);
        if active >= target {
            frozen += active;
            active = 0;
        }
        if frozen > 0 {
            flushed += drain_per_second / 100;
            if flushed >= target {
                flushed -= target;
                frozen = frozen.saturating_sub(target);
            }
        }
    }
    came
}

#[test]
fn writers_come_to_the_rate_of_the_drain() {
    for drain in [20u64 << 20, 60 << 20, 150 << 20] {
        let came = run(drain, 60);
        let late: u64 = came[3_000..].iter().sum::<u64>() / 30;
        assert!(late.abs_diff(drain) < drain / 4, "{late} bytes a second came, {drain} were drained");
        let worst = came[3_000..].chunks(100).map(|second| second.iter().sum::<u64>()).min().unwrap();
        assert!(worst > drain / 4, "a second in which hardly anything came: {worst} of {drain}");
    }
}

proptest! {
    #[test]
    fn more_backlog_is_never_faster(
        memory in 0usize..400 * MIB, more in 0usize..100 * MIB, runs in 0usize..30, more_runs in 0usize..5,
    ) {
        let (less, more) = (backlog(memory, runs), backlog(memory + more, runs + more_runs));
        prop_assert!(less.debt() <= more.debt());
        prop_assert!(rate(less.pressure()) >= rate(more.pressure()));
    }

    #[test]
    fn a_little_more_backlog_is_only_a_little_slower(memory in 128 * MIB..319 * MIB) {
        let (before, after) = (rate(backlog(memory, 0).pressure()), rate(backlog(memory + MIB, 0).pressure()));
        if before != u64::MAX && after > 0 {
            prop_assert!(after > before - before / 10, "from {before} to {after}");
        }
    }
}
