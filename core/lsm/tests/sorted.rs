//! Entries sorted in an array become the same tables, byte for byte, as entries put into a memtable.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use aquifer_lsm::{BuildError, Memtable, NoBlocks, Repeats, Retention, Rewrite, RewriteOptions, SortBuffer};
use aquifer_types::{Lsn, SstId};
use common::{Caching, Objects, run_rewrite};
use proptest::prelude::*;

fn options() -> RewriteOptions {
    let mut next = 0;
    let ids = move || {
        next += 1;
        SstId(next)
    };
    RewriteOptions { object_bytes_target: 4_096, ..RewriteOptions::flush(Box::new(ids), 7, 0) }
}

fn objects(rewrite: Rewrite) -> Vec<bytes::Bytes> {
    let objects = Objects::new(Caching::Everything);
    run_rewrite(rewrite, &objects).iter().map(|info| objects.object(info.id)).collect()
}

/// Keys that often begin alike, end in zeros or are a beginning of each other.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![proptest::collection::vec(0..3_u8, 1..24), proptest::collection::vec(any::<u8>(), 1..40),]
}

proptest! {
    #[test]
    fn sorted_entries_give_the_tables_of_a_memtable(
        entries in proptest::collection::vec((key(), proptest::collection::vec(any::<u8>(), 0..60)), 1..300),
    ) {
        let (mut buffer, memtable) = (SortBuffer::default(), Arc::new(Memtable::new()));
        let unique: BTreeMap<_, _> = entries.iter().cloned().collect();
        let mut added: Vec<&Vec<u8>> = Vec::new();
        for (key, _) in &entries {
            if !added.contains(&key) {
                added.push(key);
                buffer.add(key, &unique[key]);
                memtable.insert(key, Lsn(9), Some(&unique[key])).unwrap();
            }
        }
        prop_assert!(!buffer.is_empty());
        let sorted = objects(Rewrite::sorted(buffer.sort(Lsn(9)), options()));
        prop_assert_eq!(sorted, objects(Rewrite::flush(&[memtable], Retention::everything(), options())));
    }
}

#[test]
fn a_key_that_comes_twice_is_told_with_a_value() {
    let mut buffer = SortBuffer::default();
    for key in [b"c", b"a", b"b", b"a"] {
        buffer.add(key, key);
    }
    let repeats = Repeats::default();
    let options = RewriteOptions { repeats: Some(Arc::clone(&repeats)), ..options() };
    let mut rewrite = Rewrite::sorted(buffer.sort(Lsn(9)), options);
    assert!(matches!(rewrite.step(&NoBlocks, 100), Err(BuildError::Repeated)));
    assert_eq!(repeats.get(), Some(&(b"a".to_vec(), b"a".to_vec())));
}
