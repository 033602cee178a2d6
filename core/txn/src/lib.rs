//! The parts of a transaction that need no thread and no storage: row locks, range locks, the wait-for
//! graph, the write set and the registry of read views.
//!
//! A [`LockTable`] and a [`RangeTable`] belong to one executor and are changed by it alone. The [`WaitGraph`] is shared by
//! all home cores of a node, and touched only when a transaction has to wait. Nothing here waits: the
//! functions say who must, and the shell in `shard` does it.

pub mod held;
pub mod lock_table;
pub mod range_table;
pub mod views;
pub mod wait_graph;
pub mod write_set;

#[cfg(test)]
mod lock_table_test;
#[cfg(test)]
mod range_table_test;
#[cfg(test)]
mod wait_graph_test;
#[cfg(test)]
mod write_set_test;

pub use held::{Held, Who};
pub use lock_table::{Acquired, Blocker, Changes, Grant, KeyHasher, LockStrength, LockTable};
pub use range_table::{HeldRanges, RangeTable};
pub use views::{ViewGuard, Views};
pub use wait_graph::{Deadlock, Victim, WaitGraph, WaitId, Waiting};
pub use write_set::{Segment, Write, WriteSet, WriteSetPoint};

/// The hash that gives every key its home core: FNV-1a over eight bytes at a time, then mixed.
///
/// Not stored anywhere: the number of cores is no part of a format.
#[must_use]
pub fn key_hash(key: &[u8]) -> u64 {
    const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut hash = PRIME ^ u64::try_from(key.len()).unwrap_or(0);
    let mut chunks = key.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
        hash ^= hash >> 32;
    }
    for byte in chunks.remainder() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    hash ^= hash >> 29;
    hash = hash.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash ^ (hash >> 32)
}
