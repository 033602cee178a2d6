//! DECIMAL: exact decimal arithmetic to 65 digits.

/// An exact decimal number of up to 65 digits, 30 of them after the point.
#[derive(Clone, Debug)]
pub struct Decimal;
