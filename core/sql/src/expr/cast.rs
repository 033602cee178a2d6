//! CAST, CONVERT and character set conversion.

use aquifer_types::collation::Charset;
use aquifer_types::convert::shown;
use aquifer_types::number::parse_integer;
use aquifer_types::temporal::FractionRule;
use aquifer_types::{Collation, DataType, Decimal, SqlError, SqlResult, TypeKind, Value};
use bytes::Bytes;

use super::coerce;
use super::context::EvalContext;
use super::eval::eval_ref;
use super::infer::{Family, family};
use super::ir::{Call, CastTarget, Expr};

pub(crate) fn eval(
    target: &CastTarget,
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let arg = &call.args[0];
    let value = eval_ref(arg, row, ctx)?;
    if *target == CastTarget::Json {
        return json(arg, &value);
    }
    cast_value(target, &value, arg.data_type(), ctx)
}

/// Casts a value of type `from`.
pub(crate) fn cast_value(
    target: &CastTarget,
    value: &Value,
    from: &DataType,
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let rule = FractionRule::from(ctx.sql_mode);
    Ok(match target {
        CastTarget::Signed => Value::Int(signed(value, from, ctx)?),
        CastTarget::Unsigned => Value::UInt(unsigned(value, from, ctx)?),
        CastTarget::Binary(length) => Value::Bytes(to_binary(coerce::text(value, from), *length)),
        CastTarget::Char(length, collation) => {
            let text = to_charset(value, from, *collation);
            cut_text(text, *length, *collation, ctx)
        }
        CastTarget::Date => coerce::datetime(value, from, ctx)?.map_or(Value::Null, |t| Value::Date(t.date)),
        CastTarget::Time(fsp) => {
            let time = coerce::time(value, from, ctx)?;
            time.map_or(Value::Null, |t| Value::Time(t.with_fraction(*fsp, rule)))
        }
        CastTarget::DateTime(fsp) => {
            let moment = coerce::datetime(value, from, ctx)?;
            moment.and_then(|t| t.with_fraction(*fsp, rule)).map_or(Value::Null, Value::DateTime)
        }
        CastTarget::Decimal(precision, scale) => {
            Value::Decimal(to_fitted(value, from, *precision, *scale, ctx)?)
        }
        CastTarget::Double => Value::Double(coerce::double(value, from, ctx)?),
        #[allow(clippy::cast_possible_truncation)] // the nearest float is what is wanted
        CastTarget::Float => Value::Float(coerce::double(value, from, ctx)? as f32),
        CastTarget::Year => return year(value, from, ctx),
        CastTarget::Json => match aquifer_types::json::from_sql(value, from) {
            Ok(json) => return super::json::output(&json),
            Err(at) => return Err(SqlError::new(3157, at.what)),
        },
    })
}

/// Bits of the number: negative values wrap as in MySQL.
fn unsigned(value: &Value, from: &DataType, ctx: &mut EvalContext) -> SqlResult<u64> {
    let number = whole(value, from, ctx)?;
    match u64::try_from(number) {
        Ok(n) => Ok(n),
        Err(_) if number >= i128::from(i64::MIN) && number < 0 && !is_inexact(value) => {
            if matches!(value, Value::Bytes(_)) {
                ctx.warn(1105, "Cast to unsigned converted negative integer to its positive complement");
            }
            Ok(i64::try_from(number).unwrap_or(0).cast_unsigned())
        }
        Err(_) => {
            ctx.warn_or_fail(1292, format!("Truncated incorrect INTEGER value: '{}'", shown(value, from)))?;
            Ok(if number < 0 { 0 } else { u64::MAX })
        }
    }
}

fn is_inexact(value: &Value) -> bool {
    matches!(value, Value::Decimal(_))
}

fn signed(value: &Value, from: &DataType, ctx: &mut EvalContext) -> SqlResult<i64> {
    let number = whole(value, from, ctx)?;
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(n), _) => Ok(n),
        (_, Ok(n)) if matches!(value, Value::UInt(_) | Value::Bytes(_)) => Ok(n.cast_signed()),
        _ => {
            ctx.warn_or_fail(1292, format!("Truncated incorrect INTEGER value: '{}'", shown(value, from)))?;
            Ok(if number < 0 { i64::MIN } else { i64::MAX })
        }
    }
}

