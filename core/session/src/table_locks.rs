//! LOCK TABLES, UNLOCK TABLES and FLUSH TABLES WITH READ LOCK.
//!
//! The locks belong to a transaction of their own, the holder, which the session keeps beside its open one; giving
//! them up is rolling it back. A WRITE lock is what DDL takes: it waits for transactions that use the table and
//! keeps new ones out. A READ lock is a lock on the range of all the table's rows: nobody writes in it, everybody
//! reads. The session's own transactions pass its WRITE locks; that it keeps to its tables is checked by name.

use std::rc::Rc;

use aquifer_catalog::Table;
use aquifer_sql::ast::{LockTables, TableName};
use aquifer_sql::txn::LockWait;
use aquifer_types::key::{KeyEncoder, successor};
use aquifer_types::{SqlError, SqlResult, TableId};
use bytes::Bytes;

use crate::access::{self, Requirement};
use crate::node::NodeTxn;
use crate::session::Session;
use crate::variables::Isolation;

/// What one LOCK TABLES has locked.
pub(crate) struct TableLocks {
    holder: Rc<dyn NodeTxn>,
    tables: Vec<LockedTable>,
    /// Those with a WRITE lock.
    passed: Rc<[TableId]>,
}

struct LockedTable {
    schema: String,
    name: String,
    write: bool,
}

/// FLUSH TABLES WITH READ LOCK.
pub(crate) struct GlobalReadLock {
    holder: Rc<dyn NodeTxn>,
}

impl TableLocks {
    /// Error 1100 or 1099 when a statement goes beyond what is locked.
    fn check(&self, requirement: &Requirement) -> SqlResult<()> {
        let Requirement { schema, table, name, .. } = requirement;
        if table.is_empty() || aquifer_sql::virtual_tables::schema_name(schema).is_some() {
            return Ok(());
        }
        let locked = self.tables.iter().find(|locked| locked.schema == *schema && locked.name == *table);
        match locked {
            None => Err(SqlError::new(1100, format!("Table '{table}' was not locked with LOCK TABLES"))),
            Some(locked) if !locked.write && *name != "SELECT" => Err(SqlError::new(
                1099,
                format!("Table '{table}' was locked with a READ lock and can't be updated"),
            )),
            Some(_) => Ok(()),
        }
    }
}

impl Session {
    /// Tables that the session's transactions may use although they are locked.
    pub(crate) fn passed_tables(&self) -> Rc<[TableId]> {
        self.state.table_locks.as_ref().map_or_else(|| Rc::from([]), |locks| Rc::clone(&locks.passed))
    }

    /// LOCK TABLES: commits, gives up earlier locks, and takes all of these or none.
    ///
    /// # Errors
    /// 1044, 1142, 1146, 1205, those of the commit.
    pub(crate) async fn lock_tables(&mut self, asked: &LockTables) -> SqlResult<()> {
        for (name, _) in &asked.0 {
            self.may_lock(name)?;
        }
        self.commit_open().await?;
        self.state.table_locks = None;
        let mut found = Vec::with_capacity(asked.0.len());
        for (name, write) in &asked.0 {
            let schema = name.schema.as_deref().or(self.state.database());
            if schema.is_some_and(|schema| self.is_temporary(schema, &name.name)) {
                // Nobody else knows it.
                continue;
            }
            found.push((self.table_to_lock(name)?, *write));
        }
        // The same order for everybody, and of several locks on one table the strongest first.
        found.sort_by_key(|(table, write)| (table.id, !*write));
        found.dedup_by_key(|(table, _)| table.id);
        let holder = self.begin_txn(false, Isolation::RepeatableRead);
        for (table, write) in &found {
            if let Err(error) = self.lock_one(&*holder, table, *write).await {
                holder.rollback();
                return Err(error);
            }
        }
        let passed = found.iter().filter(|(_, write)| *write).map(|(table, _)| table.id).collect();
        let locked = |(table, write): &(std::sync::Arc<Table>, bool)| LockedTable {
            schema: table.schema.to_string(),
            name: table.name.to_string(),
            write: *write,
        };
        self.state.table_locks =
            Some(TableLocks { holder, tables: found.iter().map(locked).collect(), passed });
        Ok(())
    }

