//! Flush and compaction: frozen memtables become tables, tables become fewer and better sorted ones.
//!
//! One job on the bulk lane does both; a compaction stops between steps whenever a memtable waits, so that
//! commits are not held up by it. For each piece of work: build the objects, PUT them, then publish the
//! edit that makes them part of the manifest. A crash in between leaves objects that nothing refers to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aquifer_format::{ManifestEdit, SstMeta, sst_key};
use aquifer_lsm::{
    BlockSource, BuildError, CompactionJob, CompactionPolicy, JobKind, Memtable, Retention, Rewrite,
    RewriteOptions, RewriteStep, Step, TableInfo, pick,
};
use aquifer_objstore::StoreErrorKind;
use aquifer_shard::engine::Engine;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::lane::yield_if_needed;
use aquifer_shard::ticker::Ticker;
use aquifer_shard::{event, random};
use aquifer_types::{ErrorKind, Lsn, SstId};
use futures_channel::oneshot;

use crate::publisher::Publisher;

/// Entries between two looks at what else is to be done.
const STEP_ENTRIES: usize = 2_048;

/// Pause before a failed piece of work is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Pause while a frozen memtable is not complete yet.
const COMPLETE_PAUSE: Duration = Duration::from_millis(10);

/// What maintenance has done.
#[derive(Debug, Default)]
pub struct MaintenanceCounts {
    /// Memtables flushed.
    pub flushes: AtomicU64,
    /// Compactions finished.
    pub compactions: AtomicU64,
    /// Bytes of objects written by both.
    pub bytes_written: AtomicU64,
}

/// The job's state.
#[derive(Clone)]
pub struct Maintenance {
    /// The writer's storage.
    pub engine: Arc<Engine>,
    /// Where edits go.
    pub publisher: Publisher,
    /// Timer.
    pub ticker: Ticker,
    /// Ends the job soon after it is set and the engine's maintenance bell is rung.
    pub stop: Arc<AtomicBool>,
    /// Told to whoever asks.
    pub counts: Arc<MaintenanceCounts>,
}

impl Maintenance {
    /// Works until stopped.
    pub async fn run(self) {
        while !self.stopped() {
            match self.work_once().await {
                Ok(true) => {}
                Ok(false) => self.wait().await,
                Err(error) => {
                    if !self.stopped() {
                        event::warn(&format!("flush or compaction failed and is tried again: {error}"));
                    }
                    self.ticker.sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits until there may be something to do.
    async fn wait(&self) {
        if self.engine.frozen_bytes() > 0 {
            return self.ticker.sleep(COMPLETE_PAUSE).await;
        }
        let has_work = || (self.stopped() || self.has_work()).then_some(());
        self.engine.maintenance.wait(has_work).await;
    }

    fn has_work(&self) -> bool {
        self.engine.frozen_bytes() > 0 || self.next_job().is_some()
    }

    fn next_job(&self) -> Option<CompactionJob> {
        pick(self.engine.state().manifest(), &CompactionPolicy::default(), &[])
    }

    /// One flush, or one compaction. `false`: nothing to do.
    async fn work_once(&self) -> NodeResult<bool> {
        if let Some((memtable, last)) = self.engine.oldest_frozen() {
            self.flush(&memtable, last).await?;
            return Ok(true);
        }
        match self.next_job() {
            Some(job) => self.compact(&job).await.map(|()| true),
            None => Ok(false),
        }
    }

    fn retention(&self) -> Retention {
        let views = self.engine.views.live();
        let visible = views.last().copied().unwrap_or(Lsn(0));
        Retention::new(views, visible)
    }

    async fn flush(&self, memtable: &Arc<Memtable>, last: Lsn) -> NodeResult<()> {
        let run = self.engine.state().manifest().next_run();
        let options = RewriteOptions::flush(new_ids(), run, event::wall_micros());
        let rewrite = Rewrite::flush(std::slice::from_ref(memtable), self.retention(), options);
        let tables = self.build(rewrite, Interruptible::No).await?;
        let edit = ManifestEdit {
            added: tables.iter().map(SstMeta::from).collect(),
            checkpoint_lsn: Some(last.0),
            next_run: Some(run + 1),
            ..ManifestEdit::default()
        };
        self.publish(edit).await?;
        self.counts.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn compact(&self, job: &CompactionJob) -> NodeResult<()> {
        let edit = match job.kind {
            JobKind::Move => job.edit_of_move(),
            JobKind::Rewrite => {
                let options = RewriteOptions::compaction(new_ids(), job, event::wall_micros());
                let rewrite = Rewrite::compaction(job, self.retention(), options);
                job.edit(&self.build(rewrite, Interruptible::ByFlush).await?)
            }
        };
        self.publish(edit).await?;
        self.counts.compactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Runs a rewrite and PUTs what it builds.
    async fn build(&self, mut rewrite: Rewrite, interruptible: Interruptible) -> NodeResult<Vec<TableInfo>> {
        let source = self.engine.source.for_scan();
        let mut tables = Vec::new();
        loop {
            if self.stopped() {
                return Err(NodeError::new(ErrorKind::Interrupted, "the writer is stopping"));
            }
            match rewrite.step(&source, STEP_ENTRIES).map_err(|error| broken(&error))? {
                Step::Need(need) => {
                    rewrite.announce_read_ahead(&need, &source);
                    let loaded = source.load(need.clone()).await?;
                    rewrite.supply(need, loaded);
                }
                Step::Done(RewriteStep::Paused) => {
                    yield_if_needed().await;
                    if interruptible == Interruptible::ByFlush
                        && let Some((memtable, last)) = self.engine.oldest_frozen()
                    {
                        Box::pin(self.flush(&memtable, last)).await?;
                    }
                }
                Step::Done(RewriteStep::Built(table)) => {
                    self.put(sst_key("", table.info.id), table.object).await?;
                    tables.push(table.info);
                }
                Step::Done(RewriteStep::Finished) => return Ok(tables),
            }
        }
    }

    /// PUTs an object, waiting while the store is away.
    async fn put(&self, key: String, object: bytes::Bytes) -> NodeResult<()> {
        let bytes = object.len() as u64;
        loop {
            match self.engine.store.put(&key, object.clone()).await {
                Ok(()) => break,
                Err(error) if error.kind() == StoreErrorKind::Unavailable && !self.stopped() => {
                    self.ticker.sleep(RETRY_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.counts.bytes_written.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Publishes an edit and waits until it is in the chain and in the read state.
    async fn publish(&self, edit: ManifestEdit) -> NodeResult<()> {
        let (sender, done) = oneshot::channel();
        let engine = Arc::clone(&self.engine);
        let installed = edit.clone();
        self.publisher.push_edit(
            edit,
            Box::new(move |_| {
                if let Err(error) = engine.install_edit(&installed) {
                    event::error(&format!(
                        "broken invariant: a published edit does not fit the manifest: {error}"
                    ));
                    std::process::abort();
                }
                let _ = sender.send(());
            }),
        );
        done.await.map_err(|_| NodeError::new(ErrorKind::Interrupted, "the publisher has stopped"))
    }
}

/// Whether a rewrite gives way to a flush.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interruptible {
    ByFlush,
    No,
}

fn new_ids() -> Box<dyn FnMut() -> SstId + Send> {
    Box::new(|| SstId(random::u128()))
}

fn broken(error: &BuildError) -> NodeError {
    NodeError::new(ErrorKind::Bug, format!("a table cannot be built: {error}"))
}
