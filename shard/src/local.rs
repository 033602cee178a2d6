//! What one executor owns: the locks whose home it is, the requests it waits for, and the tables that
//! its transactions use.
//!
//! Nothing here is shared with another thread; others send a [`Msg`]. Answers to a request that is
//! local skip the mailbox.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use aquifer_cache::RowCache;
use aquifer_format::DeltaView;
use aquifer_lsm::Memtable;
use aquifer_sql::virtual_tables::locks::LockReport;
use aquifer_txn::{Acquired, Blocker, Changes, LockTable, Victim};
use aquifer_types::{Lsn, SqlError, TableId, TxnId};
use bytes::Bytes;
use futures_channel::oneshot;

use crate::executor::{self, ExecutorId};
use crate::homes::{Batch, Commit, Homes, LockOutcome, LockRequest, Msg, Patience, ReplyTo, Ticket};
use crate::queue::{PushError, Receiver};
use crate::ranges::Ranges;
use crate::tables::TableUses;

/// Tells a session its transaction's LSN, or why there is none.
type CommitReply = oneshot::Sender<Result<Lsn, SqlError>>;

/// Tells a session that an LSN is reached; dropped when it never will be.
type LsnWait = (Lsn, oneshot::Sender<()>);

/// An executor's part of a node.
pub struct Local {
    id: ExecutorId,
    index: usize,
    homes: Arc<Homes>,
    rows: Arc<RowCache>,
    pub(crate) locks: RefCell<LockTable>,
    /// Who is to be told when a queued request of a transaction is granted here.
    queued: RefCell<HashMap<TxnId, ReplyTo>>,
    pub(crate) lock_replies: RefCell<HashMap<Ticket, oneshot::Sender<LockOutcome>>>,
    pub(crate) group_replies: RefCell<HashMap<Ticket, oneshot::Sender<Option<Vec<Bytes>>>>>,
    commit_replies: RefCell<HashMap<Ticket, CommitReply>>,
    fence_replies: RefCell<HashMap<Ticket, oneshot::Sender<()>>>,
    pub(crate) report_replies: RefCell<HashMap<Ticket, oneshot::Sender<LockReport>>>,
    /// Commits that are applied here but not visible yet, in LSN order.
    unseen_commits: RefCell<VecDeque<(Lsn, CommitReply)>>,
    /// Sessions that wait until an LSN is visible, and those that wait until one is settled.
    unseen_waits: RefCell<Vec<LsnWait>>,
    unsettled_waits: RefCell<Vec<LsnWait>>,
    /// Nothing newer becomes visible.
    last_durable: Cell<Lsn>,
    /// Messages that found a mailbox full, in order; a task empties each queue.
    overflow: Vec<RefCell<VecDeque<Msg>>>,
    tables: TableUses,
    pub(crate) ranges: Ranges,
    next_ticket: Cell<u64>,
}

impl Local {
    /// The part of executor `id`. Its mailbox is to be run with [`Local::handle`].
    #[must_use]
    pub fn new(id: ExecutorId, homes: Arc<Homes>, rows: Arc<RowCache>) -> Rc<Self> {
        let count = homes.count();
        Rc::new(Self {
            id,
            index: usize::from(id.0),
            homes,
            rows,
            locks: RefCell::default(),
            queued: RefCell::default(),
            lock_replies: RefCell::default(),
            group_replies: RefCell::default(),
            commit_replies: RefCell::default(),
            fence_replies: RefCell::default(),
            report_replies: RefCell::default(),
            unseen_commits: RefCell::default(),
            unseen_waits: RefCell::default(),
            unsettled_waits: RefCell::default(),
            last_durable: Cell::new(Lsn::MAX),
            overflow: (0..count).map(|_| RefCell::default()).collect(),
            tables: TableUses::default(),
            ranges: Ranges::default(),
            next_ticket: Cell::new(1),
        })
    }

    /// This executor's index among the homes.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What the executors share.
    #[must_use]
    pub fn homes(&self) -> &Arc<Homes> {
        &self.homes
    }

