//! ALTER TABLE: each change is made to a copy of the definition; then rows follow as far as they must.
//!
//! Adding, dropping, renaming and moving columns only adds a layout. New indexes are filled from a scan. A change
//! of a stored type, of NOT NULL or of the primary key writes all rows anew under new index ids.

use std::sync::Arc;

use aquifer_catalog::{Column, ColumnDefault, IndexKind, Table};
use aquifer_types::{SqlError, SqlResult, TypeKind};

use super::column::{choose_collation, column, column_default, default_text};
use super::table::{apply_option, hidden_index, inline_indexes, push_column, rename_one, take_column_id};
use super::{all_rows, foreign_key, index, online, open_existing, rebuild, renew_indexes, rule, save, view};
use crate::ast::{AlterOperation, ColumnDef, ColumnPlace, TableName};
use crate::exec::ExecContext;
use crate::expr::{self, BindContext};
use crate::plan::table_info::TableInfo;
use crate::plan::{is_text, zero_value};
use crate::result::Done;

/// What the changes ask of the rows.
#[derive(Default)]
struct Effects {
    /// Columns in other places or other columns.
    layout: bool,
    /// All rows must be written anew.
    rebuild: bool,
    rename: Option<TableName>,
    /// Rows must be checked against new constraints.
    verify: bool,
}

