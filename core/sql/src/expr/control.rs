//! Functions that choose among their arguments.

use std::cmp::Ordering;

use aquifer_types::{SqlResult, Value};

use super::build::{bool_type, call};
use super::context::{BindContext, EvalContext};
use super::domain::prepare;
use super::eval::{adapted, eval_truth, truth_value};
use super::function::{FunctionDef, MANY, def, value};
use super::infer::{any_nullable, common_type, int_type, number, typed};
use super::ir::{Call, Expr, ExprType, Op};
use super::{coerce, compare, domain};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("if", 3, 3, infer_if, eval_if),
    def("ifnull", 2, 2, infer_coalesce, eval_coalesce),
    def("coalesce", 1, MANY, infer_coalesce, eval_coalesce),
    def(
        "isnull",
        1,
        1,
        |_, _| Ok(bool_type(false)),
        |c, r, x| Ok(truth_value(Some(value(c, 0, r, x)?.is_null()))),
    ),
    def("greatest", 2, MANY, infer_extreme, |c, r, x| extreme(c, r, x, Ordering::Greater)),
    def("least", 2, MANY, infer_extreme, |c, r, x| extreme(c, r, x, Ordering::Less)),
    def("interval", 2, MANY, |_, _| Ok(number(int_type(2), false)), eval_interval),
    def("any_value", 1, 1, |args, _| Ok(args[0].expr_type().clone()), |c, r, x| value(c, 0, r, x)),
];

fn infer_if(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let (ty, strength) = common_type(&args[1..], "if", bind)?;
    Ok(typed(ty, any_nullable(&args[1..]), strength))
}

fn eval_if(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let chosen = if eval_truth(&call.args[0], row, ctx)? == Some(true) { 1 } else { 2 };
    adapted(&call.args[chosen], call, row, ctx)
}

fn infer_coalesce(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let (ty, strength) = common_type(args, "coalesce", bind)?;
    Ok(typed(ty, args.iter().all(Expr::nullable), strength))
}

fn eval_coalesce(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    for arg in &call.args {
        let value = arg.eval(row, ctx)?;
        if !value.is_null() {
            return coerce::adapt(value, arg.data_type(), &call.ty.data_type, ctx);
        }
    }
    Ok(Value::Null)
}

/// NULLIF: the domain of its comparison is found when it is bound.
///
/// # Errors
/// 1267.
pub(crate) fn nullif(a: Expr, b: Expr, bind: &BindContext) -> SqlResult<Expr> {
    let (mut a, mut b) = (a, b);
    let ty = ExprType { nullable: true, ..a.expr_type().clone() };
    let domain = prepare(&mut a, &mut b, "nullif", bind)?;
    Ok(call(Op::NullIf(domain), vec![a, b], ty))
}

fn infer_extreme(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let (ty, strength) = common_type(args, "greatest", bind)?;
    for arg in args.iter_mut() {
        super::infer::to_charset_of(arg, ty.collation);
    }
    Ok(typed(ty, any_nullable(args), strength))
}

fn extreme(call: &Call, row: &[Value], ctx: &mut EvalContext, wanted: Ordering) -> SqlResult<Value> {
    let ty = &call.ty.data_type;
    let domain = domain::own_domain(ty);
    let mut best: Option<Value> = None;
    for arg in &call.args {
        let candidate = adapted(arg, call, row, ctx)?;
        if candidate.is_null() {
            return Ok(Value::Null);
        }
        best = match best {
            Some(b) if compare::order(domain, (&candidate, ty), (&b, ty), ctx)? != Some(wanted) => Some(b),
            _ => Some(candidate),
        };
    }
    Ok(best.unwrap_or(Value::Null))
}

fn eval_interval(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(n) = super::function::double(call, 0, row, ctx)? else {
        return Ok(Value::Int(-1));
    };
    let mut count = 0;
    for i in 1..call.args.len() {
        match super::function::double(call, i, row, ctx)? {
            Some(bound) if n < bound => break,
            _ => count += 1,
        }
    }
    Ok(Value::Int(count))
}
