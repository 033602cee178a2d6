//! CREATE, DROP, RENAME and TRUNCATE TABLE.

use std::sync::Arc;

use aquifer_catalog::{
    Column, ColumnDefault, ColumnId, Index, IndexKind, IndexState, Table, TableOptions, rows,
};
use aquifer_types::collation::CollationVersion;
use aquifer_types::{Collation, Lsn, SqlError, SqlResult, TableId};

use super::column::{choose_collation, column};
use super::rebuild::insert_query;
use super::{
    database_of, foreign_key, index, named, new_index_id, open, open_existing, renew_indexes, rule, save,
    schema_of, temporary, temporary_table, view, write,
};
use crate::ast::{
    ColumnDef, CreateTable, DropTable, IndexDef, IndexDefKind, IndexPartDef, TableName, TableOption,
};
use crate::exec::ExecContext;
use crate::expr::BindContext;
use crate::plan::binder::BoundQuery;
use crate::result::Done;

pub(super) async fn create<'a>(
    create: &CreateTable,
    query: Option<&'a BoundQuery>,
    bind: &BindContext,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Done> {
    if let Some(what) = create.refused {
        return Err(SqlError::not_supported(what));
    }
    let database = database_of(schema_of(&create.name, bind)?, ctx)?;
    let name = &create.name.name;
    if name.chars().count() > 64 {
        return Err(SqlError::new(1059, format!("Identifier name '{name}' is too long")));
    }
    let taken = if create.temporary {
        temporary_table(&database.name, name, ctx).is_some()
    } else {
        named(&database, name, ctx).await?.is_some()
    };
    if taken {
        let text = format!("Table '{name}' already exists");
        if create.if_not_exists {
            ctx.eval.warnings.note(1050, text);
            return Ok(Done::default());
        }
        return Err(SqlError::new(1050, text));
    }
    let id = if create.temporary {
        temporary(ctx)?.allocate_table_id()?
    } else {
        ctx.txn.allocate_table_id().await?
    };
    let mut table = match &create.like {
        Some(other) => like(other, (id, name), bind, ctx).await?,
        None => {
            let mut table = empty(database.collation);
            table.id = id;
            table.name = Arc::from(name.as_str());
            table.schema = database.name.clone();
            define(create, query, table, bind, ctx).await?
        }
    };
    table.id = id;
    table.database = database.id;
    table.name = Arc::from(name.as_str());
    table.schema = database.name.clone();
    rule::check_definition(&table, bind, ctx)?;
    table.options.created_unix_s = ctx.eval.now_micros / 1_000_000;
    let table = Arc::new(table);
    // A temporary table is known only when it has its rows, because nothing would take its definition back.
    let done = match query {
        Some(query) => insert_query(Arc::clone(&table), query, ctx).await?,
        None => Done::default(),
    };
    save(&table, ctx).await?;
    if create.temporary {
        temporary(ctx)?.keep_rows(&table);
    }
    Ok(done)
}

/// A copy of a table's definition with ids of its own.
async fn like(
    other: &TableName,
    (id, name): (TableId, &str),
    bind: &BindContext,
    ctx: &ExecContext<'_>,
) -> SqlResult<Table> {
    let schema = schema_of(other, bind)?;
    let catalog = ctx.txn.catalog();
    let found = catalog.table(schema, &other.name);
    let mut table =
        Table::clone(found.ok_or_else(|| crate::plan::binder::no_such_table(schema, &other.name))?);
    view::refuse(&table)?;
    table.id = id;
    table.name = Arc::from(name);
    renew_indexes(&mut table, ctx).await?;
    table.options.auto_increment = 0;
    // Foreign keys are not copied; the names of CHECK constraints would be taken.
    table.foreign_keys.clear();
    for (number, check) in table.checks.iter_mut().enumerate() {
        check.name = Arc::from(format!("{name}_chk_{}", number + 1));
    }
    table.layouts.clear();
    table.columns.iter_mut().for_each(|column| column.initial = None);
    table.push_layout();
    Ok(table)
}

