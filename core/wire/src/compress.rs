//! The compressed protocol: packets travel inside zlib or zstd frames.
//!
//! A frame has a header of seven bytes: compressed length, its own sequence number, uncompressed
//! length (0: the body is not compressed). Frames are opened one at a time, when the packet layer asks
//! for more, so that at most one is held open. A frame that would open to more than a packet may be
//! long is refused before its body is kept.

use std::io::Write;

use bytes::{Buf, BytesMut};
use flate2::{Decompress, FlushDecompress, Status};

use crate::codec::len_u64;
use crate::error::{WireError, WireResult};
use crate::packet::PART_BYTES_MAX;

const FRAME_HEADER_BYTES: usize = 7;
/// Shorter bodies are sent as they are, as MySQL does (`MIN_COMPRESS_LENGTH`).
const COMPRESSED_BYTES_MIN: usize = 50;
/// What a frame may hold beyond one packet of the greatest length: headers and pipelined packets.
const FRAME_SLACK_BYTES: usize = 64 * 1024;

/// How the connection compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// CLIENT_COMPRESS.
    Zlib,
    /// CLIENT_ZSTD_COMPRESSION_ALGORITHM with the level that the client chose, 1 to 22.
    Zstd(u8),
}

/// State of a compressed connection.
#[derive(Debug)]
pub(crate) struct Compression {
    algorithm: Algorithm,
    frames: BytesMut,
    sequence: u8,
    /// The next frame to come begins a command: its number is 0.
    command_begins: bool,
}

struct FrameHeader {
    compressed: usize,
    number: u8,
    plain: usize,
}

impl Compression {
    pub(crate) fn new(algorithm: Algorithm, leftover: BytesMut) -> Self {
        Self { algorithm, frames: leftover, sequence: 0, command_begins: true }
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.frames.is_empty() {
            self.frames = BytesMut::new();
        }
        self.frames.extend_from_slice(bytes);
    }

    pub(crate) fn allocated(&self) -> usize {
        self.frames.capacity()
    }

    pub(crate) fn is_inside_frame(&self) -> bool {
        !self.frames.is_empty()
    }

    /// The next frame must be the first of a command. Until it is opened, what is sent still continues
    /// the numbers of the exchange before.
    pub(crate) fn expect_command(&mut self) {
        self.command_begins = true;
    }

    /// Opens the next frame, if it has arrived.
    pub(crate) fn next_frame(&mut self, packet_bytes_max: usize) -> WireResult<Option<Vec<u8>>> {
        let Some(header) = self.header() else { return Ok(None) };
        let FrameHeader { compressed, number, plain } = header;
        let expected = if self.command_begins { 0 } else { self.sequence };
        if number != expected {
            return Err(WireError::OutOfOrder { expected, found: number });
        }
        let limit = packet_bytes_max.saturating_add(FRAME_SLACK_BYTES);
        let length = plain.max(compressed);
        if length > limit {
            self.sequence = number.wrapping_add(1);
            return Err(WireError::PacketTooLarge { length, limit });
        }
        if self.frames.len() < FRAME_HEADER_BYTES + compressed {
            return Ok(None);
        }
        self.sequence = number.wrapping_add(1);
        self.command_begins = false;
        self.frames.advance(FRAME_HEADER_BYTES);
        let body = self.frames.split_to(compressed);
        if self.frames.is_empty() {
            self.frames = BytesMut::new();
        }
        if plain == 0 {
            return Ok(Some(body.to_vec()));
        }
        match self.algorithm {
            Algorithm::Zlib => inflate(&body, plain).map(Some),
            Algorithm::Zstd(_) => zstd_open(&body, plain).map(Some),
        }
    }

    fn header(&self) -> Option<FrameHeader> {
        let [a, b, c, number, d, e, f] = self.frames.first_chunk::<FRAME_HEADER_BYTES>()?;
        let length = |a: &u8, b: &u8, c: &u8| usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        Some(FrameHeader { compressed: length(a, b, c), number: *number, plain: length(d, e, f) })
    }

    /// Appends `plain` to `out` as frames.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        for chunk in plain.chunks(PART_BYTES_MAX) {
            let start = out.len();
            out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
            let body = start + FRAME_HEADER_BYTES;
            let shrunk = chunk.len() >= COMPRESSED_BYTES_MIN
                && self.compress(chunk, out).is_ok()
                && out.len() - body < chunk.len();
            if !shrunk {
                out.truncate(body);
                out.extend_from_slice(chunk);
            }
            let plain_length = if shrunk { chunk.len() } else { 0 };
            let [a, b, c, ..] = len_u64(out.len() - body).to_le_bytes();
            let [d, e, f, ..] = len_u64(plain_length).to_le_bytes();
            out[start..body].copy_from_slice(&[a, b, c, self.sequence, d, e, f]);
            self.sequence = self.sequence.wrapping_add(1);
        }
    }

    fn compress(&self, chunk: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        match self.algorithm {
            Algorithm::Zlib => {
                let mut encoder = flate2::write::ZlibEncoder::new(out, flate2::Compression::fast());
                encoder.write_all(chunk)?;
                encoder.finish().map(|_| ())
            }
            Algorithm::Zstd(level) => {
                out.extend_from_slice(&zstd::bulk::compress(chunk, i32::from(level))?);
                Ok(())
            }
        }
    }
}

fn inflate(body: &[u8], plain: usize) -> WireResult<Vec<u8>> {
    // One byte more than announced, so that a longer stream is seen.
    let mut out = Vec::with_capacity(plain + 1);
    let status = Decompress::new(true)
        .decompress_vec(body, &mut out, FlushDecompress::Finish)
        .map_err(|_| WireError::Uncompress("not a zlib stream"))?;
    if status != Status::StreamEnd || out.len() != plain {
        return Err(WireError::Uncompress("its length is not the announced one"));
    }
    Ok(out)
}

fn zstd_open(body: &[u8], plain: usize) -> WireResult<Vec<u8>> {
    let out = zstd::bulk::decompress(body, plain)
        .map_err(|_| WireError::Uncompress("not a zstd stream of the announced length"))?;
    if out.len() != plain {
        return Err(WireError::Uncompress("its length is not the announced one"));
    }
    Ok(out)
}
