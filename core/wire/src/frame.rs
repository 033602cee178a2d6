//! Cutting the incoming bytes into packets.
//!
//! Owns what has arrived and is not yet consumed. A header that announces more than the limit is
//! refused at once, before its body is kept. Sequence numbers must be dense, also across the parts of
//! a packet of 16 MiB and more. Buffers are given back when they are empty.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{WireError, WireResult};
use crate::packet::{HEADER_BYTES, PART_BYTES_MAX};

/// How sequence numbers are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceCheck {
    /// Each packet has the next number.
    Strict,
    /// Inside compressed packets the numbers are not checked: clients do not agree on them, and the
    /// outer packets have their own.
    Lenient,
}

/// Incoming bytes and the packet that is being put together from parts.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: BytesMut,
    joined: BytesMut,
    joining: bool,
}

impl Framer {
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::from(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    pub(crate) fn extend_owned(&mut self, bytes: Vec<u8>) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::from(Bytes::from(bytes));
        } else {
            self.buffer.extend_from_slice(&bytes);
        }
    }

    /// Takes out everything that has not been consumed.
    pub(crate) fn take_buffer(&mut self) -> BytesMut {
        std::mem::take(&mut self.buffer)
    }

    /// Whether a packet has begun to arrive but is not complete.
    pub(crate) fn is_inside_packet(&self) -> bool {
        self.joining || !self.buffer.is_empty()
    }

    /// Whether a part of a packet has been consumed and the next part is awaited.
    pub(crate) fn is_joining(&self) -> bool {
        self.joining
    }

    pub(crate) fn allocated(&self) -> usize {
        self.buffer.capacity() + self.joined.capacity()
    }

    /// The next whole packet. `sequence` is the number that it must have, and is left one beyond it.
    pub(crate) fn next(
        &mut self,
        limit: usize,
        sequence: &mut u8,
        check: SequenceCheck,
    ) -> WireResult<Option<Bytes>> {
        while let Some([a, b, c, number]) = self.buffer.first_chunk::<HEADER_BYTES>().copied() {
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let total = self.joined.len() + length;
            if check == SequenceCheck::Strict && number != *sequence {
                return Err(WireError::OutOfOrder { expected: *sequence, found: number });
            }
            if total > limit {
                *sequence = number.wrapping_add(1);
                return Err(WireError::PacketTooLarge { length: total, limit });
            }
            if self.buffer.len() < HEADER_BYTES + length {
                return Ok(None);
            }
            *sequence = number.wrapping_add(1);
            let part = self.take_part(length);
            if !self.joining && length < PART_BYTES_MAX {
                return Ok(Some(part.freeze()));
            }
            self.join(part);
            self.joining = length == PART_BYTES_MAX;
            if !self.joining {
                return Ok(Some(std::mem::take(&mut self.joined).freeze()));
            }
        }
        Ok(None)
    }

    fn take_part(&mut self, length: usize) -> BytesMut {
        if self.buffer.len() == HEADER_BYTES + length {
            let mut whole = std::mem::take(&mut self.buffer);
            whole.advance(HEADER_BYTES);
            return whole;
        }
        self.buffer.advance(HEADER_BYTES);
        self.buffer.split_to(length)
    }

    fn join(&mut self, part: BytesMut) {
        if self.joined.is_empty() {
            self.joined = part;
        } else {
            self.joined.extend_from_slice(&part);
        }
    }
}
