//! What both roles do to start: the store and its identity, the local directory, the caches, the catalog,
//! and serving clients on every executor.

use std::fs::{self, File};
use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aquifer_cache::{
    BlockCache, BlockCacheConfig, DiskCache, DiskCacheConfig, HedgedReader, Pauses, RangeReader, RowCache,
    RowCacheConfig, TieredSource,
};
use aquifer_catalog::{Catalog, SYSTEM_RANGE_END, SYSTEM_RANGE_START};
use aquifer_format::{Cluster, FormatError, cluster_key};
use aquifer_lsm::{Cursor, Direction, Manifest};
use aquifer_objstore::{
    PutOutcome, Store, StoreErrorKind, StoreOptions, StoreUrl, block_on, probe_conditional_put,
};
use aquifer_session::{SessionHost, SessionRegistry, SessionSettings};
use aquifer_types::{ErrorKind, Lsn};
use bytes::Bytes;

use crate::error::{NodeError, NodeResult};
use crate::executor::{ExecutorId, ExecutorOptions, Executors, ExecutorsHandle};
use crate::homes::{Homes, Msg};
use crate::lane::BulkLane;
use crate::listen::{Admission, ListenOptions, Listeners, Stopper};
use crate::local::Local;
use crate::queue::Receiver;
use crate::replay::Memtables;
use crate::sizes::{Machine, Sizes};
use crate::ticker::Ticker;
use crate::{event, random, serve, temporary_files};

/// Messages that may wait for one executor.
pub const MAILBOX_MESSAGES_MAX: usize = 16_384;

/// Limits of session time are enforced this often.
const TICK: Duration = Duration::from_millis(50);

/// What both roles let an operator set.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Where the data are.
    pub store: StoreUrl,
    /// How the store is reached.
    pub store_options: StoreOptions,
    /// A directory of the node's own: commit log, disk cache, keys. All but the tail of the commit log can
    /// be lost without loss.
    pub local: PathBuf,
    /// Where clients connect to.
    pub listen: SocketAddr,
    /// Threads that serve clients; one a core by default.
    pub executors: Option<usize>,
    /// Memory of the row cache. Larger: more point reads cost no look-up in blocks.
    pub row_cache_bytes: usize,
    /// Memory of the block cache. Larger: fewer reads from disk and store.
    pub block_cache_bytes: usize,
    /// Size of the disk cache file; 0 for none. Larger: fewer GET requests.
    pub disk_cache_bytes: u64,
    /// Size at which a memtable is flushed. Larger: fewer, larger tables and less compaction, more memory,
    /// longer recovery.
    pub memtable_bytes: usize,
}

impl NodeOptions {
    /// Defaults that suit this machine when `nodes` nodes share it; see [`Sizes`].
    #[must_use]
    pub fn new(store: StoreUrl, local: PathBuf, listen: SocketAddr, nodes: u64) -> Self {
        let sizes = Sizes::choose(Machine::here(&local), nodes);
        Self {
            store,
            store_options: StoreOptions::default(),
            local,
            listen,
            executors: None,
            row_cache_bytes: sizes.row_cache_bytes,
            block_cache_bytes: sizes.block_cache_bytes,
            disk_cache_bytes: sizes.disk_cache_bytes,
            memtable_bytes: sizes.memtable_bytes,
        }
    }
}

/// What this machine can spare for changes that wait for the store: a quarter of the disk space that is free
/// at `local`, and not more than half of the memory, into which a start reads them.
#[must_use]
pub fn local_bytes_for_backlog(local: &Path) -> u64 {
    let machine = Machine::here(local);
    (machine.free_disk_bytes / 4).min(machine.memory_bytes / 2)
}

/// Opens a store and makes sure that it can be trusted with a chain.
///
/// # Errors
/// One sentence with the remedy: not reachable, not writable, ignores conditions.
pub fn open_store(options: &NodeOptions) -> NodeResult<Store> {
    let store = Store::open(&options.store, &options.store_options)?;
    block_on(probe_conditional_put(&store, ""))?;
    Ok(store)
}

