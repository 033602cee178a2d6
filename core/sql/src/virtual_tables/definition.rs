//! Descriptions of virtual tables, written as one line of text each.
//!
//! A column is `NAME:type`, with `?` at the end when it may be NULL. Types: `v64` VARCHAR(64), `b64` the
//! same compared as bytes, `x` LONGTEXT, `u` BIGINT UNSIGNED, `i` BIGINT, `n` INT, `m` INT UNSIGNED, `t`
//! TIMESTAMP-like DATETIME, `d` DECIMAL(9,6), `c` CHAR(1), `j` JSON, `l` LONGBLOB.

use std::sync::Arc;

use aquifer_types::{Collation, DataType, SqlResult, TypeKind, Value};

use super::Source;
use crate::virtual_table::{VirtualColumn, VirtualTable};

/// Computes all rows.
pub type RowsFn = fn(&Source<'_>) -> SqlResult<Vec<Vec<Value>>>;

/// Database, name, columns, rows.
pub type TableLine = (&'static str, &'static str, &'static str, RowsFn);

/// A described table.
pub struct TableDef {
    /// What the planner needs.
    pub table: Arc<VirtualTable>,
    /// What it holds.
    pub rows: RowsFn,
}

impl TableDef {
    /// Reads a description.
    #[must_use]
    pub fn new(line: &TableLine) -> Self {
        let (schema, name, columns, rows) = *line;
        let table = VirtualTable { schema: schema.into(), name: name.into(), columns: parse(columns) };
        Self { table: Arc::new(table), rows }
    }
}

/// `utf8mb3_bin`, which names of databases and tables are compared by.
const UTF8MB3_BIN: Collation = Collation(83);

/// Reads descriptions of columns.
#[must_use]
pub fn parse(columns: &str) -> Vec<VirtualColumn> {
    columns.split_whitespace().map(column).collect()
}

fn column(line: &str) -> VirtualColumn {
    let (name, code) = line.split_once(':').unwrap_or((line, "v64"));
    let (code, nullable) = match code.strip_suffix('?') {
        Some(code) => (code, true),
        None => (code, false),
    };
    let name = name.replace('~', " ");
    VirtualColumn { name: Arc::from(name), data_type: data_type(code), nullable }
}

fn data_type(code: &str) -> DataType {
    let (letter, rest) = code.split_at(code.len().min(1));
    let length = rest.parse().unwrap_or(64);
    match letter {
        "u" => DataType::bigint_unsigned(),
        "i" => DataType::of(TypeKind::BigInt),
        "n" => DataType::of(TypeKind::Int),
        "m" => DataType { unsigned: true, length: 10, ..DataType::of(TypeKind::Int) },
        "t" => DataType::of(TypeKind::DateTime),
        "d" => DataType { length: 9, decimals: 6, ..DataType::of(TypeKind::Decimal) },
        "c" => string(TypeKind::Char, 1, Collation::UTF8MB3_GENERAL_CI),
        "x" => string(TypeKind::LongText, u32::MAX, Collation::UTF8MB3_GENERAL_CI),
        "j" => DataType::of(TypeKind::Json),
        "l" => DataType::of(TypeKind::LongBlob),
        "b" => string(TypeKind::VarChar, length, UTF8MB3_BIN),
        _ => string(TypeKind::VarChar, length, Collation::UTF8MB3_GENERAL_CI),
    }
}

fn string(kind: TypeKind, length: u32, collation: Collation) -> DataType {
    DataType { length, collation, ..DataType::of(kind) }
}
