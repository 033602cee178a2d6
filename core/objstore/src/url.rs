//! Where a store is: `s3://bucket/prefix`, `file:///path`, or a plain path.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::error::{StoreError, StoreErrorKind, StoreResult};

/// A store's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A bucket and the prefix inside it, without slashes at its ends; empty for the whole bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// What all keys start with, without the slash that follows it.
        prefix: String,
    },
    /// A directory.
    Dir(PathBuf),
}

impl StoreUrl {
    /// Reads an address. A text without `://` is a path, relative to the working directory.
    ///
    /// # Errors
    /// `Invalid` with a sentence for the user: unknown scheme, no bucket, a relative path after
    /// `file://`.
    pub fn parse(text: &str) -> StoreResult<Self> {
        let invalid = |why: &str| {
            let message = format!("store {text:?}: {why}; give s3://bucket/prefix, file:///path or a path");
            Err(StoreError::new(StoreErrorKind::Invalid, message))
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() { invalid("is empty") } else { Ok(Self::Dir(PathBuf::from(text))) };
        };
        match scheme {
            "s3" => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let prefix = prefix.trim_matches('/');
                if bucket.is_empty() {
                    return invalid("names no bucket");
                }
                if !is_plain(prefix) {
                    return invalid("has a prefix with an empty, '.' or '..' part");
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            "file" if rest.starts_with('/') => Ok(Self::Dir(PathBuf::from(rest))),
            "file" => invalid("file:// must be followed by an absolute path"),
            _ => invalid("has an unknown scheme"),
        }
    }
}

fn is_plain(prefix: &str) -> bool {
    prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Dir(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Checks that a key can be used in every kind of store: 1 to 1,000 bytes, parts between slashes that are
/// neither empty nor `.` nor `..`, no backslash and no control character.
///
/// # Errors
/// `Invalid`.
pub(crate) fn check_key(key: &str) -> StoreResult<()> {
    let parts = Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
    let legal = !key.is_empty()
        && key.len() <= 1000
        && parts
        && is_plain(key)
        && !key.chars().any(|c| c == '\\' || c.is_control());
    if legal {
        return Ok(());
    }
    Err(StoreError::new(StoreErrorKind::Invalid, "an illegal key").with_object(key))
}
