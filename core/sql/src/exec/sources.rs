//! Rows that do not come from stored tables: derived tables, virtual tables, iterations of a recursive one.

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::memory::bytes_of;
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::scan::passes;
use crate::exec::spill::{Spilled, StreamReader, StreamWriter};
use crate::expr::Expr;
use crate::plan::node::{QueryPlan, VirtualScan};
use crate::temporary_space::SpillEvent;

/// Rows of a derived table, placed into rows of the block.
pub(crate) struct DerivedOp<'a> {
    pub query: &'a QueryPlan,
    pub input: Operator<'a>,
    /// Where the rows of a common table are kept, and how many of them were given.
    pub kept: Option<(usize, usize)>,
    /// The rows of a common table that are in a file.
    pub file: Option<StreamReader>,
    /// What this reader has put there.
    pub spilled: Spilled,
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
        if given == 0 && self.file.is_none() && ctx.work.get(id).is_none() {
            if ctx.work.file(id).is_none() {
                Box::pin(self.keep_rows(id, ctx)).await?;
            }
            self.file = ctx.work.file(id).map(StreamReader::new);
        }
        if let Some(file) = &mut self.file {
            return file.batch(ctx).await;
        }
        let Some(all) = ctx.work.get(id) else { return Ok(None) };
        let mut out = Rows::new(all.width);
        (given..all.count.min(given + BATCH_ROWS)).for_each(|number| out.push(all.row(number)));
        self.kept = Some((id, given + out.count));
        Ok(out.not_empty())
    }

    /// Computes the rows of a common table and keeps them, in a file if they are many.
    async fn keep_rows(&mut self, id: usize, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        let width = self.query.width;
        let mut all = Rows::new(width);
        let mut held = 0;
        while let Some(rows) = self.input.next(ctx).await? {
            let bytes = bytes_of(&rows.values);
            ctx.memory.keep(bytes)?;
            held += bytes;
            (0..rows.count).for_each(|number| all.push(&rows.row(number)[..width]));
            if ctx.must_spill(held)? {
                ctx.memory.release_kept(held);
                return Box::pin(self.keep_in_file(id, all, ctx)).await;
            }
        }
        ctx.work.keep(id, all);
        Ok(())
    }

    /// Writes rows of a common table, and those that follow, to a file.
    async fn keep_in_file(&mut self, id: usize, first: Rows, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        ctx.count_spill(SpillEvent::Operator);
        let width = first.width;
        let file = ctx.spill_file()?;
        let mut writer = StreamWriter::new(&file, width, ctx);
        let mut batch = Some(first);
        while let Some(rows) = batch {
            for number in 0..rows.count {
                writer.push(&[&rows.row(number)[..width]], ctx).await?;
            }
            batch = self.input.next(ctx).await?;
        }
        let stream = writer.finish(ctx).await?;
        self.spilled = Spilled { bytes: stream.bytes(), parts: 1, sorted: false };
        ctx.work.keep_file(id, stream);
        Ok(())
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