    /// The address of a new request of this executor.
    pub(crate) fn reply_to(&self) -> ReplyTo {
        let ticket = Ticket(self.next_ticket.get());
        self.next_ticket.set(ticket.0 + 1);
        ReplyTo { executor: self.id, ticket }
    }

    /// Handles what comes to the mailbox until the node ends.
    pub async fn serve(self: Rc<Self>, mailbox: Receiver<Msg>) {
        let this = Rc::clone(&self);
        mailbox.run_turns(move |message| this.handle(message), move || self.complete()).await;
    }

    /// Handles one message; never waits.
    fn handle(self: &Rc<Self>, message: Msg) {
        match message {
            Msg::Lock(request) => self.on_lock(request),
            Msg::LockReply(ticket, outcome) => self.on_lock_reply(ticket, outcome),
            Msg::LockGroup(txn, keys, reply_to) => self.on_lock_group(txn, &keys, reply_to),
            Msg::GroupReply(ticket, locked) => self.on_group_reply(ticket, locked),
            Msg::CancelLock(txn, key) => self.on_cancel(txn, &key),
            Msg::Release(txn, keys) => self.release_here(txn, &keys),
            Msg::Range(request) => self.on_range(request),
            Msg::RangeReply(ticket, outcome) => self.on_range_reply(ticket, outcome),
            Msg::CancelRange(txn, reply_to) => self.on_cancel_range(txn, reply_to),
            Msg::Layers(txn, layers, reply_to) => self.on_layers(txn, layers, reply_to),
            Msg::ReleaseRanges(txn) => self.on_release_ranges(txn),
            Msg::EndPrepared(txn, tables) => {
                self.end_running(txn);
                self.release_tables(&tables);
            }
            Msg::Victim(ticket) => self.on_victim(ticket),
            Msg::Report(reply_to) => self.on_report(reply_to),
            Msg::ReportReply(ticket, report) => self.on_report_reply(ticket, *report),
            Msg::Apply(batch) => self.on_apply(&batch),
            Msg::CommitFailed(tickets, error) => self.on_commit_failed(&tickets, &error),
            Msg::NothingMore(durable, error) => self.on_nothing_more(durable, &error),
            // What there is to do is done at the end of the turn.
            Msg::Progress => {}
            Msg::Fence(table, owner, reply_to) => {
                if self.tables.fence(table, owner, reply_to) {
                    self.post(reply_to.executor, Msg::FenceReply(reply_to.ticket));
                }
            }
            Msg::FenceReply(ticket) => self.on_fence_reply(ticket),
            Msg::Unfence(table, owner) => self.tables.unfence(table, owner),
        }
    }

    /// Sends a message, to this executor by handling it at once. Messages to one executor keep their
    /// order also when its mailbox is full.
    pub fn post(self: &Rc<Self>, to: ExecutorId, message: Msg) {
        let index = usize::from(to.0);
        if index == self.index {
            return self.handle(message);
        }
        let mut overflow = self.overflow[index].borrow_mut();
        if !overflow.is_empty() {
            return overflow.push_back(message);
        }
        if let Err(PushError::Full(message)) = self.homes.sender(index).try_push(message) {
            overflow.push_back(message);
            let this = Rc::clone(self);
            executor::spawn(async move { this.drain_overflow(index).await });
        }
    }

    async fn drain_overflow(self: Rc<Self>, index: usize) {
        loop {
            let Some(message) = self.overflow[index].borrow_mut().pop_front() else { return };
            // While this waits the queue may be empty, and a later message would overtake: keep a
            // place taken.
            self.overflow[index].borrow_mut().push_front(Msg::Progress);
            let sent = self.homes.sender(index).push(message).await;
            self.overflow[index].borrow_mut().pop_front();
            if sent.is_err() {
                self.overflow[index].borrow_mut().clear();
                return;
            }
        }
    }

    // ---- row locks -------------------------------------------------------------------------------

