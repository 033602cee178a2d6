//! REFERENTIAL_CONSTRAINTS, CHECK_CONSTRAINTS, INNODB_FOREIGN, and the foreign keys' part of KEY_COLUMN_USAGE.

use aquifer_catalog::{ForeignKey, ReferentialAction, Table};
use aquifer_types::{SqlResult, Value};

use super::Source;
use super::create_table::action_name;
use super::definition::TableLine;
use super::source::{maybe_text, size, text, uint};

const I: &str = "information_schema";

pub(super) const TABLES: &[TableLine] = &[
    (
        I,
        "REFERENTIAL_CONSTRAINTS",
        "CONSTRAINT_CATALOG:v64 CONSTRAINT_SCHEMA:b64 CONSTRAINT_NAME:v64? UNIQUE_CONSTRAINT_CATALOG:v64 \
         UNIQUE_CONSTRAINT_SCHEMA:b64 UNIQUE_CONSTRAINT_NAME:v64? MATCH_OPTION:v7 UPDATE_RULE:v11 \
         DELETE_RULE:v11 TABLE_NAME:b64 REFERENCED_TABLE_NAME:b64",
        referential_constraints,
    ),
    (
        I,
        "CHECK_CONSTRAINTS",
        "CONSTRAINT_CATALOG:v64 CONSTRAINT_SCHEMA:b64 CONSTRAINT_NAME:v64 CHECK_CLAUSE:x",
        check_constraints,
    ),
    (I, "INNODB_FOREIGN", "ID:v129? FOR_NAME:v129? REF_NAME:v129? N_COLS:i TYPE:u", innodb_foreign),
    (I, "INNODB_FOREIGN_COLS", "ID:v129? FOR_COL_NAME:v64 REF_COL_NAME:v64 POS:m", innodb_foreign_columns),
];

/// The parent's unique index that a foreign key refers to.
fn unique_name(source: &Source<'_>, key: &ForeignKey) -> Option<String> {
    let parent = source.catalog.stored_table(&key.parent_schema, &key.parent_table)?;
    let ids = crate::plan::foreign::parent_columns(key, parent)?;
    let fits = |index: &&aquifer_catalog::Index| {
        index.is_unique()
            && index.parts.len() == ids.len()
            && index.parts.iter().zip(&ids).all(|(part, id)| part.column == *id)
    };
    parent.indexes.iter().find(fits).map(|index| index.name.to_string())
}

fn referential_constraints(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        for key in &table.foreign_keys {
            rows.push(vec![
                text("def"),
                text(&table.schema),
                text(&key.name),
                text("def"),
                text(&key.parent_schema),
                maybe_text(unique_name(source, key).as_deref()),
                text("NONE"),
                text(action_name(key.on_update)),
                text(action_name(key.on_delete)),
                text(&table.name),
                text(&key.parent_table),
            ]);
        }
    }
    Ok(rows)
}

fn check_constraints(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        for check in &table.checks {
            rows.push(vec![text("def"), text(&table.schema), text(&check.name), text(&check.expression)]);
        }
    }
    Ok(rows)
}

/// Rows of KEY_COLUMN_USAGE for foreign keys.
pub(super) fn key_columns(table: &Table) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for key in &table.foreign_keys {
        for (at, (id, parent)) in key.columns.iter().zip(&key.parent_columns).enumerate() {
            let own = table.position_of(*id).map(|position| &*table.columns[position].name);
            rows.push(vec![
                text("def"),
                text(&table.schema),
                text(&key.name),
                text("def"),
                text(&table.schema),
                text(&table.name),
                maybe_text(own),
                size(at + 1),
                size(at + 1),
                text(&key.parent_schema),
                text(&key.parent_table),
                text(parent),
            ]);
        }
    }
    rows
}

/// Rows of TABLE_CONSTRAINTS: name, type, ENFORCED.
pub(super) fn constraints(table: &Table) -> Vec<(&str, &'static str, bool)> {
    let keys = table.foreign_keys.iter().map(|key| (&*key.name, "FOREIGN KEY", true));
    let checks = table.checks.iter().map(|check| (&*check.name, "CHECK", check.enforced));
    keys.chain(checks).collect()
}

/// Bits of INNODB_FOREIGN.TYPE: actions of DELETE, then of UPDATE.
fn type_bits(key: &ForeignKey) -> u64 {
    let bits = |action, cascade, null, nothing| match action {
        ReferentialAction::Cascade => cascade,
        ReferentialAction::SetNull => null,
        ReferentialAction::NoAction => nothing,
        ReferentialAction::Restrict => 0,
    };
    bits(key.on_delete, 1, 2, 16) | bits(key.on_update, 4, 8, 32)
}

fn innodb_foreign(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        for key in &table.foreign_keys {
            rows.push(vec![
                text(&format!("{}/{}", table.schema, key.name)),
                text(&format!("{}/{}", table.schema, table.name)),
                text(&format!("{}/{}", key.parent_schema, key.parent_table)),
                Value::Int(i64::try_from(key.columns.len()).unwrap_or(i64::MAX)),
                uint(type_bits(key)),
            ]);
        }
    }
    Ok(rows)
}

fn innodb_foreign_columns(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        for key in &table.foreign_keys {
            for (at, (id, parent)) in key.columns.iter().zip(&key.parent_columns).enumerate() {
                let own = table.position_of(*id).map_or("", |position| &table.columns[position].name);
                rows.push(vec![
                    text(&format!("{}/{}", table.schema, key.name)),
                    text(own),
                    text(parent),
                    size(at + 1),
                ]);
            }
        }
    }
    Ok(rows)
}
