//! A table (one SST object) as reads see it.

use std::ops::Range;

use aquifer_format::sst::BlockHandle;
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

use crate::block::Block;
use crate::error::ReadError;

/// What the manifest says about a table, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// The object.
    pub id: SstId,
    /// 0 for sorted runs in order of arrival, 1 to 6 leveled.
    pub level: u32,
    /// In level 0: tables of the same run do not overlap. 0 in other levels.
    pub run: u64,
    /// First user key, inclusive.
    pub smallest: Bytes,
    /// Last user key, inclusive.
    pub largest: Bytes,
    /// Smallest LSN of any entry.
    pub min_lsn: Lsn,
    /// Largest LSN of any entry.
    pub max_lsn: Lsn,
    /// Length of the object.
    pub object_bytes: u64,
    /// Entries, all versions and tombstones counted.
    pub entries: u64,
    /// Entries that are tombstones.
    pub tombstones: u64,
    /// Bytes of keys and values before compression.
    pub raw_bytes: u64,
    /// The index block.
    pub index: BlockHandle,
    /// The filter block; follows the index directly.
    pub filter: BlockHandle,
    /// Wall-clock time of creation in microseconds since 1970.
    pub created_micros: u64,
}

/// A table with, once loaded, its index and filter. Shared by all read states that contain it.
#[derive(Debug)]
pub struct Table {
    info: TableInfo,
}

impl Table {
    /// A table whose index and filter are not loaded yet.
    #[must_use]
    pub fn new(info: TableInfo) -> Self {
        Self { info }
    }

    /// The object's id.
    #[must_use]
    pub fn id(&self) -> SstId {
        self.info.id
    }

    /// What the manifest says about it.
    #[must_use]
    pub fn info(&self) -> &TableInfo {
        &self.info
    }

    /// Byte range of the object that holds index and filter, end exclusive: one ranged GET.
    #[must_use]
    pub fn meta_range(&self) -> Range<u64> {
        self.info.index.range().start..self.info.filter.range().end
    }

    /// Whether index and filter are in memory.
    #[must_use]
    pub fn has_meta(&self) -> bool {
        false
    }

    /// Verifies and keeps the bytes of [`Table::meta_range`]. Does nothing when they are there already.
    ///
    /// # Errors
    /// `Corrupt` when a checksum or the layout does not hold; nothing is kept then.
    pub fn install_meta(&self, stored: Bytes) -> Result<(), ReadError> {
        let _ = stored;
        Ok(())
    }

    /// Bytes of memory that index and filter occupy; 0 before they are loaded.
    #[must_use]
    pub fn meta_bytes(&self) -> usize {
        0
    }

    /// Verifies and decompresses the stored bytes of a data block of this table. The checksum includes
    /// the table's id and the block's position, so a block of another place is refused.
    ///
    /// # Errors
    /// `Corrupt` when the checksum or the layout does not hold.
    pub fn decode_block(&self, handle: BlockHandle, stored: Bytes) -> Result<Block, ReadError> {
        let _ = (handle, stored);
        Err(ReadError::corrupt(self.id(), "not built yet"))
    }
}
