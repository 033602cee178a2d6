//! Which segment files there are, where the next frame goes, and the life of a file.
//!
//! A file is made as `<n>.tmp` (space reserved, zeros written, synced), gets a header, and is renamed
//! to `<first index>.seg`. When all its entries are truncated it is renamed to `<n>.spare` and used
//! again. Both renames are durable before the file's contents change, so that a file under a `.seg`
//! name always has the header of that name. Files are written over once before use, so that a durable
//! write changes no file system metadata.

use std::collections::VecDeque;

use crate::codec::{self, BLOCK_BYTES, BLOCK_LEN, SegmentHeader};
use crate::device::{Device, Done, FileId, Operation, Tag};
use crate::error::LogError;
use crate::recovery::{FoundSegment, segment_name};
use crate::{api::Wait, buffer::Buffer};

/// Tags from here on belong to this module; those below are frames.
pub(crate) const MAINTENANCE_TAG: u64 = 1 << 63;
/// Zeros written at a time, synchronously and in the background.
const ZEROS_BYTES: u64 = 1 << 20;
const BACKGROUND_ZEROS_BYTES: u64 = 64 << 10;

/// Where a frame is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub file: FileId,
    pub offset: u64,
}

#[derive(Debug)]
struct Segment {
    name: String,
    file: FileId,
    first_index: u64,
    frames: Vec<(u64, u64)>,
    end: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Spare {
    name: String,
    file: FileId,
}

/// A spare that is being made in the background, one operation at a time.
#[derive(Debug)]
struct Preparation {
    spare: Spare,
    written: u64,
    synced: bool,
    busy: bool,
}

/// The files of one log.
#[derive(Debug)]
pub(crate) struct Segments {
    live: VecDeque<Segment>,
    spares: Vec<Spare>,
    preparing: Option<Preparation>,
    segment_bytes: u64,
    spares_max: usize,
    next_number: u64,
    /// No room for a spare; not tried again before the next segment begins.
    preparation_failed: bool,
}

impl Segments {
    /// Takes over what recovery found, and tidies up: unfinished files go, spares are kept.
    pub fn new(
        device: &mut dyn Device,
        segment_bytes: u64,
        spares_max: usize,
        live: Vec<FoundSegment>,
        dropped: Vec<(String, FileId)>,
    ) -> Result<Self, LogError> {
        let live = live.into_iter().map(|found| Segment {
            name: found.name,
            file: found.file,
            first_index: found.header.first_index,
            frames: found.frames,
            end: found.end,
            bytes: found.header.segment_bytes,
        });
        let mut segments = Self {
            live: live.collect(),
            spares: Vec::new(),
            preparing: None,
            segment_bytes,
            spares_max,
            next_number: 1,
            preparation_failed: false,
        };
        segments.adopt_spares(device)?;
        // The last first: a log without its end is whole, one without its middle is not.
        for (name, file) in dropped.into_iter().rev() {
            segments.retire(device, &name, file, segment_bytes)?;
        }
        Ok(segments)
    }

    fn adopt_spares(&mut self, device: &mut dyn Device) -> Result<(), LogError> {
        for name in device.list().map_err(LogError::io("listing the log directory"))? {
            let Some((number, kind)) = name.split_once('.') else { continue };
            if kind != "tmp" && kind != "spare" {
                continue;
            }
            self.next_number = self.next_number.max(number.parse().map_or(0, |n: u64| n + 1));
            let (file, bytes) = device.open(&name).map_err(LogError::io(format!("opening {name}")))?;
            let useful = kind == "spare" && bytes == self.segment_bytes;
            if useful && self.spares.len() < self.spares_max {
                self.spares.push(Spare { name, file });
            } else {
                device.close(file);
                device.remove(&name).map_err(LogError::io(format!("removing {name}")))?;
            }
        }
        Ok(())
    }

    /// Bytes of the files in use, spares not counted.
    pub fn live_bytes(&self) -> u64 {
        self.live.iter().map(|segment| segment.bytes).sum()
    }

    pub fn count(&self) -> usize {
        self.live.len()
    }

