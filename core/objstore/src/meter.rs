//! Counts requests by kind, with what they cost on S3.
//!
//! Counters are relaxed atomics: a snapshot is not one instant, but no count is ever lost. Prices are in a
//! [`PriceTable`], by default that of S3 Standard in us-east-1; transfer is free inside a region and not counted.
//!
//! What a month costs at the present rate is judged by the last ten minutes or so: once a minute a request
//! leaves a mark of all counters, and the oldest mark that is not much older than that is compared with now.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a store charges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriceTable {
    /// Dollars for one PUT or LIST request.
    pub put_or_list: f64,
    /// Dollars for one GET or HEAD request.
    pub get: f64,
    /// Dollars for a GiB that is stored for a month.
    pub gib_month: f64,
}

impl PriceTable {
    /// S3 Standard in us-east-1.
    pub const S3_STANDARD: Self =
        Self { put_or_list: 0.005 / 1000.0, get: 0.0004 / 1000.0, gib_month: 0.023 };

    const fn of(&self, operation: Operation) -> f64 {
        match operation {
            Operation::Get | Operation::Head => self.get,
            Operation::Put | Operation::List => self.put_or_list,
            Operation::Delete => 0.0,
        }
    }
}

impl Default for PriceTable {
    fn default() -> Self {
        Self::S3_STANDARD
    }
}

/// A month of 30 days.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Time between two marks, and how far back the present rate looks.
const MARK_INTERVAL: Duration = Duration::from_secs(60);
const RATE_WINDOW: Duration = Duration::from_secs(600);

/// No rate is judged by less than this.
const RATE_WINDOW_MIN: Duration = Duration::from_secs(1);

/// Kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// GET, whole objects and ranges.
    Get,
    /// PUT, plain and conditional.
    Put,
    /// HEAD.
    Head,
    /// DELETE, which is free.
    Delete,
    /// LIST, one for each page.
    List,
}

impl Operation {
    /// Every kind, in the order of [`MeterSnapshot::operations`].
    pub const ALL: [Self; 5] = [Self::Get, Self::Put, Self::Head, Self::Delete, Self::List];

    /// The kind's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Head => "head",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Get => 0,
            Self::Put => 1,
            Self::Head => 2,
            Self::Delete => 3,
            Self::List => 4,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
    retries: AtomicU64,
    latency_sum_micros: AtomicU64,
    latency_max_micros: AtomicU64,
}

/// The counters of one store.
#[derive(Debug)]
pub struct Meter {
    counters: [Counters; 5],
    prices: PriceTable,
    started: Instant,
    /// When the next mark is due, milliseconds after the start.
    next_mark_ms: AtomicU64,
    marks: Mutex<VecDeque<Mark>>,
}

/// The counters at some time after the start.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Duration,
    requests: [u64; 5],
}

impl Default for Meter {
    fn default() -> Self {
        Self::with_prices(PriceTable::default())
    }
}

/// A line of a bill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostLine {
    /// `get`, `put`, `head`, `delete`, `list`, `storage`, `all`.
    pub kind: &'static str,
    /// Requests since the store was opened; `None` where there are none by nature.
    pub requests: Option<u64>,
    /// Bytes sent, received or stored.
    pub bytes: Option<u64>,
    /// Dollars since the store was opened; `None` for storage, which is not this process's alone.
    pub dollars: Option<f64>,
    /// Dollars a month at the present rate.
    pub dollars_a_month: f64,
}

/// What one kind of request amounts to since the store was opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperationCounts {
    /// Which kind.
    pub operation: Operation,
    /// Requests sent to the store, retries and read-backs included.
    pub requests: u64,
    /// Bytes of objects sent or received.
    pub bytes: u64,
    /// Requests of the caller that failed; an absent object is not a failure.
    pub errors: u64,
    /// Requests that repeat one that failed.
    pub retries: u64,
    /// Sum of the times from a caller's request to its answer.
    pub latency_sum_micros: u64,
    /// The longest of them.
    pub latency_max_micros: u64,
    /// Price of the requests.
    pub dollars: f64,
}

/// All counters, read one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterSnapshot {
    /// By kind, in the order of [`Operation::ALL`].
    pub operations: [OperationCounts; 5],
}

impl MeterSnapshot {
    /// The counts of one kind.
    #[must_use]
    pub fn of(&self, operation: Operation) -> OperationCounts {
        self.operations[operation.index()]
    }

    /// Price of all requests.
    #[must_use]
    pub fn dollars(&self) -> f64 {
        self.operations.iter().map(|counts| counts.dollars).sum()
    }
}

impl Meter {
    /// A meter with other prices.
    #[must_use]
    pub fn with_prices(prices: PriceTable) -> Self {
        Self {
            counters: Default::default(),
            prices,
            started: Instant::now(),
            next_mark_ms: AtomicU64::new(u64::try_from(MARK_INTERVAL.as_millis()).unwrap_or(u64::MAX)),
            marks: Mutex::default(),
        }
    }

    /// The bill so far, by kind, with the storage that `stored_bytes` take, and a line for all of it.
    #[must_use]
    pub fn bill(&self, stored_bytes: u64) -> Vec<CostLine> {
        self.bill_at(self.started.elapsed(), stored_bytes)
    }

