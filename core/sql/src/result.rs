//! What execution hands to the session.

use std::sync::Arc;

use aquifer_types::row::RowLayout;
use aquifer_types::{DataType, SchemaVersion, Value};
use bytes::Bytes;

use crate::exec::RowStream;

/// Flags of a result column as the protocol numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnFlags(pub u16);

#[allow(missing_docs)]
impl ColumnFlags {
    pub const NOT_NULL: u16 = 1;
    pub const PRI_KEY: u16 = 2;
    pub const UNIQUE_KEY: u16 = 4;
    pub const MULTIPLE_KEY: u16 = 8;
    pub const BLOB: u16 = 16;
    pub const UNSIGNED: u16 = 32;
    pub const ZEROFILL: u16 = 64;
    pub const BINARY: u16 = 128;
    pub const ENUM: u16 = 256;
    pub const AUTO_INCREMENT: u16 = 512;
    pub const TIMESTAMP: u16 = 1024;
    pub const SET: u16 = 2048;
    pub const NO_DEFAULT_VALUE: u16 = 4096;
    pub const ON_UPDATE_NOW: u16 = 8192;
    pub const NUM: u16 = 32768;
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultColumn {
    /// Database, empty when computed.
    pub schema: Arc<str>,
    /// Alias of the table.
    pub table: Arc<str>,
    /// Name of the table.
    pub org_table: Arc<str>,
    /// Alias, or the text of the expression.
    pub name: Arc<str>,
    /// Name of the column, empty when computed.
    pub org_name: Arc<str>,
    /// Type.
    pub data_type: DataType,
    /// Flags.
    pub flags: ColumnFlags,
}

/// Rows.
#[derive(Clone, Debug)]
pub enum Batch {
    /// Row-major values, `width` to a row. A width of 0 does not occur.
    Values {
        /// Values to a row.
        width: usize,
        /// All values.
        values: Vec<Value>,
    },
    /// Stored rows to be encoded without decoding them first.
    Stored(StoredBatch),
}

/// Stored rows with what is needed to read their columns.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// Rows as stored (`aquifer_types::row`).
    pub rows: Vec<Bytes>,
    /// Layouts by schema version, the newest last, with the position of each result column in them.
    pub layouts: Arc<[StoredLayout]>,
}

/// How result columns lie in rows of one schema version.
#[derive(Clone, Debug)]
pub struct StoredLayout {
    /// Version in the row.
    pub version: SchemaVersion,
    /// Layout of the row.
    pub layout: Arc<RowLayout>,
    /// For each result column its position in the row, or the value that rows of this version have.
    pub columns: Vec<StoredColumn>,
}

/// Source of a result column in a stored row.
#[derive(Clone, Debug)]
pub enum StoredColumn {
    /// Position in the layout. TIMESTAMP columns are in UTC and need the session's time zone.
    At(usize),
    /// The same for all rows: the column was added after these rows were written.
    Constant(Value),
}

impl StoredBatch {
    /// The layout of a version.
    #[must_use]
    pub fn layout(&self, version: SchemaVersion) -> Option<&StoredLayout> {
        self.layouts.iter().rev().find(|layout| layout.version == version)
    }
}

impl Batch {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Values { width, values } => values.len() / (*width).max(1),
            Self::Stored(stored) => stored.rows.len(),
        }
    }

    /// Takes rows off the beginning.
    pub fn drop_first(&mut self, rows: usize) {
        match self {
            Self::Values { width, values } => drop(values.drain(..(rows * *width).min(values.len()))),
            Self::Stored(stored) => drop(stored.rows.drain(..rows.min(stored.rows.len()))),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a statement without rows did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Affected rows of the OK packet.
    pub affected: u64,
    /// Insert id of the OK packet; 0 when none was generated. The first generated value has also been
    /// put into `SessionFacts::last_insert_id`.
    pub last_insert_id: u64,
    /// Text of the OK packet, such as `Rows matched: 1  Changed: 1  Warnings: 0`.
    pub info: String,
}

/// What a statement gives.
pub enum Outcome<'a> {
    /// A result set.
    Rows {
        /// Its columns.
        columns: Arc<[ResultColumn]>,
        /// Its rows.
        stream: RowStream<'a>,
    },
    /// No result set.
    Done(Done),
}
