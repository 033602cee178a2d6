//! The memtable against a `BTreeMap`, alone and with many threads.
#![allow(clippy::unwrap_used)]

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use aquifer_lsm::Memtable;
use aquifer_types::Lsn;
use proptest::prelude::*;

type Model = BTreeMap<(Vec<u8>, Reverse<u64>), Option<Vec<u8>>>;

fn collect_forward(memtable: &Arc<Memtable>) -> Vec<(Vec<u8>, u64, Option<Vec<u8>>)> {
    let mut cursor = memtable.cursor();
    cursor.seek_first();
    let mut all = Vec::new();
    while let Some(entry) = cursor.entry() {
        all.push((entry.key.to_vec(), entry.lsn.0, entry.value.map(<[u8]>::to_vec)));
        cursor.next();
    }
    all
}

fn collect_backward(memtable: &Arc<Memtable>) -> Vec<(Vec<u8>, u64, Option<Vec<u8>>)> {
    let mut cursor = memtable.cursor();
    cursor.seek_last();
    let mut all = Vec::new();
    while let Some(entry) = cursor.entry() {
        all.push((entry.key.to_vec(), entry.lsn.0, entry.value.map(<[u8]>::to_vec)));
        cursor.previous();
    }
    all.reverse();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memtable_equals_model(
        writes in prop::collection::vec(
            (prop::collection::vec(0u8..4, 0..4), 1u64..50, prop::option::of(prop::collection::vec(any::<u8>(), 0..9))),
            0..200,
        ),
        probes in prop::collection::vec((prop::collection::vec(0u8..4, 0..4), 0u64..60), 20),
    ) {
        let memtable = Arc::new(Memtable::new());
        let mut model = Model::new();
        for (key, lsn, value) in writes {
            let is_new = memtable.insert(&key, Lsn(lsn), value.as_deref()).unwrap();
            let slot = (key, Reverse(lsn));
            prop_assert_eq!(is_new, !model.contains_key(&slot));
            model.entry(slot).or_insert(value);
        }
        let expected: Vec<_> =
            model.iter().map(|((key, lsn), value)| (key.clone(), lsn.0, value.clone())).collect();
        prop_assert_eq!(collect_forward(&memtable), expected.clone());
        prop_assert_eq!(collect_backward(&memtable), expected);
        prop_assert_eq!(memtable.len(), model.len());
        for (key, lsn) in probes {
            let expected = model
                .range((key.clone(), Reverse(lsn))..=(key.clone(), Reverse(0)))
                .next()
                .map(|((_, lsn), value)| (lsn.0, value.clone()));
            let found = memtable.get(&key, Lsn(lsn)).map(|entry| (entry.lsn.0, entry.value.map(<[u8]>::to_vec)));
            prop_assert_eq!(found, expected);
            let mut cursor = memtable.cursor();
            cursor.seek(&key, Lsn(lsn));
            let expected = model.range((key.clone(), Reverse(lsn))..).next().map(|(slot, _)| slot.clone());
            prop_assert_eq!(cursor.entry().map(|entry| (entry.key.to_vec(), Reverse(entry.lsn.0))), expected);
            cursor.seek_before(&key, Lsn(lsn));
            let expected = model.range(..(key, Reverse(lsn))).next_back().map(|(slot, _)| slot.clone());
            prop_assert_eq!(cursor.entry().map(|entry| (entry.key.to_vec(), Reverse(entry.lsn.0))), expected);
        }
    }
}

