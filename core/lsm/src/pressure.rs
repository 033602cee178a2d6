//! How far flush and compaction are behind, and how fast writers may go on: pure functions.
//!
//! *Debt* is a number from 0 to 1000. It is the larger of two:
//!
//! * memory: bytes in memtables, from [`FREE_MEMTABLES`] of them (one that fills, one that is flushed) up to
//!   the limit;
//! * runs: runs of level 0, from [`RUNS_SLOWDOWN`] up to [`RUNS_STOP`].
//!
//! Without debt writers are not held up at all. With debt they share a rate, from [`RATE_MAX`] bytes a second
//! down to [`RATE_MIN`] in equal ratios, so that each tenth of the debt costs the same part of the speed. At
//! 1000 they wait. The rate has no memory and knows nothing of the machine: debt is what came in less what
//! went out, so it grows until the rate is the one that flush and compaction keep up with, and stays there.

/// Runs in level 0 from which on writers are slowed down.
pub const RUNS_SLOWDOWN: usize = 12;
/// Runs in level 0 at which writers must wait: each read asks every one of them.
pub const RUNS_STOP: usize = 24;
/// Memtables' worth of bytes that are no debt.
pub const FREE_MEMTABLES: usize = 2;
/// Debt at which writers must wait.
pub const DEBT_MAX: u32 = 1_000;
/// Bytes a second with the least debt.
pub const RATE_MAX: u64 = 512 << 20;
/// Bytes a second with the most debt that does not stop writers.
pub const RATE_MIN: u64 = RATE_MAX >> RATE_HALVINGS;

const RATE_HALVINGS: u32 = 9;

const _: () = assert!(RUNS_SLOWDOWN < RUNS_STOP && RATE_MIN > 0);

/// What is to be flushed and compacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes in memtables, the one that fills included.
    pub memtable_bytes: usize,
    /// Size at which a memtable is frozen.
    pub memtable_bytes_target: usize,
    /// Bytes in memtables at which writers must wait.
    pub memtable_bytes_max: usize,
    /// Runs in level 0.
    pub runs: usize,
}

/// Whether a writer may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// At once.
    None,
    /// With all writers together at most this many bytes a second.
    Rate(u64),
    /// Not before there is less debt.
    Stop,
}

impl Backlog {
    /// How far it is behind, from 0 to [`DEBT_MAX`].
    #[must_use]
    pub fn debt(&self) -> u32 {
        let free = self.memtable_bytes_target.saturating_mul(FREE_MEMTABLES);
        let memory = per_mille(self.memtable_bytes, free, self.memtable_bytes_max.max(free + 1));
        memory.max(per_mille(self.runs, RUNS_SLOWDOWN - 1, RUNS_STOP))
    }

    /// What the debt means for writers.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        match self.debt() {
            0 => Pressure::None,
            DEBT_MAX.. => Pressure::Stop,
            debt => Pressure::Rate(rate(debt)),
        }
    }
}

/// Where `value` is between `low` (0) and `high` (1000).
fn per_mille(value: usize, low: usize, high: usize) -> u32 {
    let (above, range) = (value.saturating_sub(low) as u128, high.saturating_sub(low).max(1) as u128);
    u32::try_from(above * u128::from(DEBT_MAX) / range).unwrap_or(DEBT_MAX).min(DEBT_MAX)
}

/// Bytes a second for a debt below [`DEBT_MAX`]: halved [`RATE_HALVINGS`] times, in a straight line between.
fn rate(debt: u32) -> u64 {
    let halvings = debt.min(DEBT_MAX) * RATE_HALVINGS;
    let whole = RATE_MAX >> (halvings / DEBT_MAX);
    whole - whole / 2 * u64::from(halvings % DEBT_MAX) / u64::from(DEBT_MAX)
}
