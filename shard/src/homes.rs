//! Home cores: each key has one executor that locks it and that applies its committed versions.
//!
//! This module holds what executors tell each other ([`Msg`]) and what they share about it
//! ([`Homes`]). What an executor does with a message is in [`crate::local`].
//!
//! A committed group travels as one [`Batch`] to every executor, in LSN order, from the one thread that
//! dispatches. Each executor (1) puts the versions whose home it is into the memtable and the row
//! cache, (2) releases the locks that the group's transactions held here, (3) publishes how far it has
//! come. What all executors have applied is visible; whoever raises that wakes those that wait for it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aquifer_format::GroupView;
use aquifer_lsm::Memtable;
use aquifer_sql::virtual_tables::locks::LockReport;
use aquifer_txn::{LockStrength, Views, WaitGraph, WaitId, key_hash};
use aquifer_types::{Lsn, SqlError, TableId, TxnId};
use bytes::Bytes;

use crate::executor::ExecutorId;
use crate::queue::Sender;

/// Names a request of one executor, so that the answer finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// The executor that asked.
    pub executor: ExecutorId,
    /// Its name for the request.
    pub ticket: Ticket,
}

impl ReplyTo {
    /// The request's name in the graph of waits.
    #[must_use]
    pub fn wait_id(self) -> WaitId {
        WaitId { executor: self.executor.0, ticket: self.ticket.0 }
    }
}

/// Whether a lock request may be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Queue it and answer when it is granted.
    Wait,
    /// Answer at once.
    None,
}

/// A request for a row lock.
#[derive(Clone, Debug)]
pub struct LockRequest {
    /// Who wants it.
    pub txn: TxnId,
    /// On what.
    pub key: Bytes,
    /// How strong.
    pub strength: LockStrength,
    /// May it be queued.
    pub patience: Patience,
    /// How much the transaction has done, should it be part of a deadlock.
    pub weight: u64,
    /// Where to answer.
    pub reply_to: ReplyTo,
}

/// A request for a lock on a range of keys; it goes to every executor.
#[derive(Clone, Debug)]
pub struct RangeRequest {
    /// Who wants it.
    pub txn: TxnId,
    /// The keys; the start is in it, the end is not.
    pub range: Range<Bytes>,
    /// May it wait.
    pub patience: Patience,
    /// How much the transaction has done, should it be part of a deadlock.
    pub weight: u64,
    /// Where to answer.
    pub reply_to: ReplyTo,
}

/// What became of a lock request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOutcome {
    /// The lock is held.
    Granted,
    /// The wait is part of a cycle of waits, and this transaction gives way.
    Deadlock,
    /// [`Patience::None`] and somebody holds it.
    Busy,
}

/// A committed transaction of a batch: who waits for it and what it held.
#[derive(Debug)]
pub struct Commit {
    /// The transaction.
    pub txn: TxnId,
    /// Where its session waits.
    pub reply_to: ReplyTo,
    /// The keys it has locked, by home.
    pub locks: Box<[Vec<Bytes>]>,
}

/// A group of committed transactions on its way to the executors.
#[derive(Debug)]
pub struct Batch {
    /// Their writes.
    pub group: GroupView,
    /// Where they go.
    pub memtable: Arc<Memtable>,
    /// The transactions in LSN order, the first at the group's first LSN; empty for what was not
    /// committed by this process.
    pub commits: Vec<Commit>,
}

/// What executors and the dispatching thread tell an executor.
#[derive(Debug)]
pub enum Msg {
    /// A lock whose home is here is wanted.
    Lock(LockRequest),
    /// The answer to a lock request of this executor.
    LockReply(Ticket, LockOutcome),
    /// A queued request is withdrawn.
    CancelLock(TxnId, Bytes),
    /// A transaction ended without a commit.
    Release(TxnId, Vec<Bytes>),
    /// A lock on a range is wanted.
    Range(RangeRequest),
    /// The answer of one executor to such a request of this one.
    RangeReply(Ticket, LockOutcome),
    /// The range that a transaction waits for is withdrawn.
    CancelRange(TxnId, ReplyTo),
    /// A transaction that had locked ranges has ended.
    ReleaseRanges(TxnId),
    /// A session of this executor waits as part of a deadlock, and gives way.
    Victim(Ticket),
    /// Somebody looks at transactions and locks.
    Report(ReplyTo),
    /// What one executor has of them.
    ReportReply(Ticket, Box<LockReport>),
    /// Committed writes.
    Apply(Arc<Batch>),
    /// Nothing of these requests was committed, and why.
    CommitFailed(Vec<Ticket>, SqlError),
    /// More has become visible.
    Visible,
    /// DDL of a transaction wants a table for itself.
    Fence(TableId, TxnId, ReplyTo),
    /// Nobody here uses the table any more.
    FenceReply(Ticket),
    /// The DDL has ended.
    Unfence(TableId, TxnId),
}