async fn define(
    create: &CreateTable,
    query: Option<&BoundQuery>,
    mut table: Table,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Table> {
    let inherited = table.collation;
    let charset = option(&create.options, "CHARSET");
    table.collation = choose_collation(charset, option(&create.options, "COLLATE"), inherited)?;
    for option in &create.options {
        apply_option(&mut table, option)?;
    }
    for def in &create.columns {
        let id = take_column_id(&mut table);
        let column = column(id, def, table.collation, bind, ctx)?;
        push_column(&mut table, column)?;
    }
    if let Some(query) = query {
        query_columns(&mut table, query)?;
    }
    if table.columns.is_empty() {
        return Err(SqlError::new(1113, "A table must have at least 1 column"));
    }
    let inline = create.columns.iter().flat_map(inline_indexes);
    let (primary, others): (Vec<IndexDef>, Vec<IndexDef>) =
        inline.chain(create.indexes.iter().cloned()).partition(|def| def.kind == IndexDefKind::Primary);
    for def in primary.iter().chain(&others) {
        index::add(&mut table, def, bind, ctx).await?;
    }
    for check in create.columns.iter().flat_map(|column| &column.checks).chain(&create.checks) {
        rule::add_check(&mut table, check, ctx)?;
    }
    for key in &create.foreign_keys {
        foreign_key::add(&mut table, key, bind, ctx).await?;
    }
    complete(&mut table, ctx).await?;
    Ok(table)
}

/// Gives a table a hidden key if it needs one, and its first layout.
async fn complete(table: &mut Table, ctx: &ExecContext<'_>) -> SqlResult<()> {
    if !table.indexes.iter().any(|index| index.kind == IndexKind::Primary) {
        table.indexes.insert(0, hidden_index(table, ctx).await?);
    }
    index::check_auto_increment(table)?;
    index::arrange(table);
    table.push_layout();
    Ok(())
}

/// The index of a table without a primary key.
pub(super) async fn hidden_index(table: &Table, ctx: &ExecContext<'_>) -> SqlResult<Index> {
    Ok(Index {
        id: new_index_id(table, ctx).await?,
        name: Arc::from("GEN_CLUST_INDEX"),
        kind: IndexKind::Hidden,
        parts: Vec::new(),
        comment: String::new(),
        invisible: false,
        state: IndexState::Complete(Lsn(0)),
        collation_version: CollationVersion::default(),
    })
}

pub(super) fn empty(collation: Collation) -> Table {
    Table {
        id: TableId(0),
        database: aquifer_catalog::DatabaseId(0),
        schema: Arc::from(""),
        name: Arc::from(""),
        columns: Vec::new(),
        indexes: Vec::new(),
        layouts: Vec::new(),
        next_column: 1,
        collation,
        options: TableOptions::default(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        view: None,
        rebuild: None,
    }
}

fn option<'o>(options: &'o [TableOption], name: &str) -> Option<&'o str> {
    options.iter().rfind(|option| option.name == name).map(|option| option.value.as_str())
}

/// Options that are kept; all others change nothing and are accepted.
pub(super) fn apply_option(table: &mut Table, option: &TableOption) -> SqlResult<()> {
    match option.name.as_str() {
        "ENGINE" | "TYPE" => table.options.engine.clone_from(&option.value),
        "COMMENT" => table.options.comment.clone_from(&option.value),
        "ROW_FORMAT" => table.options.row_format = option.value.to_uppercase(),
        "AUTO_INCREMENT" => {
            table.options.auto_increment = option.value.parse().map_err(|_| {
                SqlError::new(1064, format!("Incorrect AUTO_INCREMENT value '{}'", option.value))
            })?;
        }
        _ => {}
    }
    Ok(())
}

/// The next column number of a table.
pub(super) fn take_column_id(table: &mut Table) -> ColumnId {
    table.next_column += 1;
    ColumnId(table.next_column - 1)
}

/// Adds a column at the end.
pub(super) fn push_column(table: &mut Table, column: Column) -> SqlResult<()> {
    if table.column_position(&column.name).is_some() {
        return Err(SqlError::new(1060, format!("Duplicate column name '{}'", column.name)));
    }
    table.columns.push(column);
    Ok(())
}

/// The indexes that a column's own attributes ask for.
pub(super) fn inline_indexes(def: &ColumnDef) -> Vec<IndexDef> {
    let part =
        || IndexPartDef { column: def.name.clone(), prefix: None, descending: false, expression: None };
    let index =
        |kind| IndexDef { kind, name: None, parts: vec![part()], comment: String::new(), invisible: false };
    let mut out = Vec::new();
    if def.primary {
        out.push(index(IndexDefKind::Primary));
    }
    if def.unique {
        out.push(index(IndexDefKind::Unique));
    }
    out
}

