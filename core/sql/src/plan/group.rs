//! Expressions above GROUP BY: they see keys, aggregates, and (where allowed) columns of a group's first row.

use aquifer_types::{SqlError, SqlResult};

use crate::ast::JoinKind;
use crate::expr::aggregate::Aggregate;
use crate::expr::{CompareOp, Expr};
use crate::plan::before_group::EarlyResult;
use crate::plan::bind_expr::AGGREGATE_BASE;
use crate::plan::from::Tree;
use crate::plan::node::{Apply, ApplyKind};
use crate::plan::scope::Scope;
use crate::plan::window::WINDOW_BASE;

/// A grouping while the expressions above it are rewritten.
pub(crate) struct Grouping<'g> {
    pub groups: &'g [Expr],
    pub aggregates: usize,
    /// Columns of the input that are neither keys nor within aggregates.
    pub carried: Vec<Expr>,
    /// ONLY_FULL_GROUP_BY.
    pub strict: bool,
    /// WITH ROLLUP: keys may be NULL although their expressions are not.
    pub rollup: bool,
    /// Slots whose value the keys determine.
    pub determined: &'g [bool],
    /// Results of subqueries that are there below the grouping only.
    pub early: &'g [EarlyResult],
    pub scope: &'g Scope<'g>,
}

/// Rewrites everything above the grouping to its output row.
pub(crate) fn grouped(
    grouping: &mut Grouping<'_>,
    output: &mut [Expr],
    having: &mut [Expr],
    order: &mut [(Expr, bool)],
    applies: &mut [Apply],
    windows: &mut [&mut Expr],
) -> SqlResult<()> {
    for expr in windows {
        grouping.rewrite(expr, "Expression #1 of SELECT list")?;
    }
    for (number, expr) in output.iter_mut().enumerate() {
        grouping.rewrite(expr, &format!("Expression #{} of SELECT list", number + 1))?;
    }
    for expr in having {
        grouping.rewrite(expr, "Expression #1 of HAVING clause")?;
    }
    for (number, (expr, _)) in order.iter_mut().enumerate() {
        grouping.rewrite(expr, &format!("Expression #{} of ORDER BY clause", number + 1))?;
    }
    for apply in applies {
        for (_, expr) in &mut apply.outer {
            grouping.rewrite(expr, "Expression #1 of SELECT list")?;
        }
        if let ApplyKind::Compare { operands, .. } = &mut apply.kind {
            for expr in operands {
                grouping.rewrite(expr, "Expression #1 of SELECT list")?;
            }
        }
    }
    Ok(())
}

impl Grouping<'_> {
    /// Output row: keys, aggregates, carried columns.
    fn rewrite(&mut self, expr: &mut Expr, place: &str) -> SqlResult<()> {
        if let Some(key) = self.groups.iter().position(|group| group == expr) {
            let mut ty = expr.expr_type().clone();
            ty.nullable |= self.rollup;
            *expr = Expr::Column { index: key, ty };
            return Ok(());
        }
        match expr {
            Expr::Column { index, .. } if *index >= WINDOW_BASE => Ok(()),
            Expr::Column { index, .. } if *index >= AGGREGATE_BASE => {
                *index = self.groups.len() + (*index - AGGREGATE_BASE);
                Ok(())
            }
            Expr::Column { index, .. } => {
                let slot = *index;
                if self.strict && !self.determined.get(slot).copied().unwrap_or(false) {
                    return Err(self.not_grouped(slot, place));
                }
                self.carry(expr);
                Ok(())
            }
            Expr::Param { index, .. } => {
                let result = *index;
                if let Some(early) = self.early.iter().find(|early| early.result == result) {
                    if self.strict
                        && let Some(slot) = early.undetermined(self.determined)
                    {
                        return Err(self.not_grouped(slot, place));
                    }
                    self.carry(expr);
                }
                Ok(())
            }
            Expr::Call(_) if matches!(expr.as_function(), Some(("any_value", _))) => {
                let strict = std::mem::replace(&mut self.strict, false);
                let result = match expr {
                    Expr::Call(call) => call.args.iter_mut().try_for_each(|arg| self.rewrite(arg, place)),
                    _ => Ok(()),
                };
                self.strict = strict;
                result
            }
            Expr::Call(call) => call.args.iter_mut().try_for_each(|arg| self.rewrite(arg, place)),
            Expr::Literal { .. } => Ok(()),
        }
    }

    /// Takes the value from a group's first row.
    fn carry(&mut self, expr: &mut Expr) {
        let known = self.carried.iter().position(|carried| carried == expr);
        let number = known.unwrap_or(self.carried.len());
        let ty = expr.expr_type().clone();
        let index = self.groups.len() + self.aggregates + number;
        let carried = std::mem::replace(expr, Expr::Column { index, ty });
        if known.is_none() {
            self.carried.push(carried);
        }
    }

    /// The keys that a GROUPING asks for; `None` for any other aggregate.
    pub(crate) fn keys_of(&self, aggregate: &Aggregate) -> SqlResult<Option<Vec<usize>>> {
        let Some(args) = aggregate.grouping_args() else { return Ok(None) };
        if !self.rollup {
            return Err(SqlError::new(1111, "Invalid use of group function"));
        }
        let key = |(number, arg): (usize, &Expr)| {
            self.groups.iter().position(|group| group == arg).ok_or_else(|| {
                let text = format!("Argument #{number} of GROUPING function is not in GROUP BY");
                SqlError::new(3602, text)
            })
        };
        args.iter().enumerate().map(key).collect::<SqlResult<_>>().map(Some)
    }

    fn not_grouped(&self, slot: usize, place: &str) -> SqlError {
        let name = self.scope.slot_name(slot).unwrap_or_default();
        if self.groups.is_empty() {
            return SqlError::new(
                1140,
                format!(
                    "In aggregated query without GROUP BY, {} contains nonaggregated column '{name}'; this is \
                     incompatible with sql_mode=only_full_group_by",
                    place.replacen("Expression", "expression", 1)
                ),
            );
        }
        SqlError::new(
            1055,
            format!(
                "{place} is not in GROUP BY clause and contains nonaggregated column '{name}' which is not \
                 functionally dependent on columns in GROUP BY clause; this is incompatible with \
                 sql_mode=only_full_group_by"
            ),
        )
    }
}

