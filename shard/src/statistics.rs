//! What planning may ask of the storage: counts from summaries, indexes of tables and memtables, and what was sampled.

use std::ops::Range;
use std::sync::Arc;

use aquifer_lsm::{cuts, range_size};
use aquifer_sql::Statistics;
use aquifer_types::IndexId;
use bytes::Bytes;

use crate::engine::Engine;

impl Statistics for Engine {
    fn keys_in(&self, range: Range<&[u8]>) -> Option<u64> {
        Some(range_size(&self.state(), range).keys)
    }

    fn cuts(&self, range: Range<&[u8]>, count: usize) -> Vec<Bytes> {
        cuts(&self.state(), range, count)
    }

    fn rows_per_value(&self, index: IndexId) -> Option<Arc<[f64]>> {
        self.samples.of(index)
    }
}
