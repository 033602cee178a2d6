//! The writer as the sessions of one executor see it.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aquifer_catalog::{Catalog, Table};
use aquifer_format::{DeltaFlags, DeltaView, encode_delta};
use aquifer_session::node::{
    BeginOptions, BulkJob, Committed, Interrupt, LocalFuture, Node, NodeTxn, StorageCost,
};
use aquifer_shard::engine::Engine;
use aquifer_shard::event;
use aquifer_shard::executor;
use aquifer_shard::homes::Msg;
use aquifer_shard::lane::{BulkLane, JobClass};
use aquifer_shard::local::{Local, executor_id};
use aquifer_shard::reads::{self, Fill};
use aquifer_shard::status;
use aquifer_sql::temporary_space::TemporarySpace;
use aquifer_sql::virtual_tables::TableSize;
use aquifer_sql::virtual_tables::locks::LockReport;
use aquifer_sql::{Sample, Statistics};
use aquifer_types::{ErrorKind, IndexId, Lsn, Maybe, SqlError, SqlResult, TableId, TxnId, Xid};
use bytes::Bytes;
use futures_channel::oneshot;

use crate::admission::{Admission, Pacer, Shortage};
use crate::collection::CollectionCounts;
use crate::counters::{Counter, CounterId, Counters, encode};
use crate::load::Loads;
use crate::optimizing::Optimizing;
use crate::outbox::OutboxDir;
use crate::prepared::PreparedTransactions;
use crate::publisher::Publisher;
use crate::sequencer::{CommitRequest, Sequencer};
use crate::txn::WriteTxn;

/// Pause of a commit that has to wait for room.
const BACKPRESSURE_PAUSE: Duration = Duration::from_millis(2);

/// How long a commit waits for a flush before it is refused.
const FLUSH_PATIENCE: Duration = Duration::from_secs(30);

/// What the executors of a writer share.
pub struct WriterShared {
    /// Storage.
    pub engine: Arc<Engine>,
    /// The queue of commits.
    pub sequencer: Sequencer,
    /// The queue of what is to be published.
    pub publisher: Publisher,
    /// AUTO_INCREMENT and ids.
    pub counters: Counters,
    /// Holds commits back while flush and compaction are behind.
    pub pacer: Arc<Pacer>,
    /// What collections have done.
    pub collection: Arc<CollectionCounts>,
    /// Where tables wait for the store.
    pub outbox: Arc<OutboxDir>,
    /// Commits are refused when more waits for the store.
    pub outbox_bytes_max: u64,
    /// Where long statements run.
    pub lane: BulkLane,
    /// Builds of indexes; set when the timers run.
    pub loads: OnceLock<Arc<Loads>>,
    /// Tables that statements want optimized.
    pub optimizing: Arc<Optimizing>,
    /// Transactions that XA has prepared.
    pub prepared: PreparedTransactions,
    /// A transaction with so many bytes of writes in memory moves them into tables.
    pub spill_bytes: usize,
}

/// One executor's part of the writer.
pub struct WriterPart {
    /// The executor's locks and messages.
    pub local: Rc<Local>,
    shared: Arc<WriterShared>,
}

impl std::ops::Deref for WriterPart {
    type Target = WriterShared;

    fn deref(&self) -> &WriterShared {
        &self.shared
    }
}

impl WriterPart {
    /// The part of one executor.
    #[must_use]
    pub fn new(local: Rc<Local>, shared: Arc<WriterShared>) -> Rc<Self> {
        Rc::new(Self { local, shared })
    }

    /// Hands a commit to the sequencer, waiting while its queue is full.
    pub(crate) async fn submit(&self, request: CommitRequest) -> Result<(), (CommitRequest, SqlError)> {
        let mut request = request;
        loop {
            match self.sequencer.submit(request) {
                Ok(()) => return Ok(()),
                Err((back, Some(error))) => return Err((back, error)),
                Err((back, None)) => request = back,
            }
            executor::sleep(BACKPRESSURE_PAUSE).await;
        }
    }

    /// Slows a commit of `bytes` down while flush and compaction are behind, and refuses it when too much waits
    /// for the store.
    pub(crate) async fn check_backlog(&self, bytes: usize) -> SqlResult<()> {
        self.check_outbox()?;
        let deadline = Instant::now() + FLUSH_PATIENCE;
        while self.sequencer.refusal().is_none() {
            let admission = if self.publisher.watch().excuses_runs(self.engine.runs()) {
                self.pacer.admit_for_flush(&self.engine, bytes)
            } else {
                self.pacer.admit(&self.engine, bytes)
            };
            match admission {
                Admission::Now => return Ok(()),
                Admission::After(wait) => {
                    executor::sleep(wait).await;
                    return Ok(());
                }
                Admission::NoRoom => {}
            }
            if Instant::now() >= deadline {
                return Err(SqlError::with_kind(1105, ErrorKind::Unavailable, self.refusal_text()));
            }
            executor::sleep(BACKPRESSURE_PAUSE).await;
        }
        Ok(())
    }

