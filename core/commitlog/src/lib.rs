//! The commit log: a Raft group's log in segment files, with one durable write a group of
//! transactions.
pub mod waker;

use std::path::Path;
use std::time::Instant;

use aquifer_types::Epoch;
use bytes::Bytes;
pub use waker::Waker;

/// Position of an entry in the Raft log: dense, the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// How long [`Log::poll`] may sleep when there is nothing to return.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until this moment, or until woken.
    Until(Instant),
    /// Until woken or something has been committed.
    Forever,
}

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its position. Positions of consecutive entries increase but need not be adjacent: Raft's own
    /// entries are not shown.
    pub index: LogIndex,
    /// The epoch in which it was proposed.
    pub term: Epoch,
    /// What was proposed.
    pub data: Bytes,
}

/// What [`Log::open`] found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Committed entries that are still kept, in order. May begin before the truncated prefix.
    pub entries: Vec<Committed>,
    /// The term in which the last writer of this log ran; 0 when it was empty.
    pub term: Epoch,
    /// The directory held no log.
    pub was_empty: bool,
    /// Chosen at random when the log was created.
    pub log_id: u128,
}

/// How the log does its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// io_uring where the kernel allows it, otherwise [`DeviceKind::Plain`].
    Auto,
    /// io_uring or an error.
    IoUring,
    /// `pwritev2` in line with the caller.
    Plain,
}

/// Settings of a log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Size of a segment file; a multiple of 4 KiB. Default 64 MiB.
    pub segment_bytes: u64,
    /// Most groups that are being written at a time. Default 4.
    pub in_flight_max: usize,
    /// How writes are done.
    pub device: DeviceKind,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, in_flight_max: 4, device: DeviceKind::Auto }
    }
}

/// Why the log cannot go on. Every error of a running [`Log`] is final: the owner stops.
#[derive(Debug)]
pub enum LogError {
    /// The device failed.
    Io(std::io::Error),
}

/// What has been done since the log was opened.
#[derive(Clone, Debug, Default)]
pub struct LogStats {
    /// Entries proposed.
    pub groups: u64,
    /// Device writes.
    pub writes: u64,
    /// Bytes written, padding included.
    pub bytes: u64,
}

/// A log, driven by one thread.
pub struct Log {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Log {
    pub fn open(dir: &Path, options: LogOptions, min_term: Epoch) -> Result<(Self, Recovered), LogError> {
        todo!()
    }
    pub fn term(&self) -> Epoch {
        todo!()
    }
    /// Whether [`Log::propose`] would start a write at once (below `in_flight_max`).
    pub fn can_propose(&self) -> bool {
        todo!()
    }
    pub fn propose(&mut self, data: Bytes) -> Result<LogIndex, LogError> {
        todo!()
    }
    /// As [`Log::propose`] of the parts joined.
    pub fn propose_parts(&mut self, parts: &[&[u8]]) -> Result<LogIndex, LogError> {
        todo!()
    }
    /// Returns at once when something is committed; an empty vector after a wake-up or the deadline.
    pub fn poll(&mut self, wait: Wait) -> Result<Vec<Committed>, LogError> {
        todo!()
    }
    pub fn waker(&self) -> Waker {
        todo!()
    }
    pub fn truncate_prefix(&mut self, upto: LogIndex) -> Result<(), LogError> {
        todo!()
    }
    /// Reads committed entries from `from` on, at least one and at most about `bytes_max` bytes.
    pub fn read(&mut self, from: LogIndex, bytes_max: usize) -> Result<Vec<Committed>, LogError> {
        todo!()
    }
    /// Bytes of the segments in use.
    pub fn bytes(&self) -> u64 {
        todo!()
    }
    pub fn stats(&self) -> LogStats {
        todo!()
    }
    /// Waits for what is in flight and marks the log's end.
    pub fn close(self) -> Result<(), LogError> {
        todo!()
    }
}
