//! Conversion to numeric columns, and of any value to a number.

use super::{Problem, Stored, plain};
use crate::decimal::Decimal;
use crate::number::{parse_decimal, parse_double};
use crate::storage::Storage;
use crate::temporal::{SECOND, year_of_two_digits};
use crate::text::NOT_FIXED;
use crate::{DataType, DateTime, Time, TypeKind, Value};

/// Any value as a double; the flag says whether a string was a number as a whole.
#[must_use]
pub fn to_double(value: &Value, from: &DataType) -> (f64, bool) {
    #[allow(clippy::cast_precision_loss)] // the nearest double is what is wanted
    let number = match &*plain(value, from) {
        Value::Null => 0.0,
        Value::Int(n) => *n as f64,
        Value::UInt(n) => *n as f64,
        Value::Float(x) => f64::from(*x),
        Value::Double(x) => *x,
        Value::Decimal(d) => d.to_f64(),
        Value::Bytes(b) => {
            let parsed = parse_double(b);
            return (parsed.value, parsed.complete);
        }
        Value::Date(d) => d.to_number() as f64,
        Value::Time(t) => time_as_decimal(*t).to_f64(),
        Value::DateTime(t) => datetime_as_decimal(*t).to_f64(),
    };
    (number, true)
}

/// Any value as a decimal, cut to 65 digits; the flag says whether a string was a number as a whole.
#[must_use]
pub fn to_decimal(value: &Value, from: &DataType) -> (Decimal, bool) {
    let number = match &*plain(value, from) {
        Value::Null => Decimal::ZERO,
        Value::Int(n) => Decimal::from_i64(*n),
        Value::UInt(n) => Decimal::from_u64(*n),
        Value::Float(x) => double_to_decimal(f64::from(*x)),
        Value::Double(x) => double_to_decimal(*x),
        Value::Decimal(d) => *d,
        Value::Bytes(b) => {
            let max =
                || if b.contains(&b'-') { Decimal::max_of(65, 0).neg() } else { Decimal::max_of(65, 0) };
            return parse_decimal(b).map_or_else(|| (max(), false), |p| (p.value, p.complete));
        }
        Value::Date(d) => Decimal::from_i64(d.to_number()),
        Value::Time(t) => time_as_decimal(*t),
        Value::DateTime(t) => datetime_as_decimal(*t),
    };
    (number, true)
}

fn double_to_decimal(x: f64) -> Decimal {
    let max = Decimal::max_of(65, 0);
    Decimal::from_f64(x).unwrap_or(if x < 0.0 { max.neg() } else { max })
}

/// `hhmmss.ffffff`; without the fraction where it is zero.
fn time_as_decimal(t: Time) -> Decimal {
    with_micros(t.to_number(), t.micros % SECOND)
}

fn datetime_as_decimal(t: DateTime) -> Decimal {
    with_micros(t.to_number(), t.time().micros % SECOND)
}

fn with_micros(whole: i64, micros: i64) -> Decimal {
    let whole = Decimal::from_i64(whole);
    if micros == 0 { whole } else { whole.add(&Decimal::from_scaled(micros, 6)).unwrap_or(whole) }
}

/// Any value rounded to a whole number, cut to 100 bits; the flag says whether a string was a number
/// as a whole.
#[must_use]
pub fn to_integer(value: &Value, from: &DataType) -> (i128, bool) {
    match &*plain(value, from) {
        Value::Null => (0, true),
        Value::Int(n) => (i128::from(*n), true),
        Value::UInt(n) => (i128::from(*n), true),
        Value::Float(x) => (round_double(f64::from(*x)), true),
        Value::Double(x) => (round_double(*x), true),
        Value::Date(d) => (i128::from(d.to_number()), true),
        other => {
            let (number, complete) = to_decimal(other, from);
            (decimal_to_i128(&number), complete)
        }
    }
}

/// Half to even, as the C library does.
#[allow(clippy::cast_possible_truncation)] // saturates, which is what is wanted
fn round_double(x: f64) -> i128 {
    (x.round_ties_even() as i128).clamp(-(1 << 100), 1 << 100)
}

fn decimal_to_i128(d: &Decimal) -> i128 {
    match (d.to_i64(), d.to_u64()) {
        (Some(n), _) => i128::from(n),
        (None, Some(n)) => i128::from(n),
        _ if d.is_negative() => -(1 << 100),
        _ => 1 << 100,
    }
}

/// Least and greatest value of an integer type.
fn integer_range(to: &DataType) -> (i128, i128) {
    match Storage::of(to) {
        Storage::UInt(w) => (0, (1 << (8 * u32::from(w))) - 1),
        Storage::Int(w) => {
            let half = 1_i128 << (8 * u32::from(w) - 1);
            (-half, half - 1)
        }
        _ => (0, 0),
    }
}

/// What is wrong with a string that is not a number as a whole.
fn string_problem(value: &Value, what: &'static str) -> Problem {
    match value {
        Value::Bytes(b) if parse_double(b).used > 0 => Problem::Truncated,
        _ => Problem::Incorrect(what),
    }
}