    /// Asks the key's home for a lock. `Ok`: the answer is there; `Err`: it will come.
    pub fn lock(
        self: &Rc<Self>,
        txn: TxnId,
        key: &Bytes,
        strength: aquifer_txn::LockStrength,
        patience: Patience,
        weight: u64,
    ) -> Result<LockOutcome, oneshot::Receiver<LockOutcome>> {
        let home = self.homes.home_of(key);
        let mut queued_behind = None;
        if home == self.index {
            // The common case costs no message and no allocation.
            let acquired = self.locks.borrow_mut().acquire(key, txn, strength);
            let Acquired::Queued(blockers) = acquired else { return Ok(LockOutcome::Granted) };
            if patience == Patience::None {
                self.locks.borrow_mut().cancel(key, txn, &mut Changes::default());
                return Ok(LockOutcome::Busy);
            }
            queued_behind = Some(blockers);
        }
        let reply_to = self.reply_to();
        let (sender, receiver) = oneshot::channel();
        self.lock_replies.borrow_mut().insert(reply_to.ticket, sender);
        let request = LockRequest { txn, key: key.clone(), strength, patience, weight, reply_to };
        match queued_behind {
            Some(blockers) => self.wait_behind(&request, &blockers),
            None => self.post(executor_id(home), Msg::Lock(request)),
        }
        Err(receiver)
    }

    /// Withdraws a request that is still queued.
    pub fn cancel_lock(self: &Rc<Self>, txn: TxnId, key: &Bytes) {
        let home = self.homes.home_of(key);
        self.post(executor_id(home), Msg::CancelLock(txn, key.clone()));
    }

    /// Releases everything that a transaction has locked or wanted, given by home.
    pub fn release(self: &Rc<Self>, txn: TxnId, locks: Box<[Vec<Bytes>]>) {
        for (home, keys) in locks.into_iter().enumerate() {
            if !keys.is_empty() {
                self.post(executor_id(home), Msg::Release(txn, keys));
            }
        }
    }

    fn on_lock(self: &Rc<Self>, request: LockRequest) {
        let acquired = self.locks.borrow_mut().acquire(&request.key, request.txn, request.strength);
        let outcome = match acquired {
            Acquired::Granted | Acquired::AlreadyHeld => LockOutcome::Granted,
            Acquired::Queued(blockers) if request.patience == Patience::Wait => {
                return self.wait_behind(&request, &blockers);
            }
            Acquired::Queued(_) => {
                self.withdraw(request.txn, &request.key);
                LockOutcome::Busy
            }
        };
        let ReplyTo { executor, ticket } = request.reply_to;
        self.post(executor, Msg::LockReply(ticket, outcome));
    }

    /// A request has been queued: waits for its grant, unless the wait is a deadlock and it gives way.
    fn wait_behind(self: &Rc<Self>, request: &LockRequest, blockers: &[Blocker]) {
        let LockRequest { txn, key, weight, reply_to, .. } = request;
        let victims = self.homes.waits().wait(*txn, reply_to.wait_id(), blockers, *weight, key);
        if victims.last().is_none_or(|victim| victim.txn != *txn) {
            self.queued.borrow_mut().insert(*txn, *reply_to);
        } else {
            self.withdraw(*txn, key);
        }
        self.give_way(&victims);
    }

    fn withdraw(self: &Rc<Self>, txn: TxnId, key: &Bytes) {
        let mut changes = Changes::default();
        self.locks.borrow_mut().cancel(key, txn, &mut changes);
        self.changed(changes);
    }

    /// Ends waits that are part of a deadlock.
    pub(crate) fn give_way(self: &Rc<Self>, victims: &[Victim]) {
        for victim in victims {
            self.post(ExecutorId(victim.wait.executor), Msg::Victim(Ticket(victim.wait.ticket)));
        }
    }

    pub(crate) fn on_lock_reply(&self, ticket: Ticket, outcome: LockOutcome) {
        if let Some(sender) = self.lock_replies.borrow_mut().remove(&ticket) {
            // A request that is waited for no more was released or will be, with its transaction.
            let _ = sender.send(outcome);
        }
    }

    fn on_cancel(self: &Rc<Self>, txn: TxnId, key: &Bytes) {
        self.forget_queued(txn);
        self.withdraw(txn, key);
    }

