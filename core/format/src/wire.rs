//! Little-endian primitives that never read past the end.

use bytes::{Buf, Bytes};

use crate::error::{FormatError, FormatResult};

/// Takes fields off the front of bytes; every method is an error at the end of them.
pub(crate) struct Fields {
    rest: Bytes,
}

impl Fields {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    fn need(&self, count: usize) -> FormatResult<()> {
        if self.rest.len() < count {
            return Err(FormatError::Malformed("a field reaches past the end"));
        }
        Ok(())
    }

    pub(crate) fn u8(&mut self) -> FormatResult<u8> {
        self.need(1)?;
        Ok(self.rest.get_u8())
    }

    pub(crate) fn u32(&mut self) -> FormatResult<u32> {
        self.need(4)?;
        Ok(self.rest.get_u32_le())
    }

    pub(crate) fn u64(&mut self) -> FormatResult<u64> {
        self.need(8)?;
        Ok(self.rest.get_u64_le())
    }

    pub(crate) fn u128(&mut self) -> FormatResult<u128> {
        self.need(16)?;
        Ok(self.rest.get_u128_le())
    }

    pub(crate) fn bytes(&mut self, count: usize) -> FormatResult<Bytes> {
        self.need(count)?;
        Ok(self.rest.split_to(count))
    }

    /// Everything that has not been taken.
    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }

    /// The rule that nothing follows the last field.
    pub(crate) fn finish(self) -> FormatResult<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(FormatError::Malformed("bytes follow the last field"))
    }
}

/// The four bytes at `at`, or `None` when they are not all there.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// As [`u32_at`], eight bytes.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// As [`u32_at`], two bytes.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Appends `value` in groups of seven bits, lowest first, the top bit set on all but the last byte.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u32) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(0x80 | low_seven(rest));
        rest >>= 7;
    }
    out.push(low_seven(rest));
}

fn low_seven(value: u32) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

/// Reads a varint at `at`: the value and the offset after it. `None` when it is cut short, above
/// `u32::MAX`, or longer than needed (each value has one encoding).
pub(crate) fn varint_at(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let mut value: u64 = 0;
    for index in 0..5 {
        let offset = at.checked_add(index)?;
        let byte = *bytes.get(offset)?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return None;
            }
            return Some((u32::try_from(value).ok()?, offset + 1));
        }
    }
    None
}
