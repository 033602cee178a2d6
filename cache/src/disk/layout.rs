//! Bytes of the disk cache's file; see `core/docs/formats/disk_cache.md`.
//!
//! Functions from bytes to values and back; no I/O. What a decoder returns has passed its checksum and
//! its bounds; payloads are verified by whoever reads them, against the checksum kept here.

use aquifer_types::SstId;

use crate::block::BlockKey;

/// Unit of alignment of everything that is written at once.
pub(super) const PAGE: usize = 4096;
/// Unit of alignment of reads and writes: of positions, lengths and memory.
pub const PAGE_BYTES: u64 = 4096;
/// Length of a batch header without its entries.
pub(super) const BATCH_HEADER: usize = 40;
/// Length of one entry of a batch header.
pub(super) const ENTRY: usize = 40;
/// Most records of a batch, so that its header fits one page.
pub(super) const RECORDS_MAX: usize = (PAGE - BATCH_HEADER) / ENTRY;
/// Only this version is read; a file of another is rebuilt.
pub(super) const FORMAT_VERSION: u16 = 1;

const FILE_MAGIC: [u8; 8] = *b"AQDISKC1";
const BATCH_MAGIC: [u8; 4] = *b"AQBT";
const FILE_HEADER: usize = 32;

const _: () = assert!(BATCH_HEADER + RECORDS_MAX * ENTRY <= PAGE);

/// The size of the file and its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Length of a segment, a multiple of [`PAGE_BYTES`].
    pub(super) segment_bytes: u64,
    /// Number of segments.
    pub(super) segments: u32,
}

impl Geometry {
    /// Length of the file: one page of header, then the segments.
    pub(super) fn file_bytes(self) -> u64 {
        PAGE_BYTES + self.segment_bytes * u64::from(self.segments)
    }

    /// Position of a segment's first byte.
    pub(super) fn segment_start(self, segment: u32) -> u64 {
        PAGE_BYTES + self.segment_bytes * u64::from(segment)
    }

    /// The segment that holds a position, if any does.
    pub(super) fn segment_of(self, position: u64) -> Option<u32> {
        let segment = position.checked_sub(PAGE_BYTES)? / self.segment_bytes;
        u32::try_from(segment).ok().filter(|s| *s < self.segments)
    }
}

/// One record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Which block.
    pub(super) key: BlockKey,
    /// Position of its bytes from the start of the batch.
    pub(super) start: u32,
    /// Their length.
    pub(super) length: u32,
    /// Their CRC32C.
    pub(super) crc: u32,
}

/// A verified batch header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Which use of its segment it belongs to; rises with each segment that is begun.
    pub(super) generation: u64,
    /// Length with header, payloads and padding: a multiple of [`PAGE_BYTES`].
    pub(super) bytes: u64,
    /// Its records.
    pub(super) entries: Vec<Entry>,
}

/// The first page of the file.
pub(super) fn encode_file_header(geometry: Geometry, page: &mut [u8]) {
    page.fill(0);
    page[..8].copy_from_slice(&FILE_MAGIC);
    page[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    page[12..16].copy_from_slice(&geometry.segments.to_le_bytes());
    page[16..24].copy_from_slice(&geometry.segment_bytes.to_le_bytes());
    let crc = crc32c::crc32c(&page[..24]);
    page[24..28].copy_from_slice(&crc.to_le_bytes());
}

/// The geometry that a file was made with; `None` when the page is not a file header of this version.
pub(super) fn decode_file_header(page: &[u8]) -> Option<Geometry> {
    let head = page.get(..FILE_HEADER)?;
    let sound = head[..8] == FILE_MAGIC && u32_at(head, 24)? == crc32c::crc32c(&head[..24]);
    if !sound || u16_at(head, 8)? != FORMAT_VERSION {
        return None;
    }
    Some(Geometry { segments: u32_at(head, 12)?, segment_bytes: u64_at(head, 16)? })
}

/// Writes a batch header for `position` to the front of `out`.
pub(super) fn encode_batch_header(batch: &Batch, position: u64, out: &mut [u8]) {
    debug_assert!(batch.entries.len() <= RECORDS_MAX);
    let end = BATCH_HEADER + batch.entries.len() * ENTRY;
    let count = u32::try_from(batch.entries.len()).unwrap_or(0);
    out[..4].copy_from_slice(&BATCH_MAGIC);
    out[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    out[10..12].fill(0);
    out[12..16].copy_from_slice(&count.to_le_bytes());
    out[16..24].copy_from_slice(&batch.generation.to_le_bytes());
    out[24..32].copy_from_slice(&position.to_le_bytes());
    out[32..40].copy_from_slice(&batch.bytes.to_le_bytes());
    for (entry, slot) in batch.entries.iter().zip(out[BATCH_HEADER..end].chunks_exact_mut(ENTRY)) {
        slot[..16].copy_from_slice(&entry.key.sst.0.to_le_bytes());
        slot[16..24].copy_from_slice(&entry.key.offset.to_le_bytes());
        slot[24..28].copy_from_slice(&entry.start.to_le_bytes());
        slot[28..32].copy_from_slice(&entry.length.to_le_bytes());
        slot[32..36].copy_from_slice(&entry.crc.to_le_bytes());
        slot[36..40].fill(0);
    }
    let crc = crc32c::crc32c(&out[8..end]);
    out[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the batch header that `page` (the page at `position`) begins with; `None` when there is none
/// that holds. `room` is what the segment has from there on: a batch that goes beyond is refused.
pub(super) fn decode_batch_header(page: &[u8], position: u64, room: u64) -> Option<Batch> {
    if page.get(..4)? != BATCH_MAGIC || u16_at(page, 8)? != FORMAT_VERSION {
        return None;
    }
    let count = usize::try_from(u32_at(page, 12)?).ok().filter(|n| *n <= RECORDS_MAX)?;
    let end = BATCH_HEADER + count * ENTRY;
    if u32_at(page, 4)? != crc32c::crc32c(page.get(8..end)?) || u64_at(page, 24)? != position {
        return None;
    }
    let bytes = u64_at(page, 32)?;
    if bytes == 0 || bytes % PAGE_BYTES != 0 || bytes > room {
        return None;
    }
    let entries: Option<Vec<Entry>> =
        page[BATCH_HEADER..end].chunks_exact(ENTRY).map(|slot| decode_entry(slot, end, bytes)).collect();
    Some(Batch { generation: u64_at(page, 16)?, bytes, entries: entries? })
}

fn decode_entry(slot: &[u8], header_end: usize, batch_bytes: u64) -> Option<Entry> {
    let sst = SstId(u128::from_le_bytes(slot.get(..16)?.try_into().ok()?));
    let key = BlockKey { sst, offset: u64_at(slot, 16)? };
    let (start, length) = (u32_at(slot, 24)?, u32_at(slot, 28)?);
    let inside =
        u64::from(start) + u64::from(length) <= batch_bytes && usize::try_from(start).ok()? >= header_end;
    inside.then_some(Entry { key, start, length, crc: u32_at(slot, 32)? })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
#[path = "layout_test.rs"]
mod layout_test;
