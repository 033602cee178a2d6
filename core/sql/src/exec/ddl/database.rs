//! CREATE, ALTER and DROP DATABASE.

use aquifer_catalog::{Database, DatabaseId, rows};
use aquifer_types::{Collation, SqlError, SqlResult};

use super::column::choose_collation;
use super::{database_of, write};
use crate::ast::{CreateDatabase, DropDatabase};
use crate::exec::ExecContext;
use crate::exec::write::lock;
use crate::expr::BindContext;
use crate::result::Done;

pub(super) async fn create(create: &CreateDatabase, ctx: &mut ExecContext<'_>) -> SqlResult<Done> {
    let name = &create.name;
    if name.chars().count() > 64 {
        return Err(SqlError::new(1059, format!("Identifier name '{name}' is too long")));
    }
    let key = rows::database_name_key(name);
    if ctx.virtual_tables.has_schema(name) || lock(&key, ctx).await?.is_some() {
        let text = format!("Can't create database '{name}'; database exists");
        if create.if_not_exists {
            ctx.eval.warnings.note(1007, text);
            return Ok(Done { affected: 1, ..Done::default() });
        }
        return Err(SqlError::new(1007, text));
    }
    let collation = choose_collation(
        create.charset.as_deref(),
        create.collate.as_deref(),
        Collation::UTF8MB4_0900_AI_CI,
    )?;
    let id = DatabaseId(ctx.txn.allocate_table_id().await?.0);
    write(rows::put_database(&Database { id, name: name.as_str().into(), collation }), ctx).await?;
    Ok(Done { affected: 1, ..Done::default() })
}

pub(super) async fn alter(
    alter: &CreateDatabase,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Done> {
    let name = if alter.name.is_empty() { bind.database.as_deref() } else { Some(alter.name.as_str()) };
    let name = name.ok_or_else(|| SqlError::new(1046, "No database selected"))?;
    let mut database = (*database_of(name, ctx)?).clone();
    database.collation =
        choose_collation(alter.charset.as_deref(), alter.collate.as_deref(), database.collation)?;
    write(rows::put_database(&database), ctx).await?;
    Ok(Done { affected: 1, ..Done::default() })
}

pub(super) async fn drop(drop: &DropDatabase, ctx: &mut ExecContext<'_>) -> SqlResult<Done> {
    let name = &drop.name;
    lock(&rows::database_name_key(name), ctx).await?;
    let catalog = ctx.txn.catalog();
    let Some(database) = catalog.database(name).filter(|_| !ctx.virtual_tables.has_schema(name)) else {
        let text = format!("Can't drop database '{name}'; database doesn't exist");
        if drop.if_exists {
            ctx.eval.warnings.note(1008, text);
            return Ok(Done::default());
        }
        return Err(SqlError::new(1008, text));
    };
    let mut affected = 0;
    let dropped: Vec<(String, String)> =
        catalog.tables(database.id).map(|table| (name.clone(), table.name.to_string())).collect();
    for table in catalog.tables(database.id) {
        super::foreign_key::check_drop(table, &dropped, ctx)?;
        ctx.txn.lock_table(table.id, ctx.ddl_wait).await?;
        write(rows::drop_table(table), ctx).await?;
        affected += 1;
    }
    write(rows::drop_database(database), ctx).await?;
    Ok(Done { affected, ..Done::default() })
}
