//! Subqueries: run before the expression that uses their result, which is a parameter.

use std::collections::HashMap;
use std::rc::Rc;

use aquifer_types::convert::is_identical;
use aquifer_types::{SqlError, SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::kept::Kept;
use crate::exec::keyed::{self, KeyedState, Looked};
use crate::exec::operator::{LocalFuture, Operator};
use crate::plan::node::{Apply, ApplyKind};

/// Results of subqueries, by their number.
#[derive(Default)]
pub(crate) struct SubqueryCache<'a> {
    /// Rows of those that depend on nothing and are compared with.
    kept: HashMap<usize, Rc<Kept<'a>>>,
    /// Of correlated ones: the parameters that they ran with last, and the result.
    last: HashMap<usize, (Vec<Value>, Value)>,
    /// Of correlated ones: what they give for all outer rows, or how often they have run.
    pub keyed: HashMap<usize, KeyedState<'a>>,
    /// Whether results of correlated ones may be used again: nothing is written meanwhile.
    pub remembers: bool,
}

/// Computes a subquery for a row of the block around it and puts its result into its parameter.
pub(crate) async fn run<'a>(apply: &'a Apply, row: &[Value], ctx: &mut ExecContext<'a>) -> SqlResult<()> {
    for (slot, expr) in &apply.outer {
        let value = expr.eval(row, &mut ctx.eval)?;
        ctx.eval.params[*slot] = value;
    }
    let result = match at_hand(apply, row, ctx)? {
        Looked::Found(result) => result,
        looked => compute(apply, row, looked, ctx).await?,
    };
    ctx.eval.params[apply.result] = result;
    Ok(())
}

/// The result, if that takes nothing to be read.
fn at_hand<'a>(apply: &'a Apply, row: &[Value], ctx: &mut ExecContext<'a>) -> SqlResult<Looked> {
    if !apply.correlated {
        return match ctx.subqueries.kept.get(&apply.id).map(Rc::clone) {
            Some(kept) => compared(apply, row, &kept, ctx).map(Looked::Found),
            None => Ok(Looked::Unknown),
        };
    }
    if remembers(apply, ctx)
        && let Some(result) = ctx.subqueries.remembered(apply, &ctx.eval.params)
    {
        return Ok(Looked::Found(result));
    }
    match &apply.keyed {
        Some(keyed) => keyed::look(apply, keyed, row, ctx),
        None => Ok(Looked::Unknown),
    }
}

/// Whether the result for the last row is kept: rows of an outer table come together in a join, and with them the same
/// values.
fn remembers(apply: &Apply, ctx: &ExecContext<'_>) -> bool {
    let single = matches!(apply.kind, ApplyKind::Scalar | ApplyKind::Exists);
    ctx.subqueries.remembers && apply.determined && single
}

/// Runs a subquery whose result is not at hand.
fn compute<'b, 'a: 'b>(
    apply: &'a Apply,
    row: &'b [Value],
    looked: Looked,
    ctx: &'b mut ExecContext<'a>,
) -> LocalFuture<'b, SqlResult<Value>> {
    Box::pin(async move {
        if let (Looked::Due, Some(keyed)) = (&looked, &apply.keyed) {
            keyed::read(apply, keyed, ctx).await?;
            if let Looked::Found(result) = keyed::look(apply, keyed, row, ctx)? {
                return Ok(result);
            }
        }
        let before = ctx.memory.used();
        let result = match &apply.kind {
            ApplyKind::Scalar => scalar(apply, ctx).await?,
            ApplyKind::Exists => {
                let mut operator = Operator::open(&apply.query.node, apply.query.row_width, None);
                Value::Int(i64::from(operator.next(ctx).await?.is_some()))
            }
            ApplyKind::Compare { .. } => {
                let kept = Rc::new(kept(apply, ctx).await?);
                if !apply.correlated {
                    ctx.subqueries.kept.insert(apply.id, Rc::clone(&kept));
                }
                compared(apply, row, &kept, ctx)?
            }
        };
        if !apply.correlated {
            return Ok(result);
        }
        ctx.memory.release(ctx.memory.used().saturating_sub(before));
        if let Looked::Missing | Looked::Due = looked {
            ctx.subqueries.keep_empty(apply.id, &result);
        }
        if remembers(apply, ctx) {
            let params = apply.outer.iter().map(|(slot, _)| ctx.eval.params[*slot].clone()).collect();
            ctx.subqueries.last.insert(apply.id, (params, result.clone()));
        }
        Ok(result)
    })
}

impl SubqueryCache<'_> {
    /// Lets results be used again while a statement looks for the rows that it then changes.
    pub(crate) fn begin_search(&mut self) {
        self.remembers = true;
    }

    /// What was read may be different from now on.
    pub(crate) fn end_search(&mut self) {
        self.remembers = false;
        self.last.clear();
        self.keyed.clear();
    }

    /// The result of the last run, if it was with the same parameters.
    fn remembered(&self, apply: &Apply, params: &[Value]) -> Option<Value> {
        let (last, result) = self.last.get(&apply.id)?;
        let mut pairs = apply.outer.iter().zip(last);
        pairs.all(|((slot, _), last)| is_identical(&params[*slot], last)).then(|| result.clone())
    }
}

async fn scalar<'a>(apply: &'a Apply, ctx: &mut ExecContext<'a>) -> SqlResult<Value> {
    let mut operator = Operator::open(&apply.query.node, apply.query.row_width, None);
    let mut result = None;
    while let Some(rows) = operator.next(ctx).await? {
        if rows.count > 1 || rows.count == 1 && result.is_some() {
            return Err(SqlError::new(1242, "Subquery returns more than 1 row"));
        }
        result = rows.values.into_iter().next();
    }
    Ok(result.unwrap_or(Value::Null))
}

/// The rows of a subquery.
async fn kept<'a>(apply: &'a Apply, ctx: &mut ExecContext<'a>) -> SqlResult<Kept<'a>> {
    let mut operator = Operator::open(&apply.query.node, apply.query.row_width, None);
    let mut kept = Kept::new(apply);
    while let Some(rows) = operator.next(ctx).await? {
        if !apply.correlated {
            ctx.memory.charge_values(&rows.values)?;
        }
        (0..rows.count).for_each(|number| kept.push(&rows.row(number)[..apply.query.width]));
    }
    Ok(kept)
}

/// The result of comparing the operands over a row with rows of a subquery.
pub(crate) fn compared<'a>(
    apply: &'a Apply,
    row: &[Value],
    kept: &Kept<'a>,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Value> {
    let ApplyKind::Compare { operands, .. } = &apply.kind else { return Ok(Value::Null) };
    let mut values = Vec::with_capacity(operands.len());
    for operand in operands {
        values.push(operand.eval(row, &mut ctx.eval)?);
    }
    kept.compare(apply, &values, &mut ctx.eval)
}
