//! Flush and compaction: frozen memtables become tables, tables become fewer and better sorted ones.
//!
//! One coordinating job decides what is due and waits; the work itself is done by jobs of the bulk lane, a
//! compaction by several at once ([`aquifer_lsm::subcompaction`]), a flush beside them. For each piece of work:
//!
//! 1. Build the objects and PUT them ([`crate::build`]).
//! 2. Publish the edit that makes them part of the manifest: one edit, whatever the number of parts.
//! 3. When the edit is in the chain, install it in the read state, index and filter of the new tables with it.
//!
//! A crash in between leaves objects that nothing refers to. Memtables are flushed in their order; compactions
//! that run at the same time have no level and key in common (picking sees to that).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use aquifer_format::{ManifestEdit, SstMeta};
use aquifer_lsm::subcompaction::split;
use aquifer_lsm::{
    CompactionJob, CompactionPolicy, DeadKeys, JobKind, KeyRange, Memtable, Retention, Rewrite,
    RewriteOptions, is_flush_worth_its_bytes, pick, pick_dead, pick_idle, pick_space,
};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::lane::{BulkLane, JobClass};
use aquifer_types::{ErrorKind, Lsn};
use futures_util::future::{FutureExt, LocalBoxFuture, poll_fn};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::build::{Builder, Purpose, Written, new_ids};
use crate::load::{Finished, Loads, edit_of};
use crate::optimizing::Optimizing;
use crate::outbox::Origin;

/// Pause before a failed piece of work is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Pause while a frozen memtable is not complete yet.
const COMPLETE_PAUSE: Duration = Duration::from_millis(10);

/// After so long without anything to do, what is left in level 0 is compacted too.
const IDLE_AFTER: Duration = Duration::from_secs(3);

/// How often it is looked whether the writer rests.
const REST_TICK: Duration = Duration::from_secs(10);

/// After so many ticks without a full memtable, levels are brought together until little is stored twice; without
/// a commit, the memtable is flushed for that too (ADR 0116).
const REST_TICKS: u32 = 6;

/// A compaction is not cut into parts that read less than this.
const PART_BYTES_MIN: u64 = 24 << 20;

/// A table of which one such part is dead is rewritten.
const DEAD_SHARE: u64 = 2;

/// As [`DEAD_SHARE`], in a long rest.
const DEAD_SHARE_AT_REST: u64 = 8;

/// Share of a compaction's input that must have been read lately for its output to enter the disk cache.
const HOT_PER_MILLE: u64 = 200;

/// What maintenance has done.
#[derive(Debug, Default)]
pub struct MaintenanceCounts {
    /// Memtables flushed.
    pub flushes: AtomicU64,
    /// Compactions finished.
    pub compactions: AtomicU64,
    /// Parts that these were cut into.
    pub parts: AtomicU64,
    /// Bytes of objects written by both.
    pub bytes_written: AtomicU64,
}

/// The coordinating job's state.
#[derive(Clone)]
pub struct Maintenance {
    /// Builds tables and brings them away. Its `stop` ends the job soon after it is set and the engine's maintenance
    /// bell is rung.
    pub builder: Builder,
    /// Where the work is done.
    pub lane: BulkLane,
    /// The lane's threads: so many compactions run at once, and so many parts of one.
    pub threads: usize,
    /// Tables that were built beside it and are to be published.
    pub loads: Arc<Loads>,
    /// Tables that statements want optimized.
    pub optimizing: Arc<Optimizing>,
    /// Asks whoever numbers commits for a new memtable.
    pub freeze: Arc<dyn Fn() + Send + Sync>,
}

impl std::ops::Deref for Maintenance {
    type Target = Builder;

    fn deref(&self) -> &Builder {
        &self.builder
    }
}

/// Threads of the bulk lane on this machine: half of its cores, and at least two, so that a flush does not wait
/// for a compaction. Their low priority keeps them from taking cores that clients need.
#[must_use]
pub fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).max(2)
}

