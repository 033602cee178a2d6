//! Definitions of foreign keys: what a child asks of its parent, and what a parent may not do to its children.

use std::sync::Arc;

use aquifer_catalog::{Column, ColumnId, ForeignKey, ReferentialAction, Table, rows};
use aquifer_types::{DataType, SqlError, SqlResult, TypeKind};

use super::{index, open, write};
use crate::ast::{ForeignKeyDef, IndexDef, IndexDefKind, IndexPartDef, ReferentialActionDef};
use crate::exec::{ExecContext, ForeignKeyChecks};
use crate::expr::BindContext;
use crate::plan::foreign::{names, parent_columns};

fn obeyed(ctx: &ExecContext<'_>) -> bool {
    ctx.foreign_key_checks == ForeignKeyChecks::On
}

/// Adds a foreign key, and an index on its columns when there is none. `table` has its names already.
pub(super) async fn add(
    table: &mut Table,
    def: &ForeignKeyDef,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    if table.id.is_temporary() {
        return Err(SqlError::new(1215, "Cannot add foreign key constraint"));
    }
    let name = match &def.name {
        Some(name) => name.clone(),
        None => generated_name(table),
    };
    check_name(table, &name, ctx)?;
    if def.parent_columns.len() != def.columns.len() {
        let text = format!(
            "Incorrect foreign key definition for '{name}': Key reference and table reference don't match"
        );
        return Err(SqlError::new(1239, text));
    }
    let key = ForeignKey {
        columns: own_columns(table, def)?,
        parent_schema: Arc::from(def.parent.schema.as_deref().unwrap_or(&table.schema)),
        parent_table: Arc::from(def.parent.name.as_str()),
        parent_columns: def.parent_columns.iter().map(|column| Arc::from(column.as_str())).collect(),
        on_delete: action(def.on_delete)?,
        on_update: action(def.on_update)?,
        name: Arc::from(name.as_str()),
    };
    check_set_null(table, &key)?;
    add_index(table, def, &key, bind, ctx).await?;
    check_parent(table, &key, ctx).await?;
    table.foreign_keys.push(key);
    Ok(())
}

fn action(def: ReferentialActionDef) -> SqlResult<ReferentialAction> {
    Ok(match def {
        ReferentialActionDef::NoAction => ReferentialAction::NoAction,
        ReferentialActionDef::Restrict => ReferentialAction::Restrict,
        ReferentialActionDef::Cascade => ReferentialAction::Cascade,
        ReferentialActionDef::SetNull => ReferentialAction::SetNull,
        ReferentialActionDef::SetDefault => {
            return Err(SqlError::new(1215, "Cannot add foreign key constraint"));
        }
    })
}

/// `table_ibfk_n`, with the number after the largest in use.
fn generated_name(table: &Table) -> String {
    let prefix = format!("{}_ibfk_", table.name);
    let numbers =
        table.foreign_keys.iter().filter_map(|key| key.name.strip_prefix(&*prefix)?.parse::<u32>().ok());
    format!("{prefix}{}", numbers.max().unwrap_or(0) + 1)
}

/// Names of foreign keys are unique in a database.
fn check_name(table: &Table, name: &str, ctx: &ExecContext<'_>) -> SqlResult<()> {
    if name.chars().count() > 64 {
        return Err(SqlError::new(1059, format!("Identifier name '{name}' is too long")));
    }
    let same = |key: &ForeignKey| key.name.eq_ignore_ascii_case(name);
    let catalog = ctx.txn.catalog();
    let database = catalog.database(&table.schema);
    let others = database.into_iter().flat_map(|database| catalog.tables(database.id));
    let taken = others.filter(|other| other.id != table.id).any(|other| other.foreign_keys.iter().any(same));
    if taken || table.foreign_keys.iter().any(same) {
        return Err(SqlError::new(1826, format!("Duplicate foreign key constraint name '{name}'")));
    }
    Ok(())
}

