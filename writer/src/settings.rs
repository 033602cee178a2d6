//! What an operator can set of a writer.

use std::path::PathBuf;
use std::time::Duration;

/// Sizes and intervals of a writer's own parts.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// Directory for the commit log; the caches are beside it.
    pub local: PathBuf,
    /// A memtable is frozen and flushed when it is this large. Larger: fewer, larger tables and less
    /// compaction, more memory, longer recovery.
    pub memtable_bytes: usize,
    /// A transaction with so many bytes of writes moves them into tables, where only it can see them until it commits.
    /// Larger: more memory for each large transaction; fewer tables.
    pub spill_bytes: usize,
    /// Frozen memtables never hold more: commits are slowed down on the way there, and wait at the end. Larger:
    /// longer bursts at full speed, more memory, longer recovery.
    pub frozen_bytes_max: usize,
    /// Least time between two links. Smaller: readers are closer behind and less is lost with the local
    /// directory; more PUT requests.
    pub publish_interval: Duration,
    /// Links between two checkpoints. Fewer: faster starts, more PUT requests.
    pub checkpoint_links: u64,
    /// Bytes of commits and tables that may wait for the store on this node's disk before writes are refused.
    /// Larger: writes go on for longer while the store is away; more of the local disk, and as much memory
    /// for commits that a start finds unpublished.
    pub outbox_bytes_max: u64,
    /// Every state since so long ago stays readable in the store. Longer: older states can be branched from,
    /// statements on readers may run longer; more storage.
    pub retention: Duration,
    /// Least time between two collections, each of which lists the store.
    pub collection_interval: Duration,
    /// Where clients reach this writer; told in the epoch record.
    pub address: String,
}

impl WriterSettings {
    /// The defaults for a local directory.
    #[must_use]
    pub fn new(local: PathBuf) -> Self {
        Self {
            local,
            memtable_bytes: 64 << 20,
            spill_bytes: 16 << 20,
            frozen_bytes_max: 256 << 20,
            publish_interval: Duration::from_millis(20),
            checkpoint_links: 256,
            outbox_bytes_max: 8 << 30,
            retention: Duration::from_secs(24 * 3600),
            collection_interval: Duration::from_secs(3600),
            address: String::new(),
        }
    }
}
