//! DECIMAL: exact decimal arithmetic to 65 digits, 30 of them after the point (manual 12.25).
//!
//! A number is a coefficient below 10^65, a scale and a sign; zero is never negative. Nothing
//! allocates. Operands of up to 38 digits, which is nearly all, are computed in 128 bits.

mod codec;
mod parse;
mod wide;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

pub use codec::{fixed_width, read_fixed};
use wide::{Double, POW10, Wide};

/// An exact decimal number of up to 65 digits, 30 of them after the point.
#[derive(Clone, Copy)]
pub struct Decimal {
    coefficient: Wide,
    scale: u8,
    sign: Sign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

/// Most digits of a DECIMAL.
pub const DIGITS_MAX: u8 = 65;
/// Most digits after the point.
pub const SCALE_MAX: u8 = 30;

const _: () = assert!((DIGITS_MAX as usize) < POW10.len());

/// How surplus digits go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    /// Half away from zero.
    HalfUp,
    /// Towards zero.
    Down,
    /// Away from zero if anything is lost.
    Up,
}

impl Decimal {
    /// 0 with no digits after the point.
    pub const ZERO: Self = Self { coefficient: [0; 4], scale: 0, sign: Sign::Plus };

    fn new(coefficient: Wide, scale: u8, sign: Sign) -> Self {
        let sign = if wide::is_zero(&coefficient) { Sign::Plus } else { sign };
        Self { coefficient, scale, sign }
    }