/// What is under way.
#[derive(Default)]
struct Work<'a> {
    active: FuturesUnordered<LocalBoxFuture<'a, Done>>,
    running: Vec<CompactionJob>,
    is_flushing: bool,
    /// A timer runs for a memtable that is not complete.
    awaits_complete: bool,
    /// Something failed: nothing is begun until a timer ends.
    is_pausing: bool,
    /// A timer runs at whose end the tree may be idle; the flushes there were when it began.
    idle_timer: Option<u64>,
    rest: Rest,
}

/// For how long there was nothing new, in ticks.
#[derive(Default)]
struct Rest {
    flushes: u64,
    visible: Lsn,
    ticks_since_flush: u32,
    ticks_since_commit: u32,
}

impl Work<'_> {
    /// Whether nothing is under way but the wait for the next tick.
    fn is_quiet(&self) -> bool {
        self.active.len() <= 1
    }
}

impl Rest {
    fn tick(&mut self, flushes: u64, visible: Lsn) {
        let more = |ticks: u32, same: bool| if same { ticks.saturating_add(1) } else { 0 };
        self.ticks_since_flush = more(self.ticks_since_flush, self.flushes == flushes);
        self.ticks_since_commit = more(self.ticks_since_commit, self.visible == visible);
        (self.flushes, self.visible) = (flushes, visible);
    }
}

/// What has ended.
enum Done {
    Flush(NodeResult<()>),
    /// With the first input, which names the job.
    Compaction(CompactionJob, NodeResult<()>),
    CompleteTimer,
    RetryTimer,
    IdleTimer,
    RestTick,
}

