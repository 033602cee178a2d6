//! Date and time functions: the present moment, parts of dates, construction.

use aquifer_types::temporal::FractionRule;
use aquifer_types::temporal::{SECOND, WeekMode};
use aquifer_types::{Date, DateTime, SqlResult, Time, TypeKind, Value};

use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, datetime, decimal, def, int, text_value, time, value};
use super::infer::{Family, family, int_type, number, string_of, temporal_type, typed};
use super::ir::{Call, Coercibility, Expr, ExprType};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("now", 0, 1, |a, _| now_type(a, TypeKind::DateTime), |c, _, x| Ok(moment(c, x.local_now())))
        .per_statement(),
    def("sysdate", 0, 1, |a, _| now_type(a, TypeKind::DateTime), eval_sysdate).volatile(),
    def("utc_timestamp", 0, 1, |a, _| now_type(a, TypeKind::DateTime), |c, _, x| Ok(moment(c, utc(x))))
        .per_statement(),
    def("utc_date", 0, 0, date_type, |_, _, x| Ok(Value::Date(utc(x).date))).per_statement(),
    def("utc_time", 0, 1, |a, _| now_type(a, TypeKind::Time), |c, _, x| Ok(time_of(c, utc(x))))
        .per_statement(),
    def("current_date", 0, 0, date_type, |_, _, x| Ok(Value::Date(x.today()))).per_statement(),
    def("current_time", 0, 1, |a, _| now_type(a, TypeKind::Time), |c, _, x| Ok(time_of(c, x.local_now())))
        .per_statement(),
    def("date", 1, 1, date_type, |c, r, x| {
        Ok(datetime(c, 0, r, x)?.map_or(Value::Null, |t| Value::Date(t.date)))
    }),
    def(
        "time",
        1,
        1,
        |a, _| now_like(a, TypeKind::Time),
        |c, r, x| Ok(time(c, 0, r, x)?.map_or(Value::Null, Value::Time)),
    ),
    def("timestamp", 1, 2, |a, _| now_like(a, TypeKind::DateTime), eval_timestamp),
    def("year", 1, 1, infer_year, |c, r, x| part(c, r, x, |d| i64::from(d.year))),
    def("month", 1, 1, infer_part, |c, r, x| part(c, r, x, |d| i64::from(d.month))),
    def("dayofmonth", 1, 1, infer_part, |c, r, x| part(c, r, x, |d| i64::from(d.day))),
    def("quarter", 1, 1, infer_part, |c, r, x| part(c, r, x, |d| (i64::from(d.month) + 2) / 3)),
    def("dayofweek", 1, 1, infer_part, |c, r, x| {
        real(c, r, x, |d| Some((i64::from(d.weekday()?) + 1) % 7 + 1))
    }),
    def("weekday", 1, 1, infer_part, |c, r, x| real(c, r, x, |d| d.weekday().map(i64::from))),
    def("dayofyear", 1, 1, infer_part, |c, r, x| real(c, r, x, |d| d.day_of_year().map(i64::from))),
    def("to_days", 1, 1, infer_part, |c, r, x| real(c, r, x, Date::to_days)),
    def("weekofyear", 1, 1, infer_part, |c, r, x| {
        real(c, r, x, |d| d.week(WeekMode(3)).map(|(_, w)| i64::from(w)))
    }),
    def("week", 1, 2, infer_part, eval_week).per_statement(),
    def("yearweek", 1, 2, infer_part, eval_yearweek),
    def("dayname", 1, 1, infer_name, |c, r, x| name(c, r, x, |d| d.weekday().map(|w| DAYS[usize::from(w)]))),
    def("monthname", 1, 1, infer_name, |c, r, x| name(c, r, x, |d| month_name(d.month))),
    def("hour", 1, 1, infer_part, |c, r, x| clock(c, r, x, |s, _| s / 3600)),
    def("minute", 1, 1, infer_part, |c, r, x| clock(c, r, x, |s, _| s / 60 % 60)),
    def("second", 1, 1, infer_part, |c, r, x| clock(c, r, x, |s, _| s % 60)),
    def("microsecond", 1, 1, infer_part, |c, r, x| clock(c, r, x, |_, f| f)),
    def("last_day", 1, 1, date_type, |c, r, x| {
        Ok(datetime(c, 0, r, x)?.and_then(|t| t.date.last_day()).map_or(Value::Null, Value::Date))
    }),
    def("from_days", 1, 1, date_type, |c, r, x| {
        Ok(int(c, 0, r, x)?
            .map_or(Value::Null, |n| Value::Date(Date::from_days(n).filter(|_| n > 365).unwrap_or_default())))
    }),
    def("makedate", 2, 2, date_type, eval_makedate),
    def("maketime", 3, 3, infer_maketime, eval_maketime),
];

