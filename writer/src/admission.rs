//! Backpressure: how long a commit is held back while flush and compaction are behind.
//!
//! How far they are behind, and the rate that writers share then, is [`aquifer_lsm::pressure`]. Here that rate
//! becomes a waiting time: a clock of bytes that all commits of a node share. Each commit is let in when the
//! clock comes to where the one before has set it, and moves it on by its own bytes at the present rate. So the
//! rate holds for any number of sessions, and a small commit waits for what came before it, not for itself.
//!
//! The clock never runs ahead by more than [`LEAD_MAX`]: no commit waits longer for the pace, also not
//! behind a very large one. When that lets more in than the rate says, the debt grows, up to the point where
//! writers stop. An idle clock is not ahead; without debt it is not looked at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aquifer_lsm::{Backlog, Pressure};
use aquifer_shard::engine::Engine;

/// The longest that a commit waits for the pace.
pub const LEAD_MAX: Duration = Duration::from_millis(30);

/// What a commit has to do before it is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nothing.
    Now,
    /// Wait so long.
    After(Duration),
    /// Wait until there is room, and ask again.
    NoRoom,
}

/// What there is too little of while nothing is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Memory: memtables wait for their flush.
    Memory,
    /// Compaction: runs of level 0 wait for it.
    Runs,
}

/// The shared clock, with the limits that it goes by.
#[derive(Debug)]
pub struct Pacer {
    began: Instant,
    /// Nanoseconds after `began` at which the next commit is let in.
    next_ns: AtomicU64,
    memtable_bytes_target: usize,
    memtable_bytes_max: usize,
}

impl Pacer {
    /// A clock at rest. A memtable is frozen at `memtable_bytes_target`; frozen ones may hold
    /// `frozen_bytes_max`.
    #[must_use]
    pub fn new(memtable_bytes_target: usize, frozen_bytes_max: usize) -> Self {
        Self {
            began: Instant::now(),
            next_ns: AtomicU64::new(0),
            memtable_bytes_target,
            memtable_bytes_max: frozen_bytes_max.saturating_add(memtable_bytes_target),
        }
    }

    /// What is behind on a node.
    #[must_use]
    pub fn backlog(&self, engine: &Engine) -> Backlog {
        Backlog {
            memtable_bytes: engine.unflushed_bytes(),
            memtable_bytes_target: self.memtable_bytes_target,
            memtable_bytes_max: self.memtable_bytes_max,
            runs: engine.runs(),
        }
    }

    /// Takes a commit's place in line.
    #[must_use]
    pub fn admit(&self, engine: &Engine, bytes: usize) -> Admission {
        match self.backlog(engine).pressure() {
            Pressure::None => Admission::Now,
            Pressure::Stop => Admission::NoRoom,
            Pressure::Rate(rate) => self.reserve(nanos(self.began.elapsed()), bytes, rate),
        }
    }

    /// As [`Pacer::admit`], without regard to runs: while the store is away they cannot be compacted.
    #[must_use]
    pub fn admit_for_flush(&self, engine: &Engine, bytes: usize) -> Admission {
        match (Backlog { runs: 0, ..self.backlog(engine) }).pressure() {
            Pressure::None => Admission::Now,
            Pressure::Stop => Admission::NoRoom,
            Pressure::Rate(rate) => self.reserve(nanos(self.began.elapsed()), bytes, rate),
        }
    }

    /// Which limit holds commits back, for a message.
    #[must_use]
    pub fn shortage(&self, engine: &Engine) -> Shortage {
        shortage(&self.backlog(engine))
    }

    /// A place on the clock at `now_ns` for `bytes` at `rate` bytes a second.
    fn reserve(&self, now_ns: u64, bytes: usize, rate: u64) -> Admission {
        let step = |next: u64| Some(advance(next, now_ns, bytes as u64, rate));
        let before = self.next_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or(0);
        match before.saturating_sub(now_ns) {
            0 => Admission::Now,
            wait => Admission::After(Duration::from_nanos(wait)),
        }
    }
}

fn shortage(backlog: &Backlog) -> Shortage {
    match (Backlog { runs: 0, ..*backlog }).pressure() {
        Pressure::Stop => Shortage::Memory,
        Pressure::None | Pressure::Rate(_) => Shortage::Runs,
    }
}

/// Where the clock stands after a commit.
fn advance(next_ns: u64, now_ns: u64, bytes: u64, rate: u64) -> u64 {
    let cost = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    let next = next_ns.max(now_ns).saturating_add(u64::try_from(cost).unwrap_or(u64::MAX));
    next.min(now_ns.saturating_add(nanos(LEAD_MAX)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "admission_test.rs"]
mod admission_test;