impl Maintenance {
    /// Works until stopped.
    pub async fn run(self) {
        let mut work = Work::default();
        work.active.push(self.rest_tick());
        while !self.stopped() {
            self.begin(&mut work);
            if let Some(done) = self.next_event(&mut work).await {
                self.take_note(&mut work, done);
            }
        }
        // Parts on the lane see the stop themselves. Timers are left alone.
        while work.is_flushing || !work.running.is_empty() {
            match work.active.next().await {
                Some(done) => self.take_note(&mut work, done),
                None => return,
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits until something has ended, or, without an answer, until something may be due.
    async fn next_event(&self, work: &mut Work<'_>) -> Option<Done> {
        poll_fn(|cx| {
            if let Poll::Ready(Some(done)) = work.active.poll_next_unpin(cx) {
                return Poll::Ready(Some(done));
            }
            let is_due = || (self.stopped() || self.is_due(work)).then_some(());
            self.engine.maintenance.poll_wait(cx, is_due).map(|()| None)
        })
        .await
    }

    /// Whether [`Self::begin`] would begin something.
    fn is_due(&self, work: &Work<'_>) -> bool {
        let flush = !work.is_flushing
            && (self.loads.has_finished() || !work.awaits_complete && self.engine.frozen_bytes() > 0);
        !work.is_pausing && (flush || self.next_job(work).is_some())
    }

    fn next_job(&self, work: &Work<'_>) -> Option<CompactionJob> {
        if work.running.len() >= self.threads.max(1) || self.outbox.is_away() {
            return None;
        }
        let state = self.engine.state();
        let manifest = state.manifest();
        pick_dead(manifest, &self.dead(), DEAD_SHARE, &work.running)
            .or_else(|| pick(manifest, &CompactionPolicy::default(), &work.running))
            .or_else(|| self.optimizing.pick(manifest, &work.running))
    }

    fn dead(&self) -> DeadKeys {
        self.engine.dead.keys(&self.engine.views)
    }

    /// Begins all that is due.
    fn begin<'a>(&'a self, work: &mut Work<'a>) {
        if work.is_pausing {
            return;
        }
        if !work.is_flushing
            && let Some(finished) = self.loads.next_finished()
        {
            work.is_flushing = true;
            work.active.push(self.publish_load(finished).map(|()| Done::Flush(Ok(()))).boxed_local());
        }
        if !work.is_flushing {
            match self.engine.oldest_frozen() {
                Some((memtable, last)) => {
                    work.is_flushing = true;
                    work.active.push(self.flush(memtable, last).map(Done::Flush).boxed_local());
                }
                None if self.engine.frozen_bytes() > 0 && !work.awaits_complete => {
                    work.awaits_complete = true;
                    work.active
                        .push(self.ticker.sleep(COMPLETE_PAUSE).map(|()| Done::CompleteTimer).boxed_local());
                }
                None => {}
            }
        }
        while let Some(job) = self.next_job(work) {
            self.begin_compaction(work, job);
        }
        self.begin_timers(work);
    }

    /// When nothing else is to be done: what is worth it in a long rest, or a wait for a short one.
    fn begin_timers<'a>(&'a self, work: &mut Work<'a>) {
        if !work.is_quiet() {
            return;
        }
        let state = self.engine.state();
        let manifest = state.manifest();
        if work.rest.ticks_since_flush >= REST_TICKS
            && !self.outbox.is_away()
            && let Some(job) = pick_space(manifest, &[])
                .or_else(|| pick_dead(manifest, &self.dead(), DEAD_SHARE_AT_REST, &[]))
        {
            self.begin_compaction(work, job);
        } else if pick_idle(manifest, &[]).is_some() {
            work.idle_timer = Some(self.counts.flushes.load(Ordering::Relaxed));
            work.active.push(self.ticker.sleep(IDLE_AFTER).map(|()| Done::IdleTimer).boxed_local());
        }
    }

    fn rest_tick<'a>(&'a self) -> LocalBoxFuture<'a, Done> {
        self.ticker.sleep(REST_TICK).map(|()| Done::RestTick).boxed_local()
    }

    fn end_of_rest_tick<'a>(&'a self, work: &mut Work<'a>) {
        work.active.push(self.rest_tick());
        work.rest.tick(self.counts.flushes.load(Ordering::Relaxed), self.engine.views.visible());
        let state = self.engine.state();
        let active = state.active();
        if work.rest.ticks_since_commit >= REST_TICKS
            && !self.outbox.is_away()
            && !active.is_empty()
            && is_flush_worth_its_bytes(state.manifest(), active.approximate_bytes() as u64)
        {
            // The flush itself does not end the rest.
            work.rest.flushes += 1;
            (self.freeze)();
        }
    }

    fn begin_compaction<'a>(&'a self, work: &mut Work<'a>, job: CompactionJob) {
        work.running.push(job.clone());
        let compaction = async move {
            let outcome = self.compact(&job).await;
            Done::Compaction(job, outcome)
        };
        work.active.push(compaction.boxed_local());
    }

    /// Begins a compaction that is not due, if nothing was flushed since the timer began and nothing runs.
    fn end_of_idle_timer<'a>(&'a self, work: &mut Work<'a>) {
        let flushes = self.counts.flushes.load(Ordering::Relaxed);
        let is_idle = work.idle_timer.take() == Some(flushes) && work.is_quiet() && !self.stopped();
        if is_idle && let Some(job) = pick_idle(self.engine.state().manifest(), &[]) {
            self.begin_compaction(work, job);
        }
    }

    fn take_note<'a>(&'a self, work: &mut Work<'a>, done: Done) {
        let outcome = match done {
            Done::Flush(outcome) => {
                work.is_flushing = false;
                outcome
            }
            Done::Compaction(job, outcome) => {
                let first = job.input_ids().next();
                work.running.retain(|other| other.input_ids().next() != first);
                outcome
            }
            Done::CompleteTimer => {
                work.awaits_complete = false;
                Ok(())
            }
            Done::RetryTimer => {
                work.is_pausing = false;
                Ok(())
            }
            Done::IdleTimer => {
                self.end_of_idle_timer(work);
                Ok(())
            }
            Done::RestTick => {
                self.end_of_rest_tick(work);
                Ok(())
            }
        };
        if let Err(error) = outcome
            && !self.stopped()
        {
            event::warn(&format!("flush or compaction failed and is tried again: {error}"));
            if !std::mem::replace(&mut work.is_pausing, true) {
                work.active.push(self.ticker.sleep(RETRY_PAUSE).map(|()| Done::RetryTimer).boxed_local());
            }
        }
    }

    fn retention(&self) -> Retention {
        let views = self.engine.views.live();
        let visible = views.last().copied().unwrap_or(Lsn(0));
        Retention::new(views, visible).without(self.dead())
    }

    async fn flush(&self, memtable: Arc<Memtable>, last: Lsn) -> NodeResult<()> {
        let run = self.engine.take_run();
        let (builder, retention) = (self.builder.clone(), self.retention());
        let job = self.lane.spawn_as(JobClass::Flush, move || {
            let options = RewriteOptions::flush(new_ids(), run, event::wall_micros());
            builder.build(Rewrite::flush(&[memtable], retention, options), Purpose::Flush)
        });
        let written = job.await.map_err(|_| lane_closed())??;
        let edit = ManifestEdit {
            added: written.iter().map(|table| SstMeta::from(&table.info)).collect(),
            checkpoint_lsn: Some(last.0),
            next_run: Some(run + 1),
            ..ManifestEdit::default()
        };
        self.publish(edit, written, Origin::Flush).await?;
        self.counts.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a build's tables part of the database.
    async fn publish_load(&self, finished: Finished) {
        let Finished { mut runs, done } = finished;
        let mut edit = ManifestEdit::default();
        for run in &mut runs {
            let ManifestEdit { added, next_run, .. } = edit_of(run, self.engine.take_run());
            edit.added.extend(added);
            edit.next_run = next_run;
        }
        // Whoever waited may have gone; the tables are garbage then.
        let _ = done.send(self.publish(edit, runs.concat(), Origin::Load).await);
    }

    async fn compact(&self, job: &CompactionJob) -> NodeResult<()> {
        match job.kind {
            JobKind::Move => self.publish(job.edit_of_move(), Vec::new(), Origin::Compaction).await?,
            JobKind::Remove => self.publish(job.edit(&[]), Vec::new(), Origin::Compaction).await?,
            JobKind::Rewrite => {
                let written = self.rewrite(job).await?;
                let infos: Vec<_> = written.iter().map(|table| table.info.clone()).collect();
                self.publish(job.edit(&infos), written, Origin::Compaction).await?;
            }
        }
        self.counts.compactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Runs the parts of a compaction on the lane; the tables that all of them wrote, in key order.
    async fn rewrite(&self, job: &CompactionJob) -> NodeResult<Vec<Written>> {
        let purpose = self.purpose(job);
        let ranges = split(job, self.threads, PART_BYTES_MIN);
        self.counts.parts.fetch_add(ranges.len() as u64, Ordering::Relaxed);
        let parts: Vec<_> = ranges.into_iter().map(|range| self.spawn_part(job, range, purpose)).collect();
        let mut written = Vec::new();
        let mut failed = Ok(());
        for part in parts {
            // All of them end, also when one fails, so that none runs beside its own repetition.
            match part.await.map_err(|_| lane_closed()).and_then(|outcome| outcome) {
                Ok(tables) => written.extend(tables),
                Err(error) => failed = Err(error),
            }
        }
        failed.map(|()| written)
    }

    fn spawn_part(
        &self,
        job: &CompactionJob,
        range: KeyRange,
        purpose: Purpose,
    ) -> aquifer_shard::lane::JobHandle<NodeResult<Vec<Written>>> {
        let (job, builder, retention) = (job.clone(), self.builder.clone(), self.retention());
        self.lane.spawn_as(JobClass::Background, move || {
            let options = RewriteOptions::compaction(new_ids(), &job, event::wall_micros());
            builder.build(Rewrite::part(&job, &range, retention, options), purpose)
        })
    }

    fn purpose(&self, job: &CompactionJob) -> Purpose {
        let (mut hot, mut bytes) = (0, 0);
        for table in job.tables() {
            let size = table.info().object_bytes;
            hot += size * self.engine.source.hot_per_mille(table);
            bytes += size;
        }
        if hot / bytes.max(1) >= HOT_PER_MILLE { Purpose::HotCompaction } else { Purpose::ColdCompaction }
    }

    /// Publishes an edit and waits until it is in the read state.
    async fn publish(&self, edit: ManifestEdit, written: Vec<Written>, origin: Origin) -> NodeResult<()> {
        let metas = written.into_iter().map(|table| (table.info.id, table.meta)).collect();
        self.outbox.edit(edit, metas, origin).await
    }
}

pub(crate) fn lane_closed() -> NodeError {
    NodeError::new(ErrorKind::Interrupted, "the bulk lane has stopped")
}
