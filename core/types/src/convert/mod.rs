//! Conversion of values to a column's type, as INSERT and UPDATE do it (manual 11.1.7, 11.2, 5.1.11).
//!
//! Each conversion finds the nearest value that the column can hold and what was wrong with the given
//! one; [`StoreContext::report`] makes that an error or a warning.

mod numeric;
mod string;
mod temporal;

pub use numeric::{to_decimal, to_double, to_integer};
pub use temporal::{to_datetime, to_time};

use std::borrow::Cow;

use bytes::Bytes;

use crate::temporal::TimeZone;
use crate::{DataType, SqlError, SqlMode, SqlResult, TypeKind, Value, Warnings};

/// Whether wrong input is an error or a warning with the nearest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// An error.
    Strict,
    /// A warning (also under IGNORE).
    Lenient,
}

/// For which column and row a value is stored, and under which rules.
#[derive(Debug)]
pub struct StoreContext<'a> {
    /// Strict or not: `sql_mode` together with IGNORE decide.
    pub strictness: Strictness,
    /// For the rules on zero dates and padding.
    pub sql_mode: SqlMode,
    /// For range checks of TIMESTAMP.
    pub time_zone: TimeZone,
    /// Column name for messages.
    pub column: &'a str,
    /// 1-based row number for messages.
    pub row_number: u64,
    /// Where warnings go.
    pub warnings: &'a mut Warnings,
}

