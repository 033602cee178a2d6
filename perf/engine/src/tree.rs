//! A node's storage without clients: engine, publisher and maintenance as a writer runs them, over a store in
//! a directory or a simulated one. Commits go to the chain; there is no local commit log, and no SQL.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aquifer_cache::{
    BlockCache, BlockCacheConfig, DiskCache, DiskCacheConfig, RowCache, RowCacheConfig, TieredSource,
};
use aquifer_catalog::Catalog;
use aquifer_format::{DeltaFlags, GroupBuilder, GroupView, encode_delta};
use aquifer_objstore::{
    Operation, Retry, SimOptions, SimStore, SimTime, Store, StoreOptions, StoreUrl, block_on,
};
use aquifer_shard::chain::{self, ChainState};
use aquifer_shard::dead::DeadIndexes;
use aquifer_shard::engine::{Engine, EngineParts};
use aquifer_shard::lane::{BulkLane, JobHandle};
use aquifer_shard::reads::{self, Fill};
use aquifer_shard::replay::Replay;
use aquifer_shard::ticker::Ticker;
use aquifer_txn::Views;
use aquifer_types::{BranchName, Epoch, Lsn, Maybe};
use aquifer_writer::admission::{Admission, Pacer};
use aquifer_writer::build::Builder;
use aquifer_writer::load::Loads;
use aquifer_writer::maintenance::{self, Maintenance, MaintenanceCounts};
use aquifer_writer::outbox::{Outbox, OutboxDir};
use aquifer_writer::publisher::{Publisher, PublisherOptions, PublisherParts, ReadLog};
use bytes::Bytes;

use crate::memory_store::MemoryStore;

/// Anything that goes wrong ends the measurement.
pub type Outcome<T> = Result<T, String>;

/// Memory and disk of a tree's caches.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Row cache.
    pub rows: usize,
    /// Block cache.
    pub blocks: usize,
    /// Disk cache; 0 for none.
    pub disk: u64,
    /// Memtable.
    pub memtable: usize,
}

/// See the module.
pub struct Tree {
    /// The storage.
    pub engine: Arc<Engine>,
    /// What maintenance has done.
    pub counts: Arc<MaintenanceCounts>,
    sizes: Sizes,
    next_lsn: Lsn,
    publisher: Publisher,
    publisher_thread: Option<JoinHandle<()>>,
    lane: BulkLane,
    pacer: Arc<Pacer>,
    maintenance: Option<JobHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// Requests and bytes of the store so far.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// GET and HEAD requests.
    pub gets: u64,
    /// Bytes sent.
    pub put_bytes: u64,
}

/// An error as a sentence.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The simulated stores of this process by the directories that they stand for; `None`: directories it is.
static SIMULATED: Mutex<Option<Simulated>> = Mutex::new(None);

struct Simulated {
    seed: u64,
    stores: HashMap<PathBuf, SimStore>,
}

/// From now on stores are simulated instead of kept in directories.
pub fn simulate_stores(seed: u64) {
    *simulated() = Some(Simulated { seed, stores: HashMap::new() });
}

fn simulated() -> MutexGuard<'static, Option<Simulated>> {
    SIMULATED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the store of a directory.
pub fn open_store(dir: &Path) -> Outcome<Store> {
    if let Some(simulated) = &mut *simulated() {
        let options = SimOptions { time: SimTime::Real, ..SimOptions::new(simulated.seed) };
        let sim = simulated.stores.entry(dir.to_owned()).or_insert_with(|| SimStore::new(options));
        return Store::with_backend(Arc::new(sim.clone()), Retry::default()).map_err(text);
    }
    let url = StoreUrl::parse(&dir.join("store").display().to_string()).map_err(text)?;
    Store::open(&url, &StoreOptions::default()).map_err(text)
}

/// Removes a directory with its store.
pub fn remove(dir: &Path) -> Outcome<()> {
    if let Some(simulated) = &mut *simulated() {
        simulated.stores.remove(dir);
    }
    std::fs::remove_dir_all(dir).map_err(text)
}

impl Tree {
    /// Opens what is in a directory, which may be nothing.
    pub fn open(dir: &Path, sizes: Sizes) -> Outcome<Self> {
        Self::open_on(open_store(dir)?, dir, sizes)
    }

    /// An empty tree over a store in memory; caches that need a file have it in `dir`.
    pub fn in_memory(dir: &Path, sizes: Sizes) -> Outcome<Self> {
        let backend = Arc::new(MemoryStore::default());
        Self::open_on(Store::with_backend(backend, Retry::default()).map_err(text)?, dir, sizes)
    }

