//! A scan with a transaction's own writes on top of storage, against a map.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use aquifer_lsm::{Cursor, Direction, Manifest, Memtable, NoBlocks, ReadState, Step};
use aquifer_types::Lsn;
use bytes::Bytes;
use proptest::prelude::*;

type Entries = Vec<(u8, u64, Option<u8>)>;

fn key(number: u8) -> Bytes {
    Bytes::copy_from_slice(&[number])
}

fn state_of(entries: &Entries, above: u64) -> Arc<ReadState> {
    let memtable = Memtable::new();
    for (number, lsn, value) in entries {
        let value = value.map(|value| vec![value]);
        memtable.insert(&key(*number), Lsn(above + lsn), value.as_deref()).unwrap();
    }
    Arc::new(ReadState::new(Arc::new(memtable), Vec::new(), Arc::new(Manifest::new())))
}

fn entries() -> impl Strategy<Value = Entries> {
    prop::collection::btree_map((0u8..16, 1u64..20), prop::option::of(any::<u8>()), 0..40)
        .prop_map(|map| map.into_iter().map(|((key, lsn), value)| (key, lsn, value)).collect())
}

fn newest(entries: &Entries, upto: u64) -> BTreeMap<u8, Option<u8>> {
    let mut visible: Vec<_> = entries.iter().filter(|(_, lsn, _)| *lsn <= upto).collect();
    visible.sort_by_key(|(_, lsn, _)| *lsn);
    visible.into_iter().map(|(key, _, value)| (*key, *value)).collect()
}

proptest! {
    #[test]
    fn own_writes_hide_what_is_stored(own in entries(), stored in entries(), at in 0u64..20, start in 0u8..16) {
        let mut expected = newest(&stored, at);
        expected.extend(newest(&own, u64::MAX));
        let mut expected: Vec<_> = expected
            .into_iter()
            .filter_map(|(number, value)| Some((key(number), Bytes::copy_from_slice(&[value?]))))
            .filter(|(key, _)| key[0] >= start)
            .collect();
        let (own, stored) = (state_of(&own, 1 << 40), state_of(&stored, 0));
        for direction in [Direction::Forward, Direction::Backward] {
            let mut cursor = Cursor::with_own(&own, &stored, key(start)..key(16), direction, Lsn(at));
            let mut found = Vec::new();
            loop {
                let before = found.len();
                prop_assert!(matches!(cursor.next_batch(&NoBlocks, &mut found, 3), Step::Done(())));
                if found.len() == before {
                    break;
                }
            }
            prop_assert_eq!(&found, &expected);
            expected.reverse();
        }
    }
}
