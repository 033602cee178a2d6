//! Starting and stopping a reader.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aquifer_objstore::block_on;
use aquifer_session::SessionHost;
use aquifer_shard::boot::{self, ExecutorStart, LocalDir, NodeOptions, Serving};
use aquifer_shard::dead::DeadIndexes;
use aquifer_shard::engine::{Engine, EngineParts};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::homes::Homes;
use aquifer_shard::hot_set::Warming;
use aquifer_shard::lane::BulkLane;
use aquifer_shard::queue::mailboxes;
use aquifer_shard::status::OnFatal;
use aquifer_shard::temporary_files::TemporaryFiles;
use aquifer_txn::Views;
use aquifer_types::{BranchName, ErrorKind, LinkSeq, Lsn};
use futures_util::future::join;

use crate::node::{ReaderNode, ReaderPart, ReaderShared};
use crate::pace::{Bell, RealClock};
use crate::tailer::{self, Lag, TailOptions, Tailer};

/// How long a stop waits for clients to be gone.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(10);

/// A running reader.
pub struct Reader {
    serving: Serving,
    tailer: JoinHandle<()>,
    lane: BulkLane,
    stop: Arc<AtomicBool>,
    warming: Warming,
    bell: Arc<Bell>,
    address: SocketAddr,
    last_lsn: Lsn,
    _local: LocalDir,
}

impl Reader {
    /// Starts a reader of a branch; returns when clients can connect.
    ///
    /// # Errors
    /// One sentence with the remedy.
    pub fn start(
        options: &NodeOptions,
        branch: &BranchName,
        tail: TailOptions,
        on_fatal: OnFatal,
    ) -> NodeResult<Self> {
        let listeners = boot::bind(options)?;
        let store = boot::open_store_to_read(options)?;
        let local = boot::take_local_dir(&options.local)?;
        // One does not wait for the other; what the first says of the store comes first.
        let opened = async {
            match &tail.pin {
                None => tailer::open(&store, branch).await.map(|opened| (branch.clone(), opened)),
                Some(name) => tailer::open_pin(&store, name).await.map(|(pin, opened)| (pin.branch, opened)),
            }
        };
        let (cluster, opened) = block_on(join(boot::cluster(&store), opened));
        let Some(cluster) = cluster? else {
            return Err(nothing_there(&format!("no Aquifer database at {}", store.location())));
        };
        let (branch, opened) = opened?;
        let chain = opened.chain;
        if chain.last_seq() == LinkSeq(0) {
            return Err(nothing_there(&format!("no branch {branch} at {}", store.location())));
        }
        let last_lsn = chain.last_lsn();
        let caches = boot::open_caches(options, &store, last_lsn);
        let catalog = boot::load_catalog(&chain.manifest, &opened.memtables, &caches.source, last_lsn)?;
        let executors = boot::executor_count(options);
        let engine = Engine::new(EngineParts {
            store,
            branch,
            cluster_uuid: cluster.uuid_text(),
            source: caches.source,
            rows: caches.rows,
            views: Views::new(executors, last_lsn),
            manifest: chain.manifest.clone(),
            memtables: opened.memtables,
            catalog,
            dead: DeadIndexes::default(),
            temporary: TemporaryFiles::open(&options.local),
        });
        let address = listeners.local_addr();
        let registry = boot::open_registry(options, &cluster, &engine.catalog(), address.port())?;
        let (senders, receivers) = mailboxes(executors, boot::MAILBOX_MESSAGES_MAX);
        let homes = Homes::new(senders, Arc::clone(&engine.views));
        let lag = Lag::default();
        let lane = boot::start_lane(options)?;
        let bell = Arc::new(Bell::default());
        let shared = ReaderShared {
            engine: Arc::clone(&engine),
            lag: lag.clone(),
            lane: lane.clone(),
            bell: Arc::clone(&bell),
        };
        let shared = Arc::new(shared);
        let host_registry = Arc::clone(&registry);
        let make_host = move |start: ExecutorStart| {
            let part = ReaderPart::new(start.local, Arc::clone(&shared));
            let host = SessionHost::new(Rc::new(ReaderNode(part)), Arc::clone(&host_registry));
            (host, std::future::ready(()))
        };
        let serving = boot::start_serving(listeners, &homes, receivers, &engine.rows, &registry, make_host)?;
        let stop = Arc::new(AtomicBool::new(false));
        let warming = Warming::start(&engine, &options.local);
        let tailer = Tailer {
            engine,
            homes,
            chain,
            options: tail,
            lag,
            bell: Arc::clone(&bell),
            clock: Box::new(RealClock::start()),
            stop: Arc::clone(&stop),
        };
        let tailer = start_tailer(tailer, on_fatal)?;
        Ok(Self { serving, tailer, lane, stop, warming, bell, address, last_lsn, _local: local })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The LSN that it served first.
    #[must_use]
    pub fn first_lsn(&self) -> Lsn {
        self.last_lsn
    }

    /// Stops cleanly.
    ///
    /// # Errors
    /// When a thread did not end well.
    pub fn stop(self) -> NodeResult<()> {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        // Clients that do not go within that time are cut off with the executors.
        let _ = self.serving.stop_clients(CLIENTS_PATIENCE);
        let ended = self.tailer.join();
        self.lane.shutdown();
        self.warming.stop();
        self.serving.shutdown()?;
        ended.map_err(|_| NodeError::new(ErrorKind::Bug, "the tailer thread has panicked"))
    }
}

fn nothing_there(what: &str) -> NodeError {
    NodeError::new(ErrorKind::Invalid, format!("{what}: start a writer there first"))
}

fn start_tailer(tailer: Tailer, on_fatal: OnFatal) -> NodeResult<JoinHandle<()>> {
    let run = move || {
        if let Err(error) = tailer.run() {
            on_fatal.tell(error);
        }
    };
    thread::Builder::new()
        .name("tailer".to_owned())
        .spawn(run)
        .map_err(|error| NodeError::new(ErrorKind::Unavailable, format!("cannot start a thread: {error}")))
}