pub(super) async fn alter(
    name: &TableName,
    operations: &[AlterOperation],
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Done> {
    let old = open_existing(name, bind, ctx).await?;
    view::refuse(&old)?;
    let mut table = old.clone();
    let mut effects = Effects::default();
    // Indexes are dropped before others of the same names are added.
    for operation in operations.iter().filter(|o| is_drop(o)) {
        apply(&mut table, operation, &mut effects, bind, ctx).await?;
    }
    for operation in operations.iter().filter(|o| !is_drop(o)) {
        apply(&mut table, operation, &mut effects, bind, ctx).await?;
    }
    if table.columns.is_empty() {
        return Err(SqlError::new(
            1090,
            "You can't delete all columns with ALTER TABLE; use DROP TABLE instead",
        ));
    }
    if !table.indexes.iter().any(|i| matches!(i.kind, IndexKind::Primary | IndexKind::Hidden)) {
        table.indexes.insert(0, hidden_index(&table, ctx).await?);
    }
    index::check_auto_increment(&table)?;
    index::arrange(&mut table);
    drop_hidden_columns(&mut table, &mut effects);
    foreign_key::check_altered(&old, &table, ctx)?;
    rule::check_definition(&table, bind, ctx)?;
    foreign_key::follow(&old, &table, ctx).await?;
    let before = table.clone();
    foreign_key::rename_in(&mut table, &old, &before);
    let records = carry_out(old, &mut table, &effects, bind, ctx).await?;
    if effects.verify {
        rule::verify_rows(&table, bind, ctx).await?;
    }
    save(&table, ctx).await?;
    if let Some(new) = &effects.rename {
        rename_one(&table, new, bind, ctx).await?;
    }
    let warnings = ctx.eval.warnings.total();
    Ok(Done {
        affected: records,
        info: format!("Records: {records}  Duplicates: 0  Warnings: {warnings}"),
        ..Done::default()
    })
}

fn is_drop(operation: &AlterOperation) -> bool {
    matches!(
        operation,
        AlterOperation::DropIndex(_)
            | AlterOperation::DropPrimaryKey
            | AlterOperation::DropForeignKey(_)
            | AlterOperation::DropCheck(_)
            | AlterOperation::DropConstraint(_)
    )
}

/// Columns of functional key parts go with their index.
fn drop_hidden_columns(table: &mut Table, effects: &mut Effects) {
    let used: Vec<_> = table.indexes.iter().flat_map(|i| &i.parts).map(|part| part.column).collect();
    let before = table.columns.len();
    table.columns.retain(|column| !column.hidden || used.contains(&column.id));
    effects.layout |= table.columns.len() != before;
}

/// Makes the rows fit the new definition; the number of rows written anew.
async fn carry_out(
    old: Table,
    table: &mut Table,
    effects: &Effects,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<u64> {
    let moved = table.primary().id != old.primary().id;
    if effects.rebuild || moved {
        // Old and new keys of rows are compared while both are written.
        let version = table.primary().collation_version;
        renew_indexes(table, ctx).await?;
        table.indexes[0].collation_version = version;
        let versions = old.layouts.clone();
        table.layouts = versions;
        table.push_layout();
        let newest = table.schema_version();
        table.layouts.retain(|layout| layout.version == newest);
        let beside_writes =
            effects.rename.is_none() && !effects.verify && online::can_rebuild(&old, table, ctx)?;
        let records = if beside_writes && is_large(&old, ctx).await? {
            online::rebuild(&old, table, ctx).await?
        } else {
            let rules = rule::rules_of(table, bind, ctx)?;
            rebuild::copy(&Arc::new(old), &Arc::new(table.clone()), &rules, ctx).await?
        };
        table.columns.iter_mut().for_each(|column| column.initial = None);
        return Ok(records);
    }
    if effects.layout {
        table.push_layout();
    }
    let known: Vec<_> = old.indexes.iter().map(|index| index.id).collect();
    let added: Vec<usize> =
        (0..table.indexes.len()).filter(|number| !known.contains(&table.indexes[*number].id)).collect();
    if !added.is_empty() {
        let info = TableInfo::new(&Arc::new(table.clone()))?;
        let beside_writes = effects.rename.is_none() && online::is_possible(&old, table, ctx);
        let rows_max = if beside_writes { online::LOCKED_ROWS_MAX } else { u64::MAX };
        if !index::backfill(&info, &added, rows_max, ctx).await? {
            online::build(table, &added, ctx).await?;
        }
    }
    Ok(0)
}

/// Whether a table is better read beside writes.
async fn is_large(table: &Table, ctx: &ExecContext<'_>) -> SqlResult<bool> {
    let info = TableInfo::new(&Arc::new(table.clone()))?;
    all_rows::are_more_than(online::LOCKED_ROWS_MAX, &info, ctx.txn).await
}

async fn apply(
    table: &mut Table,
    operation: &AlterOperation,
    effects: &mut Effects,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    match operation {
        AlterOperation::AddColumn(def, place) => add_column(table, def, place, effects, bind, ctx).await,
        AlterOperation::DropColumn(name) => drop_column(table, name, effects),
        AlterOperation::ChangeColumn(name, def, place) => {
            change_column(table, name, def, place, effects, bind, ctx).await
        }
        AlterOperation::RenameColumn(old, new) => {
            let position = position(table, old)?;
            if table.column_position(new).is_some_and(|other| other != position) {
                return Err(SqlError::new(1060, format!("Duplicate column name '{new}'")));
            }
            rule::release_column(table, old, false)?;
            table.columns[position].name = Arc::from(new.as_str());
            Ok(())
        }
        AlterOperation::SetDefault(name, default) => {
            let position = position(table, name)?;
            table.columns[position].default = match default {
                None => ColumnDefault::None,
                Some(default) => column_default(&table.columns[position], default, bind, ctx)?,
            };
            Ok(())
        }
        AlterOperation::SetColumnInvisible(name, invisible) => {
            let position = position(table, name)?;
            table.columns[position].invisible = *invisible;
            Ok(())
        }
        AlterOperation::AddIndex(def) => {
            // Columns of functional parts must be filled before the index can be.
            effects.rebuild |= def.parts.iter().any(|part| part.expression.is_some());
            index::add(table, def, bind, ctx).await
        }
        AlterOperation::AddForeignKey(def) => {
            effects.verify = true;
            foreign_key::add(table, def, bind, ctx).await
        }
        AlterOperation::DropForeignKey(name) => foreign_key::drop(table, name),
        AlterOperation::AddCheck(def) => {
            effects.verify |= def.enforced;
            rule::add_check(table, def, ctx)
        }
        AlterOperation::DropCheck(name) => rule::drop_check(table, name),
        AlterOperation::DropConstraint(name) => drop_constraint(table, name),
        AlterOperation::SetCheckEnforced(name, enforced) => {
            effects.verify |= *enforced;
            let missing = format!("Check constraint '{name}' is not found in the table.");
            let found = table.checks.iter_mut().find(|check| check.name.eq_ignore_ascii_case(name));
            found.ok_or_else(|| SqlError::new(3821, missing))?.enforced = *enforced;
            Ok(())
        }
        AlterOperation::DropIndex(name) => drop_index(table, name),
        AlterOperation::DropPrimaryKey => drop_index(table, "PRIMARY"),
        AlterOperation::RenameIndex(old, new) => {
            if table.index_named(new).is_some() && !old.eq_ignore_ascii_case(new) {
                return Err(SqlError::new(1061, format!("Duplicate key name '{new}'")));
            }
            index_mut(table, old)?.name = Arc::from(new.as_str());
            Ok(())
        }
        AlterOperation::SetIndexInvisible(name, invisible) => {
            index_mut(table, name)?.invisible = *invisible;
            Ok(())
        }
        AlterOperation::Rename(name) => {
            effects.rename = Some(name.clone());
            Ok(())
        }
        AlterOperation::Option(option) => match option.name.as_str() {
            "CHARSET" => {
                table.collation = choose_collation(Some(&option.value), None, table.collation)?;
                Ok(())
            }
            "COLLATE" => {
                table.collation = choose_collation(None, Some(&option.value), table.collation)?;
                Ok(())
            }
            _ => apply_option(table, option),
        },
        AlterOperation::ConvertTo(charset, collate) => {
            let collation = choose_collation(Some(charset), collate.as_deref(), table.collation)?;
            table.collation = collation;
            for column in &mut table.columns {
                let member = matches!(column.data_type.kind, TypeKind::Enum | TypeKind::Set);
                if is_text(&column.data_type) || member {
                    column.data_type.collation = collation;
                }
            }
            effects.rebuild = true;
            Ok(())
        }
        AlterOperation::Nothing => Ok(()),
        AlterOperation::Refused(what) => Err(SqlError::not_supported(what)),
    }
}

fn position(table: &Table, name: &str) -> SqlResult<usize> {
    table
        .column_position(name)
        .ok_or_else(|| SqlError::new(1054, format!("Unknown column '{name}' in '{}'", table.name)))
}

fn index_mut<'t>(table: &'t mut Table, name: &str) -> SqlResult<&'t mut aquifer_catalog::Index> {
    let missing = format!("Key '{name}' doesn't exist in table '{}'", table.name);
    table
        .indexes
        .iter_mut()
        .find(|index| index.kind != IndexKind::Hidden && index.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| SqlError::new(1176, missing))
}

