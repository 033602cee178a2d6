//! INTERVAL arithmetic, EXTRACT and TIMESTAMPDIFF (manual 12.7).

use aquifer_types::temporal::{DAY, SECOND, WeekMode};
use aquifer_types::{DataType, Date, DateTime, Decimal, SqlResult, Time, TypeKind, Value};

use super::coerce;
use super::context::EvalContext;
use super::eval::eval_ref;
use super::ir::{Call, IntervalSign, IntervalUnit};

/// An interval: months, and microseconds besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) months: i64,
    pub(crate) micros: i128,
}

impl IntervalUnit {
    /// Whether an interval of this unit has a time of day.
    pub(crate) fn has_time(self) -> bool {
        !matches!(self, Self::Day | Self::Week | Self::Month | Self::Quarter | Self::Year | Self::YearMonth)
    }

    pub(crate) fn has_micros(self) -> bool {
        matches!(
            self,
            Self::Microsecond
                | Self::SecondMicrosecond
                | Self::MinuteMicrosecond
                | Self::HourMicrosecond
                | Self::DayMicrosecond
        )
    }

    /// Microseconds of each part of a composed unit, the last part's last; empty for a simple unit.
    fn parts(self) -> &'static [i64] {
        const H: i64 = 3600 * SECOND;
        const M: i64 = 60 * SECOND;
        match self {
            Self::SecondMicrosecond => &[SECOND, 1],
            Self::MinuteMicrosecond => &[M, SECOND, 1],
            Self::MinuteSecond => &[M, SECOND],
            Self::HourMicrosecond => &[H, M, SECOND, 1],
            Self::HourSecond => &[H, M, SECOND],
            Self::HourMinute => &[H, M],
            Self::DayMicrosecond => &[DAY, H, M, SECOND, 1],
            Self::DaySecond => &[DAY, H, M, SECOND],
            Self::DayMinute => &[DAY, H, M],
            Self::DayHour => &[DAY, H],
            _ => &[],
        }
    }

    fn simple_micros(self) -> Option<i64> {
        Some(match self {
            Self::Microsecond => 1,
            Self::Second => SECOND,
            Self::Minute => 60 * SECOND,
            Self::Hour => 3600 * SECOND,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            _ => return None,
        })
    }

    fn simple_months(self) -> Option<i64> {
        Some(match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
            _ => return None,
        })
    }
}

/// The interval that an amount means in a unit.
fn interval_of(
    unit: IntervalUnit,
    amount: &Value,
    ty: &DataType,
    ctx: &mut EvalContext,
) -> SqlResult<Interval> {
    if unit == IntervalUnit::YearMonth {
        let (negative, parts) = split_parts(&coerce::text(amount, ty), 2, unit);
        let months = parts[0].saturating_mul(12).saturating_add(parts[1]);
        return Ok(Interval { months: if negative { -months } else { months }, micros: 0 });
    }
    if let Some(months) = unit.simple_months() {
        let n = coerce::int64(amount, ty, ctx)?;
        return Ok(Interval { months: n.saturating_mul(months), micros: 0 });
    }
    if unit == IntervalUnit::Second {
        let seconds = coerce::decimal(amount, ty, ctx)?;
        let micros = seconds.mul(&Decimal::from_i64(SECOND)).and_then(|m| m.to_i64()).unwrap_or(i64::MAX);
        return Ok(Interval { months: 0, micros: i128::from(micros) });
    }
    if let Some(micros) = unit.simple_micros() {
        let n = coerce::int64(amount, ty, ctx)?;
        return Ok(Interval { months: 0, micros: i128::from(n) * i128::from(micros) });
    }
    let weights = unit.parts();
    let (negative, parts) = split_parts(&coerce::text(amount, ty), weights.len(), unit);
    let micros: i128 = parts.iter().zip(weights).map(|(n, w)| i128::from(*n) * i128::from(*w)).sum();
    Ok(Interval { months: 0, micros: if negative { -micros } else { micros } })
}

