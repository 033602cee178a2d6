//! Sizes and choices of the tiers, given by whoever builds the node.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// All three tiers.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Rows in memory.
    pub row: RowCacheConfig,
    /// Decompressed blocks in memory.
    pub block: BlockCacheConfig,
    /// Stored blocks on the local disk; `None` for a node without one.
    pub disk: Option<DiskCacheConfig>,
}

/// What the row cache does with a committed version of a row that it does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteAdmission {
    /// Only rows that were read before are updated. A bulk load leaves the cache alone.
    #[default]
    IfPresent,
    /// Every written row enters: for loads that read soon what they wrote.
    Always,
}

/// Size of the row cache.
#[derive(Clone, Debug)]
pub struct RowCacheConfig {
    /// Memory for entries and table together, in bytes. Larger: fewer block look-ups for point
    /// reads. The table is allocated at start (about a twentieth of this).
    pub bytes_max: usize,
    /// A row whose key and value together are larger than this is not cached: a hit copies the value,
    /// and large rows are served by the block cache without a copy.
    pub row_bytes_max: usize,
    /// What happens to rows that are written and not present.
    pub admission: WriteAdmission,
}

impl RowCacheConfig {
    /// The usual choices for a budget in bytes.
    #[must_use]
    pub fn with_bytes(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            row_bytes_max: (bytes_max / 64).clamp(512, 32 << 10),
            admission: WriteAdmission::default(),
        }
    }
}

/// Size of the block cache.
#[derive(Clone, Debug)]
pub struct BlockCacheConfig {
    /// Memory for decompressed blocks and their bookkeeping, in bytes. Should be at least a few MiB:
    /// a statement reads a block again after its load.
    pub bytes_max: usize,
    /// Number of independently locked parts; 0 chooses from `bytes_max`. More: less contention,
    /// coarser eviction.
    pub shards: usize,
}

impl BlockCacheConfig {
    /// The usual choices for a budget in bytes.
    #[must_use]
    pub fn with_bytes(bytes_max: usize) -> Self {
        Self { bytes_max, shards: 0 }
    }
}

/// How the disk cache reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoEngine {
    /// `io_uring`, or [`IoEngine::Pread`] where the kernel or a container profile forbids it.
    #[default]
    Auto,
    /// Plain positioned reads on the disk cache's own thread.
    Pread,
}

/// Receives the one warning that a tier gives when it turns itself off.
pub type WarnHook = Arc<dyn Fn(&str) + Send + Sync>;

/// Place and size of the disk cache.
#[derive(Clone)]
pub struct DiskCacheConfig {
    /// The file; created and preallocated if it is not there, rebuilt if its size differs.
    pub path: PathBuf,
    /// Size of the file in bytes, rounded down to whole segments. Larger: fewer ranged GETs, and
    /// about 100 bytes of memory a cached block for the index.
    pub bytes_max: u64,
    /// Unit of reuse in bytes: the oldest segment is forgotten at once when space is needed. A
    /// multiple of 4 KiB; larger means fewer, longer writes.
    pub segment_bytes: u64,
    /// Blocks that wait to be written, in bytes; more are dropped (and counted).
    pub write_queue_bytes_max: usize,
    /// Reads in flight at the device.
    pub reads_max: usize,
    /// How to read.
    pub engine: IoEngine,
    /// Told once when the tier turns itself off.
    pub warn: WarnHook,
}

impl DiskCacheConfig {
    /// The usual choices for a file and a size; warnings go to standard error.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, bytes_max: u64) -> Self {
        Self {
            path: path.into(),
            bytes_max,
            segment_bytes: (bytes_max / 64).clamp(1 << 20, 16 << 20) & !4095,
            write_queue_bytes_max: 32 << 20,
            reads_max: 64,
            engine: IoEngine::default(),
            warn: Arc::new(|message| eprintln!("WARN {message}")),
        }
    }
}

impl fmt::Debug for DiskCacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskCacheConfig")
            .field("path", &self.path)
            .field("bytes_max", &self.bytes_max)
            .field("segment_bytes", &self.segment_bytes)
            .field("write_queue_bytes_max", &self.write_queue_bytes_max)
            .field("reads_max", &self.reads_max)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
