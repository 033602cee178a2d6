//! Mathematical functions.

use aquifer_types::{Decimal, SqlError, SqlResult, Value};

use super::arith::from_i128;
use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, bits, decimal, def, double, int, text, value};
use super::infer::{
    Numeric, any_nullable, decimal_type, digits, double_type, int_type, number, numeric, uint_type,
};
use super::ir::{BinaryOp, Call, Expr, ExprType};
use super::{arith, coerce};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("abs", 1, 1, infer_same, eval_abs),
    def("sign", 1, 1, |a, _| Ok(number(int_type(2), any_nullable(a))), eval_sign),
    def("mod", 2, 2, infer_mod, eval_mod),
    def("pow", 2, 2, infer_double, |c, r, x| two(c, r, x, "pow", f64::powf)),
    def("sqrt", 1, 1, infer_double, |c, r, x| defined(c, r, x, |n| (n >= 0.0).then(|| n.sqrt()))),
    def("exp", 1, 1, infer_double, |c, r, x| finite(c, r, x, "exp", f64::exp)),
    def("ln", 1, 1, infer_double, |c, r, x| logarithm(c, r, x, f64::ln)),
    def("log2", 1, 1, infer_double, |c, r, x| logarithm(c, r, x, f64::log2)),
    def("log10", 1, 1, infer_double, |c, r, x| logarithm(c, r, x, f64::log10)),
    def("log", 1, 2, infer_double, eval_log),
    def("sin", 1, 1, infer_double, |c, r, x| finite(c, r, x, "sin", f64::sin)),
    def("cos", 1, 1, infer_double, |c, r, x| finite(c, r, x, "cos", f64::cos)),
    def("tan", 1, 1, infer_double, |c, r, x| finite(c, r, x, "tan", f64::tan)),
    def("cot", 1, 1, infer_double, |c, r, x| finite(c, r, x, "cot", |n| 1.0 / n.tan())),
    def("asin", 1, 1, infer_double, |c, r, x| defined(c, r, x, |n| (n.abs() <= 1.0).then(|| n.asin()))),
    def("acos", 1, 1, infer_double, |c, r, x| defined(c, r, x, |n| (n.abs() <= 1.0).then(|| n.acos()))),
    def("atan", 1, 2, infer_double, eval_atan),
    def("atan2", 1, 2, infer_double, eval_atan),
    def("degrees", 1, 1, infer_double, |c, r, x| finite(c, r, x, "degrees", f64::to_degrees)),
    def("radians", 1, 1, infer_double, |c, r, x| finite(c, r, x, "radians", f64::to_radians)),
    def("pi", 0, 0, |_, _| Ok(pi_type()), |_, _, _| Ok(Value::Double(std::f64::consts::PI))),
    def("rand", 0, 1, |_, _| Ok(number(double_type(), false)), eval_rand).volatile(),
    def("ceiling", 1, 1, infer_whole, |c, r, x| whole(c, r, x, Decimal::ceiling, f64::ceil)),
    def("floor", 1, 1, infer_whole, |c, r, x| whole(c, r, x, Decimal::floor, f64::floor)),
    def("round", 1, 2, infer_round, |c, r, x| eval_round(c, r, x, Cut::Round)),
    def("truncate", 2, 2, infer_round, |c, r, x| eval_round(c, r, x, Cut::Truncate)),
    def("crc32", 1, 1, |a, _| Ok(number(uint_type(10), any_nullable(a))), eval_crc32),
    def("bit_count", 1, 1, |a, _| Ok(number(int_type(3), any_nullable(a))), eval_bit_count),
];

fn pi_type() -> ExprType {
    let ty = aquifer_types::DataType { length: 8, decimals: 6, ..double_type() };
    number(ty, false)
}

fn infer_double(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(double_type(), true))
}

fn infer_same(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let ty = args[0].data_type();
    let (i, s) = digits(ty);
    let result = match numeric(ty) {
        Numeric::Double => double_type(),
        Numeric::Decimal => decimal_type(i + s, s),
        Numeric::Unsigned => uint_type(i.min(20)),
        Numeric::Signed => int_type((i + 1).min(20)),
    };
    Ok(number(result, any_nullable(args)))
}

fn infer_mod(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let model = super::build::binary(BinaryOp::Rem, args[0].clone(), args[1].clone(), bind)?;
    Ok(model.expr_type().clone())
}

fn infer_whole(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let ty = args[0].data_type();
    let (i, _) = digits(ty);
    let result = match numeric(ty) {
        Numeric::Double => double_type(),
        Numeric::Decimal if i >= 18 => decimal_type(i + 1, 0),
        Numeric::Unsigned => uint_type(i.min(20)),
        _ => int_type((i + 2).min(21)),
    };
    Ok(number(result, any_nullable(args)))
}