/// Opens a store that a reader only reads.
///
/// # Errors
/// One sentence with the remedy.
pub fn open_store_to_read(options: &NodeOptions) -> NodeResult<Store> {
    Ok(Store::open(&options.store, &options.store_options)?)
}

/// The store's identity; `None` when nobody has written to it yet.
///
/// # Errors
/// `Invalid` for a store of a newer format, `Corrupt`, `Unavailable`.
pub fn read_cluster(store: &Store) -> NodeResult<Option<Cluster>> {
    block_on(cluster(store))
}

/// As [`read_cluster`], for those who have other requests to send meanwhile.
///
/// # Errors
/// As [`read_cluster`].
pub async fn cluster(store: &Store) -> NodeResult<Option<Cluster>> {
    let key = cluster_key("");
    match store.get(&key).await {
        Ok(bytes) => Cluster::decode(bytes, &key).map(Some).map_err(|error| newer_format(store, error)),
        Err(error) if error.kind() == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn newer_format(store: &Store, error: FormatError) -> NodeError {
    match error.cause() {
        FormatError::NewerVersion { found, supported } => NodeError::new(
            ErrorKind::Invalid,
            format!(
                "the store at {} was written by a newer release (format version {found}, this one reads up to \
                 {supported}): use that release or a later one",
                store.location()
            ),
        ),
        _ => error.into(),
    }
}

/// The store's identity, which the first writer gives it.
///
/// # Errors
/// As [`read_cluster`].
pub fn read_or_create_cluster(store: &Store) -> NodeResult<Cluster> {
    loop {
        if let Some(cluster) = read_cluster(store)? {
            return Ok(cluster);
        }
        let cluster = Cluster::new(random::uuid(), event::wall_micros());
        if block_on(store.put_if_absent(&cluster_key(""), cluster.encode()))? == PutOutcome::Created {
            return Ok(cluster);
        }
    }
}

/// Keeps a second process out of a local directory for as long as it lives.
#[derive(Debug)]
pub struct LocalDir {
    _lock: File,
}

/// Creates the local directory and takes it for this process.
///
/// # Errors
/// One sentence with the remedy: not writable, or in use.
pub fn take_local_dir(path: &Path) -> NodeResult<LocalDir> {
    fs::create_dir_all(path).map_err(|error| NodeError::io("create the directory", path, &error))?;
    let name = path.join("in-use");
    let file = File::create(&name).map_err(|error| NodeError::io("write to", &name, &error))?;
    // SAFETY: the descriptor is that of an open file.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(NodeError::new(
            ErrorKind::Invalid,
            format!("{} is in use by another process: stop it or choose another directory", path.display()),
        ));
    }
    Ok(LocalDir { _lock: file })
}

/// The caches of a node.
pub struct Caches {
    /// Blocks in memory and on disk, in front of the store.
    pub source: Arc<TieredSource>,
    /// Rows.
    pub rows: Arc<RowCache>,
}

/// Opens the caches. `visible` is the LSN that reads begin at. A damaged or full disk turns that tier off with
/// a warning.
#[must_use]
pub fn open_caches(options: &NodeOptions, store: &Store, visible: Lsn) -> Caches {
    let rows = RowCache::new(RowCacheConfig::with_bytes(options.row_cache_bytes), visible);
    let blocks = BlockCache::new(&BlockCacheConfig::with_bytes(options.block_cache_bytes));
    let disk = match options.disk_cache_bytes {
        0 => None,
        bytes => {
            let path = options.local.join("disk.cache");
            let mut config = DiskCacheConfig::new(&path, bytes);
            config.warn = Arc::new(event::warn);
            Some(Arc::new(DiskCache::open(config)))
        }
    };
    let source = TieredSource::new(reader_of(options, store), Arc::new(blocks), disk);
    Caches { source: Arc::new(source), rows: Arc::new(rows) }
}

/// How blocks are fetched: with hedges where the store is behind a network.
fn reader_of(options: &NodeOptions, store: &Store) -> Arc<dyn RangeReader> {
    let plain: Arc<dyn RangeReader> = Arc::new(store.clone());
    if matches!(options.store, StoreUrl::Dir(_)) {
        return plain;
    }
    match Ticker::start() {
        Ok(ticker) => {
            let pauses: Pauses = Arc::new(move |duration| Box::pin(ticker.sleep(duration)));
            Arc::new(HedgedReader::new(plain, pauses))
        }
        Err(error) => {
            event::warn(&format!("reads are not hedged, there is no thread for a timer: {error}"));
            plain
        }
    }
}