/// Texts are read up to their first character that is no digit; other values are rounded.
fn whole(value: &Value, from: &DataType, ctx: &mut EvalContext) -> SqlResult<i128> {
    match value {
        Value::Bytes(text)
            if !aquifer_types::convert::is_number_literal(from) && from.kind != TypeKind::Json =>
        {
            let parsed = parse_integer(text);
            if !parsed.complete {
                ctx.warn_or_fail(
                    1292,
                    format!("Truncated incorrect INTEGER value: '{}'", shown(value, from)),
                )?;
            }
            Ok(parsed.value)
        }
        other => coerce::integer(other, from, ctx),
    }
}

fn to_fitted(
    value: &Value,
    from: &DataType,
    precision: u8,
    scale: u8,
    ctx: &mut EvalContext,
) -> SqlResult<Decimal> {
    let number = coerce::decimal(value, from, ctx)?;
    if let Some(fitted) = number.fit(precision, scale) {
        return Ok(fitted);
    }
    ctx.warn_or_fail(1264, "Out of range value for column 'cast' at row 1".to_owned())?;
    let max = Decimal::max_of(precision, scale);
    Ok(if number.is_negative() { max.neg() } else { max })
}

fn to_binary(text: Bytes, length: Option<u32>) -> Bytes {
    let Some(length) = length.and_then(|n| usize::try_from(n).ok()) else {
        return text;
    };
    if text.len() >= length {
        return text.slice(..length);
    }
    let mut padded = text.to_vec();
    padded.resize(length, 0);
    Bytes::from(padded)
}

fn cut_text(value: Value, length: Option<u32>, collation: Collation, ctx: &mut EvalContext) -> Value {
    let (Value::Bytes(text), Some(length)) = (&value, length.and_then(|n| usize::try_from(n).ok())) else {
        return value;
    };
    let cut = collation.charset().char_offset(text, length);
    if cut == text.len() {
        return value;
    }
    let shown = String::from_utf8_lossy(text).into_owned();
    ctx.warn(1292, format!("Truncated incorrect CHAR({length}) value: '{shown}'"));
    Value::Bytes(text.slice(..cut))
}

/// The text of a value in the character set of a collation; NULL for binary bytes that are no text.
pub(crate) fn to_charset(value: &Value, from: &DataType, collation: Collation) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let text = coerce::text(value, from);
    let source = match family(from) {
        Family::String if matches!(from.kind, TypeKind::Enum | TypeKind::Set | TypeKind::Json) => {
            Charset::Utf8mb4
        }
        Family::String => from.collation.charset(),
        _ => Charset::Ascii,
    };
    let converted = source.convert(collation.charset(), &text).bytes;
    if source == Charset::Binary && collation.charset().find_invalid(&converted).is_some() {
        return Value::Null;
    }
    Value::Bytes(converted)
}

fn year(value: &Value, from: &DataType, ctx: &mut EvalContext) -> SqlResult<Value> {
    let number = match value {
        Value::Date(d) => i128::from(d.year),
        Value::DateTime(t) => i128::from(t.date.year),
        other => coerce::integer(other, from, ctx)?,
    };
    Ok(match number {
        0 => Value::UInt(0),
        1..=99 => {
            let n = u16::try_from(number).unwrap_or(0);
            Value::UInt(u64::from(aquifer_types::temporal::year_of_two_digits(n)))
        }
        1901..=2155 => Value::UInt(u64::try_from(number).unwrap_or(0)),
        _ => {
            let text = format!("Truncated incorrect YEAR value: '{}'", shown(value, from));
            return ctx.null_with(1292, text);
        }
    })
}

/// A text is parsed; every other value becomes a scalar.
fn json(e: &Expr, value: &Value) -> SqlResult<Value> {
    use super::json::{document_of, element, output};
    let ty = e.data_type();
    let is_text = family(ty) == Family::String && !matches!(ty.kind, TypeKind::Enum | TypeKind::Set);
    if value.is_null() || ty.kind == TypeKind::Json {
        return Ok(value.clone());
    }
    if is_text && ty.collation != Collation::BINARY {
        let parsed = document_of(value, ty, 1, "cast_as_json")?;
        return parsed.map_or(Ok(Value::Null), |json| output(&json));
    }
    output(&element(e, value)?)
}
