//! Which blocks are in the file, and where.
//!
//! Sharded by the block's hash, each shard under a mutex held for one look-up. The index says only
//! what was written; whether it can still be read is found out by reading.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::block::BlockKey;
use crate::counters::to_u64;
use crate::hash::{BuildPreHashed, bucket};

const SHARDS: usize = 16;

/// Where a block's stored bytes are in the file, and what their checksum must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// Position in the file.
    pub(super) position: u64,
    /// Length in bytes.
    pub(super) length: u32,
    /// CRC32C of the bytes.
    pub(super) crc: u32,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    location: Location,
    /// Read since it was written.
    hot: bool,
}

type Map = HashMap<BlockKey, Held, BuildPreHashed>;

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    shards: [Mutex<Map>; SHARDS],
    bytes: AtomicU64,
}

impl Index {
    /// Finds a block and notes that it was used.
    pub(super) fn find(&self, key: BlockKey) -> Option<Location> {
        let mut shard = self.shard(key);
        let held = shard.get_mut(&key)?;
        held.hot = true;
        Some(held.location)
    }

    pub(super) fn contains(&self, key: BlockKey) -> bool {
        self.shard(key).contains_key(&key)
    }

    /// Whether a block is held and was read since it was written.
    pub(super) fn is_hot(&self, key: BlockKey) -> bool {
        self.shard(key).get(&key).is_some_and(|held| held.hot)
    }

    pub(super) fn insert(&self, key: BlockKey, location: Location) {
        let old = self.shard(key).insert(key, Held { location, hot: false });
        self.bytes.fetch_add(u64::from(location.length), Ordering::Relaxed);
        self.forget_bytes(old.map(|held| held.location));
    }

    /// Forgets a block if `matches` holds for its location; says whether it was hot.
    pub(super) fn remove_if(
        &self,
        key: BlockKey,
        matches: impl FnOnce(Location) -> bool,
    ) -> Option<(Location, Heat)> {
        let mut shard = self.shard(key);
        let held = *shard.get(&key)?;
        if !matches(held.location) {
            return None;
        }
        shard.remove(&key);
        drop(shard);
        self.forget_bytes(Some(held.location));
        Some((held.location, if held.hot { Heat::Hot } else { Heat::Cold }))
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let map = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            map.values().for_each(|held| self.forget_bytes(Some(held.location)));
        }
    }

    fn forget_bytes(&self, location: Option<Location>) {
        let length = location.map_or(0, |l| u64::from(l.length));
        self.bytes.fetch_sub(length, Ordering::Relaxed);
    }

    /// Blocks, their stored bytes, and the memory that the index takes.
    pub(super) fn sizes(&self) -> (u64, u64, u64) {
        let (mut blocks, mut memory) = (0, 0);
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            blocks += to_u64(shard.len());
            memory += to_u64(shard.capacity() * (size_of::<(BlockKey, Held)>() + 1) * 8 / 7);
        }
        (blocks, self.bytes.load(Ordering::Relaxed), memory)
    }

    fn shard(&self, key: BlockKey) -> MutexGuard<'_, Map> {
        self.shards[bucket(key.hash64(), SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a block was read since it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heat {
    /// It was.
    Hot,
    /// It was not.
    Cold,
}
