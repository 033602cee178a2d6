//! Locks on ranges of keys: an executor's part of them.
//!
//! Rows have homes, ranges have none: a lock on a range is on every executor, and each looks after its own
//! transactions ([`aquifer_txn::RangeTable`]). Steps of a request:
//!
//! 1. The session's executor sends it to all executors.
//! 2. Each installs it, and answers when none of its own transactions has locked exclusively or written a key in
//!    it. Those that have go on and end; others wait for the range from now on, before they lock or write.
//! 3. With the last answer the range is locked. It is released, on every executor, when its transaction has ended:
//!    after a commit that is when the commit is visible.
//!
//! A large transaction has its spilled writes in *layers*: tables that it alone reads. Every executor has the layers of
//! all transactions, and whoever locks a key looks there instead of finding a lock at the key's home. They go with the
//! ranges, and are waited for in the same way.
//!
//! A transaction counts as running here from its first exclusive lock or write until what it committed is visible,
//! so whoever has got a range reads all that was written in it.

use std::cell::{Ref, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use aquifer_lsm::ReadState;
use aquifer_txn::{Blocker, Held, RangeTable};
use aquifer_types::TxnId;
use bytes::Bytes;
use futures_channel::oneshot;

use crate::homes::{LockOutcome, Msg, Patience, RangeRequest, ReplyTo, Ticket};
use crate::local::{Local, executor_id};

/// What an executor knows about ranges.
#[derive(Default)]
pub(crate) struct Ranges {
    table: RefCell<RangeTable>,
    /// Own transactions that have locked or written.
    running: RefCell<HashMap<TxnId, Rc<RefCell<Held>>>>,
    /// Whom to answer when a transaction's range is granted here.
    pending: RefCell<HashMap<TxnId, ReplyTo>>,
    /// Own requests: executors that have not answered yet.
    asked: RefCell<HashMap<Ticket, (TxnId, usize)>>,
    /// Keys that transactions have locked by having them in tables.
    layers: RefCell<Vec<(TxnId, Arc<ReadState>)>>,
    /// By owner of a range or of layers: own transactions that wait for it.
    waiters: RefCell<HashMap<TxnId, Vec<(TxnId, Ticket)>>>,
}

impl Ranges {
    /// Own transactions that have locked or written.
    pub(crate) fn running(&self) -> Ref<'_, HashMap<TxnId, Rc<RefCell<Held>>>> {
        self.running.borrow()
    }
}

impl Local {
    /// Whether a range is locked or wanted by anybody.
    #[must_use]
    pub fn has_ranges(&self) -> bool {
        !self.ranges.table.borrow().is_empty()
    }

    /// Transactions with ranges that keep `txn`, which runs here, from locking or writing `key`.
    #[must_use]
    pub fn range_owners(&self, txn: TxnId, key: &[u8]) -> Vec<TxnId> {
        self.ranges.table.borrow().conflicts(txn, key)
    }

    /// A transaction of this executor is about to lock or to write.
    pub fn begin_running(&self, txn: TxnId, held: &Rc<RefCell<Held>>) {
        self.ranges.running.borrow_mut().insert(txn, Rc::clone(held));
    }

    /// It has ended, and what it committed is visible.
    pub fn end_running(self: &Rc<Self>, txn: TxnId) {
        if self.ranges.running.borrow_mut().remove(&txn).is_none() || !self.has_ranges() {
            return;
        }
        let granted = self.ranges.table.borrow_mut().ended(txn);
        for owner in granted {
            let reply_to = self.ranges.pending.borrow_mut().remove(&owner);
            if let Some(reply_to) = reply_to {
                self.post(reply_to.executor, Msg::RangeReply(reply_to.ticket, LockOutcome::Granted));
            }
        }
    }