    /// A whole number.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        let sign = if value < 0 { Sign::Minus } else { Sign::Plus };
        Self::new([value.unsigned_abs(), 0, 0, 0], 0, sign)
    }

    /// A whole number.
    #[must_use]
    pub fn from_u64(value: u64) -> Self {
        Self::new([value, 0, 0, 0], 0, Sign::Plus)
    }

    /// A whole number; `None` beyond 65 digits cannot happen.
    #[must_use]
    pub fn from_i128(value: i128) -> Self {
        let sign = if value < 0 { Sign::Minus } else { Sign::Plus };
        Self::new(wide::from_u128(value.unsigned_abs()), 0, sign)
    }

    /// `units` in the last of `scale` digits after the point (`scale` at most 30).
    #[must_use]
    pub fn from_scaled(units: i64, scale: u8) -> Self {
        Self { scale: scale.min(SCALE_MAX), ..Self::from_i64(units) }
    }

    /// The shortest decimal that reads back as `value`; `None` for infinities, NaN and numbers of
    /// more than 65 digits.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        Self::parse(format!("{value:e}").as_bytes())
    }

    /// The greatest number of a precision and scale.
    #[must_use]
    pub fn max_of(precision: u8, scale: u8) -> Self {
        let mut coefficient = POW10[usize::from(precision.min(DIGITS_MAX))];
        wide::sub_assign(&mut coefficient, &[1]);
        Self::new(coefficient, scale, Sign::Plus)
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        const EXACT: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
            1e18, 1e19, 1e20, 1e21, 1e22,
        ];
        match wide::to_u128(&self.coefficient) {
            Some(c) if c < 1 << 53 && self.scale <= 22 => {
                #[allow(clippy::cast_precision_loss)] // below 2^53
                let magnitude = c as f64 / EXACT[usize::from(self.scale)];
                if self.is_negative() { -magnitude } else { magnitude }
            }
            _ => self.to_string().parse().unwrap_or(0.0),
        }
    }

    /// Rounded to a whole number, if that fits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        let whole = self.round(0);
        let magnitude = i128::try_from(wide::to_u128(&whole.coefficient)?).ok()?;
        i64::try_from(if whole.is_negative() { -magnitude } else { magnitude }).ok()
    }

    /// Rounded to a whole number, if that fits.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        let whole = self.round(0);
        let magnitude = wide::to_u128(&whole.coefficient)?;
        if whole.is_negative() { None } else { u64::try_from(magnitude).ok() }
    }

    /// Digits after the point.
    #[must_use]
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// Digits before the point, without leading zeros.
    #[must_use]
    pub fn integer_digits(&self) -> u8 {
        let digits = wide::digits(&self.coefficient).saturating_sub(usize::from(self.scale));
        u8::try_from(digits).unwrap_or(u8::MAX)
    }

    /// Whether this is 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        wide::is_zero(&self.coefficient)
    }

    /// Whether this is below 0.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.sign == Sign::Minus
    }

    /// The sum; `None` beyond 65 digits.
    #[must_use]
    #[inline]
    pub fn add(&self, other: &Self) -> Option<Self> {
        if let Some(sum) = self.add_small(other) {
            return Some(sum);
        }
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.coefficient_at(scale)?, other.coefficient_at(scale)?);
        if self.sign == other.sign {
            let (sum, carry) = wide::add(&a, &b);
            return if carry == 0 { Self::checked(sum, scale, self.sign) } else { None };
        }
        let (mut large, small, sign) = match wide::cmp(&a, &b) {
            Ordering::Less => (b, a, other.sign),
            _ => (a, b, self.sign),
        };
        wide::sub_assign(&mut large, &small);
        Some(Self::new(large, scale, sign))
    }

    /// The sum of numbers whose coefficients have 64 bits at the scale of both.
    #[inline]
    fn add_small(&self, other: &Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let small = |number: &Self| {
            let power = &POW10[usize::from(scale - number.scale)];
            if !wide::is_zero(&number.coefficient[1..]) || !wide::is_zero(&power[1..]) {
                return None;
            }
            number.coefficient[0].checked_mul(power[0])
        };
        let (a, b) = (small(self)?, small(other)?);
        Some(if self.sign == other.sign {
            Self::new(wide::from_u128(u128::from(a) + u128::from(b)), scale, self.sign)
        } else if a >= b {
            Self::new([a - b, 0, 0, 0], scale, self.sign)
        } else {
            Self::new([b - a, 0, 0, 0], scale, other.sign)
        })
    }

    /// The difference; `None` beyond 65 digits.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Option<Self> {
        self.add(&other.neg())
    }

    /// The product, rounded to 30 digits after the point; `None` beyond 65 digits before it.
    #[must_use]
    pub fn mul(&self, other: &Self) -> Option<Self> {
        let sign = if self.sign == other.sign { Sign::Plus } else { Sign::Minus };
        let scale = self.scale + other.scale;
        if let (Some(a), Some(b)) = (wide::to_u128(&self.coefficient), wide::to_u128(&other.coefficient))
            && let (Ok(a), Ok(b)) = (u64::try_from(a), u64::try_from(b))
            && scale <= SCALE_MAX
        {
            let product = u128::from(a) * u128::from(b);
            return Some(Self::new(wide::from_u128(product), scale, sign));
        }
        Self::fitted(wide::mul(&self.coefficient, &other.coefficient), scale, sign)
    }

    /// The quotient with `increment` more digits after the point than the dividend has
    /// (`div_precision_increment`), rounded; `None` for a zero divisor or an overflow.
    #[must_use]
    pub fn div(&self, other: &Self, increment: u8) -> Option<Self> {
        self.quotient(other, self.scale.saturating_add(increment).min(SCALE_MAX), Rounding::HalfUp)
    }

    /// The quotient with all the digits that MySQL computes for a division within an expression: at
    /// least those of [`Decimal::div`], in groups of nine, not rounded. What is shown or stored is
    /// rounded later. `None` as for [`Decimal::div`].
    #[must_use]
    pub fn div_extended(&self, other: &Self, increment: u8) -> Option<Self> {
        let up = |scale: u8| scale.div_ceil(9) * 9;
        let (own, others) = (up(self.scale), up(other.scale));
        let spare = own - self.scale + (others - other.scale);
        let scale = up(own.saturating_add(others).saturating_add(increment.saturating_sub(spare)));
        self.quotient(other, scale.min(SCALE_MAX), Rounding::Down)
    }

    fn quotient(&self, other: &Self, scale: u8, rounding: Rounding) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let sign = if self.sign == other.sign { Sign::Plus } else { Sign::Minus };
        let shift = i32::from(scale) + i32::from(other.scale) - i32::from(self.scale);
        let (numerator, divisor) = match usize::try_from(shift) {
            Ok(up) => (wide::mul(&self.coefficient, POW10.get(up)?), other.coefficient),
            Err(_) => {
                let factor = POW10.get(usize::try_from(-shift).ok()?)?;
                (wide::widen(&self.coefficient), wide::narrow(&wide::mul(&other.coefficient, factor))?)
            }
        };
        let (mut quotient, mut rem) = wide::div_rem(&numerator, &divisor);
        let (twice, carry) = wide::add(&rem, &rem);
        rem = twice;
        let half = carry != 0 || wide::cmp(&rem, &divisor) != Ordering::Less;
        if rounding == Rounding::HalfUp && half {
            increment_by_one(&mut quotient);
        }
        Self::fitted(quotient, scale, sign)
    }

    /// The remainder with the sign of the dividend; `None` for a zero divisor.
    #[must_use]
    pub fn rem(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.coefficient_at(scale)?, other.coefficient_at(scale)?);
        let (_, rem) = wide::div_rem(&wide::widen(&a), &b);
        Some(Self::new(rem, scale, self.sign))
    }

    /// The quotient without its fraction (DIV); `None` for a zero divisor.
    #[must_use]
    pub fn int_div(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.coefficient_at(scale)?, other.coefficient_at(scale)?);
        let (quotient, _) = wide::div_rem(&wide::widen(&a), &b);
        let sign = if self.sign == other.sign { Sign::Plus } else { Sign::Minus };
        Self::fitted(quotient, 0, sign)
    }

    /// The number with the other sign.
    #[must_use]
    pub fn neg(&self) -> Self {
        let sign = if self.sign == Sign::Plus { Sign::Minus } else { Sign::Plus };
        Self::new(self.coefficient, self.scale, sign)
    }

    /// The number without its sign.
    #[must_use]
    pub fn abs(&self) -> Self {
        Self { sign: Sign::Plus, ..*self }
    }

    /// Rounded half away from zero to `scale` digits after the point; a negative scale rounds
    /// digits before it. A greater scale than the present one adds zeros as far as there is room.
    #[must_use]
    pub fn round(&self, scale: i32) -> Self {
        self.rescaled(scale, Rounding::HalfUp)
    }

    /// As [`Decimal::round`], but towards zero.
    #[must_use]
    pub fn truncate(&self, scale: i32) -> Self {
        self.rescaled(scale, Rounding::Down)
    }

    /// The greatest whole number that is not greater.
    #[must_use]
    pub fn floor(&self) -> Self {
        self.rescaled(0, if self.is_negative() { Rounding::Up } else { Rounding::Down })
    }

    /// The least whole number that is not less.
    #[must_use]
    pub fn ceiling(&self) -> Self {
        self.rescaled(0, if self.is_negative() { Rounding::Down } else { Rounding::Up })
    }

    /// Rounded into DECIMAL(precision, scale); `None` when the integer part does not fit.
    #[must_use]
    pub fn fit(&self, precision: u8, scale: u8) -> Option<Self> {
        let rounded = self.round(i32::from(scale));
        let fits = rounded.scale == scale
            && wide::cmp(&rounded.coefficient, &POW10[usize::from(precision.min(DIGITS_MAX))])
                == Ordering::Less;
        fits.then_some(rounded)
    }

    /// Without trailing zeros after the point.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let mut best = *self;
        while best.scale > 0 {
            let mut coefficient = best.coefficient;
            if wide::div_small(&mut coefficient, 10) != 0 {
                break;
            }
            best = Self::new(coefficient, best.scale - 1, best.sign);
        }
        best
    }

    fn rescaled(&self, scale: i32, rounding: Rounding) -> Self {
        let target = scale.min(i32::from(SCALE_MAX));
        let drop = i32::from(self.scale) - target;
        let Ok(drop) = usize::try_from(drop) else {
            let wanted = u8::try_from(target).unwrap_or(SCALE_MAX);
            return (self.scale..=wanted)
                .rev()
                .find_map(|s| Some(Self::new(self.coefficient_at(s)?, s, self.sign)))
                .unwrap_or(*self);
        };
        let new_scale = u8::try_from(target.max(0)).unwrap_or(0);
        if drop >= POW10.len() {
            return Self { scale: new_scale, ..Self::ZERO };
        }
        let mut kept = drop_digits(&wide::widen(&self.coefficient), drop, rounding);
        if let Ok(zeros @ 1..) = usize::try_from(-target) {
            let narrow = wide::narrow(&kept).unwrap_or_default();
            kept = POW10.get(zeros).map_or(kept, |p| wide::mul(&narrow, p));
        }
        Self::fitted(kept, new_scale, self.sign).unwrap_or(*self)
    }

    /// The coefficient that the number has at a scale not less than its own; `None` when it does
    /// not fit.
    #[inline]
    fn coefficient_at(&self, scale: u8) -> Option<Wide> {
        if scale == self.scale {
            return Some(self.coefficient);
        }
        let power = POW10.get(usize::from(scale.checked_sub(self.scale)?))?;
        if wide::is_zero(&self.coefficient[1..]) && wide::is_zero(&power[1..]) {
            return Some(wide::from_u128(u128::from(self.coefficient[0]) * u128::from(power[0])));
        }
        wide::narrow(&wide::mul(&self.coefficient, power))
    }

    #[inline]
    fn checked(coefficient: Wide, scale: u8, sign: Sign) -> Option<Self> {
        // 128 bits are 39 digits.
        if wide::to_u128(&coefficient).is_some() && scale <= SCALE_MAX {
            return Some(Self::new(coefficient, scale, sign));
        }
        Self::fitted(wide::widen(&coefficient), scale, sign)
    }

    /// Rounds digits away until the number has at most 65, 30 of them after the point.
    fn fitted(coefficient: Double, scale: u8, sign: Sign) -> Option<Self> {
        let limit = wide::widen(&POW10[usize::from(DIGITS_MAX)]);
        let mut drop = usize::from(scale.saturating_sub(SCALE_MAX));
        loop {
            let kept =
                if drop == 0 { coefficient } else { drop_digits(&coefficient, drop, Rounding::HalfUp) };
            let scale = scale.checked_sub(u8::try_from(drop).ok()?)?;
            if wide::cmp(&kept, &limit) == Ordering::Less {
                return Some(Self::new(wide::narrow(&kept)?, scale, sign));
            }
            drop += 1;
        }
    }
}

