//! The session's temporary tables: when they come and go, and the plans that know them.
//!
//! A session that has some keeps its plans to itself, because their texts mean other tables to others. Changes of
//! rows end with the transaction; definitions stay until DROP, until the connection is reset, or until it ends.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use aquifer_catalog::{Catalog, Table};
use aquifer_sql::PlanKey;
use aquifer_sql::temporary::TemporaryTables;
use aquifer_types::{SqlError, SqlResult};

use crate::session::Session;
use crate::statement::{ReadyStatement, StatementCache};
use crate::variables::ids;

/// Statements whose plans a session with temporary tables keeps.
const STATEMENTS_MAX: usize = 64;

/// What a session has besides the node's tables.
pub(crate) struct Temporary {
    pub(crate) tables: TemporaryTables,
    statements: RefCell<StatementCache>,
    /// For which definitions the statements were made.
    generation: Cell<u64>,
}

impl Temporary {
    fn statements(&self) -> std::cell::RefMut<'_, StatementCache> {
        let mut statements = self.statements.borrow_mut();
        let generation = self.tables.generation();
        if self.generation.replace(generation) != generation {
            *statements = StatementCache::new(STATEMENTS_MAX);
        }
        statements
    }
}

impl Session {
    /// Makes room for temporary tables before a statement that may create one.
    pub(crate) fn prepare_temporary(&mut self) {
        if self.state.temporary.is_some() {
            return;
        }
        let memory = self.host.registry.temporary_memory();
        let max = self.host.registry.globals().get(ids::TEMPTABLE_MAX_RAM).as_u64();
        memory.limit(usize::try_from(max).unwrap_or(usize::MAX));
        self.state.temporary = Some(Rc::new(Temporary {
            tables: TemporaryTables::new(Arc::clone(memory)),
            statements: RefCell::new(StatementCache::new(STATEMENTS_MAX)),
            generation: Cell::new(0),
        }));
    }

    /// A catalog with the session's temporary tables over it.
    pub(crate) fn with_temporary(&self, catalog: Arc<Catalog>) -> Arc<Catalog> {
        match &self.state.temporary {
            None => catalog,
            Some(temporary) => temporary.tables.over(&catalog),
        }
    }

    /// Whether a name means a temporary table.
    pub(crate) fn is_temporary(&self, schema: &str, name: &str) -> bool {
        self.state.temporary.as_ref().is_some_and(|temporary| temporary.tables.contains(schema, name))
    }

    /// A statement of the cache.
    pub(crate) fn cached_statement(&self, key: &PlanKey<'_>) -> Option<Rc<ReadyStatement>> {
        match &self.state.temporary {
            None => self.host.statements.borrow_mut().get(key),
            Some(temporary) => temporary.statements().get(key),
        }
    }

    /// Keeps a statement in the cache.
    pub(crate) fn cache_statement(&self, key: &PlanKey<'_>, statement: &Rc<ReadyStatement>) {
        match &self.state.temporary {
            None => self.host.statements.borrow_mut().insert(key, statement),
            Some(temporary) => temporary.statements().insert(key, statement),
        }
    }

    /// The transaction has been committed: changes of temporary tables stay.
    pub(crate) fn commit_temporary(&mut self) {
        if let Some(temporary) = &self.state.temporary {
            temporary.tables.forget_undo();
            self.leave_temporary();
        }
    }

    /// The transaction has been rolled back, and so are changes of temporary tables.
    pub(crate) fn rollback_temporary(&mut self) {
        if let Some(temporary) = &self.state.temporary {
            temporary.tables.undo_to(0);
            self.leave_temporary();
        }
    }

    /// A session without temporary tables shares its plans again.
    fn leave_temporary(&mut self) {
        if self.state.temporary.as_ref().is_some_and(|temporary| temporary.tables.is_empty()) {
            self.state.temporary = None;
        }
    }

    /// A position to which the rows of temporary tables can go back.
    pub(crate) fn temporary_point(&self) -> usize {
        self.state.temporary.as_ref().map_or(0, |temporary| temporary.tables.point())
    }

    /// The next AUTO_INCREMENT value of a table of either kind, when it is known.
    pub(crate) fn next_auto_increment(&self, table: &Table) -> Option<u64> {
        if table.id.is_temporary() {
            return self.state.temporary.as_ref()?.tables.next_value(table.id);
        }
        self.host.node.auto_increment(table)
    }

    /// Definitions of temporary tables are refused in READ ONLY transactions, as those of others are.
    ///
    /// # Errors
    /// 1792.
    pub(crate) fn check_temporary_definition(&self) -> SqlResult<()> {
        let read_only = match &self.state.transaction {
            Some(open) => open.read_only,
            None => self.state.variables.effective().transaction_read_only,
        };
        if read_only {
            return Err(SqlError::new(1792, "Cannot execute statement in a READ ONLY transaction."));
        }
        Ok(())
    }
}
