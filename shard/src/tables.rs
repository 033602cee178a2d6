//! Which tables the transactions of an executor use, so that DDL can wait until nobody does.
//!
//! Using a table costs a count on the own executor and no message. DDL sends a fence to every
//! executor; each answers when its count of other users is zero and holds back new ones until the
//! fence is lifted.

use std::cell::RefCell;
use std::collections::HashMap;

use aquifer_types::{TableId, TxnId};
use futures_channel::oneshot;

use crate::homes::ReplyTo;

#[derive(Debug, Default)]
struct Table {
    /// Transactions of this executor that use it; the owner of the fence counts as none.
    users: usize,
    fence: Option<Fence>,
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Fence {
    owner: TxnId,
    /// To be told when the last user leaves; taken when told.
    reply_to: Option<ReplyTo>,
}

/// The tables in use on one executor.
#[derive(Debug, Default)]
pub struct TableUses {
    tables: RefCell<HashMap<TableId, Table>>,
}

impl TableUses {
    /// Counts one more user. `Err`: DDL has the table; try again when the receiver is done.
    ///
    /// # Errors
    /// As said.
    pub fn enter(&self, table: TableId, txn: TxnId) -> Result<(), oneshot::Receiver<()>> {
        let mut tables = self.tables.borrow_mut();
        let entry = tables.entry(table).or_default();
        if entry.fence.as_ref().is_some_and(|fence| fence.owner != txn) {
            let (sender, receiver) = oneshot::channel();
            entry.waiting.push(sender);
            return Err(receiver);
        }
        entry.users += 1;
        Ok(())
    }

    /// Counts one user less; returns whom to tell that a fenced table is free.
    pub fn leave(&self, table: TableId) -> Option<ReplyTo> {
        let mut tables = self.tables.borrow_mut();
        let entry = tables.get_mut(&table)?;
        entry.users = entry.users.saturating_sub(1);
        if entry.users > 0 {
            return None;
        }
        match &mut entry.fence {
            Some(fence) => fence.reply_to.take(),
            None => {
                tables.remove(&table);
                None
            }
        }
    }

    /// Puts a fence up. Whether nobody uses the table now; otherwise [`TableUses::leave`] will tell.
    /// A second owner cannot come: owners hold the table's lock first.
    pub fn fence(&self, table: TableId, owner: TxnId, reply_to: ReplyTo) -> bool {
        let mut tables = self.tables.borrow_mut();
        let entry = tables.entry(table).or_default();
        let free = entry.users == 0;
        entry.fence = Some(Fence { owner, reply_to: (!free).then_some(reply_to) });
        free
    }

    /// Takes the fence of `owner` down and lets those in who wait.
    pub fn unfence(&self, table: TableId, owner: TxnId) {
        let mut tables = self.tables.borrow_mut();
        let Some(entry) = tables.get_mut(&table) else { return };
        if entry.fence.as_ref().is_none_or(|fence| fence.owner != owner) {
            return;
        }
        entry.fence = None;
        for waiting in entry.waiting.drain(..) {
            let _ = waiting.send(());
        }
        if entry.users == 0 {
            tables.remove(&table);
        }
    }
}