fn increment_by_one(x: &mut Double) {
    for limb in x.iter_mut() {
        let (sum, carry) = limb.overflowing_add(1);
        *limb = sum;
        if !carry {
            return;
        }
    }
}

/// Divides by 10^drop (`drop` at most 77).
fn drop_digits(x: &Double, drop: usize, rounding: Rounding) -> Double {
    let power = &POW10[drop];
    let (mut kept, rem) = wide::div_rem(x, power);
    let away = match rounding {
        Rounding::Down => false,
        Rounding::Up => !wide::is_zero(&rem),
        Rounding::HalfUp => {
            let (twice, carry) = wide::add(&rem, &rem);
            carry != 0 || wide::cmp(&twice, power) != Ordering::Less
        }
    };
    if away {
        increment_by_one(&mut kept);
    }
    kept
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.sign, other.sign) {
            (Sign::Plus, Sign::Minus) => return Ordering::Greater,
            (Sign::Minus, Sign::Plus) => return Ordering::Less,
            _ => {}
        }
        let scale = self.scale.max(other.scale);
        let magnitude = if self.scale == other.scale {
            wide::cmp(&self.coefficient, &other.coefficient)
        } else {
            let up = |d: &Self| wide::mul(&d.coefficient, &POW10[usize::from(scale - d.scale)]);
            wide::cmp(&up(self), &up(other))
        };
        if self.sign == Sign::Minus { magnitude.reverse() } else { magnitude }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let n = self.normalized();
        (n.coefficient, n.scale, n.is_negative()).hash(state);
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