    /// Waits until one of `owners` releases its ranges; then the caller looks again.
    pub fn wait_for_ranges(
        self: &Rc<Self>,
        txn: TxnId,
        owners: &[TxnId],
        key: &[u8],
        weight: u64,
    ) -> (ReplyTo, oneshot::Receiver<LockOutcome>) {
        let reply_to = self.reply_to();
        let (sender, receiver) = oneshot::channel();
        self.lock_replies.borrow_mut().insert(reply_to.ticket, sender);
        if let Some(first) = owners.first() {
            self.ranges.waiters.borrow_mut().entry(*first).or_default().push((txn, reply_to.ticket));
        }
        let blockers: Vec<Blocker> = owners.iter().copied().map(Blocker::holder).collect();
        let victims = self.homes().waits().wait(txn, reply_to.wait_id(), &blockers, weight, key);
        self.give_way(&victims);
        (reply_to, receiver)
    }

    /// Such a wait is given up.
    pub fn cancel_wait(&self, txn: TxnId, reply_to: ReplyTo) {
        self.lock_replies.borrow_mut().remove(&reply_to.ticket);
        self.homes().waits().done(txn, reply_to.wait_id());
    }

    /// Announces a request that every executor answers; the last answer is the receiver's.
    fn expect_all(&self, txn: TxnId) -> (ReplyTo, oneshot::Receiver<LockOutcome>) {
        let reply_to = self.reply_to();
        let (sender, receiver) = oneshot::channel();
        self.lock_replies.borrow_mut().insert(reply_to.ticket, sender);
        self.ranges.asked.borrow_mut().insert(reply_to.ticket, (txn, self.homes().count()));
        (reply_to, receiver)
    }

    /// Asks all executors for a range.
    pub fn lock_range(
        self: &Rc<Self>,
        txn: TxnId,
        range: &Range<Bytes>,
        patience: Patience,
        weight: u64,
    ) -> (ReplyTo, oneshot::Receiver<LockOutcome>) {
        let (reply_to, receiver) = self.expect_all(txn);
        for index in 0..self.homes().count() {
            let request = RangeRequest { txn, range: range.clone(), patience, weight, reply_to };
            self.post(executor_id(index), Msg::Range(request));
        }
        (reply_to, receiver)
    }

    /// Tells all executors what a transaction has locked by having it in layers, instead of what was told before. Its
    /// row locks for that can go when the answer is there.
    pub fn share_layers(
        self: &Rc<Self>,
        txn: TxnId,
        layers: &Arc<ReadState>,
    ) -> oneshot::Receiver<LockOutcome> {
        let (reply_to, receiver) = self.expect_all(txn);
        for index in 0..self.homes().count() {
            self.post(executor_id(index), Msg::Layers(txn, Arc::clone(layers), reply_to));
        }
        receiver
    }

    pub(crate) fn on_layers(self: &Rc<Self>, txn: TxnId, layers: Arc<ReadState>, reply_to: ReplyTo) {
        {
            let mut known = self.ranges.layers.borrow_mut();
            known.retain(|(owner, _)| *owner != txn);
            known.push((txn, layers));
        }
        self.post(reply_to.executor, Msg::RangeReply(reply_to.ticket, LockOutcome::Granted));
    }

    /// The layers of other transactions than `txn`.
    #[must_use]
    pub fn layers_of_others(&self, txn: TxnId) -> Vec<(TxnId, Arc<ReadState>)> {
        let layers = self.ranges.layers.borrow();
        if layers.is_empty() {
            return Vec::new();
        }
        layers.iter().filter(|(owner, _)| *owner != txn).cloned().collect()
    }

    /// Whether a transaction that had layers has not ended.
    #[must_use]
    pub fn has_layers(&self, txn: TxnId) -> bool {
        self.ranges.layers.borrow().iter().any(|(owner, _)| *owner == txn)
    }

    /// A range that was asked for and is not granted yet is wanted no more.
    pub fn cancel_range(self: &Rc<Self>, txn: TxnId, reply_to: ReplyTo) {
        self.ranges.asked.borrow_mut().remove(&reply_to.ticket);
        self.lock_replies.borrow_mut().remove(&reply_to.ticket);
        for index in 0..self.homes().count() {
            self.post(executor_id(index), Msg::CancelRange(txn, reply_to));
        }
    }