    fn open_on(store: Store, dir: &Path, sizes: Sizes) -> Outcome<Self> {
        let (engine, mut state) = open_chain(dir, sizes, store)?;
        state.next.epoch = Epoch(state.next.epoch.0.max(1));
        Self::start(dir, sizes, engine, state)
    }

    fn start(dir: &Path, sizes: Sizes, engine: Arc<Engine>, state: ChainState) -> Outcome<Self> {
        let visible = state.last_lsn();
        let publisher = Publisher::new(visible);
        let (outbox, _, _) = OutboxDir::open(&dir.join("outbox"), 0).map_err(text)?;
        let outbox = Arc::new(outbox);
        let ticker = Ticker::start().map_err(text)?;
        let publisher_thread = Some(start_publisher(&publisher, &engine, state, Arc::clone(&outbox))?);
        let threads = maintenance::threads();
        let lane = BulkLane::start(threads).map_err(text)?;
        let pacer = Arc::new(Pacer::new(sizes.memtable, sizes.memtable * 4));
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(MaintenanceCounts::default());
        let builder = Builder {
            engine: Arc::clone(&engine),
            outbox: Outbox::new(Arc::clone(&engine), publisher.clone(), ticker.clone(), outbox),
            ticker,
            pacer: Arc::clone(&pacer),
            stop: Arc::clone(&stop),
            counts: Arc::clone(&counts),
        };
        let loads = Loads::new(builder.clone(), lane.clone(), sizes.memtable);
        // Freezing is up to the case.
        let freeze = Arc::new(|| {});
        let optimizing = Arc::default();
        let job = Maintenance { builder, lane: lane.clone(), threads, loads, optimizing, freeze };
        let maintenance = Some(lane.spawn(move || job.run()));
        let next_lsn = Lsn(visible.0 + 1);
        Ok(Self {
            engine,
            counts,
            sizes,
            next_lsn,
            publisher,
            publisher_thread,
            lane,
            pacer,
            maintenance,
            stop,
        })
    }

    /// Commits one transaction for each row, as one group.
    pub fn put(&mut self, rows: &[([u8; crate::data::KEY_BYTES], &[u8])]) -> Outcome<()> {
        self.wait_for_room(rows.iter().map(|(key, value)| key.len() + value.len()).sum());
        let mut group = GroupBuilder::new(self.next_lsn, Epoch(1));
        for (key, value) in rows {
            let writes = [(key.as_slice(), Some(*value))];
            group.push(encode_delta(writes, DeltaFlags::NONE, 0).map_err(text)?);
        }
        let group = GroupView::parse(group.finish().map_err(text)?).map_err(text)?;
        if self.engine.memtable_bytes() >= self.sizes.memtable {
            self.engine.freeze_memtable(Lsn(group.first_lsn().0 - 1));
        }
        let memtable = self.engine.active_memtable();
        for (lsn, delta) in group.iter() {
            for (key, value) in delta.slices() {
                memtable.insert(key, lsn, value).map_err(text)?;
                self.engine.rows.apply(key, lsn, value);
            }
        }
        self.next_lsn = Lsn(group.last_lsn().0 + 1);
        self.engine.views.advance(group.last_lsn());
        self.publisher.push_held_group(group);
        Ok(())
    }

