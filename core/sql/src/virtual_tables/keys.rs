//! STATISTICS, KEY_COLUMN_USAGE, TABLE_CONSTRAINTS.

use aquifer_catalog::{Column, Index, IndexKind, IndexPart, Rights, Table};
use aquifer_types::{SqlResult, Value};

use super::columns::column_privileges;
use super::definition::TableLine;
use super::source::{maybe_text, size, text, yes_no};
use super::{Source, type_text};
use crate::statistics::Sample;

pub(super) const TABLES: &[TableLine] = &[
    (
        "information_schema",
        "STATISTICS",
        "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 NON_UNIQUE:n INDEX_SCHEMA:b64 INDEX_NAME:v64? \
         SEQ_IN_INDEX:m COLUMN_NAME:v64? COLLATION:v1? CARDINALITY:i? SUB_PART:i? PACKED:v10? NULLABLE:v3 \
         INDEX_TYPE:v11 COMMENT:v8 INDEX_COMMENT:v2048 IS_VISIBLE:v3 EXPRESSION:x?",
        statistics,
    ),
    (
        "information_schema",
        "KEY_COLUMN_USAGE",
        "CONSTRAINT_CATALOG:v64 CONSTRAINT_SCHEMA:b64 CONSTRAINT_NAME:v64? TABLE_CATALOG:v64 \
         TABLE_SCHEMA:b64 TABLE_NAME:b64 COLUMN_NAME:v64? ORDINAL_POSITION:m \
         POSITION_IN_UNIQUE_CONSTRAINT:m? REFERENCED_TABLE_SCHEMA:b64? REFERENCED_TABLE_NAME:b64? \
         REFERENCED_COLUMN_NAME:v64?",
        key_column_usage,
    ),
    (
        "information_schema",
        "TABLE_CONSTRAINTS",
        "CONSTRAINT_CATALOG:v64 CONSTRAINT_SCHEMA:b64 CONSTRAINT_NAME:v64? TABLE_SCHEMA:b64 TABLE_NAME:b64 \
         CONSTRAINT_TYPE:v11 ENFORCED:v3",
        table_constraints,
    ),
    (
        "information_schema",
        "TABLE_CONSTRAINTS_EXTENSIONS",
        "CONSTRAINT_CATALOG:v64 CONSTRAINT_SCHEMA:b64 CONSTRAINT_NAME:v64 TABLE_NAME:b64 \
         ENGINE_ATTRIBUTE:j? SECONDARY_ENGINE_ATTRIBUTE:j?",
        constraint_extensions,
    ),
];

/// Indexes as they are shown: unique ones first, as InnoDB orders them.
pub(super) fn shown_indexes(table: &Table) -> Vec<&Index> {
    let mut indexes: Vec<&Index> =
        table.readable_indexes().filter(|index| index.kind != IndexKind::Hidden).collect();
    let nullable = |index: &Index| {
        index.parts.iter().any(|part| column_of(table, part).is_some_and(|column| column.nullable))
    };
    indexes.sort_by_key(|index| match index.kind {
        IndexKind::Primary | IndexKind::Hidden => 0,
        IndexKind::Unique if !nullable(index) => 1,
        IndexKind::Unique => 2,
        IndexKind::Plain => 3,
    });
    indexes
}

/// The column of a part.
pub(super) fn column_of<'t>(table: &'t Table, part: &IndexPart) -> Option<&'t Column> {
    table.position_of(part.column).map(|at| &table.columns[at])
}

/// Parts of an index, with their numbers, whose columns somebody with these rights sees.
pub(super) fn seen_parts<'t>(
    rights: Option<&'t Rights>,
    table: &'t Table,
    index: &'t Index,
) -> impl Iterator<Item = (usize, &'t IndexPart)> {
    let is_seen = move |(_, part): &(usize, &'t IndexPart)| {
        column_of(table, part).is_none_or(|column| column_privileges(rights, table, column).is_some())
    };
    index.parts.iter().enumerate().filter(is_seen)
}

