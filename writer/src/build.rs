//! Building tables on the bulk lane: one part of a flush or a compaction, from its inputs to objects in the
//! store.
//!
//! A part runs in short steps and gives way between them. When other threads want its core (a step takes more
//! time than CPU), a compaction also pauses, so that two cores' worth of background work does not take a
//! tenth of each from the foreground; the more writers are held up by debt, the less it pauses ([`pause`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aquifer_lsm::{BlockSource, BuildError, BuiltTable, Rewrite, RewriteStep, Step, Table, TableInfo};
use aquifer_shard::affinity::thread_cpu;
use aquifer_shard::engine::Engine;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::lane::yield_if_needed;
use aquifer_shard::ticker::Ticker;
use aquifer_types::{ErrorKind, SstId};
use bytes::Bytes;
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::admission::Pacer;
use crate::maintenance::MaintenanceCounts;
use crate::outbox::{Origin, Outbox};

/// Entries between two looks at what else is to be done.
const STEP_ENTRIES: usize = 1_024;

/// Objects of a part that are on their way to the store while the next one is built.
const PUTS_MAX: usize = 2;

/// Debt from which on a compaction does not pause any more.
const PAUSE_DEBT_MAX: u32 = 400;

/// What a table is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A flush: writers wait for it; what it writes was just written and will be read soon.
    Flush,
    /// A compaction whose input is read a lot: its output takes the input's place in the disk cache.
    HotCompaction,
    /// Any other compaction.
    ColdCompaction,
    /// A build of indexes, which somebody waits for.
    Load,
}

/// A table in the store that no manifest names yet.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its description.
    pub info: TableInfo,
    /// Its index and filter as stored, so that no read has to fetch them.
    pub meta: Bytes,
}

/// What every part needs.
#[derive(Clone)]
pub struct Builder {
    /// The writer's storage.
    pub engine: Arc<Engine>,
    /// Timer.
    pub ticker: Ticker,
    /// Ends the part soon after it is set.
    pub stop: Arc<AtomicBool>,
    /// Told to whoever asks.
    pub counts: Arc<MaintenanceCounts>,
    /// How far flush and compaction are behind.
    pub pacer: Arc<Pacer>,
    /// Where tables go.
    pub outbox: Outbox,
}

type Puts<'a> = FuturesUnordered<LocalBoxFuture<'a, NodeResult<Written>>>;

impl Purpose {
    fn origin(self) -> Origin {
        match self {
            Self::Flush => Origin::Flush,
            Self::HotCompaction | Self::ColdCompaction => Origin::Compaction,
            Self::Load => Origin::Load,
        }
    }
}

impl Builder {
    /// Runs a rewrite and PUTs what it builds.
    ///
    /// # Errors
    /// `Interrupted` when the writer stops, what the store refuses, a broken input.
    pub async fn build(self, mut rewrite: Rewrite, purpose: Purpose) -> NodeResult<Vec<Written>> {
        let source = self.engine.source.for_scan();
        let (mut puts, mut written) = (Puts::new(), Vec::new());
        loop {
            self.check_stop()?;
            let began = (Instant::now(), thread_cpu());
            match rewrite.step(&source, STEP_ENTRIES).map_err(|error| broken(&error))? {
                Step::Need(need) => {
                    rewrite.announce_read_ahead(&need, &source);
                    let loaded = self.outbox.unless_away(source.load(need.clone())).await??;
                    rewrite.supply(need, loaded);
                }
                Step::Done(RewriteStep::Paused) => {
                    self.give_way(purpose, began.0.elapsed(), thread_cpu().saturating_sub(began.1)).await;
                }
                Step::Done(RewriteStep::Built(table)) => {
                    puts.push(self.put(*table, purpose).boxed_local());
                    take_done(&mut puts, &mut written).await?;
                }
                Step::Done(RewriteStep::Finished) => break,
            }
        }
        while let Some(done) = puts.next().await {
            written.push(done?);
        }
        // PUTs end in any order.
        written.sort_by(|left, right| left.info.smallest.cmp(&right.info.smallest));
        Ok(written)
    }

    fn check_stop(&self) -> NodeResult<()> {
        if self.stop.load(Ordering::Acquire) {
            return Err(NodeError::new(ErrorKind::Interrupted, "the writer is stopping"));
        }
        Ok(())
    }

    async fn give_way(&self, purpose: Purpose, elapsed: Duration, cpu: Duration) {
        if purpose != Purpose::Flush {
            let debt = self.pacer.backlog(&self.engine).debt();
            let pause = pause(elapsed, cpu, debt);
            if !pause.is_zero() {
                self.ticker.sleep(pause).await;
                return;
            }
        }
        yield_if_needed().await;
    }

    /// Brings a table to the store, or to the outbox if it is away, and lets the caches have what they are to have of it.
    async fn put(&self, table: BuiltTable, purpose: Purpose) -> NodeResult<Written> {
        let BuiltTable { object, info } = table;
        let meta = meta_of(&object, &info)?;
        self.outbox.table(info.id, object.clone(), purpose.origin()).await?;
        self.counts.bytes_written.fetch_add(object.len() as u64, Ordering::Relaxed);
        let source = &self.engine.source;
        match purpose {
            Purpose::ColdCompaction => source.admit_meta(info.id, info.index.offset, meta.clone()),
            Purpose::Flush | Purpose::HotCompaction | Purpose::Load => {
                source.admit_table(&Table::new(info.clone()), &object)?
            }
        }
        Ok(Written { info, meta })
    }
}

/// Sends the newest PUT on its way, and waits for one when there are too many.
async fn take_done(puts: &mut Puts<'_>, written: &mut Vec<Written>) -> NodeResult<()> {
    while let Some(Some(done)) = puts.next().now_or_never() {
        written.push(done?);
    }
    if puts.len() >= PUTS_MAX
        && let Some(done) = puts.next().await
    {
        written.push(done?);
    }
    Ok(())
}

/// A copy of index and filter, which does not hold the whole object in memory.
fn meta_of(object: &Bytes, info: &TableInfo) -> NodeResult<Bytes> {
    let bug = || NodeError::new(ErrorKind::Bug, "a built table is shorter than it says");
    let at = |byte: u64| usize::try_from(byte).map_err(|_| bug());
    let (start, end) = (at(info.index.offset)?, at(info.filter.end())?);
    object.get(start..end).map(Bytes::copy_from_slice).ok_or_else(bug)
}

/// How long a compaction pauses after a step that took `elapsed` of time and `cpu` of CPU: not at all when it
/// had its core for itself, as long as it has worked when others wanted it too, and less with more debt.
#[must_use]
pub fn pause(elapsed: Duration, cpu: Duration, debt: u32) -> Duration {
    let is_alone = elapsed < cpu + cpu / 4 + Duration::from_micros(200);
    if is_alone || debt >= PAUSE_DEBT_MAX {
        return Duration::ZERO;
    }
    cpu * (PAUSE_DEBT_MAX - debt) / PAUSE_DEBT_MAX
}

/// The ids of new tables.
#[must_use]
pub fn new_ids() -> Box<dyn FnMut() -> SstId + Send> {
    Box::new(|| SstId(aquifer_shard::random::u128()))
}

fn broken(error: &BuildError) -> NodeError {
    NodeError::new(ErrorKind::Bug, format!("a table cannot be built: {error}"))
}

#[cfg(test)]
#[path = "build_test.rs"]
mod build_test;
