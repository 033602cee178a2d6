//! Writes one table: entries in order go in, the bytes of one object come out.

use std::fmt;

use aquifer_format::FormatError;
use aquifer_format::sst::{
    BlockHandle, BlockKind, BlockPlace, Compression, DataBlockBuilder, FOOTER_BYTES, FilterBuilder, Footer,
    IndexBuilder, TRAILER_BYTES, TableStats, seal_block, shortest_separator,
};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

use crate::codec;
use crate::table::TableInfo;

/// Payload of a data block before compression. A larger one makes a point read fetch and decompress more; a
/// smaller one makes index and compression worse.
pub const BLOCK_BYTES_TARGET: usize = 16 << 10;
/// Smallest and largest size of an object that may be asked for.
pub const OBJECT_BYTES_RANGE: std::ops::RangeInclusive<u64> = (8 << 20)..=(64 << 20);

/// How a table is to be written.
#[derive(Clone, Copy, Debug)]
pub struct TableOptions {
    /// The object's id, never used before.
    pub id: SstId,
    /// Compression of the data blocks.
    pub compression: Compression,
    /// Payload at which a data block is complete, before compression.
    pub block_bytes_target: usize,
    /// Wall-clock time in microseconds since 1970, for the statistics.
    pub created_micros: u64,
}

/// A finished table.
#[derive(Clone, Debug)]
pub struct BuiltTable {
    /// The object, to be PUT under [`TableInfo::id`].
    pub object: Bytes,
    /// What the manifest needs to know; level and run are 0 until somebody sets them.
    pub info: TableInfo,
}

/// Why an entry was refused or a table cannot be finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The entry is not after the one before it. A broken invariant of the caller.
    OutOfOrder,
    /// A table needs at least one entry.
    Empty,
    /// A key came twice with one LSN, and that was to be refused.
    Repeated,
    /// Something is over a limit of the format.
    Format(FormatError),
}

/// Collects the entries of one table.
pub struct TableBuilder {
    options: TableOptions,
    object: Vec<u8>,
    block: DataBlockBuilder,
    last_lsn: Lsn,
    /// A complete block whose separator waits for the next key.
    pending: Option<PendingBlock>,
    separator: Vec<u8>,
    index: IndexBuilder,
    filter: FilterBuilder,
    smallest: Vec<u8>,
    counts: Counts,
}

struct PendingBlock {
    handle: BlockHandle,
    last_key: Vec<u8>,
    last_lsn: Lsn,
}

struct Counts {
    entries: u64,
    tombstones: u64,
    raw_bytes: u64,
    min_lsn: Lsn,
    max_lsn: Lsn,
}

impl TableOptions {
    /// Options with the usual block size.
    #[must_use]
    pub fn new(id: SstId, compression: Compression, created_micros: u64) -> Self {
        Self { id, compression, block_bytes_target: BLOCK_BYTES_TARGET, created_micros }
    }
}

impl TableBuilder {
    /// An empty table.
    #[must_use]
    pub fn new(options: TableOptions) -> Self {
        let (min_lsn, max_lsn) = (Lsn::MAX, Lsn(0));
        Self {
            options,
            object: Vec::new(),
            block: DataBlockBuilder::default(),
            last_lsn: Lsn(0),
            pending: None,
            separator: Vec::new(),
            index: IndexBuilder::default(),
            filter: FilterBuilder::default(),
            smallest: Vec::new(),
            counts: Counts { entries: 0, tombstones: 0, raw_bytes: 0, min_lsn, max_lsn },
        }
    }

    /// Has memory ready for an object of about `bytes`: growing one a part at a time copies it as often, and touches
    /// fresh pages each time.
    pub fn reserve(&mut self, bytes: usize) {
        self.object.reserve(bytes);
    }

    /// Appends an entry; `None` is a tombstone. Keys ascend, LSNs of one key descend.
    ///
    /// # Errors
    /// [`BuildError::OutOfOrder`], or [`BuildError::Format`] for an entry over a limit; nothing was added.
    pub fn add(&mut self, key: &[u8], lsn: Lsn, value: Option<&[u8]>) -> Result<(), BuildError> {
        self.check_order(key, lsn)?;
        if self.counts.entries == 0 {
            self.smallest = key.to_vec();
        }
        self.block.add(key, lsn, value)?;
        if let Some(pending) = self.pending.take() {
            self.index_block(&pending, Some(key))?;
        }
        self.filter.add(key);
        self.last_lsn = lsn;
        self.counts.add(key, lsn, value);
        if self.block.payload_bytes() >= self.options.block_bytes_target {
            self.finish_block()?;
        }
        Ok(())
    }

    /// Bytes of the object if it were finished now, nearly.
    #[must_use]
    pub fn object_bytes(&self) -> u64 {
        let parts = [self.object.len(), self.block.payload_bytes(), self.index.payload_bytes()];
        (parts.into_iter().sum::<usize>() + self.filter.payload_bytes()) as u64
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.entries == 0
    }

    /// The user key added last.
    #[must_use]
    pub fn last_key(&self) -> &[u8] {
        self.pending.as_ref().map_or_else(|| self.block.last_key(), |pending| &pending.last_key)
    }

