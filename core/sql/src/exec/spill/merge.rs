//! Merging of sorted runs. Among equal rows those of earlier runs come first.

use aquifer_types::{SqlResult, Value};

use super::{Stream, StreamReader};
use crate::exec::ExecContext;
use crate::exec::operator::{BATCH_ROWS, Rows};
use crate::exec::sort::compare_keys;
use crate::plan::node::SortKey;

/// A merge at work.
pub(crate) struct Merge {
    keys: Vec<SortKey>,
    width: usize,
    sources: Vec<Source>,
    /// Numbers of sources that have a row; the least row's is first (a binary heap).
    heap: Vec<usize>,
    skip: usize,
    /// Rows still to be given.
    left: usize,
    /// Bytes that the sources' blocks take.
    held: usize,
}

/// A run with its first row.
struct Source {
    reader: StreamReader,
    row: Vec<Value>,
}

impl Merge {
    /// A merge of runs, without its first `skip` rows, of at most `most` rows.
    pub(crate) async fn open(
        runs: Vec<Stream>,
        keys: &[SortKey],
        skip: usize,
        most: usize,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Self> {
        let width = runs.first().map_or(0, |run| run.width);
        let held = runs.len() * ctx.spill.block_bytes();
        ctx.memory.charge(held)?;
        let sources = runs.into_iter().map(|run| Source { reader: StreamReader::new(run), row: Vec::new() });
        let mut merge = Self {
            keys: keys.to_vec(),
            width,
            sources: sources.collect(),
            heap: Vec::new(),
            skip,
            left: most,
            held,
        };
        for number in 0..merge.sources.len() {
            if merge.sources[number].advance(ctx).await? {
                merge.heap.push(number);
            }
        }
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sink(at);
        }
        Ok(merge)
    }

    /// The next rows; `None` at the end.
    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<Option<Rows>> {
        let mut out = Rows::new(self.width);
        out.values.reserve(self.width * BATCH_ROWS.min(self.left));
        let mut skipped = 0;
        while out.count < BATCH_ROWS
            && self.left > 0
            && let Some(least) = self.heap.first().copied()
        {
            if self.skip > 0 {
                self.skip -= 1;
                skipped += 1;
                if skipped % BATCH_ROWS == 0 {
                    ctx.between_blocks().await?;
                }
            } else {
                self.left -= 1;
                out.values.append(&mut self.sources[least].row);
                out.count += 1;
            }
            if !self.sources[least].advance(ctx).await? {
                self.heap.swap_remove(0);
            }
            self.sink(0);
        }
        if out.count == 0 {
            ctx.memory.release(std::mem::take(&mut self.held));
            self.sources.clear();
            self.heap.clear();
        }
        Ok(out.not_empty())
    }

    /// Whether the row of one source comes before that of another.
    fn is_before(&self, a: usize, b: usize) -> bool {
        compare_keys(&self.sources[a].row, &self.sources[b].row, &self.keys).then(a.cmp(&b)).is_lt()
    }

    /// Moves a number down to where its row belongs.
    fn sink(&mut self, from: usize) {
        let mut at = from;
        loop {
            let left = 2 * at + 1;
            let Some(first) = self.heap.get(left).copied() else { return };
            let child = match self.heap.get(left + 1) {
                Some(second) if self.is_before(*second, first) => left + 1,
                _ => left,
            };
            if !self.is_before(self.heap[child], self.heap[at]) {
                return;
            }
            self.heap.swap(child, at);
            at = child;
        }
    }
}

impl Source {
    /// Goes to the next row; whether there is one.
    async fn advance(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<bool> {
        let more = self.reader.prepare(ctx).await?;
        self.row.clear();
        if more {
            self.reader.take(&mut self.row)?;
        }
        Ok(more)
    }
}
