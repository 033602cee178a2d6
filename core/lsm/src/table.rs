//! A table (one SST object) as reads see it.
//!
//! A table begins with what the manifest says of it. Its index and filter are loaded once, when first
//! needed, and kept as long as any read state names the table.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use aquifer_format::sst::{BlockHandle, BlockKind, BlockPlace, FilterBlock, IndexBlock, verify_block};
use aquifer_format::{FormatError, SstMeta};
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
    /// In level 0: tables of the same run do not overlap, a higher run is newer. Means nothing in other
    /// levels.
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
    /// The LSN that all entries have instead of the one stored with them: the table holds writes of one
    /// large transaction, at most one of each key, written before it was given its LSN.
    pub commit_lsn: Option<Lsn>,
}

/// A table with, once loaded, its index and filter. Shared by all read states that contain it.
#[derive(Debug)]
pub struct Table {
    info: TableInfo,
    meta: Arc<OnceLock<TableMeta>>,
}

/// Index and filter of a table.
#[derive(Debug)]
pub(crate) struct TableMeta {
    index: IndexBlock,
    filter: FilterBlock,
}

/// Where the newest version of a key that a reader at some LSN sees would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located {
    /// Index and filter are not in memory.
    NeedsMeta,
    /// Not in this table.
    Absent,
    /// In this block, or not in this table.
    Block(BlockHandle),
}

impl TableInfo {
    /// Whether `key` is in the table's key range.
    #[must_use]
    pub fn covers(&self, key: &[u8]) -> bool {
        *self.smallest <= *key && *key <= *self.largest
    }

    /// Whether the key ranges of two tables overlap.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.smallest <= other.largest && other.smallest <= self.largest
    }
}

impl TryFrom<&SstMeta> for TableInfo {
    type Error = FormatError;

    fn try_from(meta: &SstMeta) -> Result<Self, FormatError> {
        meta.validate()?;
        let handle = |offset, bytes: u64| {
            let len =
                u32::try_from(bytes).map_err(|_| FormatError::Malformed("index or filter over 4 GiB"))?;
            Ok(BlockHandle { offset, len })
        };
        let index = handle(meta.index_offset, meta.index_bytes)?;
        let filter = handle(meta.filter_offset, meta.filter_bytes)?;
        if index.end() != filter.offset || index.len == 0 || filter.len == 0 {
            return Err(FormatError::Malformed("index and filter of a table are not adjacent"));
        }
        let commit_lsn = (meta.commit_lsn != 0).then_some(Lsn(meta.commit_lsn));
        Ok(Self {
            id: meta.sst_id(),
            level: meta.level,
            run: meta.run,
            smallest: meta.smallest_key.clone(),
            largest: meta.largest_key.clone(),
            min_lsn: commit_lsn.unwrap_or(Lsn(meta.min_lsn)),
            max_lsn: commit_lsn.unwrap_or(Lsn(meta.max_lsn)),
            object_bytes: meta.object_bytes,
            entries: meta.entries,
            tombstones: meta.tombstones,
            raw_bytes: meta.raw_bytes,
            index,
            filter,
            created_micros: meta.created_micros,
            commit_lsn,
        })
    }
}

impl From<&TableInfo> for SstMeta {
    fn from(info: &TableInfo) -> Self {
        Self {
            level: info.level,
            run: info.run,
            object_bytes: info.object_bytes,
            smallest_key: info.smallest.clone(),
            largest_key: info.largest.clone(),
            min_lsn: info.min_lsn.0,
            max_lsn: info.max_lsn.0,
            entries: info.entries,
            tombstones: info.tombstones,
            raw_bytes: info.raw_bytes,
            index_offset: info.index.offset,
            index_bytes: u64::from(info.index.len),
            filter_offset: info.filter.offset,
            filter_bytes: u64::from(info.filter.len),
            created_micros: info.created_micros,
            commit_lsn: info.commit_lsn.map_or(0, |lsn| lsn.0),
            ..Self::default()
        }
        .with_id(info.id)
    }
}

impl Table {
    /// A table whose index and filter are not loaded yet.
    #[must_use]
    pub fn new(info: TableInfo) -> Self {
        Self { info, meta: Arc::new(OnceLock::new()) }
    }

    /// The same object elsewhere in the manifest, sharing index and filter.
    #[must_use]
    pub(crate) fn moved(&self, info: TableInfo) -> Self {
        Self { info, meta: Arc::clone(&self.meta) }
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
        self.info.index.offset..self.info.filter.end()
    }

    /// Whether index and filter are in memory.
    #[must_use]
    pub fn has_meta(&self) -> bool {
        self.meta.get().is_some()
    }

