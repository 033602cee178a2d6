//! Statements that change the catalog.
//!
//! Each locks the names it creates or removes and the tables it changes, reads their newest rows, and writes new
//! ones: the session commits before and after. Rows of dropped tables and indexes are left to storage, which
//! may forget every index id that the catalog does not name.

mod all_rows;
mod alter;
mod column;
mod database;
mod foreign_key;
mod index;
mod online;
mod rebuild;
mod rule;
mod table;
mod view;

pub(crate) use column::data_type as column_type;
use std::sync::Arc;

use aquifer_catalog::{Database, Table, rows};
use aquifer_types::collation::CollationVersion;
use aquifer_types::{IndexId, SqlError, SqlResult, TableId};

use crate::ast::{Statement, TableName};
use crate::exec::ExecContext;
use crate::exec::write::lock;
use crate::expr::BindContext;
use crate::plan::{DdlPlan, Plan};
use crate::result::Done;
use crate::temporary::TemporaryTables;
use crate::txn::ReadMode;

pub(crate) async fn execute<'a>(
    ddl: &'a DdlPlan,
    plan: &'a Plan,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Done> {
    let bind = &plan.bind;
    match &ddl.statement {
        Statement::CreateDatabase(create) => database::create(create, ctx).await,
        Statement::AlterDatabase(alter) => database::alter(alter, bind, ctx).await,
        Statement::DropDatabase(drop) => database::drop(drop, ctx).await,
        Statement::CreateTable(create) => table::create(create, ddl.query.as_ref(), bind, ctx).await,
        Statement::CreateView(create) => view::create(create, ddl.query.as_ref(), bind, ctx).await,
        Statement::DropTable(drop) => table::drop(drop, bind, ctx).await,
        Statement::RenameTable(pairs) => table::rename(pairs, bind, ctx).await,
        Statement::Truncate(name) => table::truncate(name, bind, ctx).await,
        Statement::CreateIndex(create) => {
            let operations = [crate::ast::AlterOperation::AddIndex(create.index.clone())];
            alter::alter(&create.table, &operations, bind, ctx).await
        }
        Statement::DropIndex(drop) => {
            let operations = [crate::ast::AlterOperation::DropIndex(drop.name.clone())];
            alter::alter(&drop.table, &operations, bind, ctx).await
        }
        Statement::AlterTable(alter) => alter::alter(&alter.name, &alter.operations, bind, ctx).await,
        _ => Err(SqlError::not_supported("this statement")),
    }
}

/// Locks the keys of catalog rows and writes them.
async fn write(writes: Vec<rows::Write>, ctx: &ExecContext<'_>) -> SqlResult<()> {
    for (key, value) in writes {
        lock(&key, ctx).await?;
        match value {
            Some(value) => ctx.txn.put(key, value)?,
            None => ctx.txn.delete(key)?,
        }
    }
    Ok(())
}

fn schema_of<'n>(name: &'n TableName, bind: &'n BindContext) -> SqlResult<&'n str> {
    name.schema
        .as_deref()
        .or(bind.database.as_deref())
        .ok_or_else(|| SqlError::new(1046, "No database selected"))
}

fn database_of(schema: &str, ctx: &ExecContext<'_>) -> SqlResult<Arc<Database>> {
    if ctx.virtual_tables.has_schema(schema) {
        let user = ctx.eval.session.current_user.replace('@', "'@'");
        return Err(SqlError::new(1044, format!("Access denied for user '{user}' to database '{schema}'")));
    }
    let catalog = ctx.txn.catalog();
    let found = catalog.database(schema).cloned();
    found.ok_or_else(|| SqlError::new(1049, format!("Unknown database '{schema}'")))
}

/// Makes a definition the newest of its table.
async fn save(table: &Table, ctx: &ExecContext<'_>) -> SqlResult<()> {
    if table.id.is_temporary() {
        return temporary(ctx).map(|tables| tables.put_table(table.clone()));
    }
    write(rows::put_table(table), ctx).await
}

/// A number for a new index of a table that has its own number already.
async fn new_index_id(table: &Table, ctx: &ExecContext<'_>) -> SqlResult<IndexId> {
    if table.id.is_temporary() {
        return temporary(ctx)?.allocate_index_id(&table.name);
    }
    ctx.txn.allocate_index_id().await
}

/// Makes the indexes of a table others, with nothing in them yet.
async fn renew_indexes(table: &mut Table, ctx: &ExecContext<'_>) -> SqlResult<()> {
    for number in 0..table.indexes.len() {
        table.indexes[number].id = new_index_id(table, ctx).await?;
        table.indexes[number].collation_version = CollationVersion::default();
    }
    Ok(())
}

/// The session's temporary tables.
fn temporary<'c>(ctx: &ExecContext<'c>) -> SqlResult<&'c TemporaryTables> {
    ctx.txn.temporary().ok_or_else(|| SqlError::not_supported("TEMPORARY TABLE here"))
}

/// The temporary table of a name.
fn temporary_table(schema: &str, name: &str, ctx: &ExecContext<'_>) -> Option<Table> {
    ctx.txn.temporary()?;
    ctx.txn.catalog().temporary_table(schema, name).map(|table| Table::clone(table))
}

/// The number of the table of a name, after its name is locked.
async fn named(database: &Database, name: &str, ctx: &ExecContext<'_>) -> SqlResult<Option<TableId>> {
    let key = rows::table_name_key(database.id, name);
    let value = lock(&key, ctx).await?;
    let number = value.as_deref().and_then(|value| value.first_chunk::<4>());
    Ok(number.map(|bytes| TableId(u32::from_be_bytes(*bytes))))
}

/// The newest definition of a stored table, after the table is locked against all others.
async fn open(database: &Database, name: &str, ctx: &ExecContext<'_>) -> SqlResult<Option<Table>> {
    let Some(id) = named(database, name, ctx).await? else { return Ok(None) };
    ctx.txn.lock_table(id, ctx.ddl_wait).await?;
    let key = rows::table_key(database.id, id);
    let Some(value) = ctx.txn.get(&key, ReadMode::Latest).await? else { return Ok(None) };
    let mut table = rows::decode_table(&value)?;
    table.schema = database.name.clone();
    Ok(Some(table))
}

/// The temporary table of a name, or as [`open`]; error 1146 when there is none.
async fn open_existing(name: &TableName, bind: &BindContext, ctx: &ExecContext<'_>) -> SqlResult<Table> {
    let schema = schema_of(name, bind)?;
    if let Some(table) = temporary_table(schema, &name.name, ctx) {
        return Ok(table);
    }
    let database = database_of(schema, ctx)?;
    let found = open(&database, &name.name, ctx).await?;
    found.ok_or_else(|| crate::plan::binder::no_such_table(schema, &name.name))
}
