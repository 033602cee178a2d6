//! Failures of an object store.

use std::fmt;

use aquifer_types::ErrorKind;

/// What a store returns.
pub type StoreResult<T> = Result<T, StoreError>;

/// What a caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// There is no such object. A caller that probes expects this one; to others it means that an object
    /// which is named somewhere has gone.
    NotFound,
    /// The store did not answer, or not in time, or is overloaded. Trying again may help. A PUT may or
    /// may not have taken effect.
    Unavailable,
    /// The store refuses the credentials or the process may not use the directory.
    Denied,
    /// The request or the configuration is wrong: no such bucket, an illegal key, a range outside the
    /// object.
    Invalid,
    /// The store does not honour conditional PUTs and so cannot hold a chain.
    IgnoresConditions,
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    kind: StoreErrorKind,
    object: Option<String>,
    message: String,
}

impl StoreError {
    /// A failure without the name of an object.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, object: None, message: message.into() }
    }

    /// An [`StoreErrorKind::Unavailable`].
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Unavailable, message)
    }

    /// A [`StoreErrorKind::NotFound`] of an object.
    #[must_use]
    pub fn not_found(object: &str) -> Self {
        Self::new(StoreErrorKind::NotFound, "no such object").with_object(object)
    }

    /// The same error, naming the object. The innermost name stays.
    #[must_use]
    pub fn with_object(mut self, object: &str) -> Self {
        self.object.get_or_insert_with(|| object.to_owned());
        self
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Key of the object, where one is concerned.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// What happened, without the object's name.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether there is no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == StoreErrorKind::NotFound
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind == StoreErrorKind::Unavailable
    }

    /// What a node does about it. An object that a manifest names and the store does not have counts as
    /// corruption: callers for whom absence is normal ask [`StoreError::is_not_found`] first.
    #[must_use]
    pub fn error_kind(&self) -> ErrorKind {
        match self.kind {
            StoreErrorKind::NotFound => ErrorKind::Corrupt,
            StoreErrorKind::Unavailable | StoreErrorKind::Denied => ErrorKind::Unavailable,
            StoreErrorKind::Invalid | StoreErrorKind::IgnoresConditions => ErrorKind::Invalid,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{object}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for StoreError {}
