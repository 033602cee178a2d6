//! Date and time functions: differences, sums, Unix time, time zones.

use aquifer_types::temporal::{DAY, SECOND, TimeZone, is_timestamp_range};
use aquifer_types::{DataType, DateTime, Decimal, SqlResult, Time, TypeKind, Value};
use bytes::Bytes;

use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, datetime, decimal, def, int, text, text_value, time, value};
use super::infer::{Family, decimal_type, family, int_type, number, string_of, temporal_type, typed};
use super::ir::{Call, Coercibility, Expr, ExprType};
use super::temporal::fraction_of;
use super::{coerce, format_date};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("datediff", 2, 2, infer_int, eval_datediff),
    def("timediff", 2, 2, infer_timediff, eval_timediff),
    def("addtime", 2, 2, infer_addtime, |c, r, x| add_time(c, r, x, 1)),
    def("subtime", 2, 2, infer_addtime, |c, r, x| add_time(c, r, x, -1)),
    def("adddate", 2, 2, infer_add_days, |c, r, x| add_days(c, r, x, 1)),
    def("subdate", 2, 2, infer_add_days, |c, r, x| add_days(c, r, x, -1)),
    def("to_seconds", 1, 1, infer_int, eval_to_seconds),
    def("sec_to_time", 1, 1, infer_sec_to_time, eval_sec_to_time),
    def("time_to_sec", 1, 1, infer_int, |c, r, x| {
        Ok(time(c, 0, r, x)?.map_or(Value::Null, |t| Value::Int(t.micros / SECOND)))
    }),
    def("period_add", 2, 2, infer_int, eval_period_add),
    def("period_diff", 2, 2, infer_int, eval_period_diff),
    def("unix_timestamp", 0, 1, infer_unix_timestamp, eval_unix_timestamp).per_statement(),
    def("from_unixtime", 1, 2, infer_from_unixtime, eval_from_unixtime).per_statement(),
    def("convert_tz", 3, 3, infer_convert_tz, eval_convert_tz),
];

fn infer_int(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(int_type(21), true))
}

fn infer_timediff(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let fsp = args.iter().map(fraction_of).max().unwrap_or(0);
    Ok(number(temporal_type(TypeKind::Time, fsp), true))
}

fn infer_addtime(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let fsp = args.iter().map(fraction_of).max().unwrap_or(0);
    Ok(match args[0].data_type().kind {
        TypeKind::Time => number(temporal_type(TypeKind::Time, fsp), true),
        TypeKind::Date | TypeKind::DateTime | TypeKind::Timestamp => {
            number(temporal_type(TypeKind::DateTime, fsp), true)
        }
        _ => typed(string_of(29, bind.collation), true, Coercibility::LITERAL),
    })
}

fn infer_add_days(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let ty = args[0].data_type();
    Ok(match ty.kind {
        TypeKind::Date => number(DataType::of(TypeKind::Date), true),
        TypeKind::DateTime | TypeKind::Timestamp | TypeKind::Time => {
            number(temporal_type(TypeKind::DateTime, ty.decimals), true)
        }
        _ => typed(string_of(29, bind.collation), true, Coercibility::LITERAL),
    })
}

fn infer_sec_to_time(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(temporal_type(TypeKind::Time, fraction_of(&args[0])), true))
}

fn infer_unix_timestamp(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let fsp = args.first().map_or(0, fraction_of);
    if fsp == 0 {
        return Ok(number(int_type(11), !args.is_empty()));
    }
    Ok(number(decimal_type(11 + u32::from(fsp), u32::from(fsp)), true))
}

fn infer_from_unixtime(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    if args.len() == 2 {
        return Ok(typed(string_of(255, bind.collation), true, Coercibility::LITERAL));
    }
    Ok(number(temporal_type(TypeKind::DateTime, fraction_of(&args[0])), true))
}

fn infer_convert_tz(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(temporal_type(TypeKind::DateTime, fraction_of(&args[0])), true))
}

fn eval_datediff(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let days = |t: Option<DateTime>| t.and_then(|t| t.date.to_days());
    let (a, b) = (days(datetime(call, 0, row, ctx)?), days(datetime(call, 1, row, ctx)?));
    Ok(a.zip(b).map_or(Value::Null, |(a, b)| Value::Int(a - b)))
}

/// A moment or a duration, whichever the argument is.
enum When {
    Moment(DateTime),
    Duration(Time),
}

