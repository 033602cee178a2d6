//! What happens inside [`Log::poll`]: Raft's steps become writes, completions become commits.
//!
//! Order: records are written in the order of the steps that they belong to; a step counts as persisted
//! when its write and all before it have completed; a failed operation ends the log for good.

use std::time::Instant;

use aquifer_types::Epoch;
use raft::eraftpb::{Entry, HardState};

use super::{InFlight, Log};
use crate::api::{Committed, LogIndex, Wait};
use crate::codec::{self, FrameHeader, HardRecord, Record, SegmentHeader};
use crate::core::Step;
use crate::device::{Operation, Tag};
use crate::error::LogError;
use crate::segments::MAINTENANCE_TAG;

/// Entries are put into one frame up to this size; a larger entry has a frame of its own.
const FRAME_BYTES_MAX: usize = 1 << 20;

impl Log {
    /// Drives the log until nothing is being written.
    pub(super) fn drain(&mut self) -> Result<(), LogError> {
        loop {
            self.pump()?;
            if self.in_flight.is_empty() && self.queued.is_empty() {
                return Ok(());
            }
            self.enter(Wait::Forever)?;
        }
    }

    /// Every fatal failure passes here.
    pub(super) fn guard<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        self.failed |= result.is_err();
        result
    }

    pub(super) fn check_alive(&self) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Raft("the log has failed before".to_owned()));
        }
        Ok(())
    }

    /// Takes Raft's steps and starts their writes.
    pub(super) fn pump(&mut self) -> Result<(), LogError> {
        self.check_alive()?;
        while let Some(step) = self.core.take() {
            self.take_step(step);
        }
        let result = self.write_queued();
        self.guard(result)
    }

    pub(super) fn take_step(&mut self, step: Step) {
        self.committed.extend(step.committed.into_iter().map(to_committed));
        if step.entries.is_empty() && !step.must_sync {
            self.lazy_hard = step.hard.or(self.lazy_hard.take());
            self.finish_step_without_write(step.number);
            return;
        }
        if let Some(hard) = step.hard {
            self.lazy_hard = None;
            self.queued.push_back(Record::Hard(hard_record(&hard)));
        }
        self.queued.extend(step.entries.into_iter().map(|entry| Record::Entry {
            kind: u8::try_from(entry.entry_type as i32).unwrap_or(u8::MAX),
            term: entry.term,
            index: entry.index,
            data: entry.data,
        }));
        self.queued_step = Some(step.number);
    }

    /// Steps persist in order: one without a write waits for those before it.
    pub(super) fn finish_step_without_write(&mut self, number: u64) {
        if !self.queued.is_empty() {
            self.queued_step = Some(number);
        } else if let Some(last) = self.in_flight.back_mut() {
            last.step = Some(number);
        } else {
            self.core.persisted(number);
        }
    }

    pub(super) fn write_queued(&mut self) -> Result<(), LogError> {
        let fits = usize::try_from(self.entry_bytes_max()).unwrap_or(FRAME_BYTES_MAX);
        let body_bytes_max = FRAME_BYTES_MAX.min(fits);
        while !self.queued.is_empty() && self.in_flight.len() < self.options.in_flight_max {
            let mut records = Vec::with_capacity(self.queued.len() + 2);
            if let Some(hard) = self.lazy_hard.take() {
                records.push(Record::Hard(hard_record(&hard)));
            }
            if let Some((index, term)) = self.lazy_truncation.take() {
                records.push(Record::Truncate { index, term });
            }
            let mut bytes = 0;
            while let Some(next) = self.queued.front().map(Record::encoded_bytes) {
                if bytes > 0 && bytes + next > body_bytes_max {
                    break;
                }
                bytes += next;
                records.extend(self.queued.pop_front());
            }
            let step = if self.queued.is_empty() { self.queued_step.take() } else { None };
            self.write_frame(&records, step)?;
        }
        self.segments.prepare(self.device.as_mut());
        Ok(())
    }

    pub(super) fn write_frame(&mut self, records: &[Record], step: Option<u64>) -> Result<(), LogError> {
        let first_index = records.iter().find_map(|record| match record {
            Record::Entry { index, .. } => Some(*index),
            _ => None,
        });
        let bytes = codec::frame_bytes(records.iter().map(Record::encoded_bytes).sum());
        if !self.segments.has_room(bytes as u64) {
            let next = self.next_written_index();
            self.begin_segment(first_index.unwrap_or(next))?;
        }
        let Some(place) = self.segments.place(bytes as u64, first_index) else {
            return Err(LogError::TooLarge {
                bytes: bytes as u64,
                bytes_max: self.segments.frame_bytes_max(),
            });
        };
        let seq = self.next_seq;
        self.next_seq += 1;
        let mut buffer = self.device.buffer(bytes);
        codec::encode_frame(&self.frame_header(seq), records, &mut buffer);
        let write = Operation::WriteDurable { offset: place.offset, buffer };
        self.device.submit(Tag(seq), place.file, write).map_err(LogError::io("starting a write"))?;
        self.in_flight.push_back(InFlight { seq, step, started: Instant::now(), done: false });
        self.stats.writes += 1;
        self.stats.bytes += bytes as u64;
        Ok(())
    }

    pub(super) fn frame_header(&self, seq: u64) -> FrameHeader {
        FrameHeader {
            log_id_low: u64::try_from(self.log_id & u128::from(u64::MAX)).unwrap_or(0),
            run: self.run,
            seq,
            durable_seq: self.durable_seq,
        }
    }

    /// The index after the last entry that has been written or queued behind nothing.
    pub(super) fn next_written_index(&self) -> u64 {
        let queued = self.queued.iter().find_map(|record| match record {
            Record::Entry { index, .. } => Some(*index),
            _ => None,
        });
        queued.unwrap_or(self.core.store().last() + 1)
    }

    pub(super) fn begin_segment(&mut self, first_index: u64) -> Result<(), LogError> {
        let hard = hard_record(self.core.store().hard_state());
        let header = SegmentHeader {
            log_id: self.log_id,
            run: self.run,
            first_seq: self.next_seq,
            durable_seq: self.durable_seq,
            first_index,
            prev_term: self.core.store().term_at(first_index - 1).unwrap_or(0),
            hard,
            segment_bytes: self.options.segment_bytes,
        };
        self.segments.begin(self.device.as_mut(), &header, &mut self.done)
    }

    /// Enters the device once and takes in what has completed.
    pub(super) fn enter(&mut self, wait: Wait) -> Result<bool, LogError> {
        let result = self.try_enter(wait);
        self.guard(result)
    }

    pub(super) fn try_enter(&mut self, wait: Wait) -> Result<bool, LogError> {
        let mut woken = false;
        if self.done.is_empty() {
            self.stats.device_waits += 1;
            woken = self.device.wait(wait, &mut self.done).map_err(LogError::io("waiting for the device"))?;
        }
        let now = Instant::now();
        for done in std::mem::take(&mut self.done) {
            if done.tag.0 >= MAINTENANCE_TAG {
                self.segments.prepared(self.device.as_mut(), &done.result);
                continue;
            }
            done.result.map_err(LogError::io("writing a group"))?;
            let front = self.in_flight.front().map_or(0, |frame| frame.seq);
            let at = done.tag.0.checked_sub(front).and_then(|n| usize::try_from(n).ok());
            if let Some(frame) = at.and_then(|at| self.in_flight.get_mut(at)) {
                frame.done = true;
                self.stats.record_latency(now.duration_since(frame.started));
            }
        }
        while self.in_flight.front().is_some_and(|frame| frame.done) {
            let Some(frame) = self.in_flight.pop_front() else { break };
            self.durable_seq = frame.seq;
            if let Some(step) = frame.step {
                self.core.persisted(step);
            }
        }
        self.pump()?;
        Ok(woken)
    }
}

fn hard_record(hard: &HardState) -> HardRecord {
    HardRecord { term: hard.term, vote: hard.vote, commit: hard.commit }
}

fn to_committed(entry: Entry) -> Committed {
    Committed { index: LogIndex(entry.index), term: Epoch(entry.term), data: entry.data }
}
