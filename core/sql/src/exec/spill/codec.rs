//! Values as bytes in temporary files: a tag and what it says. Integers take as many bytes as they need.
//!
//! The format is private to one execution.

use aquifer_types::decimal::{DIGITS_MAX, fixed_width, read_fixed};
use aquifer_types::{Date, DateTime, ErrorKind, SqlError, SqlResult, Time, Value};
use bytes::Bytes;

const NULL: u8 = 0;
const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 3;
const DOUBLE: u8 = 4;
const DECIMAL: u8 = 5;
const BYTES: u8 = 6;
const DATE: u8 = 7;
const TIME: u8 = 8;
const DATETIME: u8 = 9;

/// Appends a value.
pub(super) fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Int(n) => {
            out.push(INT);
            write_number(((n << 1) ^ (n >> 63)).cast_unsigned(), out);
        }
        Value::UInt(n) => {
            out.push(UINT);
            write_number(*n, out);
        }
        Value::Float(f) => fixed(FLOAT, &f.to_bits().to_le_bytes(), out),
        Value::Double(f) => fixed(DOUBLE, &f.to_bits().to_le_bytes(), out),
        Value::Decimal(d) => {
            let precision = (d.integer_digits() + d.scale()).clamp(1, DIGITS_MAX);
            out.extend_from_slice(&[DECIMAL, d.scale(), u8::try_from(fixed_width(precision)).unwrap_or(0)]);
            let fits = d.write_fixed(precision, d.scale(), out);
            debug_assert!(fits.is_some(), "a decimal has the digits that it says");
        }
        Value::Bytes(text) => {
            out.push(BYTES);
            write_number(text.len() as u64, out);
            out.extend_from_slice(text);
        }
        Value::Date(d) => fixed(DATE, &d.pack().to_le_bytes(), out),
        Value::Time(t) => fixed(TIME, &t.micros.to_le_bytes(), out),
        Value::DateTime(t) => fixed(DATETIME, &t.pack().to_le_bytes(), out),
    }
}

fn fixed(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn write_number(number: u64, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7F).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

/// Takes a value from the front of `bytes`.
///
/// # Errors
/// `Corrupt`: these are not bytes that [`encode`] wrote.
pub(super) fn decode(bytes: &mut &[u8]) -> SqlResult<Value> {
    take_value(bytes).ok_or_else(|| {
        SqlError::with_kind(1024, ErrorKind::Corrupt, "Error reading a temporary file: it is damaged")
    })
}

fn take_value(bytes: &mut &[u8]) -> Option<Value> {
    let (tag, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match *tag {
        NULL => Value::Null,
        INT => {
            let n = read_number(bytes)?;
            Value::Int((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
        }
        UINT => Value::UInt(read_number(bytes)?),
        FLOAT => Value::Float(f32::from_bits(u32::from_le_bytes(array(bytes)?))),
        DOUBLE => Value::Double(f64::from_bits(u64::from_le_bytes(array(bytes)?))),
        DECIMAL => {
            let [scale, width] = array(bytes)?;
            Value::Decimal(read_fixed(split(bytes, usize::from(width))?, scale))
        }
        BYTES => {
            let length = usize::try_from(read_number(bytes)?).ok()?;
            Value::Bytes(Bytes::copy_from_slice(split(bytes, length)?))
        }
        DATE => Value::Date(Date::unpack(u32::from_le_bytes(array(bytes)?))?),
        TIME => Value::Time(Time { micros: i64::from_le_bytes(array(bytes)?) }),
        DATETIME => Value::DateTime(DateTime::unpack(u64::from_le_bytes(array(bytes)?))?),
        _ => return None,
    })
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn split<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    split(bytes, N)?.try_into().ok()
}

#[cfg(test)]
#[path = "codec_test.rs"]
mod codec_test;
