//! Why a node cannot start or go on.

use std::fmt;
use std::path::Path;

use aquifer_format::FormatError;
use aquifer_lsm::{ManifestError, ReadError};
use aquifer_objstore::{StoreError, StoreErrorKind};
use aquifer_types::{ErrorKind, SqlError};

/// What the parts of a node return.
pub type NodeResult<T> = Result<T, NodeError>;

/// A failure of a node, with a sentence for its operator.
#[derive(Clone, Debug)]
pub struct NodeError {
    kind: ErrorKind,
    message: String,
}

impl NodeError {
    /// A failure of a kind.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Another writer owns the branch.
    #[must_use]
    pub fn fenced(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fenced, message)
    }

    /// Bytes at rest are not what was written.
    #[must_use]
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// A file operation failed.
    #[must_use]
    pub fn io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(ErrorKind::Unavailable, format!("cannot {what} {}: {error}", path.display()))
    }

    /// What the node does about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NodeError {}

impl From<FormatError> for NodeError {
    fn from(error: FormatError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<ManifestError> for NodeError {
    fn from(error: ManifestError) -> Self {
        Self::corrupt(format!("the manifest is broken: {error}"))
    }
}

impl From<ReadError> for NodeError {
    fn from(error: ReadError) -> Self {
        let error = SqlError::from(error);
        Self::new(error.kind(), error.message())
    }
}

impl From<StoreError> for NodeError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::NotFound => ErrorKind::Corrupt,
            StoreErrorKind::Unavailable => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<NodeError> for SqlError {
    fn from(error: NodeError) -> Self {
        // ER_UNKNOWN_ERROR: these have no number of their own in MySQL.
        Self::with_kind(1105, error.kind, error.message)
    }
}
