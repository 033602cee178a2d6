//! Filling a tree: in a random order of keys, measured as it goes.

use std::time::Instant;

use crate::cpu::{self, Whose, float};
use crate::data::{LOGICAL_BYTES, Random, Shuffled, fill_row, row_key};
use crate::tree::{Outcome, Tree};

/// Transactions of one row that share a group of the commit log.
pub const GROUP_ROWS: usize = 16;

/// What a load took.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// CPU of the whole process for each row, until everything is flushed, compacted and published.
    pub cpu_us: f64,
    /// CPU of it that the thread which commits spent, for each row.
    pub commit_cpu_us: f64,
    /// Bytes of PUT requests for each byte of rows and keys.
    pub put_ratio: f64,
    /// Rows a second while rows came.
    pub rows_per_second: f64,
    /// Rows of the worst whole second, against the mean.
    pub worst_second: f64,
    /// The slowest group.
    pub slowest_put_ms: f64,
}

/// Writes `count` rows whose numbers `next` gives, then waits until the tree has settled.
pub fn load(tree: &mut Tree, count: u64, seed: u64, next: impl FnMut() -> u64) -> Outcome<Load> {
    let before = tree.traffic();
    let (process, thread) = (cpu::micros(Whose::Process), cpu::micros(Whose::Thread));
    let started = Instant::now();
    let (written, seconds) = write(tree, count, seed, next)?;
    let elapsed = started.elapsed().as_secs_f64();
    let commit_cpu_us = cpu::ratio(cpu::micros(Whose::Thread) - thread, written);
    tree.settle()?;
    Ok(Load {
        cpu_us: cpu::ratio(cpu::micros(Whose::Process) - process, written),
        commit_cpu_us,
        put_ratio: float(tree.traffic().put_bytes - before.put_bytes) / float(written * LOGICAL_BYTES),
        rows_per_second: float(written) / elapsed,
        worst_second: seconds.worst(),
        slowest_put_ms: seconds.slowest_ms,
    })
}

/// Writes as [`load`] does and waits for nothing.
pub fn burst(tree: &mut Tree, count: u64, seed: u64, next: impl FnMut() -> u64) -> Outcome<()> {
    write(tree, count, seed, next).map(drop)
}

/// How many rows were written, and when.
fn write(tree: &mut Tree, count: u64, seed: u64, mut next: impl FnMut() -> u64) -> Outcome<(u64, Seconds)> {
    let mut random = Random::new(seed);
    let mut values: Vec<Vec<u8>> = vec![Vec::new(); GROUP_ROWS];
    let mut seconds = Seconds::new(Instant::now());
    let mut written = 0;
    while written < count {
        values.iter_mut().for_each(|value| fill_row(&mut random, value));
        let rows: Vec<_> = values.iter().map(|value| (row_key(next()), value.as_slice())).collect();
        let begun = Instant::now();
        tree.put(&rows)?;
        written += rows.len() as u64;
        seconds.note(begun, rows.len() as u64);
    }
    Ok((written, seconds))
}

/// Loads every row of a set of `count`, each once.
pub fn load_all(tree: &mut Tree, count: u64) -> Outcome<Load> {
    let mut order = Shuffled::new(count);
    load(tree, count / GROUP_ROWS as u64 * GROUP_ROWS as u64, 1, || order.next().unwrap_or(0))
}

/// CPU of making the rows themselves, which no engine is to be charged with.
pub fn generation_us(count: u64) -> f64 {
    let (mut random, mut value) = (Random::new(1), Vec::new());
    cpu::per_operation(Whose::Thread, count, || {
        for _ in 0..count {
            fill_row(&mut random, &mut value);
            std::hint::black_box(&value);
        }
    })
}

/// Operations by whole seconds.
struct Seconds {
    started: Instant,
    counts: Vec<u64>,
    slowest_ms: f64,
}

impl Seconds {
    fn new(started: Instant) -> Self {
        Self { started, counts: Vec::new(), slowest_ms: 0.0 }
    }

    fn note(&mut self, begun: Instant, operations: u64) {
        self.slowest_ms = self.slowest_ms.max(begun.elapsed().as_secs_f64() * 1e3);
        let second = usize::try_from(self.started.elapsed().as_secs()).unwrap_or(0);
        if self.counts.len() <= second {
            self.counts.resize(second + 1, 0);
        }
        self.counts[second] += operations;
    }

    /// The worst whole second against their mean; the last one, which is not whole, does not count.
    fn worst(&self) -> f64 {
        let whole = &self.counts[..self.counts.len().saturating_sub(1)];
        let mean = float(whole.iter().sum()) / float(whole.len() as u64);
        whole.iter().min().map_or(f64::NAN, |worst| float(*worst) / mean)
    }
}
