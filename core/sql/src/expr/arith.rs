//! Arithmetic and bit operators.

use aquifer_types::{DataType, Decimal, SqlError, SqlMode, SqlResult, TypeKind, Value};

use super::coerce;
use super::context::EvalContext;
use super::infer::{Family, Numeric, family, numeric};
use super::ir::{BinaryOp, Call};

/// Evaluates a binary operator on values that are not NULL.
#[inline]
pub(crate) fn binary(
    op: BinaryOp,
    call: &Call,
    a: &Value,
    b: &Value,
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    if let (Value::Int(x), Value::Int(y), false) = (a, b, call.ty.data_type.unsigned) {
        let fast = match op {
            BinaryOp::Add => x.checked_add(*y),
            BinaryOp::Sub => x.checked_sub(*y),
            BinaryOp::Mul => x.checked_mul(*y),
            _ => None,
        };
        if let Some(n) = fast {
            return Ok(Value::Int(n));
        }
    }
    if let (Value::Decimal(x), Value::Decimal(y), Family::Decimal) = (a, b, family(&call.ty.data_type))
        && matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)
    {
        return decimals(op, call, x, y, ctx);
    }
    let (a_type, b_type) = (call.args[0].data_type(), call.args[1].data_type());
    match op {
        BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => {
            let (x, y) = (coerce::bits64(a, a_type, ctx)?, coerce::bits64(b, b_type, ctx)?);
            Ok(Value::UInt(bit_operation(op, x, y)))
        }
        BinaryOp::IntDiv => int_div(call, a, b, ctx),
        _ => match family(&call.ty.data_type) {
            Family::Integer => integers(op, call, a, b, ctx),
            Family::Decimal => {
                let (x, y) = (coerce::decimal(a, a_type, ctx)?, coerce::decimal(b, b_type, ctx)?);
                decimals(op, call, &x, &y, ctx)
            }
            _ => {
                let (x, y) = (coerce::double(a, a_type, ctx)?, coerce::double(b, b_type, ctx)?);
                doubles(op, call, x, y, ctx)
            }
        },
    }
}

fn bit_operation(op: BinaryOp, x: u64, y: u64) -> u64 {
    let shift = u32::try_from(y).unwrap_or(u32::MAX);
    match op {
        BinaryOp::BitAnd => x & y,
        BinaryOp::BitOr => x | y,
        BinaryOp::BitXor => x ^ y,
        BinaryOp::ShiftLeft => x.checked_shl(shift).unwrap_or(0),
        _ => x.checked_shr(shift).unwrap_or(0),
    }
}

/// NULL for a division by zero, with what `sql_mode` wants said.
pub(crate) fn division_by_zero(ctx: &mut EvalContext) -> SqlResult<Value> {
    if ctx.sql_mode.contains(SqlMode::ERROR_FOR_DIVISION_BY_ZERO) {
        ctx.warn_or_fail(1365, "Division by 0")?;
    }
    Ok(Value::Null)
}

fn integers(op: BinaryOp, call: &Call, a: &Value, b: &Value, ctx: &mut EvalContext) -> SqlResult<Value> {
    let x = coerce::integer(a, call.args[0].data_type(), ctx)?;
    let y = coerce::integer(b, call.args[1].data_type(), ctx)?;
    let result = match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x.saturating_mul(y),
        _ if y == 0 => return division_by_zero(ctx),
        _ => x % y,
    };
    from_i128(result, &call.ty.data_type)
        .ok_or_else(|| out_of_range(call, x.to_string(), symbol(op), y.to_string()))
}

/// The number in the sign of its type, if it fits.
pub(crate) fn from_i128(n: i128, ty: &DataType) -> Option<Value> {
    if ty.unsigned { u64::try_from(n).ok().map(Value::UInt) } else { i64::try_from(n).ok().map(Value::Int) }
}

fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::IntDiv => "DIV",
        _ => "%",
    }
}

