//! What every store must do, and how tests get stores.
#![allow(dead_code)]

pub mod moto;
pub mod proxy;

use std::sync::Arc;

use aquifer_objstore::dir::DirAccess;
use aquifer_objstore::{
    DirStore, FaultStore, PutOutcome, Retry, Store, StoreErrorKind, StoreResult, block_on,
};
use bytes::Bytes;

/// Retries without the long pauses.
pub const QUICK: Retry =
    Retry { attempts_max: 4, backoff_first_ms: 1, backoff_max_ms: 5, attempt_timeout_ms: 2000 };

/// As [`QUICK`] against a real server: a slow answer on a busy machine must not count as a lost one.
pub const PATIENT: Retry = Retry { attempt_timeout_ms: 60_000, ..QUICK };

pub fn dir_store(path: &std::path::Path) -> Store {
    let backend = DirStore::open(path, DirAccess::ReadWrite).expect("a writable directory");
    Store::with_backend(Arc::new(backend), QUICK).expect("a thread")
}

pub fn fault_store(path: &std::path::Path) -> (Store, FaultStore) {
    let backend = DirStore::open(path, DirAccess::ReadWrite).expect("a writable directory");
    let faults = FaultStore::new(Arc::new(backend));
    (Store::with_backend(Arc::new(faults.clone()), QUICK).expect("a thread"), faults)
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn kind<T: std::fmt::Debug>(result: StoreResult<T>) -> StoreErrorKind {
    result.expect_err("it must fail").kind()
}

/// All of the contract that one handle can show. The store must be empty.
pub fn assert_conforms(store: &Store) {
    block_on(async {
        absent_object(store).await;
        put_and_get(store).await;
        ranges(store).await;
        conditional_put(store).await;
        large_object(store).await;
        deletion(store).await;
        listing(store).await;
        illegal_keys(store).await;
    });
}

async fn absent_object(store: &Store) {
    assert_eq!(kind(store.get("no/such").await), StoreErrorKind::NotFound);
    assert_eq!(kind(store.get_range("no/such", 0..1).await), StoreErrorKind::NotFound);
    assert_eq!(store.get("no/such").await.expect_err("absent").object(), Some("no/such"));
    assert_eq!(store.head("no/such").await, Ok(None));
    assert_eq!(store.delete("no/such").await, Ok(()));
    assert_eq!(store.list("", None).await, Ok(vec![]));
}

async fn put_and_get(store: &Store) {
    store.put("a/b/c", bytes("first")).await.expect("put");
    assert_eq!(store.get("a/b/c").await, Ok(bytes("first")));
    store.put("a/b/c", bytes("second, longer")).await.expect("put");
    assert_eq!(store.get("a/b/c").await, Ok(bytes("second, longer")));
    assert_eq!(store.head("a/b/c").await, Ok(Some(14)));
    store.put("empty", Bytes::new()).await.expect("put");
    assert_eq!(store.get("empty").await, Ok(Bytes::new()));
    assert_eq!(store.head("empty").await, Ok(Some(0)));
}

async fn ranges(store: &Store) {
    store.put("range", bytes("0123456789")).await.expect("put");
    assert_eq!(store.get_range("range", 0..4).await, Ok(bytes("0123")));
    assert_eq!(store.get_range("range", 4..10).await, Ok(bytes("456789")));
    assert_eq!(store.get_range("range", 8..100).await, Ok(bytes("89")));
    for outside in [10..11, 50..60, 3..3] {
        assert_eq!(kind(store.get_range("range", outside).await), StoreErrorKind::Invalid);
    }
}

async fn conditional_put(store: &Store) {
    assert_eq!(store.put_if_absent("once", bytes("mine")).await, Ok(PutOutcome::Created));
    assert_eq!(store.put_if_absent("once", bytes("theirs")).await, Ok(PutOutcome::Exists));
    assert_eq!(store.put_if_absent("once", bytes("mine")).await, Ok(PutOutcome::Created), "its own bytes");
    assert_eq!(store.get("once").await, Ok(bytes("mine")));
}

async fn large_object(store: &Store) {
    let large: Bytes = (0..3_000_000u32).flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(store.put_if_absent("large", large.clone()).await, Ok(PutOutcome::Created));
    assert_eq!(store.get("large").await, Ok(large.clone()));
    let middle = store.get_range("large", 4_000_000..5_000_000).await;
    assert_eq!(middle, Ok(large.slice(4_000_000..5_000_000)));
}

async fn deletion(store: &Store) {
    store.delete("large").await.expect("delete");
    assert_eq!(store.head("large").await, Ok(None));
    assert_eq!(store.put_if_absent("once", bytes("x")).await, Ok(PutOutcome::Exists));
    store.delete("once").await.expect("delete");
    assert_eq!(store.put_if_absent("once", bytes("x")).await, Ok(PutOutcome::Created));
}

async fn listing(store: &Store) {
    for number in [3, 1, 2] {
        store.put(&format!("list/x/{number:03}"), bytes("12345")).await.expect("put");
    }
    store.put("list/x-1", bytes("")).await.expect("put");
    store.put("listing", bytes("")).await.expect("put");
    let keys = |objects: Vec<aquifer_objstore::ObjectInfo>| -> Vec<String> {
        objects.into_iter().map(|object| object.key).collect()
    };
    let all = store.list("list/", None).await.expect("list");
    assert!(all.iter().all(|object| object.size == 5 || object.key == "list/x-1"));
    assert!(all.iter().all(|object| object.modified.elapsed().map_or(0, |age| age.as_secs()) < 600));
    assert_eq!(keys(all), ["list/x-1", "list/x/001", "list/x/002", "list/x/003"]);
    let after = store.list("list/x/", Some("list/x/001")).await.expect("list");
    assert_eq!(keys(after), ["list/x/002", "list/x/003"]);
    let part_of_a_name = store.list("list/x/00", None).await.expect("list");
    assert_eq!(part_of_a_name.len(), 3);
    assert_eq!(store.list("list/y/", None).await, Ok(vec![]));
    assert_eq!(store.list("list", None).await.expect("list").len(), 5);
}

async fn illegal_keys(store: &Store) {
    let long = "k".repeat(1001);
    for key in ["", "/a", "a/", "a//b", "../a", "a/./b", "a/../b", "a\\b", "a\nb", &long] {
        assert_eq!(kind(store.get(key).await), StoreErrorKind::Invalid, "{key:?}");
        assert_eq!(kind(store.put(key, bytes("x")).await), StoreErrorKind::Invalid, "{key:?}");
    }
}

/// Many threads on several handles create the same objects: one winner for each, and its bytes stay.
pub fn assert_one_winner(stores: &[Store], threads: usize, rounds: usize) {
    for round in 0..rounds {
        let key = format!("race/{round:05}");
        let body = |index: usize| bytes(&format!("round {round} by {index}"));
        let barrier = std::sync::Barrier::new(threads);
        let winners: Vec<usize> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..threads)
                .map(|index| {
                    let (store, barrier, key) = (&stores[index % stores.len()], &barrier, &key);
                    scope.spawn(move || {
                        barrier.wait();
                        let outcome = block_on(store.put_if_absent(key, body(index))).expect("put");
                        (outcome == PutOutcome::Created).then_some(index)
                    })
                })
                .collect();
            racers.into_iter().filter_map(|racer| racer.join().expect("no panic")).collect()
        });
        assert_eq!(winners.len(), 1, "{key}: {winners:?}");
        assert_eq!(block_on(stores[0].get(&key)), Ok(body(winners[0])));
    }
}