fn drop_index(table: &mut Table, name: &str) -> SqlResult<()> {
    let Some(index) = table.index_named(name) else {
        return Err(SqlError::new(1091, format!("Can't DROP '{name}'; check that column/key exists")));
    };
    let id = index.id;
    table.indexes.retain(|index| index.id != id);
    Ok(())
}

/// DROP CONSTRAINT: whatever has that name.
fn drop_constraint(table: &mut Table, name: &str) -> SqlResult<()> {
    if table.foreign_keys.iter().any(|key| key.name.eq_ignore_ascii_case(name)) {
        return foreign_key::drop(table, name);
    }
    if table.checks.iter().any(|check| check.name.eq_ignore_ascii_case(name)) {
        return rule::drop_check(table, name);
    }
    if table.index_named(name).is_some_and(aquifer_catalog::Index::is_unique) {
        return drop_index(table, name);
    }
    Err(SqlError::new(3940, format!("Constraint '{name}' does not exist.")))
}

fn place_column(table: &mut Table, from: usize, place: &ColumnPlace) -> SqlResult<bool> {
    let column = table.columns.remove(from);
    let to = match place {
        ColumnPlace::Unchanged => from,
        ColumnPlace::First => 0,
        ColumnPlace::After(name) => position(table, name)? + 1,
    };
    table.columns.insert(to, column);
    Ok(to != from)
}

async fn add_column(
    table: &mut Table,
    def: &ColumnDef,
    place: &ColumnPlace,
    effects: &mut Effects,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    let id = take_column_id(table);
    let mut column = column(id, def, table.collation, bind, ctx)?;
    if column.generated.is_none() {
        column.initial = initial(&column, bind, ctx)?;
    }
    effects.rebuild |= column.auto_increment || column.generated.is_some();
    push_column(table, column)?;
    place_column(table, table.columns.len() - 1, place)?;
    effects.layout = true;
    for index in inline_indexes(def) {
        index::add(table, &index, bind, ctx).await?;
    }
    for check in &def.checks {
        effects.verify |= check.enforced;
        rule::add_check(table, check, ctx)?;
    }
    Ok(())
}