    /// What writers wait for in vain.
    fn refusal_text(&self) -> String {
        match self.pacer.shortage(&self.engine) {
            Shortage::Memory => {
                "memory for changes that wait for the object store is used up, and nothing was \
                                 flushed for a while: see whether the store can be written to"
                    .to_owned()
            }
            Shortage::Runs => format!(
                "level 0 has {} runs of tables that wait for compaction, and none was compacted for a while: see \
                 whether the store can be read and written, and the log for failed compactions",
                self.engine.runs()
            ),
        }
    }

    /// What waits for the store is on the local disk, which has a limit.
    fn check_outbox(&self) -> SqlResult<()> {
        let waiting = self.publisher.backlog_bytes() + self.outbox.bytes();
        if waiting <= self.outbox_bytes_max {
            return Ok(());
        }
        let away = self.publisher.watch().away_for().as_secs();
        let why = if away > 0 {
            format!("has been away for {away} s")
        } else {
            "takes changes more slowly than they are made".to_owned()
        };
        let message = format!(
            "the object store at {} {why}: {} MiB of changes wait for it on this node's disk, and --outbox-bytes \
             allows {} MiB; writes are possible again when the store has taken them, or after a restart with a \
             larger --outbox-bytes",
            self.engine.store.location(),
            waiting >> 20,
            self.outbox_bytes_max >> 20
        );
        Err(SqlError::with_kind(1105, ErrorKind::Unavailable, message))
    }

    /// Makes a counter's block larger; returns when that is durable, or when somebody else has done it.
    pub(crate) async fn extend_counter(&self, counter: &Counter, end: u64) -> SqlResult<()> {
        let limit = match counter.begin_extension(end) {
            Ok(limit) => limit,
            Err(others) => {
                // Whatever its outcome, the caller looks again.
                let _ = others.await;
                return Ok(());
            }
        };
        let outcome = self.commit_system_row(counter.id().key(), Some(encode(limit))).await;
        counter.end_extension(outcome.is_ok().then_some(limit));
        outcome
    }

    /// The next AUTO_INCREMENT value, if it can be told without waiting.
    fn next_auto_increment(&self, table: TableId) -> Option<u64> {
        let id = CounterId::AutoIncrement(table);
        let counter = match self.counters.find(id) {
            Some(counter) => counter,
            None => {
                let engine = &self.engine;
                let key = id.key();
                let read = reads::get(engine, || engine.state(), &key, Lsn::MAX, Fill::Nothing);
                let Maybe::Ready(Ok(stored)) = read else { return None };
                self.counters.loaded(id, stored.as_deref()).ok()?
            }
        };
        Some(counter.next())
    }

    /// Commits one row, or its deletion, that belongs to no client's transaction and needs no lock.
    pub(crate) async fn commit_system_row(&self, key: Bytes, value: Option<Bytes>) -> SqlResult<()> {
        let pair = [(key.as_ref(), value.as_deref())];
        let delta = delta_of(pair)?;
        let homes = self.local.homes();
        let (reply_to, answer) = self.local.expect_commit();
        let locks = vec![Vec::new(); homes.count()].into_boxed_slice();
        let request = CommitRequest { delta, txn: homes.next_txn(), reply_to, locks, spilled: None };
        if let Err((_, error)) = self.submit(request).await {
            self.local.forget_commit(reply_to.ticket);
            return Err(error);
        }
        let closed = || SqlError::with_kind(1053, ErrorKind::Unavailable, "Server shutdown in progress");
        answer.await.unwrap_or_else(|_| Err(closed())).map(|_| ())
    }

    /// Makes the counters' rows say what was used, so that a clean stop skips no values.
    pub(crate) async fn give_back_counters(&self) {
        for (key, value) in self.counters.unused() {
            if let Err(error) = self.commit_system_row(key, Some(value)).await {
                event::warn(&format!("reserved counter values are skipped: {error}"));
                return;
            }
        }
    }

    /// Puts a fence around a table on every executor; each receiver is done when nobody there uses it.
    pub(crate) fn fence(&self, table: TableId, owner: TxnId) -> Vec<oneshot::Receiver<()>> {
        let fence_on = |index| {
            let (reply_to, free) = self.local.expect_fence();
            self.local.post(executor_id(index), Msg::Fence(table, owner, reply_to));
            free
        };
        (0..self.local.homes().count()).map(fence_on).collect()
    }

    /// Takes the fences down.
    pub(crate) fn unfence(&self, table: TableId, owner: TxnId) {
        for index in 0..self.local.homes().count() {
            self.local.post(executor_id(index), Msg::Unfence(table, owner));
        }
    }
}

/// The writer as a session's node.
pub struct WriterNode(pub Rc<WriterPart>);

impl Node for WriterNode {
    fn catalog(&self) -> Arc<Catalog> {
        self.0.engine.catalog()
    }

