//! Whether the store takes what this writer brings, as those who bring it have found out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aquifer_shard::event;

/// Shared by the publisher and the outbox.
#[derive(Debug, Default)]
pub struct StoreWatch {
    /// Microseconds since 1970; 0 while the store answers.
    away_since: AtomicU64,
    came_back: AtomicBool,
    /// Runs pile up while compactions wait for the store: writers are not held back for that, until there are
    /// few again.
    excuses_runs: AtomicBool,
}

impl StoreWatch {
    /// A request was not answered: says so if it is the first.
    pub fn failed(&self, why: &dyn std::fmt::Display) {
        let now = event::wall_micros().max(1);
        let first = self.away_since.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first {
            self.excuses_runs.store(true, Ordering::Release);
            event::warn(&format!("the store is away, commits go on and wait for it on this disk: {why}"));
        }
    }

    /// A request was answered: says so if the store was away.
    pub fn answered(&self) {
        let since = self.away_since.swap(0, Ordering::AcqRel);
        if since != 0 {
            self.came_back.store(true, Ordering::Release);
            let seconds = event::wall_micros().saturating_sub(since) / 1_000_000;
            event::info(&format!("the store is back after {seconds} s"));
        }
    }

    /// Whether the store has come back since this was asked last.
    pub fn take_came_back(&self) -> bool {
        self.came_back.load(Ordering::Relaxed) && self.came_back.swap(false, Ordering::AcqRel)
    }

    /// Whether the last request was not answered.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away_since.load(Ordering::Acquire) != 0
    }

    /// Whether writers are not to be held back by the runs of level 0, of which there are `runs`, because
    /// these could not be compacted.
    pub fn excuses_runs(&self, runs: usize) -> bool {
        if !self.excuses_runs.load(Ordering::Relaxed) {
            return false;
        }
        if runs < aquifer_lsm::pressure::RUNS_SLOWDOWN && !self.is_away() {
            self.excuses_runs.store(false, Ordering::Release);
        }
        true
    }

    /// For how long the store has been away; zero while it answers.
    #[must_use]
    pub fn away_for(&self) -> Duration {
        match self.away_since.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            since => Duration::from_micros(event::wall_micros().saturating_sub(since)),
        }
    }
}
