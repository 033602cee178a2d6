//! Transactions of a session: their beginning and end, savepoints, isolation.
//!
//! A statement runs either in the session's open transaction or in one of its own, which ends with it
//! ([`Scope`]). A deadlock ends the whole transaction, as the contract of `sql::Txn` says; every other
//! error undoes only the statement.

use std::rc::Rc;

use aquifer_sql::ast::{IsolationLevel, SetScope, TransactionCharacteristics, TransactionStatement};
use aquifer_types::{ErrorKind, Lsn, SqlError, SqlResult};

use crate::node::{BeginOptions, NodeTxn};
use crate::session::Session;
use crate::state::{SavedPoint, Transaction};
use crate::statement::ReadyStatement;
use crate::variables::{Isolation, VariableValue, ids};

/// Where a statement runs.
pub(crate) struct Scope {
    pub(crate) txn: Rc<dyn NodeTxn>,
    /// The transaction ends with the statement.
    pub(crate) alone: bool,
    pub(crate) isolation: Isolation,
}

impl Isolation {
    pub(crate) fn of(level: IsolationLevel) -> Self {
        match level {
            IsolationLevel::ReadUncommitted => Self::ReadUncommitted,
            IsolationLevel::ReadCommitted => Self::ReadCommitted,
            IsolationLevel::RepeatableRead => Self::RepeatableRead,
            IsolationLevel::Serializable => Self::Serializable,
        }
    }
}

impl Session {
    pub(crate) fn begin_txn(&self, read_only: bool, isolation: Isolation) -> Rc<dyn NodeTxn> {
        self.host.node.begin(BeginOptions {
            read_only,
            isolation: isolation.sql_name(),
            connection_id: self.entry.id(),
            interrupt: std::sync::Arc::clone(self.entry.interrupt()),
            locked_tables: self.passed_tables(),
        })
    }

    /// The transaction that a statement runs in.
    pub(crate) fn scope_of(&mut self, statement: &ReadyStatement) -> Scope {
        if let Some(open) = &self.state.transaction {
            if open.isolation.renews_view() {
                open.txn.renew_view();
            }
            return Scope { txn: Rc::clone(&open.txn), alone: false, isolation: open.isolation };
        }
        let effective = self.state.variables.effective();
        let stays = !effective.autocommit && statement.touches_tables && !statement.commits_implicitly;
        if stays {
            self.open_transaction(TransactionCharacteristics::default(), false);
            return self.scope_of_open();
        }
        let next = if statement.touches_tables {
            std::mem::take(&mut self.state.variables.next_transaction)
        } else {
            self.state.variables.next_transaction
        };
        let effective = self.state.variables.effective();
        let isolation = next.isolation.unwrap_or(effective.isolation);
        let read_only = next.read_only.unwrap_or(effective.transaction_read_only);
        Scope { txn: self.begin_txn(read_only, isolation), alone: true, isolation }
    }

    fn scope_of_open(&mut self) -> Scope {
        match &self.state.transaction {
            Some(open) => Scope { txn: Rc::clone(&open.txn), alone: false, isolation: open.isolation },
            None => {
                let isolation = Isolation::RepeatableRead;
                Scope { txn: self.begin_txn(false, isolation), alone: true, isolation }
            }
        }
    }

    pub(crate) fn open_transaction(&mut self, asked: TransactionCharacteristics, explicit: bool) {
        let next = std::mem::take(&mut self.state.variables.next_transaction);
        let effective = self.state.variables.effective();
        let isolation = next.isolation.unwrap_or(effective.isolation);
        let read_only = asked.read_only.or(next.read_only).unwrap_or(effective.transaction_read_only);
        let txn = self.begin_txn(read_only, isolation);
        self.state.transaction =
            Some(Transaction { txn, isolation, read_only, explicit, savepoints: Vec::new() });
    }

