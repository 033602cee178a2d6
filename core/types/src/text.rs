//! Values as text.

use crate::number::{write_double, write_fixed, write_float, write_i64, write_u64};
use crate::{DataType, TypeKind, Value};

/// `decimals` of a floating point type without a fixed scale.
pub const NOT_FIXED: u8 = 31;

/// Appends a value as MySQL prints it; nothing for NULL. Strings are appended as they are, in the
/// character set of their type; BIT as its bytes; all else is ASCII, except members of ENUM and SET,
/// which are UTF-8.
#[inline]
pub fn write_text(value: &Value, ty: &DataType, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Int(n) => write_i64(*n, out),
        Value::UInt(n) => write_unsigned(*n, ty, out),
        Value::Float(x) if ty.decimals < NOT_FIXED => {
            write_padded(ty, out, |o| write_fixed(f64::from(*x), ty.decimals, o))
        }
        Value::Float(x) => write_padded(ty, out, |o| write_float(*x, o)),
        Value::Double(x) if ty.decimals < NOT_FIXED => {
            write_padded(ty, out, |o| write_fixed(*x, ty.decimals, o))
        }
        Value::Double(x) => write_padded(ty, out, |o| write_double(*x, o)),
        Value::Decimal(d) if ty.kind == TypeKind::Decimal && d.scale() > ty.decimals => {
            write_padded(ty, out, |o| d.round(i32::from(ty.decimals)).write(o));
        }
        Value::Decimal(d) => write_padded(ty, out, |o| d.write(o)),
        Value::Bytes(b) => out.extend_from_slice(b),
        Value::Date(d) => d.write(out),
        Value::Time(t) => t.write(fraction_digits(ty), out),
        Value::DateTime(t) => t.write(fraction_digits(ty), out),
    }
}

/// The text of a value; `None` for NULL.
#[must_use]
pub fn to_text(value: &Value, ty: &DataType) -> Option<bytes::Bytes> {
    match value {
        Value::Null => None,
        Value::Bytes(b) => Some(b.clone()),
        other => {
            let mut out = Vec::with_capacity(24);
            write_text(other, ty, &mut out);
            Some(out.into())
        }
    }
}

fn fraction_digits(ty: &DataType) -> u8 {
    if ty.decimals > 6 { 6 } else { ty.decimals }
}

/// Writes a number, with zeros before it for ZEROFILL.
fn write_padded(ty: &DataType, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !ty.zerofill {
        return write(out);
    }
    let mut text = Vec::new();
    write(&mut text);
    // A DECIMAL has room for a point besides its digits.
    let point = u32::from(ty.kind == TypeKind::Decimal && ty.decimals > 0);
    let width = usize::try_from(ty.length + point).unwrap_or(0);
    out.resize(out.len() + width.saturating_sub(text.len()), b'0');
    out.extend_from_slice(&text);
}

#[inline]
fn write_unsigned(n: u64, ty: &DataType, out: &mut Vec<u8>) {
    match ty.kind {
        TypeKind::Bit => {
            let width = usize::try_from(ty.length.clamp(1, 64).div_ceil(8)).unwrap_or(8);
            out.extend_from_slice(&n.to_be_bytes()[8 - width..]);
        }
        TypeKind::Year => write_zero_padded(n, 4, out),
        TypeKind::Enum => out.extend_from_slice(enum_member(n, ty).as_bytes()),
        TypeKind::Set => write_set(n, ty, out),
        _ if ty.zerofill => write_zero_padded(n, usize::try_from(ty.length).unwrap_or(0), out),
        _ => write_u64(n, out),
    }
}

fn write_zero_padded(n: u64, width: usize, out: &mut Vec<u8>) {
    let digits = n.checked_ilog10().map_or(1, |d| d as usize + 1);
    out.resize(out.len() + width.saturating_sub(digits), b'0');
    write_u64(n, out);
}

/// The member of an ENUM by its number; the error value is the empty string.
#[must_use]
pub fn enum_member(n: u64, ty: &DataType) -> &str {
    let members = ty.members.as_deref().unwrap_or(&[]);
    let at = usize::try_from(n).ok().and_then(|n| n.checked_sub(1));
    at.and_then(|i| members.get(i)).map_or("", String::as_str)
}

fn write_set(bits: u64, ty: &DataType, out: &mut Vec<u8>) {
    let mut first = true;
    for (i, member) in ty.members.as_deref().unwrap_or(&[]).iter().enumerate().take(64) {
        if bits >> i & 1 == 1 {
            if !first {
                out.push(b',');
            }
            out.extend_from_slice(member.as_bytes());
            first = false;
        }
    }
}
