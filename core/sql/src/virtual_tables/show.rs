//! Columns and rows of the SHOW forms.
//!
//! Each form gives columns named as MySQL names them and all its rows; the session filters with LIKE and
//! WHERE.

use std::sync::Arc;

use aquifer_catalog::{Column, Index, Rights, Table};
use aquifer_types::{IndexId, Value};

use super::columns::{column_key, column_privileges, default_text, extra};
use super::definition;
use super::keys::{column_of, seen_parts, shown_indexes};
use super::source::{maybe_text, size, text};
use super::{ProcessRow, charset, type_text};
use crate::statistics::Sample;
use crate::virtual_table::VirtualColumn;

/// A result of SHOW.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The columns.
    pub columns: Vec<VirtualColumn>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
    /// Which column LIKE looks at.
    pub like_column: usize,
}

impl Shown {
    /// A result with columns described as in [`definition`]; `~` in a name is a space.
    #[must_use]
    pub fn new(columns: &str, rows: Vec<Vec<Value>>) -> Self {
        Self { columns: definition::parse(columns), rows, like_column: 0 }
    }

    /// A result without rows.
    #[must_use]
    pub fn empty(columns: &str) -> Self {
        Self::new(columns, Vec::new())
    }
}

/// SHOW [FULL] COLUMNS: the columns of the answer.
const COLUMNS: &str = "Field:v64 Type:x Null:v3 Key:v3 Default:x? Extra:v256";
const FULL_COLUMNS: &str =
    "Field:v64 Type:x Collation:v64? Null:v3 Key:v3 Default:x? Extra:v256 Privileges:v154 Comment:x";

/// How much SHOW COLUMNS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Without FULL.
    Plain,
    /// With FULL.
    Full,
}

/// SHOW COLUMNS of a table of the catalog: those that somebody with these rights sees.
#[must_use]
pub fn table_columns(table: &Table, detail: Detail, rights: Option<&Rights>) -> Shown {
    let row = |column| {
        let privileges = column_privileges(rights, table, column)?;
        Some(column_row(table, column, detail, &privileges))
    };
    let rows = table.shown_columns().filter_map(row).collect();
    Shown::new(if detail == Detail::Full { FULL_COLUMNS } else { COLUMNS }, rows)
}

fn column_row(table: &Table, column: &Column, detail: Detail, privileges: &str) -> Vec<Value> {
    let collated = type_text::has_collation(column.data_type.kind);
    let mut row = vec![text(&column.name), text(&type_text::column_type(&column.data_type))];
    if detail == Detail::Full {
        row.push(maybe_text(collated.then(|| charset::collation_name(column.data_type.collation))));
    }
    row.push(text(if column.nullable { "YES" } else { "NO" }));
    row.push(text(column_key(table, column)));
    row.push(maybe_text(default_text(column).as_deref()));
    row.push(text(&extra(column)));
    if detail == Detail::Full {
        row.push(text(privileges));
        row.push(text(&column.comment));
    }
    row
}

/// SHOW COLUMNS of a virtual table.
#[must_use]
pub fn virtual_columns(columns: &[VirtualColumn], detail: Detail) -> Shown {
    let row = |column: &VirtualColumn| {
        let collated = type_text::has_collation(column.data_type.kind);
        let mut row = vec![text(&column.name), text(&type_text::column_type(&column.data_type))];
        if detail == Detail::Full {
            row.push(maybe_text(collated.then(|| charset::collation_name(column.data_type.collation))));
        }
        row.extend([text(if column.nullable { "YES" } else { "NO" }), text(""), Value::Null, text("")]);
        if detail == Detail::Full {
            row.extend([text("select"), text("")]);
        }
        row
    };
    let rows = columns.iter().map(row).collect();
    Shown::new(if detail == Detail::Full { FULL_COLUMNS } else { COLUMNS }, rows)
}

/// SHOW INDEX: the columns of the answer.
const INDEX: &str = "Table:v64 Non_unique:n Key_name:v64 Seq_in_index:m Column_name:v64? Collation:v1? \
     Cardinality:i? Sub_part:i? Packed:v10? Null:v3 Index_type:v11 Comment:v8 Index_comment:v2048 Visible:v3 \
     Expression:x?";

/// SHOW INDEX of a table of the catalog, as somebody with these rights sees it; `rows` is the estimated number of rows, `sample` gives what was sampled of an
/// index.
#[must_use]
pub fn table_indexes(
    table: Option<&Table>,
    rows: u64,
    sample: &dyn Fn(IndexId) -> Option<Arc<Sample>>,
    rights: Option<&Rights>,
) -> Shown {
    let Some(table) = table else { return Shown::empty(INDEX) };
    let mut out = Vec::new();
    for index in shown_indexes(table) {
        let sample = sample(index.id);
        for (at, _) in seen_parts(rights, table, index) {
            let rows = super::keys::cardinality(rows, sample.as_deref(), at);
            out.push(index_row(table, index, at, rows));
        }
    }
    Shown { like_column: 2, ..Shown::new(INDEX, out) }
}

fn index_row(table: &Table, index: &Index, at: usize, rows: u64) -> Vec<Value> {
    let part = &index.parts[at];
    let column = column_of(table, part);
    let whole = column.and_then(|column| type_text::character_lengths(&column.data_type));
    let sub_part = part.prefix.filter(|prefix| whole.is_none_or(|(length, _)| length != u64::from(*prefix)));
    let nullable = column.is_some_and(|column| column.nullable);
    vec![
        text(&table.name),
        Value::Int(i64::from(!index.is_unique())),
        text(&index.name),
        size(at + 1),
        maybe_text(column.filter(|column| !column.hidden).map(|column| &*column.name)),
        text(if part.descending { "D" } else { "A" }),
        Value::Int(i64::try_from(rows).unwrap_or(i64::MAX)),
        sub_part.map_or(Value::Null, |prefix| Value::Int(i64::from(prefix))),
        Value::Null,
        text(if nullable { "YES" } else { "" }),
        text("BTREE"),
        text(""),
        text(&index.comment),
        text(if index.invisible { "NO" } else { "YES" }),
        maybe_text(column.and_then(super::keys::functional)),
    ]
}

/// Longest statement text without FULL.
const INFO_CHARACTERS_MAX: usize = 100;

/// SHOW [FULL] PROCESSLIST.
#[must_use]
pub fn processlist(processes: &[ProcessRow], detail: Detail) -> Shown {
    let row = |process: &ProcessRow| {
        let mut row = super::server::process_row(process);
        if let (Detail::Plain, Some(info)) = (detail, &process.info) {
            let short: String = info.chars().take(INFO_CHARACTERS_MAX).collect();
            row[7] = text(&short);
        }
        row
    };
    let columns = "Id:u User:v32 Host:v261 db:v64? Command:v16 Time:n State:v64? Info:x?";
    Shown::new(columns, processes.iter().map(row).collect())
}
