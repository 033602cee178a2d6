//! The sequencer: gives each transaction its LSN and makes groups of them durable.
//!
//! Sessions push encoded deltas into a bounded queue. The log thread takes whatever waits, numbers it, sends it
//! to every executor, which applies it and lets its locks go, and adds it to the open group. As soon as the log
//! can take one more Raft entry the open group is proposed: greedy group commit, no timer. A group that comes back
//! committed goes to the publisher's queue, and what it holds becomes visible and is acknowledged (ADR 0146).
//!
//! Invariants:
//! * LSNs are dense and in the order of the Raft log, because one thread numbers and proposes.
//! * Transactions are dispatched in the order of their LSNs, and become visible only when they are durable.
//! * One that changes the catalog is dispatched only when it is durable, and nothing is numbered between: what it
//!   defines is used by others at once, and must not be lost then.
//! * A memtable holds whole groups, and ranges of LSNs do not overlap between memtables, so "everything
//!   up to LSN n is flushed" is true or false of a memtable as a whole.
//! * Tables of a large transaction are in the read state before it is dispatched.
//! * Once fenced, nothing is taken and nothing acknowledged any more.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};

use aquifer_commitlog::{Committed, Log, LogError, LogIndex, Wait, Waker};
use aquifer_format::{DeltaView, GroupBuilder, GroupView};
use aquifer_shard::affinity::{self, Urgency};
use aquifer_shard::engine::{Engine, Spilled};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::homes::{Batch, Commit, Homes, Msg, ReplyTo};
use aquifer_types::{Epoch, ErrorKind, Lsn, SqlError, TxnId};
use bytes::Bytes;
use crossbeam_queue::ArrayQueue;

use crate::publisher::Publisher;

/// Commits that may wait to be numbered; one more waits in its session.
const QUEUE_MAX: usize = 16_384;

/// A group takes no further delta beyond this, so that no commit waits for megabytes of others.
const GROUP_BYTES_TARGET: usize = 1 << 20;

/// A transaction that wants to be committed.
#[derive(Debug)]
pub struct CommitRequest {
    /// Its writes.
    pub delta: DeltaView,
    /// The transaction.
    pub txn: TxnId,
    /// Where its session waits.
    pub reply_to: ReplyTo,
    /// The keys it has locked, by home.
    pub locks: Box<[Vec<Bytes>]>,
    /// Further writes of it.
    pub spilled: Option<Box<Spilled>>,
}

/// The queue in front of the log thread.
#[derive(Clone)]
pub struct Sequencer(Arc<Shared>);

struct Shared {
    queue: ArrayQueue<CommitRequest>,
    waker: Waker,
    closed: AtomicBool,
    closed_because: OnceLock<SqlError>,
    orders: Mutex<Orders>,
}

/// What the log thread has been asked for.
#[derive(Default)]
struct Orders {
    waiting: Vec<Order>,
    /// The thread has ended: orders are dropped.
    closed: bool,
}

/// What others ask of the log thread.
enum Order {
    /// Everything up to this LSN may be dropped from the log.
    Forget(Lsn),
    /// Freeze the memtable even if it is small.
    Freeze,
    /// Read entries again, from one on, about so many bytes.
    Read(LogIndex, usize, mpsc::Sender<NodeResult<Vec<Committed>>>),
    /// Nobody reads the log any more.
    Release,
    /// Commit what is queued, then end.
    Close,
    /// Take nothing any more, finish what is proposed, then end.
    Fence,
}

/// How the log thread ended.
pub enum Ended {
    /// It was closed; all that was taken is committed.
    Closed,
    /// Fenced: what was proposed is durable here and in the publisher's queue.
    Fenced,
    /// The log cannot go on.
    Failed(NodeError),
}