pub(super) fn store_integer(value: &Value, from: &DataType, to: &DataType) -> Stored {
    let (number, complete) = to_integer(value, from);
    let (least, greatest) = integer_range(to);
    let kept = number.clamp(least, greatest);
    // A decimal's sign is looked at before it is rounded: -0.4 is not 0.
    let is_below = to.unsigned && matches!(value, Value::Decimal(d) if d.is_negative() && !d.is_zero());
    let stored = if to.unsigned {
        Value::UInt(u64::try_from(kept).unwrap_or(0))
    } else {
        Value::Int(i64::try_from(kept).unwrap_or(0))
    };
    match (complete, kept == number && !is_below) {
        (false, _) => Stored::with(stored, string_problem(value, "integer")),
        (true, false) => Stored::with(stored, Problem::OutOfRange),
        (true, true) => Stored::good(stored),
    }
}

pub(super) fn store_bit(value: &Value, from: &DataType, to: &DataType) -> Stored {
    let bits = to.length.clamp(1, 64);
    let greatest = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    let number = match value {
        Value::Bytes(b) => {
            let zeros = b.iter().take_while(|x| **x == 0).count();
            let significant = &b[zeros..];
            if significant.len() > 8 {
                return Stored::with(Value::UInt(greatest), Problem::TooLong);
            }
            significant.iter().fold(0, |n, x| n << 8 | u64::from(*x))
        }
        Value::Int(n) => n.cast_unsigned(),
        other => u64::try_from(to_integer(other, from).0.max(0)).unwrap_or(u64::MAX),
    };
    if number > greatest {
        return Stored::with(Value::UInt(greatest), Problem::TooLong);
    }
    Stored::good(Value::UInt(number))
}

pub(super) fn store_year(value: &Value, from: &DataType) -> Stored {
    let value = &*plain(value, from);
    let (number, complete) = match value {
        Value::Date(d) => (i128::from(d.year), true),
        Value::DateTime(t) => (i128::from(t.date.year), true),
        other => to_integer(other, from),
    };
    let is_text = matches!(value, Value::Bytes(_));
    // '0', '00' and '000' are the year 2000; the number 0 and '0000' are the zero year.
    let short_text = matches!(value, Value::Bytes(b) if b.len() < 4);
    let year = match number {
        0 if is_text && short_text && complete => 2000,
        0 => 0,
        1..=99 => u64::from(year_of_two_digits(u16::try_from(number).unwrap_or(0))),
        1901..=2155 => u64::try_from(number).unwrap_or(0),
        _ => return Stored::with(Value::UInt(0), Problem::OutOfRange),
    };
    if complete {
        return Stored::good(Value::UInt(year));
    }
    Stored::with(Value::UInt(year), string_problem(value, "integer"))
}

pub(super) fn store_float(value: &Value, from: &DataType, to: &DataType) -> Stored {
    let (mut number, complete) = to_double(value, from);
    let mut problem = (!complete).then_some(Problem::Truncated);
    if to.decimals < NOT_FIXED {
        let (rounded, in_range) = fit_fixed(number, to);
        number = rounded;
        problem = problem.or((!in_range).then_some(Problem::OutOfRange));
    }
    if to.unsigned && number < 0.0 {
        number = 0.0;
        problem = problem.or(Some(Problem::OutOfRange));
    }
    let stored = if to.kind == TypeKind::Float {
        #[allow(clippy::cast_possible_truncation)] // the nearest float is what is wanted
        let narrow = number as f32;
        if narrow.is_infinite() {
            problem = problem.or(Some(Problem::OutOfRange));
        }
        Value::Float(narrow.clamp(f32::MIN, f32::MAX))
    } else {
        Value::Double(number)
    };
    Stored { value: stored, problem }
}

/// Rounds to the scale of FLOAT(m, d) and cuts to its range.
fn fit_fixed(number: f64, to: &DataType) -> (f64, bool) {
    let scale = 10_f64.powi(i32::from(to.decimals));
    let integer_digits = i32::try_from(to.length).unwrap_or(0) - i32::from(to.decimals);
    let greatest = 10_f64.powi(integer_digits) - 1.0 / scale;
    let whole = number.trunc();
    let rounded = whole + ((number - whole) * scale).round_ties_even() / scale;
    let kept = rounded.clamp(-greatest.abs(), greatest.abs());
    (kept, kept.total_cmp(&rounded).is_eq())
}

pub(super) fn store_decimal(value: &Value, from: &DataType, to: &DataType) -> Stored {
    let (number, complete) = to_decimal(value, from);
    let (precision, scale) = (u8::try_from(to.length.min(65)).unwrap_or(65), to.decimals);
    let mut problem = (!complete).then(|| string_problem(value, "decimal"));
    let (fitted, in_range) = match number.fit(precision, scale) {
        Some(d) => (d, true),
        None => {
            let max = Decimal::max_of(precision, scale);
            (if number.is_negative() { max.neg() } else { max }, false)
        }
    };
    if !in_range {
        problem = Some(Problem::OutOfRange);
    }
    if to.unsigned && fitted.is_negative() {
        return Stored::with(Value::Decimal(Decimal::ZERO.round(i32::from(scale))), Problem::OutOfRange);
    }
    let exact_source = !matches!(value, Value::Float(_) | Value::Double(_));
    if problem.is_none() && exact_source && fitted != number {
        problem = Some(Problem::TruncatedNote);
    }
    Stored { value: Value::Decimal(fitted), problem }
}
