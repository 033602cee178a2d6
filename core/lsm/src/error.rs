//! What can go wrong between a read and its answer.

use std::fmt;

use aquifer_types::{ErrorKind, SqlError, SstId};

/// The MySQL number for a failure that has none of its own (`ER_UNKNOWN_ERROR`).
const ER_UNKNOWN: u16 = 1105;

/// Why a read has no answer. Cloned to all waiters of one fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Bytes at rest are not what was written: an error, never a row. Trying again does not help
    /// unless the bytes came from a cache, which must then drop them and ask the store.
    Corrupt {
        /// The object's key below the prefix.
        object: String,
        /// What did not hold.
        detail: String,
    },
    /// The bytes could not be fetched now. Trying again may help.
    Unavailable {
        /// The object's key below the prefix.
        object: String,
        /// What the store or the disk said.
        detail: String,
    },
    /// The store says that there is no such object. Only a read view that outlived its pin sees this.
    Missing {
        /// The object's key below the prefix.
        object: String,
    },
}

impl ReadError {
    /// A [`ReadError::Corrupt`] about a table.
    #[must_use]
    pub fn corrupt(table: SstId, detail: impl Into<String>) -> Self {
        Self::Corrupt { object: object_name(table), detail: detail.into() }
    }

    /// A [`ReadError::Unavailable`] about a table.
    #[must_use]
    pub fn unavailable(table: SstId, detail: impl Into<String>) -> Self {
        Self::Unavailable { object: object_name(table), detail: detail.into() }
    }
}

/// How errors name a table's object.
#[must_use]
pub fn object_name(table: SstId) -> String {
    format!("sst/{:032x}", table.0)
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { object, detail } => write!(f, "object {object} is corrupt: {detail}"),
            Self::Unavailable { object, detail } => {
                write!(f, "object {object} cannot be read now: {detail}")
            }
            Self::Missing { object } => write!(f, "object {object} is not in the store"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<ReadError> for SqlError {
    fn from(error: ReadError) -> Self {
        let kind = match error {
            ReadError::Corrupt { .. } => ErrorKind::Corrupt,
            ReadError::Unavailable { .. } | ReadError::Missing { .. } => ErrorKind::Unavailable,
        };
        Self::with_kind(ER_UNKNOWN, kind, error.to_string())
    }
}
