//! DECIMAL at rest.
//!
//! In a DECIMAL(p, s) column a number is its coefficient at scale `s` as a big-endian two's complement
//! integer of the least width that holds every number of `p` digits, with the sign bit inverted: bytes
//! compare as the numbers do, in rows and in keys.

use super::wide::{self, POW10, Wide};
use super::{DIGITS_MAX, Decimal, Sign};

/// Bytes of a stored DECIMAL by its precision.
const WIDTHS: [u8; 66] = widths();

const fn widths() -> [u8; 66] {
    let mut table = [1_u8; 66];
    let mut precision = 1;
    while precision <= 65 {
        // The width w is the least with 10^precision <= 2^(8w-1).
        let mut w: u8 = 1;
        while !fits(&POW10[precision], w as usize * 8 - 1) {
            w += 1;
        }
        table[precision] = w;
        precision += 1;
    }
    table
}

/// Whether `x <= 2^bits`; no power of ten but 1 is a power of two.
const fn fits(x: &Wide, bits: usize) -> bool {
    let mut i = 3;
    loop {
        if x[i] != 0 {
            return i * 64 + 64 - x[i].leading_zeros() as usize <= bits;
        }
        if i == 0 {
            return true;
        }
        i -= 1;
    }
}

/// Bytes that a DECIMAL of `precision` digits takes at rest: 1 to 28.
#[must_use]
pub fn fixed_width(precision: u8) -> usize {
    usize::from(WIDTHS[usize::from(precision.min(DIGITS_MAX))])
}

/// Reads what [`Decimal::write_fixed`] wrote. The bytes are those of one number: 1 to 32.
#[must_use]
pub fn read_fixed(bytes: &[u8], scale: u8) -> Decimal {
    let negative = bytes.first().is_some_and(|b| b & 0x80 == 0);
    let mut be = [if negative { 0xFF } else { 0 }; 32];
    let start = 32 - bytes.len().min(32);
    be[start..].copy_from_slice(&bytes[..32 - start]);
    be[start.min(31)] ^= 0x80;
    let mut limbs = [0_u64; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(be.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |acc, b| acc << 8 | u64::from(*b));
    }
    if negative {
        limbs = negate(&limbs);
    }
    Decimal::new(limbs, scale, if negative { Sign::Minus } else { Sign::Plus })
}

fn negate(x: &Wide) -> Wide {
    let inverted = x.map(|l| !l);
    wide::add(&inverted, &[1, 0, 0, 0]).0
}

impl Decimal {
    /// Appends the number as stored in a column of this precision and scale. `None`, with nothing
    /// written, when it does not fit exactly.
    #[must_use]
    pub fn write_fixed(&self, precision: u8, scale: u8, out: &mut Vec<u8>) -> Option<()> {
        let coefficient = match self.scale <= scale {
            true => self.coefficient_at(scale)?,
            false => {
                let cut = self.truncate(i32::from(scale));
                if cut != *self {
                    return None;
                }
                cut.coefficient
            }
        };
        if wide::cmp(&coefficient, &POW10[usize::from(precision.min(DIGITS_MAX))]).is_ge() {
            return None;
        }
        let limbs = if self.is_negative() { negate(&coefficient) } else { coefficient };
        let mut be = [0_u8; 32];
        for (chunk, limb) in be.chunks_exact_mut(8).zip(limbs.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        let start = 32 - fixed_width(precision);
        be[start] ^= 0x80;
        out.extend_from_slice(&be[start..]);
        Some(())
    }

    /// Appends bytes that compare as the numbers do whatever their scales; equal numbers give equal
    /// bytes. For sorting and grouping in memory, not stored.
    pub fn write_sort_key(&self, out: &mut Vec<u8>) {
        let n = self.normalized();
        if n.is_zero() {
            out.push(0x80);
            return;
        }
        let mut coefficient = n.coefficient;
        let digits = wide::digits(&coefficient);
        let exponent = i16::try_from(digits).unwrap_or(0) - i16::from(n.scale);
        let start = out.len();
        out.push(0x81);
        out.push(u8::try_from(exponent + 128).unwrap_or(0));
        let mut reversed = [0_u8; 80];
        for slot in reversed.iter_mut().take(digits) {
            *slot = u8::try_from(wide::div_small(&mut coefficient, 10)).unwrap_or(0) + 1;
        }
        let zeros = reversed[..digits].iter().take_while(|d| **d == 1).count();
        out.extend(reversed[zeros..digits].iter().rev());
        out.push(0);
        if n.is_negative() {
            out[start..].iter_mut().for_each(|b| *b = !*b);
        }
    }
}
