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
use aquifer_types::{Lsn, Maybe, ReadCounts, SqlResult};
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
        RowLookup::Hit(value) => {
            ReadCounts::note(|counts| counts.rows += 1);
            return Maybe::Ready(Ok(value));
        }
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
    read: PointRead<'_>,
    need: Need,
    key: &[u8],
    at: Lsn,
    fill: Fill,
) -> SqlResult<Option<Bytes>> {
    let found = load_and_step(engine, state, read, need).await?;
    Ok(kept(engine, key, at, found, fill))
}

async fn load_and_step(
    engine: &Arc<Engine>,
    state: Arc<ReadState>,
    mut read: PointRead<'_>,
    mut need: Need,
) -> SqlResult<Option<Found>> {
    use aquifer_lsm::BlockSource;
    if matches!(need, Need::Meta(_)) {
        engine.source.metas_ahead(&read.tables_without_meta(&state));
    }
    loop {
        let loaded = engine.source.load(need.clone()).await?;
        read.supply(need, loaded);
        match read.step(&state, &*engine.source) {
            Step::Done(found) => return Ok(found),
            Step::Need(next) => need = next,
        }
    }
}

/// What a transaction that has spilled writes to `state` has made of `key`; `None` when it did not touch it there.
///
/// # Errors
/// `Corrupt` or `Unavailable` from storage.
pub fn get_spilled<'a>(
    engine: &'a Arc<Engine>,
    state: Arc<ReadState>,
    key: &'a [u8],
) -> Maybe<'a, SqlResult<Option<Found>>> {
    let mut read = PointRead::new(key, Lsn::MAX);
    match read.step(&state, &*engine.source) {
        Step::Done(found) => Maybe::Ready(Ok(found)),
        Step::Need(need) => Maybe::wait(load_and_step(engine, state, read, need)),
    }
}

/// What a transaction sees of `key` that has spilled writes to `state`: its own, or else what `stored` reads.
pub fn get_spilled_or<'a>(
    engine: &'a Arc<Engine>,
    state: Arc<ReadState>,
    key: &'a [u8],
    stored: impl FnOnce() -> Maybe<'a, SqlResult<Option<Bytes>>> + 'a,
) -> Maybe<'a, SqlResult<Option<Bytes>>> {
    match get_spilled(engine, state, key) {
        Maybe::Ready(Ok(Some(own))) => Maybe::Ready(Ok(own.value)),
        Maybe::Ready(Ok(None)) => stored(),
        Maybe::Ready(Err(error)) => Maybe::Ready(Err(error)),
        Maybe::Wait(own) => Maybe::wait(async move {
            match own.await? {
                Some(own) => Ok(own.value),
                None => stored().await,
            }
        }),
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

/// A transaction's own writes in a range.
#[derive(Default)]
pub struct Own {
    /// Those in memory, in the order of the scan.
    pub overlay: Overlay,
    /// Older ones, which it has spilled.
    pub spilled: Option<Arc<ReadState>>,
}

/// A scan of `range` as of `at`, with own writes on top.
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
        own: Own,
    ) -> Self {
        let Own { overlay, spilled } = own;
        let lsm_direction = match direction {
            Direction::Forward => aquifer_lsm::Direction::Forward,
            Direction::Backward => aquifer_lsm::Direction::Backward,
        };
        let cursor = match &spilled {
            Some(spilled) => aquifer_lsm::Cursor::with_own(spilled, state, range, lsm_direction, at),
            None => aquifer_lsm::Cursor::new(state, range, lsm_direction, at),
        };
        Self { engine: Arc::clone(engine), cursor, direction, overlay, ahead: None, storage_ended: false }
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
