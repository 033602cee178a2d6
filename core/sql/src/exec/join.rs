//! Joins.

use std::collections::HashMap;

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::scan::passes;
use crate::exec::subquery;
use crate::plan::node::{JoinMethod, JoinNode, JoinType};

/// A join at work: for each outer row its inner rows, then (left join) a row of NULLs if none matched.
pub(crate) struct JoinOp<'a> {
    node: &'a JoinNode,
    width: usize,
    outer: Operator<'a>,
    rows: Option<(Rows, usize)>,
    inner: Inner,
    /// Inner rows of the present outer row not yet joined.
    pending: Option<Pending<'a>>,
    matched: bool,
}

enum Inner {
    Lookup,
    Unread,
    Buffered(Rows),
    Hashed(Rows, HashMap<Vec<u8>, Vec<usize>>),
}

enum Pending<'a> {
    /// The inner side for one outer row, and the bytes that it keeps.
    Operator(Operator<'a>, usize),
    Numbers(std::vec::IntoIter<usize>),
}

impl<'a> JoinOp<'a> {
    pub(crate) fn new(node: &'a JoinNode, width: usize, outer: Option<&[Value]>) -> Self {
        let inner = if matches!(node.method, JoinMethod::Lookup) { Inner::Lookup } else { Inner::Unread };
        Self {
            node,
            width,
            outer: Operator::open(&node.outer, width, outer),
            rows: None,
            inner,
            pending: None,
            matched: false,
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
                match self.outer.next(ctx).await? {
                    None => break,
                    Some(rows) => self.rows = Some((rows, 0)),
                }
                continue;
            }
            self.join_row(&mut out, ctx).await?;
        }
        Ok((out.count > 0).then_some(out))
    }

    /// Joins the present outer row; stops early when the batch is full.
    async fn join_row(&mut self, out: &mut Rows, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        let Some((rows, at)) = self.rows.take() else { return Ok(()) };
        let outer = rows.row(at);
        if self.pending.is_none() {
            self.matched = false;
            self.pending = Some(self.start(outer, ctx).await?);
        }
        let ended = self.continue_row(outer, out, ctx).await?;
        if ended {
            self.pending = None;
            if !self.matched && self.node.kind == JoinType::Left {
                let mut row = outer.to_vec();
                for slots in std::iter::once(&self.node.inner_slots).chain(&self.node.more_inner_slots) {
                    row[slots.clone()].fill(Value::Null);
                }
                out.push(&row);
            }
        }
        self.rows = Some((rows, if ended { at + 1 } else { at }));
        Ok(())
    }

    async fn start(&mut self, outer: &[Value], ctx: &mut ExecContext<'a>) -> SqlResult<Pending<'a>> {
        if matches!(self.inner, Inner::Unread) {
            self.read_inner(ctx).await?;
        }
        match (&self.inner, &self.node.method) {
            (Inner::Hashed(_, table), JoinMethod::Hash(pairs, types)) => {
                let mut key = Vec::new();
                for ((expr, _), ty) in pairs.iter().zip(types) {
                    let value = expr.eval(outer, &mut ctx.eval)?;
                    if value.is_null() {
                        return Ok(Pending::Numbers(Vec::new().into_iter()));
                    }
                    ty.encode(&value, &mut key);
                }
                Ok(Pending::Numbers(table.get(&key).cloned().unwrap_or_default().into_iter()))
            }
            (Inner::Buffered(rows), _) => {
                Ok(Pending::Numbers((0..rows.count).collect::<Vec<_>>().into_iter()))
            }
            _ => Ok(Pending::Operator(Operator::open(&self.node.inner, self.width, Some(outer)), 0)),
        }
    }

    async fn read_inner(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        let mut all = Rows::new(self.width);
        let mut inner = Operator::open(&self.node.inner, self.width, None);
        while let Some(rows) = inner.next(ctx).await? {
            ctx.memory.charge_values(&rows.values)?;
            all.values.extend(rows.values);
            all.count += rows.count;
        }
        let JoinMethod::Hash(pairs, types) = &self.node.method else {
            self.inner = Inner::Buffered(all);
            return Ok(());
        };
        let mut table: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        'rows: for number in 0..all.count {
            let mut key = Vec::new();
            for ((_, expr), ty) in pairs.iter().zip(types) {
                let value = expr.eval(all.row(number), &mut ctx.eval)?;
                if value.is_null() {
                    continue 'rows;
                }
                ty.encode(&value, &mut key);
            }
            table.entry(key).or_default().push(number);
        }
        self.inner = Inner::Hashed(all, table);
        Ok(())
    }

    /// Adds matches of the outer row to `out`; `true` when there are no more.
    async fn continue_row(
        &mut self,
        outer: &[Value],
        out: &mut Rows,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<bool> {
        match self.pending.take() {
            None => Ok(true),
            Some(Pending::Operator(mut operator, kept)) => {
                let before = ctx.memory.used();
                let rows = operator.next(ctx).await?;
                let kept = kept + ctx.memory.used().saturating_sub(before);
                let Some(rows) = rows else {
                    ctx.memory.release(kept);
                    return Ok(true);
                };
                for number in 0..rows.count {
                    self.candidate(rows.row(number).to_vec(), out, ctx).await?;
                }
                self.pending = Some(Pending::Operator(operator, kept));
                Ok(false)
            }
            Some(Pending::Numbers(mut numbers)) => {
                for _ in 0..BATCH_ROWS {
                    let Some(number) = numbers.next() else { return Ok(true) };
                    let mut row = outer.to_vec();
                    if let Inner::Buffered(rows) | Inner::Hashed(rows, _) = &self.inner {
                        for slots in
                            std::iter::once(&self.node.inner_slots).chain(&self.node.more_inner_slots)
                        {
                            row[slots.clone()].clone_from_slice(&rows.row(number)[slots.clone()]);
                        }
                    }
                    self.candidate(row, out, ctx).await?;
                }
                self.pending = Some(Pending::Numbers(numbers));
                Ok(false)
            }
        }
    }

    async fn candidate(
        &mut self,
        row: Vec<Value>,
        out: &mut Rows,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        for apply in &self.node.applies {
            subquery::run(apply, &row, ctx).await?;
        }
        if passes(&self.node.on, &row, &mut ctx.eval)? {
            self.matched = true;
            out.push(&row);
        }
        Ok(())
    }
}
