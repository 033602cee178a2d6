//! A node's storage as its threads see it: the present read state, the catalog, the caches, the store.
//!
//! The read state and the catalog are immutable values that are replaced as a whole; readers load them
//! without a lock. Replacing them is serialised here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_cache::{HeldFills, RowCache, TieredSource};
use aquifer_catalog::Catalog;
use aquifer_format::{DeltaView, GroupView, ManifestEdit, Op, SstMeta};
use aquifer_lsm::{Manifest, Memtable, ReadState};
use aquifer_objstore::Store;
use aquifer_sql::Samples;
use aquifer_txn::Views;
use aquifer_types::{BranchName, Lsn, SstId};
use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::dead::DeadIndexes;
use crate::doorbell::Doorbell;
use crate::error::{NodeError, NodeResult};
use crate::event::wall_micros;
use crate::replay::Memtables;
use crate::temporary_files::TemporaryFiles;

/// The storage of one node.
pub struct Engine {
    /// The object store.
    pub store: Store,
    /// The branch that is served.
    pub branch: BranchName,
    /// Identity of the cluster, for GTIDs.
    pub cluster_uuid: String,
    /// Block and disk cache in front of the store.
    pub source: Arc<TieredSource>,
    /// The row cache.
    pub rows: Arc<RowCache>,
    /// Read views and the visible LSN.
    pub views: Arc<Views>,
    state: ArcSwap<ReadState>,
    catalog: ArcSwap<Catalog>,
    replacing: Mutex<Frozen>,
    /// What the frozen memtables held when the read state was last replaced.
    frozen_bytes: AtomicUsize,
    /// Runs of level 0 in the read state.
    runs: AtomicUsize,
    /// The next run of level 0, if the manifest has none above it.
    next_run: AtomicU64,
    /// Rung when there may be something to flush or to compact.
    pub maintenance: Doorbell,
    /// What was sampled of tables since the start.
    pub samples: Samples,
    /// What flushes and compactions leave out.
    pub dead: DeadIndexes,
    /// Where statements spill; `None` when the directory for it cannot be used.
    pub temporary: Option<Arc<TemporaryFiles>>,
}

/// Tables with writes of a transaction that is about to be given its LSN.
#[derive(Debug)]
pub struct Spilled {
    /// The tables as its delta lists them.
    pub tables: Vec<SstMeta>,
    /// Their index and filter as stored.
    pub metas: HashMap<SstId, Bytes>,
    /// No row cache has a row of theirs, nor will before the LSN is given.
    pub fills: HeldFills,
}

/// The frozen memtables, oldest first, each with the last LSN that it may hold.
#[derive(Default)]
struct Frozen(Vec<(Arc<Memtable>, Lsn)>);

/// What a node's storage is made of.
pub struct EngineParts {
    /// The object store.
    pub store: Store,
    /// The branch.
    pub branch: BranchName,
    /// The cluster's id as text.
    pub cluster_uuid: String,
    /// Block and disk cache.
    pub source: Arc<TieredSource>,
    /// The row cache.
    pub rows: Arc<RowCache>,
    /// Read views.
    pub views: Arc<Views>,
    /// The tables.
    pub manifest: Manifest,
    /// What is not in tables.
    pub memtables: Memtables,
    /// The catalog as of the visible LSN.
    pub catalog: Arc<Catalog>,
    /// Indexes that are dead already.
    pub dead: DeadIndexes,
    /// Where statements spill.
    pub temporary: Option<Arc<TemporaryFiles>>,
}

impl Engine {
    /// An engine that begins with these.
    #[must_use]
    pub fn new(parts: EngineParts) -> Arc<Self> {
        let runs = AtomicUsize::new(parts.manifest.runs().len());
        let state = parts.memtables.state(Arc::new(parts.manifest));
        let frozen_bytes =
            parts.memtables.frozen.iter().map(|(memtable, _)| memtable.approximate_bytes()).sum();
        Arc::new(Self {
            store: parts.store,
            branch: parts.branch,
            cluster_uuid: parts.cluster_uuid,
            source: parts.source,
            rows: parts.rows,
            views: parts.views,
            state: ArcSwap::from_pointee(state),
            catalog: ArcSwap::new(parts.catalog),
            replacing: Mutex::new(Frozen(parts.memtables.frozen)),
            frozen_bytes: AtomicUsize::new(frozen_bytes),
            runs,
            next_run: AtomicU64::new(0),
            maintenance: Doorbell::new(),
            samples: Samples::default(),
            dead: parts.dead,
            temporary: parts.temporary,
        })
    }

    /// What reads look at now.
    #[must_use]
    pub fn state(&self) -> Arc<ReadState> {
        self.state.load_full()
    }

    /// The newest catalog.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// LSN of the newest catalog's last change, without counting a reader of it.
    #[must_use]
    pub fn catalog_version(&self) -> Lsn {
        self.catalog.load().version()
    }

    /// The memtable that new versions go to.
    #[must_use]
    pub fn active_memtable(&self) -> Arc<Memtable> {
        Arc::clone(self.state.load().active())
    }

    /// Bytes in the active memtable.
    #[must_use]
    pub fn memtable_bytes(&self) -> usize {
        self.state.load().active().approximate_bytes()
    }

    /// Bytes in frozen memtables.
    #[must_use]
    pub fn frozen_bytes(&self) -> usize {
        self.frozen().0.iter().map(|(memtable, _)| memtable.approximate_bytes()).sum()
    }

