use aquifer_types::TxnId;
use bytes::Bytes;

use crate::lock_table::{Acquired, Changes, Grant, LockStrength, LockTable};

const A: TxnId = TxnId(1);
const B: TxnId = TxnId(2);
const C: TxnId = TxnId(3);
const D: TxnId = TxnId(4);

fn key() -> Bytes {
    Bytes::from_static(b"k")
}

fn granted(txn: TxnId) -> Grant {
    Grant { txn, key: key() }
}

#[test]
fn exclusive_lock_is_granted_in_order_of_request() {
    let mut table = LockTable::default();
    assert_eq!(table.acquire(&key(), A, LockStrength::Exclusive), Acquired::Granted);
    assert_eq!(table.acquire(&key(), B, LockStrength::Exclusive), Acquired::Queued(vec![A]));
    assert_eq!(table.acquire(&key(), C, LockStrength::Exclusive), Acquired::Queued(vec![B]));
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
    assert_eq!(table.acquire(&key(), C, LockStrength::Exclusive), Acquired::Queued(vec![A, B]));
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
    assert_eq!(table.acquire(&key(), C, LockStrength::Shared), Acquired::Queued(vec![B]));
}

#[test]
fn strengthening_waits_for_other_holders_only() {
    let mut table = LockTable::default();
    table.acquire(&key(), A, LockStrength::Shared);
    table.acquire(&key(), B, LockStrength::Shared);
    table.acquire(&key(), C, LockStrength::Exclusive);
    assert_eq!(table.acquire(&key(), A, LockStrength::Exclusive), Acquired::Queued(vec![B]));
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
    assert_eq!(table.acquire(&key(), C, LockStrength::Exclusive), Acquired::Queued(vec![B]));
    assert_eq!(table.acquire(&key(), D, LockStrength::Exclusive), Acquired::Queued(vec![C]));
    let mut changes = Changes::default();
    table.cancel(&key(), B, &mut changes);
    assert_eq!(changes, Changes { grants: Vec::new(), rewired: vec![(C, vec![A])] });
    let mut changes = Changes::default();
    table.release(&key(), C, &mut changes);
    assert_eq!(changes, Changes { grants: Vec::new(), rewired: vec![(D, vec![A])] });
    let mut changes = Changes::default();
    table.release(&key(), A, &mut changes);
    assert_eq!(changes, Changes { grants: vec![granted(D)], rewired: Vec::new() });
}