/// What the executors of a node share about homes and visibility.
#[derive(Debug)]
pub struct Homes {
    senders: Vec<Sender<Msg>>,
    applied: Vec<Padded>,
    waits_for_visible: Vec<AtomicBool>,
    views: Arc<Views>,
    waits: WaitGraph,
    next_txn: AtomicU64,
    fences: AtomicU64,
}

/// An atomic on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Padded(AtomicU64);

impl Homes {
    /// Homes for as many executors as there are mailboxes; everything up to the views' visible LSN
    /// counts as applied.
    #[must_use]
    pub fn new(senders: Vec<Sender<Msg>>, views: Arc<Views>) -> Arc<Self> {
        let count = senders.len();
        let start = views.visible().0;
        Arc::new(Self {
            senders,
            applied: (0..count).map(|_| Padded(AtomicU64::new(start))).collect(),
            waits_for_visible: (0..count).map(|_| AtomicBool::new(false)).collect(),
            views,
            waits: WaitGraph::default(),
            next_txn: AtomicU64::new(1),
            fences: AtomicU64::new(0),
        })
    }

    /// How many executors there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.senders.len()
    }

    /// The home of a key, as an index.
    #[must_use]
    pub fn home_of(&self, key: &[u8]) -> usize {
        match self.senders.len() {
            1 => 0,
            count => {
                let count = u64::try_from(count).unwrap_or(1);
                usize::try_from(key_hash(key) % count).unwrap_or(0)
            }
        }
    }

    /// The read views and the visible LSN.
    #[must_use]
    pub fn views(&self) -> &Arc<Views> {
        &self.views
    }

    /// Who waits for whom.
    #[must_use]
    pub fn waits(&self) -> &WaitGraph {
        &self.waits
    }

    /// The mailbox of an executor.
    #[must_use]
    pub fn sender(&self, index: usize) -> &Sender<Msg> {
        &self.senders[index]
    }

    /// A transaction id that no other transaction of this process has.
    #[must_use]
    pub fn next_txn(&self) -> TxnId {
        TxnId(self.next_txn.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a batch to every executor; waits while a mailbox is full. Batches must come in LSN order
    /// and from one thread.
    pub fn dispatch(&self, batch: &Arc<Batch>) {
        for sender in &self.senders {
            // A closed mailbox belongs to an executor that has ended: the node is stopping.
            let _ = sender.push_blocking(Msg::Apply(Arc::clone(batch)));
        }
    }

    /// For a node whose only home is the calling thread (a reader's tailer): everything up to `lsn` is
    /// applied.
    pub fn applied_everywhere(&self, lsn: Lsn) {
        for applied in &self.applied {
            applied.0.store(lsn.0, Ordering::Release);
        }
        self.raise_visible(None);
    }

    /// Executor `index` has applied everything up to `lsn`.
    pub fn applied(&self, index: usize, lsn: Lsn) {
        self.applied[index].0.store(lsn.0, Ordering::SeqCst);
        self.raise_visible(Some(index));
    }

    /// The newest LSN that some executor has applied: nothing newer can have been read anywhere.
    #[must_use]
    pub fn newest_applied(&self) -> Lsn {
        Lsn(self.applied.iter().map(|applied| applied.0.load(Ordering::SeqCst)).max().unwrap_or(0))
    }

    fn raise_visible(&self, by: Option<usize>) {
        let lowest = self.applied.iter().map(|a| a.0.load(Ordering::SeqCst)).min().unwrap_or(0);
        if !self.views.advance(Lsn(lowest)) {
            return;
        }
        for (index, waits) in self.waits_for_visible.iter().enumerate() {
            if by != Some(index) && waits.swap(false, Ordering::SeqCst) {
                // If the mailbox is full its owner is awake and looks at what is visible anyway.
                let _ = self.senders[index].try_push(Msg::Visible);
            }
        }
    }

    /// Executor `index` waits for more to become visible; it must look once more after this call.
    pub fn wait_for_visible(&self, index: usize) {
        self.waits_for_visible[index].store(true, Ordering::SeqCst);
    }

    /// Number of DDL statements that hold or want a table for themselves.
    #[must_use]
    pub fn fences(&self) -> u64 {
        self.fences.load(Ordering::Acquire)
    }

    /// One more.
    pub fn add_fence(&self) {
        self.fences.fetch_add(1, Ordering::AcqRel);
    }

    /// One less.
    pub fn remove_fence(&self) {
        self.fences.fetch_sub(1, Ordering::AcqRel);
    }
}
