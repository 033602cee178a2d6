//! DECIMAL from and to text.

use std::fmt;

use super::wide::{self, Wide};
use super::{DIGITS_MAX, Decimal, SCALE_MAX, Sign};

/// Longest text of a DECIMAL: sign, 65 digits, point, and a zero before it.
const TEXT_MAX: usize = 68;

impl Decimal {
    /// Parses all of `text`: `[+-]digits[.digits][e[+-]digits]`. Digits beyond the 30th after the
    /// point are rounded away. `None` when it is not a number or has more than 65 integer digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (value, used) = Self::parse_prefix(text)?;
        (used == text.len()).then_some(value)
    }

    /// Parses the longest number at the start of `text`, and says how many bytes it has. `None`
    /// when there is no digit or the number has more than 65 integer digits.
    #[must_use]
    pub fn parse_prefix(text: &[u8]) -> Option<(Self, usize)> {
        let mut at = 0;
        let sign = match text.first() {
            Some(b'-') => Sign::Minus,
            _ => Sign::Plus,
        };
        at += usize::from(matches!(text.first(), Some(b'-' | b'+')));
        let mut digits = Digits::default();
        at += digits.take(&text[at..], Part::Integer);
        if text.get(at) == Some(&b'.') {
            let fraction = digits.take(&text[at + 1..], Part::Fraction);
            if digits.any {
                at += 1 + fraction;
            }
        }
        if !digits.any {
            return None;
        }
        let (exponent, exponent_len) = parse_exponent(&text[at..]);
        Some((digits.finish(exponent, sign)?, at + exponent_len))
    }

    /// Appends the number as text with all its digits after the point.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut buf = [b'0'; TEXT_MAX];
        let mut at = TEXT_MAX;
        let scale = usize::from(self.scale);
        let mut rest = self.coefficient;
        let mut written = 0;
        while !wide::is_zero(&rest) || written <= scale {
            let chunk = wide::div_small(&mut rest, 1_000_000_000);
            put_chunk(chunk, &mut buf, &mut at, &mut written, scale, wide::is_zero(&rest));
        }
        if self.is_negative() {
            at -= 1;
            buf[at] = b'-';
        }
        out.extend_from_slice(&buf[at..]);
    }
}

/// Writes up to nine digits before `at`, with the point where it belongs.
fn put_chunk(chunk: u64, buf: &mut [u8], at: &mut usize, written: &mut usize, scale: usize, last: bool) {
    let mut chunk = chunk;
    for _ in 0..9 {
        if last && chunk == 0 && *written > scale {
            return;
        }
        *at -= 1;
        buf[*at] = b'0' + u8::try_from(chunk % 10).unwrap_or(0);
        chunk /= 10;
        *written += 1;
        if *written == scale {
            *at -= 1;
            buf[*at] = b'.';
        }
    }
}

/// Exponent and its length; 0 and 0 when there is none.
fn parse_exponent(text: &[u8]) -> (i32, usize) {
    if !matches!(text.first(), Some(b'e' | b'E')) {
        return (0, 0);
    }
    let signed = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    let digits = text[1 + signed..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return (0, 0);
    }
    let mut value = 0_i32;
    for b in &text[1 + signed..1 + signed + digits] {
        value = value.saturating_mul(10).saturating_add(i32::from(b - b'0')).min(100_000);
    }
    let negative = text.get(1) == Some(&b'-');
    (if negative { -value } else { value }, 1 + signed + digits)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Integer,
    Fraction,
}

/// Significant digits as they are read: the first 76, and whether to round up after them.
#[derive(Default)]
struct Digits {
    coefficient: Wide,
    kept: i32,
    /// Power of ten of the last kept digit is `-scale`.
    scale: i32,
    round_up: bool,
    dropped_any: bool,
    any: bool,
}

impl Digits {
    /// More than 65 + 30 digits never matter; 76 fit the coefficient.
    const KEPT_MAX: i32 = 76;

    fn take(&mut self, text: &[u8], part: Part) -> usize {
        let mut used = 0;
        for b in text.iter().take_while(|b| b.is_ascii_digit()) {
            self.push(b - b'0', part);
            used += 1;
        }
        self.any |= used > 0;
        used
    }

    fn push(&mut self, digit: u8, part: Part) {
        let full = self.kept >= Self::KEPT_MAX;
        if full {
            if !self.dropped_any {
                self.round_up = digit >= 5;
                self.dropped_any = true;
            }
            self.scale -= i32::from(part == Part::Integer);
            return;
        }
        let mut carry = u128::from(digit);
        for limb in &mut self.coefficient {
            let t = u128::from(*limb) * 10 + carry;
            *limb = wide::low(t);
            carry = t >> 64;
        }
        self.kept += i32::from(self.kept > 0 || digit > 0);
        self.scale += i32::from(part == Part::Fraction);
    }

    fn finish(self, exponent: i32, sign: Sign) -> Option<Decimal> {
        let mut coefficient = self.coefficient;
        if self.round_up {
            coefficient = wide::add(&coefficient, &[1, 0, 0, 0]).0;
        }
        if wide::is_zero(&coefficient) {
            let scale = (self.scale - exponent).clamp(0, i32::from(SCALE_MAX));
            return Some(Decimal { scale: u8::try_from(scale).ok()?, ..Decimal::ZERO });
        }
        let scale = self.scale - exponent;
        if scale < 0 {
            let up = usize::try_from(-scale).ok()?;
            let product = wide::mul(&coefficient, wide::POW10.get(up)?);
            return Decimal::fitted(product, 0, sign);
        }
        match u8::try_from(scale) {
            Ok(scale) if scale < 100 => Decimal::fitted(wide::widen(&coefficient), scale, sign),
            _ => Some(Decimal { scale: SCALE_MAX, ..Decimal::ZERO }),
        }
    }
}

const _: () = assert!(TEXT_MAX >= DIGITS_MAX as usize + 3);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(TEXT_MAX);
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}