/// Names from Monday on.
pub(crate) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Names from January on.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) fn month_name(month: u8) -> Option<&'static str> {
    MONTHS.get(usize::from(month).checked_sub(1)?).copied()
}

/// Fraction digits that a literal argument asks for.
fn asked_fraction(args: &[Expr]) -> u8 {
    match args.first() {
        Some(Expr::Literal { value: Value::Int(n), .. }) => u8::try_from((*n).clamp(0, 6)).unwrap_or(0),
        _ => 0,
    }
}

fn now_type(args: &mut [Expr], kind: TypeKind) -> SqlResult<ExprType> {
    let fsp = asked_fraction(args);
    Ok(number(temporal_type(kind, fsp), false))
}

/// As many fraction digits as the argument may have.
pub(crate) fn fraction_of(e: &Expr) -> u8 {
    let ty = e.data_type();
    match family(ty) {
        Family::Integer | Family::Null => 0,
        Family::Temporal | Family::Decimal => ty.decimals.min(6),
        Family::Double => 6,
        Family::String => match e {
            Expr::Literal { value: Value::Bytes(b), .. } => {
                let digits = b.iter().rposition(|c| *c == b'.').map_or(0, |at| b.len() - at - 1);
                u8::try_from(digits.min(6)).unwrap_or(6)
            }
            _ => 6,
        },
    }
}

fn now_like(args: &mut [Expr], kind: TypeKind) -> SqlResult<ExprType> {
    let fsp = args.iter().map(fraction_of).max().unwrap_or(0);
    Ok(number(temporal_type(kind, fsp), true))
}

fn date_type(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(temporal_type(TypeKind::Date, 0), true))
}

fn infer_part(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(int_type(10), true))
}

fn infer_year(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(int_type(5), true))
}

fn infer_name(_args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    Ok(typed(string_of(9, bind.collation), true, Coercibility::LITERAL))
}

fn infer_maketime(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(temporal_type(TypeKind::Time, fraction_of(&args[2])), true))
}

fn utc(ctx: &EvalContext) -> DateTime {
    DateTime::from_unix_micros(ctx.now_micros).unwrap_or_default()
}

/// The moment with the fraction digits of the call's type, cut off.
fn moment(call: &Call, at: DateTime) -> Value {
    let cut = at.with_fraction(call.ty.data_type.decimals, FractionRule::Truncate);
    Value::DateTime(cut.unwrap_or(at))
}

fn time_of(call: &Call, at: DateTime) -> Value {
    Value::Time(at.time().with_fraction(call.ty.data_type.decimals, FractionRule::Truncate))
}

fn eval_sysdate(call: &Call, _row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let now = DateTime::from_unix_micros(ctx.environment.now_micros()).unwrap_or_default();
    Ok(moment(call, ctx.time_zone.to_local(now)))
}