fn when(call: &Call, i: usize, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<When>> {
    let given = value(call, i, row, ctx)?;
    let is_moment = match &given {
        Value::Null => return Ok(None),
        Value::Date(_) | Value::DateTime(_) => true,
        Value::Bytes(t) => {
            aquifer_types::temporal::parse_time(t).is_none_or(|p| p.truncated)
                || (t.iter().filter(|b| **b == b'-').count() >= 2)
        }
        _ => false,
    };
    let ty = call.args[i].data_type();
    Ok(if is_moment {
        coerce::datetime(&given, ty, ctx)?.map(When::Moment)
    } else {
        coerce::time(&given, ty, ctx)?.map(When::Duration)
    })
}

fn eval_timediff(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let micros = match (when(call, 0, row, ctx)?, when(call, 1, row, ctx)?) {
        (Some(When::Moment(a)), Some(When::Moment(b))) => {
            a.to_unix_micros().zip(b.to_unix_micros()).map(|(a, b)| a - b)
        }
        (Some(When::Duration(a)), Some(When::Duration(b))) => Some(a.micros - b.micros),
        _ => None,
    };
    let Some(micros) = micros else {
        return Ok(Value::Null);
    };
    let (clamped, in_range) = Time::clamped(micros);
    if !in_range {
        ctx.warn(1292, "Truncated incorrect time value".to_owned());
    }
    Ok(Value::Time(clamped))
}

fn add_time(call: &Call, row: &[Value], ctx: &mut EvalContext, sign: i64) -> SqlResult<Value> {
    let (Some(base), Some(by)) = (when(call, 0, row, ctx)?, time(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let by = by.micros * sign;
    let is_text = family(&call.ty.data_type) == Family::String;
    match base {
        When::Moment(at) => Ok(match at.add_micros(by) {
            Some(sum) if is_text => text_value(sum.to_string()),
            Some(sum) => Value::DateTime(sum),
            None => Value::Null,
        }),
        When::Duration(t) => {
            let (sum, in_range) = Time::clamped(t.micros + by);
            if !in_range {
                ctx.warn(1292, "Truncated incorrect time value".to_owned());
            }
            Ok(if is_text { text_value(sum.to_string()) } else { Value::Time(sum) })
        }
    }
}

/// ADDDATE and SUBDATE with a number of days.
fn add_days(call: &Call, row: &[Value], ctx: &mut EvalContext, sign: i64) -> SqlResult<Value> {
    let given = value(call, 0, row, ctx)?;
    let (Some(at), Some(days)) = (datetime(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let micros = days.checked_mul(sign * DAY);
    let Some(sum) = micros.and_then(|m| at.add_micros(m)) else {
        return ctx.null_with(1441, "Datetime function: datetime field overflow");
    };
    let has_time = matches!(&given, Value::Bytes(t) if aquifer_types::temporal::parse_datetime(t).is_some_and(|p| p.has_time));
    Ok(match call.ty.data_type.kind {
        TypeKind::Date => Value::Date(sum.date),
        TypeKind::DateTime => Value::DateTime(sum),
        _ if has_time => text_value(sum.to_string()),
        _ => text_value(sum.date.to_string()),
    })
}

fn eval_to_seconds(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let at = datetime(call, 0, row, ctx)?;
    let seconds = at.and_then(|t| Some(t.date.to_days()? * 86_400 + t.time().micros / SECOND));
    Ok(seconds.map_or(Value::Null, Value::Int))
}

fn eval_sec_to_time(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(seconds) = decimal(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let micros = seconds.mul(&Decimal::from_i64(SECOND)).and_then(|m| m.to_i64());
    let limit = if seconds.is_negative() { i64::MIN } else { i64::MAX };
    let (t, in_range) = Time::clamped(micros.unwrap_or(limit));
    if !in_range {
        ctx.warn(1292, format!("Truncated incorrect time value: '{seconds}'"));
    }
    Ok(Value::Time(t))
}

/// Months of a period `yymm` or `yyyymm`.
fn period_months(period: i64) -> Option<i64> {
    let month = period % 100;
    let year = period / 100;
    let year = match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        _ => year,
    };
    (period > 0 && (1..=12).contains(&month)).then_some(year * 12 + month - 1)
}

fn wrong_period(name: &str) -> aquifer_types::SqlError {
    aquifer_types::SqlError::new(1210, format!("Incorrect arguments to {name}"))
}

fn eval_period_add(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(period), Some(by)) = (int(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let months =
        period_months(period).and_then(|m| m.checked_add(by)).ok_or_else(|| wrong_period("period_add"))?;
    Ok(Value::Int(months / 12 * 100 + months % 12 + 1))
}

fn eval_period_diff(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(a), Some(b)) = (int(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let months = period_months(a).zip(period_months(b)).ok_or_else(|| wrong_period("period_diff"))?;
    Ok(Value::Int(months.0 - months.1))
}

fn eval_unix_timestamp(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    if call.args.is_empty() {
        return Ok(Value::Int(ctx.now_micros.div_euclid(SECOND)));
    }
    let Some(at) = datetime(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let micros = ctx.time_zone.to_utc(at).to_unix_micros();
    let micros =
        micros.filter(|m| *m >= 0 && (*m == 0 || is_timestamp_range(*m) || *m < SECOND)).unwrap_or(0);
    let fsp = call.ty.data_type.decimals;
    if call.ty.data_type.kind != TypeKind::Decimal {
        return Ok(Value::Int(micros / SECOND));
    }
    Ok(Value::Decimal(Decimal::from_scaled(micros, 6).truncate(i32::from(fsp))))
}

fn eval_from_unixtime(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(seconds) = decimal(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let micros = seconds.mul(&Decimal::from_i64(SECOND)).and_then(|m| m.to_i64());
    // 3001-01-18 23:59:59 is the last moment (manual 12.7).
    let Some(micros) = micros.filter(|m| (0..=32_536_771_199 * SECOND + 999_999).contains(m)) else {
        return Ok(Value::Null);
    };
    let Some(utc) = DateTime::from_unix_micros(micros) else {
        return Ok(Value::Null);
    };
    let local = ctx.time_zone.to_local(utc);
    if call.args.len() == 1 {
        return Ok(Value::DateTime(local));
    }
    let format: Option<Bytes> = text(call, 1, row, ctx)?;
    Ok(format.and_then(|f| format_date::format_moment(&f, local)).map_or(Value::Null, text_value))
}

fn eval_convert_tz(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(at), Some(from), Some(to)) =
        (datetime(call, 0, row, ctx)?, text(call, 1, row, ctx)?, text(call, 2, row, ctx)?)
    else {
        return Ok(Value::Null);
    };
    let zone = |name: &Bytes| TimeZone::parse(&String::from_utf8_lossy(name));
    let (Some(from), Some(to)) = (zone(&from), zone(&to)) else {
        return Ok(Value::Null);
    };
    let utc = from.to_utc(at);
    let in_range = utc.to_unix_micros().is_some_and(is_timestamp_range);
    Ok(Value::DateTime(if in_range { to.to_local(utc) } else { at }))
}
