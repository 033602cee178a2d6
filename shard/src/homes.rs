//! Home cores: each key has one executor that locks it and that applies its committed versions.
//!
//! This module holds what executors tell each other ([`Msg`]) and what they share about it
//! ([`Homes`]). What an executor does with a message is in [`crate::local`].
//!
//! Transactions that have their LSNs travel as one [`Batch`] to every executor, in LSN order, from the one
//! thread that dispatches. Each executor (1) puts the versions whose home it is into the memtable and the row
//! cache, (2) publishes how far it has come, (3) releases the locks that the batch's transactions held here.
//! What all executors have applied is settled; what is settled and durable is visible. Whoever raises one of
//! them wakes those that wait for it. (ADR 0146)

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aquifer_format::DeltaView;
use aquifer_lsm::{Memtable, ReadState};
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

/// Transactions with consecutive LSNs on their way to the executors.
#[derive(Debug)]
pub struct Batch {
    /// LSN of the first.
    pub first_lsn: Lsn,
    /// Their writes, in LSN order; at least one.
    pub deltas: Vec<DeltaView>,
    /// Where these go.
    pub memtable: Arc<Memtable>,
    /// Who waits for each of them and what it holds, in the same order.
    pub commits: Vec<Commit>,
}

impl Batch {
    /// LSN of the last transaction.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + self.deltas.len() as u64 - 1)
    }

    /// The writes with their LSNs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Lsn, &DeltaView)> {
        (self.first_lsn.0..).map(Lsn).zip(&self.deltas)
    }
}

/// What executors and the dispatching thread tell an executor.
#[derive(Debug)]
pub enum Msg {
    /// A lock whose home is here is wanted.
    Lock(LockRequest),
    /// The answer to a lock request of this executor.
    LockReply(Ticket, LockOutcome),
    /// Locks whose home is here are wanted, all or none of them.
    LockGroup(TxnId, Vec<Bytes>, ReplyTo),
    /// The answer to such a request of this executor: the keys that had not been locked before.
    GroupReply(Ticket, Option<Vec<Bytes>>),
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
    /// What a transaction has locked by having it in tables that only it reads; an executor answers when it knows.
    Layers(TxnId, Arc<ReadState>, ReplyTo),
    /// A transaction that had locked ranges or layers has ended.
    ReleaseRanges(TxnId),
    /// A prepared transaction that ran here, and used these tables, has ended.
    EndPrepared(TxnId, Vec<TableId>),
    /// A session of this executor waits as part of a deadlock, and gives way.
    Victim(Ticket),
    /// Somebody looks at transactions and locks.
    Report(ReplyTo),
    /// What one executor has of them.
    ReportReply(Ticket, Box<LockReport>),
    /// Writes that have their LSNs.
    Apply(Arc<Batch>),
    /// Nothing of these requests was committed, and why.
    CommitFailed(Vec<Ticket>, SqlError),
    /// Nothing beyond this LSN becomes durable in this process, and why.
    NothingMore(Lsn, SqlError),
    /// More has been settled or has become visible.
    Progress,
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
    /// What all executors have applied.
    settled: Padded,
    durable: Padded,
    waits_for_progress: Vec<AtomicBool>,
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
            settled: Padded(AtomicU64::new(start)),
            durable: Padded(AtomicU64::new(start)),
            waits_for_progress: (0..count).map(|_| AtomicBool::new(false)).collect(),
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

    /// Nothing beyond `durable` becomes visible in this process.
    pub fn nothing_more(&self, durable: Lsn, error: &SqlError) {
        for sender in &self.senders {
            let _ = sender.push_blocking(Msg::NothingMore(durable, error.clone()));
        }
    }

    /// For a node whose only home is the calling thread (a reader's tailer): everything up to `lsn` is durable
    /// and applied.
    pub fn applied_everywhere(&self, lsn: Lsn) {
        for applied in &self.applied {
            applied.0.store(lsn.0, Ordering::SeqCst);
        }
        self.durable.0.store(lsn.0, Ordering::SeqCst);
        self.progress(None);
    }

    /// Executor `index` has applied everything up to `lsn`.
    pub fn applied(&self, index: usize, lsn: Lsn) {
        self.applied[index].0.store(lsn.0, Ordering::SeqCst);
        self.progress(Some(index));
    }

    /// Everything up to `lsn` is durable.
    pub fn durable(&self, lsn: Lsn) {
        self.durable.0.store(lsn.0, Ordering::SeqCst);
        self.progress(None);
    }

    /// The newest LSN that some executor has applied: nothing newer can have been read anywhere.
    #[must_use]
    pub fn newest_applied(&self) -> Lsn {
        Lsn(self.applied.iter().map(|applied| applied.0.load(Ordering::SeqCst)).max().unwrap_or(0))
    }

    /// What all executors have applied, durable or not.
    #[must_use]
    pub fn settled(&self) -> Lsn {
        Lsn(self.settled.0.load(Ordering::SeqCst))
    }

    /// Raises what is settled and what is visible, and wakes those that wait for either.
    fn progress(&self, by: Option<usize>) {
        let lowest = self.applied.iter().map(|a| a.0.load(Ordering::SeqCst)).min().unwrap_or(0);
        let settled = self.settled.0.fetch_max(lowest, Ordering::SeqCst) < lowest;
        let visible = self.views.advance(Lsn(lowest.min(self.durable.0.load(Ordering::SeqCst))));
        if !settled && !visible {
            return;
        }
        for (index, waits) in self.waits_for_progress.iter().enumerate() {
            if by != Some(index) && waits.swap(false, Ordering::SeqCst) {
                // If the mailbox is full its owner is awake and looks at the end of each turn.
                let _ = self.senders[index].try_push(Msg::Progress);
            }
        }
    }

    /// Executor `index` waits for progress; it must look once more after this call.
    pub fn wait_for_progress(&self, index: usize) {
        self.waits_for_progress[index].store(true, Ordering::SeqCst);
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
