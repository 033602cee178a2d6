//! ORDER BY, DISTINCT, INTERSECT and EXCEPT.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::limit::limit_numbers;
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::row_set::RowSet;
use crate::plan::SortType;
use crate::plan::node::{LimitNode, SortKey};

/// A sort at work. With a limit it keeps little more than the rows that can still be in the result.
pub(crate) struct SortOp<'a> {
    input: Operator<'a>,
    keys: &'a [SortKey],
    limit: Option<&'a LimitNode>,
    sorted: Option<Sorted>,
    /// Rows read.
    seen: u64,
}

/// Rows with the order in which they are given.
struct Sorted {
    rows: Rows,
    order: std::vec::IntoIter<usize>,
}

impl<'a> SortOp<'a> {
    pub(crate) fn new(input: Operator<'a>, keys: &'a [SortKey], limit: Option<&'a LimitNode>) -> Self {
        Self { input, keys, limit, sorted: None, seen: 0 }
    }

    /// Rows that there would have been without LIMIT: reads the rest.
    pub(crate) async fn count_all(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<u64> {
        while let Some(rows) = self.input.next(ctx).await? {
            self.seen += rows.count as u64;
        }
        Ok(self.seen)
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        if self.sorted.is_none() {
            self.sorted = Some(self.read(ctx).await?);
        }
        let Some(sorted) = &mut self.sorted else { return Ok(None) };
        let width = sorted.rows.width;
        let mut out = Rows::new(width);
        for number in sorted.order.by_ref().take(BATCH_ROWS) {
            let row = &mut sorted.rows.values[number * width..(number + 1) * width];
            out.values.extend(row.iter_mut().map(|value| std::mem::replace(value, Value::Null)));
            out.count += 1;
        }
        Ok((out.count > 0).then_some(out))
    }

    async fn read(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Sorted> {
        let (offset, count) = match self.limit {
            Some(limit) => limit_numbers(limit, ctx)?,
            None => (0, u64::MAX),
        };
        let keep = usize::try_from(offset.saturating_add(count)).unwrap_or(usize::MAX);
        let mut rows = Rows::default();
        // LIMIT 0 asks for the columns only: nothing is evaluated.
        while count > 0
            && let Some(batch) = self.input.next(ctx).await?
        {
            self.seen += batch.count as u64;
            if keep == usize::MAX || rows.count < keep {
                ctx.memory.charge_values(&batch.values)?;
            }
            if rows.count == 0 {
                rows = batch;
            } else {
                rows.values.extend(batch.values);
                rows.count += batch.count;
            }
            if rows.count / 4 > keep.max(BATCH_ROWS) {
                let mut best = Rows::new(rows.width);
                sorted(&rows, self.keys).iter().take(keep).for_each(|number| best.push(rows.row(*number)));
                rows = best;
            }
        }
        let mut order = sorted(&rows, self.keys);
        order.truncate(keep);
        let skip = usize::try_from(offset).unwrap_or(usize::MAX).min(order.len());
        order.drain(..skip);
        Ok(Sorted { rows, order: order.into_iter() })
    }
}

/// Order of two rows by keys.
pub(crate) fn compare_keys<'k>(
    a: &[Value],
    b: &[Value],
    keys: impl IntoIterator<Item = &'k SortKey>,
) -> Ordering {
    for key in keys {
        let order = key.ty.compare(&a[key.column], &b[key.column]);
        let order = if key.descending { order.reverse() } else { order };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Numbers of rows in order; rows with equal keys stay as they came.
fn sorted(rows: &Rows, keys: &[SortKey]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.count).collect();
    order.sort_by(|a, b| compare_keys(rows.row(*a), rows.row(*b), keys));
    order
}

/// Bytes that tell rows apart.
fn row_key(row: &[Value], keys: &[SortType]) -> Vec<u8> {
    let mut out = Vec::new();
    for (value, ty) in row.iter().zip(keys) {
        ty.encode(value, &mut out);
    }
    out
}

/// DISTINCT at work.
pub(crate) struct DistinctOp<'a> {
    input: Operator<'a>,
    visible: usize,
    seen: RowSet<'a>,
}

impl<'a> DistinctOp<'a> {
    pub(crate) fn new(input: Operator<'a>, visible: usize, keys: &'a [SortType]) -> Self {
        Self { input, visible, seen: RowSet::new(keys) }
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        loop {
            let Some(rows) = self.input.next(ctx).await? else { return Ok(None) };
            let mut out = Rows::new(rows.width);
            for number in 0..rows.count {
                let row = rows.row(number);
                if self.seen.insert(&row[..self.visible]).1 {
                    ctx.memory.charge_values(&row[..self.visible])?;
                    out.push(row);
                }
            }
            if out.count > 0 {
                return Ok(Some(out));
            }
        }
    }
}

/// INTERSECT and EXCEPT at work.
pub(crate) struct DifferenceOp<'a> {
    left: Operator<'a>,
    right: Operator<'a>,
    keep_common: bool,
    all: bool,
    keys: &'a [SortType],
    /// How often each row occurs on the right side.
    counts: Option<HashMap<Vec<u8>, usize>>,
    seen: HashSet<Vec<u8>>,
}

impl<'a> DifferenceOp<'a> {
    pub(crate) fn new(
        (left, right): (Operator<'a>, Operator<'a>),
        keep_common: bool,
        all: bool,
        keys: &'a [SortType],
    ) -> Self {
        Self { left, right, keep_common, all, keys, counts: None, seen: HashSet::new() }
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        if self.counts.is_none() {
            let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
            while let Some(rows) = self.right.next(ctx).await? {
                for number in 0..rows.count {
                    let key = row_key(rows.row(number), self.keys);
                    ctx.memory.charge(key.len() + size_of::<Vec<u8>>())?;
                    *counts.entry(key).or_default() += 1;
                }
            }
            self.counts = Some(counts);
        }
        loop {
            let Some(rows) = self.left.next(ctx).await? else { return Ok(None) };
            let mut out = Rows::new(rows.width);
            for number in 0..rows.count {
                let row = rows.row(number);
                let key = row_key(row, self.keys);
                let Some(counts) = &mut self.counts else { return Ok(None) };
                let common = match counts.get_mut(&key) {
                    Some(count) if *count > 0 => {
                        if self.all {
                            *count -= 1;
                        }
                        true
                    }
                    _ => false,
                };
                if common == self.keep_common && (self.all || self.seen.insert(key)) {
                    out.push(row);
                }
            }
            if out.count > 0 {
                return Ok(Some(out));
            }
        }
    }
}
