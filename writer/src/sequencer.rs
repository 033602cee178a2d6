//! The sequencer: gives each transaction its LSN and makes groups of them durable.
//!
//! Sessions push encoded deltas into a bounded queue. The log thread takes whatever waits, numbers it,
//! proposes it as one Raft entry, and goes on to the next group as soon as the log can take one: greedy
//! group commit, no timer. A group that comes back committed goes to the publisher's queue and to every
//! executor.
//!
//! Invariants:
//! * LSNs are dense and in the order of the Raft log, because one thread numbers and proposes.
//! * A group is dispatched only when it is durable, and in order.
//! * A memtable holds whole groups, and ranges of LSNs do not overlap between memtables, so "everything
//!   up to LSN n is flushed" is true or false of a memtable as a whole.
//! * Once fenced, nothing is taken and nothing acknowledged any more.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};

use aquifer_commitlog::{Committed, Log, LogError, LogIndex, Wait, Waker};
use aquifer_format::{GroupBuilder, GroupView};
use aquifer_shard::engine::Engine;
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
    /// Its writes, encoded.
    pub delta: Bytes,
    /// The transaction.
    pub txn: TxnId,
    /// Where its session waits.
    pub reply_to: ReplyTo,
    /// The keys it has locked, by home.
    pub locks: Box<[Vec<Bytes>]>,
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
    next_lsn: Lsn,
    memtable_bytes: usize,
    /// Proposed and not committed yet, in order.
    proposed: VecDeque<Vec<Commit>>,
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
            next_lsn: start.next_lsn,
            memtable_bytes: start.memtable_bytes,
            proposed: VecDeque::new(),
            kept: start.kept,
            ending: None,
            freeze: false,
            released: false,
            settled: start.settled,
        }
    }

    /// Runs until closed, fenced or failed.
    pub fn run(mut self) -> Ended {
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
            self.propose_waiting()?;
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
        let may_take = self.ending != Some(Ending::Fence) && self.log.can_propose();
        may_take && !self.sequencer.0.queue.is_empty()
    }

    fn finished(&self) -> Option<Ending> {
        let ending = self.ending?;
        let taken = ending == Ending::Fence || self.sequencer.0.queue.is_empty();
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
        if std::mem::take(&mut self.freeze) {
            self.engine.freeze_memtable(Lsn(self.next_lsn.0 - 1));
        }
        Ok(())
    }

    /// Proposes groups of what waits, as long as the log can take them.
    fn propose_waiting(&mut self) -> NodeResult<()> {
        while self.ending != Some(Ending::Fence) && self.log.can_propose() {
            let mut group = GroupBuilder::new(self.next_lsn, self.epoch);
            let mut commits = Vec::new();
            while group.encoded_bytes() < GROUP_BYTES_TARGET {
                let Some(request) = self.sequencer.0.queue.pop() else { break };
                group.push(request.delta);
                let (txn, reply_to, locks) = (request.txn, request.reply_to, request.locks);
                commits.push(Commit { txn, reply_to, locks });
            }
            if commits.is_empty() {
                return Ok(());
            }
            self.next_lsn = group.next_lsn();
            let parts = group.finish_parts()?;
            let slices: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
            self.log.propose_parts(&slices).map_err(|error| log_error(&error))?;
            self.proposed.push_back(commits);
        }
        Ok(())
    }

    /// A group is durable: to the publisher, and to the executors unless the writer is fenced.
    fn committed(&mut self, entry: Committed) -> NodeResult<()> {
        let group = GroupView::parse(entry.data)?;
        let commits = self.proposed.pop_front().unwrap_or_default();
        if commits.len() as u64 != u64::from(group.len()) {
            return Err(NodeError::new(ErrorKind::Bug, "the log committed a group that was not proposed"));
        }
        self.kept.push_back((group.last_lsn(), entry.index));
        self.publisher.push_group(group.clone(), entry.index);
        if self.ending == Some(Ending::Fence) {
            self.fail(commits);
            return Ok(());
        }
        if self.engine.memtable_bytes() >= self.memtable_bytes {
            self.engine.freeze_memtable(Lsn(group.first_lsn().0 - 1));
        }
        self.engine.install_catalog_changes(&group)?;
        let memtable = self.engine.active_memtable();
        self.homes.dispatch(&Arc::new(Batch { group, memtable, commits }));
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

    fn fail(&self, commits: Vec<Commit>) {
        let error =
            self.sequencer.refusal().unwrap_or_else(|| SqlError::new(1053, "Server shutdown in progress"));
        for commit in commits {
            let message = Msg::CommitFailed(vec![commit.reply_to.ticket], error.clone());
            let _ = self.homes.sender(usize::from(commit.reply_to.executor.0)).push_blocking(message);
        }
    }

    /// Tells those whose commits were not taken.
    fn refuse_rest(&mut self, ended: &Ended) {
        if let Ended::Failed(error) = ended {
            let _ = self.sequencer.0.closed_because.set(error.clone().into());
        }
        self.sequencer.0.closed.store(true, Ordering::Release);
        let mut rest: Vec<Commit> = self.proposed.drain(..).flatten().collect();
        while let Some(request) = self.sequencer.0.queue.pop() {
            let (txn, reply_to, locks) = (request.txn, request.reply_to, request.locks);
            rest.push(Commit { txn, reply_to, locks });
        }
        self.fail(rest);
    }
}

fn log_error(error: &LogError) -> NodeError {
    NodeError::new(ErrorKind::Unavailable, format!("the commit log cannot go on: {error}"))
}
