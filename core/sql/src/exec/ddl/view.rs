//! CREATE VIEW and ALTER VIEW.

use std::sync::Arc;

use aquifer_catalog::{Column, ColumnDefault, ColumnId, Table, View, rows};
use aquifer_types::{DataType, SqlError, SqlResult, TypeKind};

use super::table::{empty, hidden_index, push_column};
use super::{database_of, open, schema_of, write};
use crate::ast::CreateView;
use crate::exec::ExecContext;
use crate::expr::BindContext;
use crate::plan::binder::BoundQuery;
use crate::result::Done;

pub(super) async fn create(
    create: &CreateView,
    query: Option<&BoundQuery>,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Done> {
    let Some(query) = query else { return Err(SqlError::not_supported("CREATE VIEW")) };
    let schema = schema_of(&create.name, bind)?;
    let database = database_of(schema, ctx)?;
    let name = &create.name.name;
    let known = open(&database, name, ctx).await?;
    match &known {
        Some(table) if table.view.is_none() && (create.alter || create.replace) => {
            return Err(SqlError::new(1347, format!("'{schema}.{name}' is not VIEW")));
        }
        Some(_) if create.if_not_exists => {
            ctx.eval.warnings.note(1050, format!("Table '{name}' already exists"));
            return Ok(Done::default());
        }
        Some(_) if !create.alter && !create.replace => {
            return Err(SqlError::new(1050, format!("Table '{name}' already exists")));
        }
        None if create.alter => return Err(crate::plan::binder::no_such_table(schema, name)),
        _ => {}
    }
    let mut table = empty(database.collation);
    table.id = match &known {
        Some(old) => old.id,
        None => ctx.txn.allocate_table_id().await?,
    };
    table.database = database.id;
    table.name = Arc::from(name.as_str());
    table.schema = database.name.clone();
    table.options.created_unix_s = ctx.eval.now_micros / 1_000_000;
    table.indexes.push(hidden_index(&table, ctx).await?);
    columns(&mut table, create, query)?;
    table.view = Some(View {
        query: create.text.clone(),
        columns: query.columns.iter().map(|column| column.name.clone()).collect(),
        algorithm: create.algorithm,
        check_option: create.check_option,
        definer: create.definer.clone().unwrap_or_else(|| ctx.eval.session.current_user.clone()),
        invoker: create.invoker,
        sql_mode: create.sql_mode.bits(),
        database: bind.database.clone().unwrap_or_default(),
    });
    write(rows::put_table(&table), ctx).await?;
    Ok(Done::default())
}

fn columns(table: &mut Table, create: &CreateView, query: &BoundQuery) -> SqlResult<()> {
    if !create.columns.is_empty() && create.columns.len() != query.columns.len() {
        let text = "In definition of view, derived table or common table expression, SELECT list and column names \
                    list have different column counts";
        return Err(SqlError::new(1353, text));
    }
    for (number, result) in query.columns.iter().enumerate() {
        let name =
            create.columns.get(number).map_or_else(|| result.name.clone(), |name| Arc::from(name.as_str()));
        let mut data_type = result.ty.data_type.clone();
        if data_type.kind == TypeKind::Null {
            data_type = DataType { length: 0, ..DataType::of(TypeKind::Binary) };
        }
        push_column(
            table,
            Column {
                id: ColumnId(u32::try_from(number).unwrap_or(u32::MAX)),
                name,
                data_type,
                nullable: result.ty.nullable,
                default: ColumnDefault::None,
                initial: None,
                on_update: None,
                auto_increment: false,
                invisible: false,
                comment: String::new(),
                generated: None,
                hidden: false,
            },
        )?;
    }
    Ok(())
}

/// Error 1347 for what only tables have.
pub(super) fn refuse(table: &Table) -> SqlResult<()> {
    if table.view.is_none() {
        return Ok(());
    }
    Err(SqlError::new(1347, format!("'{}.{}' is not BASE TABLE", table.schema, table.name)))
}
