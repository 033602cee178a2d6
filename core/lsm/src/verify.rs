//! What a table object says of itself, and whether all of it is true.
//!
//! For recovery, inspection and tests: reads of a running node verify only the blocks that they use.

use aquifer_format::FormatError;
use aquifer_format::sst::{
    BlockKind, BlockPlace, FOOTER_BYTES, FilterBlock, FilterBuilder, Footer, TableStats, verify_block,
};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

use crate::block::{Block, BlockWalk};
use crate::error::ReadError;
use crate::table::{Table, TableInfo};

/// Reads what a whole table object says of itself, without a manifest. Level and run are 0.
///
/// # Errors
/// `Corrupt` when footer or statistics cannot be verified.
pub fn describe(id: SstId, object: &Bytes) -> Result<TableInfo, ReadError> {
    describe_verified(id, object).map_err(|error| ReadError::corrupt(id, error.to_string()))
}

fn describe_verified(id: SstId, object: &Bytes) -> Result<TableInfo, FormatError> {
    let bytes = object.len() as u64;
    let short = || FormatError::Truncated { needed: FOOTER_BYTES as u64, have: bytes };
    let footer_at = object.len().checked_sub(FOOTER_BYTES).ok_or_else(short)?;
    let footer = Footer::verify(&object[footer_at..])?;
    if footer.id != id || footer.object_bytes != bytes || footer.stats.end() != footer_at as u64 {
        return Err(FormatError::Malformed("the footer is of another table or length"));
    }
    let stats_at = footer_at.checked_sub(footer.stats.len as usize).ok_or_else(short)?;
    let place = BlockPlace { table: id, offset: footer.stats.offset, kind: BlockKind::Stats };
    let payload = verify_block(&object.slice(stats_at..footer_at), place)?.into_plain()?;
    let stats = TableStats::decode(&payload)?;
    if stats.filter.end() != footer.stats.offset {
        return Err(FormatError::Malformed("statistics do not follow the filter"));
    }
    Ok(TableInfo {
        id,
        level: 0,
        run: 0,
        smallest: stats.smallest,
        largest: stats.largest,
        min_lsn: stats.min_lsn,
        max_lsn: stats.max_lsn,
        object_bytes: bytes,
        entries: stats.entries,
        tombstones: stats.tombstones,
        raw_bytes: stats.raw_bytes,
        index: stats.index,
        filter: stats.filter,
        created_micros: stats.created_micros,
        commit_lsn: None,
    })
}

/// Verifies every byte of a whole table object and that its parts agree: checksums, order of the entries,
/// separators, filter, statistics. A flipped bit anywhere is found.
///
/// # Errors
/// `Corrupt` naming the first thing that does not hold.
pub fn verify(id: SstId, object: &Bytes) -> Result<TableInfo, ReadError> {
    let info = describe(id, object)?;
    let table = Table::new(info.clone());
    let corrupt = |detail: &str| ReadError::corrupt(id, detail);
    // `describe` has verified that index, filter, statistics and footer are the end of the object.
    let range = table.meta_range();
    let meta = usize::try_from(range.start)
        .ok()
        .zip(usize::try_from(range.end).ok())
        .filter(|(start, end)| start <= end && *end <= object.len())
        .map(|(start, end)| object.slice(start..end))
        .ok_or_else(|| corrupt("index and filter are outside the object"))?;
    table.install_meta(meta)?;
    let index = table.index().ok_or_else(|| corrupt("no index"))?;
    let mut audit = Audit::default();
    for block in 0..index.len() {
        let handle = index.handle(block);
        let start = usize::try_from(handle.offset).map_err(|_| corrupt("block outside the object"))?;
        let stored = object.slice(start..start + handle.len as usize);
        let (separator, separator_lsn) = index.separator(block);
        audit.block(table.decode_block(handle, stored)?, separator, separator_lsn).map_err(corrupt)?;
    }
    audit.finish(&table).map_err(corrupt)?;
    Ok(info)
}

/// What the entries of a table add up to.
#[derive(Default)]
struct Audit {
    last: Option<(Vec<u8>, Lsn)>,
    separator: Option<(Vec<u8>, Lsn)>,
    smallest: Option<Vec<u8>>,
    entries: u64,
    tombstones: u64,
    raw_bytes: u64,
    lsns: Option<(Lsn, Lsn)>,
    filter: FilterBuilder,
}

impl Audit {
    fn block(&mut self, block: Block, separator: &[u8], separator_lsn: Lsn) -> Result<(), &'static str> {
        let mut walk = BlockWalk::new(block);
        walk.seek_first();
        if self.separator.as_ref().is_some_and(|(key, lsn)| !is_before((key, *lsn), (walk.key(), walk.lsn())))
        {
            return Err("an entry is not after the separator before its block");
        }
        loop {
            self.entry(&walk)?;
            if !walk.next() {
                break;
            }
        }
        if is_before((separator, separator_lsn), (walk.key(), walk.lsn())) {
            return Err("an entry is after the separator of its block");
        }
        self.separator = Some((separator.to_vec(), separator_lsn));
        Ok(())
    }

    fn entry(&mut self, walk: &BlockWalk) -> Result<(), &'static str> {
        let (key, lsn) = (walk.key(), walk.lsn());
        if self.last.as_ref().is_some_and(|(last, last_lsn)| !is_before((last, *last_lsn), (key, lsn))) {
            return Err("entries are out of order");
        }
        let value = walk.value();
        self.smallest.get_or_insert_with(|| key.to_vec());
        self.entries += 1;
        self.tombstones += u64::from(value.is_none());
        self.raw_bytes += (key.len() + value.map_or(0, |value| value.len())) as u64;
        self.lsns = Some(self.lsns.map_or((lsn, lsn), |(low, high)| (low.min(lsn), high.max(lsn))));
        self.filter.add(key);
        self.last = Some((key.to_vec(), lsn));
        Ok(())
    }

    fn finish(self, table: &Table) -> Result<(), &'static str> {
        let info = table.info();
        let counts = (self.entries, self.tombstones, self.raw_bytes);
        let keys = (self.smallest.as_deref(), self.last.as_ref().map(|(key, _)| key.as_slice()));
        if counts != (info.entries, info.tombstones, info.raw_bytes)
            || keys != (Some(&*info.smallest), Some(&*info.largest))
            || self.lsns != Some((info.min_lsn, info.max_lsn))
        {
            return Err("the statistics are not those of the entries");
        }
        let same_filter =
            FilterBlock::parse(self.filter.finish().into()).is_ok_and(|filter| table.has_filter(&filter));
        if same_filter { Ok(()) } else { Err("the filter is not that of the keys") }
    }
}

fn is_before(left: (&[u8], Lsn), right: (&[u8], Lsn)) -> bool {
    left.0.cmp(right.0).then_with(|| right.1.cmp(&left.1)).is_lt()
}
