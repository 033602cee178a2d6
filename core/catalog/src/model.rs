//! Databases, tables, columns and indexes as the SQL layer sees them.

use std::sync::Arc;

use aquifer_types::{Collation, DataType, IndexId, SchemaVersion, TableId};

/// A database; the same sequence of numbers as tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(pub u32);

/// A column within its table; never reused, so that a dropped and re-added column is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u32);

/// A database (schema).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its number.
    pub id: DatabaseId,
    /// Its name, case sensitive.
    pub name: Arc<str>,
    /// Default collation of its tables.
    pub collation: Collation,
}

/// What a column gets when an INSERT does not name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnDefault {
    /// No default: error 1364 in strict mode, unless the column is nullable.
    None,
    /// NULL.
    Null,
    /// A constant, as the text that converts to the column's type.
    Literal(Vec<u8>),
    /// CURRENT_TIMESTAMP with fraction digits.
    CurrentTimestamp(u8),
    /// An expression's SQL text, evaluated for each row.
    Expression(String),
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its number within the table.
    pub id: ColumnId,
    /// Its name, compared without case.
    pub name: Arc<str>,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// DEFAULT.
    pub default: ColumnDefault,
    /// What rows written before the column was added show; `None` is NULL. Text as in
    /// [`ColumnDefault::Literal`].
    pub initial: Option<Vec<u8>>,
    /// ON UPDATE CURRENT_TIMESTAMP with fraction digits.
    pub on_update: Option<u8>,
    /// AUTO_INCREMENT.
    pub auto_increment: bool,
    /// INVISIBLE.
    pub invisible: bool,
    /// COMMENT.
    pub comment: String,
}

/// What an index is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// PRIMARY KEY: holds the rows.
    Primary,
    /// The key of a table without a primary key: a hidden row number, which holds the rows.
    Hidden,
    /// UNIQUE.
    Unique,
    /// Not unique.
    Plain,
}

/// One part of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPart {
    /// The column.
    pub column: ColumnId,
    /// Only so many characters (bytes of a binary string) of it.
    pub prefix: Option<u32>,
    /// DESC.
    pub descending: bool,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// First bytes of its keys.
    pub id: IndexId,
    /// Its name, compared without case; `PRIMARY` for the primary key.
    pub name: Arc<str>,
    /// What it is for.
    pub kind: IndexKind,
    /// Its parts; none for [`IndexKind::Hidden`].
    pub parts: Vec<IndexPart>,
    /// COMMENT.
    pub comment: String,
    /// INVISIBLE: kept up to date but not used.
    pub invisible: bool,
}

impl Index {
    /// Whether two rows with equal, non-NULL parts cannot both be.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        matches!(self.kind, IndexKind::Primary | IndexKind::Unique)
    }
}

/// A column as it stands in rows of one schema version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredColumn {
    /// The column's number, also of a dropped one.
    pub id: ColumnId,
    /// The type its bytes have.
    pub data_type: DataType,
}

/// How rows of one schema version are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The number in the rows.
    pub version: SchemaVersion,
    /// Columns in stored order.
    pub columns: Vec<StoredColumn>,
}

/// Options of a table that change no result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// ENGINE as the user wrote it; shown as InnoDB when empty.
    pub engine: String,
    /// COMMENT.
    pub comment: String,
    /// ROW_FORMAT.
    pub row_format: String,
    /// AUTO_INCREMENT = n at creation or by ALTER TABLE.
    pub auto_increment: u64,
    /// Seconds since 1970 of CREATE TABLE.
    pub created_unix_s: i64,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its number.
    pub id: TableId,
    /// Its database.
    pub database: DatabaseId,
    /// Name of the database; filled in by the snapshot, not stored with the table.
    pub schema: Arc<str>,
    /// Its name, case sensitive.
    pub name: Arc<str>,
    /// Columns in the user's order.
    pub columns: Vec<Column>,
    /// Indexes; the first holds the rows ([`IndexKind::Primary`] or [`IndexKind::Hidden`]).
    pub indexes: Vec<Index>,
    /// Layouts that rows may have, oldest first; new rows have the last.
    pub layouts: Vec<Layout>,
    /// The next column's number.
    pub next_column: u32,
    /// Default collation of its columns.
    pub collation: Collation,
    /// Options.
    pub options: TableOptions,
}

impl Table {
    /// The index that holds the rows. A table always has one; decoding refuses one that has not.
    #[must_use]
    pub fn primary(&self) -> &Index {
        &self.indexes[0]
    }

    /// The other indexes.
    #[must_use]
    pub fn secondary(&self) -> &[Index] {
        &self.indexes[1..]
    }

    /// Position of a column by its name, without case.
    #[must_use]
    pub fn column_position(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name) || folded_equal(&column.name, name))
    }

    /// Position of a column by its number.
    #[must_use]
    pub fn position_of(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }

    /// An index by its name, without case.
    #[must_use]
    pub fn index_named(&self, name: &str) -> Option<&Index> {
        self.indexes
            .iter()
            .find(|index| index.kind != IndexKind::Hidden && index.name.eq_ignore_ascii_case(name))
    }

    /// The schema version of new rows.
    #[must_use]
    pub fn schema_version(&self) -> SchemaVersion {
        self.layouts.last().map_or(SchemaVersion(0), |layout| layout.version)
    }

    /// Whether rows are found by a hidden row number.
    #[must_use]
    pub fn has_hidden_key(&self) -> bool {
        self.primary().kind == IndexKind::Hidden
    }

    /// Adds the layout of the present columns for rows from now on, under the next schema version.
    pub fn push_layout(&mut self) {
        let version = self.layouts.last().map_or(SchemaVersion(1), |last| SchemaVersion(last.version.0 + 1));
        let columns =
            self.columns.iter().map(|c| StoredColumn { id: c.id, data_type: c.data_type.clone() }).collect();
        self.layouts.push(Layout { version, columns });
    }
}

/// Names with letters outside ASCII, compared without case.
fn folded_equal(a: &str, b: &str) -> bool {
    !(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase()
}
