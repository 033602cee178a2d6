//! Where reads have found what they looked for, counted by thread, so that counting costs next to nothing.
//!
//! Who wants to know what a part of a statement has read takes the difference around each poll of its future: what other
//! statements do on the same thread in between is not in it. A fetch that several wait for counts for the one
//! that moves it on.

use std::cell::Cell;
use std::ops::{AddAssign, Sub};

/// Reads by the tier that answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Rows from the row cache.
    pub rows: u64,
    /// Blocks from the block cache.
    pub blocks: u64,
    /// Blocks, indexes and filters from the disk cache.
    pub disk: u64,
    /// Requests to the object store.
    pub store: u64,
}

thread_local! {
    static COUNTS: Cell<ReadCounts> = const { Cell::new(ReadCounts { rows: 0, blocks: 0, disk: 0, store: 0 }) };
}

impl ReadCounts {
    /// All reads of this thread.
    #[must_use]
    pub fn of_thread() -> Self {
        COUNTS.get()
    }

    /// Counts a read of this thread.
    #[inline]
    pub fn note(what: impl FnOnce(&mut Self)) {
        let mut counts = COUNTS.get();
        what(&mut counts);
        COUNTS.set(counts);
    }
}

impl Sub for ReadCounts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            rows: self.rows - before.rows,
            blocks: self.blocks - before.blocks,
            disk: self.disk - before.disk,
            store: self.store - before.store,
        }
    }
}

impl AddAssign for ReadCounts {
    fn add_assign(&mut self, more: Self) {
        self.rows += more.rows;
        self.blocks += more.blocks;
        self.disk += more.disk;
        self.store += more.store;
    }
}