fn own_columns(table: &Table, def: &ForeignKeyDef) -> SqlResult<Vec<ColumnId>> {
    let mut ids: Vec<ColumnId> = Vec::new();
    for name in &def.columns {
        let Some(position) = table.column_position(name) else {
            return Err(SqlError::new(1072, format!("Key column '{name}' doesn't exist in table")));
        };
        let id = table.columns[position].id;
        if ids.contains(&id) {
            return Err(SqlError::new(1060, format!("Duplicate column name '{name}'")));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// SET NULL needs columns that can be NULL, and no stored generated ones.
fn check_set_null(table: &Table, key: &ForeignKey) -> SqlResult<()> {
    let nulls = [key.on_delete, key.on_update].contains(&ReferentialAction::SetNull);
    for column in key.columns.iter().filter_map(|id| table.position_of(*id)).map(|at| &table.columns[at]) {
        if nulls && !column.nullable {
            let text = format!(
                "Column '{}' cannot be NOT NULL: needed in a foreign key constraint '{}' SET NULL",
                column.name, key.name
            );
            return Err(SqlError::new(1830, text));
        }
        if column.generated.as_ref().is_some_and(|generated| !generated.stored) {
            return Err(SqlError::new(
                3733,
                format!(
                    "Foreign key '{}' uses virtual column '{}' which is not supported.",
                    key.name, column.name
                ),
            ));
        }
    }
    Ok(())
}

async fn add_index(
    table: &mut Table,
    def: &ForeignKeyDef,
    key: &ForeignKey,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    if table.index_starting_with(&key.columns).is_some() {
        return Ok(());
    }
    let part = |column: &String| IndexPartDef {
        column: column.clone(),
        prefix: None,
        descending: false,
        expression: None,
    };
    let wanted = def.name.as_ref().or(def.index_name.as_ref());
    let index = IndexDef {
        kind: IndexDefKind::Plain,
        name: wanted.filter(|name| table.index_named(name).is_none()).cloned(),
        parts: def.columns.iter().map(part).collect(),
        comment: String::new(),
        invisible: false,
    };
    index::add(table, &index, bind, ctx).await
}

/// The newest definition of a foreign key's parent, locked; `None` when there is no such table.
async fn parent_of(table: &Table, key: &ForeignKey, ctx: &ExecContext<'_>) -> SqlResult<Option<Table>> {
    if names(key, table) {
        return Ok(Some(table.clone()));
    }
    let catalog = ctx.txn.catalog();
    let Some(database) = catalog.database(&key.parent_schema) else { return Ok(None) };
    open(database, &key.parent_table, ctx).await
}

/// Whether the parent has what a foreign key needs.
async fn check_parent(table: &Table, key: &ForeignKey, ctx: &ExecContext<'_>) -> SqlResult<()> {
    let name = &key.name;
    let Some(parent) = parent_of(table, key, ctx).await? else {
        if !obeyed(ctx) {
            return Ok(());
        }
        return Err(SqlError::new(
            1824,
            format!("Failed to open the referenced table '{}'", key.parent_table),
        ));
    };
    if parent.view.is_some() {
        return Err(SqlError::new(1347, format!("'{}.{}' is not BASE TABLE", parent.schema, parent.name)));
    }
    fits(table, key, &parent)?;
    let ids = parent_columns(key, &parent).unwrap_or_default();
    if parent.index_starting_with(&ids).is_none() && obeyed(ctx) {
        let text = format!(
            "Failed to add the foreign key constraint. Missing index for constraint '{name}' in the referenced \
             table '{}'",
            parent.name
        );
        return Err(SqlError::new(1822, text));
    }
    Ok(())
}

/// Whether the columns of a foreign key and of its parent go together.
fn fits(table: &Table, key: &ForeignKey, parent: &Table) -> SqlResult<()> {
    let name = &key.name;
    for (id, parent_name) in key.columns.iter().zip(&key.parent_columns) {
        let Some(position) = parent.column_position(parent_name) else {
            let text = format!(
                "Failed to add the foreign key constraint. Missing column '{parent_name}' for constraint '{name}' \
                 in the referenced table '{}'",
                parent.name
            );
            return Err(SqlError::new(3734, text));
        };
        let Some(own) = table.position_of(*id) else { continue };
        let (own, other) = (&table.columns[own], &parent.columns[position]);
        if !compatible(&own.data_type, &other.data_type) {
            let text = format!(
                "Referencing column '{}' and referenced column '{}' in foreign key constraint '{name}' are \
                 incompatible.",
                own.name, other.name
            );
            return Err(SqlError::new(3780, text));
        }
    }
    Ok(())
}

/// Types between which a foreign key may be: lengths of strings may differ.
fn compatible(a: &DataType, b: &DataType) -> bool {
    let text = |ty: &DataType| matches!(ty.kind, TypeKind::Char | TypeKind::VarChar);
    let binary = |ty: &DataType| matches!(ty.kind, TypeKind::Binary | TypeKind::VarBinary);
    if text(a) && text(b) {
        return a.collation == b.collation;
    }
    if binary(a) && binary(b) {
        return true;
    }
    a.kind == b.kind
        && match a.kind {
            TypeKind::Decimal => a.length == b.length && a.decimals == b.decimals && a.unsigned == b.unsigned,
            TypeKind::Enum | TypeKind::Set => a.collation == b.collation,
            TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => a.decimals == b.decimals,
            _ => a.unsigned == b.unsigned,
        }
}

/// Removes a foreign key by name.
pub(super) fn drop(table: &mut Table, name: &str) -> SqlResult<()> {
    let before = table.foreign_keys.len();
    table.foreign_keys.retain(|key| !key.name.eq_ignore_ascii_case(name));
    if table.foreign_keys.len() == before {
        return Err(SqlError::new(1091, format!("Can't DROP '{name}'; check that column/key exists")));
    }
    Ok(())
}

/// Refuses to drop a table that others refer to, unless they are dropped with it.
pub(super) fn check_drop(
    table: &Table,
    dropped: &[(String, String)],
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    if !obeyed(ctx) || table.id.is_temporary() {
        return Ok(());
    }
    let catalog = ctx.txn.catalog();
    for child in catalog.children(&table.schema, &table.name).filter(|child| child.id != table.id) {
        let goes = dropped.iter().any(|(schema, name)| *child.schema == **schema && *child.name == **name);
        if let Some(key) = child.foreign_keys.iter().find(|key| names(key, table) && !goes) {
            let text = format!(
                "Cannot drop table '{}' referenced by a foreign key constraint '{}' on table '{}'.",
                table.name, key.name, child.name
            );
            return Err(SqlError::new(3730, text));
        }
    }
    Ok(())
}

/// Refuses to empty a table that others refer to.
pub(super) fn check_truncate(table: &Table, ctx: &ExecContext<'_>) -> SqlResult<()> {
    if !obeyed(ctx) || table.id.is_temporary() {
        return Ok(());
    }
    let catalog = ctx.txn.catalog();
    let child = catalog.children(&table.schema, &table.name).find(|child| child.id != table.id);
    let key =
        child.and_then(|child| child.foreign_keys.iter().find(|key| names(key, table)).map(|k| (child, k)));
    match key {
        None => Ok(()),
        Some((child, key)) => Err(SqlError::new(
            1701,
            format!(
                "Cannot truncate a table referenced in a foreign key constraint ({})",
                crate::virtual_tables::create_table::constraint_text(child, key)
            ),
        )),
    }
}

/// What ALTER TABLE may not take from a table: indexes and columns that foreign keys need.
pub(super) fn check_altered(old: &Table, new: &Table, ctx: &ExecContext<'_>) -> SqlResult<()> {
    for key in &new.foreign_keys {
        if let Some(id) = key.columns.iter().find(|id| new.position_of(**id).is_none()) {
            let text = format!(
                "Cannot drop column '{}': needed in a foreign key constraint '{}'",
                column_name(old, *id),
                key.name
            );
            return Err(SqlError::new(1828, text));
        }
        if new.index_starting_with(&key.columns).is_none() {
            return Err(needed_index(old, &key.columns));
        }
        check_types(old, new, &key.columns, &key.name, None, ctx)?;
    }
    if old.id.is_temporary() {
        return Ok(());
    }
    let catalog = ctx.txn.catalog();
    for child in catalog.children(&old.schema, &old.name) {
        for key in child.foreign_keys.iter().filter(|key| names(key, old)) {
            let Some(ids) = parent_columns(key, old) else { continue };
            if let Some(gone) = ids.iter().find(|id| new.position_of(**id).is_none()) {
                let text = format!(
                    "Cannot drop column '{}': needed in a foreign key constraint '{}' of table '{}'",
                    column_name(old, *gone),
                    key.name,
                    child.name
                );
                return Err(SqlError::new(1829, text));
            }
            if old.index_starting_with(&ids).is_some() && new.index_starting_with(&ids).is_none() {
                return Err(needed_index(old, &ids));
            }
            check_types(old, new, &ids, &key.name, Some(&child.name), ctx)?;
        }
    }
    Ok(())
}

fn column_name(table: &Table, id: ColumnId) -> &str {
    table.position_of(id).map_or("", |position| &table.columns[position].name)
}

fn needed_index(old: &Table, columns: &[ColumnId]) -> SqlError {
    let name = old.index_starting_with(columns).map_or("", |index| &index.name);
    SqlError::new(1553, format!("Cannot drop index '{name}': needed in a foreign key constraint"))
}

fn check_types(
    old: &Table,
    new: &Table,
    columns: &[ColumnId],
    key: &str,
    child: Option<&str>,
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    let of = |table: &Table, id: ColumnId| table.position_of(id).map(|at| table.columns[at].clone());
    for id in columns {
        let (Some(before), Some(after)): (Option<Column>, Option<Column>) = (of(old, *id), of(new, *id))
        else {
            continue;
        };
        if compatible(&before.data_type, &after.data_type) || !obeyed(ctx) {
            continue;
        }
        let column = &before.name;
        return Err(match child {
            None => SqlError::new(
                1832,
                format!("Cannot change column '{column}': used in a foreign key constraint '{key}'"),
            ),
            Some(child) => SqlError::new(
                1833,
                format!(
                    "Cannot change column '{column}': used in a foreign key constraint '{key}' of table '{child}'"
                ),
            ),
        });
    }
    Ok(())
}

/// Writes the children of a table that has another name or other names of columns now.
pub(super) async fn follow(old: &Table, new: &Table, ctx: &ExecContext<'_>) -> SqlResult<()> {
    if old.id.is_temporary() {
        return Ok(());
    }
    let catalog = ctx.txn.catalog();
    let children: Vec<Arc<Table>> =
        catalog.children(&old.schema, &old.name).filter(|child| child.id != old.id).cloned().collect();
    for child in children {
        let mut changed = Table::clone(&child);
        rename_in(&mut changed, old, new);
        if changed != *child {
            ctx.txn.lock_table(child.id, ctx.ddl_wait).await?;
            write(rows::put_table(&changed), ctx).await?;
        }
    }
    Ok(())
}

/// Puts a parent's new names into a child's foreign keys.
pub(super) fn rename_in(child: &mut Table, old: &Table, new: &Table) {
    for key in child.foreign_keys.iter_mut().filter(|key| names(key, old)) {
        let Some(ids) = parent_columns(key, old) else { continue };
        key.parent_schema = new.schema.clone();
        key.parent_table = new.name.clone();
        for (name, id) in key.parent_columns.iter_mut().zip(ids) {
            if let Some(position) = new.position_of(id) {
                *name = new.columns[position].name.clone();
            }
        }
    }
}
