//! The bytes of a sorted table (SST): data blocks, index, filter, statistics, footer.
//!
//! Owns the layout that `core/docs/formats/sst.md` describes, and the types that prove that bytes were
//! verified: [`VerifiedBlock`] after the checksum, [`DataBlock`], [`IndexBlock`] and [`FilterBlock`]
//! after the structure. Once such a value exists, reading it cannot fail.
//!
//! Invariants:
//! * Entries are ordered by user key ascending, then LSN descending.
//! * Every byte of the object belongs to exactly one block or to the footer, and each of these has its own
//!   CRC32C. A block's checksum also covers the table's id and the block's offset, which are not stored in
//!   it: an intact block of another place is refused.
//! * Index and filter are adjacent, so that one ranged read fetches both.
//!
//! Does not compress (the caller does, see [`Compression`]), does not search, does no I/O.

use std::ops::Range;

mod data;
mod filter;
mod index;
mod seal;
mod tail;

pub use data::{BlockEntry, DataBlock, DataBlockBuilder, RESTART_INTERVAL};
pub use filter::{FilterBlock, FilterBuilder, key_hash};
pub use index::{IndexBlock, IndexBuilder, shortest_separator};
pub use seal::{BlockKind, BlockPlace, Compression, TRAILER_BYTES, VerifiedBlock, seal_block, verify_block};
pub use tail::{FOOTER_BYTES, Footer, TableStats};

/// Longest user key.
pub const KEY_BYTES_MAX: usize = 65_535;
/// Longest value: what leaves room for its key and for headers in a block of less than 4 GiB.
pub const VALUE_BYTES_MAX: usize = 0xFFF0_0000;
/// LSNs at rest are below this: an entry keeps its LSN and its kind in eight bytes.
pub const LSN_LIMIT: u64 = 1 << 56;

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
        self.offset..self.end()
    }

    /// The byte after the block.
    #[must_use]
    pub fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.len))
    }
}
