//! The log as its owner sees it: proposals in, committed entries out, one thread.

mod drive;

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use aquifer_types::Epoch;
use bytes::{Bytes, BytesMut};
use raft::eraftpb::{EntryType, HardState};

use crate::api::{Committed, LogIndex, LogOptions, Recovered, Wait};
use crate::buffer::Buffer;
use crate::codec::{self, BLOCK_BYTES, ENTRY_HEADER_BYTES, FRAME_HEADER_BYTES, Record};
use crate::core::{RaftCore, Remembered};
use crate::device::{self, Device, Done};
use crate::error::LogError;
use crate::recovery::{self, Found};
use crate::segments::Segments;
use crate::stats::LogStats;
use crate::waker::Waker;

/// Room in a frame for what is not its one entry: hard state and truncation.
const FRAME_EXTRA_BYTES: usize = 128;

/// A frame that is being written.
#[derive(Debug)]
struct InFlight {
    seq: u64,
    /// The last Raft step that is persisted with it.
    step: Option<u64>,
    started: Instant,
    done: bool,
}

/// A commit log, driven by one thread.
pub struct Log {
    device: Box<dyn Device>,
    core: RaftCore,
    segments: Segments,
    options: LogOptions,
    log_id: u128,
    run: u64,
    next_seq: u64,
    durable_seq: u64,
    in_flight: VecDeque<InFlight>,
    /// Records that wait for a write to end, and the last step that they belong to.
    queued: VecDeque<Record>,
    queued_step: Option<u64>,
    /// Records that need no write of their own: they go with the next frame.
    lazy_hard: Option<HardState>,
    lazy_truncation: Option<(u64, u64)>,
    done: Vec<Done>,
    committed: Vec<Committed>,
    stats: LogStats,
    failed: bool,
}

impl Log {
    /// Opens the log in `dir/log`, creating it if necessary, and becomes its leader in a term above
    /// `min_term` and all earlier ones. On return the new term is durable.
    ///
    /// # Errors
    /// [`LogError::Locked`], [`LogError::Corrupt`], [`LogError::Options`], or the device's.
    pub fn open(dir: &Path, options: LogOptions, min_term: Epoch) -> Result<(Self, Recovered), LogError> {
        let path = dir.join("log");
        let device =
            device::open(&path, options.device, options.direct, options.in_flight_max).map_err(|error| {
                match error.kind() {
                    std::io::ErrorKind::ResourceBusy => LogError::Locked(path.display().to_string()),
                    _ => LogError::Io { what: format!("opening {}", path.display()), source: error },
                }
            })?;
        Self::open_on(device, options, min_term)
    }