    /// Ends the statement's own transaction, or keeps the session's open one.
    ///
    /// # Errors
    /// Those of the commit; then nothing was committed.
    pub(crate) async fn settle(&mut self, scope: Scope, result: SqlResult<()>) -> SqlResult<()> {
        match result {
            Ok(()) if !scope.alone => Ok(()),
            Ok(()) => self.commit_txn(scope.txn).await,
            Err(error) => {
                if scope.alone {
                    scope.txn.rollback();
                    self.rollback_temporary();
                } else if ends_transaction(&error)
                    && let Some(open) = self.state.transaction.take()
                {
                    open.txn.rollback();
                    self.rollback_temporary();
                    self.note_xa_rollback();
                }
                Err(error)
            }
        }
    }

    async fn commit_txn(&mut self, txn: Rc<dyn NodeTxn>) -> SqlResult<()> {
        if !txn.has_writes() {
            txn.rollback();
            self.commit_temporary();
            return Ok(());
        }
        match txn.commit().await {
            Ok(committed) => {
                self.commit_temporary();
                self.note_commit(committed.lsn);
                Ok(())
            }
            Err(error) => {
                self.rollback_temporary();
                Err(error)
            }
        }
    }

    /// Tells a tracking client the GTID of its commit.
    pub(crate) fn note_commit(&mut self, lsn: Lsn) {
        if self.state.variables.effective().track_gtids {
            let globals = self.host.registry.globals();
            let uuid = globals.get(ids::SERVER_UUID).as_str();
            self.state.changes().gtids = Some(format!("{uuid}:{lsn}"));
        }
    }

    /// Commits the open transaction, if there is one.
    ///
    /// # Errors
    /// Those of the commit; the transaction has ended nevertheless.
    pub(crate) async fn commit_open(&mut self) -> SqlResult<()> {
        match self.state.transaction.take() {
            Some(open) => self.commit_txn(open.txn).await,
            None => Ok(()),
        }
    }

    /// Rolls the open transaction back, if there is one.
    pub(crate) fn rollback_open(&mut self) {
        if let Some(open) = self.state.transaction.take() {
            open.txn.rollback();
            self.rollback_temporary();
        }
    }

    /// BEGIN, COMMIT, SAVEPOINT and so on.
    ///
    /// # Errors
    /// 1305 for an unknown savepoint; those of a commit.
    pub(crate) async fn run_transaction(&mut self, statement: &TransactionStatement) -> SqlResult<()> {
        match statement {
            TransactionStatement::Begin(_)
            | TransactionStatement::Commit { .. }
            | TransactionStatement::Rollback { .. } => self.check_outside_xa()?,
            _ => self.check_xa_active()?,
        }
        match statement {
            TransactionStatement::Begin(asked) => {
                self.commit_open().await?;
                self.state.table_locks = None;
                self.open_transaction(*asked, true);
                if asked.consistent_snapshot
                    && let Some(open) = self.state.transaction.as_ref().filter(|o| !o.isolation.renews_view())
                {
                    // Asking for it takes it.
                    let _ = open.txn.view_lsn();
                }
                Ok(())
            }
            TransactionStatement::Commit { chain, release } => {
                let chained = self.chained();
                let result = self.commit_open().await;
                self.after_end(*chain, *release, chained);
                result
            }
            TransactionStatement::Rollback { chain, release } => {
                let chained = self.chained();
                self.rollback_open();
                self.after_end(*chain, *release, chained);
                Ok(())
            }
            TransactionStatement::Savepoint(name) => {
                self.set_savepoint(name);
                Ok(())
            }
            TransactionStatement::RollbackTo(name) => self.rollback_to(name),
            TransactionStatement::Release(name) => self.release_savepoint(name),
        }
    }

    /// Isolation and access mode of the open transaction, for AND CHAIN.
    fn chained(&self) -> Option<(Isolation, bool)> {
        self.state.transaction.as_ref().map(|open| (open.isolation, open.read_only))
    }

