//! Hedging: when a second request is sent, that the first answer wins, and that there are never too many.
#![allow(clippy::unwrap_used)]

use std::future::{pending, ready};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer_cache::hedge::{HedgePolicy, HedgedReader, Pauses};
use aquifer_cache::{RangeFuture, RangeReader};
use aquifer_objstore::{StoreError, block_on};
use bytes::Bytes;
use proptest::prelude::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// What a request of the test's store does.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answer(&'static [u8]),
    Fail,
    Hang,
}

/// Answers requests by a list, then always at once.
#[derive(Default)]
struct Script {
    fates: Mutex<Vec<Fate>>,
    requests: AtomicU64,
}

impl RangeReader for Script {
    fn read_range(&self, _object: String, _range: Range<u64>) -> RangeFuture {
        self.requests.fetch_add(1, Ordering::SeqCst);
        match self.fates.lock().unwrap().pop().unwrap_or(Fate::Answer(b"usual")) {
            Fate::Answer(bytes) => Box::pin(ready(Ok(Bytes::from_static(bytes)))),
            Fate::Fail => Box::pin(ready(Err(StoreError::unavailable("away")))),
            Fate::Hang => Box::pin(pending()),
        }
    }
}

/// Pauses that are over at once: whatever does not answer immediately is slow.
fn no_patience() -> Pauses {
    Arc::new(|_| Box::pin(ready(())))
}

fn read(reader: &HedgedReader) -> Result<Bytes, StoreError> {
    block_on(reader.read_range("sst/1".to_owned(), 0..16_384))
}

/// A reader that has seen enough to hedge, and has earned a few.
fn experienced() -> (Arc<Script>, HedgedReader) {
    let script = Arc::new(Script::default());
    let reader = HedgedReader::new(script.clone(), no_patience());
    (0..200).for_each(|_| drop(read(&reader).unwrap()));
    assert_eq!(script.requests.load(Ordering::SeqCst), 200, "what answers at once is not hedged");
    (script, reader)
}

/// The fates of the next requests, in order.
fn script(script: &Script, fates: &[Fate]) {
    *script.fates.lock().unwrap() = fates.iter().rev().copied().collect();
}

#[test]
fn slow_request_is_answered_by_a_second_one() {
    let (store, reader) = experienced();
    script(&store, &[Fate::Hang, Fate::Answer(b"second")]);
    assert_eq!(read(&reader).unwrap(), "second");
    let counters = reader.counters();
    assert_eq!((counters.reads, counters.hedges, counters.wins), (201, 1, 1));
}

#[test]
fn second_request_that_fails_leaves_the_first() {
    let (store, reader) = experienced();
    script(&store, &[Fate::Hang, Fate::Fail]);
    let future = reader.read_range("sst/1".to_owned(), 0..16_384);
    let mut future = std::pin::pin!(future);
    let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut nobody).is_pending(), "the first may still answer");
    assert_eq!(reader.counters().wins, 0);
}

#[test]
fn first_requests_are_not_hedged_before_there_is_experience() {
    let store = Arc::new(Script::default());
    let reader = HedgedReader::new(store.clone(), no_patience());
    script(&store, &[Fate::Hang]);
    let mut future = reader.read_range("sst/1".to_owned(), 0..16_384);
    let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut nobody).is_pending());
    assert_eq!(store.requests.load(Ordering::SeqCst), 1);
}

#[test]
fn long_ranges_are_not_hedged() {
    let (store, reader) = experienced();
    script(&store, &[Fate::Hang]);
    let mut future = reader.read_range("sst/1".to_owned(), 0..1 << 20);
    let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut nobody).is_pending());
    assert_eq!(store.requests.load(Ordering::SeqCst), 201);
}

#[test]
fn percentile_is_that_of_the_latest_requests() {
    let mut policy = HedgePolicy::default();
    (0..1_000).for_each(|n| policy.note(MS(10 + n % 10)));
    let fast = policy.percentile_97().unwrap();
    assert!((MS(19)..MS(22)).contains(&fast), "{fast:?}");
    (0..3_000).for_each(|n| policy.note(MS(100 + n % 10)));
    let slow = policy.percentile_97().unwrap();
    assert!((MS(105)..MS(125)).contains(&slow), "{slow:?}");
}

proptest! {
    #[test]
    fn hedges_are_at_most_three_in_a_hundred(wants in prop::collection::vec(any::<bool>(), 1..3_000)) {
        let mut policy = HedgePolicy::default();
        let (mut requests, mut hedges) = (0, 0);
        for wants in wants {
            requests += 1;
            let _ = policy.begin();
            hedges += u64::from(wants && policy.spend());
            prop_assert!(hedges * 100 <= requests * 3);
        }
    }

    #[test]
    fn percentile_is_never_below_and_at_most_an_eighth_above(
        micros in prop::collection::vec(8u64..10_000_000, 64..500),
    ) {
        let mut policy = HedgePolicy::default();
        micros.iter().for_each(|micros| policy.note(Duration::from_micros(*micros)));
        let mut sorted = micros.clone();
        sorted.sort_unstable();
        let true_value = sorted[sorted.len() - 1 - sorted.len() * 3 / 100];
        let found = u64::try_from(policy.percentile_97().unwrap().as_micros()).unwrap();
        prop_assert!(found > true_value, "{found} of {true_value}");
        prop_assert!(found <= true_value + true_value / 8 + 1, "{found} of {true_value}");
    }
}