/// Slots whose value is the same for all rows of a group: keys, what equals a constant or a determined slot, and
/// all columns of a table of which a unique key without NULLs is determined (manual 12.19.3).
pub(crate) fn determined(
    groups: &[Expr],
    conditions: &[Expr],
    tree: Option<&Tree>,
    scope: &Scope<'_>,
) -> Vec<bool> {
    let mut known = vec![false; scope.width];
    for group in groups {
        if let Expr::Column { index, .. } = group
            && let Some(slot) = known.get_mut(*index)
        {
            *slot = true;
        }
    }
    let mut equalities = Vec::new();
    both_ways(conditions, &mut equalities);
    if let Some(tree) = tree {
        join_equalities(tree, scope, &mut equalities);
    }
    loop {
        let before = known.iter().filter(|known| **known).count();
        for (column, other) in &equalities {
            let fixed = other.is_constant() || other.columns().iter().all(|c| known.get(*c) == Some(&true));
            if fixed && let Some(slot) = known.get_mut(*column) {
                *slot = true;
            }
        }
        for table in &scope.tables {
            let Some(info) = &table.info else { continue };
            let unique = info.indexes.iter().any(|index| {
                index.is_unique()
                    && index
                        .columns
                        .iter()
                        .all(|c| known[table.offset + *c] && !info.table.columns[*c].nullable)
            });
            if unique {
                known[table.offset..table.offset + table.columns.len()].fill(true);
            }
        }
        if known.iter().filter(|known| **known).count() == before {
            return known;
        }
    }
}

/// Columns that equal something, with what they equal.
fn both_ways<'c>(conditions: &'c [Expr], out: &mut Vec<(usize, &'c Expr)>) {
    for condition in conditions {
        let Some((CompareOp::Eq, left, right)) = condition.as_comparison() else { continue };
        for (column, other) in [(left, right), (right, left)] {
            if let Expr::Column { index, .. } = column {
                out.push((*index, other));
            }
        }
    }
}

/// Equalities of ON. Those of a left join determine columns of its right side, if there is nothing else in it:
/// then whether a row has a match is determined with them.
fn join_equalities<'t>(tree: &'t Tree, scope: &Scope<'_>, out: &mut Vec<(usize, &'t Expr)>) {
    let Tree::Join { left, right, kind, on, .. } = tree else { return };
    let mut found = Vec::new();
    both_ways(on, &mut found);
    if *kind == JoinKind::Left {
        let plain = on.iter().all(|c| matches!(c.as_comparison(), Some((CompareOp::Eq, ..))));
        let mut tables = Vec::new();
        super::join_order::leaves(right, &mut tables);
        found.retain(|(column, _)| plain && scope.table_of(*column).is_some_and(|t| tables.contains(&t)));
    }
    out.extend(found);
    join_equalities(left, scope, out);
    join_equalities(right, scope, out);
}