impl Sequencer {
    /// The queue for a log.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        Self(Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE_MAX),
            waker,
            closed: AtomicBool::new(false),
            closed_because: OnceLock::new(),
            orders: Mutex::default(),
        }))
    }

    /// Hands a transaction over.
    ///
    /// # Errors
    /// The request comes back: with an error when the sequencer takes none any more, without one when
    /// the queue is full and the caller should try again soon.
    pub fn submit(&self, request: CommitRequest) -> Result<(), (CommitRequest, Option<SqlError>)> {
        if let Some(error) = self.refusal() {
            return Err((request, Some(error)));
        }
        self.0.queue.push(request).map_err(|request| (request, None))?;
        self.0.waker.wake();
        Ok(())
    }

    /// Why no commits are taken any more.
    #[must_use]
    pub fn refusal(&self) -> Option<SqlError> {
        if !self.0.closed.load(Ordering::Acquire) {
            return None;
        }
        let shutdown = || SqlError::with_kind(1053, ErrorKind::Unavailable, "Server shutdown in progress");
        Some(self.0.closed_because.get().cloned().unwrap_or_else(shutdown))
    }

    /// Everything up to `lsn` is in the chain and in tables.
    pub fn forget(&self, lsn: Lsn) {
        self.order(Order::Forget(lsn));
    }

    /// Freezes the memtable at the next group.
    pub fn freeze(&self) {
        self.order(Order::Freeze);
    }

    /// Commits what is queued, then ends.
    pub fn close(&self) {
        self.order(Order::Close);
    }

    /// Takes nothing any more: another writer owns the chain.
    pub fn fence(&self, error: &NodeError) {
        let _ = self.0.closed_because.set(error.clone().into());
        self.0.closed.store(true, Ordering::Release);
        self.order(Order::Fence);
    }

    /// Reads committed entries again: from `from` on, about `bytes` of them. Possible after the log thread has
    /// closed or was fenced, until [`Sequencer::release`]. Blocks.
    ///
    /// # Errors
    /// `Unavailable` when the log cannot be read or its thread has ended.
    pub fn read_log(&self, from: LogIndex, bytes: usize) -> NodeResult<Vec<Committed>> {
        let (sender, answer) = mpsc::channel();
        self.order(Order::Read(from, bytes, sender));
        let ended = |_| NodeError::new(ErrorKind::Unavailable, "the commit log is closed");
        answer.recv().map_err(ended)?
    }

    /// Lets the log thread end once it is closed or fenced: nobody reads the log any more.
    pub fn release(&self) {
        self.order(Order::Release);
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, order: Order) {
        let mut orders = self.orders();
        if !orders.closed {
            orders.waiting.push(order);
            drop(orders);
            self.0.waker.wake();
        }
    }

    fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut self.orders().waiting)
    }

    fn close_orders(&self) {
        let mut orders = self.orders();
        orders.closed = true;
        orders.waiting.clear();
    }
}

/// The log thread's state.
pub struct LogThread {
    sequencer: Sequencer,
    log: Log,
    engine: Arc<Engine>,
    homes: Arc<Homes>,
    publisher: Publisher,
    epoch: Epoch,
    memtable_bytes: usize,
    /// The group that takes transactions until the log can take it.
    open: GroupBuilder,
    /// What of the open group, or of the last one proposed, is dispatched only when it is durable.
    held: Option<Batch>,
    /// Proposed and not committed yet: last LSNs, in order.
    proposed: VecDeque<Lsn>,
    durable: Lsn,
    /// Committed and not yet dropped from the log: last LSN and position.
    kept: VecDeque<(Lsn, LogIndex)>,
    ending: Option<Ending>,
    freeze: bool,
    released: bool,
    /// Told when nothing more is committed.
    settled: Vec<mpsc::Sender<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close,
    Fence,
}

/// What the log thread starts from.
pub struct LogThreadStart {
    /// The queue that it serves.
    pub sequencer: Sequencer,
    /// The log, whose term is the epoch.
    pub log: Log,
    /// The node's storage.
    pub engine: Arc<Engine>,
    /// The executors.
    pub homes: Arc<Homes>,
    /// Where committed groups go.
    pub publisher: Publisher,
    /// The LSN of the next transaction.
    pub next_lsn: Lsn,
    /// Size at which the memtable is frozen.
    pub memtable_bytes: usize,
    /// Entries that the log still holds: last LSN and position.
    pub kept: VecDeque<(Lsn, LogIndex)>,
    /// Told when nothing more is committed; the log can still be read then.
    pub settled: Vec<mpsc::Sender<()>>,
}