    /// The largest frame that fits into a segment.
    pub fn frame_bytes_max(&self) -> u64 {
        self.segment_bytes - BLOCK_BYTES
    }

    /// Whether the active segment has room for a frame.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.live.back().is_some_and(|segment| segment.end + bytes <= segment.bytes)
    }

    /// Room in the active segment for a frame whose first entry, if it has any, is `first_index`.
    pub fn place(&mut self, bytes: u64, first_index: Option<u64>) -> Option<Place> {
        let segment = self.live.back_mut().filter(|s| s.end + bytes <= s.bytes)?;
        let place = Place { file: segment.file, offset: segment.end };
        segment.frames.extend(first_index.map(|index| (index, place.offset)));
        segment.end += bytes;
        Some(place)
    }

    /// Begins a new segment, durably. Completions of frames that arrive meanwhile go to `stash`.
    pub fn begin(
        &mut self,
        device: &mut dyn Device,
        header: &SegmentHeader,
        stash: &mut Vec<Done>,
    ) -> Result<(), LogError> {
        if self.live.back().is_some_and(|active| active.first_index >= header.first_index) {
            return Err(LogError::Raft(format!(
                "a segment from entry {} on exists already",
                header.first_index
            )));
        }
        self.preparation_failed = false;
        let spare = match self.spares.pop() {
            Some(spare) => spare,
            None => self.make_spare(device, stash)?,
        };
        let mut block = device.buffer(BLOCK_LEN);
        codec::encode_segment_header(header, &mut block);
        let write = Operation::WriteDurable { offset: 0, buffer: block };
        run(device, spare.file, write, stash)
            .map_err(LogError::io(format!("writing the header of {}", spare.name)))?;
        let name = segment_name(header.first_index);
        device
            .rename(&spare.name, &name)
            .map_err(LogError::io(format!("renaming {} to {name}", spare.name)))?;
        self.live.push_back(Segment {
            name,
            file: spare.file,
            first_index: header.first_index,
            frames: Vec::new(),
            end: BLOCK_BYTES,
            bytes: header.segment_bytes,
        });
        Ok(())
    }

    fn new_name(&mut self) -> String {
        self.next_number += 1;
        format!("{:020}.tmp", self.next_number - 1)
    }

    fn make_spare(&mut self, device: &mut dyn Device, stash: &mut Vec<Done>) -> Result<Spare, LogError> {
        let (spare, mut written) = match self.preparing.take() {
            Some(begun) if !begun.busy => (begun.spare, begun.written),
            other => {
                self.preparing = other;
                let name = self.new_name();
                let file = device
                    .create(&name, self.segment_bytes)
                    .map_err(LogError::io(format!("creating {name}")))?;
                (Spare { name, file }, 0)
            }
        };
        while written < self.segment_bytes {
            let bytes = ZEROS_BYTES.min(self.segment_bytes - written);
            let buffer = zeros(device, bytes);
            run(device, spare.file, Operation::Write { offset: written, buffer }, stash)
                .map_err(LogError::io(format!("filling {}", spare.name)))?;
            written += bytes;
        }
        run(device, spare.file, Operation::Sync, stash)
            .map_err(LogError::io(format!("syncing {}", spare.name)))?;
        Ok(spare)
    }

    /// Makes a spare ahead of need; to be called often, starts at most one operation. A failure is
    /// none of the log's yet: it shows when the spare is needed.
    pub fn prepare(&mut self, device: &mut dyn Device) {
        if self.try_prepare(device).is_err() {
            self.abandon_preparation(device);
        }
    }

