//! What planning may ask of the storage: counts from summaries, indexes of tables and memtables, and what was sampled.

use std::ops::Range;
use std::sync::Arc;

use aquifer_lsm::{cuts, range_size};
use aquifer_sql::{Sample, Statistics};
use aquifer_types::IndexId;
use bytes::Bytes;

use crate::engine::Engine;

impl Statistics for Engine {
    fn keys_in(&self, range: Range<&[u8]>) -> Option<u64> {
        let id = range.start.first_chunk().map(|id| IndexId(u32::from_be_bytes(*id)));
        match id.and_then(|id| self.samples.of(id)) {
            Some(sample) => self.keys_of_size(range, sample.entry_bytes),
            None => Some(range_size(&self.state(), range).keys),
        }
    }

    fn keys_of_size(&self, range: Range<&[u8]>, entry_bytes: f64) -> Option<u64> {
        let size = range_size(&self.state(), range);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let stored = (size.raw_bytes as f64 / entry_bytes.max(1.0)) as u64;
        Some(size.memory_keys + stored)
    }

    fn cuts(&self, range: Range<&[u8]>, count: usize) -> Vec<Bytes> {
        cuts(&self.state(), range, count)
    }

    fn sample(&self, index: IndexId) -> Option<Arc<Sample>> {
        self.samples.of(index)
    }
}
