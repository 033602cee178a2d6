//! Conditions that follow from a disjunction and can be tested, or used by an index, before all of its tables are joined.
//!
//! What every branch demands is demanded by the whole: `(a.x = b.x AND …) OR (a.x = b.x AND …)` joins by `a.x = b.x`.
//! What every branch demands of one table is a disjunction over that table: `(a.x = 1 AND b.y = 2) OR (a.x = 3 AND
//! b.y = 4)` needs `a.x = 1 OR a.x = 3`. The disjunction itself stays as it is.

use aquifer_types::SqlResult;

use crate::expr::{self, BinaryOp, BindContext, Expr};
use crate::plan::access::has_volatile;
use crate::plan::assemble::mentions;

/// Most branches that are looked at.
const BRANCHES_MAX: usize = 64;

/// The conditions that follow from disjunctions among `conditions`; `table` says to which table a slot belongs. What
/// mentions one of `results`, which subqueries give for each row, stays where the subqueries are run.
pub(super) fn implied(
    conditions: &[Expr],
    results: &[usize],
    table: &dyn Fn(usize) -> Option<usize>,
    bind: &BindContext,
) -> SqlResult<Vec<Expr>> {
    let mut out = Vec::new();
    for condition in conditions.iter().filter(|condition| condition.as_or().is_some()) {
        let mut branches = Vec::new();
        split(condition, &|expr| expr.as_or(), &mut branches);
        let only_one = tables_of(condition, table).is_none_or(|tables| tables.len() < 2);
        if branches.len() > BRANCHES_MAX || only_one || has_volatile(condition) {
            continue;
        }
        let parts: Vec<Vec<&Expr>> = branches
            .iter()
            .map(|branch| {
                let mut parts = Vec::new();
                split(branch, &|expr| expr.as_and(), &mut parts);
                parts.retain(|part| !mentions(part, results));
                parts
            })
            .collect();
        let Some((first, others)) = parts.split_first() else { continue };
        let common = first.iter().filter(|part| others.iter().all(|other| other.contains(part)));
        let mut all: Vec<Expr> = common.map(|part| (*part).clone()).collect();
        for wanted in tables_of(condition, table).unwrap_or_default() {
            all.extend(of_table(&parts, wanted, table, bind)?);
        }
        for found in all {
            if !conditions.contains(&found) && !out.contains(&found) {
                out.push(found);
            }
        }
    }
    Ok(out)
}

/// The disjunction of what each branch demands of one table; `None` when some branch demands nothing of it.
fn of_table(
    branches: &[Vec<&Expr>],
    wanted: usize,
    table: &dyn Fn(usize) -> Option<usize>,
    bind: &BindContext,
) -> SqlResult<Option<Expr>> {
    let mut whole: Option<Expr> = None;
    for parts in branches {
        let mut branch: Option<Expr> = None;
        for part in parts.iter().filter(|part| tables_of(part, table).as_deref() == Some(&[wanted])) {
            branch = Some(joined(branch, BinaryOp::And, (*part).clone(), bind)?);
        }
        let Some(branch) = branch else { return Ok(None) };
        whole = match whole {
            Some(whole) if whole == branch => Some(whole),
            whole => Some(joined(whole, BinaryOp::Or, branch, bind)?),
        };
    }
    Ok(whole)
}

fn joined(left: Option<Expr>, op: BinaryOp, right: Expr, bind: &BindContext) -> SqlResult<Expr> {
    match left {
        None => Ok(right),
        Some(left) => expr::binary(op, left, right, bind),
    }
}

/// The tables of an expression, ascending; `None` when a column belongs to no table.
fn tables_of(expr: &Expr, table: &dyn Fn(usize) -> Option<usize>) -> Option<Vec<usize>> {
    let mut tables: Vec<usize> = expr.columns().into_iter().map(table).collect::<Option<_>>()?;
    tables.sort_unstable();
    tables.dedup();
    Some(tables)
}

/// The operands of an associative operator, however they are nested.
fn split<'e>(
    expr: &'e Expr,
    operands: &dyn Fn(&'e Expr) -> Option<(&'e Expr, &'e Expr)>,
    out: &mut Vec<&'e Expr>,
) {
    match operands(expr) {
        Some((left, right)) => {
            split(left, operands, out);
            split(right, operands, out);
        }
        None => out.push(expr),
    }
}
