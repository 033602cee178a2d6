//! Frames: which rows of a partition a window function sees from each of them.

use std::ops::Range;

use aquifer_types::{SqlError, SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::sort::compare_keys;
use crate::exec::window::Partition;
use crate::expr::Expr;
use crate::plan::node::{BoundNode, FrameNode, SortKey, WindowGroup};

/// Rows of a partition that are equal in its order.
pub(crate) struct Peers {
    /// For each row: number, start and end of its peers.
    of: Vec<(usize, usize, usize)>,
}

impl Peers {
    pub(crate) fn new(part: &Partition<'_>, order: &[SortKey]) -> Self {
        let mut of = Vec::with_capacity(part.len());
        let (mut from, mut number) = (0, 0);
        while from < part.len() {
            let mut to = from + 1;
            while to < part.len() && compare_keys(part.row(from), part.row(to), order.iter()).is_eq() {
                to += 1;
            }
            of.resize(to, (number, from, to));
            from = to;
            number += 1;
        }
        Self { of }
    }

    pub(crate) fn number(&self, row: usize) -> usize {
        self.of[row].0
    }

    pub(crate) fn start(&self, row: usize) -> usize {
        self.of[row].1
    }

    pub(crate) fn end(&self, row: usize) -> usize {
        self.of[row].2
    }
}

/// The frames of one call over one partition.
pub(crate) struct Frames<'p> {
    rows: bool,
    start: Edge<'p>,
    end: Edge<'p>,
    part: &'p Partition<'p>,
    peers: &'p Peers,
    /// Where the order value is not NULL.
    known: Range<usize>,
    /// Column of the order value.
    key: Option<usize>,
}

enum Edge<'p> {
    Unbounded,
    CurrentRow,
    Before(usize),
    After(usize),
    Value { column: usize, at_or_after: &'p Expr, after: &'p Expr },
}

impl<'p> Frames<'p> {
    pub(crate) fn new(
        frame: &'p FrameNode,
        group: &'p WindowGroup,
        part: &'p Partition<'p>,
        peers: &'p Peers,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Self> {
        let key = group.order.first().map(|key| key.column);
        let n = part.len();
        let null = |i: usize| key.is_some_and(|key| part.row(i)[key].is_null());
        let first = (0..n).find(|i| !null(*i)).unwrap_or(n);
        let last = (first..n).rev().find(|i| !null(*i)).map_or(first, |i| i + 1);
        Ok(Self {
            rows: frame.rows,
            start: edge(&frame.start, ctx)?,
            end: edge(&frame.end, ctx)?,
            part,
            peers,
            known: first..last,
            key,
        })
    }

    /// The frame of a row; empty frames are at the row's place.
    pub(crate) fn of(&mut self, row: usize, ctx: &mut ExecContext<'_>) -> SqlResult<Range<usize>> {
        let n = self.part.len();
        let start = match &self.start {
            Edge::Unbounded => 0,
            Edge::CurrentRow if self.rows => row,
            Edge::CurrentRow => self.peers.start(row),
            Edge::Before(distance) => row.saturating_sub(*distance),
            Edge::After(distance) => row.saturating_add(*distance).min(n),
            Edge::Value { column, at_or_after, .. } => match self.bound(row, *column, at_or_after, ctx)? {
                Some(at) => at,
                None => self.peers.start(row),
            },
        };
        let end = match &self.end {
            Edge::Unbounded => n,
            Edge::CurrentRow if self.rows => row + 1,
            Edge::CurrentRow => self.peers.end(row),
            Edge::Before(distance) => (row + 1).saturating_sub(*distance),
            Edge::After(distance) => row.saturating_add(*distance).saturating_add(1).min(n),
            Edge::Value { column, after, .. } => match self.bound(row, *column, after, ctx)? {
                Some(at) => at,
                None => self.peers.end(row),
            },
        };
        Ok(if start < end { start..end } else { row..row })
    }

    /// The first row for whose order value `test` holds against the bound of `row`; `None` when that is NULL.
    fn bound(
        &self,
        row: usize,
        column: usize,
        test: &Expr,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Option<usize>> {
        let (bound, Some(key)) = (&self.part.row(row)[column], self.key) else { return Ok(None) };
        if bound.is_null() {
            return Ok(None);
        }
        let (mut low, mut high) = (self.known.start, self.known.end);
        let mut pair = [Value::Null, bound.clone()];
        while low < high {
            let middle = low.midpoint(high);
            pair[0] = self.part.row(middle)[key].clone();
            if test.eval_filter(&pair, &mut ctx.eval)? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(Some(low))
    }
}

fn edge<'p>(bound: &'p BoundNode, ctx: &mut ExecContext<'_>) -> SqlResult<Edge<'p>> {
    Ok(match bound {
        BoundNode::Unbounded => Edge::Unbounded,
        BoundNode::CurrentRow => Edge::CurrentRow,
        BoundNode::Value { column, at_or_after, after } => {
            Edge::Value { column: *column, at_or_after, after }
        }
        BoundNode::Rows { distance, preceding } => {
            let number = match distance.eval(&[], &mut ctx.eval)? {
                Value::Int(n) => usize::try_from(n).ok(),
                Value::UInt(n) => usize::try_from(n).ok(),
                _ => None,
            };
            let Some(number) = number else {
                let text =
                    "Window '<unnamed window>': frame start or end is negative, NULL or of non-integral type";
                return Err(SqlError::new(3586, text));
            };
            if *preceding { Edge::Before(number) } else { Edge::After(number) }
        }
    })
}
