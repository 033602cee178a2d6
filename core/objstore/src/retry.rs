//! What is done about an attempt that failed: again, after a pause, a limited number of times.
//!
//! Every request to a store may be repeated: GET, HEAD, LIST and DELETE by nature, a plain PUT because it
//! writes the same bytes again, a conditional PUT because it reads the object back when it finds one (see
//! `Store::put_if_absent`).

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use crate::error::{StoreError, StoreResult};
use crate::meter::{Meter, Operation};

/// How often and how soon a failed attempt is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts of one request, the first included. More hide longer outages and report them later.
    pub attempts_max: u32,
    /// Pause before the second attempt, doubled for each further one; a random half of it is cut off.
    pub backoff_first_ms: u64,
    /// Longest pause.
    pub backoff_max_ms: u64,
    /// Time for one attempt to be answered, without its bytes.
    pub attempt_timeout_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts_max: 4, backoff_first_ms: 50, backoff_max_ms: 2000, attempt_timeout_ms: 10_000 }
    }
}

/// Slowest transfer that is still waited for: 1 MiB/s.
const BYTES_PER_MS_MIN: u64 = 1049;

/// Assumed of an object whose length is not known: as long as the largest link.
pub(crate) const UNKNOWN_BYTES: u64 = 64 << 20;

impl Retry {
    fn timeout(&self, bytes: u64) -> Duration {
        Duration::from_millis(self.attempt_timeout_ms.saturating_add(bytes / BYTES_PER_MS_MIN))
    }

    /// Pause after the `failed`-th attempt, from 1.
    fn pause(&self, failed: u32) -> Duration {
        let doubled = self.backoff_first_ms.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let full_ms = doubled.min(self.backoff_max_ms);
        let cut_ms = random_u64() % (full_ms / 2 + 1);
        Duration::from_millis(full_ms - cut_ms)
    }
}

/// Random bits for pauses and names; not for secrets.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// One request: what it is and how much it moves.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) meter: &'a Meter,
    pub(crate) operation: Operation,
    pub(crate) bytes: u64,
}

/// Makes attempts until one succeeds, one fails for good, or the limit is reached. Runs on the lane.
pub(crate) async fn attempts<T, F>(
    retry: Retry,
    request: Request<'_>,
    mut attempt: impl FnMut() -> F,
) -> StoreResult<T>
where
    F: Future<Output = StoreResult<T>>,
{
    let mut made = 0;
    loop {
        request.meter.request(request.operation);
        made += 1;
        let limit = retry.timeout(request.bytes);
        let outcome = match tokio::time::timeout(limit, attempt()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::unavailable(format!("no answer within {} ms", limit.as_millis()))),
        };
        match outcome {
            Err(error) if error.is_retryable() && made < retry.attempts_max => {
                request.meter.retry(request.operation);
                tokio::time::sleep(retry.pause(made)).await;
            }
            done => return done,
        }
    }
}

/// Runs a caller's whole request and notes how long it took and whether it failed.
pub(crate) async fn measured<T>(
    meter: &Meter,
    operation: Operation,
    key: &str,
    work: impl Future<Output = StoreResult<T>>,
) -> StoreResult<T> {
    let start = Instant::now();
    let outcome = work.await.map_err(|error| error.with_object(key));
    meter.latency(operation, start.elapsed());
    if outcome.as_ref().is_err_and(|error| !error.is_not_found()) {
        meter.error(operation);
    }
    outcome
}