/// What rows that exist already show in a new column.
fn initial(column: &Column, bind: &BindContext, ctx: &mut ExecContext<'_>) -> SqlResult<Option<Vec<u8>>> {
    Ok(match &column.default {
        ColumnDefault::Literal(text) => Some(text.clone()),
        ColumnDefault::CurrentTimestamp(fsp) => {
            let now = expr::function("NOW", vec![expr::int_literal(i64::from(*fsp))], bind)?;
            let value = now.eval(&[], &mut ctx.eval)?;
            // Kept as it is stored: a TIMESTAMP in UTC.
            let value = match value {
                aquifer_types::Value::DateTime(local) if column.data_type.kind == TypeKind::Timestamp => {
                    aquifer_types::Value::DateTime(ctx.eval.time_zone.to_utc(local))
                }
                other => other,
            };
            Some(default_text(&value, &column.data_type))
        }
        ColumnDefault::Expression(_) => {
            return Err(SqlError::not_supported("ADD COLUMN with an expression default"));
        }
        ColumnDefault::None | ColumnDefault::Null if column.nullable => None,
        _ => Some(default_text(&zero_value(&column.data_type), &column.data_type)),
    })
}

fn drop_column(table: &mut Table, name: &str, effects: &mut Effects) -> SqlResult<()> {
    let Some(position) = table.column_position(name) else {
        return Err(SqlError::new(1091, format!("Can't DROP '{name}'; check that column/key exists")));
    };
    let id = table.columns[position].id;
    rule::release_column(table, name, true)?;
    table.columns.remove(position);
    for index in &mut table.indexes {
        let before = index.parts.len();
        index.parts.retain(|part| part.column != id);
        // An index over fewer columns has other entries.
        effects.rebuild |= index.parts.len() != before && !index.parts.is_empty();
    }
    table.indexes.retain(|index| !index.parts.is_empty() || index.kind == IndexKind::Hidden);
    effects.layout = true;
    Ok(())
}

async fn change_column(
    table: &mut Table,
    name: &str,
    def: &ColumnDef,
    place: &ColumnPlace,
    effects: &mut Effects,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    let position = position(table, name)?;
    let old = table.columns[position].clone();
    let mut new = column(old.id, def, table.collation, bind, ctx)?;
    if table.column_position(&new.name).is_some_and(|other| other != position) {
        return Err(SqlError::new(1060, format!("Duplicate column name '{}'", new.name)));
    }
    // The table may be without one for the moment: DROP PRIMARY KEY comes before everything else.
    let primary = table.indexes.iter().filter(|index| index.kind == IndexKind::Primary);
    let primary = primary.flat_map(|index| &index.parts).any(|part| part.column == old.id);
    new.nullable &= !primary;
    new.initial.clone_from(&old.initial);
    if !new.name.eq_ignore_ascii_case(&old.name) {
        rule::release_column(table, &old.name, false)?;
    }
    if new.generated.is_some() != old.generated.is_some()
        && [&new, &old].iter().any(|c| c.generated.as_ref().is_some_and(|generated| !generated.stored))
    {
        let text = "'Changing the STORED status' is not supported for generated columns.";
        return Err(SqlError::new(3106, text));
    }
    effects.rebuild |= new.generated != old.generated;
    effects.rebuild |= new.data_type != old.data_type
        || old.nullable && !new.nullable
        || new.auto_increment && !old.auto_increment;
    table.columns[position] = new;
    effects.layout |= place_column(table, position, place)?;
    for index in inline_indexes(def) {
        let already = index.kind == crate::ast::IndexDefKind::Primary && primary;
        if !already {
            index::add(table, &index, bind, ctx).await?;
        }
    }
    for check in &def.checks {
        effects.verify |= check.enforced;
        rule::add_check(table, check, ctx)?;
    }
    Ok(())
}