    fn release_here(self: &Rc<Self>, txn: TxnId, keys: &[Bytes]) {
        let mut changes = Changes::default();
        {
            let mut locks = self.locks.borrow_mut();
            for key in keys {
                locks.release(key, txn, &mut changes);
            }
        }
        self.forget_queued(txn);
        self.changed(changes);
    }

    fn forget_queued(&self, txn: TxnId) {
        if let Some(reply_to) = self.queued.borrow_mut().remove(&txn) {
            self.homes.waits().done(txn, reply_to.wait_id());
        }
    }

    fn changed(self: &Rc<Self>, changes: Changes) {
        for (txn, blockers) in changes.rewired {
            let reply_to = self.queued.borrow().get(&txn).copied();
            if let Some(reply_to) = reply_to {
                let victims = self.homes.waits().rewire(txn, reply_to.wait_id(), blockers);
                self.give_way(&victims);
            }
        }
        for grant in changes.grants {
            let reply_to = self.queued.borrow_mut().remove(&grant.txn);
            if let Some(reply_to) = reply_to {
                self.homes.waits().done(grant.txn, reply_to.wait_id());
                self.post(reply_to.executor, Msg::LockReply(reply_to.ticket, LockOutcome::Granted));
            }
        }
    }

    /// Row locks whose home is here: held or waited for.
    #[must_use]
    pub fn locked_keys(&self) -> usize {
        self.locks.borrow().len()
    }

    // ---- commits ---------------------------------------------------------------------------------

    /// Announces a commit: the ticket goes with it, the answer comes when it is visible.
    pub fn expect_commit(&self) -> (ReplyTo, oneshot::Receiver<Result<Lsn, SqlError>>) {
        let reply_to = self.reply_to();
        let (sender, receiver) = oneshot::channel();
        self.commit_replies.borrow_mut().insert(reply_to.ticket, sender);
        (reply_to, receiver)
    }

    /// The commit was not handed over after all.
    pub fn forget_commit(&self, ticket: Ticket) {
        self.commit_replies.borrow_mut().remove(&ticket);
    }

    /// What has been applied is published before locks are released, so that whoever gets one knows from
    /// [`Homes::newest_applied`] how new what it reads may be.
    fn on_apply(self: &Rc<Self>, batch: &Batch) {
        apply(&batch.memtable, batch.iter(), &self.rows, |key| self.homes.home_of(key) == self.index);
        self.homes.applied(self.index, batch.last_lsn());
        let lsns = (batch.first_lsn.0..).map(Lsn);
        for (lsn, commit) in lsns.zip(&batch.commits) {
            self.release_here(commit.txn, &commit.locks[self.index]);
            self.await_visible(commit, lsn);
        }
    }

    fn await_visible(&self, commit: &Commit, lsn: Lsn) {
        if commit.reply_to.executor != self.id {
            return;
        }
        if let Some(sender) = self.commit_replies.borrow_mut().remove(&commit.reply_to.ticket) {
            self.unseen_commits.borrow_mut().push_back((lsn, sender));
        }
    }

    fn on_commit_failed(&self, tickets: &[Ticket], error: &SqlError) {
        for ticket in tickets {
            if let Some(sender) = self.commit_replies.borrow_mut().remove(ticket) {
                let _ = sender.send(Err(error.clone()));
            }
        }
    }

    /// Nothing newer than `durable` is ever acknowledged or seen.
    fn on_nothing_more(&self, durable: Lsn, error: &SqlError) {
        let mut commits = self.unseen_commits.borrow_mut();
        let acknowledged = commits.iter().take_while(|(lsn, _)| *lsn <= durable).count();
        for (_, sender) in commits.drain(acknowledged..) {
            let _ = sender.send(Err(error.clone()));
        }
        self.unseen_waits.borrow_mut().retain(|(lsn, _)| *lsn <= durable);
        self.last_durable.set(durable);
    }

