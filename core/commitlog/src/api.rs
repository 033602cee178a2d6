//! The small types of the crate's interface.

use std::time::Instant;

use aquifer_types::Epoch;
use bytes::Bytes;

/// Position of an entry in the Raft log: dense, the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// How long [`crate::Log::poll`] may sleep when there is nothing to return.
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

/// What [`crate::Log::open`] found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Committed entries that are still kept, in order. They may begin before the point that
    /// [`crate::Log::truncate_prefix`] was last given, never after it.
    pub entries: Vec<Committed>,
    /// The term in which this log was last written; 0 when it was empty.
    pub term: Epoch,
    /// The directory held no log.
    pub was_empty: bool,
    /// Chosen at random when the log was created.
    pub log_id: u128,
    /// Groups that were found after a hole and dropped. They had never been acknowledged; more than
    /// zero only after a crash with several groups in flight.
    pub dropped_groups: u64,
}

/// How the log does its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// io_uring where the kernel allows it, otherwise [`DeviceKind::Plain`].
    Auto,
    /// io_uring or an error.
    IoUring,
    /// Plain system calls in line with the caller.
    Plain,
}

/// Whether writes bypass the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectIo {
    /// Where the file system can.
    Auto,
    /// Never.
    Off,
}

/// Settings of a log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Size of a segment file: a multiple of 4 KiB, at least 16 KiB, at most 1 GiB. An entry must fit
    /// into one. Larger segments rotate less often; smaller ones free space sooner. Default 64 MiB.
    pub segment_bytes: u64,
    /// Most groups that are being written at a time, 1 to 64. More overlap on a device with
    /// parallelism, fewer make larger groups. Default 4.
    pub in_flight_max: usize,
    /// How writes are done.
    pub device: DeviceKind,
    /// Whether they bypass the page cache.
    pub direct: DirectIo,
    /// Entries are kept in memory up to this size, so that reading them again needs no I/O.
    pub memory_bytes_max: usize,
    /// Empty segments kept for reuse.
    pub spare_segments_max: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            in_flight_max: 4,
            device: DeviceKind::Auto,
            direct: DirectIo::Auto,
            memory_bytes_max: 64 << 20,
            spare_segments_max: 2,
        }
    }
}
