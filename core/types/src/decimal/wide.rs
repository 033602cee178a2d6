//! Unsigned integers of 256 and 512 bits: just what DECIMAL needs.
//!
//! Limbs are 64 bits wide, least significant first. Nothing here allocates.

use std::cmp::Ordering;

/// 256 bits: holds every coefficient of up to 77 digits.
pub(super) type Wide = [u64; 4];
/// 512 bits: holds the product of two [`Wide`]s.
pub(super) type Double = [u64; 8];

/// Powers of ten up to 10^77, the greatest below 2^256.
pub(super) const POW10: [Wide; 78] = powers();

const fn powers() -> [Wide; 78] {
    let mut table = [[0_u64; 4]; 78];
    table[0][0] = 1;
    let mut i = 1;
    while i < 78 {
        let mut carry = 0_u128;
        let mut j = 0;
        while j < 4 {
            let product = table[i - 1][j] as u128 * 10 + carry;
            table[i][j] = low(product);
            carry = product >> 64;
            j += 1;
        }
        i += 1;
    }
    table
}

/// The low 64 bits.
#[allow(clippy::cast_possible_truncation)]
pub(super) const fn low(x: u128) -> u64 {
    x as u64
}

pub(super) fn from_u128(x: u128) -> Wide {
    [low(x), low(x >> 64), 0, 0]
}

/// The value if it fits 128 bits.
#[inline]
pub(super) fn to_u128(x: &Wide) -> Option<u128> {
    (x[2] | x[3] == 0).then(|| u128::from(x[0]) | u128::from(x[1]) << 64)
}

pub(super) fn is_zero(x: &[u64]) -> bool {
    x.iter().all(|l| *l == 0)
}

/// Compares numbers of equal limb count.
pub(super) fn cmp(a: &[u64], b: &[u64]) -> Ordering {
    a.iter().rev().cmp(b.iter().rev())
}

/// `a + b`, with the carry out.
pub(super) fn add(a: &Wide, b: &Wide) -> (Wide, u64) {
    let mut out = [0; 4];
    let mut carry = 0_u128;
    for i in 0..4 {
        let sum = u128::from(a[i]) + u128::from(b[i]) + carry;
        out[i] = low(sum);
        carry = sum >> 64;
    }
    (out, low(carry))
}

/// `a - b` in place; `a` must not be less than `b`.
pub(super) fn sub_assign(a: &mut [u64], b: &[u64]) {
    let mut borrow = false;
    for (i, limb) in a.iter_mut().enumerate() {
        let (d1, b1) = limb.overflowing_sub(b.get(i).copied().unwrap_or(0));
        let (d2, b2) = d1.overflowing_sub(u64::from(borrow));
        *limb = d2;
        borrow = b1 || b2;
    }
}

pub(super) fn mul(a: &Wide, b: &Wide) -> Double {
    let mut out = [0_u64; 8];
    for i in 0..4 {
        let mut carry = 0_u128;
        for j in 0..4 {
            let t = u128::from(a[i]) * u128::from(b[j]) + u128::from(out[i + j]) + carry;
            out[i + j] = low(t);
            carry = t >> 64;
        }
        out[i + 4] = low(carry);
    }
    out
}

/// Divides in place by a single limb and returns the remainder.
pub(super) fn div_small(x: &mut [u64], divisor: u64) -> u64 {
    let mut rem = 0_u128;
    for limb in x.iter_mut().rev() {
        let t = rem << 64 | u128::from(*limb);
        *limb = low(t / u128::from(divisor));
        rem = t % u128::from(divisor);
    }
    low(rem)
}

/// The number in 512 bits.
pub(super) fn widen(x: &Wide) -> Double {
    [x[0], x[1], x[2], x[3], 0, 0, 0, 0]
}

/// The number in 256 bits if it fits.
pub(super) fn narrow(x: &Double) -> Option<Wide> {
    is_zero(&x[4..]).then(|| [x[0], x[1], x[2], x[3]])
}

fn bit_length(x: &Double) -> u32 {
    let mut bits = 512;
    for limb in x.iter().rev() {
        if *limb != 0 {
            return bits - limb.leading_zeros();
        }
        bits -= 64;
    }
    0
}

/// Quotient and remainder; `divisor` must not be zero.
pub(super) fn div_rem(x: &Double, divisor: &Wide) -> (Double, Wide) {
    let mut quotient = *x;
    if is_zero(&divisor[1..]) {
        let rem = div_small(&mut quotient, divisor[0]);
        return (quotient, [rem, 0, 0, 0]);
    }
    if let (true, Some(d)) = (is_zero(&x[2..]), to_u128(divisor)) {
        let n = u128::from(x[0]) | u128::from(x[1]) << 64;
        return (widen(&from_u128(n / d)), from_u128(n % d));
    }
    div_rem_bits(x, divisor)
}

/// Schoolbook division, a bit at a time: only for operands beyond 38 digits.
fn div_rem_bits(x: &Double, divisor: &Wide) -> (Double, Wide) {
    let mut quotient = [0_u64; 8];
    let mut rem = [0_u64; 5];
    let divisor5 = [divisor[0], divisor[1], divisor[2], divisor[3], 0];
    for bit in (0..bit_length(x)).rev() {
        let (limb, shift) = ((bit / 64) as usize, bit % 64);
        let mut carry = x[limb] >> shift & 1;
        for r in &mut rem {
            let next = *r >> 63;
            *r = *r << 1 | carry;
            carry = next;
        }
        if cmp(&rem, &divisor5) != Ordering::Less {
            sub_assign(&mut rem, &divisor5);
            quotient[limb] |= 1 << shift;
        }
    }
    (quotient, [rem[0], rem[1], rem[2], rem[3]])
}

/// How many decimal digits a number has; 0 has none.
pub(super) fn digits(x: &Wide) -> usize {
    if let Some(small) = to_u128(x) {
        return small.checked_ilog10().map_or(0, |d| d as usize + 1);
    }
    POW10.partition_point(|p| cmp(p, x) != Ordering::Greater)
}