    /// As [`Log::open`], on a device of the caller's.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_on(
        mut device: Box<dyn Device>,
        options: LogOptions,
        min_term: Epoch,
    ) -> Result<(Self, Recovered), LogError> {
        check_options(&options)?;
        let found = recovery::read_log(device.as_mut())?;
        let was_empty = found.is_none();
        let Found {
            log_id,
            segments,
            dropped_segments,
            dropped_frames,
            remembered,
            truncated_upto,
            next_seq,
            run_max,
        } = match found {
            Some(found) => found,
            None => Found::nothing(random_id()?),
        };
        let recovered = Recovered {
            entries: committed_entries(&remembered, truncated_upto),
            term: Epoch(remembered.term),
            was_empty,
            log_id,
            dropped_groups: dropped_frames,
        };
        let segments = Segments::new(
            device.as_mut(),
            options.segment_bytes,
            options.spare_segments_max,
            segments,
            dropped_segments,
        )?;
        let core = RaftCore::alone(raised(remembered, min_term), options.memory_bytes_max)?;
        let mut log = Self {
            device,
            core,
            segments,
            options,
            log_id,
            run: run_max + 1,
            next_seq,
            durable_seq: next_seq - 1,
            in_flight: VecDeque::new(),
            queued: VecDeque::new(),
            queued_step: None,
            lazy_hard: None,
            lazy_truncation: None,
            done: Vec::new(),
            committed: Vec::new(),
            stats: LogStats::new(),
            failed: false,
        };
        log.begin(truncated_upto)?;
        Ok((log, recovered))
    }

    /// Wins the election and makes the new term durable.
    fn begin(&mut self, truncated_upto: u64) -> Result<(), LogError> {
        if self.segments.count() == 0 {
            self.begin_segment(self.core.store().first())?;
        }
        let upto = truncated_upto.min(self.core.applied());
        self.core.truncate_prefix(upto);
        self.segments.truncate_prefix(self.device.as_mut(), upto)?;
        self.core.campaign()?;
        self.drain()?;
        if !self.core.is_leader() {
            return Err(LogError::Raft("the group of one has elected no leader".to_owned()));
        }
        self.stats = LogStats::new();
        Ok(())
    }

    /// The term in which this log is being written: the writer's epoch.
    #[must_use]
    pub fn term(&self) -> Epoch {
        Epoch(self.core.term())
    }

    /// The last index that has been committed and returned.
    #[must_use]
    pub fn committed_index(&self) -> LogIndex {
        LogIndex(self.core.applied())
    }

    /// Whether one more entry would be written at once: fewer than `in_flight_max` groups are being
    /// written.
    #[must_use]
    pub fn can_propose(&self) -> bool {
        !self.failed
            && self.in_flight.len() + usize::from(!self.queued.is_empty()) < self.options.in_flight_max
    }

    /// Appends one entry. It is durable and committed when [`Log::poll`] returns it.
    ///
    /// # Errors
    /// [`LogError::Busy`] when [`Log::can_propose`] is false, [`LogError::TooLarge`],
    /// [`LogError::Empty`].
    pub fn propose(&mut self, data: Bytes) -> Result<LogIndex, LogError> {
        if data.is_empty() {
            return Err(LogError::Empty);
        }
        let bytes_max = self.entry_bytes_max();
        if data.len() as u64 > bytes_max {
            return Err(LogError::TooLarge { bytes: data.len() as u64, bytes_max });
        }
        if !self.can_propose() {
            return Err(LogError::Busy);
        }
        let index = self.core.propose(data)?;
        self.stats.groups += 1;
        self.pump()?;
        Ok(LogIndex(index))
    }

    /// As [`Log::propose`] of the parts joined.
    ///
    /// # Errors
    /// As [`Log::propose`].
    pub fn propose_parts(&mut self, parts: &[&[u8]]) -> Result<LogIndex, LogError> {
        let mut joined = BytesMut::with_capacity(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            joined.extend_from_slice(part);
        }
        self.propose(joined.freeze())
    }

    /// The largest entry.
    #[must_use]
    pub fn entry_bytes_max(&self) -> u64 {
        let overhead = FRAME_HEADER_BYTES + FRAME_EXTRA_BYTES + ENTRY_HEADER_BYTES;
        self.segments.frame_bytes_max() - overhead as u64
    }

    /// Drives Raft and the device, and returns entries that have become committed since, in order.
    /// Returns at once when there are some; an empty vector means woken, or that `wait` is over.
    ///
    /// # Errors
    /// All are final.
    pub fn poll(&mut self, wait: Wait) -> Result<Vec<Committed>, LogError> {
        loop {
            self.pump()?;
            let wait_now = if self.committed.is_empty() { wait } else { Wait::No };
            let woken = self.enter(wait_now)?;
            if !self.committed.is_empty() {
                return Ok(std::mem::take(&mut self.committed));
            }
            let over = match wait {
                Wait::No => true,
                Wait::Until(at) => Instant::now() >= at,
                Wait::Forever => false,
            };
            if woken || over {
                return Ok(Vec::new());
            }
        }
    }

    /// What ends [`Log::poll`] from other threads.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.device.waker()
    }

    /// Drops entries up to and including `upto`, which must have been returned by [`Log::poll`] or
    /// recovery. Space is freed in whole segments; after a crash some of the entries may be back.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when they are not committed; the device's.
    pub fn truncate_prefix(&mut self, upto: LogIndex) -> Result<(), LogError> {
        if upto.0 > self.core.applied() {
            return Err(LogError::OutOfRange { index: upto.0 });
        }
        let Some(term) = self.core.store().term_at(upto.0).filter(|_| upto.0 >= self.core.store().first())
        else {
            return Ok(());
        };
        self.core.truncate_prefix(upto.0);
        self.lazy_truncation = Some((upto.0, term));
        let result = self.segments.truncate_prefix(self.device.as_mut(), upto.0);
        self.guard(result)
    }

    /// Reads committed entries again, from `from` on: at least one if there is one, and about
    /// `bytes_max` bytes at most. Entries beyond the memory limit come from the segments.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when `from` has been truncated; the device's; [`LogError::Corrupt`].
    pub fn read(&mut self, from: LogIndex, bytes_max: usize) -> Result<Vec<Committed>, LogError> {
        if from.0 < self.core.store().first() {
            return Err(LogError::OutOfRange { index: from.0 });
        }
        let (mut entries, mut bytes, mut index) = (Vec::new(), 0, from.0);
        while index <= self.core.applied() && (entries.is_empty() || bytes < bytes_max) {
            let Some(slot) = self.core.store().slot(index).cloned() else { break };
            let data = match slot.data {
                Some(data) => data,
                None => self.read_entry(index)?,
            };
            if slot.kind == EntryType::EntryNormal && !data.is_empty() {
                bytes += data.len();
                entries.push(Committed { index: LogIndex(index), term: Epoch(slot.term), data });
            }
            index += 1;
        }
        Ok(entries)
    }

    fn read_entry(&mut self, wanted: u64) -> Result<Bytes, LogError> {
        let missing = LogError::OutOfRange { index: wanted };
        let Some((file, name, from, to)) = self.segments.find(wanted) else { return Err(missing) };
        let mut buffer = Buffer::zeroed(usize::try_from(to - from).unwrap_or(0));
        self.device.read(file, from, &mut buffer).map_err(LogError::io(format!("reading {name}")))?;
        let records = codec::verify_frame(&buffer)
            .and_then(|frame| frame.records())
            .map_err(|reason| LogError::corrupt(name, from, reason))?;
        let found = records.into_iter().find_map(|record| match record {
            Record::Entry { index, data, .. } if index == wanted => Some(data),
            _ => None,
        });
        found.ok_or_else(|| LogError::corrupt(name, from, format!("entry {wanted} is not there")))
    }

    /// The first index that is still kept.
    #[must_use]
    pub fn first_index(&self) -> LogIndex {
        LogIndex(self.core.store().first())
    }

    /// Bytes of the segments in use, spares not counted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.live_bytes()
    }

    /// Counters since the log was opened.
    #[must_use]
    pub fn stats(&self) -> &LogStats {
        &self.stats
    }

    /// What carries the writes, for the event log.
    #[must_use]
    pub fn describe_device(&self) -> String {
        self.device.describe()
    }

    /// Waits for what is being written, and marks the end, so that damage to the last groups can be
    /// told from groups that were never completed. Entries that this commits are not returned.
    ///
    /// # Errors
    /// The device's.
    pub fn close(mut self) -> Result<(), LogError> {
        self.drain()?;
        // A segment must not hold an end alone: the next one would have to begin at the same index.
        if self.segments.has_room(BLOCK_BYTES) {
            self.queued.push_back(Record::End);
        }
        self.drain()
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("term", &self.core.term())
            .field("next_seq", &self.next_seq)
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

fn check_options(options: &LogOptions) -> Result<(), LogError> {
    let bytes = options.segment_bytes;
    if !bytes.is_multiple_of(BLOCK_BYTES) || !(4 * BLOCK_BYTES..=1 << 30).contains(&bytes) {
        return Err(LogError::Options(format!(
            "segment_bytes is {bytes}; it must be a multiple of 4096 from 16384 to 1073741824"
        )));
    }
    if !(1..=64).contains(&options.in_flight_max) {
        return Err(LogError::Options(format!(
            "in_flight_max is {}; it must be 1 to 64",
            options.in_flight_max
        )));
    }
    Ok(())
}

/// The owner's entries after `truncated_upto`.
fn committed_entries(remembered: &Remembered, truncated_upto: u64) -> Vec<Committed> {
    let first = remembered.truncated.0 + 1;
    let all = (first..).zip(&remembered.slots).filter(|(index, _)| *index > truncated_upto);
    all.filter(|(_, slot)| slot.kind == EntryType::EntryNormal)
        .filter_map(|(index, slot)| {
            let data = slot.data.clone().filter(|data| !data.is_empty())?;
            Some(Committed { index: LogIndex(index), term: Epoch(slot.term), data })
        })
        .collect()
}

/// The term that the next campaign must exceed.
fn raised(remembered: Remembered, min_term: Epoch) -> Remembered {
    if remembered.term >= min_term.0 {
        return remembered;
    }
    Remembered { term: min_term.0, vote: 0, ..remembered }
}

fn random_id() -> Result<u128, LogError> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(LogError::io("reading /dev/urandom"))?;
    Ok(u128::from_le_bytes(bytes))
}
