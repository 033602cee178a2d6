//! What the handle makes of failures, and what the meter says about it.

mod support;

use std::time::Duration;

use aquifer_objstore::{Fault, Operation, PutOutcome, StoreErrorKind, block_on, probe_conditional_put};
use aquifer_types::ErrorKind;
use support::{assert_conforms, bytes, fault_store};

const UNAVAILABLE: Fault = Fault::ErrorBefore(StoreErrorKind::Unavailable);

#[test]
fn wrapper_without_faults_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_conforms(&fault_store(dir.path()).0);
}

#[test]
fn get_is_repeated_until_it_succeeds() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    block_on(store.put("a", bytes("12345"))).expect("put");
    for _ in 0..3 {
        faults.inject(Operation::Get, UNAVAILABLE);
    }
    assert_eq!(block_on(store.get("a")), Ok(bytes("12345")));
    let counts = store.meter().snapshot().of(Operation::Get);
    assert_eq!((counts.requests, counts.retries, counts.errors, counts.bytes), (4, 3, 0, 5));
}

#[test]
fn get_gives_up_after_its_attempts() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    block_on(store.put("a", bytes("x"))).expect("put");
    for _ in 0..4 {
        faults.inject(Operation::Get, UNAVAILABLE);
    }
    let error = block_on(store.get("a")).expect_err("all attempts fail");
    assert_eq!(error.error_kind(), ErrorKind::Unavailable);
    assert_eq!(error.object(), Some("a"));
    assert_eq!(store.meter().snapshot().of(Operation::Get).errors, 1);
    assert_eq!(faults.pending(), 0);
}

#[test]
fn denied_request_is_not_repeated() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    faults.inject(Operation::List, Fault::ErrorBefore(StoreErrorKind::Denied));
    assert_eq!(block_on(store.list("", None)).expect_err("denied").kind(), StoreErrorKind::Denied);
    assert_eq!(store.meter().snapshot().of(Operation::List).requests, 1);
}

#[test]
fn put_if_absent_with_lost_answers_is_created() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    faults.inject(Operation::Put, Fault::LostAnswer);
    faults.inject(Operation::Put, Fault::LostAnswer);
    assert_eq!(block_on(store.put_if_absent("a", bytes("mine"))), Ok(PutOutcome::Created));
    let snapshot = store.meter().snapshot();
    assert_eq!(snapshot.of(Operation::Put).requests, 3);
    assert_eq!(snapshot.of(Operation::Get).requests, 1, "one read-back");
}

#[test]
fn put_if_absent_with_a_lost_answer_against_another_object_exists() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    block_on(store.put("a", bytes("theirs"))).expect("put");
    faults.inject(Operation::Put, Fault::LostAnswer);
    assert_eq!(block_on(store.put_if_absent("a", bytes("mine"))), Ok(PutOutcome::Exists));
    assert_eq!(block_on(store.get("a")), Ok(bytes("theirs")));
}

#[test]
fn put_if_absent_that_was_given_up_is_created_when_called_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    for _ in 0..4 {
        faults.inject(Operation::Put, Fault::LostAnswer);
    }
    assert!(block_on(store.put_if_absent("a", bytes("mine"))).is_err());
    assert_eq!(block_on(store.put_if_absent("a", bytes("mine"))), Ok(PutOutcome::Created));
}

#[test]
fn attempt_without_an_answer_is_repeated_after_its_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    faults.inject(Operation::Put, Fault::Delay(Duration::from_secs(3600)));
    assert_eq!(block_on(store.put_if_absent("a", bytes("mine"))), Ok(PutOutcome::Created));
    let counts = store.meter().snapshot().of(Operation::Put);
    assert_eq!(counts.retries, 1);
    assert!(counts.latency_max_micros >= 2_000_000);
}

#[test]
fn outage_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    faults.start_outage();
    assert_eq!(block_on(store.head("a")).expect_err("out").kind(), StoreErrorKind::Unavailable);
    assert!(block_on(store.put("a", bytes("x"))).is_err());
    faults.end_outage();
    assert_eq!(block_on(store.head("a")), Ok(None), "an outage has no effects");
    assert!(!block_on(store.get("a")).expect_err("absent").is_retryable());
}

#[test]
fn probe_refuses_a_store_that_ignores_conditions() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, faults) = fault_store(dir.path());
    assert_eq!(block_on(probe_conditional_put(&store, "")), Ok(()));
    faults.ignore_conditions();
    let error = block_on(probe_conditional_put(&store, "")).expect_err("refused");
    assert_eq!(error.kind(), StoreErrorKind::IgnoresConditions);
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    assert!(error.to_string().contains("ignores If-None-Match"), "{error}");
    assert_eq!(block_on(store.list("", None)), Ok(vec![]), "the probe object is deleted");
}

#[test]
fn meter_prices_requests_like_s3() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = fault_store(dir.path());
    for _ in 0..1000 {
        block_on(store.head("a")).expect("head");
    }
    for number in 0..100 {
        block_on(store.list(&number.to_string(), None)).expect("list");
    }
    block_on(store.delete("a")).expect("delete");
    let snapshot = store.meter().snapshot();
    assert_eq!(snapshot.of(Operation::Head).requests, 1000);
    assert!((snapshot.of(Operation::Head).dollars - 0.0004).abs() < 1e-9);
    assert!((snapshot.of(Operation::List).dollars - 0.0005).abs() < 1e-9);
    assert!((snapshot.dollars() - 0.0009).abs() < 1e-9);
    assert_eq!(snapshot.of(Operation::Get).requests, 0);
}
