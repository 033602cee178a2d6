//! Databases, tables, columns and indexes as the SQL layer sees them.

use std::sync::Arc;

use aquifer_types::collation::CollationVersion;
use aquifer_types::{Collation, DERIVED_ID_BIT, DataType, IndexId, Lsn, SchemaVersion, TableId};

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

/// How a column is computed from others of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The expression's SQL text, with its names in backticks.
    pub expression: String,
    /// STORED rather than VIRTUAL. Both are kept in rows; only what is shown differs.
    pub stored: bool,
}

/// What a foreign key does to child rows when their parent row goes or changes its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferentialAction {
    /// NO ACTION, and what is not given: refused, as RESTRICT.
    #[default]
    NoAction,
    /// RESTRICT.
    Restrict,
    /// CASCADE.
    Cascade,
    /// SET NULL.
    SetNull,
}

/// A foreign key, kept with its child table. The parent is known by name, because it may be made later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name, unique in the database.
    pub name: Arc<str>,
    /// Columns of the child.
    pub columns: Vec<ColumnId>,
    /// Database of the parent.
    pub parent_schema: Arc<str>,
    /// The parent.
    pub parent_table: Arc<str>,
    /// Columns of the parent, as many.
    pub parent_columns: Vec<Arc<str>>,
    /// ON DELETE.
    pub on_delete: ReferentialAction,
    /// ON UPDATE.
    pub on_update: ReferentialAction,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, unique in the database.
    pub name: Arc<str>,
    /// The condition's SQL text, with its names in backticks.
    pub expression: String,
    /// Whether rows must satisfy it.
    pub enforced: bool,
}

/// ALGORITHM of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ViewAlgorithm {
    #[default]
    Undefined,
    Merge,
    TempTable,
}

/// WITH CHECK OPTION of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ViewCheck {
    #[default]
    None,
    Local,
    Cascaded,
}

/// What makes a table a view. Such a table has no layouts and no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its query.
    pub query: String,
    /// Names of its columns, in order.
    pub columns: Vec<Arc<str>>,
    /// ALGORITHM.
    pub algorithm: ViewAlgorithm,
    /// WITH CHECK OPTION.
    pub check_option: ViewCheck,
    /// DEFINER as `user@host`.
    pub definer: String,
    /// SQL SECURITY INVOKER.
    pub invoker: bool,
    /// Bits of the `sql_mode` under which the query is read.
    pub sql_mode: u32,
    /// The database in which names without one are looked up.
    pub database: String,
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
    /// GENERATED ALWAYS AS.
    pub generated: Option<Generated>,
    /// The column of a functional key part: never shown and never named.
    pub hidden: bool,
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
    /// Whether it can be read.
    pub state: IndexState,
    /// The form of its sort keys.
    pub collation_version: CollationVersion,
}

/// Whether an index holds all rows of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// For snapshots from this LSN on; 0: from the commit that defined it.
    Complete(Lsn),
    /// Written to by everybody, and read by nobody: rows from before its definition are missing.
    Building,
}

impl Index {
    /// Whether rows are missing in it.
    #[must_use]
    pub fn is_building(&self) -> bool {
        self.state == IndexState::Building
    }

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
    /// Foreign keys of which it is the child.
    pub foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints.
    pub checks: Vec<Check>,
    /// What makes it a view.
    pub view: Option<View>,
    /// What it is about to become.
    pub rebuild: Option<Box<Rebuild>>,
}

/// A definition for which the rows of a table are written anew while others use the table (ADR 0168): each writer writes
/// them too, and nobody reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// The definition, with index ids of its own.
    pub table: Table,
    /// Bits of the `sql_mode` under which values are converted.
    pub sql_mode: u32,
    /// Name of the time zone in which TIMESTAMPs are converted.
    pub time_zone: String,
}

impl Table {
    /// The index that holds the rows. A table always has one; decoding refuses one that has not.
    #[must_use]
    pub fn primary(&self) -> &Index {
        &self.indexes[0]
    }

    /// Whose counter gives the row numbers of a table without a primary key.
    #[must_use]
    pub fn row_counter(&self) -> TableId {
        TableId(self.primary().id.0 | DERIVED_ID_BIT)
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

    /// Columns that are shown: all but those of functional key parts.
    pub fn shown_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.hidden)
    }

    /// The ids of all indexes that writers write to.
    pub fn index_ids(&self) -> impl Iterator<Item = IndexId> {
        let next = self.rebuild.iter().flat_map(|rebuild| &rebuild.table.indexes);
        self.indexes.iter().chain(next).map(|index| index.id)
    }

    /// The ids of those that are not complete.
    pub fn unfinished_ids(&self) -> impl Iterator<Item = IndexId> {
        let next = self.rebuild.iter().flat_map(|rebuild| &rebuild.table.indexes);
        self.indexes.iter().filter(|index| index.is_building()).chain(next).map(|index| index.id)
    }

    /// The indexes that can be read.
    pub fn readable_indexes(&self) -> impl Iterator<Item = &Index> {
        self.indexes.iter().filter(|index| !index.is_building())
    }

    /// An index whose first parts are these columns, whole and in this order.
    #[must_use]
    pub fn index_starting_with(&self, columns: &[ColumnId]) -> Option<&Index> {
        self.readable_indexes().find(|index| {
            index.parts.len() >= columns.len()
                && index
                    .parts
                    .iter()
                    .zip(columns)
                    .all(|(part, id)| part.column == *id && part.prefix.is_none())
        })
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
pub(crate) fn folded_equal(a: &str, b: &str) -> bool {
    !(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase()
}