    /// What the writer does before a commit while flushes and compactions are behind.
    fn wait_for_room(&self, bytes: usize) {
        loop {
            match self.pacer.admit(&self.engine, bytes) {
                Admission::Now => return,
                Admission::After(wait) => return std::thread::sleep(wait),
                Admission::NoRoom => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Flushes the memtable and waits until nothing is left to flush, to compact or to publish.
    pub fn settle(&self) -> Outcome<()> {
        self.engine.freeze_memtable(Lsn(self.next_lsn.0 - 1));
        let deadline = Instant::now() + Duration::from_secs(900);
        while !self.is_settled() {
            if Instant::now() > deadline {
                return Err("flush and compaction do not come to an end".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether nothing is left to flush, to compact or to publish.
    pub fn is_settled(&self) -> bool {
        let state = self.engine.state();
        let manifest = state.manifest();
        let idle = self.engine.frozen_bytes() == 0
            && aquifer_lsm::pick(manifest, &aquifer_lsm::CompactionPolicy::default(), &[]).is_none()
            && aquifer_lsm::pick_idle(manifest, &[]).is_none();
        idle && self.publisher.backlog_bytes() == 0
    }

    /// Reads one row through row cache, memtables and tables, waiting for what is not in memory.
    pub fn get(&self, key: &[u8], fill: Fill) -> Outcome<Option<Bytes>> {
        read(&self.engine, key, fill)
    }

    /// The store's counters.
    pub fn traffic(&self) -> Traffic {
        traffic(&self.engine.store)
    }

    /// The tree's shape, for a note in a result.
    pub fn shape(&self) -> String {
        let state = self.engine.state();
        let manifest = state.manifest();
        let mib = |bytes: u64| bytes >> 20;
        let deep =
            (1..).zip(manifest.levels()).filter(|(_, run)| !run.tables().is_empty()).map(|(level, run)| {
                format!("level {level}: {} tables, {} MiB", run.tables().len(), mib(run.object_bytes()))
            });
        let runs = std::iter::once(format!("level 0: {} runs", manifest.runs().len()));
        let text = runs.chain(deep).collect::<Vec<_>>().join("; ");
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (flushes, compactions) = (count(&self.counts.flushes), count(&self.counts.compactions));
        format!(
            "{text} ({flushes} flushes, {compactions} compactions in {} parts)",
            count(&self.counts.parts)
        )
    }

    /// Ends flushes and compactions for good: what a store does at rest is no part of a measurement of reads.
    pub fn hold_still(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.engine.maintenance.ring();
        if let Some(job) = self.maintenance.take() {
            let _ = block_on(job);
        }
    }

    /// Stops; everything is in the chain then.
    pub fn close(mut self) -> Outcome<()> {
        self.hold_still();
        self.lane.shutdown();
        self.publisher.close();
        match self.publisher_thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err("the publisher has panicked".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Storage over what a store holds, with nothing that runs by itself.
pub fn open_engine(dir: &Path, sizes: Sizes, store: Store) -> Outcome<Arc<Engine>> {
    open_chain(dir, sizes, store).map(|(engine, _)| engine)
}

fn open_chain(dir: &Path, sizes: Sizes, store: Store) -> Outcome<(Arc<Engine>, ChainState)> {
    let mut replay = Replay::new("opening");
    let state = block_on(chain::open(&store, &BranchName::main(), &mut replay)).map_err(text)?;
    let visible = state.last_lsn();
    let blocks = Arc::new(BlockCache::new(&BlockCacheConfig::with_bytes(sizes.blocks)));
    let disk = (sizes.disk > 0)
        .then(|| Arc::new(DiskCache::open(DiskCacheConfig::new(dir.join("disk.cache"), sizes.disk))));
    let engine = Engine::new(EngineParts {
        store: store.clone(),
        branch: state.next.branch.clone(),
        cluster_uuid: String::new(),
        source: Arc::new(TieredSource::new(Arc::new(store), blocks, disk)),
        rows: Arc::new(RowCache::new(RowCacheConfig::with_bytes(sizes.rows), visible)),
        views: Views::new(1, visible),
        manifest: state.manifest.clone(),
        memtables: replay.finish(state.manifest.checkpoint_lsn()),
        catalog: Arc::new(Catalog::empty()),
        dead: DeadIndexes::default(),
        temporary: None,
    });
    Ok((engine, state))
}

/// Reads one row as [`Tree::get`] does.
pub fn read(engine: &Arc<Engine>, key: &[u8], fill: Fill) -> Outcome<Option<Bytes>> {
    match reads::get(engine, || engine.state(), key, engine.views.visible(), fill) {
        Maybe::Ready(found) => found.map_err(text),
        Maybe::Wait(future) => block_on(future).map_err(text),
    }
}

/// The counters of a store.
pub fn traffic(store: &Store) -> Traffic {
    let meter = store.meter().snapshot();
    let (get, put) = (meter.of(Operation::Get), meter.of(Operation::Put));
    Traffic { gets: get.requests + meter.of(Operation::Head).requests, put_bytes: put.bytes }
}

fn start_publisher(
    publisher: &Publisher,
    engine: &Arc<Engine>,
    state: ChainState,
    outbox: Arc<OutboxDir>,
) -> Outcome<JoinHandle<()>> {
    let (publisher, store) = (publisher.clone(), engine.store.clone());
    let options = PublisherOptions { interval: Duration::from_millis(20), checkpoint_links: 256 };
    let run = move || {
        let read_log: ReadLog = Box::new(|_, _| Ok(Vec::new()));
        let (options, outbox) = (&options, &*outbox);
        let parts = PublisherParts { store: &store, state, options, outbox, read_log: &read_log };
        drop(publisher.run(parts, |_| {}));
    };
    std::thread::Builder::new().name("publisher".to_owned()).spawn(run).map_err(text)
}
