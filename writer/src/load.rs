//! Rows of indexes that nobody reads yet, on their way around the write set into tables (ADR 0147).
//!
//! A [`Load`] belongs to one transaction. It is a small tree of its own: a memtable, and tables that it was
//! written to, in a manifest that nobody else knows, until [`Load::install`] hands them over.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_format::{ManifestEdit, SstMeta, sst_key};
use aquifer_lsm::{Manifest, Memtable, ReadState, Repeats, Retention, Rewrite, RewriteOptions, SortBuffer};
use aquifer_shard::engine::Spilled;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::lane::{BulkLane, JobClass, JobHandle};
use aquifer_types::{ErrorKind, Lsn};
use futures_channel::oneshot;

use crate::build::{Builder, Purpose, Written, new_ids};
use crate::failures::Failures;
use crate::maintenance::lane_closed;

/// So many runs become part of level 0 as they are.
const RUNS_MAX: usize = 4;

type Writing = JobHandle<NodeResult<Vec<Written>>>;

/// Where loads get their work done. One for a writer.
pub struct Loads {
    builder: Builder,
    lane: BulkLane,
    /// Size at which a load's memtable becomes tables.
    memtable_bytes: usize,
    finished: Mutex<VecDeque<Finished>>,
    failures: Arc<Failures>,
}

/// Tables of a load that are to become part of the database.
pub struct Finished {
    /// Sorted runs, each in key order and without overlaps.
    pub runs: Vec<Vec<Written>>,
    /// Told when they are in the chain.
    pub done: oneshot::Sender<NodeResult<()>>,
}

/// See the module.
pub struct Load {
    loads: Arc<Loads>,
    state: Arc<ReadState>,
    /// Entries that nobody looks for before the load is installed.
    buffer: SortBuffer,
    /// The buffer before this one, on its way into tables.
    writing: Option<Writing>,
    /// Sorted runs, each in key order and without overlaps.
    runs: Vec<Vec<Written>>,
    /// Whether a key may come twice, and is then to be found.
    is_distinct: bool,
    /// The indexes that are filled: the first bytes of their keys.
    indexes: Vec<[u8; 4]>,
    lsn: Lsn,
    repeats: Repeats,
}

impl Loads {
    /// For a writer whose tables are built by `builder` on `lane`.
    #[must_use]
    pub fn new(builder: Builder, lane: BulkLane, memtable_bytes: usize) -> Arc<Self> {
        let (finished, failures) = (Mutex::default(), Arc::default());
        Arc::new(Self { builder, lane, memtable_bytes, finished, failures })
    }

    /// Where its work is done.
    #[must_use]
    pub fn lane(&self) -> &BulkLane {
        &self.lane
    }

    /// What writers find wrong with indexes that are being built.
    #[must_use]
    pub fn failures(&self) -> &Arc<Failures> {
        &self.failures
    }

    /// The next load that is to be published.
    #[must_use]
    pub fn next_finished(&self) -> Option<Finished> {
        self.finished().pop_front()
    }

    /// Whether there is one.
    #[must_use]
    pub fn has_finished(&self) -> bool {
        !self.finished().is_empty()
    }

