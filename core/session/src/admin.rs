//! KILL, FLUSH, LOCK TABLES, table maintenance; accounts are in [`crate::accounts`].

use aquifer_sql::ast::{AdminStatement, Flush, TableMaintenance};
use aquifer_sql::statistics::sample;
use aquifer_sql::virtual_tables::show::Shown;
use aquifer_types::{SqlError, SqlResult, Value};
use bytes::Bytes;

use crate::outcome::Failure;
use crate::session::Session;
use crate::variables::Isolation;

/// What KILL ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KillTarget {
    /// KILL QUERY.
    Statement,
    /// KILL.
    Connection,
}

impl Session {
    /// Runs a statement about the server; some give rows.
    ///
    /// # Errors
    /// Those of the statement.
    pub(crate) async fn run_admin(&mut self, admin: &AdminStatement) -> Result<Option<Shown>, Failure> {
        match admin {
            AdminStatement::Kill { query_only, connection } => {
                let target = if *query_only { KillTarget::Statement } else { KillTarget::Connection };
                self.kill(*connection, target)?;
            }
            AdminStatement::CreateUser { if_not_exists, accounts, default_roles } => {
                self.create_users(accounts, default_roles, *if_not_exists).await?;
            }
            AdminStatement::AlterUser { if_exists, accounts } => {
                self.alter_users(accounts, *if_exists).await?
            }
            AdminStatement::DropUser { if_exists, accounts } => {
                self.need_global("CREATE USER", "CREATE USER")?;
                self.drop_accounts("DROP USER", accounts, *if_exists).await?;
            }
            AdminStatement::RenameUser(pairs) => self.rename_users(pairs).await?,
            AdminStatement::Grant(grant) => self.run_grant(grant).await?,
            AdminStatement::Role(statement) => self.run_role(statement).await?,
            AdminStatement::Flush(flush) => self.flush_server(flush).await?,
            AdminStatement::LockTables(tables) => self.lock_tables(tables).await?,
            AdminStatement::UnlockTables => self.unlock_tables().await?,
            AdminStatement::Maintenance(maintenance) => {
                for table in &maintenance.tables {
                    self.need_on_table(table, needed_for(maintenance.operation))?;
                }
                match maintenance.operation {
                    "analyze" => self.sample_tables(maintenance).await?,
                    "optimize" => {
                        self.optimize_tables(maintenance).await?;
                        self.sample_tables(maintenance).await?;
                    }
                    _ => {}
                }
                return Ok(Some(self.maintain(maintenance)));
            }
            AdminStatement::Reset(what) => self.reset_server(what)?,
        }
        Ok(None)
    }

    /// KILL and COM_PROCESS_KILL.
    ///
    /// # Errors
    /// 1094 for an unknown connection, 1095 for another user's, 1317 for this one's own statement.
    pub(crate) fn kill(&mut self, id: u64, target: KillTarget) -> SqlResult<()> {
        let found = self.host.registry.connection(id);
        let entry = found.ok_or_else(|| SqlError::new(1094, format!("Unknown thread id: {id}")))?;
        let now = self.host.registry.now_ms();
        let own = entry.view(now).user == self.entry.view(now).user;
        if !own && self.need_global("SUPER or CONNECTION_ADMIN", "CONNECTION_ADMIN").is_err() {
            return Err(SqlError::new(1095, format!("You are not owner of thread {id}")));
        }
        match target {
            KillTarget::Statement => entry.kill_query(),
            KillTarget::Connection => entry.kill_connection(),
        }
        if id == self.entry.id() {
            return Err(SqlError::new(1317, "Query execution was interrupted"));
        }
        Ok(())
    }

    async fn flush_server(&mut self, flush: &Flush) -> SqlResult<()> {
        match flush {
            Flush::TablesWithReadLock => {
                self.need_global("RELOAD", "RELOAD")?;
                self.lock_everything().await
            }
            Flush::Other(_) => {
                self.need_global("RELOAD", "RELOAD")?;
                self.host.registry.auth_cache().clear();
                Ok(())
            }
        }
    }

