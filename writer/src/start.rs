//! Starting and stopping a writer.
//!
//! Order of the start: bind the port, open the store, take the local directory, recover and seal the chain,
//! then the threads: publisher, log, executors, maintenance. Order of a clean stop: clients, unused counter
//! values, log, maintenance, publisher (which ends with a checkpoint), executors. Nothing is acknowledged
//! after its thread has gone, and nothing that was acknowledged is left behind.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use aquifer_commitlog::LogIndex;
use aquifer_format::GroupView;
use aquifer_session::SessionHost;
use aquifer_shard::boot::{self, ExecutorStart, LocalDir, NodeOptions, Serving};
use aquifer_shard::chain::ChainState;
use aquifer_shard::engine::Engine;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::homes::Homes;
use aquifer_shard::hot_set::Warming;
use aquifer_shard::lane::{BulkLane, JobHandle};
use aquifer_shard::listen::Listeners;
use aquifer_shard::queue::mailboxes;
use aquifer_shard::status::OnFatal;
use aquifer_types::{BranchName, ErrorKind, Lsn};
use futures_channel::oneshot;

use crate::admission::Pacer;
use crate::build::Builder;
use crate::collection::{CollectionOptions, Collector};
use crate::counters::Counters;
use crate::load::Loads;
use crate::maintenance::{self, Maintenance, MaintenanceCounts};
use crate::node::{WriterNode, WriterPart, WriterShared};
use crate::opening::{Opened, StartFacts, open_engine};
use crate::outbox::{FoundEdit, Outbox, OutboxDir};
use crate::prepared::PreparedTransactions;
use crate::publisher::{self, Loader, Pending, Publisher, PublisherOptions, PublisherParts, ReadLog};
use crate::recovery::recover;
use crate::rescue::{ForkPoint, rescue};
use crate::sequencer::{self, LogThread, LogThreadStart, Sequencer};
use crate::settings::WriterSettings;
use crate::txn::building;

/// How long a stop waits for clients to be gone.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(10);

/// A running writer.
pub struct Writer {
    serving: Serving,
    shared: Arc<WriterShared>,
    stop_counters: oneshot::Sender<()>,
    counters_stopped: mpsc::Receiver<()>,
    log_thread: JoinHandle<()>,
    log_settled: mpsc::Receiver<()>,
    publisher_thread: JoinHandle<()>,
    lane: BulkLane,
    maintenance: JobHandle<()>,
    stop_maintenance: Arc<AtomicBool>,
    warming: Warming,
    collection: JobHandle<()>,
    stop_collection: oneshot::Sender<()>,
    address: SocketAddr,
    facts: StartFacts,
    _local: LocalDir,
}

impl Writer {
    /// Starts a writer of branch `main`; returns when clients can connect. `root_password` is that of a new
    /// database's `root@localhost`.
    ///
    /// # Errors
    /// One sentence with the remedy.
    pub fn start(
        options: &NodeOptions,
        settings: &WriterSettings,
        root_password: &[u8],
        on_fatal: OnFatal,
    ) -> NodeResult<Self> {
        let listeners = boot::bind(options)?;
        let store = boot::open_store(options)?;
        let local = boot::take_local_dir(&options.local)?;
        let cluster = boot::read_or_create_cluster(&store)?;
        let branch = BranchName::main();
        let recovery = recover(&store, &branch, &settings.local, &settings.address)?;
        let opened = open_engine(options, store, cluster.uuid_text(), recovery, root_password)?;
        let registry =
            boot::open_registry(options, &cluster, &opened.engine.catalog(), listeners.local_addr().port())?;
        Self::start_threads(options, settings, opened, listeners, &registry, local, on_fatal)
    }