    fn try_prepare(&mut self, device: &mut dyn Device) -> std::io::Result<()> {
        let needed = self.spares.is_empty() && self.is_half_full() && !self.preparation_failed;
        if self.preparing.is_none() && needed {
            let name = self.new_name();
            let file = device.create(&name, self.segment_bytes)?;
            let spare = Spare { name, file };
            self.preparing = Some(Preparation { spare, written: 0, synced: false, busy: false });
        }
        let segment_bytes = self.segment_bytes;
        let Some(begun) = self.preparing.as_mut().filter(|p| !p.busy) else { return Ok(()) };
        if begun.synced {
            self.spares.extend(self.preparing.take().map(|p| p.spare));
            return Ok(());
        }
        let operation = if begun.written < segment_bytes {
            let bytes = BACKGROUND_ZEROS_BYTES.min(segment_bytes - begun.written);
            let offset = begun.written;
            begun.written += bytes;
            Operation::Write { offset, buffer: zeros(device, bytes) }
        } else {
            begun.synced = true;
            Operation::Sync
        };
        begun.busy = true;
        device.submit(Tag(MAINTENANCE_TAG + 1), begun.spare.file, operation)
    }

    /// The background operation has ended.
    pub fn prepared(&mut self, device: &mut dyn Device, result: &std::io::Result<()>) {
        if let Some(begun) = &mut self.preparing {
            begun.busy = false;
        }
        if result.is_err() {
            self.abandon_preparation(device);
        }
    }

    fn abandon_preparation(&mut self, device: &mut dyn Device) {
        self.preparation_failed = true;
        if let Some(begun) = self.preparing.take() {
            device.close(begun.spare.file);
            // What stays behind is removed when the log is opened next.
            let _ = device.remove(&begun.spare.name);
        }
    }

    fn is_half_full(&self) -> bool {
        self.live.back().is_some_and(|segment| segment.end * 2 > segment.bytes)
    }

    /// Retires segments that hold no entry after `upto`; the active one always stays.
    pub fn truncate_prefix(&mut self, device: &mut dyn Device, upto: u64) -> Result<(), LogError> {
        while self.live.get(1).is_some_and(|next| next.first_index <= upto.saturating_add(1)) {
            if let Some(old) = self.live.pop_front() {
                self.retire(device, &old.name, old.file, old.bytes)?;
            }
        }
        Ok(())
    }

    fn retire(
        &mut self,
        device: &mut dyn Device,
        name: &str,
        file: FileId,
        bytes: u64,
    ) -> Result<(), LogError> {
        if bytes != self.segment_bytes || self.spares.len() >= self.spares_max {
            device.close(file);
            return device.remove(name).map_err(LogError::io(format!("removing {name}")));
        }
        let spare = format!("{:020}.spare", self.next_number);
        self.next_number += 1;
        device.rename(name, &spare).map_err(LogError::io(format!("renaming {name} to {spare}")))?;
        self.spares.push(Spare { name: spare, file });
        Ok(())
    }

    /// File, name, and bytes from and to of the frame that holds the entry at `index`.
    pub fn find(&self, index: u64) -> Option<(FileId, &str, u64, u64)> {
        let at = self.live.partition_point(|segment| segment.first_index <= index).checked_sub(1)?;
        // A segment may begin with frames that hold no entry; its predecessor's last then has it.
        let segment = self.live.get(at)?;
        let frame = segment.frames.partition_point(|(first, _)| *first <= index).checked_sub(1)?;
        let from = segment.frames.get(frame)?.1;
        let to = segment.frames.get(frame + 1).map_or(segment.end, |next| next.1);
        Some((segment.file, &segment.name, from, to))
    }
}

fn zeros(device: &mut dyn Device, bytes: u64) -> Buffer {
    let mut buffer = device.buffer(usize::try_from(bytes).unwrap_or(0));
    buffer.fill(0);
    buffer
}

/// Carries one operation out, putting completions of others aside.
fn run(
    device: &mut dyn Device,
    file: FileId,
    operation: Operation,
    stash: &mut Vec<Done>,
) -> std::io::Result<()> {
    let tag = Tag(MAINTENANCE_TAG);
    device.submit(tag, file, operation)?;
    loop {
        let mut done = Vec::new();
        device.wait(Wait::Forever, &mut done)?;
        let mine = done.iter().position(|d| d.tag == tag).map(|at| done.remove(at));
        stash.append(&mut done);
        if let Some(mine) = mine {
            return mine.result;
        }
    }
}
