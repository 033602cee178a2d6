//! Counts requests by kind, with what they cost on S3.
//!
//! Counters are relaxed atomics: a snapshot is not one instant, but no count is ever lost. Prices are
//! those of S3 Standard in us-east-1; storage and transfer are not counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Dollars for one PUT or LIST request.
pub const PUT_OR_LIST_DOLLARS: f64 = 0.005 / 1000.0;

/// Dollars for one GET or HEAD request.
pub const GET_DOLLARS: f64 = 0.0004 / 1000.0;

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

    const fn price_dollars(self) -> f64 {
        match self {
            Self::Get | Self::Head => GET_DOLLARS,
            Self::Put | Self::List => PUT_OR_LIST_DOLLARS,
            Self::Delete => 0.0,
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
#[derive(Debug, Default)]
pub struct Meter {
    counters: [Counters; 5],
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
    /// Counts a request that was sent, also when it fails.
    pub fn request(&self, operation: Operation) {
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
            dollars: price(requests, operation.price_dollars()),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn price(requests: u64, dollars: f64) -> f64 {
    requests as f64 * dollars
}