    /// Bytes in all memtables, nearly, without a lock: for every commit.
    #[must_use]
    pub fn unflushed_bytes(&self) -> usize {
        self.frozen_bytes.load(Ordering::Relaxed) + self.memtable_bytes()
    }

    /// Runs of level 0.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    fn frozen(&self) -> MutexGuard<'_, Frozen> {
        self.replacing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a new memtable. What was dispatched so far, up to `last`, is or will be in the old one; the
    /// caller is the thread that dispatches. Does nothing when the memtable is empty.
    pub fn freeze_memtable(&self, last: Lsn) {
        let mut frozen = self.frozen();
        let state = self.state.load_full();
        let already = frozen.0.last().is_some_and(|(_, before)| *before >= last);
        if already {
            return;
        }
        frozen.0.push((Arc::clone(state.active()), last));
        self.replace(frozen, Arc::new(Memtable::new()), Arc::clone(state.manifest()));
    }

    /// The oldest frozen memtable that is complete (all up to its last LSN is visible), and that LSN.
    #[must_use]
    pub fn oldest_frozen(&self) -> Option<(Arc<Memtable>, Lsn)> {
        let visible = self.views.visible();
        self.frozen().0.first().filter(|(_, last)| *last <= visible).cloned()
    }

    /// Applies an edit that is in the chain: tables come and go, and memtables whose content is in tables
    /// go.
    ///
    /// # Errors
    /// `Corrupt` when the edit does not fit the manifest.
    pub fn install_edit(&self, edit: &ManifestEdit) -> NodeResult<()> {
        self.install_edit_with(edit, &HashMap::new())
    }

    /// As [`Engine::install_edit`], with the stored index and filter of tables that the edit adds, so that no
    /// read waits for them.
    ///
    /// # Errors
    /// `Corrupt` when the edit does not fit the manifest.
    pub fn install_edit_with(&self, edit: &ManifestEdit, metas: &HashMap<SstId, Bytes>) -> NodeResult<()> {
        let mut frozen = self.frozen();
        let state = self.state.load_full();
        let manifest = state.manifest().apply(edit)?;
        for table in manifest.tables().filter(|_| !metas.is_empty()) {
            if let Some(stored) = metas.get(&table.id()) {
                // If they do not verify, the first read fetches them from the store.
                let _ = table.install_meta(stored.clone());
            }
        }
        frozen.0.retain(|(_, last)| *last > manifest.checkpoint_lsn());
        self.replace(frozen, Arc::clone(state.active()), Arc::new(manifest));
        Ok(())
    }

    /// A number for a run of level 0 that no other run of this process has.
    #[must_use]
    pub fn take_run(&self) -> u64 {
        let known = self.state.load().manifest().next_run();
        let _ = self.next_run.fetch_max(known, Ordering::SeqCst);
        self.next_run.fetch_add(1, Ordering::SeqCst)
    }

    /// Makes tables of a transaction part of the read state, under the LSN that it has been given. Called before
    /// anything of the transaction can be seen, from the thread that dispatches.
    ///
    /// # Errors
    /// `Corrupt` when the tables do not fit the manifest.
    pub fn install_spilled(&self, lsn: Lsn, spilled: Spilled) -> NodeResult<()> {
        let Spilled { tables, metas, fills } = spilled;
        let tables = tables.into_iter().map(|table| SstMeta { commit_lsn: lsn.0, ..table });
        self.install_edit_with(&ManifestEdit::of_spilled(tables.collect()), &metas)?;
        fills.release(lsn);
        Ok(())
    }

    /// Replaces the read state, under the lock that the caller holds.
    fn replace(&self, frozen: MutexGuard<'_, Frozen>, active: Arc<Memtable>, manifest: Arc<Manifest>) {
        let bytes = frozen.0.iter().map(|(memtable, _)| memtable.approximate_bytes()).sum();
        self.frozen_bytes.store(bytes, Ordering::Relaxed);
        self.runs.store(manifest.runs().len(), Ordering::Relaxed);
        let memtables = frozen.0.iter().rev().map(|(memtable, _)| Arc::clone(memtable)).collect();
        self.state.store(Arc::new(ReadState::new(active, memtables, manifest)));
        drop(frozen);
        self.maintenance.ring();
    }

    /// Replaces the catalog if the group changes it. Called before the group can be seen, from the thread
    /// that dispatches.
    ///
    /// # Errors
    /// `Corrupt` when a catalog row cannot be read.
    pub fn install_catalog_changes(&self, group: &GroupView) -> NodeResult<()> {
        for (lsn, delta) in group.iter().filter(|(_, delta)| delta.touches_catalog()) {
            let before = self.catalog.load();
            let after = apply_catalog(&before, lsn, &delta)?;
            self.dead.note_change(&before, &after, wall_micros());
            self.catalog.store(Arc::new(after));
        }
        Ok(())
    }
}

/// The catalog after one committed transaction.
///
/// # Errors
/// `Corrupt` when a catalog row cannot be read.
pub fn apply_catalog(catalog: &Catalog, lsn: Lsn, delta: &DeltaView) -> NodeResult<Catalog> {
    let changes = delta.iter().map(|(key, op)| match op {
        Op::Put(value) => (key, Some(value)),
        Op::Delete => (key, None),
    });
    catalog.apply(lsn, changes).map_err(|error| NodeError::new(error.kind(), error.to_string()))
}
