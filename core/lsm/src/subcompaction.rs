//! Cutting a compaction into parts that can run at the same time, each on its own core.
//!
//! A part is a range of user keys, so all versions of a key are in one part, and the tables that two parts
//! write do not overlap. Together the parts write what the whole would, but for where tables end; the edit is
//! one, when all of them are done.
//!
//! Cuts are at keys that the inputs' indexes name, chosen so that the parts have about the same bytes to read.
//! A table whose index is not in memory counts as a whole at its first key: the cut is worse then, not wrong.

use bytes::Bytes;

use crate::compaction::CompactionJob;
use crate::table::Table;
use crate::walk::KeyRange;

/// Keys of one table that are candidates for a cut.
const SAMPLES_PER_TABLE: usize = 16;

/// Cuts a job into at most `parts_max` parts of at least about `part_bytes_min` bytes of input each. The parts
/// are in key order and cover all keys.
#[must_use]
pub fn split(job: &CompactionJob, parts_max: usize, part_bytes_min: u64) -> Vec<KeyRange> {
    let bytes = job.input_bytes();
    let worth = usize::try_from(bytes / part_bytes_min.max(1)).unwrap_or(usize::MAX);
    let parts = parts_max.min(worth).max(1);
    let mut samples: Vec<(Bytes, u64)> = job.tables().flat_map(|table| samples(table)).collect();
    samples.sort_by(|left, right| left.0.cmp(&right.0));
    let part_bytes = bytes / parts as u64;
    let (mut ranges, mut start, mut sum) = (Vec::with_capacity(parts), Bytes::new(), 0);
    for (key, weight) in samples {
        let is_due = sum >= part_bytes && ranges.len() + 1 < parts;
        if is_due && key > start && key > job.smallest {
            ranges.push(KeyRange { start: std::mem::replace(&mut start, key.clone()), end: Some(key) });
            sum = 0;
        }
        sum += weight;
    }
    ranges.push(KeyRange { start, end: None });
    ranges
}

/// Some keys of a table in order, with the bytes from each to the next.
fn samples(table: &Table) -> Vec<(Bytes, u64)> {
    let info = table.info();
    let blocks = table.index().map_or(0, aquifer_format::sst::IndexBlock::len);
    let step = blocks.div_ceil(SAMPLES_PER_TABLE).max(1);
    let mut keys = vec![info.smallest.clone()];
    if let Some(index) = table.index() {
        // A separator is not before its block's last key, so the next block begins after it or with it.
        let inner = (step..blocks).step_by(step).map(|block| index.separator(block - 1).0);
        keys.extend(inner.map(Bytes::copy_from_slice));
    }
    let weight = info.object_bytes / keys.len() as u64;
    keys.into_iter().map(|key| (key, weight)).collect()
}