    fn begin(&self, options: BeginOptions) -> Rc<dyn NodeTxn> {
        WriteTxn::new(Rc::clone(&self.0), options)
    }

    fn visible_lsn(&self) -> Lsn {
        self.0.engine.views.visible()
    }

    fn wait_visible(&self, lsn: Lsn, timeout: Duration) -> LocalFuture<'_, bool> {
        Box::pin(status::wait_visible(&self.0.local, lsn, timeout))
    }

    fn status(&self) -> Vec<(String, String)> {
        let mut rows = status::engine_status(&self.0.engine);
        rows.push(("Aquifer_published_lsn".to_owned(), self.0.publisher.published_lsn().to_string()));
        rows.push(("Aquifer_publish_backlog_bytes".to_owned(), self.0.publisher.backlog_bytes().to_string()));
        let collected = |count: &AtomicU64| count.load(Ordering::Relaxed).to_string();
        let counts = &self.0.collection;
        rows.push(("Aquifer_collected_objects".to_owned(), collected(&counts.deleted_objects)));
        rows.push(("Aquifer_collected_bytes".to_owned(), collected(&counts.deleted_bytes)));
        rows.push(("Aquifer_collections".to_owned(), collected(&counts.runs)));
        rows.push(("Aquifer_stored_bytes".to_owned(), collected(&counts.stored_bytes)));
        rows.push(("Aquifer_outbox_bytes".to_owned(), self.0.outbox.bytes().to_string()));
        let away = self.0.publisher.watch().away_for().as_millis();
        rows.push(("Aquifer_store_away_ms".to_owned(), away.to_string()));
        rows.push(("Aquifer_links_published".to_owned(), self.0.publisher.links().to_string()));
        rows
    }

    fn storage_cost(&self) -> Vec<StorageCost> {
        // What the last listing showed; before the first, what the manifest has.
        let listed = self.0.collection.stored_bytes.load(Ordering::Relaxed);
        let live = self.0.engine.state().manifest().object_bytes();
        status::storage_cost(&self.0.engine, if listed > 0 { listed } else { live })
    }

    fn is_reader(&self) -> bool {
        false
    }

    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> LocalFuture<'_, ()> {
        status::offload(&self.0.lane, work)
    }

    fn optimize<'a>(&'a self, table: &'a Table, interrupt: &'a Interrupt) -> LocalFuture<'a, SqlResult<()>> {
        let freeze = || self.0.sequencer.freeze();
        Box::pin(self.0.optimizing.optimize(&self.0.engine, table, freeze, interrupt))
    }

    fn has_bulk_lane(&self) -> bool {
        true
    }

    fn spawn_bulk(&self, job: BulkJob) -> Result<(), BulkJob> {
        self.0.lane.spawn_detached(JobClass::Statement, job)
    }

    fn temporary_space(&self) -> Option<Arc<dyn TemporarySpace>> {
        self.0.engine.temporary.clone().map(|files| files as Arc<dyn TemporarySpace>)
    }

    fn statistics(&self) -> &dyn Statistics {
        &*self.0.engine
    }

    fn keep_sample(&self, index: IndexId, sample: Arc<Sample>) {
        self.0.engine.samples.set(index, sample);
    }

    fn table_size(&self, table: &Table) -> TableSize {
        status::table_size(&self.0.engine, table)
    }

    fn auto_increment(&self, table: &Table) -> Option<u64> {
        self.0.next_auto_increment(table.id)
    }

    fn prepared(&self) -> Vec<Xid> {
        self.0.prepared.names()
    }

    fn has_prepared(&self, xid: &Xid) -> bool {
        self.0.prepared.contains(xid)
    }

    fn commit_prepared<'a>(&'a self, xid: &'a Xid) -> LocalFuture<'a, SqlResult<Option<Committed>>> {
        Box::pin(async move { Ok(self.0.commit_prepared(xid).await?.map(|lsn| Committed { lsn })) })
    }

    fn rollback_prepared<'a>(&'a self, xid: &'a Xid) -> LocalFuture<'a, SqlResult<bool>> {
        Box::pin(self.0.rollback_prepared(xid))
    }

    fn lock_report(&self) -> LocalFuture<'_, LockReport> {
        Box::pin(self.0.local.lock_report())
    }

    fn sleep<'a>(&'a self, duration: Duration, interrupt: &'a Interrupt) -> LocalFuture<'a, ()> {
        Box::pin(status::sleep(duration, interrupt))
    }
}

/// A transaction's writes as they are committed; `None` is a deletion.
///
/// # Errors
/// 1105 when they are too large.
pub(crate) fn delta_of<'w>(
    writes: impl IntoIterator<Item = (&'w [u8], Option<&'w [u8]>)>,
) -> SqlResult<DeltaView> {
    encode_delta(writes, DeltaFlags::NONE, event::wall_micros())
        .and_then(DeltaView::parse)
        .map_err(|error| SqlError::with_kind(1105, error.kind(), error.to_string()))
}
