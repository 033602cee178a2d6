//! The vocabulary that every other crate shares: identifiers, MySQL values and types, the encoding of
//! rows and keys, and the errors a client can see.
//!
//! This crate does no I/O and holds no state. What it deliberately does not know: tables (see
//! `catalog`), expressions (see `sql`), bytes at rest of anything but rows and keys (see `format`).

pub mod collation;
pub mod convert;
pub mod data_type;
pub mod decimal;
pub mod error;
pub mod id;
pub mod json;
pub mod key;
pub mod maybe;
pub mod number;
pub mod read_counts;
pub mod row;
pub mod sql_mode;
mod storage;
pub mod temporal;
pub mod text;
pub mod value;
pub mod warning;
pub mod xid;

pub use data_type::{Collation, DataType, TypeKind};
pub use decimal::Decimal;
pub use error::{ErrorKind, SqlError, SqlResult};
pub use id::{
    BranchName, DERIVED_ID_BIT, Epoch, IndexId, LinkSeq, Lsn, SchemaVersion, SstId, TEMPORARY_ID_MIN,
    TableId, TxnId,
};
pub use maybe::Maybe;
pub use read_counts::ReadCounts;
pub use sql_mode::SqlMode;
pub use value::{Date, DateTime, Time, Value};
pub use warning::{Warning, WarningLevel, Warnings};
pub use xid::Xid;