/// Reads the catalog as of `lsn`.
///
/// # Errors
/// `Corrupt` naming the object, `Unavailable`.
pub fn load_catalog(
    manifest: &Manifest,
    memtables: &Memtables,
    source: &TieredSource,
    lsn: Lsn,
) -> NodeResult<Arc<Catalog>> {
    let range = Bytes::from_static(&SYSTEM_RANGE_START)..Bytes::from_static(&SYSTEM_RANGE_END);
    let rows = read_range(manifest, memtables, source, (range, lsn))?;
    let catalog = Catalog::from_rows(lsn, rows);
    Ok(Arc::new(catalog.map_err(|error| NodeError::new(error.kind(), error.to_string()))?))
}

/// All entries of a range as of an LSN, before there is an engine.
///
/// # Errors
/// `Corrupt` naming the object, `Unavailable`.
pub fn read_range(
    manifest: &Manifest,
    memtables: &Memtables,
    source: &TieredSource,
    (range, lsn): (Range<Bytes>, Lsn),
) -> NodeResult<Vec<(Bytes, Bytes)>> {
    let state = Arc::new(memtables.state(Arc::new(manifest.clone())));
    let mut cursor = Cursor::new(&state, range, Direction::Forward, lsn);
    let mut rows = Vec::new();
    loop {
        let before = rows.len();
        block_on(cursor.next_batch_async(source, &mut rows, 256))?;
        if rows.len() == before {
            return Ok(rows);
        }
    }
}

