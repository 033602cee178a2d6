//! What a read sees: memtables and a manifest, and the point read over them.

use std::sync::Arc;

use aquifer_format::sst::key_hash;
use aquifer_types::Lsn;
use bytes::Bytes;

use crate::block::Block;
use crate::error::ReadError;
use crate::manifest::Manifest;
use crate::memtable::Memtable;
use crate::source::{BlockHandle, BlockSource, Loaded, Need, Step};
use crate::table::{Located, Table};

/// Memtables and manifest of one moment; shared as an `Arc` that is swapped as a whole. A read keeps the
/// one that it began with.
#[derive(Clone, Debug)]
pub struct ReadState {
    active: Arc<Memtable>,
    frozen: Vec<Arc<Memtable>>,
    manifest: Arc<Manifest>,
    deep_max_lsn: Lsn,
}

/// The newest version of a key at or below the LSN asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Position of the transaction that wrote it.
    pub lsn: Lsn,
    /// The value; `None` when that transaction deleted the key.
    pub value: Option<Bytes>,
}

/// A point read that can stop for a load and go on. What was asked before is not asked again.
#[derive(Debug)]
pub struct PointRead<'k> {
    key: &'k [u8],
    hash: u64,
    lsn: Lsn,
    best: Option<Found>,
    /// How many runs of [`Manifest::all_runs`] have answered; `None` before the memtables have.
    answered: Option<usize>,
    held: Option<HeldBlock>,
}

/// A block that was loaded for a read, in case that the cache has dropped it again.
#[derive(Debug)]
pub(crate) struct HeldBlock {
    pub(crate) table: Arc<Table>,
    pub(crate) handle: BlockHandle,
    pub(crate) block: Block,
}

impl ReadState {
    /// Puts a state together; `frozen` newest first.
    #[must_use]
    pub fn new(active: Arc<Memtable>, frozen: Vec<Arc<Memtable>>, manifest: Arc<Manifest>) -> Self {
        let deep_max_lsn = manifest.deep_max_lsn();
        Self { active, frozen, manifest, deep_max_lsn }
    }

    /// The memtable that new writes go to.
    #[must_use]
    pub fn active(&self) -> &Arc<Memtable> {
        &self.active
    }

    /// Memtables that wait for their flush, newest first.
    #[must_use]
    pub fn frozen(&self) -> &[Arc<Memtable>] {
        &self.frozen
    }

    /// The tables.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }
}

/// Reads one key as of `lsn`. When a block is missing, load the [`Need`] and either call again or, so that
/// an eviction in between does no harm, go on with a [`PointRead`] as [`get_async`] does.
pub fn get<S: BlockSource + ?Sized>(
    state: &ReadState,
    blocks: &S,
    key: &[u8],
    lsn: Lsn,
) -> Step<Option<Found>> {
    PointRead::new(key, lsn).step(state, blocks)
}

/// Reads one key as of `lsn`, loading what is missing: one load per table that is asked, nearly always one
/// in all.
///
/// # Errors
/// What [`BlockSource::load`] reports.
pub async fn get_async<S: BlockSource + ?Sized>(
    state: &ReadState,
    blocks: &S,
    key: &[u8],
    lsn: Lsn,
) -> Result<Option<Found>, ReadError> {
    let mut read = PointRead::new(key, lsn);
    loop {
        match read.step(state, blocks) {
            Step::Done(found) => return Ok(found),
            Step::Need(need) => {
                if matches!(need, Need::Meta(_)) {
                    blocks.metas_ahead(&read.tables_without_meta(state));
                }
                let loaded = blocks.load(need.clone()).await?;
                read.supply(need, loaded);
            }
        }
    }
}

impl<'k> PointRead<'k> {
    /// A read that has not begun.
    #[must_use]
    pub fn new(key: &'k [u8], lsn: Lsn) -> Self {
        Self { key, hash: 0, lsn, best: None, answered: None, held: None }
    }

    /// Hands in what was loaded for the [`Need`] that [`Self::step`] gave.
    pub fn supply(&mut self, need: Need, loaded: Loaded) {
        self.held = HeldBlock::of(need, loaded);
    }

