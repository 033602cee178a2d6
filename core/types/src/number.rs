//! Numbers from text and to text, as MySQL reads and prints them.

use crate::decimal::Decimal;

/// A number read from the start of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prefix<T> {
    /// The number; 0 where there was none.
    pub value: T,
    /// Bytes of the text that belong to it, leading spaces included; 0 where there was none.
    pub used: usize,
    /// Whether only spaces follow, and there was a number.
    pub complete: bool,
}

impl<T> Prefix<T> {
    fn new(value: T, used: usize, text: &[u8]) -> Self {
        let complete = used > 0 && text[used..].iter().all(u8::is_ascii_whitespace);
        Self { value, used, complete }
    }
}

fn leading_spaces(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// Bytes of `[+-]digits[.digits][e[+-]digits]` at the start.
fn number_len(text: &[u8]) -> usize {
    let digits =
        |from: usize| text.get(from..).unwrap_or(&[]).iter().take_while(|b| b.is_ascii_digit()).count();
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let integer = digits(sign);
    let mut len = sign + integer;
    let mut fraction = 0;
    if text.get(len) == Some(&b'.') {
        fraction = digits(len + 1);
        if integer + fraction > 0 {
            len += 1 + fraction;
        }
    }
    if integer + fraction == 0 {
        return 0;
    }
    if matches!(text.get(len), Some(b'e' | b'E')) {
        let exponent_sign = usize::from(matches!(text.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits(len + 1 + exponent_sign);
        if exponent > 0 {
            len += 1 + exponent_sign + exponent;
        }
    }
    len
}

/// Reads a double; out of range gives the greatest one with its sign.
#[must_use]
pub fn parse_double(text: &[u8]) -> Prefix<f64> {
    let start = leading_spaces(text);
    let len = number_len(&text[start..]);
    if len == 0 {
        return Prefix { value: 0.0, used: 0, complete: false };
    }
    let digits = std::str::from_utf8(&text[start..start + len]).unwrap_or("0");
    let value: f64 = digits.parse().unwrap_or(0.0);
    Prefix::new(value.clamp(f64::MIN, f64::MAX), start + len, text)
}

/// Reads a decimal; `None` when it has more than 65 digits before the point.
#[must_use]
pub fn parse_decimal(text: &[u8]) -> Option<Prefix<Decimal>> {
    let start = leading_spaces(text);
    if number_len(&text[start..]) == 0 {
        return Some(Prefix { value: Decimal::ZERO, used: 0, complete: false });
    }
    let (value, used) = Decimal::parse_prefix(&text[start..])?;
    Some(Prefix::new(value, start + used, text))
}

/// Reads `[+-]digits`, as CAST AS SIGNED does: a point or an exponent is not part of it. The value is
/// cut to the range of `i128` that both signed and unsigned 64 bits lie in.
#[must_use]
pub fn parse_integer(text: &[u8]) -> Prefix<i128> {
    let start = leading_spaces(text);
    let rest = &text[start..];
    let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
    let digits = rest[sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return Prefix { value: 0, used: 0, complete: false };
    }
    let mut value = 0_i128;
    for b in &rest[sign..sign + digits] {
        value = value.saturating_mul(10).saturating_add(i128::from(b - b'0')).min(1 << 100);
    }
    let value = if rest.first() == Some(&b'-') { -value } else { value };
    Prefix::new(value, start + sign + digits, text)
}

/// Appends a whole number.
#[inline]
pub fn write_u64(value: u64, out: &mut Vec<u8>) {
    let mut buf = [0_u8; 20];
    let mut at = buf.len();
    let mut rest = value;
    loop {
        at -= 1;
        buf[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&buf[at..]);
}

/// Appends a whole number.
#[inline]
pub fn write_i64(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_u64(value.unsigned_abs(), out);
}

/// Appends a double with as many digits as it takes to read it back.
pub fn write_double(value: f64, out: &mut Vec<u8>) {
    write_general(&format!("{value:e}"), out);
}

/// Appends a float with at most six significant digits.
pub fn write_float(value: f32, out: &mut Vec<u8>) {
    write_general(&format!("{:.5e}", f64::from(value)), out);
}

/// Appends a number with exactly `decimals` digits after the point.
pub fn write_fixed(value: f64, decimals: u8, out: &mut Vec<u8>) {
    let text = format!("{value:.*}", usize::from(decimals));
    let zero = text.strip_prefix('-').filter(|rest| rest.bytes().all(|b| b == b'0' || b == b'.'));
    out.extend_from_slice(zero.unwrap_or(&text).as_bytes());
}

/// Takes `d.ddde±x` and appends it with an exponent only where the point would lie more than 15
/// digits to the right or 14 zeros to the left of the first digit.
fn write_general(scientific: &str, out: &mut Vec<u8>) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let all: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let significant = all.iter().rposition(|b| *b != b'0').map_or(0, |i| i + 1);
    let digits = &all[..significant];
    if digits.is_empty() {
        out.extend_from_slice(if negative { b"-0" } else { b"0" });
        return;
    }
    if negative {
        out.push(b'-');
    }
    // Where the point stands, counted from the first digit.
    let point = exponent + 1;
    match usize::try_from(point) {
        Ok(point) if point > 0 && point <= 15 => {
            let split = point.min(digits.len());
            out.extend_from_slice(&digits[..split]);
            out.resize(out.len() + (point - split), b'0');
            put_fraction(&digits[split..], out);
        }
        _ if (-14..=0).contains(&point) => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + usize::try_from(-point).unwrap_or(0), b'0');
            out.extend_from_slice(digits);
        }
        _ => {
            out.push(digits[0]);
            put_fraction(&digits[1..], out);
            out.push(b'e');
            write_i64(i64::from(exponent), out);
        }
    }
}

fn put_fraction(digits: &[u8], out: &mut Vec<u8>) {
    if !digits.is_empty() {
        out.push(b'.');
        out.extend_from_slice(digits);
    }
}
