//! How a transaction ends, and gives up what it holds.

use aquifer_session::node::Committed;
use aquifer_shard::engine::Spilled;
use aquifer_shard::event;
use aquifer_sql::txn::Txn;
use aquifer_types::{Lsn, SqlError, SqlResult, Xid};
use bytes::Bytes;

use super::{WriteTxn, closed};
use crate::sequencer::CommitRequest;

impl WriteTxn {
    /// Gives everything up; safe to call again.
    pub(super) fn end_without_commit(&self) {
        if self.ended.replace(true) {
            return;
        }
        self.held.borrow_mut().clear();
        self.load.take();
        self.drop_spilled();
        let engine = &self.part.engine;
        engine.dead.note_given_up(&self.given.take(), &engine.catalog(), event::wall_micros());
        let locks = self.take_locks();
        self.part.local.release(self.id, locks);
        self.end_common();
    }

    pub(super) fn take_locks(&self) -> Box<[Vec<Bytes>]> {
        self.group.take();
        let homes = self.part.local.homes().count();
        self.locks.replace(vec![Vec::new(); homes].into_boxed_slice())
    }

    pub(super) fn end_common(&self) {
        self.view.replace(None);
        if self.running.replace(false) {
            self.part.local.end_running(self.id);
        }
        if self.asked_ranges.replace(false) {
            self.part.local.release_ranges(self.id);
        }
        self.delete_leftover();
        let tables = self.tables.take();
        if !tables.is_empty() {
            self.part.local.release_tables(&tables);
        }
        self.unfence_all();
        self.give_up_building();
    }

    pub(super) async fn commit_writes(&self) -> SqlResult<Committed> {
        self.install_load().await?;
        let bytes = self.held.borrow().writes.bytes();
        self.part.check_backlog(bytes).await?;
        let spilled = self.finish_spill().await?;
        let committed = self.submit_writes(self.take_locks(), spilled).await;
        if committed.is_ok() {
            self.unfinished.take();
        }
        self.end_common();
        committed.map(|lsn| Committed { lsn })
    }

    /// Commits what has been written; `locks` are given up. Counts as the transaction's end, whose rest is up to the
    /// caller.
    pub(super) async fn submit_writes(
        &self,
        locks: Box<[Vec<Bytes>]>,
        spilled: Option<Spilled>,
    ) -> SqlResult<Lsn> {
        self.ended.set(true);
        // They may be in a catalog from here on, whatever the answer is.
        self.given.take();
        let delta = self.delta(spilled.as_ref());
        let (reply_to, answer) = self.part.local.expect_commit();
        let submitted = match delta {
            // From here on the locks belong to the commit: its homes release them.
            Ok(delta) => {
                let spilled = spilled.map(Box::new);
                let request = CommitRequest { delta, txn: self.id, reply_to, locks, spilled };
                self.part.submit(request).await.map_err(|(request, error)| (request.locks, error))
            }
            Err(error) => Err((locks, error)),
        };
        if let Err((locks, error)) = submitted {
            self.part.local.forget_commit(reply_to.ticket);
            self.part.local.release(self.id, locks);
            return Err(error);
        }
        answer.await.map_err(|_| closed())?
    }

    pub(super) async fn prepare_writes(&self, xid: Xid) -> SqlResult<()> {
        if self.ended.get() {
            return Err(SqlError::new(1402, "XA_RBROLLBACK: Transaction branch was rolled back"));
        }
        let prepared = self.take_apart(xid).await;
        match prepared {
            // Its view is closed; the rest belongs to the node.
            Ok(()) => {
                self.ended.set(true);
                self.running.set(false);
                self.asked_ranges.set(false);
                self.end_common();
                Ok(())
            }
            Err(error) => {
                self.end_without_commit();
                Err(error)
            }
        }
    }

    async fn take_apart(&self, xid: Xid) -> SqlResult<()> {
        if self.spilled().is_some() {
            return Err(SqlError::not_supported("XA PREPARE of a transaction that is larger than memory"));
        }
        let delta = if self.has_writes() { Some(self.delta(None)?) } else { None };
        match &delta {
            Some(delta) => self.part.check_backlog(delta.bytes().len()).await?,
            // It may have read what is not visible yet.
            None => {
                let newest = self.part.local.homes().newest_applied();
                self.part.local.until_visible(newest).await.map_err(|_| closed())?;
            }
        }
        let held = (self.take_locks(), self.tables.take());
        self.part.prepare(xid, self.id, delta, held).await.map_err(|(locks, tables, error)| {
            self.locks.replace(locks);
            self.tables.replace(tables);
            error
        })
    }
}
