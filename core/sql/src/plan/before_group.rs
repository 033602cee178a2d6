//! Subqueries whose results GROUP BY and the arguments of aggregates need. They run for each row below the grouping,
//! those of the rest of the select list for each group above it.

use aquifer_types::{SqlError, SqlResult};

use crate::expr::Expr;
use crate::expr::aggregate::Aggregate;
use crate::plan::assemble::mentions;
use crate::plan::bind_expr::AGGREGATE_BASE;
use crate::plan::node::{Apply, ApplyKind};

/// A subquery that runs below the grouping.
pub(crate) struct EarlyResult {
    /// The parameter that gets the result.
    pub result: usize,
    /// Columns that decide it.
    columns: Vec<usize>,
}

impl EarlyResult {
    pub(crate) fn all(applies: &[Apply]) -> Vec<Self> {
        let columns = |apply: &Apply| inputs(apply).flat_map(Expr::columns).collect();
        applies.iter().map(|apply| Self { result: apply.result, columns: columns(apply) }).collect()
    }

    /// A column that decides the result and that the keys do not determine.
    pub(crate) fn undetermined(&self, determined: &[bool]) -> Option<usize> {
        self.columns.iter().copied().find(|column| determined.get(*column) != Some(&true))
    }
}

/// Moves what keys and aggregates need, and what that needs itself, from `late` to `early`; the order is kept.
///
/// # Errors
/// 1056 where a key depends on an aggregate, 1111 where an aggregate does.
pub(super) fn take_early(
    groups: &[Expr],
    aggregates: &[Aggregate],
    late: &mut Vec<Apply>,
    early: &mut Vec<Apply>,
) -> SqlResult<()> {
    let args =
        aggregates.iter().flat_map(|each| each.args.iter().chain(each.order_by.iter().map(|(expr, _)| expr)));
    let mut needed: Vec<&Expr> = groups.iter().chain(args).chain(early.iter().flat_map(inputs)).collect();
    let mut taken = vec![false; late.len()];
    // A subquery needs only what was bound before it.
    for (number, apply) in late.iter().enumerate().rev() {
        if needed.iter().any(|expr| mentions(expr, &[apply.result])) {
            taken[number] = true;
            needed.extend(inputs(apply));
        }
    }
    let mut taken = taken.into_iter();
    let (mut moved, kept) = std::mem::take(late).into_iter().partition(|_| taken.next() == Some(true));
    *late = kept;
    if moved.iter().flat_map(inputs).any(above_grouping) {
        let is_key =
            moved.iter().any(|apply: &Apply| groups.iter().any(|key| mentions(key, &[apply.result])));
        return Err(if is_key {
            SqlError::new(1056, "Can't group on an aggregate")
        } else {
            SqlError::new(1111, "Invalid use of group function")
        });
    }
    moved.append(early);
    *early = moved;
    Ok(())
}

/// What a subquery takes from the row around it.
fn inputs(apply: &Apply) -> impl Iterator<Item = &Expr> {
    let operands = match &apply.kind {
        ApplyKind::Compare { operands, .. } => &operands[..],
        _ => &[],
    };
    apply.outer.iter().map(|(_, expr)| expr).chain(operands)
}

/// Whether an expression is over aggregates or window functions.
fn above_grouping(expr: &Expr) -> bool {
    expr.columns().iter().any(|column| *column >= AGGREGATE_BASE)
}
