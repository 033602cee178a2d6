//! A MySQL value in memory.
//!
//! A value carries no type of its own beyond its variant: character set, collation, display width and
//! members of an ENUM belong to the [`crate::DataType`] of the column or expression it comes from.

use bytes::Bytes;

use crate::decimal::Decimal;

/// One value. Strings share their bytes with the row they were read from.
#[derive(Clone, Debug)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// Every signed integer type.
    Int(i64),
    /// Every unsigned integer type, BIT, YEAR, and the number of an ENUM (1-based, 0 is the error
    /// value) or the bits of a SET.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL, exact.
    Decimal(Decimal),
    /// CHAR, VARCHAR, TEXT, BINARY, VARBINARY, BLOB and JSON text, in the type's character set.
    Bytes(Bytes),
    /// DATE.
    Date(Date),
    /// TIME.
    Time(Time),
    /// DATETIME, and TIMESTAMP in the session's time zone.
    DateTime(DateTime),
}

/// A calendar date; zero parts are legal under some `sql_mode`s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
}

/// A signed duration of up to 838:59:59.999999, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// The duration in microseconds.
    pub micros: i64,
}

/// A date with a time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    /// The date.
    pub date: Date,
    /// Microseconds since midnight, below 86,400,000,000.
    pub micros: u64,
}

impl Value {
    /// Whether this is SQL NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}
