//! Evaluation of calls.

use aquifer_types::{SqlError, SqlResult, Value};

use super::context::EvalContext;
use super::ir::{Call, Expr};

pub(crate) fn eval_call(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let _ = (call, row, ctx);
    Err(SqlError::not_supported("expression"))
}

pub(crate) fn eval_truth(e: &Expr, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<bool>> {
    let _ = e.eval(row, ctx)?;
    Ok(None)
}
