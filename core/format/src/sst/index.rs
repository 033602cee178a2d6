//! The index block: for each data block a separator and a handle.
//!
//! ```text
//! payload: n u32 | zero u32 | entry * n | separator bytes
//! entry:   offset u64 | separator LSN u64 | block bytes u32 | end of its separator in the separator bytes u32
//! ```
//!
//! A separator is a position in entry order (user key ascending, LSN descending): not before the last entry
//! of its block, and before the first entry of the next. Between two user keys it is a short key with LSN 0;
//! between two versions of one key it is the last entry's key and LSN.

use std::cmp::Ordering;

use aquifer_types::Lsn;
use bytes::Bytes;

use crate::error::{FormatError, FormatResult};
use crate::sst::BlockHandle;
use crate::wire::{u32_at, u64_at};

const HEAD_BYTES: usize = 8;
const ENTRY_BYTES: usize = 24;

/// Collects the index of one table.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    entries: Vec<u8>,
    separators: Vec<u8>,
    count: u32,
}

/// A checked index, read in place.
#[derive(Clone, Debug)]
pub struct IndexBlock {
    payload: Bytes,
    count: usize,
}

impl IndexBuilder {
    /// Appends a data block; blocks must come in order.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when the separators exceed 4 GiB.
    pub fn add(&mut self, handle: BlockHandle, separator: &[u8], separator_lsn: Lsn) -> FormatResult<()> {
        let end = self.separators.len() + separator.len();
        let end_field = u32::try_from(end).map_err(|_| FormatError::TooLarge {
            what: "index",
            bytes: end as u64,
            bytes_max: u64::from(u32::MAX),
        })?;
        self.separators.extend_from_slice(separator);
        self.entries.extend_from_slice(&handle.offset.to_le_bytes());
        self.entries.extend_from_slice(&separator_lsn.0.to_le_bytes());
        self.entries.extend_from_slice(&handle.len.to_le_bytes());
        self.entries.extend_from_slice(&end_field.to_le_bytes());
        self.count += 1;
        Ok(())
    }

    /// How many blocks were added.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the payload if it were finished now.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        HEAD_BYTES + self.entries.len() + self.separators.len()
    }

    /// The payload.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.payload_bytes());
        payload.extend_from_slice(&self.count.to_le_bytes());
        payload.extend_from_slice(&[0; 4]);
        payload.extend_from_slice(&self.entries);
        payload.extend_from_slice(&self.separators);
        payload
    }
}

impl IndexBlock {
    /// Checks a payload: the data blocks follow each other from offset 0 and the separators ascend.
    ///
    /// # Errors
    /// [`FormatError::Malformed`].
    pub fn parse(payload: Bytes) -> FormatResult<Self> {
        let malformed = FormatError::Malformed("structure of an index block");
        let count = u32_at(&payload, 0).ok_or(malformed.clone())? as usize;
        let index = Self { payload, count };
        index.check().ok_or(malformed)?;
        Ok(index)
    }

    fn check(&self) -> Option<()> {
        let keys_at = self.count.checked_mul(ENTRY_BYTES)?.checked_add(HEAD_BYTES)?;
        let key_bytes = self.payload.len().checked_sub(keys_at)?;
        if self.count == 0 || u32_at(&self.payload, 4)? != 0 {
            return None;
        }
        let (mut offset, mut key_end) = (0, 0);
        for block in 0..self.count {
            let handle = self.handle(block);
            let end = self.key_end(block);
            if handle.offset != offset || handle.len == 0 || end < key_end || end > key_bytes {
                return None;
            }
            (offset, key_end) = (handle.offset.checked_add(u64::from(handle.len))?, end);
        }
        let ordered = (1..self.count).all(|block| {
            let (key, lsn) = self.separator(block);
            self.compare(block - 1, key, lsn) == Ordering::Less
        });
        (ordered && key_end == key_bytes).then_some(())
    }

    /// How many data blocks there are; at least one.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Never: a table has at least one block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload.len()
    }

    /// Where data block `block` lies.
    #[inline]
    #[must_use]
    pub fn handle(&self, block: usize) -> BlockHandle {
        let at = HEAD_BYTES + block * ENTRY_BYTES;
        BlockHandle { offset: self.u64_field(at), len: self.u32_field(at + 16) }
    }

    /// The separator after data block `block`.
    #[inline]
    #[must_use]
    pub fn separator(&self, block: usize) -> (&[u8], Lsn) {
        let keys_at = HEAD_BYTES + self.count * ENTRY_BYTES;
        let start = if block == 0 { 0 } else { self.key_end(block - 1) };
        let key = &self.payload[keys_at + start..keys_at + self.key_end(block)];
        (key, Lsn(self.u64_field(HEAD_BYTES + block * ENTRY_BYTES + 8)))
    }

    /// The first block that can hold an entry at or after `(key, lsn)` in entry order; [`Self::len`]
    /// when all entries are before it.
    #[inline]
    #[must_use]
    pub fn lower_bound(&self, key: &[u8], lsn: Lsn) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.compare(middle, key, lsn) == Ordering::Less {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    #[inline]
    fn compare(&self, block: usize, key: &[u8], lsn: Lsn) -> Ordering {
        let (separator, separator_lsn) = self.separator(block);
        separator.cmp(key).then_with(|| lsn.cmp(&separator_lsn))
    }

    #[inline]
    fn key_end(&self, block: usize) -> usize {
        self.u32_field(HEAD_BYTES + block * ENTRY_BYTES + 20) as usize
    }

    #[inline]
    fn u64_field(&self, at: usize) -> u64 {
        u64_at(&self.payload, at).unwrap_or_default()
    }

    #[inline]
    fn u32_field(&self, at: usize) -> u32 {
        u32_at(&self.payload, at).unwrap_or_default()
    }
}

/// A key `k` with `before ≤ k < after` that is as short as can be had cheaply, appended to `out`.
/// `before` must be less than `after`.
pub fn shortest_separator(before: &[u8], after: &[u8], out: &mut Vec<u8>) {
    let shared = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    match (before.get(shared), after.get(shared)) {
        (Some(low), Some(high)) if low + 1 < *high => {
            out.extend_from_slice(&before[..shared]);
            out.push(low + 1);
        }
        _ => out.extend_from_slice(before),
    }
}
