//! Evaluation of calls: operators with MySQL's three-valued logic.

use std::borrow::Cow;
use std::cmp::Ordering;

use aquifer_types::collation::like;
use aquifer_types::{Collation, SqlResult, Value};

use super::context::EvalContext;
use super::ir::{Call, CaseShape, CompareDomain, CompareOp, ElsePart, Expr, Negation, Op, Truth, UnaryOp};
use super::{arith, cast, coerce, compare, interval, regex_match, string};

/// The value of an expression, borrowed from the row where that is possible.
#[inline]
pub(crate) fn eval_ref<'a>(
    e: &'a Expr,
    row: &'a [Value],
    ctx: &mut EvalContext,
) -> SqlResult<Cow<'a, Value>> {
    match e {
        Expr::Literal { value, .. } => Ok(Cow::Borrowed(value)),
        Expr::Column { index, .. } => Ok(Cow::Borrowed(row.get(*index).unwrap_or(&Value::Null))),
        other => other.eval(row, ctx).map(Cow::Owned),
    }
}

/// The value of an expression as a condition.
pub(crate) fn eval_truth(e: &Expr, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<bool>> {
    if let Expr::Call(call) = e {
        match &call.op {
            Op::And => return and(call, row, ctx),
            Op::Or => return or(call, row, ctx),
            Op::Compare(op, domain) => return comparison(*op, *domain, call, row, ctx),
            _ => {}
        }
    }
    let value = eval_ref(e, row, ctx)?;
    coerce::truth(&value, e.data_type(), ctx)
}

/// TRUE, FALSE or UNKNOWN as a value.
pub(crate) fn truth_value(truth: Option<bool>) -> Value {
    truth.map_or(Value::Null, |t| Value::Int(i64::from(t)))
}

fn negated(negation: Negation, truth: Option<bool>) -> Value {
    truth_value(truth.map(|t| t == (negation == Negation::Plain)))
}

pub(crate) fn eval_call(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    match &call.op {
        Op::Compare(op, domain) => comparison(*op, *domain, call, row, ctx).map(truth_value),
        Op::Binary(op) => {
            let a = eval_ref(&call.args[0], row, ctx)?;
            let b = eval_ref(&call.args[1], row, ctx)?;
            if a.is_null() || b.is_null() {
                return Ok(Value::Null);
            }
            arith::binary(*op, call, &a, &b, ctx)
        }
        Op::And => and(call, row, ctx).map(truth_value),
        Op::Or => or(call, row, ctx).map(truth_value),
        Op::Xor => xor(call, row, ctx),
        Op::Unary(op) => unary(*op, call, row, ctx),
        Op::IsNull(negation) => {
            let null = eval_ref(&call.args[0], row, ctx)?.is_null();
            Ok(negated(*negation, Some(null)))
        }
        Op::IsTruth(truth, negation) => {
            let found = eval_truth(&call.args[0], row, ctx)?;
            let wanted = match truth {
                Truth::True => Some(true),
                Truth::False => Some(false),
                Truth::Unknown => None,
            };
            Ok(negated(*negation, Some(found == wanted)))
        }
        Op::Between(negation, low, high) => between(*negation, (*low, *high), call, row, ctx),
        Op::In(negation, domains) => in_list(*negation, domains, call, row, ctx),
        Op::Like(negation, collation) => eval_like(*negation, *collation, call, row, ctx),
        Op::Regexp(negation, collation) => eval_regexp(*negation, *collation, call, row, ctx),
        Op::Case(shape) => case(shape, call, row, ctx),
        Op::NullIf(domain) => {
            let value = call.args[0].eval(row, ctx)?;
            let other = eval_ref(&call.args[1], row, ctx)?;
            let pair = (&value, call.args[0].data_type());
            let order = compare::order(*domain, pair, (&other, call.args[1].data_type()), ctx)?;
            Ok(if order == Some(Ordering::Equal) { Value::Null } else { value })
        }
        Op::Cast(target) => cast::eval(target, call, row, ctx),
        Op::ConvertCharset(collation) => {
            let value = eval_ref(&call.args[0], row, ctx)?;
            Ok(cast::to_charset(&value, call.args[0].data_type(), *collation))
        }
        Op::Collate => {
            let value = call.args[0].eval(row, ctx)?;
            let ty = call.args[0].data_type();
            Ok(if value.is_null() { value } else { Value::Bytes(coerce::text(&value, ty)) })
        }
        Op::AddInterval(unit, sign) => interval::eval_add(*unit, *sign, call, row, ctx),
        Op::Extract(unit) => interval::eval_extract(*unit, call, row, ctx),
        Op::TimestampDiff(unit) => interval::eval_difference(*unit, call, row, ctx),
        Op::Trim(side) => string::eval_trim(*side, call, row, ctx),
        Op::UserVariable(name) => {
            let variables = ctx.user_variables.clone();
            let found = variables.borrow().get(name).cloned();
            match found {
                Some((value, from)) => coerce::adapt(value, &from, &call.ty.data_type, ctx),
                None => Ok(Value::Null),
            }
        }
        Op::SetUserVariable(name) => {
            let value = call.args[0].eval(row, ctx)?;
            ctx.user_variables.borrow_mut().set(name, value.clone(), call.args[0].data_type().clone());
            Ok(value)
        }
        Op::Function(def) => (def.eval)(call, row, ctx),
    }
}

#[inline]
fn comparison(
    op: CompareOp,
    domain: CompareDomain,
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Option<bool>> {
    let a = eval_ref(&call.args[0], row, ctx)?;
    let a_type = call.args[0].data_type();
    if op == CompareOp::NullSafeEq {
        let b = eval_ref(&call.args[1], row, ctx)?;
        if a.is_null() || b.is_null() {
            return Ok(Some(a.is_null() && b.is_null()));
        }
        let order = compare::order(domain, (&a, a_type), (&b, call.args[1].data_type()), ctx)?;
        return Ok(order.map(|o| op.holds(o)));
    }
    let order = compare::order_with(domain, (&a, a_type), &call.args[1], row, ctx)?;
    Ok(order.map(|o| op.holds(o)))
}

fn and(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<bool>> {
    let left = eval_truth(&call.args[0], row, ctx)?;
    if left == Some(false) {
        return Ok(left);
    }
    let right = eval_truth(&call.args[1], row, ctx)?;
    Ok(match (left, right) {
        (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    })
}

fn or(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<bool>> {
    let left = eval_truth(&call.args[0], row, ctx)?;
    if left == Some(true) {
        return Ok(left);
    }
    let right = eval_truth(&call.args[1], row, ctx)?;
    Ok(match (left, right) {
        (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    })
}

fn xor(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let left = eval_truth(&call.args[0], row, ctx)?;
    let right = eval_truth(&call.args[1], row, ctx)?;
    Ok(truth_value(left.zip(right).map(|(a, b)| a != b)))
}

fn unary(op: UnaryOp, call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    if op == UnaryOp::Not {
        return Ok(truth_value(eval_truth(&call.args[0], row, ctx)?.map(|t| !t)));
    }
    let value = eval_ref(&call.args[0], row, ctx)?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let ty = call.args[0].data_type();
    match op {
        UnaryOp::Minus => arith::negate(call, &value, ctx),
        UnaryOp::BitNot => Ok(Value::UInt(!coerce::bits64(&value, ty, ctx)?)),
        UnaryOp::Binary => Ok(Value::Bytes(coerce::text(&value, ty))),
        UnaryOp::Plus | UnaryOp::Not => Ok(value.into_owned()),
    }
}

fn between(
    negation: Negation,
    (low, high): (CompareDomain, CompareDomain),
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let [x, a, b] = &call.args[..] else {
        return Ok(Value::Null);
    };
    let value = eval_ref(x, row, ctx)?;
    let (low_value, high_value) = (eval_ref(a, row, ctx)?, eval_ref(b, row, ctx)?);
    let pair = (&*value, x.data_type());
    let above = compare::order(low, pair, (&low_value, a.data_type()), ctx)?.map(|o| o != Ordering::Less);
    let below =
        compare::order(high, pair, (&high_value, b.data_type()), ctx)?.map(|o| o != Ordering::Greater);
    let inside = match (above, below) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    };
    Ok(negated(negation, inside))
}

fn in_list(
    negation: Negation,
    domains: &[CompareDomain],
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let value = eval_ref(&call.args[0], row, ctx)?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let mut unknown = false;
    for (member, domain) in call.args[1..].iter().zip(domains) {
        match compare::order_with(*domain, (&*value, call.args[0].data_type()), member, row, ctx)? {
            Some(Ordering::Equal) => return Ok(negated(negation, Some(true))),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(negated(negation, if unknown { None } else { Some(false) }))
}

fn eval_like(
    negation: Negation,
    collation: Collation,
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let test = |text: &[u8], pattern: &[u8], escape: &[u8]| {
        like(collation, text, pattern, (!escape.is_empty()).then_some(escape))
    };
    let [text, pattern, escape] = &*call.args else { return Ok(Value::Null) };
    let values = (eval_ref(text, row, ctx)?, eval_ref(pattern, row, ctx)?, eval_ref(escape, row, ctx)?);
    let matched = match (&*values.0, &*values.1, &*values.2) {
        (Value::Bytes(a), Value::Bytes(b), Value::Bytes(c)) => Some(test(a, b, c)),
        (Value::Null, ..) | (_, Value::Null, _) | (.., Value::Null) => None,
        (a, b, c) => {
            let texts = [(a, text), (b, pattern), (c, escape)];
            let [a, b, c] = texts.map(|(value, expr)| coerce::text(value, expr.data_type()));
            Some(test(&a, &b, &c))
        }
    };
    Ok(negated(negation, matched))
}

fn eval_regexp(
    negation: Negation,
    collation: Collation,
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let matched = match &texts(call, row, ctx)?[..] {
        [Some(text), Some(pattern)] => Some(regex_match::is_match(collation, text, pattern)?),
        _ => None,
    };
    Ok(negated(negation, matched))
}

/// All arguments as texts; `None` for NULL.
fn texts(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Vec<Option<bytes::Bytes>>> {
    call.args
        .iter()
        .map(|arg| {
            let value = eval_ref(arg, row, ctx)?;
            Ok((!value.is_null()).then(|| coerce::text(&value, arg.data_type())))
        })
        .collect()
}

fn case(shape: &CaseShape, call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (operand, mut rest) = match shape.operand {
        Some(_) => (Some(eval_ref(&call.args[0], row, ctx)?), &call.args[1..]),
        None => (None, &call.args[..]),
    };
    let mut branch = 0;
    while let [when, then, tail @ ..] = rest {
        let taken = match (&operand, &shape.operand) {
            (Some(value), Some(domains)) => {
                let candidate = eval_ref(when, row, ctx)?;
                let pair = (&**value, call.args[0].data_type());
                compare::order(domains[branch], pair, (&candidate, when.data_type()), ctx)?
                    == Some(Ordering::Equal)
            }
            _ => eval_truth(when, row, ctx)? == Some(true),
        };
        if taken {
            return adapted(then, call, row, ctx);
        }
        rest = tail;
        branch += 1;
    }
    match (shape.has_else, rest) {
        (ElsePart::Present, [otherwise]) => adapted(otherwise, call, row, ctx),
        _ => Ok(Value::Null),
    }
}

/// The value of an argument in the type of the call.
pub(crate) fn adapted(arg: &Expr, call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let value = arg.eval(row, ctx)?;
    coerce::adapt(value, arg.data_type(), &call.ty.data_type, ctx)
}
