use aquifer_types::TxnId;
use bytes::Bytes;

use crate::lock_table::{Acquired, Blocker, Changes, Grant, LockStrength, LockTable};

const A: TxnId = TxnId(1);
const B: TxnId = TxnId(2);
const C: TxnId = TxnId(3);
const D: TxnId = TxnId(4);

fn key() -> Bytes {
    Bytes::from_static(b"k")
}

fn blockers(of: &[(TxnId, bool)]) -> Vec<Blocker> {
    of.iter().map(|(txn, holds)| Blocker { txn: *txn, holds: *holds }).collect()
}

fn queued(behind: &[(TxnId, bool)]) -> Acquired {
    Acquired::Queued(blockers(behind))
}

fn granted(txn: TxnId) -> Grant {
    Grant { txn, key: key() }
}

#[test]
fn exclusive_lock_is_granted_in_order_of_request() {
    let mut table = LockTable::default();
    assert_eq!(table.acquire(&key(), A, LockStrength::Exclusive), Acquired::Granted);
    assert_eq!(table.acquire(&key(), B, LockStrength::Exclusive), queued(&[(A, true)]));
    assert_eq!(table.acquire(&key(), C, LockStrength::Exclusive), queued(&[(B, false)]));
    let mut changes = Changes::default();
    table.release(&key(), A, &mut changes);
    assert_eq!(changes.grants, [granted(B)]);
    table.release(&key(), B, &mut changes);
    assert_eq!(changes.grants, [granted(B), granted(C)]);
    table.release(&key(), C, &mut changes);
    assert!(table.is_empty());
}

#[test]
fn shared_locks_are_held_together_and_block_an_exclusive_one() {
    let mut table = LockTable::default();
    assert_eq!(table.acquire(&key(), A, LockStrength::Shared), Acquired::Granted);
    assert_eq!(table.acquire(&key(), B, LockStrength::Shared), Acquired::Granted);
    assert_eq!(table.acquire(&key(), C, LockStrength::Exclusive), queued(&[(A, true), (B, true)]));
    let mut changes = Changes::default();
    table.release(&key(), A, &mut changes);
    assert!(changes.grants.is_empty());
    table.release(&key(), B, &mut changes);
    assert_eq!(changes.grants, [granted(C)]);
}

#[test]
fn shared_request_behind_an_exclusive_one_waits_for_it() {
    let mut table = LockTable::default();
    table.acquire(&key(), A, LockStrength::Shared);
    table.acquire(&key(), B, LockStrength::Exclusive);
    assert_eq!(table.acquire(&key(), C, LockStrength::Shared), queued(&[(B, false)]));
}

#[test]
fn strengthening_waits_for_other_holders_only() {
    let mut table = LockTable::default();
    table.acquire(&key(), A, LockStrength::Shared);
    table.acquire(&key(), B, LockStrength::Shared);
    table.acquire(&key(), C, LockStrength::Exclusive);
    assert_eq!(table.acquire(&key(), A, LockStrength::Exclusive), queued(&[(B, true)]));
    let mut changes = Changes::default();
    table.release(&key(), B, &mut changes);
    assert_eq!(changes.grants, [granted(A)]);
    assert!(!table.is_free(&key(), C, LockStrength::Shared));
}

#[test]
fn holder_asks_again_and_is_told_that_it_holds_the_lock() {
    let mut table = LockTable::default();
    table.acquire(&key(), A, LockStrength::Shared);
    assert_eq!(table.acquire(&key(), A, LockStrength::Exclusive), Acquired::AlreadyHeld);
    assert_eq!(table.acquire(&key(), A, LockStrength::Shared), Acquired::AlreadyHeld);
    assert!(!table.is_free(&key(), B, LockStrength::Shared));
}

#[test]
fn cancelled_request_lets_those_behind_it_through() {
    let mut table = LockTable::default();
    table.acquire(&key(), A, LockStrength::Shared);
    table.acquire(&key(), B, LockStrength::Exclusive);
    table.acquire(&key(), C, LockStrength::Shared);
    let mut changes = Changes::default();
    table.cancel(&key(), B, &mut changes);
    assert_eq!(changes.grants, [granted(C)]);
}

#[test]
fn whoever_named_a_request_that_left_is_told_whom_it_waits_for_now() {
    let mut table = LockTable::default();
    table.acquire(&key(), A, LockStrength::Shared);
    table.acquire(&key(), B, LockStrength::Exclusive);
    assert_eq!(table.acquire(&key(), C, LockStrength::Exclusive), queued(&[(B, false)]));
    assert_eq!(table.acquire(&key(), D, LockStrength::Exclusive), queued(&[(C, false)]));
    let mut changes = Changes::default();
    table.cancel(&key(), B, &mut changes);
    assert_eq!(changes, Changes { grants: Vec::new(), rewired: vec![(C, blockers(&[(A, true)]))] });
    let mut changes = Changes::default();
    table.release(&key(), C, &mut changes);
    assert_eq!(changes, Changes { grants: Vec::new(), rewired: vec![(D, blockers(&[(A, true)]))] });
    let mut changes = Changes::default();
    table.release(&key(), A, &mut changes);
    assert_eq!(changes, Changes { grants: vec![granted(D)], rewired: Vec::new() });
}

fn keys(names: &[&'static str]) -> Vec<Bytes> {
    names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect()
}

#[test]
fn a_group_is_locked_whole_and_names_what_is_new() {
    let mut table = LockTable::default();
    table.acquire(&Bytes::from_static(b"b"), A, LockStrength::Exclusive);
    table.acquire(&Bytes::from_static(b"d"), A, LockStrength::Shared);
    assert_eq!(table.acquire_all(&keys(&["a", "b", "c", "a", "d"]), A), Some(keys(&["a", "c"])));
    assert_eq!(
        table.acquire(&Bytes::from_static(b"d"), B, LockStrength::Shared),
        queued(&[(A, true)]),
        "the shared lock is exclusive now"
    );
}

#[test]
fn a_group_that_is_refused_leaves_no_lock_and_no_request() {
    let mut table = LockTable::default();
    table.acquire(&Bytes::from_static(b"a"), A, LockStrength::Exclusive);
    table.acquire(&Bytes::from_static(b"c"), B, LockStrength::Exclusive);
    assert_eq!(table.acquire_all(&keys(&["a", "b", "c", "d"]), A), None);
    assert_eq!(table.acquire(&Bytes::from_static(b"b"), C, LockStrength::Exclusive), Acquired::Granted);
    let mut changes = Changes::default();
    table.release(b"c", B, &mut changes);
    assert_eq!(changes, Changes::default(), "nobody waits for it");
    assert!(!table.is_free(b"a", B, LockStrength::Exclusive), "what was locked before stays locked");
}
