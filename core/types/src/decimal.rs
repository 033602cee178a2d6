//! DECIMAL: exact decimal arithmetic to 65 digits.
use std::cmp::Ordering;
use crate::SqlResult;
/// An exact decimal number of up to 65 digits, 30 of them after the point.
#[derive(Clone, Copy, Debug)]
pub struct Decimal { limbs: [u64; 4], scale: u8, sign: Sign }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign { Plus, Minus }
#[allow(missing_docs)]
impl Decimal {
    pub const ZERO: Self = Self { limbs: [0; 4], scale: 0, sign: Sign::Plus };
    /// Parses `[+-]digits[.digits][e[+-]digits]`, all of `text`; extra scale digits are rounded.
    pub fn parse(text: &[u8]) -> Option<Self> { let _ = text; None }
    pub fn from_i64(v: i64) -> Self { let _ = v; Self::ZERO }
    pub fn from_u64(v: u64) -> Self { let _ = v; Self::ZERO }
    pub fn from_f64(v: f64) -> Option<Self> { let _ = v; None }
    pub fn to_f64(&self) -> f64 { 0.0 }
    pub fn to_i64(&self) -> Option<i64> { None }
    pub fn to_u64(&self) -> Option<u64> { None }
    pub fn scale(&self) -> u8 { self.scale }
    pub fn is_zero(&self) -> bool { true }
    pub fn is_negative(&self) -> bool { self.sign == Sign::Minus }
    pub fn add(&self, o: &Self) -> Option<Self> { let _ = o; None }
    pub fn sub(&self, o: &Self) -> Option<Self> { let _ = o; None }
    pub fn mul(&self, o: &Self) -> Option<Self> { let _ = o; None }
    pub fn div(&self, o: &Self, increment: u8) -> Option<Self> { let _ = (o, increment); None }
    pub fn rem(&self, o: &Self) -> Option<Self> { let _ = o; None }
    pub fn neg(&self) -> Self { *self }
    pub fn round(&self, scale: i32) -> Self { let _ = scale; *self }
    pub fn truncate(&self, scale: i32) -> Self { let _ = scale; *self }
    pub fn cmp_value(&self, o: &Self) -> Ordering { let _ = (o, self.limbs); Ordering::Equal }
}