/// What the sessions of a node share, with the keys that are made on the first start.
///
/// # Errors
/// When the keys cannot be read or written, or a setting is not legal.
pub fn open_registry(
    options: &NodeOptions,
    cluster: &Cluster,
    catalog: &Catalog,
    port: u16,
) -> NodeResult<Arc<SessionRegistry>> {
    let keys_dir = options.local.join("keys");
    let keys = aquifer_wire::key_files::load_or_create(&keys_dir).map_err(|error| {
        NodeError::new(ErrorKind::Invalid, format!("keys in {}: {error}", keys_dir.display()))
    })?;
    let mut variables = vec![
        ("port".to_owned(), port.to_string()),
        ("server_uuid".to_owned(), cluster.uuid_text()),
        ("datadir".to_owned(), format!("{}/", options.local.display())),
        ("tmpdir".to_owned(), temporary_files::directory(&options.local).display().to_string()),
        ("hostname".to_owned(), hostname()),
    ];
    variables.extend(catalog.variables().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let settings = SessionSettings { variables, keys: Some(Arc::new(keys)), ..SessionSettings::default() };
    SessionRegistry::new(&settings).map_err(|text| NodeError::new(ErrorKind::Invalid, text))
}

fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// Sessions count themselves and tell error 1040 in their own words.
struct AdmitAll;

impl Admission for AdmitAll {
    fn admit(&self, _peer: SocketAddr) -> Result<(), Bytes> {
        Ok(())
    }

    fn release(&self, _peer: SocketAddr) {}
}

/// A node that serves clients.
pub struct Serving {
    executors: Executors,
    stopper: Stopper,
    registry: Arc<SessionRegistry>,
    ticking: Arc<AtomicBool>,
    ticker: JoinHandle<()>,
}

/// Where a node will serve clients: its sockets are bound before anything else is begun, so that a port in
/// use is told at once.
///
/// # Errors
/// One sentence with the remedy.
pub fn bind(options: &NodeOptions) -> NodeResult<Listeners> {
    let count = executor_count(options);
    Listeners::bind(&ListenOptions::new(options.listen), count)
        .map_err(|error| NodeError::new(ErrorKind::Invalid, error.to_string()))
}

/// How many executors there will be.
#[must_use]
pub fn executor_count(options: &NodeOptions) -> usize {
    options.executors.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

/// Starts the lane for background jobs and long statements, with as many threads as there are executors.
///
/// # Errors
/// When threads cannot be started.
pub fn start_lane(options: &NodeOptions) -> NodeResult<BulkLane> {
    BulkLane::start(executor_count(options)).map_err(|error| {
        NodeError::new(ErrorKind::Unavailable, format!("cannot start the bulk lane: {error}"))
    })
}

/// What an executor of a node begins with.
pub struct ExecutorStart {
    /// Which one.
    pub id: ExecutorId,
    /// Its locks and messages.
    pub local: Rc<Local>,
}

/// Starts the executors: each runs its mailbox and accepts clients. `make_host` makes the role's part on
/// each; the future beside it runs there too.
///
/// # Errors
/// When threads cannot be started.
pub fn start_serving<M, F>(
    listeners: Listeners,
    homes: &Arc<Homes>,
    mailboxes: Vec<Receiver<Msg>>,
    rows: &Arc<RowCache>,
    registry: &Arc<SessionRegistry>,
    make_host: M,
) -> NodeResult<Serving>
where
    M: Fn(ExecutorStart) -> (Rc<SessionHost>, F) + Send + Sync + 'static,
    F: Future<Output = ()> + 'static,
{
    let stopper = listeners.stopper();
    let count = mailboxes.len();
    let waiting = listeners.into_sockets().into_iter().zip(mailboxes).map(Some).collect::<Vec<_>>();
    let waiting = std::sync::Mutex::new(waiting);
    let (homes, rows) = (Arc::clone(homes), Arc::clone(rows));
    let init = move |id: ExecutorId| {
        let taken =
            waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[usize::from(id.0)].take();
        let local = Local::new(id, Arc::clone(&homes), Arc::clone(&rows));
        let (host, role) = make_host(ExecutorStart { id, local: Rc::clone(&local) });
        async move {
            let Some((listener, mailbox)) = taken else { return };
            crate::executor::spawn_permanent(local.serve(mailbox));
            crate::executor::spawn(role);
            let handler = move |connection| serve::serve(Rc::clone(&host), connection);
            if let Err(error) = listener.serve(Rc::new(AdmitAll), handler).await {
                event::error(&format!("clients cannot be accepted any more: {error}"));
            }
        }
    };
    let options = ExecutorOptions { count: Some(count), ..ExecutorOptions::default() };
    let executors = Executors::start(options, init).map_err(|error| {
        NodeError::new(ErrorKind::Unavailable, format!("cannot start executors: {error}"))
    })?;
    let ticking = Arc::new(AtomicBool::new(true));
    let ticker = start_ticking(registry, &ticking)?;
    Ok(Serving { executors, stopper, registry: Arc::clone(registry), ticking, ticker })
}

fn start_ticking(registry: &Arc<SessionRegistry>, ticking: &Arc<AtomicBool>) -> NodeResult<JoinHandle<()>> {
    let (registry, ticking) = (Arc::clone(registry), Arc::clone(ticking));
    std::thread::Builder::new()
        .name("session-ticker".to_owned())
        .spawn(move || {
            while ticking.load(Ordering::Acquire) {
                registry.tick();
                std::thread::sleep(TICK);
            }
        })
        .map_err(|error| NodeError::new(ErrorKind::Unavailable, format!("cannot start a thread: {error}")))
}

impl Serving {
    /// Reaches the executors.
    #[must_use]
    pub fn handle(&self) -> ExecutorsHandle {
        self.executors.handle()
    }

    /// Accepts no more clients, sends away those that are here, and waits until they are gone. `false`: some
    /// are still there after `patience`.
    #[must_use]
    pub fn stop_clients(&self, patience: Duration) -> bool {
        self.stopper.stop();
        let deadline = Instant::now() + patience;
        while self.registry.connection_count() > 0 {
            self.registry.close_all();
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Ends the executors.
    ///
    /// # Errors
    /// When one of them has panicked.
    pub fn shutdown(self) -> NodeResult<()> {
        self.ticking.store(false, Ordering::Release);
        let _ = self.ticker.join();
        self.executors
            .shutdown()
            .map_err(|error| NodeError::new(ErrorKind::Bug, format!("executors did not end well: {error}")))
    }
}
