//! Data blocks: entries with prefix-compressed keys, and restart points for binary search.
//!
//! ```text
//! entry:   shared u16 | unshared u16 | value bytes u32 | LSN << 8 | kind u64 | key suffix | value
//! payload: entry* | offset of a restart point u32 * n | n u32
//! ```
//!
//! `shared` counts the leading bytes of the key that equal those of the entry before; at a restart point it
//! is 0. Kind 1 is a value, 0 a tombstone (whose value is empty).

use aquifer_types::Lsn;
use bytes::Bytes;

use crate::error::{FormatError, FormatResult};
use crate::sst::{KEY_BYTES_MAX, LSN_LIMIT, VALUE_BYTES_MAX};
use crate::wire::{u32_at, u64_at};

/// Entries from one restart point to the next. Fewer: a point read steps over less, each step waiting for
/// memory; more: more keys share a prefix. The layout does not depend on it.
pub const RESTART_INTERVAL: usize = 8;

const HEADER_BYTES: usize = 16;
const KIND_BITS: u32 = 8;
const TOMBSTONE: u64 = 0;
const VALUE: u64 = 1;

/// Collects the entries of one block.
#[derive(Debug, Default)]
pub struct DataBlockBuilder {
    payload: Vec<u8>,
    restarts: Vec<u32>,
    last_key: Vec<u8>,
    since_restart: usize,
}

/// A data block's payload, decompressed and checked: reading entries from it cannot fail.
#[derive(Clone, Debug)]
pub struct DataBlock {
    payload: Bytes,
    entries_end: usize,
    restarts: usize,
}

/// One entry, as it lies in its block.
#[derive(Clone, Copy, Debug)]
pub struct BlockEntry<'a> {
    /// Bytes of the key that are those of the entry before.
    pub shared: usize,
    /// The rest of the key.
    pub suffix: &'a [u8],
    /// Position of the transaction that wrote it.
    pub lsn: Lsn,
    /// Whether it deletes the key.
    pub is_tombstone: bool,
    /// Offset of the value in the block.
    pub value_at: usize,
    /// Offset of the next entry; where that is [`DataBlock::entries_end`], this is the last one.
    pub next_at: usize,
}

impl DataBlockBuilder {
    /// Appends an entry; `None` is a tombstone. Entries must come in order; the caller checks that.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] for a key, a value or an LSN over its limit; nothing was added.
    pub fn add(&mut self, key: &[u8], lsn: Lsn, value: Option<&[u8]>) -> FormatResult<()> {
        let (meta, value) = (meta_of(lsn, value.is_some())?, value.unwrap_or_default());
        let value_bytes = u32::try_from(value.len())
            .ok()
            .filter(|_| value.len() <= VALUE_BYTES_MAX)
            .ok_or_else(|| too_large("value", value.len(), VALUE_BYTES_MAX))?;
        u16::try_from(key.len()).map_err(|_| too_large("key", key.len(), KEY_BYTES_MAX))?;
        let entry_at = u32::try_from(self.payload.len())
            .map_err(|_| too_large("block", self.payload.len(), VALUE_BYTES_MAX))?;
        let shared = if self.since_restart == 0 {
            self.restarts.push(entry_at);
            0
        } else {
            common_prefix(&self.last_key, key)
        };
        self.since_restart = (self.since_restart + 1) % RESTART_INTERVAL;
        self.payload.extend_from_slice(&short(shared).to_le_bytes());
        self.payload.extend_from_slice(&short(key.len() - shared).to_le_bytes());
        self.payload.extend_from_slice(&value_bytes.to_le_bytes());
        self.payload.extend_from_slice(&meta.to_le_bytes());
        self.payload.extend_from_slice(&key[shared..]);
        self.payload.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        Ok(())
    }

    /// Bytes of the payload if it were finished now.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload.len() + self.restarts.len() * 4 + 4
    }

    /// Whether no entry was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// The key added last.
    #[must_use]
    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Completes the payload, gives it to `take`, and starts the next block.
    pub fn finish<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T {
        for restart in &self.restarts {
            self.payload.extend_from_slice(&restart.to_le_bytes());
        }
        let count = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX);
        self.payload.extend_from_slice(&count.to_le_bytes());
        let taken = take(&self.payload);
        self.payload.clear();
        self.restarts.clear();
        self.last_key.clear();
        self.since_restart = 0;
        taken
    }
}