fn out_of_range(call: &Call, a: String, op: &str, b: String) -> SqlError {
    let what = match (family(&call.ty.data_type), call.ty.data_type.unsigned) {
        (Family::Integer, true) => "BIGINT UNSIGNED",
        (Family::Integer, false) => "BIGINT",
        (Family::Decimal, _) => "DECIMAL",
        _ => "DOUBLE",
    };
    SqlError::new(1690, format!("{what} value is out of range in '({a} {op} {b})'"))
}

fn decimals(op: BinaryOp, call: &Call, x: &Decimal, y: &Decimal, ctx: &mut EvalContext) -> SqlResult<Value> {
    let result = match op {
        BinaryOp::Add => x.add(y),
        BinaryOp::Sub => x.sub(y),
        BinaryOp::Mul => x.mul(y),
        _ if y.is_zero() => return division_by_zero(ctx),
        BinaryOp::Div => {
            let increment =
                call.ty.data_type.decimals.saturating_sub(call.args[0].data_type().decimals.min(30));
            x.div_extended(y, increment)
        }
        _ => x.rem(y),
    };
    match result {
        Some(d) => Ok(Value::Decimal(d)),
        None => Err(out_of_range(call, x.to_string(), symbol(op), y.to_string())),
    }
}

fn doubles(op: BinaryOp, call: &Call, x: f64, y: f64, ctx: &mut EvalContext) -> SqlResult<Value> {
    let result = match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        _ if y == 0.0 => return division_by_zero(ctx),
        BinaryOp::Div => x / y,
        _ => x % y,
    };
    if result.is_finite() {
        return Ok(Value::Double(result));
    }
    Err(out_of_range(call, x.to_string(), symbol(op), y.to_string()))
}

fn int_div(call: &Call, a: &Value, b: &Value, ctx: &mut EvalContext) -> SqlResult<Value> {
    let (a_type, b_type) = (call.args[0].data_type(), call.args[1].data_type());
    let whole = |t: &DataType| matches!(numeric(t), Numeric::Signed | Numeric::Unsigned);
    let result = if whole(a_type) && whole(b_type) {
        let (x, y) = (coerce::integer(a, a_type, ctx)?, coerce::integer(b, b_type, ctx)?);
        if y == 0 {
            return division_by_zero(ctx);
        }
        Some(x / y)
    } else {
        let (x, y) = (coerce::decimal(a, a_type, ctx)?, coerce::decimal(b, b_type, ctx)?);
        if y.is_zero() {
            return division_by_zero(ctx);
        }
        let quotient = x.int_div(&y);
        quotient.and_then(|q| q.to_i64().map(i128::from).or_else(|| q.to_u64().map(i128::from)))
    };
    let fitted = result.and_then(|n| from_i128(n, &call.ty.data_type));
    fitted.ok_or_else(|| {
        let show = |v: &Value, t: &DataType| String::from_utf8_lossy(&coerce::text(v, t)).into_owned();
        out_of_range(call, show(a, a_type), "DIV", show(b, b_type))
    })
}

/// `-x` for a value that is not NULL.
pub(crate) fn negate(call: &Call, value: &Value, ctx: &mut EvalContext) -> SqlResult<Value> {
    let ty = call.args[0].data_type();
    match family(&call.ty.data_type) {
        Family::Integer => {
            let n = -coerce::integer(value, ty, ctx)?;
            let fitted = i64::try_from(n).ok().map(Value::Int);
            fitted.ok_or_else(|| SqlError::new(1690, format!("BIGINT value is out of range in '-({})'", -n)))
        }
        Family::Decimal => Ok(Value::Decimal(coerce::decimal(value, ty, ctx)?.neg())),
        _ if ty.kind == TypeKind::Float => match value {
            Value::Float(x) => Ok(Value::Double(-f64::from(*x))),
            other => Ok(Value::Double(-coerce::double(other, ty, ctx)?)),
        },
        _ => Ok(Value::Double(-coerce::double(value, ty, ctx)?)),
    }
}
