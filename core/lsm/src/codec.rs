//! Compression of block payloads. The only place that calls the codecs.

use std::cell::RefCell;

use aquifer_format::FormatError;
use aquifer_format::sst::{Compression, VerifiedBlock};
use bytes::Bytes;

/// Level 3 is where Zstandard's ratio per CPU second is best for blocks of rows.
const ZSTD_LEVEL: i32 = 3;
/// A payload that does not shrink by at least one part in this many is stored as it is.
const GAIN_PARTS_MIN: usize = 8;
/// No block that we write is larger; a trailer that claims more is damaged.
const RAW_BYTES_MAX: u32 = u32::MAX - 1;

thread_local! {
    static ZSTD_IN: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    static ZSTD_OUT: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// Appends `payload` to `object`, compressed if that is worth it, and says how it is stored.
pub(crate) fn compress(payload: &[u8], wanted: Compression, object: &mut Vec<u8>) -> Compression {
    let start = object.len();
    let stored = match wanted {
        Compression::None => None,
        Compression::Lz4 => lz4(payload, object),
        Compression::Zstd => zstd_append(payload, object),
    };
    if stored.is_some() && object.len() - start <= payload.len() - payload.len() / GAIN_PARTS_MIN {
        return wanted;
    }
    object.truncate(start);
    object.extend_from_slice(payload);
    Compression::None
}

fn lz4(payload: &[u8], object: &mut Vec<u8>) -> Option<()> {
    let start = object.len();
    object.resize(start + lz4_flex::block::get_maximum_output_size(payload.len()), 0);
    let bytes = lz4_flex::block::compress_into(payload, &mut object[start..]).ok()?;
    object.truncate(start + bytes);
    Some(())
}

fn zstd_append(payload: &[u8], object: &mut Vec<u8>) -> Option<()> {
    ZSTD_OUT.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        let start = object.len();
        object.resize(start + zstd::zstd_safe::compress_bound(payload.len()), 0);
        let bytes = slot.as_mut()?.compress_to_buffer(payload, &mut object[start..]).ok()?;
        object.truncate(start + bytes);
        Some(())
    })
}

/// The payload of a verified block as it was before compression.
///
/// # Errors
/// [`FormatError::Malformed`] when the codec refuses it or its length is another than the block says.
pub(crate) fn decompress(block: VerifiedBlock) -> Result<Bytes, FormatError> {
    const MALFORMED: FormatError = FormatError::Malformed("payload does not decompress to its length");
    if block.compression() == Compression::None {
        return block.into_plain();
    }
    if block.raw_bytes() > RAW_BYTES_MAX {
        return Err(MALFORMED);
    }
    let raw_bytes = block.raw_bytes() as usize;
    let mut raw = zeroed(raw_bytes);
    let written = match block.compression() {
        Compression::Lz4 => lz4_flex::block::decompress_into(block.payload(), &mut raw).ok(),
        _ => zstd_into(block.payload(), &mut raw),
    };
    if written == Some(raw_bytes) { Ok(Bytes::from(raw)) } else { Err(MALFORMED) }
}

/// Zeros in memory that was used before. For memory of this size that is known to be zero an allocator goes to the
/// kernel, whose page faults cost more than the rest of a decompression.
#[allow(clippy::slow_vector_initialization, reason = "that is the point of it")]
fn zeroed(bytes: usize) -> Vec<u8> {
    let mut zeros = Vec::with_capacity(bytes);
    zeros.resize(bytes, 0);
    zeros
}

fn zstd_into(payload: &[u8], raw: &mut [u8]) -> Option<usize> {
    ZSTD_IN.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        slot.as_mut()?.decompress_to_buffer(payload, raw).ok()
    })
}
