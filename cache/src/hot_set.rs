//! The list of hot blocks that a node leaves for its next start: `core/docs/formats/hot_set.md`.
//!
//! It names blocks and holds none of them. A list that is damaged, of another version, or names blocks that
//! are no more costs a slower start and nothing else: it is a hint, verified as a whole by its checksum, and
//! each block that it leads to is verified by its own.

use aquifer_types::SstId;

use crate::block::BlockKey;

/// Most blocks in a list: 1 GiB of blocks.
pub const HOT_BLOCKS_MAX: usize = 65_536;

const MAGIC: [u8; 4] = *b"AQHB";
const FORMAT_VERSION: u16 = 1;
const HEADER: usize = 12;
const ENTRY: usize = 24;
const TRAILER: usize = 4;

/// Encodes a list; of more than [`HOT_BLOCKS_MAX`] blocks the first ones.
#[must_use]
pub fn encode(keys: &[BlockKey]) -> Vec<u8> {
    let keys = &keys[..keys.len().min(HOT_BLOCKS_MAX)];
    let mut out = Vec::with_capacity(HEADER + keys.len() * ENTRY + TRAILER);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&u32::try_from(keys.len()).unwrap_or(0).to_le_bytes());
    for key in keys {
        out.extend_from_slice(&key.sst.0.to_le_bytes());
        out.extend_from_slice(&key.offset.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// The blocks of a list; `None` when it is not one of this version, or damaged.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Vec<BlockKey>> {
    let body = bytes.len().checked_sub(TRAILER).and_then(|end| bytes.get(..end))?;
    let crc = u32::from_le_bytes(bytes[body.len()..].try_into().ok()?);
    if crc32c::crc32c(body) != crc
        || body.get(..4)? != MAGIC
        || body.get(4..6)? != FORMAT_VERSION.to_le_bytes()
    {
        return None;
    }
    let count = usize::try_from(u32::from_le_bytes(body.get(8..HEADER)?.try_into().ok()?)).ok()?;
    let entries = body.get(HEADER..)?;
    if count > HOT_BLOCKS_MAX || entries.len() != count * ENTRY {
        return None;
    }
    entries.chunks_exact(ENTRY).map(key_of).collect()
}

fn key_of(entry: &[u8]) -> Option<BlockKey> {
    let sst = SstId(u128::from_le_bytes(entry.get(..16)?.try_into().ok()?));
    Some(BlockKey { sst, offset: u64::from_le_bytes(entry.get(16..ENTRY)?.try_into().ok()?) })
}
