//! What a session remembers between statements.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use aquifer_catalog::{Account, AccountId, Rights};
use aquifer_sql::expr::{BindContext, SessionFacts, UserVariables};
use aquifer_sql::txn::Savepoint;
use aquifer_sql::virtual_tables::locks::LockReport;
use aquifer_types::collation::Charset;
use aquifer_types::{Collation, Lsn, SqlError, WarningLevel, Warnings};
use aquifer_wire::{ServerState, SessionChanges, StatusFlags};

use crate::load::Loading;
use crate::node::NodeTxn;
use crate::prepared::PreparedStatements;
use crate::table_locks::{GlobalReadLock, TableLocks};
use crate::temporary::Temporary;
use crate::variables::{GlobalVariables, Isolation, SessionVariables};
use crate::xa::XaBranch;

/// A transaction that is open across statements.
pub(crate) struct Transaction {
    pub(crate) txn: Rc<dyn NodeTxn>,
    pub(crate) isolation: Isolation,
    pub(crate) read_only: bool,
    /// Begun by BEGIN, rather than by a statement under `autocommit = 0`.
    pub(crate) explicit: bool,
    /// Named points, oldest first.
    pub(crate) savepoints: Vec<SavedPoint>,
}

impl Transaction {
    /// Tells the transaction which savepoints later statements may return to: those with names, and `also`.
    pub(crate) fn keep_savepoints(&self, also: Option<Savepoint>) {
        let named = self.savepoints.iter().map(|saved| saved.point);
        self.txn.keep_savepoints(named.chain(also).collect());
    }
}

/// A named savepoint.
pub(crate) struct SavedPoint {
    pub(crate) name: String,
    pub(crate) point: Savepoint,
    /// The same in the rows of temporary tables.
    pub(crate) temporary: usize,
}

/// CURRENT_ROLE() without active roles.
pub(crate) const NO_ROLE: &str = "NONE";

/// Who the client is.
pub(crate) struct Identity {
    /// Host it came from.
    pub(crate) host: String,
    /// The account that matched.
    pub(crate) account: Arc<Account>,
    /// What it may do.
    pub(crate) rights: Rights,
    /// Roles that are active.
    pub(crate) active: Vec<AccountId>,
    /// Version of the catalog by which that was last found to be so.
    pub(crate) seen: Lsn,
    /// Version of the accounts that it was worked out from.
    pub(crate) accounts: Lsn,
}

/// The state of a session.
pub(crate) struct SessionState {
    pub(crate) variables: SessionVariables,
    pub(crate) facts: Rc<SessionFacts>,
    pub(crate) user_variables: Rc<RefCell<UserVariables>>,
    pub(crate) transaction: Option<Transaction>,
    /// Whether that is a branch of a global one.
    pub(crate) xa: Option<XaBranch>,
    /// LOCK TABLES.
    pub(crate) table_locks: Option<TableLocks>,
    /// FLUSH TABLES WITH READ LOCK.
    pub(crate) global_read_lock: Option<GlobalReadLock>,
    /// Transactions and locks, as of the last statement that names a table of them.
    pub(crate) lock_report: Option<LockReport>,
    /// Temporary tables, while there are some.
    pub(crate) temporary: Option<Rc<Temporary>>,
    /// LOAD DATA LOCAL whose file is being received.
    pub(crate) loading: Option<Box<Loading>>,
    /// Diagnostics of the last statement.
    pub(crate) warnings: Warnings,
    pub(crate) prepared: PreparedStatements,
    pub(crate) identity: Option<Box<Identity>>,
    /// What to tell a client that tracks the session, with the next OK.
    pub(crate) changes: Option<Box<SessionChanges>>,
    /// The connection ends after this command (RELEASE).
    pub(crate) closing: bool,
}

impl SessionState {
    pub(crate) fn new(globals: Arc<GlobalVariables>, connection_id: u64) -> Self {
        let version = globals.get(crate::variables::ids::VERSION).as_str().to_owned();
        let current_role = NO_ROLE.to_owned();
        let facts = SessionFacts { connection_id, version, current_role, ..SessionFacts::default() };
        Self {
            variables: SessionVariables::new(globals),
            facts: Rc::new(facts),
            user_variables: Rc::default(),
            transaction: None,
            xa: None,
            table_locks: None,
            lock_report: None,
            global_read_lock: None,
            temporary: None,
            loading: None,
            warnings: Warnings::default(),
            prepared: PreparedStatements::default(),
            identity: None,
            changes: None,
            closing: false,
        }
    }

    /// The default database.
    pub(crate) fn database(&self) -> Option<&str> {
        self.facts.database.as_deref()
    }

    /// Settings that binding depends on.
    pub(crate) fn bind_context(&self) -> BindContext {
        let effective = self.variables.effective();
        BindContext {
            collation: literal_collation(effective.collation_connection),
            sql_mode: effective.sql_mode,
            database: self.facts.database.clone(),
            div_precision_increment: effective.div_precision_increment,
            group_concat_max_len: effective.group_concat_max_len,
        }
    }

    /// Status flags and warning count for OK and EOF.
    pub(crate) fn server_state(&self) -> ServerState {
        let effective = self.variables.effective();
        let mut status = StatusFlags::empty();
        if effective.autocommit {
            status |= StatusFlags::AUTOCOMMIT;
        }
        if let Some(transaction) = &self.transaction {
            status |= StatusFlags::IN_TRANS;
            if transaction.read_only {
                status |= StatusFlags::IN_TRANS_READONLY;
            }
        }
        if effective.sql_mode.contains(aquifer_types::SqlMode::NO_BACKSLASH_ESCAPES) {
            status |= StatusFlags::NO_BACKSLASH_ESCAPES;
        }
        ServerState { status, warnings: u16::try_from(self.warnings.total()).unwrap_or(u16::MAX) }
    }

    /// Forgets the diagnostics of the last statement.
    pub(crate) fn clear_warnings(&mut self) {
        if self.warnings.total() != 0 {
            self.warnings = Warnings::with_capacity(self.variables.effective().max_error_count);
        }
    }

    /// Makes an error the diagnostics of the statement.
    pub(crate) fn record_error(&mut self, error: &SqlError) {
        self.warnings.push(WarningLevel::Error, error.code(), error.message());
        self.facts.row_count.set(-1);
    }

    /// What to tell a tracking client, created when there is something.
    pub(crate) fn changes(&mut self) -> &mut SessionChanges {
        self.changes.get_or_insert_default()
    }
}

/// The collation of string literals. Texts are UTF-8 once they have been received, whatever character set
/// the connection has, so a literal gets the UTF-8 collation that compares as the connection's does.
fn literal_collation(connection: Collation) -> Collation {
    match connection.charset() {
        Charset::Latin1 | Charset::Ascii if connection.name().ends_with("_bin") => Collation::UTF8MB4_BIN,
        Charset::Latin1 | Charset::Ascii => Collation::UTF8MB4_GENERAL_CI,
        _ => connection,
    }
}