    /// Goes as far as possible. Every call must be given the same state.
    pub fn step<S: BlockSource + ?Sized>(&mut self, state: &ReadState, blocks: &S) -> Step<Option<Found>> {
        let shallow = state.manifest.runs().len();
        let answered = self.answered.unwrap_or_else(|| {
            self.ask_memtables(state);
            0
        });
        if answered == 0 {
            if shallow == 0 && self.is_newer_than(state.deep_max_lsn) {
                return Step::Done(self.best.take());
            }
            self.hash = key_hash(self.key);
        }
        for (number, run) in state.manifest.all_runs().enumerate().skip(answered) {
            if number == shallow && self.is_newer_than(state.deep_max_lsn) {
                break;
            }
            let table = run.table_of(self.key).filter(|table| !self.is_newer_than(table.info().max_lsn));
            let Some(table) = table else { continue };
            match self.ask_table(table, blocks) {
                Step::Done(None) => {}
                Step::Done(Some(found)) => {
                    self.take_newer(found);
                    // Deeper levels have only older versions.
                    if number >= shallow {
                        break;
                    }
                }
                Step::Need(need) => {
                    self.answered = Some(number);
                    return Step::Need(need);
                }
            }
        }
        Step::Done(self.best.take())
    }

    /// The tables that may have to be asked and whose index and filter are not in memory, for loading them at
    /// the same time: one after the other, each would cost its own round to the store.
    #[must_use]
    pub fn tables_without_meta(&self, state: &ReadState) -> Vec<Arc<Table>> {
        let asked = state.manifest.all_runs().skip(self.answered.unwrap_or(0));
        let tables = asked.filter_map(|run| run.table_of(self.key));
        tables.filter(|table| !table.has_meta()).map(Arc::clone).collect()
    }

    fn ask_memtables(&mut self, state: &ReadState) {
        for memtable in std::iter::once(&state.active).chain(&state.frozen) {
            if self.is_newer_than(memtable.max_lsn()) {
                continue;
            }
            if let Some(entry) = memtable.get(self.key, self.lsn) {
                // Copied only if it is the newest so far, which the first hit nearly always is.
                if self.best.as_ref().is_none_or(|best| best.lsn < entry.lsn) {
                    let value = entry.value.map(Bytes::copy_from_slice);
                    self.best = Some(Found { lsn: entry.lsn, value });
                }
            }
        }
    }

    fn ask_table<S: BlockSource + ?Sized>(&mut self, table: &Arc<Table>, blocks: &S) -> Step<Option<Found>> {
        let handle = match table.locate(self.key, self.hash, self.lsn) {
            Located::NeedsMeta => return Step::Need(Need::Meta(Arc::clone(table))),
            Located::Absent => return Step::Done(None),
            Located::Block(handle) => handle,
        };
        let Some(block) =
            HeldBlock::take(&mut self.held, table, handle).or_else(|| blocks.try_block(table, handle))
        else {
            return Step::Need(Need::Block(Arc::clone(table), handle));
        };
        let Some(sought) = table.stored_lsn(self.lsn) else { return Step::Done(None) };
        Step::Done(
            block
                .find(self.key, sought)
                .map(|entry| Found { lsn: table.entry_lsn(entry.lsn), value: block.value(entry) }),
        )
    }

    /// Whether what was found makes it useless to look where nothing is newer than `max_lsn`.
    fn is_newer_than(&self, max_lsn: Lsn) -> bool {
        self.best.as_ref().is_some_and(|best| best.lsn >= max_lsn)
    }

    fn take_newer(&mut self, found: Found) {
        if self.best.as_ref().is_none_or(|best| best.lsn < found.lsn) {
            self.best = Some(found);
        }
    }
}

impl HeldBlock {
    pub(crate) fn of(need: Need, loaded: Loaded) -> Option<Self> {
        match (need, loaded) {
            (Need::Block(table, handle), Loaded::Block(block)) => Some(Self { table, handle, block }),
            _ => None,
        }
    }

    /// The held block, if it is the one that is needed.
    pub(crate) fn take(held: &mut Option<Self>, table: &Table, handle: BlockHandle) -> Option<Block> {
        let is_it = |held: &mut Self| held.table.id() == table.id() && held.handle == handle;
        held.take_if(is_it).map(|held| held.block)
    }
}