/// A stream of numbers that a seed decides.
fn scramble(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn check_ordered(memtable: &Arc<Memtable>, at_least: usize) {
    let seen = collect_forward(memtable);
    assert!(seen.len() >= at_least, "{} entries, {at_least} were inserted before", seen.len());
    let ordered =
        seen.windows(2).all(|pair| (&pair[0].0, Reverse(pair[0].1)) < (&pair[1].0, Reverse(pair[1].1)));
    assert!(ordered, "entries out of order");
    for (key, lsn, value) in seen {
        let expected = format!("{lsn}:{}", String::from_utf8_lossy(&key));
        assert!(value.is_none_or(|value| value == expected.as_bytes()), "a value is not its key's");
    }
}

#[test]
fn insert_from_many_threads_equals_model() {
    const WRITERS: u64 = 4;
    const WRITES: u64 = 20_000;
    let memtable = Arc::new(Memtable::new());
    let inserted = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let write = |writer: u64| {
        let (memtable, inserted) = (Arc::clone(&memtable), Arc::clone(&inserted));
        move || {
            let mut seed = 0x1234_5678_9ABC_DEF1 + writer;
            let mut model = Model::new();
            for step in 0..WRITES {
                let key = format!("{:05}", scramble(&mut seed) % 5_000);
                let lsn = 1 + step * WRITERS + writer;
                let value =
                    (!scramble(&mut seed).is_multiple_of(8)).then(|| format!("{lsn}:{key}").into_bytes());
                assert!(memtable.insert(key.as_bytes(), Lsn(lsn), value.as_deref()).unwrap());
                inserted.fetch_add(1, Ordering::Release);
                let found = memtable.get(key.as_bytes(), Lsn(lsn)).unwrap();
                assert_eq!((found.lsn, found.value), (Lsn(lsn), value.as_deref()), "own write not read");
                model.insert((key.into_bytes(), Reverse(lsn)), value);
            }
            model
        }
    };
    let read = || {
        let (memtable, inserted, is_over) =
            (Arc::clone(&memtable), Arc::clone(&inserted), Arc::clone(&is_over));
        move || {
            while !is_over.load(Ordering::Acquire) {
                let before = usize::try_from(inserted.load(Ordering::Acquire)).unwrap();
                check_ordered(&memtable, before);
                assert!(collect_backward(&memtable).len() >= before);
            }
        }
    };
    let readers: Vec<_> = (0..2).map(|_| thread::spawn(read())).collect();
    let writers: Vec<_> = (0..WRITERS).map(|writer| thread::spawn(write(writer))).collect();
    let mut model = Model::new();
    for writer in writers {
        model.extend(writer.join().unwrap());
    }
    is_over.store(true, Ordering::Release);
    for reader in readers {
        reader.join().unwrap();
    }
    let expected: Vec<_> = model.into_iter().map(|((key, lsn), value)| (key, lsn.0, value)).collect();
    assert_eq!(collect_forward(&memtable), expected);
    assert_eq!(collect_backward(&memtable), expected);
    assert_eq!(memtable.len(), expected.len());
    assert_eq!((memtable.min_lsn(), memtable.max_lsn()), (Lsn(1), Lsn(WRITES * WRITERS)));
}

#[test]
fn insert_of_one_entry_by_many_threads_happens_once() {
    for round in 0..200u64 {
        let memtable = Arc::new(Memtable::new());
        let threads: Vec<_> = (0..4u8)
            .map(|thread| {
                let memtable = Arc::clone(&memtable);
                thread::spawn(move || memtable.insert(b"key", Lsn(round + 1), Some(&[thread])).unwrap())
            })
            .collect();
        let wins = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(wins.filter(|is_new| *is_new).count(), 1);
        assert_eq!(collect_forward(&memtable).len(), 1);
    }
}

#[test]
fn insert_of_large_values_is_counted() {
    let memtable = Arc::new(Memtable::new());
    for (lsn, bytes) in [(1u64, 10usize), (2, 300_000), (3, 3 << 20), (4, 0)] {
        assert!(memtable.insert(b"blob", Lsn(lsn), Some(&vec![7; bytes])).unwrap());
        assert_eq!(memtable.get(b"blob", Lsn(lsn)).unwrap().value.unwrap().len(), bytes);
    }
    assert!(memtable.approximate_bytes() > (3 << 20) + 300_000);
    assert!(memtable.insert(&vec![0; 70_000], Lsn(5), None).is_err());
    assert!(memtable.insert(b"k", Lsn(1 << 56), None).is_err());
    assert_eq!(memtable.len(), 4);
}

#[test]
fn count_between_is_exact_for_few_and_near_for_many() {
    let memtable = Memtable::new();
    for number in 0_u32..40_000 {
        memtable.insert(&number.to_be_bytes(), Lsn(1), Some(b"value")).unwrap();
    }
    let count = |start: u32, end: u32| memtable.count_between(&start.to_be_bytes(), &end.to_be_bytes());
    assert_eq!(count(7, 7), 0);
    assert_eq!(count(100, 150), 50);
    assert_eq!(count(39_990, 90_000), 10);
    for (start, end) in [(0, 40_000), (5_000, 25_000), (0, 1_000)] {
        let (found, real) = (count(start, end), (end - start) as usize);
        assert!(found * 4 > real * 3 && found * 3 < real * 4, "{found} of {real}");
    }
}

#[test]
fn any_of_many_versions_is_found() {
    const VERSIONS: u64 = 20_000;
    let memtable = Arc::new(Memtable::new());
    for version in 1..=VERSIONS {
        assert!(memtable.insert(b"hot", Lsn(2 * version), Some(&version.to_le_bytes())).unwrap());
    }
    let mut seed = 7;
    for _ in 0..VERSIONS {
        let lsn = scramble(&mut seed) % (2 * VERSIONS + 10);
        let version = (lsn / 2).min(VERSIONS);
        let found = memtable.get(b"hot", Lsn(lsn)).map(|entry| (entry.lsn.0, entry.value.unwrap().to_vec()));
        assert_eq!(found, (version > 0).then(|| (2 * version, version.to_le_bytes().to_vec())));
    }
    assert_eq!(memtable.count_between(b"a", b"z"), 1);
}
