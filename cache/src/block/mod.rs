//! Decompressed blocks in memory, shared by all threads of a node.
//!
//! The cache is cut into independently locked shards. A hit holds its shard's mutex for one table
//! look-up and one clone (tens of nanoseconds, see `examples/cache_bench.rs`); nothing is freed,
//! allocated or evicted under it on a hit. Eviction is S3-FIFO (Yang et al., "FIFO queues are all you
//! need for cache eviction", SOSP 2023): see [`shard`].
//!
//! Invariants: the bytes of all shards together stay at or below the limit after every insertion, and
//! bookkeeping is counted. Blocks never change, so nothing is ever invalidated.
//!
//! Deliberately not here: fetching (see [`crate::tiered`]), index and filter blocks, which stay with
//! their table as long as it is open.

mod shard;

use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aquifer_types::SstId;

use crate::config::BlockCacheConfig;
use crate::counters::BlockCounters;
use crate::hash::{bucket, hash_block};
use shard::Shard;

/// A shard should hold at least this many bytes, or its eviction is too coarse.
const SHARD_BYTES_MIN: usize = 4 << 20;
const SHARDS_MAX: usize = 64;

/// Where a block is: its object and its first byte there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockKey {
    /// The object.
    pub sst: SstId,
    /// Position of the stored block's first byte in the object.
    pub offset: u64,
}

impl BlockKey {
    pub(crate) fn hash64(self) -> u64 {
        hash_block(self.sst.0, self.offset)
    }
}

impl Hash for BlockKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash64());
    }
}

/// Who asks for a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// A statement that touches few blocks: what it uses is likely to be used again.
    #[default]
    Point,
    /// A scan that touches many blocks once. Its hits count for nothing, what it loads leaves first
    /// and is not remembered, and it does not enter the disk cache.
    Scan,
}

#[repr(align(64))]
#[derive(Debug)]
struct Padded<B>(Mutex<Shard<B>>);

/// A byte-limited cache of `B`, which is cheap to clone.
#[derive(Debug)]
pub struct BlockCache<B> {
    shards: Box<[Padded<B>]>,
    bytes_max: usize,
}

impl<B: Clone> BlockCache<B> {
    /// An empty cache.
    #[must_use]
    pub fn new(config: &BlockCacheConfig) -> Self {
        let shards = match config.shards {
            0 => (config.bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX),
            given => given,
        };
        let each = config.bytes_max / shards;
        Self {
            shards: (0..shards).map(|_| Padded(Mutex::new(Shard::new(each)))).collect(),
            bytes_max: config.bytes_max,
        }
    }

    /// The block, if it is held.
    #[must_use]
    pub fn get(&self, key: BlockKey, access: Access) -> Option<B> {
        self.shard(key).get(key, access)
    }

    /// The block, if it is held; counts as no use of it, no hit and no miss.
    #[must_use]
    pub fn peek(&self, key: BlockKey) -> Option<B> {
        self.shard(key).peek(key)
    }

    /// Whether the block is held; counts as no use of it.
    #[must_use]
    pub fn contains(&self, key: BlockKey) -> bool {
        self.shard(key).contains(key)
    }

    /// Puts a block of `bytes` bytes of memory in. One that is larger than a shard's small queue
    /// (a tenth of the shard) is not kept.
    pub fn insert(&self, key: BlockKey, block: B, bytes: usize, access: Access) {
        // What is evicted is freed after the lock is released.
        let evicted = self.shard(key).insert(key, block, bytes, access);
        drop(evicted);
    }

    /// The blocks that were used more than once, or came back after they had left, in no order; at most
    /// `limit`. What a cache should hold again after a restart.
    #[must_use]
    pub fn hot_keys(&self, limit: usize) -> Vec<BlockKey> {
        let each = limit.div_ceil(self.shards.len());
        let mut keys = Vec::new();
        for shard in &self.shards {
            let shard = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            keys.extend(shard.hot_keys().take(each));
        }
        keys.truncate(limit);
        keys
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> BlockCounters {
        let mut sum =
            BlockCounters { bytes_max: crate::counters::to_u64(self.bytes_max), ..Default::default() };
        for shard in &self.shards {
            let shard = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
            shard.add_counters(&mut sum);
        }
        sum
    }

    fn shard(&self, key: BlockKey) -> MutexGuard<'_, Shard<B>> {
        let shard = &self.shards[bucket(key.hash64(), self.shards.len())];
        shard.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
