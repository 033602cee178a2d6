//! The log as Raft reads it: terms of all entries since the truncated prefix, and the data of the
//! newest of them.
//!
//! Memory is bounded: data of the oldest committed entries is forgotten beyond a limit (it is still in
//! the segments). Raft asks for such data only for a follower that lags far behind; it is then told
//! that the entries are temporarily unavailable.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

/// One entry; `data` is `None` where only the segments have it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub term: u64,
    pub kind: EntryType,
    pub data: Option<Bytes>,
}

/// What Raft's state machine is built on.
#[derive(Debug)]
pub(crate) struct RaftStorage {
    truncated: (u64, u64),
    slots: VecDeque<Slot>,
    /// The first index whose data is in memory.
    resident_from: u64,
    resident_bytes: usize,
    memory_bytes_max: usize,
    hard: HardState,
    members: ConfState,
}

impl RaftStorage {
    /// `truncated` is index and term of the entry before the first of `slots`.
    pub fn new(
        truncated: (u64, u64),
        slots: VecDeque<Slot>,
        hard: HardState,
        members: ConfState,
        memory_bytes_max: usize,
    ) -> Self {
        let resident_bytes = slots.iter().filter_map(|s| s.data.as_ref()).map(Bytes::len).sum();
        let resident_from = truncated.0 + 1;
        Self { truncated, slots, resident_from, resident_bytes, memory_bytes_max, hard, members }
    }

    pub fn first(&self) -> u64 {
        self.truncated.0 + 1
    }

    pub fn last(&self) -> u64 {
        self.truncated.0 + self.slots.len() as u64
    }

    pub fn set_hard_state(&mut self, hard: HardState) {
        self.hard = hard;
    }

    pub fn hard_state(&self) -> &HardState {
        &self.hard
    }

    /// The term at `index`, which may be the truncated one.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.truncated.0 {
            return Some(self.truncated.1);
        }
        self.slot(index).map(|slot| slot.term)
    }

    pub fn slot(&self, index: u64) -> Option<&Slot> {
        let offset = usize::try_from(index.checked_sub(self.first())?).ok()?;
        self.slots.get(offset)
    }

    /// Adds entries; those from the first one's index on that exist already are replaced.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        while self.last() >= first.index && !self.slots.is_empty() {
            if let Some(Slot { data: Some(data), .. }) = self.slots.pop_back() {
                self.resident_bytes -= data.len();
            }
        }
        for entry in entries {
            self.resident_bytes += entry.data.len();
            let data = Some(entry.data.clone());
            self.slots.push_back(Slot { term: entry.term, kind: entry.get_entry_type(), data });
        }
        self.resident_from = self.resident_from.min(self.last());
    }

    /// Forgets data of entries up to `applied`, oldest first, until the memory limit holds.
    pub fn shrink(&mut self, applied: u64) {
        while self.resident_bytes > self.memory_bytes_max && self.resident_from <= applied {
            let offset = self.resident_from.checked_sub(self.first());
            let slot = offset.and_then(|o| usize::try_from(o).ok()).and_then(|o| self.slots.get_mut(o));
            let Some(slot) = slot else { return };
            if let Some(data) = slot.data.take() {
                self.resident_bytes -= data.len();
            }
            self.resident_from += 1;
        }
    }

    /// Forgets entries up to `index`.
    pub fn truncate_prefix(&mut self, index: u64) {
        while self.truncated.0 < index {
            let Some(slot) = self.slots.pop_front() else { return };
            self.resident_bytes -= slot.data.map_or(0, |data| data.len());
            self.truncated = (self.truncated.0 + 1, slot.term);
        }
        self.resident_from = self.resident_from.max(self.first());
    }
}

impl Storage for RaftStorage {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard.clone(), conf_state: self.members.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.first() {
            return Err(StorageError::Compacted.into());
        }
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        let (mut entries, mut bytes) = (Vec::new(), 0_u64);
        for index in low..high {
            let slot = self.slot(index).ok_or(StorageError::Unavailable)?;
            let data = slot.data.clone().ok_or(StorageError::LogTemporarilyUnavailable)?;
            bytes = bytes.saturating_add(data.len() as u64);
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            let mut entry = Entry::default();
            entry.set_entry_type(slot.kind);
            entry.term = slot.term;
            entry.index = index;
            entry.data = data;
            entries.push(entry);
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index < self.truncated.0 {
            return Err(StorageError::Compacted.into());
        }
        Ok(self.term_at(index).ok_or(StorageError::Unavailable)?)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        // A follower that needs truncated entries gets them from the chain, not from here.
        Err(StorageError::SnapshotTemporarilyUnavailable.into())
    }
}