    /// Verifies and keeps the bytes of [`Table::meta_range`]. Does nothing when they are there already.
    ///
    /// # Errors
    /// `Corrupt` when a checksum or the layout does not hold; nothing is kept then.
    pub fn install_meta(&self, stored: Bytes) -> Result<(), ReadError> {
        if !self.has_meta() {
            let meta = self.decode_meta(&stored).map_err(|error| self.corrupt(&error))?;
            // Whoever came first has installed the same bytes.
            let _ = self.meta.set(meta);
        }
        Ok(())
    }

    fn decode_meta(&self, stored: &Bytes) -> Result<TableMeta, FormatError> {
        let needed = u64::from(self.info.index.len) + u64::from(self.info.filter.len);
        if stored.len() as u64 != needed {
            return Err(FormatError::Truncated { needed, have: stored.len() as u64 });
        }
        let (index, filter) = (self.info.index, self.info.filter);
        let (index_bytes, filter_bytes) =
            (stored.slice(..index.len as usize), stored.slice(index.len as usize..));
        let index_place = self.place(BlockKind::Index, index.offset);
        let filter_place = self.place(BlockKind::Filter, filter.offset);
        let index = IndexBlock::parse(verify_block(&index_bytes, index_place)?.into_plain()?)?;
        let filter = FilterBlock::parse(verify_block(&filter_bytes, filter_place)?.into_plain()?)?;
        if index.handle(index.len() - 1).end() != self.info.index.offset {
            return Err(FormatError::Malformed("data blocks do not end where the index begins"));
        }
        Ok(TableMeta { index, filter })
    }

    /// Bytes of memory that index and filter occupy; 0 before they are loaded.
    #[must_use]
    pub fn meta_bytes(&self) -> usize {
        self.meta.get().map_or(0, |meta| meta.index.payload_bytes() + meta.filter.payload_bytes())
    }

    /// The handle of the data block that has the version of `key` that a reader at `lsn` sees, if the
    /// table has one; `hash` is [`aquifer_format::sst::key_hash`] of the key.
    #[must_use]
    pub fn locate(&self, key: &[u8], hash: u64, lsn: Lsn) -> Located {
        let Some(lsn) = self.stored_lsn(lsn) else { return Located::Absent };
        let Some(meta) = self.meta.get() else { return Located::NeedsMeta };
        if !meta.filter.may_contain(hash) {
            return Located::Absent;
        }
        let block = meta.index.lower_bound(key, lsn);
        if block == meta.index.len() { Located::Absent } else { Located::Block(meta.index.handle(block)) }
    }

    /// Verifies and decompresses the stored bytes of a data block of this table. The checksum includes
    /// the table's id and the block's position, so a block of another place is refused.
    ///
    /// # Errors
    /// `Corrupt` when the checksum or the layout does not hold.
    pub fn decode_block(&self, handle: BlockHandle, stored: Bytes) -> Result<Block, ReadError> {
        let place = self.place(BlockKind::Data, handle.offset);
        if stored.len() != handle.len as usize {
            let (needed, have) = (u64::from(handle.len), stored.len() as u64);
            return Err(self.corrupt(&FormatError::Truncated { needed, have }));
        }
        Block::decode(&stored, place).map_err(|error| self.corrupt(&error))
    }

    /// Handles of all data blocks in key order; none before index and filter are loaded.
    pub fn block_handles(&self) -> impl Iterator<Item = BlockHandle> {
        let index = self.index();
        (0..index.map_or(0, IndexBlock::len)).filter_map(move |block| Some(index?.handle(block)))
    }

    /// Whether the loaded filter is the same as `other`.
    pub(crate) fn has_filter(&self, other: &FilterBlock) -> bool {
        self.meta.get().is_some_and(|meta| meta.filter == *other)
    }

    /// The index, once loaded.
    pub(crate) fn index(&self) -> Option<&IndexBlock> {
        self.meta.get().map(|meta| &meta.index)
    }

    /// The LSN to look for in the blocks so as to find what a reader at `lsn` sees; `None` when it sees
    /// nothing of this table.
    pub(crate) fn stored_lsn(&self, lsn: Lsn) -> Option<Lsn> {
        match self.info.commit_lsn {
            Some(commit) => (commit <= lsn).then_some(Lsn::MAX),
            None => (self.info.min_lsn <= lsn).then_some(lsn),
        }
    }

    /// The LSN of an entry whose stored LSN is `stored`.
    pub(crate) fn entry_lsn(&self, stored: Lsn) -> Lsn {
        self.info.commit_lsn.unwrap_or(stored)
    }

    fn place(&self, kind: BlockKind, offset: u64) -> BlockPlace {
        BlockPlace { table: self.info.id, offset, kind }
    }

    fn corrupt(&self, error: &FormatError) -> ReadError {
        ReadError::corrupt(self.info.id, error.to_string())
    }
}