    fn finished(&self) -> MutexGuard<'_, VecDeque<Finished>> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_build(&self, rewrite: impl FnOnce() -> Rewrite + Send + 'static) -> Writing {
        let builder = self.builder.clone();
        self.lane.spawn_as(JobClass::Background, move || builder.build(rewrite(), Purpose::Load))
    }

    /// Builds tables on the lane.
    ///
    /// # Errors
    /// `Unavailable` when the store is away; what it refuses with; `Interrupted` when the writer stops.
    pub(crate) async fn build(
        &self,
        rewrite: impl FnOnce() -> Rewrite + Send + 'static,
    ) -> NodeResult<Vec<Written>> {
        self.begin_build(rewrite).await.map_err(|_| lane_closed())?
    }

    /// Gives tables of a transaction a run, and takes what they may change out of the row cache, on the lane.
    ///
    /// # Errors
    /// `Interrupted` when the writer stops.
    pub(crate) async fn hand_over(&self, mut tables: Vec<Written>) -> NodeResult<Spilled> {
        let engine = Arc::clone(&self.builder.engine);
        let edit = edit_of(&mut tables, engine.take_run());
        let metas = tables.iter().map(|table| (table.info.id, table.meta.clone())).collect();
        let fills = engine.rows.hold_fills();
        let forget = self.lane.spawn_as(JobClass::Background, move || async move {
            let changed = |key: &[u8]| {
                let at = tables.partition_point(|table| *table.info.largest < *key);
                tables.get(at).is_some_and(|table| *table.info.smallest <= *key)
            };
            engine.rows.remove_where(changed);
        });
        forget.await.map_err(|_| lane_closed())?;
        Ok(Spilled { tables: edit.added, metas, fills })
    }

    /// As [`Self::delete`], beside whatever else there is to do.
    pub(crate) fn delete_later(self: &Arc<Self>, tables: Vec<Written>) {
        if tables.is_empty() {
            return;
        }
        let loads = Arc::clone(self);
        drop(self.lane.spawn_as(JobClass::Background, move || async move { loads.delete(&tables).await }));
    }

    /// Deletes objects that no manifest has named; what fails is left to collection.
    async fn delete(&self, tables: &[Written]) {
        for table in tables {
            if let Err(error) = self.builder.engine.store.delete(&sst_key("", table.info.id)).await {
                event::warn(&format!("a table that is not needed any more is left to collection: {error}"));
                return;
            }
        }
    }
}

impl Load {
    /// An empty load, whose rows will have this LSN.
    #[must_use]
    pub fn new(loads: &Arc<Loads>, lsn: Lsn) -> Self {
        let state = ReadState::new(Arc::default(), Vec::new(), Arc::default());
        Self {
            loads: Arc::clone(loads),
            state: Arc::new(state),
            buffer: SortBuffer::default(),
            writing: None,
            runs: Vec::new(),
            is_distinct: false,
            indexes: Vec::new(),
            lsn,
            repeats: Repeats::default(),
        }
    }

    /// What has been put, for reads at any LSN.
    #[must_use]
    pub fn state(&self) -> &Arc<ReadState> {
        &self.state
    }

    /// Whether the index of `key` is being filled.
    #[must_use]
    pub fn fills(&self, key: &[u8]) -> bool {
        key.first_chunk().is_some_and(|index| self.indexes.contains(index))
    }

    /// The index of `key` is being filled.
    pub fn note(&mut self, key: &[u8]) {
        if let Some(index) = key.first_chunk()
            && !self.indexes.contains(index)
        {
            self.indexes.push(*index);
        }
    }

    /// Whether something may be in tables.
    #[must_use]
    pub fn has_tables(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Keys may come twice, and are then to be told: see [`Load::repeats`].
    pub fn find_repeats(&mut self) {
        self.is_distinct = true;
    }

    /// Adds a row; `false` when its key is in the memtable already.
    ///
    /// # Errors
    /// When no table could hold it.
    pub fn put(&self, key: &[u8], value: &[u8]) -> NodeResult<bool> {
        self.state
            .active()
            .insert(key, self.lsn, Some(value))
            .map_err(|error| NodeError::new(error.kind(), error.to_string()))
    }

    /// Where the first entry goes whose key had been added before: after [`Load::find_repeats`], [`Load::spill`] or
    /// [`Load::install`] then fails.
    #[must_use]
    pub fn repeats(&self) -> &Repeats {
        &self.repeats
    }

    /// Adds a row that [`Load::state`] does not show.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.buffer.add(key, value);
    }

