//! Rows that do not come from stored tables: derived tables, virtual tables, iterations of a recursive one.

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::scan::passes;
use crate::expr::Expr;
use crate::plan::node::{QueryPlan, VirtualScan};

/// Rows of a derived table, placed into rows of the block.
pub(crate) struct DerivedOp<'a> {
    pub query: &'a QueryPlan,
    pub input: Operator<'a>,
    /// Where the rows of a common table are kept, and how many of them were given.
    pub kept: Option<(usize, usize)>,
    /// Parameters of a lateral table, to be set before the first row.
    pub outer: &'a [(usize, Expr)],
    pub offset: usize,
    pub filter: &'a [Expr],
    pub base: Vec<Value>,
}

/// Rows of a virtual table.
pub(crate) fn virtual_rows(
    scan: &VirtualScan,
    base: &mut [Value],
    done: &mut bool,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Option<Rows>> {
    if std::mem::replace(done, true) {
        return Ok(None);
    }
    let mut equals = Vec::with_capacity(scan.equals.len());
    for (column, value) in &scan.equals {
        equals.push((*column, value.eval(base, &mut ctx.eval)?));
    }
    let rows = ctx.virtual_tables.rows(&scan.table, &ctx.txn.catalog(), &equals)?;
    let mut out = Rows::new(base.len());
    for row in rows {
        for (slot, value) in base[scan.offset..scan.offset + scan.table.columns.len()].iter_mut().zip(row) {
            *slot = value;
        }
        if passes(&scan.filter, base, &mut ctx.eval)? {
            out.push(base);
        }
    }
    Ok(out.not_empty())
}

/// Rows of the iteration before.
pub(crate) fn work_rows(
    id: usize,
    slots: std::ops::Range<usize>,
    filter: &[Expr],
    base: &mut [Value],
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Option<Rows>> {
    let Some(rows) = ctx.work.get(id) else { return Ok(None) };
    let mut out = Rows::new(base.len());
    for number in 0..rows.count {
        base[slots.clone()].clone_from_slice(&rows.row(number)[..slots.len()]);
        if passes(filter, base, &mut ctx.eval)? {
            out.push(base);
        }
    }
    Ok(out.not_empty())
}

impl<'a> DerivedOp<'a> {
    /// The next rows of a common table, all of which are computed by its first reader.
    async fn kept_rows(
        &mut self,
        id: usize,
        given: usize,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Option<Rows>> {
        let all = match ctx.work.get(id) {
            Some(all) => all,
            None => {
                let mut all = Rows::new(self.query.width);
                while let Some(rows) = self.input.next(ctx).await? {
                    ctx.memory.charge_kept(&rows.values)?;
                    (0..rows.count).for_each(|number| all.push(&rows.row(number)[..self.query.width]));
                }
                ctx.work.keep(id, all)
            }
        };
        let mut out = Rows::new(all.width);
        (given..all.count.min(given + BATCH_ROWS)).for_each(|number| out.push(all.row(number)));
        self.kept = Some((id, given + out.count));
        Ok(out.not_empty())
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        for (slot, expr) in std::mem::take(&mut self.outer) {
            let value = expr.eval(&self.base, &mut ctx.eval)?;
            ctx.eval.params[*slot] = value;
        }
        loop {
            let rows = match self.kept {
                Some((id, given)) => self.kept_rows(id, given, ctx).await?,
                None => self.input.next(ctx).await?,
            };
            let Some(rows) = rows else { return Ok(None) };
            let mut out = Rows::new(self.base.len());
            for number in 0..rows.count {
                self.base[self.offset..self.offset + self.query.width]
                    .clone_from_slice(&rows.row(number)[..self.query.width]);
                if passes(self.filter, &self.base, &mut ctx.eval)? {
                    out.push(&self.base);
                }
            }
            if out.count > 0 {
                return Ok(Some(out));
            }
        }
    }
}