    fn start_threads(
        options: &NodeOptions,
        settings: &WriterSettings,
        opened: Opened,
        listeners: Listeners,
        registry: &Arc<aquifer_session::SessionRegistry>,
        local: LocalDir,
        on_fatal: OnFatal,
    ) -> NodeResult<Self> {
        let Opened { engine, recovery, facts } = opened;
        let address = listeners.local_addr();
        let (senders, receivers) = mailboxes(boot::executor_count(options), boot::MAILBOX_MESSAGES_MAX);
        let homes = Homes::new(senders, Arc::clone(&engine.views));
        let publisher = Publisher::new(recovery.chain.last_lsn());
        let sequencer = Sequencer::new(recovery.log.waker());
        let lane = boot::start_lane(options)?;
        let pacer = Arc::new(Pacer::new(settings.memtable_bytes, settings.frozen_bytes_max));
        let shared = Arc::new(WriterShared {
            engine: Arc::clone(&engine),
            sequencer: sequencer.clone(),
            publisher: publisher.clone(),
            counters: Counters::default(),
            pacer: Arc::clone(&pacer),
            collection: Arc::default(),
            outbox: Arc::clone(&recovery.outbox),
            outbox_bytes_max: settings.outbox_bytes_max,
            lane: lane.clone(),
            loads: OnceLock::new(),
            optimizing: Arc::default(),
            prepared: PreparedTransactions::load(&engine, &homes)?,
            spill_bytes: settings.spill_bytes,
        });
        let (stop_counters, counters_stop) = oneshot::channel();
        let (counters_stopped_sender, counters_stopped) = mpsc::channel();
        let counters_task = std::sync::Mutex::new(Some((counters_stop, counters_stopped_sender)));
        let (host_shared, host_registry) = (Arc::clone(&shared), Arc::clone(registry));
        let serving = boot::start_serving(
            listeners,
            &homes,
            receivers,
            &engine.rows,
            registry,
            move |start: ExecutorStart| {
                host_shared.prepared.lock_on(&start.local);
                let part = WriterPart::new(start.local, Arc::clone(&host_shared));
                let node = Rc::new(WriterNode(Rc::clone(&part)));
                let host = SessionHost::new(node, Arc::clone(&host_registry));
                // Whichever executor comes first looks after the counters at the end.
                let task = counters_task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
                let role = async move {
                    let Some((stop, stopped)) = task else { return };
                    building::forget_all(&part).await;
                    if stop.await.is_ok() {
                        part.give_back_counters().await;
                    }
                    let _ = stopped.send(());
                };
                (host, role)
            },
        )?;
        let ticker = serving.handle().ticker().clone();
        let outbox =
            Outbox::new(Arc::clone(&engine), publisher.clone(), ticker.clone(), Arc::clone(&recovery.outbox));
        queue_backlog(&publisher, &outbox, recovery.unpublished, recovery.edits);
        let (settled, log_settled) = mpsc::channel();
        let (settled_too, log_fenced) = mpsc::channel();
        let log_thread = start_log_thread(
            LogThreadStart {
                sequencer: sequencer.clone(),
                log: recovery.log,
                engine: Arc::clone(&engine),
                homes,
                publisher: publisher.clone(),
                next_lsn: facts.last_lsn.next(),
                memtable_bytes: settings.memtable_bytes,
                kept: recovery.kept,
                settled: vec![settled, settled_too],
            },
            on_fatal.clone(),
        )?;
        let publisher_thread = start_publisher_thread(
            PublisherStart {
                publisher: publisher.clone(),
                sequencer: sequencer.clone(),
                engine: Arc::clone(&engine),
                outbox: recovery.outbox,
                chain: recovery.chain,
                options: PublisherOptions {
                    interval: settings.publish_interval,
                    checkpoint_links: settings.checkpoint_links,
                },
                log_settled: log_fenced,
            },
            on_fatal,
        )?;
        let threads = maintenance::threads();
        let (stop_collection, collection_stop) = oneshot::channel();
        let collector = Collector::new(
            Arc::clone(&engine),
            publisher,
            outbox.clone(),
            CollectionOptions {
                retention: settings.retention,
                interval: settings.collection_interval,
                local: settings.local.clone(),
            },
            Arc::clone(&shared.collection),
        );
        let collection_ticker = ticker.clone();
        let collection = lane.spawn(move || collector.run(collection_ticker, collection_stop));
        let stop_maintenance = Arc::new(AtomicBool::new(false));
        let warming = Warming::start(&engine, &options.local);
        let builder = Builder {
            engine,
            ticker,
            stop: Arc::clone(&stop_maintenance),
            counts: Arc::new(MaintenanceCounts::default()),
            pacer,
            outbox,
        };
        let loads = Loads::new(builder.clone(), lane.clone(), settings.memtable_bytes);
        let loads = Arc::clone(shared.loads.get_or_init(|| loads));
        let freeze = Arc::new(move || sequencer.freeze());
        let optimizing = Arc::clone(&shared.optimizing);
        let job = Maintenance { builder, lane: lane.clone(), threads, loads, optimizing, freeze };
        let maintenance = lane.spawn(move || job.run());
        Ok(Self {
            serving,
            shared,
            stop_counters,
            counters_stopped,
            log_thread,
            log_settled,
            publisher_thread,
            lane,
            maintenance,
            stop_maintenance,
            warming,
            collection,
            stop_collection,
            address,
            facts,
            _local: local,
        })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the start found.
    #[must_use]
    pub fn facts(&self) -> &StartFacts {
        &self.facts
    }

    /// Stops cleanly: everything that was acknowledged is in the chain afterwards.
    ///
    /// # Errors
    /// When a thread did not end well.
    pub fn stop(self) -> NodeResult<()> {
        // While a client is there, values may still be taken: then what is reserved is skipped.
        if self.serving.stop_clients(CLIENTS_PATIENCE) && self.stop_counters.send(()).is_ok() {
            let _ = self.counters_stopped.recv_timeout(CLIENTS_PATIENCE);
        }
        self.shared.sequencer.close();
        // Its thread stays for as long as the publisher may read the log.
        let _ = self.log_settled.recv();
        self.stop_maintenance.store(true, Ordering::Release);
        self.shared.engine.maintenance.ring();
        let _ = aquifer_objstore::block_on(self.maintenance);
        drop(self.stop_collection);
        let _ = aquifer_objstore::block_on(self.collection);
        self.lane.shutdown();
        self.warming.stop();
        self.shared.publisher.close();
        join(self.publisher_thread, "publisher")?;
        join(self.log_thread, "log")?;
        self.serving.shutdown()
    }
}

fn join(thread: JoinHandle<()>, name: &str) -> NodeResult<()> {
    thread.join().map_err(|_| NodeError::new(ErrorKind::Bug, format!("the {name} thread has panicked")))
}

fn start_log_thread(start: LogThreadStart, on_fatal: OnFatal) -> NodeResult<JoinHandle<()>> {
    let run = move || {
        if let sequencer::Ended::Failed(error) = LogThread::new(start).run() {
            on_fatal.tell(error);
        }
    };
    spawn_thread("log", run)
}

/// What the publisher's thread starts from.
struct PublisherStart {
    publisher: Publisher,
    sequencer: Sequencer,
    engine: Arc<Engine>,
    outbox: Arc<OutboxDir>,
    chain: ChainState,
    options: PublisherOptions,
    log_settled: mpsc::Receiver<()>,
}

fn start_publisher_thread(start: PublisherStart, on_fatal: OnFatal) -> NodeResult<JoinHandle<()>> {
    let run = move || {
        let sequencer = start.sequencer.clone();
        publish(start, &on_fatal);
        sequencer.release();
    };
    spawn_thread("publisher", run)
}

/// The publisher's thread.
fn publish(start: PublisherStart, on_fatal: &OnFatal) {
    let PublisherStart { publisher, sequencer, engine, outbox, chain, options, log_settled } = start;
    let forget = |published: Lsn| {
        let flushed = engine.state().manifest().checkpoint_lsn();
        sequencer.forget(published.min(flushed));
        if publisher.watch().take_came_back() {
            // Compactions have waited.
            engine.maintenance.ring();
        }
    };
    let reads = sequencer.clone();
    let read_log: ReadLog = Box::new(move |from, bytes| reads.read_log(from, bytes));
    let parts = PublisherParts {
        store: &engine.store,
        state: chain,
        options: &options,
        outbox: &outbox,
        read_log: &read_log,
    };
    match publisher.run(parts, forget) {
        publisher::Ended::Closed => {}
        publisher::Ended::Away => event::warn(&format!(
            "the store is away: {} MiB of commits and {} MiB of tables stay on this node's disk and are published \
             when this writer is started again",
            publisher.backlog_bytes() >> 20,
            outbox.bytes() >> 20
        )),
        publisher::Ended::Failed(error) => {
            sequencer.fence(&error);
            on_fatal.tell(error);
        }
        publisher::Ended::Fenced { error, state, mut left } => {
            event::error(&error.to_string());
            sequencer.fence(&error);
            // What is proposed becomes durable here and comes into the queue.
            let _ = log_settled.recv();
            left.extend(publisher.take_left());
            rescue_left(&engine, &state, left, &read_log);
            on_fatal.tell(error);
        }
    }
}

/// Queues what a start found unpublished: each edit after the groups that it says are in tables.
fn queue_backlog(
    publisher: &Publisher,
    outbox: &Outbox,
    groups: Vec<(GroupView, LogIndex)>,
    edits: Vec<FoundEdit>,
) {
    let mut edits = edits.into_iter().peekable();
    for (group, index) in groups {
        let last = group.last_lsn();
        publisher.push_group(group, index);
        while let Some(edit) = edits.next_if(|edit| edit.edit.checkpoint_lsn.is_none_or(|lsn| lsn <= last.0))
        {
            outbox.queue_found(edit);
        }
    }
    edits.for_each(|edit| outbox.queue_found(edit));
}

fn rescue_left(engine: &Engine, state: &ChainState, left: Vec<Pending>, read_log: &ReadLog) {
    if left.is_empty() {
        event::info("everything that this writer committed is in the chain");
        return;
    }
    let fork = ForkPoint {
        branch: state.next.branch.clone(),
        seq: state.last_seq(),
        digest: state.next.previous,
        lsn: state.last_lsn(),
        epoch: state.next.epoch,
    };
    let count: u64 = left.iter().map(Pending::transactions).sum();
    let mut loader = Loader::new(read_log);
    match rescue(&engine.store, &fork, left.into_iter().map(|pending| loader.load(pending))) {
        Ok(branch) => event::warn(&format!(
            "{count} transactions that were committed here and not published are on rescue branch {branch}"
        )),
        Err(error) => event::error(&format!(
            "{count} committed transactions could not be put on a rescue branch and are in the local commit log \
             only; start this writer again to try once more: {error}"
        )),
    }
}

fn spawn_thread(name: &str, run: impl FnOnce() + Send + 'static) -> NodeResult<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| NodeError::new(ErrorKind::Unavailable, format!("cannot start a thread: {error}")))
}