    /// Whether [`Load::spill`] is due.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let bytes = self.state.active().approximate_bytes().max(self.buffer.used_bytes());
        bytes >= self.loads.memtable_bytes
    }

    /// Writes what is in memory as tables. What was added is written meanwhile: at most one buffer fills while another
    /// is written.
    ///
    /// # Errors
    /// `Unavailable` when the store is away; what it refuses with.
    pub async fn spill(&mut self) -> NodeResult<()> {
        if !self.buffer.is_empty() {
            self.end_writing().await?;
            let another = self.buffer.another();
            let (buffer, lsn) = (std::mem::replace(&mut self.buffer, another), self.lsn);
            let run = self.state.manifest().next_run();
            let repeats = Some(Arc::clone(&self.repeats));
            self.writing = Some(
                self.loads.begin_build(move || Rewrite::sorted(buffer.sort(lsn), options(run, repeats))),
            );
        }
        let memtable: Arc<Memtable> = Arc::clone(self.state.active());
        if memtable.is_empty() {
            return Ok(());
        }
        let run = self.state.manifest().next_run();
        let flush = move || Rewrite::flush(&[memtable], Retention::everything(), options(run, None));
        let written = self.loads.build(flush).await?;
        let manifest = self.manifest_with(&written)?;
        self.runs.push(written);
        self.state = Arc::new(ReadState::new(Arc::default(), Vec::new(), manifest));
        Ok(())
    }

    async fn end_writing(&mut self) -> NodeResult<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let written = writing.await.map_err(|_| lane_closed())??;
        let manifest = self.manifest_with(&written)?;
        self.runs.push(written);
        let active = Arc::clone(self.state.active());
        self.state = Arc::new(ReadState::new(active, Vec::new(), manifest));
        Ok(())
    }

    fn manifest_with(&self, written: &[Written]) -> NodeResult<Arc<Manifest>> {
        let added = written.iter().map(|table| SstMeta::from(&table.info)).collect();
        let edit = ManifestEdit { added, ..ManifestEdit::default() };
        let bug =
            |error| NodeError::new(ErrorKind::Bug, format!("tables of a load do not fit together: {error}"));
        self.state.manifest().apply(&edit).map(Arc::new).map_err(bug)
    }

    /// Makes everything part of the database. On return it is in the chain.
    ///
    /// A few runs are left to compaction, which brings them together anyway; many would slow writers down, and become one
    /// before.
    ///
    /// # Errors
    /// As [`Load::spill`], and `Interrupted` when the writer stops.
    pub async fn install(mut self) -> NodeResult<()> {
        self.spill().await?;
        self.end_writing().await?;
        let mut runs = std::mem::take(&mut self.runs);
        runs.retain(|run| !run.is_empty());
        if runs.is_empty() {
            return Ok(());
        }
        // Rows in the order of their keys make runs one after the other.
        if runs.windows(2).all(|pair| is_before(&pair[0], &pair[1])) {
            runs = vec![runs.concat()];
        }
        let mut parts = Vec::new();
        if runs.len() > RUNS_MAX || self.is_distinct && runs.len() > 1 {
            let (state, repeats) = (Arc::clone(&self.state), Some(Arc::clone(&self.repeats)));
            let merge = move || {
                let runs: Vec<_> =
                    state.manifest().runs().iter().map(|run| Arc::clone(run.tables())).collect();
                Rewrite::merge(&runs, Retention::everything(), options(0, repeats))
            };
            let merged = self.loads.build(merge).await?;
            parts = std::mem::replace(&mut runs, vec![merged]).concat();
        }
        let (done, published) = oneshot::channel();
        self.loads.finished().push_back(Finished { runs, done });
        self.loads.builder.engine.maintenance.ring();
        published.await.map_err(|_| lane_closed())??;
        self.loads.delete(&parts).await;
        Ok(())
    }
}

/// Whether all keys of a run are less than those of another; neither is empty.
fn is_before(run: &[Written], next: &[Written]) -> bool {
    run.last().zip(next.first()).is_some_and(|(last, first)| last.info.largest < first.info.smallest)
}

/// How a load's tables are written.
fn options(run: u64, repeats: Option<Repeats>) -> RewriteOptions {
    RewriteOptions { repeats, ..RewriteOptions::flush(new_ids(), run, event::wall_micros()) }
}

/// The edit that makes a load's tables run `run` of level 0.
#[must_use]
pub fn edit_of(tables: &mut [Written], run: u64) -> ManifestEdit {
    for table in &mut *tables {
        table.info.run = run;
    }
    ManifestEdit {
        added: tables.iter().map(|table| SstMeta::from(&table.info)).collect(),
        next_run: Some(run + 1),
        ..ManifestEdit::default()
    }
}
