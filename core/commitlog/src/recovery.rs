//! Reading a log back.
//!
//! Steps, over the segments in order of their first index:
//!
//! 1. Verify each segment's header; it was durable before the segment got its name, so a bad one is
//!    damage.
//! 2. Read frames while they verify, belong to this log, have the next sequence number, and were not
//!    written by an earlier run than the frame before (such are leftovers of a recycled file or of
//!    writes that were dropped by an earlier recovery).
//! 3. At the first that does not, look at everything behind it, in this segment and in later ones. A
//!    frame there which says that the missing one was durable when it was written proves damage:
//!    an error that names the place. Otherwise the missing frame was in flight when the node stopped,
//!    was never acknowledged, and neither was anything behind it: the log ends here.
//!
//! Reads only; nothing is repaired here.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::EntryType;

use crate::buffer::Buffer;
use crate::codec::{
    self, BLOCK_BYTES, BLOCK_LEN, FrameHeader, HardRecord, Record, SegmentHeader, VerifiedFrame,
};
use crate::core::Remembered;
use crate::device::{Device, FileId};
use crate::error::LogError;
use crate::storage::Slot;

/// A segment as recovery found it.
#[derive(Debug)]
pub(crate) struct FoundSegment {
    pub name: String,
    pub file: FileId,
    pub header: SegmentHeader,
    /// First index and offset of each frame that holds entries.
    pub frames: Vec<(u64, u64)>,
    /// Where the next frame goes.
    pub end: u64,
}

/// What the segments say.
#[derive(Debug)]
pub(crate) struct Found {
    pub log_id: u128,
    /// In order; the last one is written on.
    pub segments: Vec<FoundSegment>,
    /// Segments that hold only dropped frames.
    pub dropped_segments: Vec<(String, FileId)>,
    pub dropped_frames: u64,
    pub remembered: Remembered,
    /// Entries up to here are not needed, says the newest truncation record.
    pub truncated_upto: u64,
    pub next_seq: u64,
    pub run_max: u64,
}

impl Found {
    /// A log that is still to be written.
    pub fn nothing(log_id: u128) -> Self {
        Self {
            log_id,
            segments: Vec::new(),
            dropped_segments: Vec::new(),
            dropped_frames: 0,
            remembered: Remembered::default(),
            truncated_upto: 0,
            next_seq: 1,
            run_max: 0,
        }
    }
}

struct Loaded {
    name: String,
    file: FileId,
    header: SegmentHeader,
    bytes: Buffer,
}

struct Scan {
    log_id: u128,
    next_seq: u64,
    run: u64,
    run_max: u64,
    hard: HardRecord,
    truncated: (u64, u64),
    truncated_upto: u64,
    slots: VecDeque<Slot>,
}

/// Reads the log of a device; `None` when there is none.
pub(crate) fn read_log(device: &mut dyn Device) -> Result<Option<Found>, LogError> {
    let mut names: Vec<String> = device
        .list()
        .map_err(LogError::io("listing the log directory"))?
        .into_iter()
        .filter(|name| name.ends_with(".seg"))
        .collect();
    names.sort_unstable();
    let Some(first_name) = names.first().cloned() else { return Ok(None) };
    let first = load(device, &first_name)?;
    let mut scan = Scan::starting(&first.header);
    let mut segments = Vec::new();
    let mut current = first;
    for next in names.iter().skip(1) {
        let following = load(device, next)?;
        let (found, hole) = scan.read_segment(&current)?;
        check_follows(&scan, &following)?;
        let reached = following.header.first_seq == scan.next_seq;
        if !reached {
            return scan.end_at_hole(device, segments, (current, found, hole), &names);
        }
        segments.push(found);
        scan.enter(&following.header);
        current = following;
    }
    let (found, hole) = scan.read_segment(&current)?;
    scan.end_at_hole(device, segments, (current, found, hole), &names)
}

