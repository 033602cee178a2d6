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
        let size = range_size(&self.state(), range.clone());
        let id = range.start.first_chunk().map(|id| IndexId(u32::from_be_bytes(*id)));
        let sample = id.and_then(|id| self.samples.of(id)).filter(|sample| sample.entry_bytes >= 1.0);
        Some(match sample {
            None => size.keys,
            Some(sample) => {
                #[allow(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss
                )]
                let stored = (size.raw_bytes as f64 / sample.entry_bytes) as u64;
                size.memory_keys + stored
            }
        })
    }

    fn cuts(&self, range: Range<&[u8]>, count: usize) -> Vec<Bytes> {
        cuts(&self.state(), range, count)
    }

    fn sample(&self, index: IndexId) -> Option<Arc<Sample>> {
        self.samples.of(index)
    }
}
