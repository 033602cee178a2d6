//! ORDER BY and DISTINCT.

use std::cmp::Ordering;

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::limit::limit_numbers;
use crate::exec::memory::bytes_of;
use crate::exec::operator::{Operator, Rows};
use crate::exec::row_set::RowSet;
use crate::exec::spill::{Aside, Sorted, Sorter, Spilled, StreamReader};
use crate::plan::SortType;
use crate::plan::node::{LimitNode, SortKey};

/// A sort at work. With a limit it keeps little more than the rows that can still be in the result.
pub(crate) struct SortOp<'a> {
    input: Operator<'a>,
    keys: &'a [SortKey],
    limit: Option<&'a LimitNode>,
    sorted: Option<Sorted>,
    spilled: Spilled,
    /// Rows read.
    seen: u64,
}

impl<'a> SortOp<'a> {
    pub(crate) fn new(input: Operator<'a>, keys: &'a [SortKey], limit: Option<&'a LimitNode>) -> Self {
        Self { input, keys, limit, sorted: None, spilled: Spilled::default(), seen: 0 }
    }

    /// What went into files.
    pub(crate) fn spilled(&self) -> Spilled {
        self.spilled
    }

    /// Rows that there would have been without LIMIT: reads the rest.
    pub(crate) async fn count_all(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<u64> {
        while let Some(rows) = self.input.next(ctx).await? {
            self.seen += rows.count as u64;
        }
        Ok(self.seen)
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        let sorted = match &mut self.sorted {
            Some(sorted) => sorted,
            None => {
                let sorted = self.read(ctx).await?;
                self.sorted.insert(sorted)
            }
        };
        sorted.next(ctx).await
    }

    async fn read(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Sorted> {
        let (offset, count) = match self.limit {
            Some(limit) => limit_numbers(limit, ctx)?,
            None => (0, u64::MAX),
        };
        let keep = usize::try_from(offset.saturating_add(count)).unwrap_or(usize::MAX);
        let mut sorter = Sorter::new(self.keys.to_vec(), keep);
        // LIMIT 0 asks for the columns only: nothing is evaluated.
        while count > 0
            && let Some(batch) = self.input.next(ctx).await?
        {
            self.seen += batch.count as u64;
            sorter.push(batch, ctx).await?;
        }
        let sorted = sorter.finish(usize::try_from(offset).unwrap_or(usize::MAX), ctx).await?;
        self.spilled = sorter.spilled();
        Ok(sorted)
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

/// DISTINCT at work. Rows are given as they come; those with new keys that come when the memory is full are put aside.
pub(crate) struct DistinctOp<'a> {
    input: Operator<'a>,
    visible: usize,
    keys: &'a [SortType],
    seen: RowSet<'a>,
    /// Bytes that `seen` was charged for.
    held: usize,
    aside: Aside<'a>,
    /// The rows put aside that are done now, after the input.
    again: Option<StreamReader>,
}

impl<'a> DistinctOp<'a> {
    pub(crate) fn new(input: Operator<'a>, visible: usize, keys: &'a [SortType]) -> Self {
        let (seen, aside) = (RowSet::new(keys), Aside::new(keys));
        Self { input, visible, keys, seen, held: 0, aside, again: None }
    }

    /// What went into files.
    pub(crate) fn spilled(&self) -> Spilled {
        self.aside.spilled()
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        loop {
            let rows = match &mut self.again {
                None => self.input.next(ctx).await?,
                Some(again) => again.batch(ctx).await?,
            };
            let Some(rows) = rows else {
                ctx.memory.release(std::mem::take(&mut self.held));
                self.seen = RowSet::new(self.keys);
                self.again = Box::pin(self.aside.next(ctx)).await?;
                if self.again.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let mut out = Rows::new(rows.width);
            for number in 0..rows.count {
                let row = rows.row(number);
                let key = &row[..self.visible];
                if self.aside.is_open() {
                    if self.seen.find(key).is_none() {
                        self.aside.push(key, &[row], ctx).await?;
                    }
                } else if self.seen.insert(key).1 {
                    let bytes = bytes_of(key);
                    ctx.memory.charge(bytes)?;
                    self.held += bytes;
                    out.push(row);
                    self.aside.open_if_full(self.held, rows.width, ctx)?;
                }
            }
            if out.count > 0 {
                return Ok(Some(out));
            }
        }
    }
}
