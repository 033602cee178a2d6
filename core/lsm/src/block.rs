//! A data block in memory: verified, decompressed, read in place.

use bytes::Bytes;

/// A decompressed data block. Cloning shares the bytes; values read from it are slices of them.
#[derive(Clone, Debug)]
pub struct Block {
    data: Bytes,
}

impl Block {
    /// Bytes of memory that the block occupies, for a cache's limit.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        self.data.len() + size_of::<Self>()
    }
}