/// The numbers in a text, right-aligned to `count` parts. A fraction of a second has six digits.
fn split_parts(text: &[u8], count: usize, unit: IntervalUnit) -> (bool, Vec<i64>) {
    let mut negative = false;
    let mut numbers: Vec<(i64, usize)> = Vec::new();
    let mut in_number = false;
    for b in text {
        if b.is_ascii_digit() {
            if !in_number {
                numbers.push((0, 0));
            }
            if let Some((n, len)) = numbers.last_mut() {
                *n = n.saturating_mul(10).saturating_add(i64::from(b - b'0'));
                *len += 1;
            }
            in_number = true;
        } else {
            negative |= *b == b'-' && numbers.is_empty();
            in_number = false;
        }
    }
    if unit.has_micros()
        && numbers.len() == count
        && let Some((n, len)) = numbers.last_mut()
    {
        for _ in *len..6 {
            *n = n.saturating_mul(10);
        }
    }
    let mut parts = vec![0; count.saturating_sub(numbers.len())];
    parts.extend(numbers.iter().take(count).map(|(n, _)| *n));
    (negative, parts)
}

/// The moment an interval later; `None` when that is out of range or the date has zero parts.
fn shift(moment: DateTime, by: Interval) -> Option<DateTime> {
    let date = if by.months == 0 { moment.date } else { moment.date.add_months(by.months)? };
    let moved = DateTime { date, micros: moment.micros };
    if by.micros == 0 {
        return moved.date.is_calendar().then_some(moved);
    }
    moved.add_micros(i64::try_from(by.micros).ok()?)
}

pub(crate) fn eval_add(
    unit: IntervalUnit,
    sign: IntervalSign,
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let base = eval_ref(&call.args[0], row, ctx)?;
    let amount = eval_ref(&call.args[1], row, ctx)?;
    if base.is_null() || amount.is_null() {
        return Ok(Value::Null);
    }
    let mut by = interval_of(unit, &amount, call.args[1].data_type(), ctx)?;
    if sign == IntervalSign::Subtract {
        by = Interval { months: -by.months, micros: -by.micros };
    }
    let base_type = call.args[0].data_type();
    if let (Value::Time(t), TypeKind::Time) = (&*base, call.ty.data_type.kind) {
        return add_to_time(*t, by, ctx);
    }
    let Some(moment) = coerce::datetime(&base, base_type, ctx)? else {
        return Ok(Value::Null);
    };
    let Some(moved) = shift(moment, by) else {
        return ctx.null_with(1441, "Datetime function: datetime field overflow");
    };
    let date_only = !unit.has_time() && is_date_only(&base);
    Ok(match call.ty.data_type.kind {
        TypeKind::Date => Value::Date(moved.date),
        TypeKind::DateTime => Value::DateTime(moved),
        // A text in, a text out: with a time of day if there was one.
        _ if date_only => Value::Bytes(moved.date.to_string().into()),
        _ => Value::Bytes(moved.to_string().into()),
    })
}

fn is_date_only(base: &Value) -> bool {
    match base {
        Value::Bytes(text) => aquifer_types::temporal::parse_datetime(text).is_some_and(|p| !p.has_time),
        Value::Int(n) => *n < 100_000_000,
        Value::UInt(n) => *n < 100_000_000,
        _ => false,
    }
}

fn add_to_time(t: Time, by: Interval, ctx: &mut EvalContext) -> SqlResult<Value> {
    let sum = i64::try_from(i128::from(t.micros) + by.micros).unwrap_or(i64::MAX);
    match Time::clamped(sum) {
        (time, true) if by.months == 0 => Ok(Value::Time(time)),
        _ => ctx.null_with(1441, "Datetime function: time field overflow"),
    }
}