/// What was wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    /// 1264.
    OutOfRange,
    /// 1265: something was cut off that means something.
    Truncated,
    /// 1265 as a note, even in strict mode: digits or spaces were cut off.
    TruncatedNote,
    /// 1406, or 1265 in lenient mode.
    TooLong,
    /// 1366 with the type's name.
    Incorrect(&'static str),
    /// 1292 with the type's name; 1265 in lenient mode.
    BadTemporal(&'static str),
    /// 1292 with the type's name; 1264 in lenient mode.
    TemporalOutOfRange(&'static str),
}

/// The value to store and what was wrong with the given one.
struct Stored {
    value: Value,
    problem: Option<Problem>,
}

impl Stored {
    fn good(value: Value) -> Self {
        Self { value, problem: None }
    }

    fn with(value: Value, problem: Problem) -> Self {
        Self { value, problem: Some(problem) }
    }
}

impl StoreContext<'_> {
    /// Fails in strict mode, warns otherwise.
    fn report(&mut self, problem: Problem, given: &Value, from: &DataType) -> SqlResult<()> {
        let (column, row) = (self.column, self.row_number);
        let cut = || format!("Data truncated for column '{column}' at row {row}");
        let range = || format!("Out of range value for column '{column}' at row {row}");
        let incorrect = |what: &str| {
            format!("Incorrect {what} value: '{}' for column '{column}' at row {row}", shown(given, from))
        };
        let strict = self.strictness == Strictness::Strict;
        let (code, text) = match problem {
            Problem::TruncatedNote => {
                self.warnings.note(1265, cut());
                return Ok(());
            }
            Problem::OutOfRange => (1264, range()),
            Problem::Truncated => (1265, cut()),
            Problem::TooLong if strict => (1406, format!("Data too long for column '{column}' at row {row}")),
            Problem::TooLong => (1265, cut()),
            Problem::Incorrect(what) => (1366, incorrect(what)),
            Problem::BadTemporal(what) | Problem::TemporalOutOfRange(what) if strict => {
                (1292, incorrect(what))
            }
            Problem::BadTemporal(_) => (1265, cut()),
            Problem::TemporalOutOfRange(_) => (1264, range()),
        };
        if strict {
            return Err(SqlError::new(code, text));
        }
        self.warnings.warn(code, text);
        Ok(())
    }
}

/// A value as messages show it: at most 128 characters, bytes that are no text escaped.
#[must_use]
pub fn shown(value: &Value, ty: &DataType) -> String {
    let text = crate::text::to_text(value, ty).unwrap_or_else(|| Bytes::from_static(b"NULL"));
    match std::str::from_utf8(&text) {
        Ok(s) => s.chars().take(128).collect(),
        Err(_) => escaped(&text),
    }
}

fn escaped(text: &[u8]) -> String {
    let mut out = String::new();
    for b in text.iter().take(64) {
        if b.is_ascii() && !b.is_ascii_control() {
            out.push(char::from(*b));
        } else {
            out.push_str(&format!("\\x{b:02X}"));
        }
    }
    out
}

/// Whether two types hold their values in the same form, so that nothing has to be converted.
fn is_same_form(from: &DataType, to: &DataType, value: &Value) -> bool {
    match (value, to.kind) {
        (Value::Int(n), TypeKind::Int) if !to.unsigned => i32::try_from(*n).is_ok(),
        (Value::Int(_), TypeKind::BigInt) => !to.unsigned,
        (Value::UInt(_), TypeKind::BigInt) => to.unsigned && from.kind != TypeKind::Bit,
        (Value::Double(_), TypeKind::Double) => !to.unsigned && to.decimals >= crate::text::NOT_FIXED,
        _ => false,
    }
}

/// Converts a value to a column's type as INSERT and UPDATE do. `from` is the type of the expression
/// that it comes from; NULL stays NULL (NOT NULL is the caller's check). A TIMESTAMP is in the session's
/// time zone before and after.
///
/// # Errors
/// 1264, 1265, 1292, 1366, 1406 in strict mode; 3140 for JSON.
#[inline]
pub fn store(value: Value, from: &DataType, to: &DataType, ctx: &mut StoreContext<'_>) -> SqlResult<Value> {
    if value.is_null() || is_same_form(from, to, &value) {
        return Ok(value);
    }
    let stored = convert(&value, from, to, ctx)?;
    if let Some(problem) = stored.problem {
        ctx.report(problem, &value, from)?;
    }
    Ok(stored.value)
}

fn convert(value: &Value, from: &DataType, to: &DataType, ctx: &StoreContext<'_>) -> SqlResult<Stored> {
    Ok(match to.kind {
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::MediumInt | TypeKind::Int | TypeKind::BigInt => {
            numeric::store_integer(value, from, to)
        }
        TypeKind::Bit => numeric::store_bit(value, from, to),
        TypeKind::Year => numeric::store_year(value, from),
        TypeKind::Float | TypeKind::Double => numeric::store_float(value, from, to),
        TypeKind::Decimal => numeric::store_decimal(value, from, to),
        TypeKind::Date => temporal::store_date(value, from, ctx),
        TypeKind::Time => temporal::store_time(value, from, to, ctx),
        TypeKind::DateTime | TypeKind::Timestamp => temporal::store_datetime(value, from, to, ctx),
        TypeKind::Enum => string::store_enum(value, from, to),
        TypeKind::Set => string::store_set(value, from, to),
        TypeKind::Json => string::store_json(value, from, ctx)?,
        TypeKind::Null => Stored::good(Value::Null),
        _ => string::store_string(value, from, to, ctx)?,
    })
}

/// Whether the bytes of a hexadecimal or bit literal stand for a number where one is wanted: such
/// literals have the type VARBINARY UNSIGNED, which no column can have.
#[must_use]
pub fn is_number_literal(ty: &DataType) -> bool {
    ty.kind == TypeKind::VarBinary && ty.unsigned
}

/// A value with the numeric literals and ENUM, SET and BIT made plain: what numeric conversion sees.
fn plain<'a>(value: &'a Value, from: &DataType) -> Cow<'a, Value> {
    match value {
        Value::Bytes(b) if is_number_literal(from) => {
            let tail = &b[b.len().saturating_sub(8)..];
            Cow::Owned(Value::UInt(tail.iter().fold(0, |n, x| n << 8 | u64::from(*x))))
        }
        Value::Bytes(b) if from.kind == TypeKind::Json => match crate::json::to_number_text(b) {
            Some(text) => Cow::Owned(Value::Bytes(text)),
            None => Cow::Borrowed(value),
        },
        _ => Cow::Borrowed(value),
    }
}

/// Whether two values are the same in kind and content (not SQL equality).
#[must_use]
pub fn is_identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::UInt(a), Value::UInt(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
        (Value::Decimal(a), Value::Decimal(b)) => a.scale() == b.scale() && a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Date(a), Value::Date(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::DateTime(a), Value::DateTime(b)) => a == b,
        _ => false,
    }
}
