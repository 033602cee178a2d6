//! A data block in memory: verified, decompressed, checked, read in place.
//!
//! A point read compares against the compressed entries without rebuilding keys; a walk rebuilds the key of
//! one entry at a time in a buffer that it keeps.

use std::cmp::Ordering;

use aquifer_format::FormatError;
use aquifer_format::sst::{BlockEntry, BlockPlace, DataBlock, RESTART_INTERVAL, verify_block};
use aquifer_types::Lsn;
use bytes::Bytes;

use crate::codec;

/// A decompressed data block. Cloning shares the bytes; values read from it are slices of them.
#[derive(Clone, Debug)]
pub struct Block {
    data: DataBlock,
}

/// A position in a block, at an entry or at none, with the entry's whole key.
#[derive(Debug)]
pub(crate) struct BlockWalk {
    block: Block,
    key: Vec<u8>,
    at: usize,
    next_at: usize,
    lsn: Lsn,
    is_tombstone: bool,
    value_at: usize,
}

impl Block {
    /// Verifies, decompresses and checks the stored bytes of the data block at `place`.
    ///
    /// # Errors
    /// [`FormatError`] when any of these fails.
    pub(crate) fn decode(stored: &Bytes, place: BlockPlace) -> Result<Self, FormatError> {
        let payload = codec::decompress(verify_block(stored, place)?)?;
        Ok(Self { data: DataBlock::parse(payload)? })
    }

    /// Bytes of memory that the block occupies, for a cache's limit.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        self.data.payload().len() + size_of::<Self>()
    }

    /// The first entry at or after `(key, lsn)` in entry order, if it is of this very key.
    pub(crate) fn find(&self, key: &[u8], lsn: Lsn) -> Option<BlockEntry<'_>> {
        let mut at = self.data.restart_at(self.last_restart_before(key, lsn));
        // Bytes that the key sought and the key of the entry before have in common. The entry before is
        // always less than what is sought.
        let mut matched = 0;
        while at < self.data.entries_end() {
            let entry = self.data.entry_at(at);
            at = entry.next_at;
            if entry.shared > matched {
                // Differs from the key sought where the entry before did: still less.
                continue;
            }
            // Less at a restart point, which shares nothing whatever it has in common.
            matched = entry.shared;
            let rest = &key[matched..];
            let common = common_prefix(entry.suffix, rest);
            match (entry.suffix.get(common), rest.get(common)) {
                (None, None) if entry.lsn <= lsn => return Some(entry),
                (Some(own), Some(sought)) if own > sought => return None,
                (Some(_), None) => return None,
                _ => matched += common,
            }
        }
        None
    }

    /// The value of an entry of this block, sharing its bytes.
    pub(crate) fn value(&self, entry: BlockEntry<'_>) -> Option<Bytes> {
        entry.value(&self.data)
    }

    /// The last restart point whose entry is before `(key, lsn)`; the first one if none is.
    fn last_restart_before(&self, key: &[u8], lsn: Lsn) -> usize {
        let (mut low, mut high) = (0, self.data.restarts());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let entry = self.data.entry_at(self.data.restart_at(middle));
            if entry.suffix.cmp(key).then_with(|| lsn.cmp(&entry.lsn)) == Ordering::Less {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The last restart point at or before the entry at `at`.
    fn restart_of(&self, at: usize) -> usize {
        let (mut low, mut high) = (0, self.data.restarts());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.data.restart_at(middle) <= at { low = middle } else { high = middle }
        }
        low
    }
}

impl BlockWalk {
    /// A walk that is at no entry: before the first.
    pub(crate) fn new(block: Block) -> Self {
        let (key, lsn) = (Vec::with_capacity(64), Lsn(0));
        Self { block, key, at: 0, next_at: 0, lsn, is_tombstone: false, value_at: 0 }
    }

    /// Takes another block, keeping the buffer; at no entry.
    pub(crate) fn reset(&mut self, block: Block) {
        self.block = block;
        self.rewind(0);
    }

    /// Goes to the first entry; blocks have at least one.
    pub(crate) fn seek_first(&mut self) {
        self.rewind(0);
        self.next();
    }

    /// Goes to the last entry.
    pub(crate) fn seek_last(&mut self) {
        let last = self.block.data.restarts() - 1;
        self.rewind(self.block.data.restart_at(last));
        while self.next_at < self.block.data.entries_end() {
            self.next();
        }
    }

    /// Goes to the first entry at or after `(key, lsn)`; `false` when there is none.
    pub(crate) fn seek(&mut self, key: &[u8], lsn: Lsn) -> bool {
        let restart = self.block.last_restart_before(key, lsn);
        self.rewind(self.block.data.restart_at(restart));
        while self.next() {
            if self.key.as_slice().cmp(key).then_with(|| lsn.cmp(&self.lsn)) != Ordering::Less {
                return true;
            }
        }
        false
    }

    /// Goes to the last entry before `(key, lsn)`; `false` when there is none.
    pub(crate) fn seek_before(&mut self, key: &[u8], lsn: Lsn) -> bool {
        if !self.seek(key, lsn) {
            self.seek_last();
            return true;
        }
        self.previous()
    }

    /// Goes to the next entry; `false` at the end, where the walk stays at the last entry.
    pub(crate) fn next(&mut self) -> bool {
        if self.next_at >= self.block.data.entries_end() {
            return false;
        }
        let entry = self.block.data.entry_at(self.next_at);
        self.key.truncate(entry.shared);
        self.key.extend_from_slice(entry.suffix);
        (self.at, self.next_at) = (self.next_at, entry.next_at);
        (self.lsn, self.is_tombstone, self.value_at) = (entry.lsn, entry.is_tombstone, entry.value_at);
        true
    }

    /// Goes to the entry before; `false` at the first entry, where the walk stays.
    pub(crate) fn previous(&mut self) -> bool {
        if self.at == 0 {
            return false;
        }
        let (target, restart) = (self.at, self.block.restart_of(self.at - 1));
        self.rewind(self.block.data.restart_at(restart));
        // At most RESTART_INTERVAL steps in a block of ours; the ends bound it in any block.
        while self.next() && self.next_at < target {}
        true
    }

    fn rewind(&mut self, at: usize) {
        self.key.clear();
        (self.at, self.next_at) = (at, at);
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The value, sharing the block's bytes; `None` for a tombstone.
    pub(crate) fn value(&self) -> Option<Bytes> {
        (!self.is_tombstone).then(|| self.block.data.payload().slice(self.value_at..self.next_at))
    }
}

const _: () = assert!(RESTART_INTERVAL > 0);

fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}
