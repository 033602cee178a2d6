//! The statistics block and the footer: what a table says about itself when no manifest does.
//!
//! ```text
//! statistics: index offset u64, bytes u32 | filter bytes u32 | data blocks u32 | zero u32
//!             | entries u64 | tombstones u64 | raw bytes u64 | min LSN u64 | max LSN u64 | created µs u64
//!             | smallest key bytes u32 | largest key bytes u32 | smallest key | largest key
//! footer:     table id (16) | statistics offset u64, bytes u32 | zero u32 | object bytes u64
//!             | format version u16 | zero u16 | CRC32C of the bytes before u32 | magic "AQST"
//! ```

use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

use crate::envelope::FORMAT_VERSION;
use crate::error::{FormatError, FormatResult};
use crate::sst::BlockHandle;
use crate::wire::{u16_at, u32_at, u64_at};

/// Bytes of the footer, the last of the object.
pub const FOOTER_BYTES: usize = 52;

const MAGIC: [u8; 4] = *b"AQST";
const CHECKSUM_AT: usize = 44;
const STATS_FIXED_BYTES: usize = 80;

/// What a table's statistics block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// The index block.
    pub index: BlockHandle,
    /// The filter block.
    pub filter: BlockHandle,
    /// How many data blocks there are.
    pub data_blocks: u32,
    /// Entries, tombstones included.
    pub entries: u64,
    /// Entries that are tombstones.
    pub tombstones: u64,
    /// Keys and values before compression.
    pub raw_bytes: u64,
    /// Lowest LSN of an entry, inclusive.
    pub min_lsn: Lsn,
    /// Highest LSN of an entry, inclusive.
    pub max_lsn: Lsn,
    /// When the table was written, in microseconds since 1970.
    pub created_micros: u64,
    /// First user key.
    pub smallest: Bytes,
    /// Last user key.
    pub largest: Bytes,
}

/// The verified footer of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The table.
    pub id: SstId,
    /// The statistics block.
    pub stats: BlockHandle,
    /// Length of the object, footer included.
    pub object_bytes: u64,
}

impl TableStats {
    /// The payload of the statistics block. The filter must follow the index directly.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(STATS_FIXED_BYTES + self.smallest.len() + self.largest.len());
        out.extend_from_slice(&self.index.offset.to_le_bytes());
        for field in [self.index.len, self.filter.len, self.data_blocks, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        let numbers = [self.entries, self.tombstones, self.raw_bytes];
        for field in numbers.into_iter().chain([self.min_lsn.0, self.max_lsn.0, self.created_micros]) {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for key in [&self.smallest, &self.largest] {
            let bytes = u32::try_from(key.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&bytes.to_le_bytes());
        }
        out.extend_from_slice(&self.smallest);
        out.extend_from_slice(&self.largest);
        out
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`FormatError::Malformed`].
    pub fn decode(payload: &Bytes) -> FormatResult<Self> {
        Self::read(payload).ok_or(FormatError::Malformed("structure of a statistics block"))
    }

    fn read(payload: &Bytes) -> Option<Self> {
        let index = BlockHandle { offset: u64_at(payload, 0)?, len: u32_at(payload, 8)? };
        let filter = BlockHandle { offset: index.end(), len: u32_at(payload, 12)? };
        let smallest_end = STATS_FIXED_BYTES.checked_add(u32_at(payload, 72)? as usize)?;
        let largest_end = smallest_end.checked_add(u32_at(payload, 76)? as usize)?;
        if largest_end != payload.len() || u32_at(payload, 20)? != 0 {
            return None;
        }
        Some(Self {
            index,
            filter,
            data_blocks: u32_at(payload, 16)?,
            entries: u64_at(payload, 24)?,
            tombstones: u64_at(payload, 32)?,
            raw_bytes: u64_at(payload, 40)?,
            min_lsn: Lsn(u64_at(payload, 48)?),
            max_lsn: Lsn(u64_at(payload, 56)?),
            created_micros: u64_at(payload, 64)?,
            smallest: payload.slice(STATS_FIXED_BYTES..smallest_end),
            largest: payload.slice(smallest_end..largest_end),
        })
    }
}

impl Footer {
    /// The last bytes of the object.
    #[must_use]
    pub fn encode(&self) -> [u8; FOOTER_BYTES] {
        let mut out = [0; FOOTER_BYTES];
        out[..16].copy_from_slice(&self.id.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.stats.offset.to_le_bytes());
        out[24..28].copy_from_slice(&self.stats.len.to_le_bytes());
        out[32..40].copy_from_slice(&self.object_bytes.to_le_bytes());
        out[40..42].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let crc = crc32c::crc32c(&out[..CHECKSUM_AT]);
        out[CHECKSUM_AT..48].copy_from_slice(&crc.to_le_bytes());
        out[48..].copy_from_slice(&MAGIC);
        out
    }

    /// Verifies the last [`FOOTER_BYTES`] bytes of an object.
    ///
    /// # Errors
    /// [`FormatError::Truncated`], [`FormatError::BadMagic`], [`FormatError::Checksum`],
    /// [`FormatError::NewerVersion`], [`FormatError::Malformed`] in this order.
    pub fn verify(bytes: &[u8]) -> FormatResult<Self> {
        let short = || FormatError::Truncated { needed: FOOTER_BYTES as u64, have: bytes.len() as u64 };
        let bytes: &[u8; FOOTER_BYTES] = bytes.try_into().map_err(|_| short())?;
        let found = [bytes[48], bytes[49], bytes[50], bytes[51]];
        if found != MAGIC {
            return Err(FormatError::BadMagic { expected: MAGIC, found });
        }
        if u32_at(bytes, CHECKSUM_AT) != Some(crc32c::crc32c(&bytes[..CHECKSUM_AT])) {
            return Err(FormatError::Checksum);
        }
        let version = u16_at(bytes, 40).ok_or_else(short)?;
        if version > FORMAT_VERSION {
            return Err(FormatError::NewerVersion { found: version, supported: FORMAT_VERSION });
        }
        let reserved = (u32_at(bytes, 28), u16_at(bytes, 42));
        if version == 0 || reserved != (Some(0), Some(0)) {
            return Err(FormatError::Malformed("version or reserved field of a table's footer"));
        }
        Self::read(bytes).ok_or_else(short)
    }

    fn read(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let (id, _) = bytes.split_first_chunk::<16>()?;
        Some(Self {
            id: SstId(u128::from_le_bytes(*id)),
            stats: BlockHandle { offset: u64_at(bytes, 16)?, len: u32_at(bytes, 24)? },
            object_bytes: u64_at(bytes, 32)?,
        })
    }
}
