//! The simulated store: its distributions, its limits, and every fault as the client sees it.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::sync::Arc;
use std::time::Duration;

use aquifer_objstore::{
    ObjectStore, Operation, PutOutcome, Retry, SimFault, SimOptions, SimProfile, SimStore, Store,
    StoreErrorKind, block_on,
};
use bytes::Bytes;
use futures_util::future::join_all;

const QUICK: Retry =
    Retry { attempts_max: 3, backoff_first_ms: 1, backoff_max_ms: 1, attempt_timeout_ms: 60_000 };
const ONCE: Retry = Retry { attempts_max: 1, ..QUICK };

fn open(sim: &SimStore, retry: Retry) -> Store {
    Store::with_backend(Arc::new(sim.clone()), retry).unwrap()
}

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Times of so many requests, one after the other, sorted.
fn times(sim: &SimStore, count: usize, request: impl Fn(&Store)) -> Vec<Duration> {
    let store = open(sim, QUICK);
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let before = sim.now();
            request(&store);
            sim.now() - before
        })
        .collect();
    times.sort_unstable();
    times
}

fn near(found: Duration, expected_ms: f64, share: f64) -> bool {
    (found.as_secs_f64() * 1_000.0 / expected_ms - 1.0).abs() < share
}

#[test]
fn latencies_follow_the_profile() {
    for (profile, scale) in [(SimProfile::S3_STANDARD, 1.0), (SimProfile::S3_EXPRESS, 0.2)] {
        let sim = SimStore::new(SimOptions { profile, ..SimOptions::new(7) });
        let puts = times(&sim, 4_000, |store| block_on(store.put("a/b", body("x"))).unwrap());
        assert!(near(puts[2_000], 28.0 * scale, 0.05), "median of PUT: {:?}", puts[2_000]);
        let sigma_up = puts[4_000 * 84 / 100];
        assert!(near(sigma_up, 28.0 * scale * 0.40_f64.exp(), 0.07), "84th percentile: {sigma_up:?}");
        let gets = times(&sim, 4_000, |store| drop(block_on(store.get("a/b")).unwrap()));
        assert!(near(gets[2_000], 24.5 * scale, 0.05), "median of GET: {:?}", gets[2_000]);
        let lists = times(&sim, 2_000, |store| drop(block_on(store.list("a/", None)).unwrap()));
        assert!(near(lists[1_000], 25.0 * scale, 0.05), "median of LIST: {:?}", lists[1_000]);
    }
}

#[test]
fn bytes_take_their_time() {
    let sim = SimStore::new(SimOptions::new(1));
    let store = open(&sim, QUICK);
    let before = sim.now();
    block_on(store.put("big", Bytes::from(vec![0; 50 << 20]))).unwrap();
    let took = sim.now() - before;
    assert!(took > Duration::from_secs(1) && took < Duration::from_millis(1_400), "{took:?}");
}

#[test]
fn requests_that_are_under_way_together_overlap() {
    let sim = SimStore::new(SimOptions::new(3));
    let store = open(&sim, QUICK);
    block_on(store.put("k", body("v"))).unwrap();
    let before = sim.now();
    let reads = join_all((0..100).map(|_| store.get("k")));
    assert!(block_on(reads).into_iter().all(|read| read.unwrap() == "v"));
    let took = sim.now() - before;
    assert!(took < Duration::from_millis(1_000), "a hundred reads of 25 ms each took {took:?}");
}

