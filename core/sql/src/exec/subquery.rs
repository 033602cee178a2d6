//! Subqueries: run before the expression that uses their result, which is a parameter.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use aquifer_types::convert::is_identical;
use aquifer_types::{SqlError, SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::keyed::{KeyedState, Looked, look};
use crate::exec::operator::{LocalFuture, Operator};
use crate::plan::SortType;
use crate::plan::node::{Apply, ApplyKind};

/// Results of subqueries, by their number.
#[derive(Default)]
pub(crate) struct SubqueryCache<'a> {
    kept: HashMap<usize, Rc<Kept>>,
    /// Of correlated ones: the parameters that they ran with last, and the result.
    last: HashMap<usize, (Vec<Value>, Value)>,
    /// Of correlated ones: what they give for all outer rows, or how often they have run.
    pub keyed: HashMap<usize, KeyedState<'a>>,
    /// Whether results may be used again: the statement only reads.
    pub remembers: bool,
}

/// All rows of a subquery.
struct Kept {
    rows: Vec<Vec<Value>>,
    /// Keys of the rows without NULL, when hashing decides equality.
    keys: Option<HashSet<Vec<u8>>>,
    has_null: bool,
}

/// Computes a subquery for a row of the block around it and puts its result into its parameter.
pub(crate) fn run<'b, 'a: 'b>(
    apply: &'a Apply,
    row: &'b [Value],
    ctx: &'b mut ExecContext<'a>,
) -> LocalFuture<'b, SqlResult<()>> {
    Box::pin(async move {
        for (slot, expr) in &apply.outer {
            let value = expr.eval(row, &mut ctx.eval)?;
            ctx.eval.params[*slot] = value;
        }
        // Rows of an outer table come together in a join, and with them the same values.
        let single = matches!(apply.kind, ApplyKind::Scalar | ApplyKind::Exists);
        let remembers = ctx.subqueries.remembers && apply.correlated && apply.determined && single;
        if remembers && let Some(result) = ctx.subqueries.remembered(apply, &ctx.eval.params) {
            ctx.eval.params[apply.result] = result;
            return Ok(());
        }
        let looked = match &apply.keyed {
            Some(keyed) if ctx.subqueries.remembers => look(apply, keyed, ctx).await?,
            _ => Looked::Unknown,
        };
        if let Looked::Found(result) = looked {
            ctx.eval.params[apply.result] = result;
            return Ok(());
        }
        let before = ctx.memory.used();
        let result = match &apply.kind {
            ApplyKind::Scalar => scalar(apply, ctx).await?,
            ApplyKind::Exists => {
                let mut operator = Operator::open(&apply.query.node, apply.query.row_width, None);
                Value::Int(i64::from(operator.next(ctx).await?.is_some()))
            }
            ApplyKind::Compare { operands, hash, .. } => {
                let mut values = Vec::with_capacity(operands.len());
                for operand in operands {
                    values.push(operand.eval(row, &mut ctx.eval)?);
                }
                let types = hash.as_ref().map(|hash| &*hash.types);
                let kept = kept(apply, types, ctx).await?;
                compare(apply, &values, &kept, ctx)?
            }
        };
        if apply.correlated {
            ctx.memory.release(ctx.memory.used().saturating_sub(before));
        }
        if let Looked::Missing = looked {
            ctx.subqueries.keep_empty(apply.id, &result);
        }
        if remembers {
            let params = apply.outer.iter().map(|(slot, _)| ctx.eval.params[*slot].clone()).collect();
            ctx.subqueries.last.insert(apply.id, (params, result.clone()));
        }
        ctx.eval.params[apply.result] = result;
        Ok(())
    })
}

impl SubqueryCache<'_> {
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

/// The rows of a subquery, computed once when it depends on nothing.
async fn kept<'a>(
    apply: &'a Apply,
    hash: Option<&[SortType]>,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Rc<Kept>> {
    if !apply.correlated
        && let Some(kept) = ctx.subqueries.kept.get(&apply.id)
    {
        return Ok(Rc::clone(kept));
    }
    let mut operator = Operator::open(&apply.query.node, apply.query.row_width, None);
    let mut kept = Kept { rows: Vec::new(), keys: hash.map(|_| HashSet::new()), has_null: false };
    while let Some(rows) = operator.next(ctx).await? {
        if !apply.correlated {
            ctx.memory.charge_values(&rows.values)?;
        }
        for number in 0..rows.count {
            let row = rows.row(number);
            kept.has_null |= row.iter().any(Value::is_null);
            if let (Some(types), Some(keys)) = (hash, &mut kept.keys)
                && !row.iter().any(Value::is_null)
            {
                keys.insert(key(row, types));
            }
            kept.rows.push(row.to_vec());
        }
    }
    let kept = Rc::new(kept);
    if !apply.correlated {
        ctx.subqueries.kept.insert(apply.id, Rc::clone(&kept));
    }
    Ok(kept)
}

fn key(row: &[Value], types: &[SortType]) -> Vec<u8> {
    let mut out = Vec::new();
    for (value, ty) in row.iter().zip(types) {
        ty.encode(value, &mut out);
    }
    out
}

/// Three-valued ANY or ALL.
fn compare(apply: &Apply, values: &[Value], kept: &Kept, ctx: &mut ExecContext<'_>) -> SqlResult<Value> {
    let ApplyKind::Compare { operand_slots, row_slots, test, all, hash, .. } = &apply.kind else {
        return Ok(Value::Null);
    };
    if kept.rows.is_empty() {
        return Ok(Value::Int(i64::from(*all)));
    }
    let has_null = values.iter().any(Value::is_null);
    if let (Some(hash), Some(keys)) = (hash, &kept.keys)
        && !has_null
    {
        if keys.contains(&key(values, &hash.types)) {
            return Ok(Value::Int(1));
        }
        if !kept.has_null {
            return Ok(Value::Int(0));
        }
    }
    for (slot, value) in operand_slots.iter().zip(values) {
        ctx.eval.params[*slot] = value.clone();
    }
    let decisive = !*all;
    let mut unknown = false;
    for row in &kept.rows {
        for (slot, value) in row_slots.iter().zip(row) {
            ctx.eval.params[*slot] = value.clone();
        }
        match test.eval(&[], &mut ctx.eval)? {
            Value::Null => unknown = true,
            Value::Int(0) | Value::UInt(0) if decisive => {}
            Value::Int(0) | Value::UInt(0) => return Ok(Value::Int(0)),
            _ if decisive => return Ok(Value::Int(1)),
            _ => {}
        }
    }
    Ok(if unknown { Value::Null } else { Value::Int(i64::from(*all)) })
}
