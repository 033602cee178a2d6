//! Reading: point reads and scans over row cache, memtables and tables, with a transaction's own writes on
//! top.
//!
//! A read never hops to another core. It is answered synchronously while everything is in memory, which is
//! nearly always; otherwise a future fetches what is missing and goes on.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use aquifer_cache::RowLookup;
use aquifer_lsm::{Found, Need, PointRead, ReadState, Step};
use aquifer_sql::txn::{Cursor, Direction};
use aquifer_types::{Lsn, Maybe, SqlResult};
use bytes::Bytes;

use crate::engine::Engine;

/// Whether a read may leave what it found in the row cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// It read at a view.
    Rows,
    /// It read the newest version, visible or not.
    Nothing,
}

/// Reads one key as of `at`. `state` is asked only when the row cache has no answer.
pub fn get<'a>(
    engine: &'a Arc<Engine>,
    state: impl FnOnce() -> Arc<ReadState>,
    key: &'a [u8],
    at: Lsn,
    fill: Fill,
) -> Maybe<'a, SqlResult<Option<Bytes>>> {
    let may_fill = match engine.rows.get(key, at) {
        RowLookup::Hit(value) => return Maybe::Ready(Ok(value)),
        RowLookup::Newer => Fill::Nothing,
        RowLookup::Miss => fill,
    };
    let state = state();
    let mut read = PointRead::new(key, at);
    match read.step(&state, &*engine.source) {
        Step::Done(found) => Maybe::Ready(Ok(kept(engine, key, at, found, may_fill))),
        Step::Need(need) => Maybe::wait(get_cold(engine, state, read, need, key, at, may_fill)),
    }
}

async fn get_cold(
    engine: &Arc<Engine>,
    state: Arc<ReadState>,
    mut read: PointRead<'_>,
    mut need: Need,
    key: &[u8],
    at: Lsn,
    fill: Fill,
) -> SqlResult<Option<Bytes>> {
    use aquifer_lsm::BlockSource;
    if matches!(need, Need::Meta(_)) {
        engine.source.metas_ahead(&read.tables_without_meta(&state));
    }
    loop {
        let loaded = engine.source.load(need.clone()).await?;
        read.supply(need, loaded);
        match read.step(&state, &*engine.source) {
            Step::Done(found) => return Ok(kept(engine, key, at, found, fill)),
            Step::Need(next) => need = next,
        }
    }
}

/// The value of what was found, left in the row cache for the next reader.
fn kept(engine: &Engine, key: &[u8], at: Lsn, found: Option<Found>, fill: Fill) -> Option<Bytes> {
    let found = found?;
    if fill == Fill::Rows {
        engine.rows.fill(key, at, found.lsn, found.value.as_deref());
    }
    found.value
}

/// A transaction's own writes in a range, in the order of the scan.
pub type Overlay = VecDeque<(Bytes, Option<Bytes>)>;

/// A scan of `range` as of `at`, with `overlay` on top.
pub struct Scan {
    engine: Arc<Engine>,
    cursor: aquifer_lsm::Cursor,
    direction: Direction,
    overlay: Overlay,
    /// An entry that was read and comes after the next one of the overlay.
    ahead: Option<(Bytes, Bytes)>,
    storage_ended: bool,
}

impl Scan {
    /// Begins a scan.
    #[must_use]
    pub fn new(
        engine: &Arc<Engine>,
        state: &Arc<ReadState>,
        range: Range<Bytes>,
        direction: Direction,
        at: Lsn,
        overlay: Overlay,
    ) -> Self {
        let lsm_direction = match direction {
            Direction::Forward => aquifer_lsm::Direction::Forward,
            Direction::Backward => aquifer_lsm::Direction::Backward,
        };
        Self {
            engine: Arc::clone(engine),
            cursor: aquifer_lsm::Cursor::new(state, range, lsm_direction, at),
            direction,
            overlay,
            ahead: None,
            storage_ended: false,
        }
    }

    /// Goes on as far as memory reaches: `None` when done for now, or what is missing.
    fn step(&mut self, out: &mut Vec<(Bytes, Bytes)>, target: usize) -> Option<Need> {
        if self.overlay.is_empty() && self.ahead.is_none() {
            // The common case: straight from storage.
            return match self.cursor.next_batch(&*self.engine.source, out, target - out.len()) {
                Step::Done(()) => None,
                Step::Need(need) => Some(need),
            };
        }
        while out.len() < target {
            if self.ahead.is_none() && !self.storage_ended {
                let mut one = Vec::with_capacity(1);
                match self.cursor.next_batch(&*self.engine.source, &mut one, 1) {
                    Step::Need(need) => return Some(need),
                    Step::Done(()) => {
                        self.ahead = one.pop();
                        self.storage_ended = self.ahead.is_none();
                    }
                }
            }
            if !self.merge_one(out) {
                return None;
            }
        }
        None
    }

    /// Takes whichever comes first, the stored entry or the own write. `false` at the end.
    fn merge_one(&mut self, out: &mut Vec<(Bytes, Bytes)>) -> bool {
        let order = match (&self.ahead, self.overlay.front()) {
            (None, None) => return false,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((stored, _)), Some((own, _))) => match self.direction {
                Direction::Forward => stored.cmp(own),
                Direction::Backward => own.cmp(stored),
            },
        };
        if order == Ordering::Less {
            out.extend(self.ahead.take());
            return true;
        }
        if order == Ordering::Equal {
            self.ahead = None;
        }
        if let Some((key, Some(value))) = self.overlay.pop_front() {
            out.push((key, value));
        }
        true
    }
}

impl Cursor for Scan {
    fn next_batch<'a>(
        &'a mut self,
        out: &'a mut Vec<(Bytes, Bytes)>,
        limit: usize,
    ) -> Maybe<'a, SqlResult<()>> {
        let target = out.len() + limit;
        match self.step(out, target) {
            None => Maybe::Ready(Ok(())),
            Some(need) => Maybe::wait(async move {
                use aquifer_lsm::BlockSource;
                let mut need = need;
                loop {
                    self.cursor.announce_read_ahead(&need, &*self.engine.source);
                    let loaded = self.engine.source.load(need.clone()).await?;
                    self.cursor.supply(need, loaded);
                    match self.step(out, target) {
                        None => return Ok(()),
                        Some(next) => need = next,
                    }
                }
            }),
        }
    }
}
