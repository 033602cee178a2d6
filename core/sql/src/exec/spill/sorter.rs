//! Sorting with what does not fit into memory in sorted runs.

use std::rc::Rc;

use aquifer_types::{SqlResult, Value};

use super::merge::Merge;
use super::{SpillFile, Spilled, Stream, StreamWriter};
use crate::exec::ExecContext;
use crate::exec::memory::bytes_of;
use crate::exec::operator::{BATCH_ROWS, Rows};
use crate::exec::sort::compare_keys;
use crate::plan::node::SortKey;
use crate::temporary_space::SpillEvent;

/// Most runs that are merged at a time.
const FAN_IN_MAX: usize = 128;
/// Rows that are sorted between two looks at whether the statement was killed, when a run is written.
const CHUNK_ROWS: usize = 16 << 10;

/// Takes rows to be sorted; rows with equal keys stay as they came.
pub(crate) struct Sorter {
    keys: Vec<SortKey>,
    /// Of the rows in order, how many are wanted at most.
    keep: usize,
    rows: Rows,
    /// What `rows` was charged for.
    held: usize,
    file: Option<Rc<SpillFile>>,
    runs: Vec<Stream>,
    spilled: Spilled,
}

/// Rows in order.
pub(crate) enum Sorted {
    Memory { rows: Rows, order: std::vec::IntoIter<usize> },
    Files(Box<Merge>),
}

impl Sorter {
    pub(crate) fn new(keys: Vec<SortKey>, keep: usize) -> Self {
        Self {
            keys,
            keep,
            rows: Rows::default(),
            held: 0,
            file: None,
            runs: Vec::new(),
            spilled: Spilled { sorted: true, ..Spilled::default() },
        }
    }

    /// What went into files so far.
    pub(crate) fn spilled(&self) -> Spilled {
        self.spilled
    }

    /// Takes rows in.
    pub(crate) async fn push(&mut self, batch: Rows, ctx: &mut ExecContext<'_>) -> SqlResult<()> {
        if self.keep == usize::MAX || self.rows.count < self.keep {
            let bytes = bytes_of(&batch.values);
            ctx.memory.charge(bytes)?;
            self.held += bytes;
        }
        if self.rows.count == 0 {
            self.rows = batch;
        } else {
            self.rows.values.extend(batch.values);
            self.rows.count += batch.count;
        }
        if self.rows.count / 4 > self.keep.max(BATCH_ROWS) {
            let mut best = Rows::new(self.rows.width);
            let order = sorted(&self.rows, &self.keys);
            order.iter().take(self.keep).for_each(|number| best.push(self.rows.row(*number)));
            self.rows = best;
        }
        if ctx.must_spill(self.held)? {
            Box::pin(self.write_run(ctx)).await?;
        }
        Ok(())
    }

    /// Writes what is in memory as a run.
    async fn write_run(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(ctx.spill_file()?),
        };
        let mut writer = StreamWriter::new(file, self.rows.width, ctx);
        let rows = std::mem::take(&mut self.rows);
        for number in sorted_in_steps(&rows, &self.keys, ctx).await?.into_iter().take(self.keep) {
            writer.push(&[rows.row(number)], ctx).await?;
        }
        let run = writer.finish(ctx).await?;
        self.spilled.bytes += run.bytes();
        self.spilled.parts += 1;
        self.runs.push(run);
        ctx.memory.release(std::mem::take(&mut self.held));
        Ok(())
    }

    /// The rows in order, without the first `skip`.
    pub(crate) async fn finish(&mut self, skip: usize, ctx: &mut ExecContext<'_>) -> SqlResult<Sorted> {
        if self.runs.is_empty() {
            let rows = std::mem::take(&mut self.rows);
            let mut order = sorted(&rows, &self.keys);
            order.truncate(self.keep);
            order.drain(..skip.min(order.len()));
            return Ok(Sorted::Memory { rows, order: order.into_iter() });
        }
        Box::pin(self.merge(skip, ctx)).await
    }

    async fn merge(&mut self, skip: usize, ctx: &mut ExecContext<'_>) -> SqlResult<Sorted> {
        if self.rows.count > 0 {
            self.write_run(ctx).await?;
        }
        self.file = None;
        let fan_in = (ctx.spill.memory / ctx.spill.block_bytes() / 2).clamp(2, FAN_IN_MAX);
        let mut runs = std::mem::take(&mut self.runs);
        while runs.len() > fan_in {
            runs = self.merge_pass(&runs, fan_in, ctx).await?;
        }
        ctx.count_spill(SpillEvent::MergePass);
        let most = self.keep - skip.min(self.keep);
        Ok(Sorted::Files(Box::new(Merge::open(runs, &self.keys, skip, most, ctx).await?)))
    }

    /// Fewer runs: each of up to `fan_in` neighbours.
    async fn merge_pass(
        &mut self,
        runs: &[Stream],
        fan_in: usize,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Vec<Stream>> {
        ctx.count_spill(SpillEvent::MergePass);
        let file = ctx.spill_file()?;
        let mut longer = Vec::with_capacity(runs.len().div_ceil(fan_in));
        for neighbours in runs.chunks(fan_in) {
            let width = neighbours.first().map_or(0, |run| run.width);
            let mut writer = StreamWriter::new(&file, width, ctx);
            let mut merge = Merge::open(neighbours.to_vec(), &self.keys, 0, self.keep, ctx).await?;
            while let Some(rows) = merge.next(ctx).await? {
                for number in 0..rows.count {
                    writer.push(&[rows.row(number)], ctx).await?;
                }
            }
            let run = writer.finish(ctx).await?;
            self.spilled.bytes += run.bytes();
            longer.push(run);
        }
        Ok(longer)
    }
}

impl Sorted {
    /// The next rows; `None` at the end.
    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<Option<Rows>> {
        let (rows, order) = match self {
            Self::Memory { rows, order } => (rows, order),
            Self::Files(merge) => return merge.next(ctx).await,
        };
        let width = rows.width;
        let mut out = Rows::new(width);
        for number in order.by_ref().take(BATCH_ROWS) {
            let row = &mut rows.values[number * width..(number + 1) * width];
            out.values.extend(row.iter_mut().map(|value| std::mem::replace(value, Value::Null)));
            out.count += 1;
        }
        Ok(out.not_empty())
    }
}

/// Numbers of rows in order; rows with equal keys stay as they came.
fn sorted(rows: &Rows, keys: &[SortKey]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.count).collect();
    order.sort_by(|a, b| compare_keys(rows.row(*a), rows.row(*b), keys));
    order
}

/// As [`sorted`], with looks at whether the statement was killed. The sort over all makes use of what is in order
/// already.
async fn sorted_in_steps(rows: &Rows, keys: &[SortKey], ctx: &mut ExecContext<'_>) -> SqlResult<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.count).collect();
    for chunk in order.chunks_mut(CHUNK_ROWS) {
        chunk.sort_by(|a, b| compare_keys(rows.row(*a), rows.row(*b), keys));
        ctx.between_blocks().await?;
    }
    order.sort_by(|a, b| compare_keys(rows.row(*a), rows.row(*b), keys));
    Ok(order)
}