/// A later segment continues the same log.
fn check_follows(scan: &Scan, following: &Loaded) -> Result<(), LogError> {
    let header = &following.header;
    if header.log_id != scan.log_id {
        return Err(LogError::corrupt(&following.name, 0, "the segment is of another log"));
    }
    if header.first_seq < scan.next_seq {
        return Err(LogError::corrupt(
            &following.name,
            0,
            format!("it begins with frame {} before {}", header.first_seq, scan.next_seq),
        ));
    }
    Ok(())
}

fn load(device: &mut dyn Device, name: &str) -> Result<Loaded, LogError> {
    let what = || format!("reading {name}");
    let (file, bytes) = device.open(name).map_err(LogError::io(what()))?;
    if bytes < BLOCK_BYTES {
        return Err(LogError::corrupt(name, bytes, "the file is shorter than its header"));
    }
    let whole = bytes - bytes % BLOCK_BYTES;
    let length = usize::try_from(whole).map_err(|_| LogError::corrupt(name, 0, "too long"))?;
    let mut content = Buffer::zeroed(length);
    device.read(file, 0, &mut content).map_err(LogError::io(what()))?;
    let header = codec::decode_segment_header(&content[..BLOCK_LEN])
        .map_err(|reason| LogError::corrupt(name, 0, reason))?;
    if bytes != header.segment_bytes {
        return Err(LogError::corrupt(
            name,
            bytes.min(header.segment_bytes),
            format!("the file has {bytes} bytes, its header says {}", header.segment_bytes),
        ));
    }
    if name != segment_name(header.first_index) {
        return Err(LogError::corrupt(name, 0, "the name is not that of its header"));
    }
    Ok(Loaded { name: name.to_owned(), file, header, bytes: content })
}

/// The name of the segment whose first entry can be `first_index`.
pub(crate) fn segment_name(first_index: u64) -> String {
    format!("{first_index:020}.seg")
}

/// Slices and offsets of a file agree: a segment was loaded whole.
fn at(bytes: &[u8], offset: u64) -> &[u8] {
    usize::try_from(offset).ok().and_then(|o| bytes.get(o..)).unwrap_or_default()
}

impl Scan {
    fn starting(header: &SegmentHeader) -> Self {
        Self {
            log_id: header.log_id,
            next_seq: header.first_seq,
            run: header.run,
            run_max: header.run,
            hard: header.hard,
            truncated: (header.first_index.saturating_sub(1), header.prev_term),
            truncated_upto: 0,
            slots: VecDeque::new(),
        }
    }

    fn enter(&mut self, header: &SegmentHeader) {
        self.run = self.run.max(header.run);
        self.run_max = self.run_max.max(header.run);
    }

    fn last_index(&self) -> u64 {
        self.truncated.0 + self.slots.len() as u64
    }

    /// Whether a verified frame is of this log at all.
    fn is_ours(&self, header: &FrameHeader) -> bool {
        // The low half is what a frame carries.
        u128::from(header.log_id_low) == self.log_id & u128::from(u64::MAX)
    }

    /// Reads frames up to the first that is not the next one; returns where that is.
    fn read_segment(&mut self, segment: &Loaded) -> Result<(FoundSegment, u64), LogError> {
        let mut offset = BLOCK_BYTES;
        let mut frames = Vec::new();
        while let Ok(frame) = codec::verify_frame(at(&segment.bytes, offset)) {
            let header = frame.header;
            if !self.is_ours(&header) || header.seq != self.next_seq || header.run < self.run {
                break;
            }
            let bad = |reason: &str| LogError::corrupt(&segment.name, offset, reason);
            let first_index = self.apply_frame(&frame).map_err(|reason| bad(&reason))?;
            frames.extend(first_index.map(|index| (index, offset)));
            self.next_seq += 1;
            self.run = header.run;
            self.run_max = self.run_max.max(header.run);
            offset += frame.bytes as u64;
        }
        let found = FoundSegment {
            name: segment.name.clone(),
            file: segment.file,
            header: segment.header,
            frames,
            end: offset,
        };
        Ok((found, offset))
    }