    /// Who locks a table may lock tables in its database and read it.
    fn may_lock(&self, name: &TableName) -> SqlResult<()> {
        let schema = name.schema.as_deref().or(self.state.database());
        if let (Some(identity), Some(schema)) = (&self.state.identity, schema)
            && !self.is_temporary(schema, &name.name)
            && !identity.rights.on_database(schema).contains(access::privilege("LOCK TABLES"))
        {
            return Err(access::no_database(identity, schema));
        }
        self.need_on_table(name, &["SELECT"])
    }

    fn table_to_lock(&self, name: &TableName) -> SqlResult<std::sync::Arc<Table>> {
        let schema = name.schema.as_deref().or(self.state.database());
        let schema = schema.ok_or_else(|| SqlError::new(1046, "No database selected"))?;
        let found = self.host.node.catalog().table(schema, &name.name).cloned();
        found.ok_or_else(|| SqlError::new(1146, format!("Table '{schema}.{}' doesn't exist", name.name)))
    }

    async fn lock_one(&self, holder: &dyn NodeTxn, table: &Table, write: bool) -> SqlResult<()> {
        let wait = self.state.variables.effective().lock_wait_timeout;
        if write {
            return holder.lock_table(table.id, wait).await;
        }
        holder.use_table(table.id, wait).await?;
        let start = KeyEncoder::new(table.indexes[0].id).finish();
        let end = successor(&start);
        holder.lock_range(start..end, LockWait::Timeout(wait)).await
    }

    /// UNLOCK TABLES: commits if tables were locked, and gives up all locks.
    ///
    /// # Errors
    /// Those of the commit.
    pub(crate) async fn unlock_tables(&mut self) -> SqlResult<()> {
        self.state.global_read_lock = None;
        if self.state.table_locks.is_some() {
            let committed = self.commit_open().await;
            self.state.table_locks = None;
            committed?;
        }
        Ok(())
    }

    /// FLUSH TABLES WITH READ LOCK: nobody writes anything until UNLOCK TABLES.
    ///
    /// # Errors
    /// 1205; those of the commit of what is open.
    pub(crate) async fn lock_everything(&mut self) -> SqlResult<()> {
        self.commit_open().await?;
        self.state.table_locks = None;
        if self.state.global_read_lock.is_some() {
            return Ok(());
        }
        let holder = self.begin_txn(true, Isolation::RepeatableRead);
        let wait = LockWait::Timeout(self.state.variables.effective().lock_wait_timeout);
        let everything = Bytes::from_static(&[0; 4])..Bytes::from_static(&[0xFF; 4]);
        match holder.lock_range(everything, wait).await {
            Ok(()) => {
                self.state.global_read_lock = Some(GlobalReadLock { holder });
                Ok(())
            }
            Err(error) => {
                holder.rollback();
                Err(error)
            }
        }
    }

    /// Whether a statement keeps to what the session has locked.
    ///
    /// # Errors
    /// 1100, 1099, 1223.
    pub(crate) fn check_locked_tables(&self, requirements: &[Requirement], writes: bool) -> SqlResult<()> {
        let changes = || requirements.iter().any(|requirement| requirement.name != "SELECT");
        if writes && self.state.global_read_lock.is_some() && changes() {
            let text = "Can't execute the query because you have a conflicting read lock";
            return Err(SqlError::new(1223, text));
        }
        match &self.state.table_locks {
            None => Ok(()),
            Some(locks) => requirements.iter().try_for_each(|requirement| locks.check(requirement)),
        }
    }
}

impl Drop for TableLocks {
    fn drop(&mut self) {
        Rc::clone(&self.holder).rollback();
    }
}

impl Drop for GlobalReadLock {
    fn drop(&mut self) {
        Rc::clone(&self.holder).rollback();
    }
}
