//! Hashing of group and join keys: a few multiplications a value.
//!
//! Tables of one execution are made with a random key, so that no one can choose values that collide.

use std::hash::{BuildHasher, Hasher, RandomState};

/// An odd number with bits in no pattern (the golden ratio's).
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// Makes hashers with the same random key.
#[derive(Clone, Debug)]
pub(crate) struct KeyHashing(u64);

impl KeyHashing {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(MIX))
    }
}

impl BuildHasher for KeyHashing {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher { state: self.0, key: self.0.rotate_left(32) | 1 }
    }
}

/// Folds the two halves of 128-bit products.
#[derive(Debug)]
pub(crate) struct KeyHasher {
    state: u64,
    key: u64,
}

impl KeyHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(MIX ^ self.key);
        let (low, high) = (product & u128::from(u64::MAX), product >> 64);
        // Both are below 2^64.
        self.state = u64::try_from(low ^ high).unwrap_or(0);
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.mix(rest.iter().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn finish(&self) -> u64 {
        self.state ^ self.state >> 29
    }
}

/// Takes a hash for its own hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed;

impl BuildHasher for Hashed {
    type Hasher = HashedHasher;

    fn build_hasher(&self) -> HashedHasher {
        HashedHasher(0)
    }
}

/// See [`Hashed`].
#[derive(Debug)]
pub(crate) struct HashedHasher(u64);

impl Hasher for HashedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |word, byte| word << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