    fn reset_server(&mut self, what: &str) -> SqlResult<()> {
        if what.starts_with("QUERY CACHE") {
            return Ok(());
        }
        Err(SqlError::not_supported(&format!("RESET {what}")))
    }

    fn check_table_exists(&self, name: &aquifer_sql::ast::TableName) -> SqlResult<()> {
        let Some(schema) = name.schema.as_deref().or(self.state.database()) else {
            return Err(SqlError::new(1046, "No database selected"));
        };
        let catalog = self.with_temporary(self.host.node.catalog());
        let known = aquifer_sql::virtual_tables::schema_name(schema).is_some()
            || catalog.table(schema, &name.name).is_some();
        if known {
            return Ok(());
        }
        Err(SqlError::new(1146, format!("Table '{schema}.{}' doesn't exist", name.name)))
    }

    /// ANALYZE TABLE: how many rows share a value of each index, from samples. Plans on this executor are made anew with
    /// them at once, others when they are next made.
    async fn sample_tables(&mut self, maintenance: &TableMaintenance) -> Result<(), Failure> {
        let catalog = self.host.node.catalog();
        for name in &maintenance.tables {
            let schema = name.schema.as_deref().or(self.state.database()).unwrap_or_default();
            let Some(table) = catalog.table(schema, &name.name).filter(|table| table.view.is_none()) else {
                continue;
            };
            let txn = self.begin_txn(true, Isolation::RepeatableRead);
            let sampled = sample(txn.as_txn(), table, self.host.node.statistics()).await;
            txn.rollback();
            for (index, found) in sampled? {
                self.host.node.keep_sample(index, found);
            }
        }
        self.host.statements.borrow_mut().forget_estimated();
        Ok(())
    }

    /// OPTIMIZE TABLE, one table after the other.
    async fn optimize_tables(&self, maintenance: &TableMaintenance) -> SqlResult<()> {
        let catalog = self.host.node.catalog();
        for name in &maintenance.tables {
            let schema = name.schema.as_deref().or(self.state.database()).unwrap_or_default();
            if let Some(table) = catalog.table(schema, &name.name).filter(|table| table.view.is_none()) {
                self.host.node.optimize(table, self.entry.interrupt()).await?;
            }
        }
        Ok(())
    }

    /// ANALYZE, CHECK, OPTIMIZE, REPAIR, CHECKSUM TABLE: beyond [`Session::sample_tables`] and
    /// [`Session::optimize_tables`] there is nothing to do; the answer says so.
    fn maintain(&self, maintenance: &TableMaintenance) -> Shown {
        let mut rows = Vec::new();
        for name in &maintenance.tables {
            let schema = name.schema.as_deref().or(self.state.database()).unwrap_or_default();
            let full = format!("{schema}.{}", name.name);
            match self.check_table_exists(name) {
                Ok(()) => maintained(maintenance.operation, &full, &mut rows),
                Err(error) => {
                    let message = error.message().to_owned();
                    rows.push(line(&full, maintenance.operation, "Error", &message));
                    rows.push(line(&full, maintenance.operation, "status", "Operation failed"));
                }
            }
        }
        Shown::new("Table:v128 Op:v10 Msg_type:v10 Msg_text:x", rows)
    }
}

/// What table maintenance needs.
fn needed_for(operation: &str) -> &'static [&'static str] {
    match operation {
        "check" | "checksum" => &["SELECT"],
        _ => &["SELECT", "INSERT"],
    }
}

fn maintained(operation: &str, table: &str, rows: &mut Vec<Vec<Value>>) {
    if operation == "optimize" {
        let note = "Table does not support optimize, doing recreate + analyze instead";
        rows.push(line(table, operation, "note", note));
    }
    if operation == "repair" {
        rows.push(line(table, operation, "note", "The storage engine for the table doesn't support repair"));
        return;
    }
    rows.push(line(table, operation, "status", "OK"));
}

fn line(table: &str, operation: &str, kind: &str, message: &str) -> Vec<Value> {
    let text = |text: &str| Value::Bytes(Bytes::copy_from_slice(text.as_bytes()));
    vec![text(table), text(operation), text(kind), text(message)]
}
