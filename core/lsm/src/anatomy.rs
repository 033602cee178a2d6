//! What a table's object is made of, block by block: for people, and for questions about compression and filters.
//!
//! Reads a whole object. Nothing here is used by a running node.

use std::ops::Range;

use aquifer_format::FormatError;
use aquifer_format::sst::{BlockHandle, BlockKind, BlockPlace, Compression, key_hash, verify_block};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

use crate::block::BlockWalk;
use crate::error::ReadError;
use crate::table::{Located, Table, TableInfo};
use crate::verify::describe;

/// Keys that the filter is asked for.
const PROBES_MAX: u64 = 20_000;

/// A table, taken apart.
#[derive(Clone, Debug)]
pub struct Anatomy {
    /// What the table says of itself.
    pub info: TableInfo,
    /// Its data blocks in order.
    pub blocks: Vec<BlockAnatomy>,
    /// Different keys.
    pub keys: u64,
    /// Keys beside those of the table that the filter was asked for, and those that it did not exclude.
    pub probes: u64,
    /// See `probes`.
    pub false_positives: u64,
}

/// A data block.
#[derive(Clone, Debug)]
pub struct BlockAnatomy {
    /// Where it is, trailer included.
    pub handle: BlockHandle,
    /// How it is compressed.
    pub compression: Compression,
    /// Bytes of its payload once decompressed.
    pub raw_bytes: u32,
    /// Entries, tombstones included.
    pub entries: u64,
    /// Entries that are tombstones.
    pub tombstones: u64,
    /// Key of the first entry.
    pub first: Bytes,
    /// Key of the last entry.
    pub last: Bytes,
}

/// Takes the object of a table apart.
///
/// # Errors
/// `Corrupt` naming the first part that cannot be verified.
pub fn anatomy(id: SstId, object: &Bytes) -> Result<Anatomy, ReadError> {
    let info = describe(id, object)?;
    let corrupt = |error: FormatError| ReadError::corrupt(id, error.to_string());
    let table = Table::new(info.clone());
    table.install_meta(part(object, table.meta_range()).map_err(corrupt)?)?;
    let (mut blocks, mut probing) = (Vec::new(), Probing::default());
    for handle in table.block_handles() {
        let stored = part(object, handle.range()).map_err(corrupt)?;
        let place = BlockPlace { table: id, offset: handle.offset, kind: BlockKind::Data };
        let verified = verify_block(&stored, place).map_err(corrupt)?;
        let mut block = BlockAnatomy {
            handle,
            compression: verified.compression(),
            raw_bytes: verified.raw_bytes(),
            entries: 0,
            tombstones: 0,
            first: Bytes::new(),
            last: Bytes::new(),
        };
        block.count(BlockWalk::new(table.decode_block(handle, stored)?), &table, &mut probing);
        blocks.push(block);
    }
    let Probing { keys, probes, false_positives, .. } = probing;
    Ok(Anatomy { info, blocks, keys, probes, false_positives })
}

fn part(object: &Bytes, range: Range<u64>) -> Result<Bytes, FormatError> {
    let outside = || FormatError::Truncated { needed: range.end, have: object.len() as u64 };
    let start = usize::try_from(range.start).map_err(|_| outside())?;
    let end = usize::try_from(range.end).map_err(|_| outside())?;
    if start > end || end > object.len() {
        return Err(outside());
    }
    Ok(object.slice(start..end))
}

impl BlockAnatomy {
    fn count(&mut self, mut walk: BlockWalk, table: &Table, probing: &mut Probing) {
        walk.seek_first();
        self.first = Bytes::copy_from_slice(walk.key());
        loop {
            self.entries += 1;
            self.tombstones += u64::from(walk.value().is_none());
            probing.key(walk.key(), table);
            if !walk.next() {
                break;
            }
        }
        self.last = Bytes::copy_from_slice(walk.key());
    }
}

/// Counts keys, and asks the filter for others that lie between them.
#[derive(Default)]
struct Probing {
    keys: u64,
    probes: u64,
    false_positives: u64,
    last: Vec<u8>,
}

impl Probing {
    fn key(&mut self, key: &[u8], table: &Table) {
        if self.keys > 0 && self.last == key {
            return;
        }
        self.keys += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
        if self.probes < PROBES_MAX {
            // Longer than the key by a byte that no encoded key ends with: nearly surely not in the table.
            let beside = [key, &[0x7f]].concat();
            let located = table.locate(&beside, key_hash(&beside), Lsn::MAX);
            self.probes += 1;
            self.false_positives += u64::from(matches!(located, Located::Block(_)));
        }
    }
}
