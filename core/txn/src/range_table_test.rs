use std::ops::Range;

use aquifer_types::TxnId;
use bytes::Bytes;

use crate::range_table::{HeldRanges, RangeTable};

const A: TxnId = TxnId(1);
const B: TxnId = TxnId(2);
const C: TxnId = TxnId(3);

fn range(start: &'static str, end: &'static str) -> Range<Bytes> {
    Bytes::from_static(start.as_bytes())..Bytes::from_static(end.as_bytes())
}

#[test]
fn range_keeps_others_out_and_not_its_owner() {
    let mut table = RangeTable::default();
    assert!(table.is_empty());
    assert!(table.arrive(A, range("b", "d"), vec![]));
    assert_eq!(table.conflicts(B, b"b"), [A]);
    assert_eq!(table.conflicts(B, b"czz"), [A]);
    assert!(table.conflicts(B, b"d").is_empty(), "the end is not in it");
    assert!(table.conflicts(B, b"a").is_empty());
    assert!(table.conflicts(A, b"c").is_empty());
    table.release(A);
    assert!(table.is_empty());
}

#[test]
fn range_that_arrives_late_waits_for_writers_and_keeps_new_ones_out() {
    let mut table = RangeTable::default();
    assert!(!table.arrive(A, range("b", "d"), vec![B]));
    assert!(table.conflicts(B, b"c").is_empty(), "who was there first goes on");
    assert_eq!(table.conflicts(C, b"c"), [A]);
    assert!(table.ended(C).is_empty());
    assert_eq!(table.ended(B), [A]);
    assert_eq!(table.conflicts(B, b"c"), [A]);
}

#[test]
fn cancelled_range_leaves_what_was_granted_before() {
    let mut table = RangeTable::default();
    table.arrive(A, range("b", "d"), vec![]);
    table.arrive(A, range("x", "z"), vec![B]);
    table.cancel(A);
    assert!(table.conflicts(C, b"y").is_empty());
    assert_eq!(table.conflicts(C, b"c"), [A]);
    assert!(table.ended(B).is_empty());
}

#[test]
fn ranges_of_one_owner_are_joined() {
    let mut table = RangeTable::default();
    table.arrive(A, range("b", "d"), vec![]);
    table.arrive(A, range("f", "h"), vec![]);
    table.arrive(A, range("c", "g"), vec![]);
    assert_eq!(table.granted().count(), 1);
    for key in ["b", "d", "e", "gz"] {
        assert_eq!(table.conflicts(B, key.as_bytes()), [A], "{key}");
    }
    assert!(table.conflicts(B, b"h").is_empty());
}

#[test]
fn held_ranges_contain_their_parts() {
    let mut held = HeldRanges::default();
    assert!(!held.contains(&range("a", "b")));
    held.add(range("a", "c"));
    held.add(range("c", "e"));
    assert!(held.contains(&range("b", "d")));
    assert!(!held.contains(&range("d", "f")));
    assert!(!held.contains(&range("f", "g")));
}
