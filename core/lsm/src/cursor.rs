//! A scan as of one LSN: keys and values in order, without tombstones and older versions.
//!
//! Keys, and values from memtables, of one batch share one allocation; values from blocks share the block.
//! Whoever keeps few rows of many for long copies them.

use std::ops::Range;
use std::sync::Arc;

use aquifer_types::Lsn;
use bytes::Bytes;

use crate::error::ReadError;
use crate::merge::{Merge, ValueRef};
use crate::read_state::ReadState;
use crate::source::{BlockSource, Loaded, Need, Step};
use crate::walk::{Direction, KeyRange, Versions};

/// Rows that a batch makes room for when it has its first.
const RESERVED_ROWS_MAX: usize = 128;
/// Bytes that it makes room for then.
const RESERVED_BYTES_MAX: usize = 16 << 10;

/// See the module. Keeps its read states alive.
pub struct Cursor {
    _states: (Arc<ReadState>, Option<Arc<ReadState>>),
    merge: Merge,
    last_key: Vec<u8>,
    has_last: bool,
    /// Keys, and values from memtables, of the batch in progress.
    buffer: Vec<u8>,
    rows: Vec<Row>,
}

/// One row of the batch in progress.
struct Row {
    key: Range<usize>,
    value: RowValue,
}

enum RowValue {
    Buffer(Range<usize>),
    Block(Bytes),
}

impl Cursor {
    /// A scan of `range` as of `lsn`. Does not load anything yet.
    #[must_use]
    pub fn new(state: &Arc<ReadState>, range: impl Into<KeyRange>, direction: Direction, lsn: Lsn) -> Self {
        let merge = Merge::of_state(state, &range.into(), direction, Versions::AsOf(lsn));
        Self::over(merge, (Arc::clone(state), None))
    }

    /// As [`Cursor::new`], with everything in `own` on top, tombstones included. The LSNs in `own` must be above all of
    /// those in `state`.
    #[must_use]
    pub fn with_own(
        own: &Arc<ReadState>,
        state: &Arc<ReadState>,
        range: impl Into<KeyRange>,
        direction: Direction,
        lsn: Lsn,
    ) -> Self {
        let merge = Merge::with_own(own, state, &range.into(), direction, lsn);
        Self::over(merge, (Arc::clone(state), Some(Arc::clone(own))))
    }

    fn over(merge: Merge, states: (Arc<ReadState>, Option<Arc<ReadState>>)) -> Self {
        Self {
            _states: states,
            merge,
            last_key: Vec::new(),
            has_last: false,
            buffer: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Appends up to `limit` rows to `out`, fewer where a load is needed to go on, and none only at the end
    /// of the range. On [`Step::Need`] nothing was appended: load, [`Self::supply`], call again.
    pub fn next_batch<S: BlockSource + ?Sized>(
        &mut self,
        blocks: &S,
        out: &mut Vec<(Bytes, Bytes)>,
        limit: usize,
    ) -> Step<()> {
        while self.rows.len() < limit {
            match self.next_row(blocks) {
                Step::Done(true) if self.rows.len() == 1 => self.reserve(limit),
                Step::Done(true) => {}
                Step::Done(false) => break,
                Step::Need(need) if self.rows.is_empty() => return Step::Need(need),
                // The next call comes to the same need.
                Step::Need(_) => break,
            }
        }
        self.emit(out);
        Step::Done(())
    }

    /// As [`Self::next_batch`], loading what is missing.
    ///
    /// # Errors
    /// What [`BlockSource::load`] reports; the cursor can go on when that is over.
    pub async fn next_batch_async<S: BlockSource + ?Sized>(
        &mut self,
        blocks: &S,
        out: &mut Vec<(Bytes, Bytes)>,
        limit: usize,
    ) -> Result<(), ReadError> {
        loop {
            match self.next_batch(blocks, out, limit) {
                Step::Done(()) => return Ok(()),
                Step::Need(need) => {
                    self.announce_read_ahead(&need, blocks);
                    let loaded = blocks.load(need.clone()).await?;
                    self.supply(need, loaded);
                }
            }
        }
    }

    /// Hands in what was loaded for the [`Need`] that [`Self::next_batch`] gave.
    pub fn supply(&mut self, need: Need, loaded: Loaded) {
        self.merge.supply(need, loaded);
    }

    /// Calls [`BlockSource::read_ahead`] with what probably follows `need`.
    pub fn announce_read_ahead<S: BlockSource + ?Sized>(&self, need: &Need, blocks: &S) {
        self.merge.announce_read_ahead(need, blocks);
    }

    /// Makes room for a batch whose rows are like its first.
    fn reserve(&mut self, limit: usize) {
        let rows = limit.min(RESERVED_ROWS_MAX);
        self.rows.reserve(rows);
        self.buffer.reserve((self.buffer.len() * rows).min(RESERVED_BYTES_MAX));
    }

    /// Adds the next row to the batch; `false` at the end of the range.
    fn next_row<S: BlockSource + ?Sized>(&mut self, blocks: &S) -> Step<bool> {
        loop {
            let index = match self.merge.first(blocks) {
                Step::Done(Some(index)) => index,
                Step::Done(None) => return Step::Done(false),
                Step::Need(need) => return Step::Need(need),
            };
            let has_row = self.take_item(index);
            // A need here comes again from `first`, where it is reported.
            let _ = self.merge.advance_first(blocks);
            if has_row {
                return Step::Done(true);
            }
        }
    }

    /// Takes the item of a walk into the batch, unless it is hidden; whether it was taken.
    fn take_item(&mut self, index: usize) -> bool {
        let (key, _) = self.merge.item(index);
        if self.has_last && self.last_key == key {
            return false;
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.has_last = true;
        let Some(value) = self.merge.take_value(index) else { return false };
        let key = append(&mut self.buffer, &self.last_key);
        let value = match value {
            ValueRef::Memory(bytes) => RowValue::Buffer(append(&mut self.buffer, bytes)),
            ValueRef::Block(bytes) => RowValue::Block(bytes),
        };
        self.rows.push(Row { key, value });
        true
    }

    fn emit(&mut self, out: &mut Vec<(Bytes, Bytes)>) {
        if self.rows.is_empty() {
            return;
        }
        let shared = Bytes::from(std::mem::take(&mut self.buffer));
        out.reserve(self.rows.len());
        out.extend(self.rows.drain(..).map(|row| {
            let value = match row.value {
                RowValue::Buffer(range) => shared.slice(range),
                RowValue::Block(bytes) => bytes,
            };
            (shared.slice(row.key), value)
        }));
    }
}

fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Range<usize> {
    let start = buffer.len();
    buffer.extend_from_slice(bytes);
    start..buffer.len()
}
