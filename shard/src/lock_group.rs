//! Locks on many keys at once, all or none of those of a home, for statements that go through many rows.
//!
//! Nobody stands in a queue with such a request, so that it is answered at once and no deadlock can come of it
//! (ADR 0154).

use std::rc::Rc;

use aquifer_types::TxnId;
use bytes::Bytes;
use futures_channel::oneshot;

use crate::homes::{Msg, ReplyTo, Ticket};
use crate::local::{Local, executor_id};

impl Local {
    /// Locks keys of this home exclusively, if all can be had: those that had not been locked before.
    #[must_use]
    pub fn lock_group_here(&self, txn: TxnId, keys: &[Bytes]) -> Option<Vec<Bytes>> {
        self.locks.borrow_mut().acquire_all(keys, txn)
    }

    /// As [`Local::lock_group_here`], at another home.
    pub fn lock_group(
        self: &Rc<Self>,
        txn: TxnId,
        home: usize,
        keys: Vec<Bytes>,
    ) -> oneshot::Receiver<Option<Vec<Bytes>>> {
        let reply_to = self.reply_to();
        let (sender, receiver) = oneshot::channel();
        self.group_replies.borrow_mut().insert(reply_to.ticket, sender);
        self.post(executor_id(home), Msg::LockGroup(txn, keys, reply_to));
        receiver
    }

    pub(crate) fn on_lock_group(self: &Rc<Self>, txn: TxnId, keys: &[Bytes], reply_to: ReplyTo) {
        let locked = self.lock_group_here(txn, keys);
        self.post(reply_to.executor, Msg::GroupReply(reply_to.ticket, locked));
    }

    pub(crate) fn on_group_reply(&self, ticket: Ticket, locked: Option<Vec<Bytes>>) {
        if let Some(sender) = self.group_replies.borrow_mut().remove(&ticket) {
            // Who does not wait any more has ended, and its locks with it.
            let _ = sender.send(locked);
        }
    }
}
