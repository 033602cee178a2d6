//! Conversion to temporal columns, and of any value to a temporal one.

use super::{Problem, StoreContext, Stored, plain};
use crate::temporal::{
    DateRules, FractionRule, ParsedDateTime, SECOND, TimeZone, is_timestamp_range, number_to_datetime,
    number_to_time, parse_datetime, parse_time,
};
use crate::{DataType, Date, DateTime, Decimal, Time, TypeKind, Value};

/// A value read as a moment, and whether that took all of it.
struct Moment {
    value: DateTime,
    complete: bool,
}

/// Any value as a date with time, with zero parts and impossible days as given; TIME counts from
/// `today`. `None` when it is no such thing. The flag says whether all of a string was used.
#[must_use]
pub fn to_datetime(
    value: &Value,
    from: &DataType,
    time_zone: TimeZone,
    today: Date,
) -> Option<(DateTime, bool)> {
    let moment = match &*plain(value, from) {
        Value::Time(t) => {
            let midnight = DateTime { date: today, micros: 0 };
            Moment { value: midnight.add_micros(t.micros)?, complete: true }
        }
        other => read_moment(other, time_zone)?,
    };
    Some((moment.value, moment.complete))
}

fn read_moment(value: &Value, time_zone: TimeZone) -> Option<Moment> {
    let of_number = |n: i64| number_to_datetime(n).map(|p| Moment { value: p.value, complete: true });
    match value {
        Value::Date(date) => Some(Moment { value: DateTime { date: *date, micros: 0 }, complete: true }),
        Value::DateTime(value) => Some(Moment { value: *value, complete: true }),
        Value::Int(n) => of_number(*n),
        Value::UInt(n) => of_number(i64::try_from(*n).ok()?),
        Value::Double(x) => read_decimal_moment(&Decimal::from_f64(*x)?),
        Value::Float(x) => read_decimal_moment(&Decimal::from_f64(f64::from(*x))?),
        Value::Decimal(d) => read_decimal_moment(d),
        Value::Bytes(text) => {
            let parsed = parse_datetime(text)?;
            Some(Moment { value: at_zone(parsed, time_zone)?, complete: !parsed.truncated })
        }
        Value::Null | Value::Time(_) => None,
    }
}

/// A literal with an offset is moved to the session's time zone.
fn at_zone(parsed: ParsedDateTime, time_zone: TimeZone) -> Option<DateTime> {
    let Some(offset) = parsed.offset else {
        return Some(parsed.value);
    };
    let utc = parsed.value.add_micros(-i64::from(offset) * SECOND)?;
    Some(time_zone.to_local(utc))
}

fn read_decimal_moment(number: &Decimal) -> Option<Moment> {
    let (whole, micros) = split_decimal(number)?;
    let mut value = number_to_datetime(whole)?.value;
    value = if micros == 0 { value } else { value.add_micros(micros)? };
    Some(Moment { value, complete: true })
}

/// Whole part and microseconds, both with the number's sign.
fn split_decimal(number: &Decimal) -> Option<(i64, i64)> {
    let whole = number.truncate(0);
    let micros = number.sub(&whole)?.mul(&Decimal::from_i64(SECOND))?.to_i64()?;
    Some((whole.to_i64()?, micros))
}

/// Any value as a duration. `None` when it is no such thing; the flags say whether it was in range,
/// and whether all of a string was used.
#[must_use]
pub fn to_time(value: &Value, from: &DataType) -> Option<(Time, bool, bool)> {
    let of_number = |n: i64| number_to_time(n).map(|p| (p.value, p.in_range, true));
    match &*plain(value, from) {
        Value::Time(t) => Some((*t, true, true)),
        Value::DateTime(t) => Some((t.time(), true, true)),
        Value::Date(_) => Some((Time::default(), true, true)),
        Value::Int(n) => of_number(*n),
        Value::UInt(n) => of_number(i64::try_from(*n).ok()?),
        Value::Bytes(text) => parse_time(text).map(|p| (p.value, p.in_range, !p.truncated)),
        Value::Double(x) => decimal_time(&Decimal::from_f64(*x)?),
        Value::Float(x) => decimal_time(&Decimal::from_f64(f64::from(*x))?),
        Value::Decimal(d) => decimal_time(d),
        Value::Null => None,
    }
}

fn decimal_time(number: &Decimal) -> Option<(Time, bool, bool)> {
    let (whole, micros) = split_decimal(number)?;
    let parsed = number_to_time(whole)?;
    let (time, in_range) = Time::clamped(parsed.value.micros + micros);
    Some((time, in_range && parsed.in_range, true))
}

pub(super) fn store_date(value: &Value, from: &DataType, ctx: &StoreContext<'_>) -> Stored {
    let zero = || Value::Date(Date::default());
    let Some(moment) = moment_for(value, from, ctx) else {
        return Stored::with(zero(), Problem::BadTemporal("date"));
    };
    let date = moment.value.date;
    if !DateRules::from(ctx.sql_mode).allow(date) {
        return Stored::with(zero(), Problem::TemporalOutOfRange("date"));
    }
    let stored = Value::Date(date);
    match () {
        () if !moment.complete => Stored::with(stored, Problem::Truncated),
        () if moment.value.micros != 0 => Stored::with(stored, Problem::TruncatedNote),
        () => Stored::good(stored),
    }
}

pub(super) fn store_datetime(
    value: &Value,
    from: &DataType,
    to: &DataType,
    ctx: &StoreContext<'_>,
) -> Stored {
    let zero = || Value::DateTime(DateTime::default());
    let Some(moment) = moment_for(value, from, ctx) else {
        return Stored::with(zero(), Problem::BadTemporal("datetime"));
    };
    let out_of_range = || Stored::with(zero(), Problem::TemporalOutOfRange("datetime"));
    if !DateRules::from(ctx.sql_mode).allow(moment.value.date) {
        return out_of_range();
    }
    let Some(rounded) = moment.value.with_fraction(to.decimals, FractionRule::from(ctx.sql_mode)) else {
        return out_of_range();
    };
    if to.kind == TypeKind::Timestamp && !rounded.is_zero() {
        let utc = ctx.time_zone.to_utc(rounded).to_unix_micros();
        if !utc.is_some_and(is_timestamp_range) {
            return out_of_range();
        }
    }
    let stored = Value::DateTime(rounded);
    if moment.complete { Stored::good(stored) } else { Stored::with(stored, Problem::Truncated) }
}

/// Columns take a TIME as counted from 1970-01-01 only where the executor has not cast it before.
fn moment_for(value: &Value, from: &DataType, ctx: &StoreContext<'_>) -> Option<Moment> {
    let today = Date { year: 1970, month: 1, day: 1 };
    to_datetime(value, from, ctx.time_zone, today).map(|(value, complete)| Moment { value, complete })
}

pub(super) fn store_time(value: &Value, from: &DataType, to: &DataType, ctx: &StoreContext<'_>) -> Stored {
    let Some((time, in_range, complete)) = to_time(value, from) else {
        return Stored::with(Value::Time(Time::default()), Problem::BadTemporal("time"));
    };
    let stored = Value::Time(time.with_fraction(to.decimals, FractionRule::from(ctx.sql_mode)));
    let lost_date = matches!(value, Value::Date(_) | Value::DateTime(_));
    match () {
        () if !in_range => Stored::with(stored, Problem::TemporalOutOfRange("time")),
        () if !complete => Stored::with(stored, Problem::Truncated),
        () if lost_date => Stored::with(stored, Problem::TruncatedNote),
        () => Stored::good(stored),
    }
}
