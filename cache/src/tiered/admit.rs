//! What was just written enters the caches without a fetch.

use aquifer_format::sst::{BlockKind, BlockPlace, IndexBlock, verify_block};
use aquifer_format::{FormatError, FormatResult};
use aquifer_lsm::{Block, BlockHandle, ReadError, Table};
use aquifer_types::SstId;
use bytes::Bytes;

use super::TieredSource;
use crate::block::{Access, BlockKey};

/// Blocks of a table that are looked at to see whether it is hot.
const HEAT_SAMPLES: usize = 64;

impl TieredSource {
    /// Takes in a block that was just written (by a flush, or by a compaction of hot input), so that
    /// its first reader need not fetch it. `stored` is exactly what the object holds at `handle`. The
    /// bytes must have been handed to the store already or be about to be.
    pub fn admit(&self, sst: SstId, handle: BlockHandle, stored: Bytes, block: Block) {
        let key = BlockKey { sst, offset: handle.offset };
        let bytes = block.resident_bytes();
        self.inner.blocks.insert(key, block, bytes, self.access);
        self.inner.offer(key, stored, self.access);
    }

    /// Takes in index and filter, as stored at `offset`, of a table that was just written: the local disk has
    /// them at the next start.
    pub fn admit_meta(&self, sst: SstId, offset: u64, stored: Bytes) {
        self.inner.offer(BlockKey { sst, offset }, stored, Access::Point);
    }

    /// How many of a thousand blocks of a table were read lately: are in memory, or were read from the disk
    /// cache since they were put there. An estimate from [`HEAT_SAMPLES`] blocks; 0 when the index is not in
    /// memory.
    #[must_use]
    pub fn hot_per_mille(&self, table: &Table) -> u64 {
        let handles: Vec<BlockHandle> = table.block_handles().collect();
        let step = handles.len().div_ceil(HEAT_SAMPLES).max(1);
        let (mut hot, mut asked) = (0, 0);
        for handle in handles.iter().step_by(step) {
            let key = BlockKey { sst: table.id(), offset: handle.offset };
            let on_disk = || self.inner.disk.as_ref().is_some_and(|disk| disk.is_hot(key));
            hot += u64::from(self.inner.blocks.contains(key) || on_disk());
            asked += 1;
        }
        hot * 1_000 / asked.max(1)
    }

    /// Takes in a whole table that was just written: its index and filter are resident afterwards, and
    /// they and all data blocks are offered to the disk cache, as far as its queue has room. Blocks are
    /// not put into memory: a table of 64 MiB would displace what is in use. The queue holds `object`
    /// in memory until it is written.
    ///
    /// # Errors
    /// `Corrupt` when `object` is not the object of `table`; nothing is admitted then.
    pub fn admit_table(&self, table: &Table, object: &Bytes) -> Result<(), ReadError> {
        let meta = table.meta_range();
        let stored = slice(object, meta.start, meta.end).ok_or_else(|| too_short(table))?;
        table.install_meta(stored.clone())?;
        let handles =
            data_blocks(table, &stored).map_err(|error| ReadError::corrupt(table.id(), error.to_string()))?;
        let sst = table.id();
        self.inner.offer(BlockKey { sst, offset: meta.start }, stored, Access::Point);
        for handle in handles {
            let range = handle.range();
            let block = slice(object, range.start, range.end).ok_or_else(|| too_short(table))?;
            self.inner.offer(BlockKey { sst, offset: handle.offset }, block, Access::Point);
        }
        Ok(())
    }
}

/// The data blocks that a table's stored index names.
fn data_blocks(table: &Table, meta: &Bytes) -> FormatResult<Vec<BlockHandle>> {
    let index = table.info().index;
    let place = BlockPlace { table: table.id(), offset: index.offset, kind: BlockKind::Index };
    let stored =
        slice(meta, 0, u64::from(index.len)).ok_or(FormatError::Malformed("index longer than its range"))?;
    let index = IndexBlock::parse(verify_block(&stored, place)?.into_plain()?)?;
    Ok((0..index.len()).map(|block| index.handle(block)).collect())
}

fn slice(bytes: &Bytes, start: u64, end: u64) -> Option<Bytes> {
    let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

fn too_short(table: &Table) -> ReadError {
    ReadError::corrupt(table.id(), "the object is shorter than its table says")
}
