//! How much there is in a range of keys, without reading any block.
//!
//! An estimate, by blocks, which are of about the same size: where rows of one kind are longer than those of others in
//! the same table, their number comes out too high, and `raw_bytes` is what to count by. Versions and deletions of one key in several places count more than once, and a table whose
//! index is not loaded counts by halves at its ends.

use std::ops::Range;
use std::sync::Arc;

use aquifer_types::Lsn;
use bytes::Bytes;

use crate::memtable::Memtable;
use crate::read_state::ReadState;
use crate::table::Table;

/// The size of a range of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeSize {
    /// Keys.
    pub keys: u64,
    /// Bytes as stored in tables, and in memory.
    pub bytes: u64,
    /// Of the keys, those in memtables.
    pub memory_keys: u64,
    /// Bytes of the keys and values in tables before compression.
    pub raw_bytes: u64,
}

impl RangeSize {
    fn add(&mut self, other: Self) {
        self.keys = self.keys.saturating_add(other.keys);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.memory_keys = self.memory_keys.saturating_add(other.memory_keys);
        self.raw_bytes = self.raw_bytes.saturating_add(other.raw_bytes);
    }
}

/// The size of what has keys with `range.start ≤ key < range.end`.
#[must_use]
pub fn range_size(state: &ReadState, range: Range<&[u8]>) -> RangeSize {
    let mut size = RangeSize::default();
    for memtable in std::iter::once(state.active()).chain(state.frozen()) {
        size.add(in_memtable(memtable, &range));
    }
    for run in state.manifest().all_runs() {
        for table in run.overlapping(&(range.start..=range.end)) {
            size.add(in_table(table, &range));
        }
    }
    size
}

/// At most `count` keys, ascending, that cut `range.start ≤ key < range.end` into parts of about the same size. Tables
/// whose index is not loaded, and memtables, have no say.
#[must_use]
pub fn cuts(state: &ReadState, range: Range<&[u8]>, count: usize) -> Vec<Bytes> {
    let mut keys = Vec::new();
    for run in state.manifest().all_runs() {
        for table in run.overlapping(&(range.start..=range.end)) {
            let Some(index) = table.index() else { continue };
            let first = index.lower_bound(range.start, Lsn::MAX);
            let end = index.lower_bound(range.end, Lsn::MAX).min(index.len());
            keys.extend((first..end).map(|block| Bytes::copy_from_slice(index.separator(block).0)));
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| range.start < &**key && &**key < range.end);
    if keys.len() <= count {
        return keys;
    }
    (0..count).map(|number| keys[number * keys.len() / count].clone()).collect()
}

fn in_memtable(memtable: &Memtable, range: &Range<&[u8]>) -> RangeSize {
    let keys = memtable.count_between(range.start, range.end) as u64;
    let all = memtable.len().max(1) as u64;
    let bytes = (memtable.approximate_bytes() as u64).saturating_mul(keys) / all;
    RangeSize { keys, bytes, memory_keys: keys, raw_bytes: 0 }
}

/// The size of what a table has in a range.
pub(crate) fn in_table(table: &Arc<Table>, range: &Range<&[u8]>) -> RangeSize {
    let info = table.info();
    let live = info.entries.saturating_sub(2 * info.tombstones);
    let raw_bytes = info.raw_bytes.saturating_mul(live) / info.entries.max(1);
    let whole = RangeSize { keys: live, bytes: info.object_bytes, memory_keys: 0, raw_bytes };
    if range.start <= &*info.smallest && &*info.largest < range.end {
        return whole;
    }
    let Some(index) = table.index() else {
        return RangeSize {
            keys: whole.keys / 2,
            bytes: whole.bytes / 2,
            raw_bytes: whole.raw_bytes / 2,
            ..whole
        };
    };
    let first = index.lower_bound(range.start, Lsn::MAX);
    let end = index.lower_bound(range.end, Lsn::MAX).min(index.len() - 1);
    // The blocks at both ends are in it by halves, on average.
    let halves = 2 * (end - first.min(end)) as u64 + 1;
    let part = |of: u64| of.saturating_mul(halves) / (2 * index.len() as u64);
    RangeSize { keys: part(whole.keys), bytes: part(whole.bytes), raw_bytes: part(whole.raw_bytes), ..whole }
}