    /// As [`Meter::bill`], some time after the start.
    #[must_use]
    pub fn bill_at(&self, now: Duration, stored_bytes: u64) -> Vec<CostLine> {
        let before = self.mark_before(now);
        let window = (now.saturating_sub(before.at)).max(RATE_WINDOW_MIN);
        let line = |operation: Operation| {
            let counts = self.counts(operation);
            let recent = counts.requests.saturating_sub(before.requests[operation.index()]);
            let month =
                price(recent, self.prices.of(operation)) * (MONTH.as_secs_f64() / window.as_secs_f64());
            CostLine {
                kind: operation.name(),
                requests: Some(counts.requests),
                bytes: Some(counts.bytes),
                dollars: Some(counts.dollars),
                dollars_a_month: month,
            }
        };
        let mut lines: Vec<CostLine> = Operation::ALL.map(line).to_vec();
        let storage = price(stored_bytes, self.prices.gib_month / f64::from(1 << 30));
        let sum = |of: &dyn Fn(&CostLine) -> u64| Some(lines.iter().map(of).sum());
        let all = CostLine {
            kind: "all",
            requests: sum(&|line| line.requests.unwrap_or(0)),
            bytes: None,
            dollars: Some(lines.iter().filter_map(|line| line.dollars).sum()),
            dollars_a_month: storage + lines.iter().map(|line| line.dollars_a_month).sum::<f64>(),
        };
        lines.push(CostLine {
            kind: "storage",
            requests: None,
            bytes: Some(stored_bytes),
            dollars: None,
            dollars_a_month: storage,
        });
        lines.push(all);
        lines
    }

    /// Leaves a mark if one is due. Called for each request; costs a clock reading and a comparison.
    fn mark(&self) {
        let now = self.started.elapsed();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let due_ms = self.next_mark_ms.load(Relaxed);
        if now_ms < due_ms {
            return;
        }
        let next_ms = now_ms.saturating_add(u64::try_from(MARK_INTERVAL.as_millis()).unwrap_or(u64::MAX));
        if self.next_mark_ms.compare_exchange(due_ms, next_ms, Relaxed, Relaxed).is_ok() {
            self.mark_at(now);
        }
    }

    /// Leaves a mark some time after the start, and forgets those that are no longer needed.
    pub fn mark_at(&self, now: Duration) {
        let requests = Operation::ALL.map(|operation| self.counts(operation).requests);
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.push_back(Mark { at: now, requests });
        while marks.get(1).is_some_and(|second| now.saturating_sub(second.at) >= RATE_WINDOW) {
            marks.pop_front();
        }
    }

    /// The mark that the present rate is judged from; the start if there is none so old.
    fn mark_before(&self, now: Duration) -> Mark {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let old_enough = marks.iter().rev().find(|mark| now.saturating_sub(mark.at) >= RATE_WINDOW);
        old_enough.copied().unwrap_or(Mark { at: Duration::ZERO, requests: [0; 5] })
    }

    /// Counts a request that was sent, also when it fails.
    pub fn request(&self, operation: Operation) {
        self.mark();
        self.counters[operation.index()].requests.fetch_add(1, Relaxed);
    }

    /// Counts `count` requests, as the pages of a listing.
    pub fn requests(&self, operation: Operation, count: u64) {
        self.counters[operation.index()].requests.fetch_add(count, Relaxed);
    }

    /// Counts a repeated request (in addition to [`Meter::request`]).
    pub fn retry(&self, operation: Operation) {
        self.counters[operation.index()].retries.fetch_add(1, Relaxed);
    }

    /// Counts bytes sent or received.
    pub fn bytes(&self, operation: Operation, bytes: usize) {
        self.counters[operation.index()].bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts a caller's request that failed.
    pub fn error(&self, operation: Operation) {
        self.counters[operation.index()].errors.fetch_add(1, Relaxed);
    }

    /// Notes how long a caller waited for an answer.
    pub fn latency(&self, operation: Operation, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let counters = &self.counters[operation.index()];
        counters.latency_sum_micros.fetch_add(micros, Relaxed);
        counters.latency_max_micros.fetch_max(micros, Relaxed);
    }

    /// The counters as they are.
    #[must_use]
    pub fn snapshot(&self) -> MeterSnapshot {
        MeterSnapshot { operations: Operation::ALL.map(|operation| self.counts(operation)) }
    }

    fn counts(&self, operation: Operation) -> OperationCounts {
        let counters = &self.counters[operation.index()];
        let requests = counters.requests.load(Relaxed);
        OperationCounts {
            operation,
            requests,
            bytes: counters.bytes.load(Relaxed),
            errors: counters.errors.load(Relaxed),
            retries: counters.retries.load(Relaxed),
            latency_sum_micros: counters.latency_sum_micros.load(Relaxed),
            latency_max_micros: counters.latency_max_micros.load(Relaxed),
            dollars: price(requests, self.prices.of(operation)),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn price(requests: u64, dollars: f64) -> f64 {
    requests as f64 * dollars
}
