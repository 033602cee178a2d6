//! Joins.

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::join_spill::SpilledJoin;
use crate::exec::join_table::{Inner, JoinTable, Matches, place};
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::scan::passes;
use crate::exec::spill::Spilled;
use crate::exec::subquery;
use crate::plan::node::{JoinMethod, JoinNode, JoinType};

/// A join at work: for each outer row its inner rows, then (left join) a row of NULLs if none matched.
pub(crate) struct JoinOp<'a> {
    node: &'a JoinNode,
    width: usize,
    outer: Operator<'a>,
    rows: Option<(Rows, usize)>,
    /// Inner rows, once they have been read, unless they are looked up.
    inner: Option<JoinTable<'a>>,
    /// Both sides, when the inner rows are too many to be kept.
    files: Option<SpilledJoin<'a>>,
    /// Inner rows of the present outer row not yet joined.
    pending: Option<Pending<'a>>,
    matched: bool,
    key: Vec<Value>,
}

enum Pending<'a> {
    /// The inner side for one outer row, and the bytes that it keeps.
    Operator(Operator<'a>, usize),
    Kept(Matches),
    /// The key has a NULL.
    Nothing,
}

impl<'a> JoinOp<'a> {
    pub(crate) fn new(node: &'a JoinNode, width: usize, outer: Option<&[Value]>) -> Self {
        Self {
            node,
            width,
            outer: Operator::open(&node.outer, width, outer),
            rows: None,
            inner: None,
            files: None,
            pending: None,
            matched: false,
            key: Vec::new(),
        }
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        let mut out = Rows::new(self.width);
        while out.count < BATCH_ROWS {
            let ended = match &self.rows {
                None => true,
                Some((rows, at)) => *at >= rows.count,
            };
            if ended {
                ctx.txn.check_interrupted()?;
                match self.outer_rows(ctx).await? {
                    None => break,
                    Some(rows) => self.rows = Some((rows, 0)),
                }
                continue;
            }
            self.join_row(&mut out, ctx).await?;
        }
        Ok((out.count > 0).then_some(out))
    }

    /// What went into files.
    pub(crate) fn spilled(&self) -> Spilled {
        self.files.as_ref().map_or_else(Spilled::default, SpilledJoin::spilled)
    }

    /// The next outer rows. With the first the inner side is read, unless it is looked up.
    async fn outer_rows(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        if let Some(files) = &mut self.files {
            return Box::pin(files.next(&mut self.inner, ctx)).await;
        }
        let Some(rows) = self.outer.next(ctx).await? else { return Ok(None) };
        if self.inner.is_some() || matches!(self.node.method, JoinMethod::Lookup) {
            return Ok(Some(rows));
        }
        let inner = Operator::open(&self.node.inner, self.width, None);
        match JoinTable::read(self.node, inner, ctx).await? {
            Inner::Memory(table) => {
                self.inner = Some(table);
                Ok(Some(rows))
            }
            Inner::Files(inner, hashing) => {
                let files = SpilledJoin::open(self.node, (inner, hashing), rows, &mut self.outer, ctx);
                let files = Box::pin(files).await?;
                Box::pin(self.files.insert(files).next(&mut self.inner, ctx)).await
            }
        }
    }

    /// Joins the present outer row; stops early when the batch is full.
    async fn join_row(&mut self, out: &mut Rows, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        let Some((rows, at)) = self.rows.take() else { return Ok(()) };
        let outer = rows.row(at);
        if self.pending.is_none() {
            self.matched = false;
            self.pending = Some(self.start(outer, ctx)?);
        }
        let ended = self.continue_row(outer, out, ctx).await?;
        if ended {
            self.pending = None;
            let unmatched = match &mut self.files {
                None => !self.matched,
                Some(files) => files.is_unmatched(at, self.matched),
            };
            if unmatched && self.node.kind == JoinType::Left {
                let start = out.values.len();
                out.push(outer);
                for slots in std::iter::once(&self.node.inner_slots).chain(&self.node.more_inner_slots) {
                    out.values[start + slots.start..start + slots.end].fill(Value::Null);
                }
            }
        }
        self.rows = Some((rows, if ended { at + 1 } else { at }));
        Ok(())
    }

    fn start(&mut self, outer: &[Value], ctx: &mut ExecContext<'a>) -> SqlResult<Pending<'a>> {
        let node = self.node;
        let Some(table) = &self.inner else {
            return Ok(Pending::Operator(Operator::open(&node.inner, self.width, Some(outer)), 0));
        };
        self.key.clear();
        if let JoinMethod::Hash(pairs, _) = &node.method {
            for (expr, _) in pairs {
                let value = expr.eval(outer, &mut ctx.eval)?;
                if value.is_null() {
                    return Ok(Pending::Nothing);
                }
                self.key.push(value);
            }
        }
        Ok(Pending::Kept(table.matches(&self.key)))
    }

    /// Adds matches of the outer row to `out`; `true` when there are no more.
    async fn continue_row(
        &mut self,
        outer: &[Value],
        out: &mut Rows,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<bool> {
        match self.pending.take() {
            None | Some(Pending::Nothing) => Ok(true),
            Some(Pending::Operator(mut operator, kept)) => {
                let before = ctx.memory.used();
                let rows = operator.next(ctx).await?;
                let kept = (kept + ctx.memory.used()).saturating_sub(before);
                let Some(rows) = rows else {
                    ctx.memory.release(kept);
                    return Ok(true);
                };
                let mut values = rows.values.into_iter();
                if self.node.on.is_empty() && self.node.applies.is_empty() {
                    out.values.extend(values);
                    out.count += rows.count;
                    self.matched = true;
                } else {
                    for _ in 0..rows.count {
                        out.values.extend(values.by_ref().take(rows.width));
                        out.count += 1;
                        self.matched |= test_last(self.node, out, ctx).await?;
                    }
                }
                self.pending = Some(Pending::Operator(operator, kept));
                Ok(false)
            }
            Some(Pending::Kept(mut matches)) => {
                let Some(table) = &self.inner else { return Ok(true) };
                for _ in 0..BATCH_ROWS {
                    let Some(kept) = table.next(&mut matches) else { return Ok(true) };
                    let start = out.values.len();
                    out.push(outer);
                    let row = &mut out.values[start..];
                    place(row, kept, &self.node.inner_slots, &self.node.more_inner_slots);
                    self.matched |= test_last(self.node, out, ctx).await?;
                }
                self.pending = Some(Pending::Kept(matches));
                Ok(false)
            }
        }
    }
}

/// Takes the last row away again unless it satisfies the conditions of the join.
async fn test_last<'a>(node: &'a JoinNode, out: &mut Rows, ctx: &mut ExecContext<'a>) -> SqlResult<bool> {
    let start = out.values.len() - out.width;
    for apply in &node.applies {
        subquery::run(apply, &out.values[start..], ctx).await?;
    }
    let passed = passes(&node.on, &out.values[start..], &mut ctx.eval)?;
    if !passed {
        out.values.truncate(start);
        out.count -= 1;
    }
    Ok(passed)
}
