//! Rows of one width in a temporary file. A row is within one block.

use std::rc::Rc;

use aquifer_types::{SqlResult, Value};

use super::{SpillFile, codec};
use crate::exec::ExecContext;
use crate::exec::memory::bytes_of;
use crate::exec::operator::{BATCH_ROWS, Rows};

/// Rows that have been written.
#[derive(Clone)]
pub(crate) struct Stream {
    file: Rc<SpillFile>,
    /// Offset and length.
    blocks: Vec<(u64, usize)>,
    pub width: usize,
    pub rows: usize,
    /// What they take in memory.
    pub memory: usize,
}

/// A stream that is being written.
pub(crate) struct StreamWriter {
    stream: Stream,
    block: Vec<u8>,
    block_bytes: usize,
}

impl StreamWriter {
    /// An empty stream in a file.
    pub(crate) fn new(file: &Rc<SpillFile>, width: usize, ctx: &ExecContext<'_>) -> Self {
        let stream = Stream { file: Rc::clone(file), blocks: Vec::new(), width, rows: 0, memory: 0 };
        Self { stream, block: Vec::new(), block_bytes: ctx.spill.block_bytes() }
    }

    /// Adds a row, which may be given in parts.
    pub(crate) async fn push(&mut self, parts: &[&[Value]], ctx: &mut ExecContext<'_>) -> SqlResult<()> {
        for values in parts {
            values.iter().for_each(|value| codec::encode(value, &mut self.block));
            self.stream.memory += bytes_of(values);
        }
        self.stream.rows += 1;
        if self.block.len() >= self.block_bytes {
            // Boxed, as it is rare: what awaits a row stays small.
            Box::pin(self.flush(ctx)).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<()> {
        let block = std::mem::take(&mut self.block);
        let length = block.len();
        let (offset, mut block) = ctx.append(&self.stream.file, block).await?;
        self.stream.blocks.push((offset, length));
        block.clear();
        self.block = block;
        Ok(())
    }

    /// Writes the rest.
    pub(crate) async fn finish(mut self, ctx: &mut ExecContext<'_>) -> SqlResult<Stream> {
        if !self.block.is_empty() {
            self.flush(ctx).await?;
        }
        Ok(self.stream)
    }
}

impl Stream {
    /// Bytes in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.blocks.iter().map(|(_, length)| *length as u64).sum()
    }
}

/// A stream that is being read.
pub(crate) struct StreamReader {
    stream: Stream,
    next_block: usize,
    block: Vec<u8>,
    at: usize,
    left: usize,
}

impl StreamReader {
    /// From the first row on.
    pub(crate) fn new(stream: Stream) -> Self {
        let left = stream.rows;
        Self { stream, next_block: 0, block: Vec::new(), at: 0, left }
    }

    /// Rows not yet read.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Back to the first row.
    pub(crate) fn rewind(&mut self) {
        (self.next_block, self.at, self.left) = (0, 0, self.stream.rows);
        self.block.clear();
    }

    /// Whether the next row can be had from [`StreamReader::take`]; otherwise there is none.
    pub(crate) async fn prepare(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        if self.at == self.block.len()
            && let Some(place) = self.stream.blocks.get(self.next_block)
        {
            let buffer = std::mem::take(&mut self.block);
            self.block = Box::pin(ctx.read_block(&self.stream.file, *place, buffer)).await?;
            self.next_block += 1;
            self.at = 0;
        }
        Ok(true)
    }

    /// Appends the values of the next row, after [`StreamReader::prepare`] has said that there is one.
    pub(crate) fn take(&mut self, out: &mut Vec<Value>) -> SqlResult<()> {
        let mut rest = &self.block[self.at..];
        for _ in 0..self.stream.width {
            out.push(codec::decode(&mut rest)?);
        }
        self.at = self.block.len() - rest.len();
        self.left -= 1;
        Ok(())
    }

    /// The next rows; `None` at the end.
    pub(crate) async fn batch(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<Option<Rows>> {
        let mut out = Rows::new(self.stream.width);
        out.values.reserve(self.stream.width * BATCH_ROWS.min(self.left));
        while out.count < BATCH_ROWS && self.prepare(ctx).await? {
            self.take(&mut out.values)?;
            out.count += 1;
        }
        Ok(out.not_empty())
    }
}