    /// The transaction has ended: its ranges and layers are free.
    pub fn release_ranges(self: &Rc<Self>, txn: TxnId) {
        for index in 0..self.homes().count() {
            self.post(executor_id(index), Msg::ReleaseRanges(txn));
        }
    }

    pub(crate) fn on_range(self: &Rc<Self>, request: RangeRequest) {
        let RangeRequest { txn, range, patience, weight, reply_to } = request;
        let blockers: Vec<TxnId> = {
            let running = self.ranges.running.borrow();
            let others = running.iter().filter(|(other, _)| **other != txn);
            others.filter(|(_, held)| held.borrow().reaches_into(&range)).map(|(other, _)| *other).collect()
        };
        if patience == Patience::None && !blockers.is_empty() {
            return self.post(reply_to.executor, Msg::RangeReply(reply_to.ticket, LockOutcome::Busy));
        }
        let start = range.start.clone();
        if self.ranges.table.borrow_mut().arrive(txn, range, blockers.clone()) {
            return self.post(reply_to.executor, Msg::RangeReply(reply_to.ticket, LockOutcome::Granted));
        }
        self.ranges.pending.borrow_mut().insert(txn, reply_to);
        let blockers: Vec<Blocker> = blockers.into_iter().map(Blocker::holder).collect();
        let victims = self.homes().waits().wait(txn, reply_to.wait_id(), &blockers, weight, &start);
        self.give_way(&victims);
    }

    pub(crate) fn on_range_reply(&self, ticket: Ticket, outcome: LockOutcome) {
        let mut asked = self.ranges.asked.borrow_mut();
        let Some((txn, left)) = asked.get_mut(&ticket) else { return };
        let txn = *txn;
        *left -= 1;
        if outcome == LockOutcome::Granted && *left > 0 {
            return;
        }
        asked.remove(&ticket);
        drop(asked);
        let reply_to = ReplyTo { executor: executor_id(self.index()), ticket };
        self.homes().waits().done(txn, reply_to.wait_id());
        self.on_lock_reply(ticket, outcome);
    }

    pub(crate) fn on_victim(&self, ticket: Ticket) {
        self.ranges.asked.borrow_mut().remove(&ticket);
        self.on_lock_reply(ticket, LockOutcome::Deadlock);
    }

    pub(crate) fn on_cancel_range(&self, txn: TxnId, reply_to: ReplyTo) {
        self.ranges.table.borrow_mut().cancel(txn);
        self.ranges.pending.borrow_mut().remove(&txn);
        // This executor may have added to the wait after its end was noted.
        self.homes().waits().done(txn, reply_to.wait_id());
        self.wake_waiters(txn);
    }

    pub(crate) fn on_release_ranges(&self, txn: TxnId) {
        self.ranges.table.borrow_mut().release(txn);
        self.ranges.layers.borrow_mut().retain(|(owner, _)| *owner != txn);
        if let Some(reply_to) = self.ranges.pending.borrow_mut().remove(&txn) {
            self.homes().waits().done(txn, reply_to.wait_id());
        }
        self.wake_waiters(txn);
    }

    /// Those that wait for a range of `owner` look again.
    fn wake_waiters(&self, owner: TxnId) {
        let waiters = self.ranges.waiters.borrow_mut().remove(&owner);
        for (txn, ticket) in waiters.into_iter().flatten() {
            let reply_to = ReplyTo { executor: executor_id(self.index()), ticket };
            self.homes().waits().done(txn, reply_to.wait_id());
            self.on_lock_reply(ticket, LockOutcome::Granted);
        }
    }

    /// The ranges that are locked, with their owners: for reports.
    #[must_use]
    pub fn locked_ranges(&self) -> Vec<(TxnId, Bytes, Bytes)> {
        let table = self.ranges.table.borrow();
        table.granted().map(|(owner, start, end)| (owner, start.clone(), end.clone())).collect()
    }
}