fn infer_round(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let ty = args[0].data_type();
    let (i, s) = digits(ty);
    let constant = match args.get(1) {
        None => Some(0),
        Some(Expr::Literal { value: Value::Int(n), .. }) => Some((*n).clamp(-65, 30)),
        Some(_) => None,
    };
    let scale = constant.map_or(s, |n| u32::try_from(n.max(0)).unwrap_or(0));
    let result = match numeric(ty) {
        Numeric::Double if constant.is_some() => {
            let decimals = u8::try_from(scale).unwrap_or(30);
            aquifer_types::DataType { length: 17 + scale, decimals, ..double_type() }
        }
        Numeric::Double => double_type(),
        Numeric::Decimal => decimal_type(i + 1 + scale.min(s), scale.min(s)),
        Numeric::Unsigned => uint_type(i.min(20)),
        Numeric::Signed => int_type((i + 1).min(20)),
    };
    Ok(number(result, any_nullable(args)))
}

fn out_of_range(name: &str, args: &[f64]) -> SqlError {
    let shown: Vec<String> = args.iter().map(f64::to_string).collect();
    SqlError::new(1690, format!("DOUBLE value is out of range in '{name}({})'", shown.join(",")))
}

fn finite(
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
    name: &str,
    f: fn(f64) -> f64,
) -> SqlResult<Value> {
    let Some(n) = double(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let result = f(n);
    if result.is_finite() { Ok(Value::Double(result)) } else { Err(out_of_range(name, &[n])) }
}

fn two(
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
    name: &str,
    f: fn(f64, f64) -> f64,
) -> SqlResult<Value> {
    let (Some(a), Some(b)) = (double(call, 0, row, ctx)?, double(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let result = f(a, b);
    if result.is_finite() { Ok(Value::Double(result)) } else { Err(out_of_range(name, &[a, b])) }
}

fn defined(call: &Call, row: &[Value], ctx: &mut EvalContext, f: fn(f64) -> Option<f64>) -> SqlResult<Value> {
    Ok(double(call, 0, row, ctx)?.and_then(f).map_or(Value::Null, Value::Double))
}

fn logarithm(call: &Call, row: &[Value], ctx: &mut EvalContext, f: fn(f64) -> f64) -> SqlResult<Value> {
    match double(call, 0, row, ctx)? {
        None => Ok(Value::Null),
        Some(n) if n > 0.0 => Ok(Value::Double(f(n))),
        Some(_) => ctx.null_with(3020, "Invalid argument for logarithm"),
    }
}

fn eval_log(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    if call.args.len() == 1 {
        return logarithm(call, row, ctx, f64::ln);
    }
    let (Some(base), Some(n)) = (double(call, 0, row, ctx)?, double(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    if base <= 0.0 || n <= 0.0 || base.total_cmp(&1.0).is_eq() {
        return ctx.null_with(3020, "Invalid argument for logarithm");
    }
    Ok(Value::Double(n.ln() / base.ln()))
}

fn eval_atan(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    if call.args.len() == 1 {
        return finite(call, row, ctx, "atan", f64::atan);
    }
    two(call, row, ctx, "atan", f64::atan2)
}

fn eval_abs(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let given = value(call, 0, row, ctx)?;
    let ty = call.args[0].data_type();
    match (given, numeric(ty)) {
        (Value::Null, _) => Ok(Value::Null),
        (v, Numeric::Signed | Numeric::Unsigned) => {
            let n = coerce::integer(&v, ty, ctx)?.abs();
            from_i128(n, &call.ty.data_type)
                .ok_or_else(|| SqlError::new(1690, format!("BIGINT value is out of range in 'abs(-{n})'")))
        }
        (v, Numeric::Decimal) => Ok(Value::Decimal(coerce::decimal(&v, ty, ctx)?.abs())),
        (v, Numeric::Double) => Ok(Value::Double(coerce::double(&v, ty, ctx)?.abs())),
    }
}

fn eval_sign(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let sign = match numeric(call.args[0].data_type()) {
        Numeric::Double => double(call, 0, row, ctx)?.map(|n| if n > 0.0 { 1 } else { -i64::from(n < 0.0) }),
        _ => decimal(call, 0, row, ctx)?.map(|d| {
            if d.is_zero() {
                0
            } else if d.is_negative() {
                -1
            } else {
                1
            }
        }),
    };
    Ok(sign.map_or(Value::Null, Value::Int))
}

fn eval_mod(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (a, b) = (value(call, 0, row, ctx)?, value(call, 1, row, ctx)?);
    if a.is_null() || b.is_null() {
        return Ok(Value::Null);
    }
    arith::binary(BinaryOp::Rem, call, &a, &b, ctx)
}

fn whole(
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
    exact: fn(&Decimal) -> Decimal,
    inexact: fn(f64) -> f64,
) -> SqlResult<Value> {
    let given = value(call, 0, row, ctx)?;
    let ty = call.args[0].data_type();
    match (given, numeric(ty)) {
        (Value::Null, _) => Ok(Value::Null),
        (v, Numeric::Signed | Numeric::Unsigned) => {
            let n = coerce::integer(&v, ty, ctx)?;
            Ok(from_i128(n, &call.ty.data_type).unwrap_or(v))
        }
        (v, Numeric::Decimal) => {
            let d = exact(&coerce::decimal(&v, ty, ctx)?);
            let small = call.ty.data_type.kind == aquifer_types::TypeKind::BigInt;
            Ok(d.to_i64().filter(|_| small).map_or(Value::Decimal(d), Value::Int))
        }
        (v, Numeric::Double) => Ok(Value::Double(inexact(coerce::double(&v, ty, ctx)?))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Round,
    Truncate,
}

fn eval_round(call: &Call, row: &[Value], ctx: &mut EvalContext, cut: Cut) -> SqlResult<Value> {
    let places = match call.args.len() {
        1 => 0,
        _ => match int(call, 1, row, ctx)? {
            Some(n) => i32::try_from(n.clamp(-400, 400)).unwrap_or(0),
            None => return Ok(Value::Null),
        },
    };
    let given = value(call, 0, row, ctx)?;
    let ty = call.args[0].data_type();
    let exact = |d: &Decimal| if cut == Cut::Round { d.round(places) } else { d.truncate(places) };
    match (given, numeric(ty)) {
        (Value::Null, _) => Ok(Value::Null),
        (v, Numeric::Signed | Numeric::Unsigned) => {
            if places >= 0 {
                let n = coerce::integer(&v, ty, ctx)?;
                return Ok(from_i128(n, &call.ty.data_type).unwrap_or(v));
            }
            let d = exact(&coerce::decimal(&v, ty, ctx)?);
            let n = d.to_i64().map(i128::from).or_else(|| d.to_u64().map(i128::from));
            n.and_then(|n| from_i128(n, &call.ty.data_type))
                .ok_or_else(|| SqlError::new(1690, format!("BIGINT value is out of range in 'round({d})'")))
        }
        (v, Numeric::Decimal) => {
            let d = coerce::decimal(&v, ty, ctx)?;
            let limit = i32::from(d.scale());
            Ok(Value::Decimal(if places > limit { d } else { exact(&d) }))
        }
        (v, Numeric::Double) => Ok(Value::Double(cut_double(coerce::double(&v, ty, ctx)?, places, cut))),
    }
}

/// As MySQL's `my_double_round`: scales by a power of ten, rounds half to even, scales back.
fn cut_double(n: f64, places: i32, cut: Cut) -> f64 {
    let power = 10_f64.powi(places.abs());
    let scaled = if places < 0 { n / power } else { n * power };
    if places >= 0 && !scaled.is_finite() {
        return n;
    }
    if places < 0 && !power.is_finite() {
        return 0.0;
    }
    let rounded = match cut {
        Cut::Round => scaled.round_ties_even(),
        Cut::Truncate => scaled.trunc(),
    };
    if places < 0 { rounded * power } else { rounded / power }
}

/// MySQL's generator, so that RAND(n) gives the same series: two states below 0x3FFFFFFF.
fn eval_rand(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    const MODULUS: u32 = 0x3FFF_FFFF;
    let stream = std::ptr::from_ref(call) as usize;
    let known = ctx.rand_streams.iter().position(|(s, ..)| *s == stream);
    let at = match known {
        Some(at) => at,
        None => {
            let seed = match call.args.first() {
                Some(_) => int(call, 0, row, ctx)?.unwrap_or(0).cast_unsigned(),
                None => ctx.environment.random(),
            };
            let low = u32::try_from(seed & 0xFFFF_FFFF).unwrap_or(0);
            let first = low.wrapping_mul(0x1_0001).wrapping_add(55_555_555) % MODULUS;
            let second = low.wrapping_mul(0x1000_0001) % MODULUS;
            ctx.rand_streams.push((stream, first, second));
            ctx.rand_streams.len() - 1
        }
    };
    let (_, first, second) = &mut ctx.rand_streams[at];
    let next = (u64::from(*first) * 3 + u64::from(*second)) % u64::from(MODULUS);
    *first = u32::try_from(next).unwrap_or(0);
    let after = (next + u64::from(*second) + 33) % u64::from(MODULUS);
    *second = u32::try_from(after).unwrap_or(0);
    Ok(Value::Double(f64::from(*first) / f64::from(MODULUS)))
}

fn eval_crc32(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let mut crc = u32::MAX;
    for b in &t {
        crc ^= u32::from(*b);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    Ok(Value::UInt(u64::from(!crc)))
}

fn eval_bit_count(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    Ok(bits(call, 0, row, ctx)?.map_or(Value::Null, |n| Value::Int(i64::from(n.count_ones()))))
}