pub(crate) fn eval_extract(
    unit: IntervalUnit,
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let arg = &call.args[0];
    let value = eval_ref(arg, row, ctx)?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let time_like = unit.has_time() && (matches!(*value, Value::Time(_)) || is_time_text(&value));
    let (date, micros) = if time_like {
        match coerce::time(&value, arg.data_type(), ctx)? {
            Some(t) => (Date::default(), t.micros),
            None => return Ok(Value::Null),
        }
    } else {
        match coerce::datetime(&value, arg.data_type(), ctx)? {
            Some(t) => (t.date, t.time().micros),
            None => return Ok(Value::Null),
        }
    };
    Ok(Value::Int(part_of(unit, date, micros)))
}

fn is_time_text(value: &Value) -> bool {
    matches!(value, Value::Bytes(text) if aquifer_types::temporal::parse_datetime(text).is_none_or(|p| !p.has_time))
}

/// A part of a date and a signed time of day.
fn part_of(unit: IntervalUnit, date: Date, micros: i64) -> i64 {
    let (sign, abs) = (micros.signum(), micros.abs());
    let fraction = abs % SECOND;
    let second = abs / SECOND % 60;
    let minute = abs / SECOND / 60 % 60;
    let hour = abs / SECOND / 3600;
    let day = i64::from(date.day);
    let magnitude = match unit {
        IntervalUnit::Year => return i64::from(date.year),
        IntervalUnit::Quarter => return (i64::from(date.month) + 2) / 3,
        IntervalUnit::Month => return i64::from(date.month),
        IntervalUnit::Week => return date.week(WeekMode(0)).map_or(0, |(_, w)| i64::from(w)),
        IntervalUnit::YearMonth => return i64::from(date.year) * 100 + i64::from(date.month),
        IntervalUnit::Day => return day,
        IntervalUnit::Hour => hour,
        IntervalUnit::Minute => minute,
        IntervalUnit::Second => second,
        IntervalUnit::Microsecond => fraction,
        IntervalUnit::SecondMicrosecond => second * SECOND + fraction,
        IntervalUnit::MinuteMicrosecond => (minute * 100 + second) * SECOND + fraction,
        IntervalUnit::MinuteSecond => minute * 100 + second,
        IntervalUnit::HourMicrosecond => (hour * 10_000 + minute * 100 + second) * SECOND + fraction,
        IntervalUnit::HourSecond => hour * 10_000 + minute * 100 + second,
        IntervalUnit::HourMinute => hour * 100 + minute,
        IntervalUnit::DayMicrosecond => {
            (day * 1_000_000 + hour * 10_000 + minute * 100 + second) * SECOND + fraction
        }
        IntervalUnit::DaySecond => day * 1_000_000 + hour * 10_000 + minute * 100 + second,
        IntervalUnit::DayMinute => day * 10_000 + hour * 100 + minute,
        IntervalUnit::DayHour => day * 100 + hour,
    };
    if sign < 0 { -magnitude } else { magnitude }
}

pub(crate) fn eval_difference(
    unit: IntervalUnit,
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let mut moments = [DateTime::default(); 2];
    for (slot, arg) in moments.iter_mut().zip(&call.args) {
        let value = eval_ref(arg, row, ctx)?;
        match coerce::datetime(&value, arg.data_type(), ctx)? {
            Some(t) if t.date.is_calendar() => *slot = t,
            _ => return Ok(Value::Null),
        }
    }
    let [from, to] = moments;
    let (Some(a), Some(b)) = (from.to_unix_micros(), to.to_unix_micros()) else {
        return Ok(Value::Null);
    };
    let difference = match (unit.simple_micros(), unit.simple_months()) {
        (Some(micros), _) => (b - a) / micros,
        (None, Some(months)) => whole_months(from, to) / months,
        (None, None) => return Ok(Value::Null),
    };
    Ok(Value::Int(difference))
}

/// Full months from one moment to another, negative if it lies before.
fn whole_months(from: DateTime, to: DateTime) -> i64 {
    if to < from {
        return -whole_months(to, from);
    }
    let months = |d: Date| i64::from(d.year) * 12 + i64::from(d.month);
    let incomplete = (to.date.day, to.micros) < (from.date.day, from.micros);
    months(to.date) - months(from.date) - i64::from(incomplete)
}