fn statistics(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        let estimate = source.facts.table_size(table).rows;
        for index in shown_indexes(table) {
            for (at, part) in seen_parts(source.facts.rights(), table, index) {
                let estimate = cardinality(estimate, source.facts.sample(index.id).as_deref(), at);
                rows.push(statistics_row(table, index, at, part, estimate));
            }
        }
    }
    Ok(rows)
}

/// About how many values the first columns of an index have, up to the one at `at`; the number of rows where that was
/// not sampled.
pub(super) fn cardinality(rows: u64, sample: Option<&Sample>, at: usize) -> u64 {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    match sample.and_then(|sample| sample.rows_per_value.get(at)) {
        Some(ratio) if rows > 0 => ((rows as f64 / ratio).round() as u64).max(1),
        _ => rows,
    }
}

fn statistics_row(table: &Table, index: &Index, at: usize, part: &IndexPart, estimate: u64) -> Vec<Value> {
    let column = column_of(table, part);
    let nullable = column.is_some_and(|column| column.nullable);
    vec![
        text("def"),
        text(&table.schema),
        text(&table.name),
        Value::Int(i64::from(!index.is_unique())),
        text(&table.schema),
        text(&index.name),
        size(at + 1),
        maybe_text(column.filter(|column| !column.hidden).map(|column| &*column.name)),
        text(if part.descending { "D" } else { "A" }),
        Value::Int(i64::try_from(estimate).unwrap_or(i64::MAX)),
        sub_part(column, part),
        Value::Null,
        text(if nullable { "YES" } else { "" }),
        text("BTREE"),
        text(""),
        text(&index.comment),
        yes_no(!index.invisible),
        maybe_text(column.and_then(functional)),
    ]
}

/// The expression of a functional key part.
pub(super) fn functional(column: &Column) -> Option<&str> {
    column.generated.as_ref().filter(|_| column.hidden).map(|generated| generated.expression.as_str())
}

/// SUB_PART: the prefix, unless it is the whole column.
fn sub_part(column: Option<&Column>, part: &IndexPart) -> Value {
    let whole = column.and_then(|column| type_text::character_lengths(&column.data_type));
    match part.prefix {
        Some(prefix) if whole.is_none_or(|(length, _)| length != u64::from(prefix)) => {
            Value::Int(i64::from(prefix))
        }
        _ => Value::Null,
    }
}

fn key_column_usage(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        for index in shown_indexes(table).into_iter().filter(|index| index.is_unique()) {
            for (at, part) in seen_parts(source.facts.rights(), table, index) {
                rows.push(vec![
                    text("def"),
                    text(&table.schema),
                    text(&index.name),
                    text("def"),
                    text(&table.schema),
                    text(&table.name),
                    maybe_text(column_of(table, part).map(|column| &*column.name)),
                    size(at + 1),
                    Value::Null,
                    Value::Null,
                    Value::Null,
                    Value::Null,
                ]);
            }
        }
        rows.extend(super::constraints::key_columns(table));
    }
    Ok(rows)
}

fn table_constraints(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        for index in shown_indexes(table).into_iter().filter(|index| index.is_unique()) {
            let kind = if index.kind == IndexKind::Primary { "PRIMARY KEY" } else { "UNIQUE" };
            rows.push(vec![
                text("def"),
                text(&table.schema),
                text(&index.name),
                text(&table.schema),
                text(&table.name),
                text(kind),
                text("YES"),
            ]);
        }
        for (name, kind, enforced) in super::constraints::constraints(table) {
            rows.push(vec![
                text("def"),
                text(&table.schema),
                text(name),
                text(&table.schema),
                text(&table.name),
                text(kind),
                yes_no(enforced),
            ]);
        }
    }
    Ok(rows)
}

fn constraint_extensions(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        for index in shown_indexes(table).into_iter().filter(|index| index.is_unique()) {
            rows.push(vec![
                text("def"),
                text(&table.schema),
                text(&index.name),
                text(&table.name),
                Value::Null,
                Value::Null,
            ]);
        }
    }
    Ok(rows)
}
