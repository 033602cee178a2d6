//! Expressions above GROUP BY: they see keys, aggregates, and (where allowed) columns of a group's first row.

use aquifer_catalog::IndexKind;
use aquifer_types::{SqlError, SqlResult};

use crate::expr::Expr;
use crate::plan::bind_expr::AGGREGATE_BASE;
use crate::plan::node::{Apply, ApplyKind};
use crate::plan::scope::Scope;

/// A grouping while the expressions above it are rewritten.
pub(crate) struct Grouping<'g> {
    pub groups: &'g [Expr],
    pub aggregates: usize,
    /// Columns of the input that are neither keys nor within aggregates.
    pub carried: Vec<Expr>,
    /// ONLY_FULL_GROUP_BY.
    pub strict: bool,
    pub scope: &'g Scope<'g>,
}

/// Rewrites everything above the grouping to its output row.
pub(crate) fn grouped(
    grouping: &mut Grouping<'_>,
    output: &mut [Expr],
    having: &mut [Expr],
    order: &mut [(Expr, bool)],
    applies: &mut [Apply],
) -> SqlResult<()> {
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
            *expr = Expr::Column { index: key, ty: expr.expr_type().clone() };
            return Ok(());
        }
        match expr {
            Expr::Column { index, .. } if *index >= AGGREGATE_BASE => {
                *index = self.groups.len() + (*index - AGGREGATE_BASE);
                Ok(())
            }
            Expr::Column { index, .. } => {
                let slot = *index;
                if self.strict && !self.depends_on_keys(slot) {
                    return Err(self.not_grouped(slot, place));
                }
                let known = self.carried.iter().position(|carried| carried == expr);
                let number = known.unwrap_or(self.carried.len());
                if known.is_none() {
                    self.carried.push(expr.clone());
                }
                if let Expr::Column { index, .. } = expr {
                    *index = self.groups.len() + self.aggregates + number;
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
            Expr::Literal { .. } | Expr::Param { .. } => Ok(()),
        }
    }

    /// Whether the keys determine a column: they hold a unique key of its table without NULLs.
    fn depends_on_keys(&self, slot: usize) -> bool {
        let Some(number) = self.scope.table_of(slot) else { return false };
        let table = &self.scope.tables[number];
        let Some(info) = &table.info else { return false };
        let grouped = |column: usize| {
            self.groups
                .iter()
                .any(|g| matches!(g, Expr::Column { index, .. } if *index == table.offset + column))
        };
        info.indexes.iter().any(|index| {
            matches!(index.kind, IndexKind::Primary | IndexKind::Unique)
                && index.columns.iter().all(|c| grouped(*c) && !info.table.columns[*c].nullable)
        })
    }

    fn not_grouped(&self, slot: usize, place: &str) -> SqlError {
        let name = self.scope.table_of(slot).map_or_else(String::new, |number| {
            let table = &self.scope.tables[number];
            let schema = if table.schema.is_empty() { String::new() } else { format!("{}.", table.schema) };
            format!("{schema}{}.{}", table.alias, table.columns[slot - table.offset].name)
        });
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