impl LogThread {
    /// The thread's state at its start.
    #[must_use]
    pub fn new(start: LogThreadStart) -> Self {
        let epoch = start.log.term();
        Self {
            sequencer: start.sequencer,
            log: start.log,
            engine: start.engine,
            homes: start.homes,
            publisher: start.publisher,
            epoch,
            memtable_bytes: start.memtable_bytes,
            open: GroupBuilder::new(start.next_lsn, epoch),
            held: None,
            proposed: VecDeque::new(),
            durable: Lsn(start.next_lsn.0 - 1),
            kept: start.kept,
            ending: None,
            freeze: false,
            released: false,
            settled: start.settled,
        }
    }

    /// Runs until closed, fenced or failed.
    pub fn run(mut self) -> Ended {
        affinity::set_urgency(Urgency::Log);
        let ended = match self.serve() {
            Ok(Ending::Close) => Ended::Closed,
            Ok(Ending::Fence) => Ended::Fenced,
            Err(error) => Ended::Failed(error),
        };
        self.refuse_rest(&ended);
        for settled in &self.settled {
            // Who waited may have gone.
            let _ = settled.send(());
        }
        if !matches!(ended, Ended::Failed(_)) {
            self.serve_reads();
        }
        self.sequencer.close_orders();
        if let Err(error) = self.log.close() {
            return Ended::Failed(log_error(&error));
        }
        ended
    }

    fn serve(&mut self) -> NodeResult<Ending> {
        loop {
            self.obey()?;
            self.take_and_propose()?;
            if let Some(ending) = self.finished() {
                return Ok(ending);
            }
            let wait = if self.has_work() { Wait::No } else { Wait::Forever };
            let committed = self.log.poll(wait).map_err(|error| log_error(&error))?;
            for entry in committed {
                self.committed(entry)?;
            }
        }
    }

    /// The backlog that is not in memory is read until the publisher is done with it.
    fn serve_reads(&mut self) {
        while self.obey().is_ok() && !self.released {
            if self.log.poll(Wait::Forever).is_err() {
                return;
            }
        }
    }

    fn has_work(&self) -> bool {
        self.may_take() && !self.sequencer.0.queue.is_empty()
    }

    /// Whether the open group takes another transaction.
    fn may_take(&self) -> bool {
        self.ending != Some(Ending::Fence)
            && self.held.is_none()
            && self.open.encoded_bytes() < GROUP_BYTES_TARGET
    }

    fn finished(&self) -> Option<Ending> {
        let ending = self.ending?;
        let taken = ending == Ending::Fence || self.sequencer.0.queue.is_empty() && self.open.is_empty();
        (self.proposed.is_empty() && taken).then_some(ending)
    }

    fn obey(&mut self) -> NodeResult<()> {
        for order in self.sequencer.take_orders() {
            match order {
                Order::Forget(lsn) => self.forget(lsn)?,
                Order::Freeze => self.freeze = true,
                Order::Read(from, bytes, answer) => {
                    let entries = self.log.read(from, bytes).map_err(|error| log_error(&error));
                    // Who asked may have gone.
                    let _ = answer.send(entries);
                }
                Order::Release => self.released = true,
                Order::Close => {
                    self.sequencer.0.closed.store(true, Ordering::Release);
                    self.ending = self.ending.or(Some(Ending::Close));
                }
                Order::Fence => self.ending = Some(Ending::Fence),
            }
        }
        Ok(())
    }

    /// Takes what waits, and proposes groups as long as the log can take them. The device works while executors are
    /// told.
    fn take_and_propose(&mut self) -> NodeResult<()> {
        loop {
            let taken = self.take_waiting()?;
            let is_idle = taken.is_none();
            let proposed = self.propose();
            match taken {
                Some(batch) if batch.deltas.last().is_some_and(DeltaView::touches_catalog) => {
                    self.held = Some(batch);
                }
                Some(batch) => self.homes.dispatch(&Arc::new(batch)),
                None => {}
            }
            if !proposed? && is_idle {
                return Ok(());
            }
        }
    }

