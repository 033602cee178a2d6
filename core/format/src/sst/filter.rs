//! The filter block: a Bloom filter over user keys in lines of 64 bytes, so that one question touches one
//! cache line (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007).
//!
//! ```text
//! payload: lines u32 | probes u32 | line (64 bytes) * lines
//! ```
//!
//! The upper half of a key's hash selects the line, nine bits each of its product with a constant select the
//! bits. The hash is part of the format and never changes.

use bytes::Bytes;

use crate::error::{FormatError, FormatResult};
use crate::wire::u32_at;

const HEAD_BYTES: usize = 8;
const LINE_BYTES: usize = 64;
const LINE_BITS: u32 = 9;
const BITS_PER_KEY: usize = 10;
const PROBES: u32 = 6;

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const MIX: u64 = 0xD6E8_FEB8_6659_FD93;
const SPREAD: u64 = 0xA24B_AED4_963E_E407;

/// Collects the keys of one table.
#[derive(Debug, Default)]
pub struct FilterBuilder {
    hashes: Vec<u64>,
}

/// A checked filter, read in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterBlock {
    payload: Bytes,
    lines: u32,
    probes: u32,
}

/// The 64-bit hash that filters are built with.
#[inline]
#[must_use]
pub fn key_hash(key: &[u8]) -> u64 {
    let mut hash = SEED ^ (key.len() as u64).wrapping_mul(MIX);
    let (words, tail) = key.as_chunks::<8>();
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word), MIX);
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    fold(fold(hash ^ u64::from_le_bytes(last), SPREAD) ^ SEED, MIX)
}

/// Both halves of a 128-bit product, combined; the addition keeps a zero from absorbing what follows.
#[inline]
fn fold(value: u64, factor: u64) -> u64 {
    let (low, high) = value.wrapping_add(SEED).carrying_mul(factor, 0);
    low ^ high
}

impl FilterBuilder {
    /// Adds a key. Adding it again right after costs nothing.
    pub fn add(&mut self, key: &[u8]) {
        let hash = key_hash(key);
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
    }

    /// Bytes of the payload if it were finished now.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        HEAD_BYTES + self.lines() as usize * LINE_BYTES
    }

    /// The payload.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let lines = self.lines();
        let mut payload = vec![0; self.payload_bytes()];
        payload[..4].copy_from_slice(&lines.to_le_bytes());
        payload[4..8].copy_from_slice(&PROBES.to_le_bytes());
        for hash in &self.hashes {
            let line = line_at(*hash, lines);
            for (byte, bit) in probes(*hash, PROBES) {
                payload[line + byte] |= bit;
            }
        }
        payload
    }

    fn lines(&self) -> u32 {
        let lines = (self.hashes.len() * BITS_PER_KEY).div_ceil(LINE_BYTES * 8).max(1);
        u32::try_from(lines).unwrap_or(u32::MAX)
    }
}

impl FilterBlock {
    /// Checks a payload.
    ///
    /// # Errors
    /// [`FormatError::Malformed`].
    pub fn parse(payload: Bytes) -> FormatResult<Self> {
        let malformed = FormatError::Malformed("structure of a filter block");
        let (Some(lines), Some(probes)) = (u32_at(&payload, 0), u32_at(&payload, 4)) else {
            return Err(malformed);
        };
        let fits = payload.len() as u64 == HEAD_BYTES as u64 + u64::from(lines) * LINE_BYTES as u64;
        if lines == 0 || !(1..=7).contains(&probes) || !fits {
            return Err(malformed);
        }
        Ok(Self { payload, lines, probes })
    }

    /// Whether a key with this [`key_hash`] may be in the table; `false` is certain.
    #[inline]
    #[must_use]
    pub fn may_contain(&self, hash: u64) -> bool {
        let at = line_at(hash, self.lines);
        let line = &self.payload[at..at + LINE_BYTES];
        probes(hash, self.probes).all(|(byte, bit)| line[byte] & bit != 0)
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload.len()
    }
}

/// Offset in the payload of the line that a hash selects.
#[inline]
fn line_at(hash: u64, lines: u32) -> usize {
    let line = ((hash >> 32) * u64::from(lines)) >> 32;
    HEAD_BYTES + usize::try_from(line).unwrap_or_default() * LINE_BYTES
}

/// Byte in the line, and the bit in that byte, of each probe.
#[inline]
fn probes(hash: u64, count: u32) -> impl Iterator<Item = (usize, u8)> {
    let spread = hash.wrapping_mul(SPREAD);
    (0..count).map(move |probe| {
        let bit = (spread >> (64 - LINE_BITS * (probe + 1))) & ((1 << LINE_BITS) - 1);
        let [low, high, ..] = bit.to_le_bytes();
        (usize::from(low >> 3) | usize::from(high) << 5, 1 << (low & 7))
    })
}
