//! Raft as a pure step function: proposals and completions in, writes and committed entries out.
//!
//! 1. [`RaftCore::propose`] appends to the leader's log in memory.
//! 2. [`RaftCore::take`] says what must be written before what, and what has been committed. Writes of
//!    several steps may be in flight at a time.
//! 3. [`RaftCore::persisted`] is told, in the order of the steps, what is durable; that may commit
//!    entries, which the next `take` returns.
//!
//! No I/O, no clock, no thread. Messages to other members are part of a step, so that a group of more
//! than one needs only somebody to carry them (in a codec of ours, never through protobuf).

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Message, MessageType};
use raft::{Config, RawNode, StateRole};
use std::collections::VecDeque;

use crate::error::LogError;
use crate::storage::{RaftStorage, Slot};

/// Raft's number of this member; a group of one has no other.
const MEMBER: u64 = 1;

/// What a step asks for.
#[derive(Debug)]
pub(crate) struct Step {
    /// For [`RaftCore::persisted`].
    pub number: u64,
    /// To be written with the entries.
    pub hard: Option<HardState>,
    /// To be written before the step counts as persisted.
    pub entries: Vec<Entry>,
    /// Whether a hard state alone must be durable too.
    pub must_sync: bool,
    /// Committed entries, in order, Raft's own included.
    pub committed: Vec<Entry>,
    /// To be sent at once.
    #[allow(dead_code, reason = "a group of one sends nothing")]
    pub messages: Vec<Message>,
    /// To be sent when the step is persisted.
    #[allow(dead_code, reason = "a group of one sends nothing")]
    pub messages_after: Vec<Message>,
}

/// What a member remembers.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Index and term of the last entry that is gone.
    pub truncated: (u64, u64),
    /// The entries after it.
    pub slots: VecDeque<Slot>,
    /// The newest term.
    pub term: u64,
    /// Whom it voted for in that term.
    pub vote: u64,
}

pub(crate) struct RaftCore {
    node: RawNode<RaftStorage>,
}

impl RaftCore {
    /// A group of one. What is durable in such a group is committed, so all that is remembered counts
    /// as applied: the owner gets it from recovery, not from [`RaftCore::take`].
    pub fn alone(remembered: Remembered, memory_bytes_max: usize) -> Result<Self, LogError> {
        let Remembered { truncated, slots, term, vote } = remembered;
        let last = truncated.0 + slots.len() as u64;
        let hard = HardState { term, vote, commit: last, ..HardState::default() };
        let members = ConfState { voters: vec![MEMBER], ..ConfState::default() };
        let storage = RaftStorage::new(truncated, slots, hard, members, memory_bytes_max);
        let config = Config { id: MEMBER, applied: last, max_size_per_msg: 1 << 20, ..Config::default() };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let mut node = RawNode::new(&config, storage, &logger)?;
        node.mut_store().shrink(last);
        Ok(Self { node })
    }

    /// Stands for election, and in a group of one wins it.
    pub fn campaign(&mut self) -> Result<(), LogError> {
        Ok(self.node.campaign()?)
    }

    pub fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    pub fn term(&self) -> u64 {
        self.node.raft.term
    }

    /// The last index that has been committed and handed out.
    pub fn applied(&self) -> u64 {
        self.node.raft.raft_log.applied
    }

    pub fn store(&self) -> &RaftStorage {
        self.node.store()
    }

    /// Appends an entry; returns its index.
    pub fn propose(&mut self, data: Bytes) -> Result<u64, LogError> {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = MEMBER;
        let entry = Entry { data, ..Entry::default() };
        message.set_entries(vec![entry].into());
        self.node.raft.step(message)?;
        Ok(self.node.raft.raft_log.last_index())
    }

    /// The next step, if there is one.
    pub fn take(&mut self) -> Option<Step> {
        if !self.node.has_ready() {
            return None;
        }
        let mut ready = self.node.ready();
        let mut step = Step {
            number: ready.number(),
            hard: ready.hs().cloned(),
            entries: ready.take_entries(),
            must_sync: ready.must_sync(),
            committed: ready.take_committed_entries(),
            messages: ready.take_messages(),
            messages_after: ready.take_persisted_messages(),
        };
        let store = self.node.mut_store();
        store.append(&step.entries);
        if let Some(hard) = &step.hard {
            store.set_hard_state(hard.clone());
        }
        self.node.advance_append_async(ready);
        if let Some(last) = step.committed.last().map(|entry| entry.index) {
            self.node.advance_apply_to(last);
            self.node.mut_store().shrink(last);
        }
        step.committed.retain(is_owners);
        Some(step)
    }

    /// All steps up to `number` are durable.
    pub fn persisted(&mut self, number: u64) {
        self.node.on_persist_ready(number);
    }

    /// Forgets entries up to `index`, which must be applied.
    pub fn truncate_prefix(&mut self, index: u64) {
        self.node.mut_store().truncate_prefix(index);
    }
}

/// Whether an entry was proposed by the log's owner; a leader begins with an empty one.
fn is_owners(entry: &Entry) -> bool {
    entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty()
}