    /// The end of a turn of the mailbox: answers those that wait for what is settled or visible now, and asks to
    /// be told of more if any are left.
    pub fn complete(&self) {
        if !self.waits_for_progress() {
            return;
        }
        self.complete_reached();
        if self.waits_for_progress() {
            self.homes.wait_for_progress(self.index);
            self.complete_reached();
        }
    }

    fn waits_for_progress(&self) -> bool {
        let idle = self.unseen_commits.borrow().is_empty()
            && self.unseen_waits.borrow().is_empty()
            && self.unsettled_waits.borrow().is_empty();
        !idle
    }

    fn complete_reached(&self) {
        let visible = self.homes.views().visible();
        let mut commits = self.unseen_commits.borrow_mut();
        while commits.front().is_some_and(|(lsn, _)| *lsn <= visible) {
            if let Some((lsn, sender)) = commits.pop_front() {
                let _ = sender.send(Ok(lsn));
            }
        }
        drop(commits);
        for (waits, reached) in [(&self.unseen_waits, visible), (&self.unsettled_waits, self.homes.settled())]
        {
            for (_, sender) in waits.borrow_mut().extract_if(.., |(lsn, _)| *lsn <= reached) {
                let _ = sender.send(());
            }
        }
    }

    /// Ends when `lsn` is visible, with an error when it never will be.
    pub fn until_visible(&self, lsn: Lsn) -> oneshot::Receiver<()> {
        self.until(&self.unseen_waits, lsn, self.last_durable.get())
    }

    /// Ends when all executors have applied `lsn`, durable or not.
    pub fn until_settled(&self, lsn: Lsn) -> oneshot::Receiver<()> {
        self.until(&self.unsettled_waits, lsn, Lsn::MAX)
    }

    fn until(&self, waits: &RefCell<Vec<LsnWait>>, lsn: Lsn, last: Lsn) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        if lsn <= last {
            waits.borrow_mut().push((lsn, sender));
            self.complete();
        }
        receiver
    }

    // ---- tables ----------------------------------------------------------------------------------

    /// Counts a transaction of this executor as a user of a table.
    ///
    /// # Errors
    /// DDL has the table: try again when the receiver is done.
    pub fn enter_table(&self, table: TableId, txn: TxnId) -> Result<(), oneshot::Receiver<()>> {
        self.tables.enter(table, txn)
    }

    /// Announces a request for a table: the answer comes once from each executor.
    pub fn expect_fence(&self) -> (ReplyTo, oneshot::Receiver<()>) {
        let reply_to = self.reply_to();
        let (sender, receiver) = oneshot::channel();
        self.fence_replies.borrow_mut().insert(reply_to.ticket, sender);
        (reply_to, receiver)
    }

    fn on_fence_reply(&self, ticket: Ticket) {
        if let Some(sender) = self.fence_replies.borrow_mut().remove(&ticket) {
            let _ = sender.send(());
        }
    }

    /// A transaction of this executor uses these tables no more.
    pub fn release_tables(self: &Rc<Self>, tables: &[TableId]) {
        for table in tables {
            if let Some(reply_to) = self.tables.leave(*table) {
                self.post(reply_to.executor, Msg::FenceReply(reply_to.ticket));
            }
        }
    }
}

/// The executor at an index.
#[must_use]
pub fn executor_id(index: usize) -> ExecutorId {
    ExecutorId(u16::try_from(index).unwrap_or(u16::MAX))
}

/// Puts the versions whose home `is_mine` into memtable and row cache.
pub fn apply<D: Borrow<DeltaView>>(
    memtable: &Memtable,
    deltas: impl Iterator<Item = (Lsn, D)>,
    rows: &RowCache,
    is_mine: impl Fn(&[u8]) -> bool,
) {
    for (lsn, delta) in deltas {
        for (key, value) in delta.borrow().slices() {
            if !is_mine(key) {
                continue;
            }
            if let Err(error) = memtable.insert(key, lsn, value) {
                // A committed write that cannot be applied: sizes are checked before a commit.
                crate::event::error(&format!("broken invariant: LSN {lsn} cannot be applied: {error}"));
                std::process::abort();
            }
            rows.apply(key, lsn, value);
        }
    }
}