    fn after_end(&mut self, chain: bool, release: bool, chained: Option<(Isolation, bool)>) {
        let completion = self.state.variables.get(ids::COMPLETION_TYPE).as_str();
        let (chain, release) = (chain || completion == "CHAIN", release || completion == "RELEASE");
        if chain {
            if let Some((isolation, read_only)) = chained {
                let next = &mut self.state.variables.next_transaction;
                next.isolation = Some(isolation);
                next.read_only = Some(read_only);
            }
            self.open_transaction(TransactionCharacteristics::default(), true);
        }
        self.state.closing |= release;
    }

    fn set_savepoint(&mut self, name: &str) {
        if self.state.transaction.is_none() && !self.state.variables.effective().autocommit {
            self.open_transaction(TransactionCharacteristics::default(), false);
        }
        // Outside of a transaction a savepoint ends with its own statement.
        let temporary = self.temporary_point();
        let Some(open) = &mut self.state.transaction else { return };
        open.savepoints.retain(|known| !known.name.eq_ignore_ascii_case(name));
        let point = open.txn.savepoint();
        open.savepoints.push(SavedPoint { name: name.to_owned(), point, temporary });
        open.keep_savepoints(None);
    }

    fn find_savepoint(&self, name: &str) -> SqlResult<usize> {
        let open = self.state.transaction.as_ref();
        let found = open
            .and_then(|open| open.savepoints.iter().position(|known| known.name.eq_ignore_ascii_case(name)));
        found.ok_or_else(|| SqlError::new(1305, format!("SAVEPOINT {name} does not exist")))
    }

    fn rollback_to(&mut self, name: &str) -> SqlResult<()> {
        let at = self.find_savepoint(name)?;
        if let Some(open) = &mut self.state.transaction {
            open.txn.rollback_to(open.savepoints[at].point);
            if let Some(temporary) = &self.state.temporary {
                temporary.tables.undo_to(open.savepoints[at].temporary);
            }
            open.savepoints.truncate(at + 1);
            open.keep_savepoints(None);
        }
        Ok(())
    }

    fn release_savepoint(&mut self, name: &str) -> SqlResult<()> {
        let at = self.find_savepoint(name)?;
        if let Some(open) = &mut self.state.transaction {
            open.savepoints.truncate(at);
            open.keep_savepoints(None);
        }
        Ok(())
    }

    /// SET [SESSION | GLOBAL] TRANSACTION.
    ///
    /// # Errors
    /// 1568 for the next transaction while one is open; 1227 for GLOBAL.
    pub(crate) fn set_transaction(
        &mut self,
        scope: SetScope,
        asked: TransactionCharacteristics,
    ) -> SqlResult<()> {
        let isolation = asked.isolation.map(Isolation::of);
        match scope {
            SetScope::Next => {
                if self.state.transaction.is_some() {
                    let text =
                        "Transaction characteristics can't be changed while a transaction is in progress";
                    return Err(SqlError::new(1568, text));
                }
                let next = &mut self.state.variables.next_transaction;
                next.isolation = isolation.or(next.isolation);
                next.read_only = asked.read_only.or(next.read_only);
            }
            SetScope::Session => {
                let values = characteristics(isolation, asked.read_only);
                self.state.variables.set_all(values);
            }
            SetScope::Global => {
                self.need_global("SUPER or SYSTEM_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN")?;
                self.host.registry.change_globals(|globals| {
                    for (id, value) in characteristics(isolation, asked.read_only) {
                        globals.set(id, value);
                    }
                });
            }
        }
        Ok(())
    }
}

fn characteristics(
    isolation: Option<Isolation>,
    read_only: Option<bool>,
) -> Vec<(crate::variables::VariableId, VariableValue)> {
    let level =
        isolation.map(|level| (ids::TRANSACTION_ISOLATION, VariableValue::text(level.variable_text())));
    let mode = read_only.map(|on| (ids::TRANSACTION_READ_ONLY, VariableValue::Int(i64::from(on))));
    level.into_iter().chain(mode).collect()
}

/// Whether the transaction of a failed statement cannot go on.
fn ends_transaction(error: &SqlError) -> bool {
    error.code() == 1213 || matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Bug)
}
