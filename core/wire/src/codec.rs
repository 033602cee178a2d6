//! The protocol's integers and strings: a checked reader over one packet, and functions that append.
//!
//! Nothing here panics on any input: a reader past its end returns [`WireError::Malformed`].

use bytes::Bytes;

use crate::error::{WireError, WireResult};

/// Reads one packet from front to back. Strings share the packet's memory.
#[derive(Clone, Debug)]
pub struct Reader {
    rest: Bytes,
}

const SHORT: WireError = WireError::Malformed("it ends too early");

impl Reader {
    /// At the start of `packet`.
    #[must_use]
    pub fn new(packet: Bytes) -> Self {
        Self { rest: packet }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// `Malformed` when there are fewer; likewise for all methods below.
    pub fn bytes(&mut self, count: usize) -> WireResult<Bytes> {
        if count > self.rest.len() {
            return Err(SHORT);
        }
        Ok(self.rest.split_to(count))
    }

    /// All that is left.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// `Malformed` at the end of the packet.
    pub fn array<const N: usize>(&mut self) -> WireResult<[u8; N]> {
        let head = self.rest.first_chunk::<N>().copied().ok_or(SHORT)?;
        bytes::Buf::advance(&mut self.rest, N);
        Ok(head)
    }

    /// One byte.
    ///
    /// # Errors
    /// `Malformed` at the end of the packet.
    pub fn u8(&mut self) -> WireResult<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes, little-endian.
    ///
    /// # Errors
    /// `Malformed` at the end of the packet.
    pub fn u16(&mut self) -> WireResult<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian.
    ///
    /// # Errors
    /// `Malformed` at the end of the packet.
    pub fn u32(&mut self) -> WireResult<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// `Malformed` at the end of the packet.
    pub fn u64(&mut self) -> WireResult<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length-encoded integer.
    ///
    /// # Errors
    /// `Malformed` at the end of the packet, and for the first bytes 0xFB and 0xFF, which are no
    /// integers.
    pub fn lenenc(&mut self) -> WireResult<u64> {
        match self.u8()? {
            0xfb | 0xff => Err(WireError::Malformed("not a length-encoded integer")),
            0xfc => Ok(u64::from(self.u16()?)),
            0xfd => {
                let [a, b, c] = self.array()?;
                Ok(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xfe => self.u64(),
            small => Ok(u64::from(small)),
        }
    }

    /// A length-encoded string.
    ///
    /// # Errors
    /// `Malformed` when it is longer than what is left.
    pub fn lenenc_bytes(&mut self) -> WireResult<Bytes> {
        let length = usize::try_from(self.lenenc()?).map_err(|_| SHORT)?;
        self.bytes(length)
    }

    /// A string up to the next NUL, which is consumed.
    ///
    /// # Errors
    /// `Malformed` when there is no NUL.
    pub fn nul_bytes(&mut self) -> WireResult<Bytes> {
        let end = self.rest.iter().position(|&byte| byte == 0);
        let text = self.bytes(end.ok_or(WireError::Malformed("a string has no end"))?)?;
        bytes::Buf::advance(&mut self.rest, 1);
        Ok(text)
    }

    /// A string up to the next NUL or the end of the packet.
    pub fn nul_bytes_or_rest(&mut self) -> Bytes {
        match self.nul_bytes() {
            Ok(text) => text,
            Err(_) => self.rest(),
        }
    }
}

/// Appends a length-encoded integer.
pub fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    if value < 251 {
        out.push(bytes[0]);
    } else if value < 1 << 16 {
        out.extend_from_slice(&[0xfc, bytes[0], bytes[1]]);
    } else if value < 1 << 24 {
        out.extend_from_slice(&[0xfd, bytes[0], bytes[1], bytes[2]]);
    } else {
        out.push(0xfe);
        out.extend_from_slice(&bytes);
    }
}

/// Appends a length-encoded string.
pub fn put_lenenc_bytes(out: &mut Vec<u8>, text: &[u8]) {
    put_lenenc(out, len_u64(text.len()));
    out.extend_from_slice(text);
}

/// A length as a 64-bit number; lossless on every platform that Rust has.
#[must_use]
pub fn len_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
