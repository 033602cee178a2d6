//! The trailer that every block of a table ends with, and its verification.
//!
//! | offset from the end | bytes | field |
//! |---|---|---|
//! | 12 | 4 | length of the payload before compression |
//! | 8 | 1 | kind of block |
//! | 7 | 1 | compression |
//! | 6 | 2 | zero |
//! | 4 | 4 | CRC32C of: stored payload, the eight bytes above, table id (16), offset in the object (8) |

use aquifer_types::SstId;
use bytes::Bytes;

use crate::error::{FormatError, FormatResult};
use crate::wire::u32_at;

/// Bytes after the payload of each block.
pub const TRAILER_BYTES: usize = 12;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Entries.
    Data,
    /// Separators and handles of the data blocks.
    Index,
    /// Bloom filter over user keys.
    Filter,
    /// What the manifest says about the table.
    Stats,
}

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Stored as it is.
    None,
    /// LZ4 block format without a length prefix.
    Lz4,
    /// One Zstandard frame.
    Zstd,
}

/// Which block the bytes are supposed to be; part of the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPlace {
    /// The table.
    pub table: SstId,
    /// Offset of the block in the object.
    pub offset: u64,
    /// What it must hold.
    pub kind: BlockKind,
}

/// A block whose checksum matched at its place. The payload may still be compressed.
#[derive(Clone, Debug)]
pub struct VerifiedBlock {
    payload: Bytes,
    compression: Compression,
    raw_bytes: u32,
}

impl BlockKind {
    const fn tag(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Index => 2,
            Self::Filter => 3,
            Self::Stats => 4,
        }
    }
}

impl Compression {
    const fn tag(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
        }
    }

    fn from_tag(tag: u8) -> FormatResult<Self> {
        match tag {
            0 => Ok(Self::None),
            1 => Ok(Self::Lz4),
            2 => Ok(Self::Zstd),
            _ => Err(FormatError::Malformed("unknown compression of a block")),
        }
    }
}

impl VerifiedBlock {
    /// The stored payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// How the payload is compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Length of the payload once decompressed.
    #[must_use]
    pub fn raw_bytes(&self) -> u32 {
        self.raw_bytes
    }

    /// The payload of a block that is never compressed.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] when it is.
    pub fn into_plain(self) -> FormatResult<Bytes> {
        let plain = self.compression == Compression::None && self.raw_bytes as usize == self.payload.len();
        plain.then_some(self.payload).ok_or(FormatError::Malformed("block has another length than it says"))
    }
}

/// Appends the trailer to `object`, whose last `stored_bytes` bytes are the stored payload of the block at
/// `place`.
pub fn seal_block(
    object: &mut Vec<u8>,
    place: BlockPlace,
    stored_bytes: usize,
    compression: Compression,
    raw_bytes: u32,
) {
    object.extend_from_slice(&raw_bytes.to_le_bytes());
    object.extend_from_slice(&[place.kind.tag(), compression.tag(), 0, 0]);
    let covered = object.len() - stored_bytes - 8;
    let crc = checksum(&object[covered..], place);
    object.extend_from_slice(&crc.to_le_bytes());
}

/// Verifies the stored bytes of a block, trailer included, as those of `place`.
///
/// # Errors
/// [`FormatError::Truncated`], [`FormatError::Checksum`], [`FormatError::Malformed`].
pub fn verify_block(stored: &Bytes, place: BlockPlace) -> FormatResult<VerifiedBlock> {
    let have = stored.len();
    let payload_bytes = have
        .checked_sub(TRAILER_BYTES)
        .ok_or(FormatError::Truncated { needed: TRAILER_BYTES as u64, have: have as u64 })?;
    let malformed = FormatError::Malformed("trailer of a block");
    let crc = u32_at(stored, have - 4).ok_or(malformed.clone())?;
    if checksum(&stored[..have - 4], place) != crc {
        return Err(FormatError::Checksum);
    }
    let raw_bytes = u32_at(stored, payload_bytes).ok_or(malformed.clone())?;
    let tags = &stored[payload_bytes + 4..payload_bytes + 8];
    if tags[0] != place.kind.tag() || tags[2..] != [0, 0] {
        return Err(malformed);
    }
    let compression = Compression::from_tag(tags[1])?;
    Ok(VerifiedBlock { payload: stored.slice(..payload_bytes), compression, raw_bytes })
}

fn checksum(stored: &[u8], place: BlockPlace) -> u32 {
    let mut identity = [0; 24];
    identity[..16].copy_from_slice(&place.table.0.to_le_bytes());
    identity[16..].copy_from_slice(&place.offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(stored), &identity)
}
