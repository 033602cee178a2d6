//! Window functions over rows that do not fit into memory: for each window they are sorted with the help of files, and
//! one partition at a time is in memory. A partition that does not fit is error 3170.

use aquifer_types::{ErrorKind, SqlError, SqlResult};

use crate::exec::ExecContext;
use crate::exec::memory::bytes_of;
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::sort::compare_keys;
use crate::exec::spill::{Sorted, Sorter, Spilled};
use crate::exec::window::{append, fill_partition};
use crate::plan::node::{SortKey, WindowGroup, WindowNode};

/// Rows in the order of the last window, whose calls are computed as its partitions are asked for.
pub(crate) struct SpilledWindows<'a> {
    node: &'a WindowNode,
    last: Partitioned<'a>,
    /// The present partition, and how many of its rows have been given.
    present: Rows,
    given: usize,
    held: usize,
    spilled: Spilled,
}

/// Rows in the order of a window.
struct Partitioned<'a> {
    group: &'a WindowGroup,
    sorted: Sorted,
    /// Rows that were read but belong to the next partitions, from this one on.
    ahead: Rows,
    at: usize,
}

fn sorter_of(group: &WindowGroup) -> Sorter {
    let keys: Vec<SortKey> = group.partition.iter().chain(&group.order).cloned().collect();
    Sorter::new(keys, usize::MAX)
}

impl<'a> SpilledWindows<'a> {
    /// Takes the rows that are in memory, with room for their results, and those that follow.
    pub(crate) async fn open(
        node: &'a WindowNode,
        rows: Rows,
        input: &mut Operator<'a>,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Self> {
        let mut spilled = Spilled { sorted: true, ..Spilled::default() };
        let Some((first, others)) = node.groups.split_first() else {
            return Err(SqlError::with_kind(1105, ErrorKind::Bug, "window functions without a window"));
        };
        let mut sorter = sorter_of(first);
        let (width, results) = (rows.width, node.results);
        sorter.push(rows, ctx).await?;
        while let Some(batch) = input.next(ctx).await? {
            let mut rows = Rows::new(width);
            append(&mut rows, &batch, results);
            sorter.push(rows, ctx).await?;
        }
        let mut last = Partitioned::new(first, &mut sorter, &mut spilled, ctx).await?;
        for group in others {
            let mut sorter = sorter_of(group);
            while let Some((rows, held)) = last.next(results, ctx).await? {
                ctx.memory.release(held);
                sorter.push(rows, ctx).await?;
            }
            last = Partitioned::new(group, &mut sorter, &mut spilled, ctx).await?;
        }
        Ok(Self { node, last, present: Rows::default(), given: 0, held: 0, spilled })
    }

    /// What went into files.
    pub(crate) fn spilled(&self) -> Spilled {
        self.spilled
    }

    /// The next rows; `None` at the end.
    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<Option<Rows>> {
        if self.given == self.present.count {
            ctx.memory.release(std::mem::take(&mut self.held));
            let Some((rows, held)) = self.last.next(self.node.results, ctx).await? else { return Ok(None) };
            (self.present, self.held, self.given) = (rows, held, 0);
        }
        let mut out = Rows::new(self.present.width);
        let to = self.present.count.min(self.given + BATCH_ROWS);
        (self.given..to).for_each(|number| out.push(self.present.row(number)));
        self.given = to;
        Ok(Some(out))
    }
}

impl<'a> Partitioned<'a> {
    async fn new(
        group: &'a WindowGroup,
        sorter: &mut Sorter,
        spilled: &mut Spilled,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Self> {
        let sorted = sorter.finish(0, ctx).await?;
        spilled.bytes += sorter.spilled().bytes;
        spilled.parts += sorter.spilled().parts;
        Ok(Self { group, sorted, ahead: Rows::default(), at: 0 })
    }

    /// The next partition with the results of the window's calls, and the bytes that it was charged for.
    async fn next(&mut self, results: usize, ctx: &mut ExecContext<'_>) -> SqlResult<Option<(Rows, usize)>> {
        let mut rows = Rows::new(self.ahead.width);
        let mut held = 0;
        loop {
            if self.at == self.ahead.count {
                match self.sorted.next(ctx).await? {
                    Some(ahead) => (self.ahead, self.at) = (ahead, 0),
                    None => break,
                }
                rows.width = self.ahead.width;
            }
            let row = self.ahead.row(self.at);
            let belongs =
                rows.count == 0 || compare_keys(rows.row(0), row, self.group.partition.iter()).is_eq();
            if !belongs {
                break;
            }
            let bytes = bytes_of(row);
            ctx.memory.charge(bytes)?;
            held += bytes;
            rows.push(row);
            self.at += 1;
        }
        if rows.count == 0 {
            return Ok(None);
        }
        let order: Vec<usize> = (0..rows.count).collect();
        fill_partition(self.group, results, &mut rows, &order, ctx)?;
        Ok(Some((rows, held)))
    }
}