impl DataBlock {
    /// Checks a payload: each entry lies inside it, shares no more than the key before has, and each
    /// restart point is an entry that shares nothing.
    ///
    /// # Errors
    /// [`FormatError::Malformed`].
    pub fn parse(payload: Bytes) -> FormatResult<Self> {
        let malformed = FormatError::Malformed("structure of a data block");
        let block = Self::parse_ends(payload).ok_or(malformed.clone())?;
        block.check_entries().ok_or(malformed)?;
        Ok(block)
    }

    fn parse_ends(payload: Bytes) -> Option<Self> {
        let count_at = payload.len().checked_sub(4)?;
        let restarts = u32_at(&payload, count_at)? as usize;
        let entries_end = count_at.checked_sub(restarts.checked_mul(4)?)?;
        (restarts > 0 && entries_end > 0).then_some(Self { payload, entries_end, restarts })
    }

    fn check_entries(&self) -> Option<()> {
        let (mut at, mut key_bytes, mut restart) = (0, 0, 0);
        while at < self.entries_end {
            let header = Header::read(self.payload.get(at..at.checked_add(HEADER_BYTES)?)?)?;
            let is_restart = restart < self.restarts && self.restart_at(restart) == at;
            restart += usize::from(is_restart);
            if header.shared > key_bytes || (is_restart && header.shared != 0) || (at == 0 && !is_restart) {
                return None;
            }
            key_bytes = header.shared + header.unshared;
            at = (at + HEADER_BYTES + header.unshared).checked_add(header.value_bytes)?;
        }
        (at == self.entries_end && restart == self.restarts).then_some(())
    }

    /// The entry at an offset that [`Self::restart_at`] or [`BlockEntry::next_at`] gave, below
    /// [`Self::entries_end`].
    #[inline]
    #[must_use]
    pub fn entry_at(&self, at: usize) -> BlockEntry<'_> {
        let (header, rest) = self.payload[at..self.entries_end].split_at(HEADER_BYTES);
        // One load; the fields are cut out of it.
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(header);
        let [s0, s1, u0, u1, v0, v1, v2, v3, m @ ..] = bytes;
        let meta = u64::from_le_bytes(m);
        let unshared = usize::from(u16::from_le_bytes([u0, u1]));
        let value_bytes = u32::from_le_bytes([v0, v1, v2, v3]) as usize;
        let value_at = at + HEADER_BYTES + unshared;
        BlockEntry {
            shared: usize::from(u16::from_le_bytes([s0, s1])),
            suffix: &rest[..unshared],
            lsn: Lsn(meta >> KIND_BITS),
            is_tombstone: meta & 0xFF == TOMBSTONE,
            value_at,
            next_at: value_at + value_bytes,
        }
    }

    /// Offset of a restart point; `index` below [`Self::restarts`].
    #[inline]
    #[must_use]
    pub fn restart_at(&self, index: usize) -> usize {
        let at = self.entries_end + index * 4;
        let bytes = &self.payload[at..at + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
    }

    /// How many restart points there are; at least one, the first at offset 0.
    #[inline]
    #[must_use]
    pub fn restarts(&self) -> usize {
        self.restarts
    }

    /// The offset after the last entry.
    #[inline]
    #[must_use]
    pub fn entries_end(&self) -> usize {
        self.entries_end
    }

    /// All of the payload.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }
}

impl BlockEntry<'_> {
    /// The value, sharing the block's bytes; `None` for a tombstone.
    #[inline]
    #[must_use]
    pub fn value(&self, block: &DataBlock) -> Option<Bytes> {
        (!self.is_tombstone).then(|| block.payload.slice(self.value_at..self.next_at))
    }
}

/// The lengths in an entry's header, unchecked but for the kind.
struct Header {
    shared: usize,
    unshared: usize,
    value_bytes: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let value_bytes = u32_at(bytes, 4)? as usize;
        let kind = u64_at(bytes, 8)? & 0xFF;
        let legal = kind == VALUE || (kind == TOMBSTONE && value_bytes == 0);
        let short = |at: usize| Some(usize::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
        legal.then_some(Self { shared: short(0)?, unshared: short(2)?, value_bytes })
    }
}

fn meta_of(lsn: Lsn, has_value: bool) -> FormatResult<u64> {
    if lsn.0 >= LSN_LIMIT {
        return Err(FormatError::TooLarge { what: "LSN", bytes: lsn.0, bytes_max: LSN_LIMIT - 1 });
    }
    Ok(lsn.0 << KIND_BITS | if has_value { VALUE } else { TOMBSTONE })
}

/// A length that was checked against [`KEY_BYTES_MAX`].
fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

fn too_large(what: &'static str, bytes: usize, bytes_max: usize) -> FormatError {
    FormatError::TooLarge { what, bytes: bytes as u64, bytes_max: bytes_max as u64 }
}

fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}
