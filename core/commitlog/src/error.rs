//! Why the log refuses or cannot go on.

use std::fmt;
use std::io;

/// A failure of the log. All but [`LogError::Busy`], [`LogError::TooLarge`] and [`LogError::Empty`] are
/// final: the owner must stop before it acknowledges or publishes anything more.
#[derive(Debug)]
pub enum LogError {
    /// The device failed. After a failed write it is unknown what is on the medium.
    Io {
        /// What was being done, with the file's name.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Bytes that were durable once are not what was written.
    Corrupt {
        /// The segment file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Another process has this log open.
    Locked(String),
    /// As many groups as allowed are being written: [`crate::Log::poll`] first.
    Busy,
    /// The entry does not fit into a segment.
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The largest that fits.
        bytes_max: u64,
    },
    /// An entry must hold at least one byte.
    Empty,
    /// The entry has been truncated away or is not committed yet.
    OutOfRange {
        /// The first index asked for.
        index: u64,
    },
    /// A setting that cannot work.
    Options(String),
    /// Raft refused or lost its leadership: a broken invariant in a group of one.
    Raft(String),
}

impl LogError {
    /// Whether the log must not be used any more.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Busy | Self::TooLarge { .. } | Self::Empty | Self::OutOfRange { .. })
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn corrupt(file: &str, offset: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, reason: reason.into() }
    }
}

impl From<raft::Error> for LogError {
    fn from(error: raft::Error) -> Self {
        Self::Raft(error.to_string())
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, source } => write!(f, "commit log: {what}: {source}"),
            Self::Corrupt { file, offset, reason } => write!(
                f,
                "commit log: {file} is damaged at byte {offset}: {reason}. Commits after that point \
                 cannot be read; restore the file, or move the log directory away to continue from \
                 what the object store has"
            ),
            Self::Locked(path) => {
                write!(f, "commit log: {path} is in use by another process; stop that one first")
            }
            Self::Busy => f.write_str("commit log: too many groups in flight"),
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "commit log: an entry of {bytes} bytes exceeds the limit of {bytes_max}")
            }
            Self::Empty => f.write_str("commit log: an entry must not be empty"),
            Self::OutOfRange { index } => {
                write!(f, "commit log: entry {index} is truncated or not committed")
            }
            Self::Options(text) => write!(f, "commit log: {text}"),
            Self::Raft(text) => write!(f, "commit log: consensus: {text}"),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
