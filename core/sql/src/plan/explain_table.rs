//! What EXPLAIN says of one table.

use aquifer_types::{DataType, TypeKind};

use crate::expr::Expr;
use crate::expr::show::Names;
use crate::plan::cost::Estimate;
use crate::plan::explain_block::{Block, SubqueryDoc, row_bytes};
use crate::plan::explain_tree::Known;
use crate::plan::node::Scan;
use crate::txn::Direction;

/// What a statement does to a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Insert,
    Replace,
    Update,
    Delete,
}

impl Change {
    /// As a `select_type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Replace => "REPLACE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A table as a block reads it.
#[derive(Default)]
pub(super) struct TableDoc {
    pub name: String,
    /// Its name in rows of the traditional format, where that is another.
    pub line_name: String,
    pub change: Option<Change>,
    pub access: &'static str,
    pub possible_keys: Vec<String>,
    pub key: Option<String>,
    pub used_key_parts: Vec<String>,
    pub key_len: u64,
    pub refs: Vec<String>,
    /// Rows that are read each time; `None` when none are.
    pub rows: Option<f64>,
    /// Of those, percent that satisfy the conditions on the table.
    pub filtered: f64,
    pub covering: bool,
    pub backward: bool,
    pub recursive: bool,
    pub join_buffer: Option<&'static str>,
    pub notes: Vec<&'static str>,
    /// Rows and cost of all tables up to this one.
    pub prefix: Estimate,
    pub row_bytes: u64,
    pub used_columns: Vec<String>,
    pub conditions: Vec<String>,
    /// The same conditions, and what ranges are made of.
    pub mentioned: Vec<Expr>,
    pub subqueries: Vec<SubqueryDoc>,
    pub materialized: Option<Box<Block>>,
    /// Where a join keeps the key of its row.
    pub key_slot: Option<usize>,
}

impl TableDoc {
    /// A table that is read as a whole.
    pub(super) fn named(name: &str, rows: f64) -> Self {
        Self { name: name.to_owned(), access: "ALL", rows: Some(rows), filtered: 100.0, ..Self::default() }
    }

    /// A table that is changed without being read.
    pub(super) fn changed(name: &str, change: Change) -> Self {
        Self { change: Some(change), rows: None, ..Self::named(name, 0.0) }
    }

    /// Rows that are read each time, as a number.
    pub(super) fn rows_read(&self) -> Option<u64> {
        self.rows.map(|rows| whole(rows).max(1))
    }
}

/// The nearest whole number; casting saturates.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// A stored table with its index.
pub(super) fn scanned(scan: &Scan, names: &Known<'_>) -> TableDoc {
    let index = &scan.table.indexes[scan.access.index];
    let ranges = &scan.access.ranges;
    let equal = ranges.first().map_or(&[][..], |range| &range.equal);
    let bounded = ranges.iter().any(|r| r.low.is_some() || r.high.is_some() || r.like.is_some());
    let unbound = equal.is_empty() && !bounded;
    let outer = ranges.iter().flat_map(|r| &r.equal).any(|e| !e.columns().is_empty());
    let access = match (scan.access.point, unbound, bounded, ranges.len()) {
        (_, true, ..) if scan.access.index == 0 && !scan.covering => "ALL",
        (_, true, ..) => "index",
        (true, _, _, 1) if outer => "eq_ref",
        (true, _, _, 1) => "const",
        (false, _, false, 1) => "ref",
        _ => "range",
    };
    let columns = &scan.table.table.columns;
    let parts = if access == "index" { index.columns.len() } else { equal.len() + usize::from(bounded) };
    let by_value = matches!(access, "eq_ref" | "const" | "ref");
    let refers = |value: &Expr| match value {
        Expr::Column { index, .. } => names.column(*index).replace('`', ""),
        // A column of a block around.
        Expr::Param { index, .. } if names.param(*index).starts_with('`') => {
            names.param(*index).replace('`', "")
        }
        value if value.columns().is_empty() => "const".to_owned(),
        _ => "func".to_owned(),
    };
    let known = scan.table.rows.get().copied().flatten().is_some();
    let share = if known && scan.rows > 0.0 { 100.0 * scan.kept / scan.rows } else { 100.0 };
    let has_key = access != "ALL";
    let bound = if access == "index" { 0 } else { parts };
    let mut used: Vec<usize> = scan.needed.iter().map(|needed| needed.column).collect();
    used.extend(index.columns.iter().take(bound));
    used.sort_unstable();
    used.dedup();
    let mut possible: Vec<usize> = scan.possible.clone();
    if has_key && access != "index" && !possible.contains(&scan.access.index) {
        possible.push(scan.access.index);
    }
    TableDoc {
        name: scan.alias.to_string(),
        access,
        possible_keys: possible.iter().map(|number| scan.table.indexes[*number].name.to_string()).collect(),
        key: has_key.then(|| index.name.to_string()),
        used_key_parts: if has_key {
            index.columns.iter().take(parts).map(|column| columns[*column].name.to_string()).collect()
        } else {
            Vec::new()
        },
        key_len: if has_key { key_len(scan, parts) } else { 0 },
        refs: if by_value { equal.iter().map(refers).collect() } else { Vec::new() },
        rows: Some(scan.rows),
        filtered: (share * 100.0).round().clamp(1.0, 10_000.0) / 100.0,
        covering: scan.covering,
        backward: scan.direction == Direction::Backward,
        row_bytes: row_bytes(scan.needed.iter().map(|needed| columns[needed.column].data_type.clone())),
        used_columns: used.into_iter().map(|column| columns[column].name.to_string()).collect(),
        key_slot: scan.key_slot,
        ..TableDoc::default()
    }
}

/// Bytes of the used parts of an index as MySQL counts them.
fn key_len(scan: &Scan, parts: usize) -> u64 {
    let index = &scan.table.indexes[scan.access.index];
    let used = index.columns.iter().zip(&index.keys).take(parts);
    used.map(|(column, key)| {
        let data_type = &key.data_type;
        let size = column_bytes(data_type, u64::from(key.prefix_length.unwrap_or(data_type.length)));
        size + u64::from(scan.table.table.columns[*column].nullable)
    })
    .sum()
}

/// Bytes of a value of a type with this many characters.
pub(super) fn column_bytes(data_type: &DataType, characters: u64) -> u64 {
    let bytes = characters * u64::from(data_type.collation.charset().maxlen());
    match data_type.kind {
        TypeKind::TinyInt | TypeKind::Year | TypeKind::Enum => 1,
        TypeKind::SmallInt => 2,
        TypeKind::MediumInt | TypeKind::Date | TypeKind::Time => 3,
        TypeKind::Int | TypeKind::Float | TypeKind::Timestamp => 4,
        TypeKind::DateTime => 5,
        TypeKind::Char | TypeKind::Binary => bytes,
        TypeKind::Decimal => u64::from(data_type.length / 2 + 1),
        TypeKind::BigInt | TypeKind::Double | TypeKind::Bit | TypeKind::Set => 8,
        _ => bytes + 2,
    }
}
