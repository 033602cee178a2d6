//! The hash that places keys in sets and shards.
//!
//! Folded 64×64→128-bit multiplication over 8-byte words. It is not keyed: a chosen collision costs
//! misses in one set, never a wrong answer, because keys are always compared in full. It appears in no
//! stored byte, so it may change freely.

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const SEED: u64 = 0x2545_f491_4f6c_dd1d;

#[allow(clippy::cast_possible_truncation)] // folding keeps both halves on purpose
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Hashes a key of any length.
pub(crate) fn hash_bytes(key: &[u8]) -> u64 {
    let mut state = SEED ^ u64::try_from(key.len()).unwrap_or(u64::MAX);
    let (words, rest) = key.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut last = [0u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        state = fold(state ^ u64::from_le_bytes(last), MULTIPLIER ^ SEED);
    }
    fold(state, SEED | 1)
}

/// Hashes a block's place.
#[allow(clippy::cast_possible_truncation)] // both halves of the id are used
pub(crate) fn hash_block(sst: u128, offset: u64) -> u64 {
    let mixed = fold((sst as u64) ^ SEED, MULTIPLIER) ^ ((sst >> 64) as u64);
    fold(fold(mixed ^ offset, MULTIPLIER), SEED | 1)
}

/// Maps a hash to `0..buckets` by its high bits.
pub(crate) fn bucket(hash: u64, buckets: usize) -> usize {
    let wide = u128::from(hash) * u128::try_from(buckets).unwrap_or(0);
    usize::try_from(wide >> 64).unwrap_or(0)
}

/// A `HashMap` hasher for keys that are hashed with [`hash_block`] already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PreHashed(u64);

impl std::hash::Hasher for PreHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = fold(self.0, MULTIPLIER) ^ hash_bytes(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Builds [`PreHashed`].
pub(crate) type BuildPreHashed = std::hash::BuildHasherDefault<PreHashed>;
