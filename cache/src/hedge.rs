//! Hedged reads: when a request takes longer than nearly all do, a second one is sent, and the first answer wins.
//!
//! *When* is the 97th percentile of the latest requests of this node, so it follows the store. *How often* is
//! bounded: each request earns three hundredths of a hedge, so that hedges are at most 3 % of the requests, and
//! what was earned in good times is kept for a few dozen only, so that a slow store is not asked twice for
//! everything. Long ranges are not hedged: they are slow because they are long.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use crate::tiered::{RangeFuture, RangeReader};

/// A pause in progress.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Makes pauses; whoever builds the node has a timer.
pub type Pauses = Arc<dyn Fn(Duration) -> Pause + Send + Sync>;

/// Ranges up to this long are hedged.
const RANGE_BYTES_MAX: u64 = 256 << 10;
/// Requests in a hundred that may be hedges.
const HEDGES_PER_CENT: u32 = 3;
/// Hedges that may be saved up.
const HEDGES_SAVED_MAX: u32 = 32;
/// A percentile of fewer requests says nothing.
const NOTES_MIN: u32 = 64;
/// Requests that the percentile is of, about: at twice as many, all counts are halved.
const NOTES_KEPT: u32 = 512;
/// Steps of the histogram for each doubling of the time.
const STEPS: u32 = 8;
const BUCKETS: usize = 32 * STEPS as usize;

/// When and how often to hedge; knows neither clocks nor requests.
#[derive(Clone, Debug)]
pub struct HedgePolicy {
    counts: [u32; BUCKETS],
    notes: u32,
    /// Hundredths of hedges that were earned and not spent.
    earned: u32,
}

/// How many requests there were, and how many of them were second ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgeCounters {
    /// Reads asked for.
    pub reads: u64,
    /// Second requests.
    pub hedges: u64,
    /// Second requests that answered first.
    pub wins: u64,
}

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    hedges: AtomicU64,
    wins: AtomicU64,
}

struct Shared {
    policy: Mutex<HedgePolicy>,
    counts: Counts,
}

/// A reader that hedges the requests to another one.
pub struct HedgedReader {
    reader: Arc<dyn RangeReader>,
    pauses: Pauses,
    shared: Arc<Shared>,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], notes: 0, earned: 0 }
    }
}

impl HedgePolicy {
    /// A request begins: after how long it should be hedged, if at all.
    pub fn begin(&mut self) -> Option<Duration> {
        self.earned = (self.earned + HEDGES_PER_CENT).min(HEDGES_SAVED_MAX * 100);
        self.percentile_97()
    }

    /// Takes the right to one hedge.
    pub fn spend(&mut self) -> bool {
        let left = self.earned.checked_sub(100);
        self.earned = left.unwrap_or(self.earned);
        left.is_some()
    }

    /// A request was answered after so long.
    pub fn note(&mut self, elapsed: Duration) {
        self.counts[bucket_of(elapsed)] += 1;
        self.notes += 1;
        if self.notes >= 2 * NOTES_KEPT {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.notes = self.counts.iter().sum();
        }
    }

    /// A time that 97 of 100 of the latest requests did not reach; at most an eighth too long.
    #[must_use]
    pub fn percentile_97(&self) -> Option<Duration> {
        if self.notes < NOTES_MIN {
            return None;
        }
        let mut above = self.notes * 3 / 100;
        for (bucket, count) in self.counts.iter().enumerate().rev() {
            if *count > above {
                return Some(end_of(bucket));
            }
            above -= count;
        }
        None
    }
}

/// Microseconds by their highest bit and the three bits after it.
fn bucket_of(elapsed: Duration) -> usize {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(u64::from(STEPS));
    let doublings = micros.ilog2() - STEPS.ilog2();
    let step = (micros >> doublings) - u64::from(STEPS);
    let bucket = u64::from(doublings * STEPS) + step;
    usize::try_from(bucket).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// Where a bucket ends, exclusive.
fn end_of(bucket: usize) -> Duration {
    let next = u64::try_from(bucket + 1).unwrap_or(u64::MAX);
    let (doublings, step) = (next / u64::from(STEPS), next % u64::from(STEPS));
    Duration::from_micros((u64::from(STEPS) + step) << doublings)
}

impl Shared {
    fn policy(&self) -> MutexGuard<'_, HedgePolicy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HedgedReader {
    /// Hedges the requests to `reader`.
    #[must_use]
    pub fn new(reader: Arc<dyn RangeReader>, pauses: Pauses) -> Self {
        let (policy, counts) = (Mutex::default(), Counts::default());
        Self { reader, pauses, shared: Arc::new(Shared { policy, counts }) }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> HedgeCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.shared.counts;
        HedgeCounters { reads: read(&counts.reads), hedges: read(&counts.hedges), wins: read(&counts.wins) }
    }
}

impl RangeReader for HedgedReader {
    fn hedges(&self) -> HedgeCounters {
        self.counters()
    }

    fn read_range(&self, object: String, range: Range<u64>) -> RangeFuture {
        self.shared.counts.reads.fetch_add(1, Ordering::Relaxed);
        if range.end.saturating_sub(range.start) > RANGE_BYTES_MAX {
            return self.reader.read_range(object, range);
        }
        let (reader, shared) = (Arc::clone(&self.reader), Arc::clone(&self.shared));
        let pause = shared.policy().begin().map(|delay| (self.pauses)(delay));
        Box::pin(async move {
            let began = Instant::now();
            let first = reader.read_range(object.clone(), range.clone());
            let answer = match pause {
                None => first.await,
                Some(pause) => match select(first, pause).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(((), first)) if shared.policy().spend() => {
                        hedged(&shared, first, reader.read_range(object, range)).await
                    }
                    Either::Right(((), first)) => first.await,
                },
            };
            if answer.is_ok() {
                shared.policy().note(began.elapsed());
            }
            answer
        })
    }
}

/// The first good answer of two requests; the error of the second to fail when both do.
async fn hedged(
    shared: &Shared,
    first: RangeFuture,
    second: RangeFuture,
) -> aquifer_objstore::StoreResult<bytes::Bytes> {
    shared.counts.hedges.fetch_add(1, Ordering::Relaxed);
    let (answer, other, was_second) = match select(first, second).await {
        Either::Left((answer, second)) => (answer, second, false),
        Either::Right((answer, first)) => (answer, first, true),
    };
    if answer.is_err() {
        return other.await;
    }
    shared.counts.wins.fetch_add(u64::from(was_second), Ordering::Relaxed);
    answer
}