#[test]
fn same_seed_gives_the_same_times() {
    let run = |seed| {
        let sim = SimStore::new(SimOptions::new(seed));
        times(&sim, 50, |store| block_on(store.put("a", body("x"))).unwrap())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn more_requests_than_the_limit_of_a_prefix_are_slowed_down() {
    let profile = SimProfile { puts_per_second: 10, gets_per_second: 20, ..SimProfile::S3_STANDARD };
    let sim = SimStore::new(SimOptions { profile, ..SimOptions::new(1) });
    let store = open(&sim, ONCE);
    let put = |key: String| store.put(&key, body("x"));
    let outcomes = block_on(join_all((0..30).map(|n| put(format!("a/{n}")))));
    let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert_eq!(refused, 20);
    assert!(outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(|error| error.is_retryable()));
    // Another prefix, and reads, have limits of their own.
    assert!(block_on(put("b/1".to_owned())).is_ok());
    assert!(block_on(store.get("b/1")).is_ok());
}

#[test]
fn conditional_put_has_one_winner() {
    let sim = SimStore::new(SimOptions::new(11));
    let stores: Vec<Store> = (0..8).map(|_| open(&sim, QUICK)).collect();
    for round in 0..20 {
        let key = format!("chain/{round}");
        let put =
            |(at, store): (usize, &Store)| store.put_if_absent(&key, Bytes::from(format!("writer {at}")));
        let outcomes = block_on(join_all(stores.iter().enumerate().map(put)));
        let winners: Vec<usize> = outcomes
            .into_iter()
            .enumerate()
            .filter_map(|(at, outcome)| (outcome.unwrap() == PutOutcome::Created).then_some(at))
            .collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(block_on(stores[0].get(&key)).unwrap(), format!("writer {}", winners[0]));
    }
}

#[test]
fn lost_answer_of_a_conditional_put_is_found_out_by_reading_back() {
    let sim = SimStore::new(SimOptions::new(1));
    let store = open(&sim, QUICK);
    sim.inject(Operation::Put, SimFault::LostAnswer);
    assert_eq!(block_on(store.put_if_absent("k", body("mine"))).unwrap(), PutOutcome::Created);
    assert_eq!(block_on(store.put_if_absent("k", body("other"))).unwrap(), PutOutcome::Exists);
}

#[test]
fn conflict_is_tried_again_and_a_wrong_precondition_is_not_believed() {
    let sim = SimStore::new(SimOptions::new(1));
    let store = open(&sim, QUICK);
    sim.inject(Operation::Put, SimFault::Conflict);
    assert_eq!(block_on(store.put_if_absent("a", body("x"))).unwrap(), PutOutcome::Created);
    sim.inject(Operation::Put, SimFault::Precondition);
    assert_eq!(block_on(store.put_if_absent("b", body("x"))).unwrap(), PutOutcome::Created);
    assert_eq!(block_on(store.get("b")).unwrap(), "x");
}

#[test]
fn time_out_reset_and_slow_down_are_tried_again() {
    for fault in [SimFault::TimeOut, SimFault::Reset, SimFault::SlowDown] {
        for operation in [Operation::Get, Operation::Put, Operation::Head, Operation::Delete, Operation::List]
        {
            let sim = SimStore::new(SimOptions::new(1));
            let store = open(&sim, QUICK);
            block_on(store.put("k", body("v"))).unwrap();
            sim.inject(operation, fault);
            let outcome = match operation {
                Operation::Get => block_on(store.get("k")).map(drop),
                Operation::Put => block_on(store.put("k", body("w"))),
                Operation::Head => block_on(store.head("k")).map(drop),
                Operation::Delete => block_on(store.delete("k")),
                Operation::List => block_on(store.list("", None)).map(drop),
            };
            assert!(outcome.is_ok(), "{fault:?} of {operation:?}: {outcome:?}");
            assert_eq!(sim.pending(), 0);
            assert_eq!(store.meter().snapshot().of(operation).retries, 1);
            let error = {
                let store = open(&sim, ONCE);
                sim.inject(Operation::Get, fault);
                block_on(store.get("k")).unwrap_err()
            };
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        }
    }
}

#[test]
fn truncated_stale_and_missing_objects_are_what_they_say() {
    let sim = SimStore::new(SimOptions::new(1));
    let store = open(&sim, QUICK);
    block_on(store.put("k", body("first"))).unwrap();
    block_on(store.put("k", body("second"))).unwrap();
    sim.inject(Operation::Get, SimFault::Truncated);
    assert_eq!(block_on(store.get("k")).unwrap(), "sec");
    sim.inject(Operation::Get, SimFault::Stale);
    assert_eq!(block_on(store.get("k")).unwrap(), "first");
    sim.inject(Operation::Get, SimFault::Missing);
    assert!(block_on(store.get("k")).unwrap_err().is_not_found());
    sim.inject(Operation::Head, SimFault::Missing);
    assert_eq!(block_on(store.head("k")).unwrap(), None);
    assert_eq!(block_on(store.get("k")).unwrap(), "second");
}

#[test]
fn outage_resets_every_connection_until_it_ends() {
    let sim = SimStore::new(SimOptions::new(1));
    let store = open(&sim, QUICK);
    sim.set_outage(true);
    assert_eq!(block_on(store.put("k", body("v"))).unwrap_err().kind(), StoreErrorKind::Unavailable);
    sim.set_outage(false);
    assert_eq!(block_on(store.head("k")).unwrap(), None);
}

#[test]
fn random_faults_hit_their_share() {
    let random_faults = vec![(SimFault::Reset, 50_000), (SimFault::LostAnswer, 50_000)];
    let sim = SimStore::new(SimOptions { random_faults, ..SimOptions::new(9) });
    let store = open(&sim, ONCE);
    let failed = (0..2_000).filter(|n| block_on(store.put(&format!("k{n}"), body("v"))).is_err()).count();
    assert!((140..260).contains(&failed), "{failed} of 2000 failed, 200 were expected");
}

#[test]
fn listing_goes_through_all_pages() {
    let sim = SimStore::new(SimOptions::new(1));
    let store = open(&sim, QUICK);
    block_on(async {
        for n in 0..2_500 {
            ObjectStore::put(&sim, &format!("p/{n:05}"), body("v")).await.unwrap();
        }
    });
    let keys: Vec<String> =
        block_on(store.list("p/", Some("p/00009"))).unwrap().into_iter().map(|o| o.key).collect();
    assert_eq!(keys, (10..2_500).map(|n| format!("p/{n:05}")).collect::<Vec<_>>());
    assert_eq!(store.meter().snapshot().of(Operation::List).requests, 3);
}
