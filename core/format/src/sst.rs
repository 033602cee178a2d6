//! The bytes of a sorted table (SST): data blocks, index, filter, statistics, footer.

use std::ops::Range;

/// Where a block lies in its object: payload and trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHandle {
    /// First byte.
    pub offset: u64,
    /// Bytes, trailer included.
    pub len: u32,
}

impl BlockHandle {
    /// The block's byte range in the object, end exclusive.
    #[must_use]
    pub fn range(self) -> Range<u64> {
        self.offset..self.offset.saturating_add(u64::from(self.len))
    }
}