/// Columns that CREATE TABLE … SELECT adds for results without a definition.
fn query_columns(table: &mut Table, query: &BoundQuery) -> SqlResult<()> {
    for result in &query.columns {
        if table.column_position(&result.name).is_some() {
            continue;
        }
        let id = take_column_id(table);
        let mut data_type = result.ty.data_type.clone();
        if data_type.kind == aquifer_types::TypeKind::Null {
            data_type = aquifer_types::DataType {
                length: 0,
                ..aquifer_types::DataType::of(aquifer_types::TypeKind::Binary)
            };
        }
        push_column(
            table,
            Column {
                id,
                name: result.name.clone(),
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

pub(super) async fn drop(drop: &DropTable, bind: &BindContext, ctx: &mut ExecContext<'_>) -> SqlResult<Done> {
    let mut missing = Vec::new();
    let mut dropped = Vec::new();
    for name in &drop.names {
        dropped.push((schema_of(name, bind)?.to_owned(), name.name.clone()));
    }
    let mut temporary_ids = Vec::new();
    for name in &drop.names {
        let schema = schema_of(name, bind)?;
        if let Some(table) = temporary_table(schema, &name.name, ctx).filter(|_| !drop.views) {
            temporary_ids.push(table.id);
            continue;
        }
        let catalog = ctx.txn.catalog();
        let database = catalog.database(schema).cloned();
        let found = match database {
            Some(database) if !drop.temporary => open(&database, &name.name, ctx).await?,
            _ => None,
        };
        match found {
            Some(table) if drop.views && table.view.is_none() => {
                return Err(SqlError::new(1347, format!("'{schema}.{}' is not VIEW", table.name)));
            }
            Some(table) if drop.views == table.view.is_some() => {
                foreign_key::check_drop(&table, &dropped, ctx)?;
                write(rows::drop_table(&table), ctx).await?;
            }
            _ => missing.push(format!("{schema}.{}", name.name)),
        }
    }
    if !missing.is_empty() && !drop.if_exists {
        return Err(SqlError::new(1051, format!("Unknown table '{}'", missing.join(","))));
    }
    for name in missing {
        ctx.eval.warnings.note(1051, format!("Unknown table '{name}'"));
    }
    for id in temporary_ids {
        temporary(ctx)?.drop_table(id);
    }
    Ok(Done::default())
}

pub(super) async fn rename(
    pairs: &[(TableName, TableName)],
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Done> {
    for (old, new) in pairs {
        let table = open_existing(old, bind, ctx).await?;
        rename_one(&table, new, bind, ctx).await?;
    }
    Ok(Done::default())
}

/// Gives an open table another name.
pub(super) async fn rename_one(
    table: &Table,
    new: &TableName,
    bind: &BindContext,
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    if table.id.is_temporary() {
        return rename_temporary(table, new, bind, ctx);
    }
    let old = table;
    let database = database_of(schema_of(new, bind)?, ctx)?;
    if database.id == table.database && *new.name == *table.name {
        return Ok(());
    }
    if named(&database, &new.name, ctx).await?.is_some() {
        return Err(SqlError::new(1050, format!("Table '{}' already exists", new.name)));
    }
    let mut renamed = table.clone();
    renamed.schema = database.name.clone();
    renamed.name = Arc::from(new.name.as_str());
    foreign_key::follow(old, &renamed, ctx).await?;
    let mut table = table.clone();
    foreign_key::rename_in(&mut table, old, &renamed);
    write(rows::rename_table(&table, database.id, &new.name), ctx).await
}

fn rename_temporary(
    table: &Table,
    new: &TableName,
    bind: &BindContext,
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    let database = database_of(schema_of(new, bind)?, ctx)?;
    let same = |other: &Table| other.id == table.id;
    if temporary_table(&database.name, &new.name, ctx).is_some_and(|other| !same(&other)) {
        return Err(SqlError::new(1050, format!("Table '{}' already exists", new.name)));
    }
    let mut renamed = table.clone();
    renamed.database = database.id;
    renamed.schema = database.name.clone();
    renamed.name = Arc::from(new.name.as_str());
    temporary(ctx)?.put_table(renamed);
    Ok(())
}

/// A table under the same name with new ids: its counter starts again and its old rows are left to storage.
pub(super) async fn truncate(
    name: &TableName,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Done> {
    let old = open_existing(name, bind, ctx).await?;
    view::refuse(&old)?;
    foreign_key::check_truncate(&old, ctx)?;
    let mut new = old.clone();
    new.id = if old.id.is_temporary() {
        temporary(ctx)?.allocate_table_id()?
    } else {
        ctx.txn.allocate_table_id().await?
    };
    renew_indexes(&mut new, ctx).await?;
    new.options.auto_increment = 0;
    new.columns.iter_mut().for_each(|column| column.initial = None);
    let version = new.schema_version();
    new.layouts.retain(|layout| layout.version == version);
    if old.id.is_temporary() {
        // In this order, because what no table has is forgotten.
        temporary(ctx)?.put_table(new);
        temporary(ctx)?.drop_table(old.id);
        return Ok(Done::default());
    }
    let mut writes = rows::drop_table(&old);
    writes.extend(rows::put_table(&new));
    write(writes, ctx).await?;
    Ok(Done::default())
}
