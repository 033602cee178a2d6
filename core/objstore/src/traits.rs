//! What stands behind a [`crate::Store`].

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::time::SystemTime;

use bytes::Bytes;

use crate::error::StoreResult;

/// A request in progress. Runs on the S3 lane.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = StoreResult<T>> + Send + 'a>>;

/// Outcome of a conditional PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object holds the caller's bytes: it was created now, or by an earlier attempt of the caller
    /// whose answer was lost.
    Created,
    /// The object was there before, with other bytes. It was not changed.
    Exists,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written, by the store's clock.
    pub modified: SystemTime,
}

/// An object store as one attempt at each request: no retries, no read-back, no counting, which
/// [`crate::Store`] adds. Driven from the S3 lane's tokio runtime, which an implementation must not block
/// for longer than a small file read takes.
pub trait ObjectStore: Send + Sync + 'static {
    /// Where the store is, for messages.
    fn location(&self) -> String;

    /// A whole object.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`, `Denied`.
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Bytes>;

    /// Bytes `range.start..range.end` of an object, not empty; fewer where the object ends first.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`, `Denied`; `Invalid` when the range starts at or past the end of the
    /// object.
    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> StoreFuture<'a, Bytes>;

    /// Creates or replaces an object.
    ///
    /// # Errors
    /// `Unavailable` (it may have taken effect), `Denied`, `Invalid`.
    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, ()>;

    /// Creates an object unless there is one, whatever it holds.
    ///
    /// # Errors
    /// `Unavailable` (it may have taken effect), `Denied`, `Invalid`.
    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, PutOutcome>;

    /// Length of an object, `None` where there is none.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`.
    fn head<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<u64>>;

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`.
    fn delete<'a>(&'a self, key: &'a str) -> StoreFuture<'a, ()>;

    /// The first objects whose keys start with `prefix` and come after `start_after`, ordered by key as
    /// bytes.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`.
    fn list_page<'a>(&'a self, prefix: &'a str, start_after: Option<&'a str>) -> StoreFuture<'a, Page>;
}

/// Part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects by key.
    pub objects: Vec<ObjectInfo>,
    /// Whether there are more after the last of them.
    pub more: bool,
}