    /// Takes a frame's records in; returns the index of its first entry.
    fn apply_frame(&mut self, frame: &VerifiedFrame<'_>) -> Result<Option<u64>, String> {
        let mut first = None;
        for record in frame.records()? {
            match record {
                Record::Hard(hard) => self.hard = hard,
                Record::Truncate { index, .. } => self.truncated_upto = index,
                Record::End => {}
                Record::Entry { kind, term, index, data } => {
                    self.apply_entry(kind, term, index, data)?;
                    first = first.or(Some(index));
                }
            }
        }
        Ok(first)
    }

    fn apply_entry(&mut self, kind: u8, term: u64, index: u64, data: Bytes) -> Result<(), String> {
        let next = self.last_index() + 1;
        if index > next || index <= self.truncated.0 {
            return Err(format!("entry {index} where {next} should follow"));
        }
        let kind = match kind {
            0 => EntryType::EntryNormal,
            1 => EntryType::EntryConfChange,
            2 => EntryType::EntryConfChangeV2,
            _ => return Err(format!("entry {index} is of unknown kind {kind}")),
        };
        let kept = usize::try_from(index - self.truncated.0 - 1).map_err(|e| e.to_string())?;
        self.slots.truncate(kept);
        self.slots.push_back(Slot { term, kind, data: Some(data) });
        Ok(())
    }

    /// Step 3 of the module's text.
    fn end_at_hole(
        mut self,
        device: &mut dyn Device,
        mut segments: Vec<FoundSegment>,
        (holed, found, hole): (Loaded, FoundSegment, u64),
        names: &[String],
    ) -> Result<Option<Found>, LogError> {
        let mut dropped_frames = self.check_behind(&holed.name, hole, &holed, hole)?;
        let mut dropped_segments = Vec::new();
        for name in names.iter().filter(|name| **name > holed.name) {
            let later = load(device, name)?;
            if later.header.durable_seq >= self.next_seq {
                return Err(damage(&holed.name, hole, self.next_seq, later.header.first_seq));
            }
            self.run_max = self.run_max.max(later.header.run);
            dropped_frames += self.check_behind(&holed.name, hole, &later, BLOCK_BYTES)?;
            dropped_segments.push((later.name, later.file));
        }
        segments.push(found);
        Ok(Some(Found {
            log_id: self.log_id,
            segments,
            dropped_segments,
            dropped_frames,
            remembered: Remembered {
                truncated: self.truncated,
                slots: self.slots,
                term: self.hard.term,
                vote: self.hard.vote,
            },
            truncated_upto: self.truncated_upto,
            next_seq: self.next_seq,
            run_max: self.run_max,
        }))
    }

    /// Looks for frames from `from` on that were written after the missing one; returns their number.
    fn check_behind(&mut self, holed: &str, hole: u64, segment: &Loaded, from: u64) -> Result<u64, LogError> {
        let (mut offset, mut dropped) = (from, 0);
        while offset < segment.bytes.len() as u64 {
            let verified = codec::verify_frame(at(&segment.bytes, offset));
            offset += BLOCK_BYTES;
            let Ok(VerifiedFrame { header, .. }) = verified else { continue };
            if !self.is_ours(&header) {
                continue;
            }
            self.run_max = self.run_max.max(header.run);
            if header.seq > self.next_seq && header.run >= self.run {
                if header.durable_seq >= self.next_seq {
                    return Err(damage(holed, hole, self.next_seq, header.seq));
                }
                dropped += 1;
            }
        }
        Ok(dropped)
    }
}

fn damage(name: &str, offset: u64, missing: u64, witness: u64) -> LogError {
    LogError::corrupt(
        name,
        offset,
        format!("frame {missing} cannot be read, but frame {witness} was written after it was durable"),
    )
}
