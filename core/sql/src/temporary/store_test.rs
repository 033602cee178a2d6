//! Tests of the maps, their undoing and their limits.

use std::sync::Arc;

use aquifer_types::{IndexId, TableId};
use bytes::Bytes;

use super::{TemporaryMemory, TemporaryTables};
use crate::txn::Direction;

fn key(index: IndexId, rest: &[u8]) -> Bytes {
    [&index.0.to_be_bytes()[..], rest].concat().into()
}

fn all(tables: &TemporaryTables, index: IndexId, direction: Direction) -> Vec<(Bytes, Bytes)> {
    let mut range = key(index, &[])..key(index, &[0xFF; 4]);
    let mut out = Vec::new();
    loop {
        let before = out.len();
        tables.next_batch(&mut range, direction, 1, &mut out);
        if out.len() == before {
            return out;
        }
    }
}

#[test]
fn undo_gives_back_rows_and_memory() {
    let memory = TemporaryMemory::new(1 << 20);
    let tables = TemporaryTables::new(Arc::clone(&memory));
    let index = tables.allocate_index_id("t").expect("an id");
    let (a, b) = (key(index, b"a"), key(index, b"b"));
    tables.set(a.clone(), Some(Bytes::from_static(b"1"))).expect("room");
    let point = tables.point();
    tables.set(a.clone(), Some(Bytes::from_static(b"22"))).expect("room");
    tables.set(b.clone(), Some(Bytes::from_static(b"3"))).expect("room");
    tables.set(a.clone(), None).expect("room");
    assert_eq!(all(&tables, index, Direction::Forward), [(b, Bytes::from_static(b"3"))]);
    tables.undo_to(point);
    assert_eq!(all(&tables, index, Direction::Backward), [(a, Bytes::from_static(b"1"))]);
    tables.undo_to(0);
    assert!(all(&tables, index, Direction::Forward).is_empty());
    assert_eq!(memory.used(), 0, "nothing is kept, so no memory is");
}

#[test]
fn set_beyond_the_memory_says_that_the_table_is_full() {
    let memory = TemporaryMemory::new(512 << 10);
    let tables = TemporaryTables::new(Arc::clone(&memory));
    let index = tables.allocate_index_id("t").expect("an id");
    let value = Bytes::from(vec![0; 100 << 10]);
    let mut error = None;
    for number in 0..100_u8 {
        if let Err(refused) = tables.set(key(index, &[number]), Some(value.clone())) {
            error = Some(refused);
            break;
        }
    }
    let error = error.expect("the memory ends");
    assert_eq!((error.code(), error.message()), (1114, "The table 't' is full"));
    assert!(memory.used() <= 512 << 10);
    drop(tables);
    assert_eq!(memory.used(), 0);
}

#[test]
fn counters_go_on_after_what_was_given() {
    let tables = TemporaryTables::new(TemporaryMemory::new(1 << 20));
    let table = TableId(1);
    assert_eq!(tables.reserve(table, 3, 1), Ok(1));
    tables.observe(table, 10);
    assert_eq!(tables.reserve(table, 1, 1), Ok(11));
    assert_eq!(tables.reserve(table, 1, 100), Ok(100));
    assert!(tables.reserve(table, u64::MAX, 1).is_err());
    assert_eq!(tables.next_value(table), Some(101));
}
