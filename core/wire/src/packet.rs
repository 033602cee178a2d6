//! Writing one packet in place at the end of the outgoing buffer.
//!
//! The four bytes of the header are reserved first and patched when the packet is finished, so that
//! a row is written once, where it is sent from. A packet that is dropped unfinished leaves no byte.

use crate::codec::{len_u64, put_lenenc, put_lenenc_bytes};

/// The longest body that one header can announce; a body of this length or more is split.
pub const PART_BYTES_MAX: usize = 0xff_ffff;
/// Length (3 bytes) and sequence number.
pub const HEADER_BYTES: usize = 4;

/// An unfinished packet. Call [`PacketWriter::finish`], or nothing is sent.
#[derive(Debug)]
pub struct PacketWriter<'a> {
    out: &'a mut Vec<u8>,
    sequence: &'a mut u8,
    start: usize,
    finished: bool,
}

impl<'a> PacketWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, sequence: &'a mut u8) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        Self { out, sequence, start, finished: false }
    }

    /// The buffer, to append to; what is before the packet must not be touched.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.out
    }

    /// Length of the body so far.
    #[must_use]
    pub fn body_len(&self) -> usize {
        self.out.len() - self.start - HEADER_BYTES
    }

    /// The body so far.
    pub fn body_mut(&mut self) -> &mut [u8] {
        &mut self.out[self.start + HEADER_BYTES..]
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// Appends two bytes, little-endian.
    pub fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends four bytes, little-endian.
    pub fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Appends bytes and a NUL.
    pub fn nul_bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.push(0);
    }

    /// Appends a length-encoded integer.
    pub fn lenenc(&mut self, value: u64) {
        put_lenenc(self.out, value);
    }

    /// Appends a length-encoded string.
    pub fn lenenc_bytes(&mut self, bytes: &[u8]) {
        put_lenenc_bytes(self.out, bytes);
    }

    /// Completes the header, or the headers of all parts.
    pub fn finish(mut self) {
        self.finished = true;
        let length = self.body_len();
        if length < PART_BYTES_MAX {
            let header = header(length, *self.sequence);
            self.out[self.start..self.start + HEADER_BYTES].copy_from_slice(&header);
            *self.sequence = self.sequence.wrapping_add(1);
        } else {
            self.split(length);
        }
    }

    /// Rewrites a long body as parts: each but the last of the greatest length, the last shorter,
    /// and empty if need be.
    fn split(&mut self, length: usize) {
        let body = self.out.split_off(self.start + HEADER_BYTES);
        self.out.truncate(self.start);
        let parts = length / PART_BYTES_MAX + 1;
        self.out.reserve_exact(length + parts * HEADER_BYTES);
        for part in 0..parts {
            let from = part * PART_BYTES_MAX;
            let to = length.min(from + PART_BYTES_MAX);
            self.out.extend_from_slice(&header(to - from, *self.sequence));
            self.out.extend_from_slice(&body[from..to]);
            *self.sequence = self.sequence.wrapping_add(1);
        }
    }
}

impl Drop for PacketWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.out.truncate(self.start);
        }
    }
}

/// The header of a part of `length` bytes, at most [`PART_BYTES_MAX`].
fn header(length: usize, sequence: u8) -> [u8; HEADER_BYTES] {
    let [a, b, c, ..] = len_u64(length).to_le_bytes();
    [a, b, c, sequence]
}
