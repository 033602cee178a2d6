//! Values as numbers, texts and moments, with MySQL's warnings for strings that are none.

use aquifer_types::convert::{shown, to_datetime, to_decimal, to_double, to_integer, to_time};
use aquifer_types::temporal::DateRules;
use aquifer_types::text::to_text;
use aquifer_types::{DataType, DateTime, Decimal, SqlResult, Time, Value};
use bytes::Bytes;

use super::context::EvalContext;

fn truncated(what: &str, value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<()> {
    let text = format!("Truncated incorrect {what} value: '{}'", shown(value, ty));
    ctx.warn_or_fail(1292, text)
}

#[inline]
pub(crate) fn double(value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<f64> {
    let (number, complete) = to_double(value, ty);
    if !complete {
        truncated("DOUBLE", value, ty, ctx)?;
    }
    Ok(number)
}

#[inline]
pub(crate) fn decimal(value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<Decimal> {
    let (number, complete) = to_decimal(value, ty);
    if !complete {
        truncated("DECIMAL", value, ty, ctx)?;
    }
    Ok(number)
}

/// A whole number, rounded.
#[inline]
pub(crate) fn integer(value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<i128> {
    match value {
        Value::Int(n) => Ok(i128::from(*n)),
        Value::UInt(n) => Ok(i128::from(*n)),
        _ => {
            let (number, complete) = to_integer(value, ty);
            if !complete {
                truncated("INTEGER", value, ty, ctx)?;
            }
            Ok(number)
        }
    }
}

/// A whole number in 64 signed bits, cut to their range.
pub(crate) fn int64(value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<i64> {
    let number = integer(value, ty, ctx)?;
    Ok(i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX }))
}

/// The 64 bits that bit operators see.
pub(crate) fn bits64(value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<u64> {
    let number = integer(value, ty, ctx)?;
    let cut = number.clamp(i128::from(i64::MIN), i128::from(u64::MAX));
    Ok(u64::try_from(cut).unwrap_or_else(|_| i64::try_from(cut).unwrap_or(0).cast_unsigned()))
}

/// The text of a value that is not NULL.
#[inline]
pub(crate) fn text(value: &Value, ty: &DataType) -> Bytes {
    match value {
        Value::Bytes(b) => b.clone(),
        other => to_text(other, ty).unwrap_or_default(),
    }
}

/// A value as a condition.
pub(crate) fn truth(value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<Option<bool>> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Int(n) => *n != 0,
        Value::UInt(n) => *n != 0,
        Value::Decimal(d) => !d.is_zero(),
        // A JSON value is compared with the number 0.
        Value::Bytes(b) if ty.kind == aquifer_types::TypeKind::Json => {
            !matches!(&b[..], b"0" | b"0.0" | b"-0.0" | b"false")
        }
        other => double(other, ty, ctx)? != 0.0,
    }))
}

/// A value as a date with time; `None`, with a warning, when it is none. Zero parts pass.
pub(crate) fn datetime(value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<Option<DateTime>> {
    match value {
        Value::Null => return Ok(None),
        Value::DateTime(t) => return Ok(Some(*t)),
        Value::Date(date) => return Ok(Some(DateTime { date: *date, micros: 0 })),
        _ => {}
    }
    let parsed = to_datetime(value, ty, ctx.time_zone, ctx.today());
    let legal = parsed.filter(|(t, _)| DateRules::FUZZY.allow(t.date));
    match legal {
        Some((t, true)) => Ok(Some(t)),
        Some((t, false)) => {
            ctx.warn(1292, format!("Truncated incorrect datetime value: '{}'", shown(value, ty)));
            Ok(Some(t))
        }
        None => {
            ctx.warn_or_fail(1292, format!("Incorrect datetime value: '{}'", shown(value, ty)))?;
            Ok(None)
        }
    }
}

/// A value as a duration; `None`, with a warning, when it is none.
pub(crate) fn time(value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<Option<Time>> {
    if value.is_null() {
        return Ok(None);
    }
    match to_time(value, ty) {
        Some((t, true, true)) => Ok(Some(t)),
        Some((t, ..)) => {
            ctx.warn(1292, format!("Truncated incorrect time value: '{}'", shown(value, ty)));
            Ok(Some(t))
        }
        None => {
            ctx.warn_or_fail(1292, format!("Incorrect time value: '{}'", shown(value, ty)))?;
            Ok(None)
        }
    }
}

/// Brings a value of type `from` to the representation of `to` without checks of range or length: what
/// CASE, COALESCE and UNION do with their parts.
pub(crate) fn adapt(value: Value, from: &DataType, to: &DataType, ctx: &mut EvalContext) -> SqlResult<Value> {
    use super::infer::{Family, family};
    use aquifer_types::TypeKind;
    if value.is_null() || from == to {
        return Ok(value);
    }
    Ok(match family(to) {
        Family::Null => value,
        Family::Integer => match (value, to.unsigned) {
            (v @ Value::UInt(_), true) | (v @ Value::Int(_), false) => v,
            (Value::UInt(n), false) => i64::try_from(n).map_or(Value::UInt(n), Value::Int),
            (v, _) => {
                let n = integer(&v, from, ctx)?;
                i64::try_from(n).map_or_else(|_| Value::UInt(u64::try_from(n).unwrap_or(0)), Value::Int)
            }
        },
        Family::Decimal => {
            let d = decimal(&value, from, ctx)?;
            Value::Decimal(if d.scale() < to.decimals { d.round(i32::from(to.decimals)) } else { d })
        }
        Family::Double if matches!(value, Value::Float(_)) && to.kind == TypeKind::Float => value,
        Family::Double => Value::Double(double(&value, from, ctx)?),
        Family::Temporal => match to.kind {
            TypeKind::Date => datetime(&value, from, ctx)?.map_or(Value::Null, |t| Value::Date(t.date)),
            TypeKind::Time => time(&value, from, ctx)?.map_or(Value::Null, Value::Time),
            _ => datetime(&value, from, ctx)?.map_or(Value::Null, Value::DateTime),
        },
        Family::String => match value {
            b @ Value::Bytes(_) => convert_text(b, from, to),
            other => Value::Bytes(text(&other, from)),
        },
    })
}

fn convert_text(value: Value, from: &DataType, to: &DataType) -> Value {
    match value {
        Value::Bytes(b) => {
            let (source, target) = (from.collation.charset(), to.collation.charset());
            Value::Bytes(source.convert(target, &b).bytes)
        }
        other => other,
    }
}
