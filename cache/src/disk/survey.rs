//! What a disk cache's file holds, read without opening the cache: for inspection, beside a running node.
//!
//! It reads what recovery reads (headers, not payloads) and by the same rules, so it counts what a start would
//! find. A block that was written again later counts once for each time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use aquifer_types::SstId;

use super::layout::{Geometry, PAGE, decode_batch_header, decode_file_header};

/// What is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskSurvey {
    /// Length of the file.
    pub file_bytes: u64,
    /// Length of each segment.
    pub segment_bytes: u64,
    /// The segments in the order of the file.
    pub segments: Vec<SegmentSurvey>,
    /// Blocks of each table, and their stored bytes.
    pub tables: BTreeMap<SstId, (u64, u64)>,
}

/// One segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentSurvey {
    /// Which use of the segment; the lowest is reused next. 0: never used.
    pub generation: u64,
    /// Writes.
    pub batches: u64,
    /// Blocks in them.
    pub blocks: u64,
    /// Stored bytes of the blocks.
    pub block_bytes: u64,
    /// Bytes up to the end of the last batch, headers and padding included.
    pub used_bytes: u64,
}

impl DiskSurvey {
    /// Blocks in all segments.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.segments.iter().map(|segment| segment.blocks).sum()
    }

    /// Stored bytes of the blocks in all segments.
    #[must_use]
    pub fn block_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.block_bytes).sum()
    }
}

/// Reads a file's headers. `None`: it is no disk cache file, or one of another version.
///
/// # Errors
/// Those of reading; a file that ends early is no error.
pub fn survey(path: &Path) -> io::Result<Option<DiskSurvey>> {
    let file = File::open(path)?;
    let mut page = vec![0; PAGE];
    if !read_page(&file, &mut page, 0)? {
        return Ok(None);
    }
    let file_bytes = file.metadata()?.len();
    let geometry = decode_file_header(&page).filter(|geometry| is_plausible(*geometry, file_bytes));
    let Some(geometry) = geometry else { return Ok(None) };
    let segment_bytes = geometry.segment_bytes;
    let mut survey = DiskSurvey { file_bytes, segment_bytes, ..DiskSurvey::default() };
    for segment in 0..geometry.segments {
        let found = segment_of(&file, geometry, segment, &mut page, &mut survey.tables)?;
        survey.segments.push(found);
    }
    Ok(Some(survey))
}

/// A header with a right checksum may still be that of a file that was cut.
fn is_plausible(geometry: Geometry, file_bytes: u64) -> bool {
    let segments = u64::from(geometry.segments);
    geometry.segment_bytes > 0
        && geometry.segment_bytes.checked_mul(segments).is_some_and(|bytes| bytes < file_bytes)
}

fn segment_of(
    file: &File,
    geometry: Geometry,
    segment: u32,
    page: &mut [u8],
    tables: &mut BTreeMap<SstId, (u64, u64)>,
) -> io::Result<SegmentSurvey> {
    let start = geometry.segment_start(segment);
    let end = start + geometry.segment_bytes;
    let (mut found, mut position) = (SegmentSurvey::default(), start);
    while position < end && read_page(file, page, position)? {
        let Some(batch) = decode_batch_header(page, position, end - position) else { break };
        if found.batches > 0 && batch.generation != found.generation {
            break;
        }
        found.generation = batch.generation;
        found.batches += 1;
        found.blocks += batch.entries.len() as u64;
        for entry in &batch.entries {
            found.block_bytes += u64::from(entry.length);
            let (blocks, bytes) = tables.entry(entry.key.sst).or_default();
            *blocks += 1;
            *bytes += u64::from(entry.length);
        }
        position += batch.bytes;
        found.used_bytes = position - start;
    }
    Ok(found)
}

/// Whether there was a whole page.
fn read_page(file: &File, page: &mut [u8], position: u64) -> io::Result<bool> {
    match file.read_exact_at(page, position) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