fn eval_timestamp(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(at) = datetime(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    if call.args.len() == 1 {
        return Ok(Value::DateTime(at));
    }
    let Some(t) = time(call, 1, row, ctx)? else {
        return Ok(Value::Null);
    };
    Ok(at.add_micros(t.micros).map_or(Value::Null, Value::DateTime))
}

/// A part that dates with zero parts have as well.
fn part(call: &Call, row: &[Value], ctx: &mut EvalContext, of: fn(Date) -> i64) -> SqlResult<Value> {
    Ok(datetime(call, 0, row, ctx)?.map_or(Value::Null, |t| Value::Int(of(t.date))))
}

/// A part that only dates of the calendar have.
fn real(call: &Call, row: &[Value], ctx: &mut EvalContext, of: fn(Date) -> Option<i64>) -> SqlResult<Value> {
    Ok(datetime(call, 0, row, ctx)?.and_then(|t| of(t.date)).map_or(Value::Null, Value::Int))
}

fn name(
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
    of: fn(Date) -> Option<&'static str>,
) -> SqlResult<Value> {
    Ok(datetime(call, 0, row, ctx)?.and_then(|t| of(t.date)).map_or(Value::Null, text_value))
}

/// A part of the time of day, of seconds and microseconds.
fn clock(call: &Call, row: &[Value], ctx: &mut EvalContext, of: fn(i64, i64) -> i64) -> SqlResult<Value> {
    let found = time(call, 0, row, ctx)?;
    Ok(found.map_or(Value::Null, |t| {
        let micros = t.micros.abs();
        Value::Int(of(micros / SECOND, micros % SECOND))
    }))
}

fn week_mode(call: &Call, row: &[Value], ctx: &mut EvalContext, default: u8) -> SqlResult<Option<WeekMode>> {
    if call.args.len() < 2 {
        return Ok(Some(WeekMode(default)));
    }
    let mode = int(call, 1, row, ctx)?.unwrap_or(0);
    Ok(u8::try_from(mode & 7).ok().map(WeekMode))
}

fn eval_week(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let default = ctx.default_week_format;
    let (Some(t), Some(mode)) = (datetime(call, 0, row, ctx)?, week_mode(call, row, ctx, default)?) else {
        return Ok(Value::Null);
    };
    Ok(t.date.week(mode).map_or(Value::Null, |(_, w)| Value::Int(i64::from(w))))
}

fn eval_yearweek(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(mode)) = (datetime(call, 0, row, ctx)?, week_mode(call, row, ctx, 0)?) else {
        return Ok(Value::Null);
    };
    let week = t.date.week(mode.with_year());
    Ok(week.map_or(Value::Null, |(y, w)| Value::Int(i64::from(y) * 100 + i64::from(w))))
}

fn eval_makedate(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(year), Some(day)) = (int(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let Some(year) = u16::try_from(year).ok().filter(|y| *y <= 9999 && day > 0) else {
        return Ok(Value::Null);
    };
    let first = Date { year: aquifer_types::temporal::year_of_two_digits(year), month: 1, day: 1 };
    let date = first.to_days().and_then(|d| d.checked_add(day - 1)).and_then(Date::from_days);
    Ok(date.map_or(Value::Null, Value::Date))
}

fn eval_maketime(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(h), Some(m), Some(s)) =
        (int(call, 0, row, ctx)?, int(call, 1, row, ctx)?, decimal(call, 2, row, ctx)?)
    else {
        return Ok(Value::Null);
    };
    let micros = s.mul(&aquifer_types::Decimal::from_i64(SECOND)).and_then(|x| x.to_i64()).unwrap_or(-1);
    if !(0..60).contains(&m) || !(0..60 * SECOND).contains(&micros) {
        return Ok(Value::Null);
    }
    let magnitude = h.unsigned_abs().min(1 << 30).cast_signed() * 3600 * SECOND + m * 60 * SECOND + micros;
    let (clamped, in_range) = Time::clamped(if h < 0 { -magnitude } else { magnitude });
    if !in_range {
        let shown = value(call, 0, row, ctx)?;
        let text = aquifer_types::convert::shown(&shown, call.args[0].data_type());
        ctx.warn(1292, format!("Truncated incorrect time value: '{text}:{m:02}:{s}'"));
    }
    Ok(Value::Time(clamped))
}