    /// Numbers what waits, up to the first that changes the catalog; nothing while such a one is held.
    fn take_waiting(&mut self) -> NodeResult<Option<Batch>> {
        if self.open.is_empty() {
            self.freeze_if_due();
        }
        let (mut deltas, mut commits) = (Vec::new(), Vec::new());
        let first_lsn = self.open.next_lsn();
        while self.may_take() && !deltas.last().is_some_and(DeltaView::touches_catalog) {
            let Some(request) = self.sequencer.0.queue.pop() else { break };
            let CommitRequest { delta, txn, reply_to, locks, spilled } = request;
            if let Some(spilled) = spilled {
                self.engine.install_spilled(self.open.next_lsn(), *spilled)?;
                // Its tables cannot go down before everything up to its LSN is in tables.
                self.freeze = true;
            }
            self.open.push(delta.bytes().clone());
            deltas.push(delta);
            commits.push(Commit { txn, reply_to, locks });
        }
        let memtable = self.engine.active_memtable();
        Ok((!deltas.is_empty()).then_some(Batch { first_lsn, deltas, memtable, commits }))
    }

    /// Between two groups.
    fn freeze_if_due(&mut self) {
        let full = self.engine.memtable_bytes() >= self.memtable_bytes;
        if std::mem::take(&mut self.freeze) || full {
            self.engine.freeze_memtable(Lsn(self.open.next_lsn().0 - 1));
        }
    }

    /// Proposes the open group if the log can take it.
    fn propose(&mut self) -> NodeResult<bool> {
        if self.open.is_empty() || !self.log.can_propose() || self.ending == Some(Ending::Fence) {
            return Ok(false);
        }
        let next = GroupBuilder::new(self.open.next_lsn(), self.epoch);
        let group = std::mem::replace(&mut self.open, next);
        let parts = group.finish_parts()?;
        let slices: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
        self.log.propose_parts(&slices).map_err(|error| log_error(&error))?;
        self.proposed.push_back(Lsn(self.open.next_lsn().0 - 1));
        Ok(true)
    }

    /// A group is durable: to the publisher, and visible unless the writer is fenced.
    fn committed(&mut self, entry: Committed) -> NodeResult<()> {
        let group = GroupView::parse(entry.data)?;
        let last = group.last_lsn();
        if self.proposed.pop_front() != Some(last) {
            return Err(NodeError::new(ErrorKind::Bug, "the log committed a group that was not proposed"));
        }
        self.kept.push_back((last, entry.index));
        self.publisher.push_group(group.clone(), entry.index);
        if self.ending == Some(Ending::Fence) {
            return Ok(());
        }
        if let Some(batch) = self.held.take_if(|batch| batch.last_lsn() == last) {
            self.engine.install_catalog_changes(&group)?;
            self.homes.dispatch(&Arc::new(batch));
        }
        self.durable = last;
        self.homes.durable(last);
        Ok(())
    }

    fn forget(&mut self, lsn: Lsn) -> NodeResult<()> {
        let mut upto = None;
        while self.kept.front().is_some_and(|(last, _)| *last <= lsn) {
            upto = self.kept.pop_front().map(|(_, index)| index);
        }
        match upto {
            Some(index) => self.log.truncate_prefix(index).map_err(|error| log_error(&error)),
            None => Ok(()),
        }
    }

    /// Tells those whose commits were not taken or do not count.
    fn refuse_rest(&mut self, ended: &Ended) {
        if let Ended::Failed(error) = ended {
            let _ = self.sequencer.0.closed_because.set(error.clone().into());
        }
        self.sequencer.0.closed.store(true, Ordering::Release);
        let error =
            self.sequencer.refusal().unwrap_or_else(|| SqlError::new(1053, "Server shutdown in progress"));
        let mut waiting: Vec<ReplyTo> = self
            .held
            .take()
            .into_iter()
            .flat_map(|batch| batch.commits)
            .map(|commit| commit.reply_to)
            .collect();
        while let Some(request) = self.sequencer.0.queue.pop() {
            waiting.push(request.reply_to);
        }
        for reply_to in waiting {
            let message = Msg::CommitFailed(vec![reply_to.ticket], error.clone());
            let _ = self.homes.sender(usize::from(reply_to.executor.0)).push_blocking(message);
        }
        self.homes.nothing_more(self.durable, &error);
    }
}

fn log_error(error: &LogError) -> NodeError {
    NodeError::new(ErrorKind::Unavailable, format!("the commit log cannot go on: {error}"))
}