    /// Completes the object.
    ///
    /// # Errors
    /// [`BuildError::Empty`] without entries, [`BuildError::Format`] over a limit.
    pub fn finish(mut self) -> Result<BuiltTable, BuildError> {
        if self.is_empty() {
            return Err(BuildError::Empty);
        }
        let largest = Bytes::copy_from_slice(self.last_key());
        if !self.block.is_empty() {
            self.finish_block()?;
        }
        if let Some(pending) = self.pending.take() {
            self.index_block(&pending, None)?;
        }
        let data_blocks = self.index.count();
        let index_payload = std::mem::take(&mut self.index).finish();
        let index = self.append_plain(BlockKind::Index, &index_payload)?;
        let filter_payload = self.filter.finish();
        let filter = self.append_plain(BlockKind::Filter, &filter_payload)?;
        let stats = TableStats {
            index,
            filter,
            data_blocks,
            entries: self.counts.entries,
            tombstones: self.counts.tombstones,
            raw_bytes: self.counts.raw_bytes,
            min_lsn: self.counts.min_lsn,
            max_lsn: self.counts.max_lsn,
            created_micros: self.options.created_micros,
            smallest: Bytes::from(std::mem::take(&mut self.smallest)),
            largest,
        };
        let stats_block = self.append_plain(BlockKind::Stats, &stats.encode())?;
        let object_bytes = stats_block.end() + FOOTER_BYTES as u64;
        let footer = Footer { id: self.options.id, stats: stats_block, object_bytes };
        self.object.extend_from_slice(&footer.encode());
        let info = info_of(self.options.id, stats, object_bytes);
        Ok(BuiltTable { object: Bytes::from(self.object), info })
    }

    fn check_order(&self, key: &[u8], lsn: Lsn) -> Result<(), BuildError> {
        let last = self.pending.as_ref().map_or_else(|| self.block.last_key(), |pending| &pending.last_key);
        let is_after = last.cmp(key).then_with(|| lsn.cmp(&self.last_lsn)).is_lt();
        if self.is_empty() || is_after { Ok(()) } else { Err(BuildError::OutOfOrder) }
    }

    fn finish_block(&mut self) -> Result<(), BuildError> {
        let offset = self.object.len();
        let place = self.place(BlockKind::Data, offset);
        let last_key = self.block.last_key().to_vec();
        let (object, wanted) = (&mut self.object, self.options.compression);
        self.block.finish(|payload| seal_payload(object, place, payload, wanted))?;
        let handle = handle_of(offset, self.object.len())?;
        self.pending = Some(PendingBlock { handle, last_key, last_lsn: self.last_lsn });
        Ok(())
    }

    /// Adds a complete block to the index, given the key that follows it.
    fn index_block(&mut self, block: &PendingBlock, next_key: Option<&[u8]>) -> Result<(), BuildError> {
        self.separator.clear();
        let lsn = match next_key {
            Some(next) if next != block.last_key => {
                shortest_separator(&block.last_key, next, &mut self.separator);
                Lsn(0)
            }
            Some(_) => {
                self.separator.extend_from_slice(&block.last_key);
                block.last_lsn
            }
            None => {
                self.separator.extend_from_slice(&block.last_key);
                Lsn(0)
            }
        };
        Ok(self.index.add(block.handle, &self.separator, lsn)?)
    }

    fn append_plain(&mut self, kind: BlockKind, payload: &[u8]) -> Result<BlockHandle, BuildError> {
        let offset = self.object.len();
        let place = self.place(kind, offset);
        seal_payload(&mut self.object, place, payload, Compression::None)?;
        handle_of(offset, self.object.len())
    }

    fn place(&self, kind: BlockKind, offset: usize) -> BlockPlace {
        BlockPlace { table: self.options.id, offset: offset as u64, kind }
    }
}

impl Counts {
    fn add(&mut self, key: &[u8], lsn: Lsn, value: Option<&[u8]>) {
        self.entries += 1;
        self.tombstones += u64::from(value.is_none());
        self.raw_bytes += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        self.min_lsn = self.min_lsn.min(lsn);
        self.max_lsn = self.max_lsn.max(lsn);
    }
}

fn seal_payload(
    object: &mut Vec<u8>,
    place: BlockPlace,
    payload: &[u8],
    wanted: Compression,
) -> Result<(), BuildError> {
    let raw_bytes = u32::try_from(payload.len()).map_err(|_| too_large(payload.len()))?;
    let start = object.len();
    let stored = codec::compress(payload, wanted, object);
    seal_block(object, place, object.len() - start, stored, raw_bytes);
    Ok(())
}

fn handle_of(offset: usize, end: usize) -> Result<BlockHandle, BuildError> {
    let len = u32::try_from(end - offset).map_err(|_| too_large(end - offset))?;
    Ok(BlockHandle { offset: offset as u64, len })
}

fn too_large(bytes: usize) -> BuildError {
    let bytes_max = u64::from(u32::MAX) - TRAILER_BYTES as u64;
    BuildError::Format(FormatError::TooLarge { what: "block", bytes: bytes as u64, bytes_max })
}

fn info_of(id: SstId, stats: TableStats, object_bytes: u64) -> TableInfo {
    TableInfo {
        id,
        level: 0,
        run: 0,
        smallest: stats.smallest,
        largest: stats.largest,
        min_lsn: stats.min_lsn,
        max_lsn: stats.max_lsn,
        object_bytes,
        entries: stats.entries,
        tombstones: stats.tombstones,
        raw_bytes: stats.raw_bytes,
        index: stats.index,
        filter: stats.filter,
        created_micros: stats.created_micros,
        commit_lsn: None,
    }
}

impl From<FormatError> for BuildError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeated => f.write_str("a key comes twice"),
            Self::OutOfOrder => f.write_str("an entry is not after the one before it"),
            Self::Empty => f.write_str("a table needs at least one entry"),
            Self::Format(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for BuildError {}
