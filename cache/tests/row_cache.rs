//! The row cache against a model: a map from key to all versions.

#![allow(clippy::unwrap_used)] // A test may fail by a panic.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aquifer_cache::{FillOutcome, RowCache, RowCacheConfig, RowLookup, WriteAdmission};
use aquifer_types::Lsn;
use bytes::Bytes;
use proptest::prelude::*;

fn cache_of(bytes_max: usize, admission: WriteAdmission) -> RowCache {
    let config = RowCacheConfig { admission, ..RowCacheConfig::with_bytes(bytes_max) };
    RowCache::new(config, Lsn(0))
}

fn key_of(number: u64) -> Vec<u8> {
    [&b"\0\0\x04\x01"[..], &number.to_be_bytes()].concat()
}

/// A row's versions, newest last; `None` is a deletion.
type Versions = Vec<(u64, Option<Bytes>)>;

fn newest_at(versions: Option<&Versions>, at: u64) -> (u64, Option<Bytes>) {
    let found = versions.and_then(|all| all.iter().rev().find(|(lsn, _)| *lsn <= at));
    found.cloned().unwrap_or((0, None))
}

#[test]
fn get_after_fill_hits_and_below_its_lsn_says_newer() {
    let cache = cache_of(1 << 20, WriteAdmission::IfPresent);
    assert_eq!(cache.get(b"k", Lsn(10)), RowLookup::Miss);
    assert_eq!(cache.fill(b"k", Lsn(10), Lsn(7), Some(b"seven")), FillOutcome::Filled);
    assert_eq!(cache.get(b"k", Lsn(7)), RowLookup::Hit(Some(Bytes::from_static(b"seven"))));
    assert_eq!(cache.get(b"k", Lsn(6)), RowLookup::Newer);
    assert_eq!(cache.fill(b"k", Lsn(10), Lsn(7), Some(b"seven")), FillOutcome::Present);
}

#[test]
fn apply_of_a_present_row_replaces_it() {
    let cache = cache_of(1 << 20, WriteAdmission::IfPresent);
    cache.fill(b"k", Lsn(10), Lsn(7), Some(b"seven"));
    cache.apply(b"k", Lsn(11), Some(b"eleven"));
    assert_eq!(cache.get(b"k", Lsn(10)), RowLookup::Newer);
    assert_eq!(cache.get(b"k", Lsn(11)), RowLookup::Hit(Some(Bytes::from_static(b"eleven"))));
    cache.apply(b"k", Lsn(12), None);
    assert_eq!(cache.get(b"k", Lsn(12)), RowLookup::Hit(None));
}

#[test]
fn apply_of_an_absent_row_inserts_only_if_told_to() {
    let cache = cache_of(1 << 20, WriteAdmission::IfPresent);
    cache.apply(b"k", Lsn(1), Some(b"v"));
    assert_eq!(cache.get(b"k", Lsn(1)), RowLookup::Miss);
    let cache = cache_of(1 << 20, WriteAdmission::Always);
    cache.apply(b"k", Lsn(1), Some(b"v"));
    assert_eq!(cache.get(b"k", Lsn(1)), RowLookup::Hit(Some(Bytes::from_static(b"v"))));
}

#[test]
fn apply_of_a_row_that_became_too_large_removes_it() {
    let cache = cache_of(1 << 20, WriteAdmission::IfPresent);
    cache.fill(b"k", Lsn(10), Lsn(7), Some(b"seven"));
    cache.apply(b"k", Lsn(11), Some(&vec![0; 1 << 19]));
    assert_eq!(cache.get(b"k", Lsn(11)), RowLookup::Miss);
}

#[test]
fn fill_from_a_snapshot_older_than_an_apply_is_refused() {
    let cache = cache_of(1 << 20, WriteAdmission::IfPresent);
    cache.apply(b"k", Lsn(11), Some(b"eleven"));
    assert_eq!(cache.fill(b"k", Lsn(10), Lsn(7), Some(b"seven")), FillOutcome::Stale);
    assert_eq!(cache.get(b"k", Lsn(20)), RowLookup::Miss);
    assert_eq!(cache.fill(b"k", Lsn(11), Lsn(11), Some(b"eleven")), FillOutcome::Filled);
}

#[test]
fn fill_by_a_locking_read_counts_only_up_to_what_it_found() {
    let cache = cache_of(1 << 20, WriteAdmission::IfPresent);
    cache.apply(b"k", Lsn(11), Some(b"eleven"));
    assert_eq!(cache.fill(b"k", Lsn::MAX, Lsn(7), Some(b"seven")), FillOutcome::Stale);
    assert_eq!(cache.fill(b"k", Lsn::MAX, Lsn(11), Some(b"eleven")), FillOutcome::Filled);
}

#[test]
fn fill_below_the_start_lsn_is_refused() {
    let cache = RowCache::new(RowCacheConfig::with_bytes(1 << 20), Lsn(100));
    assert_eq!(cache.fill(b"k", Lsn(99), Lsn(7), Some(b"v")), FillOutcome::Stale);
    assert_eq!(cache.fill(b"k", Lsn(100), Lsn(7), Some(b"v")), FillOutcome::Filled);
}

#[test]
fn rows_changed_by_an_edit_are_forgotten_and_not_filled_from_before_it() {
    let cache = Arc::new(cache_of(1 << 20, WriteAdmission::IfPresent));
    for n in 0..500 {
        cache.fill(&key_of(n), Lsn(10), Lsn(1), Some(b"v"));
    }
    let held = cache.hold_fills();
    cache.remove_where(|key| key < key_of(250).as_slice());
    assert_eq!(cache.get(&key_of(3), Lsn(30)), RowLookup::Miss);
    assert_eq!(cache.get(&key_of(300), Lsn(30)), RowLookup::Hit(Some(Bytes::from_static(b"v"))));
    assert_eq!(cache.fill(&key_of(3), Lsn(30), Lsn(1), Some(b"v")), FillOutcome::Stale);
    held.release(Lsn(20));
    assert_eq!(cache.fill(&key_of(3), Lsn(19), Lsn(1), Some(b"v")), FillOutcome::Stale);
    assert_eq!(cache.fill(&key_of(3), Lsn(20), Lsn(20), Some(b"w")), FillOutcome::Filled);
}

#[test]
fn change_that_is_given_up_lets_fills_go_on() {
    let cache = Arc::new(cache_of(1 << 20, WriteAdmission::IfPresent));
    drop((cache.hold_fills(), cache.hold_fills()));
    assert_eq!(cache.fill(b"k", Lsn(3), Lsn(1), Some(b"v")), FillOutcome::Filled);
}

#[test]
fn used_rows_survive_a_stream_of_others() {
    let cache = cache_of(1 << 20, WriteAdmission::IfPresent);
    let hot: Vec<Vec<u8>> = (0..200).map(key_of).collect();
    for key in &hot {
        cache.fill(key, Lsn(1), Lsn(1), Some(&[7; 100]));
    }
    let (mut looked, mut missed) = (0u32, 0u32);
    for n in 1000..50_000u64 {
        cache.fill(&key_of(n), Lsn(1), Lsn(1), Some(&[8; 100]));
        if n % 10 == 0 {
            for key in &hot {
                looked += 1;
                if cache.get(key, Lsn(1)) == RowLookup::Miss {
                    missed += 1;
                    cache.fill(key, Lsn(1), Lsn(1), Some(&[7; 100]));
                }
            }
        }
    }
    assert!(missed * 100 < looked, "{missed} of {looked} reads of hot rows missed");
}

#[test]
fn byte_limit_holds_for_any_mix_of_sizes() {
    let cache = cache_of(4 << 20, WriteAdmission::Always);
    let mut state = 1u64;
    for n in 0..100_000u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let length = usize::try_from(state >> 54).unwrap() * if n % 50 == 0 { 20 } else { 1 };
        let value = vec![1u8; length];
        if n % 3 == 0 {
            cache.apply(&key_of(state % 7919), Lsn(n + 1), Some(&value));
        } else {
            cache.fill(&key_of(state % 7919), Lsn(n + 1), Lsn(n + 1), Some(&value));
        }
        assert!(cache.bytes() <= 4 << 20, "{} bytes after {n}", cache.bytes());
    }
    let counters = cache.counters();
    assert!(cache.bytes() > (4 << 20) * 8 / 10, "{counters:?}");
    assert!(counters.evictions > 0 && counters.fills > 0 && counters.updates > 0, "{counters:?}");
}

#[derive(Clone, Debug)]
enum Op {
    Apply { key: u64, value: Option<u8> },
    Read { key: u64, back: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0u64..40, proptest::option::of(any::<u8>())).prop_map(|(key, value)| Op::Apply { key, value }),
        (0u64..40, 0u64..12).prop_map(|(key, back)| Op::Read { key, back }),
    ]
}

proptest! {
    #[test]
    fn reads_agree_with_the_model(ops in proptest::collection::vec(op(), 1..400)) {
        let cache = cache_of(5000, WriteAdmission::IfPresent);
        let mut model: BTreeMap<u64, Versions> = BTreeMap::new();
        let mut visible = 0u64;
        for op in ops {
            match op {
                Op::Apply { key, value } => {
                    visible += 1;
                    let value = value.map(|byte| Bytes::from(vec![byte; 64]));
                    cache.apply(&key_of(key), Lsn(visible), value.as_deref());
                    model.entry(key).or_default().push((visible, value));
                }
                Op::Read { key, back } => {
                    let at = visible.saturating_sub(back);
                    let (lsn, value) = newest_at(model.get(&key), at);
                    match cache.get(&key_of(key), Lsn(at)) {
                        RowLookup::Hit(found) => prop_assert_eq!(found, value),
                        RowLookup::Newer => {
                            prop_assert!(model[&key].iter().any(|(lsn, _)| *lsn > at));
                        }
                        RowLookup::Miss => {
                            cache.fill(&key_of(key), Lsn(at), Lsn(lsn), value.as_deref());
                        }
                    }
                }
            }
            prop_assert!(cache.bytes() <= 5000);
        }
    }
}

/// Storage as readers see it, and the visible LSN.
struct World {
    cache: RowCache,
    storage: Vec<Mutex<Versions>>,
    visible: AtomicU64,
    stop: AtomicBool,
    hits: AtomicU64,
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

impl World {
    /// Applies the LSNs of one home (`lsn % homes == home`), to keys of that home, in LSN order.
    fn run_home(&self, home: u64, homes: u64, last: u64) {
        let mut rng = Rng(0x1234_5678 + home);
        let keys = u64::try_from(self.storage.len()).unwrap() / homes;
        for lsn in (1..=last).filter(|lsn| lsn % homes == home) {
            let key = rng.below(keys) * homes + home;
            let value = (rng.below(8) != 0).then(|| Bytes::from(vec![u8::try_from(lsn % 251).unwrap(); 48]));
            let stored = (lsn, value.clone());
            let versions = &self.storage[usize::try_from(key).unwrap()];
            if rng.below(2) == 0 {
                versions.lock().unwrap().push(stored);
                self.cache.apply(&key_of(key), Lsn(lsn), value.as_deref());
            } else {
                self.cache.apply(&key_of(key), Lsn(lsn), value.as_deref());
                versions.lock().unwrap().push(stored);
            }
            while self.visible.load(Ordering::Acquire) != lsn - 1 {
                std::thread::yield_now();
            }
            self.visible.store(lsn, Ordering::Release);
        }
    }

    fn run_reader(&self, seed: u64) {
        let mut rng = Rng(seed);
        while !self.stop.load(Ordering::Relaxed) {
            let key = rng.below(u64::try_from(self.storage.len()).unwrap());
            let back = if rng.below(4) == 0 { rng.below(30) } else { 0 };
            let at = self.visible.load(Ordering::Acquire).saturating_sub(back);
            let looked = self.cache.get(&key_of(key), Lsn(at));
            let versions = self.storage[usize::try_from(key).unwrap()].lock().unwrap();
            let (lsn, value) = newest_at(Some(&versions), at);
            let newest = versions.last().map_or(0, |(lsn, _)| *lsn);
            drop(versions);
            match looked {
                RowLookup::Hit(found) => {
                    assert_eq!(found, value, "stale row {key} at {at}, should be version {lsn}");
                    self.hits.fetch_add(1, Ordering::Relaxed);
                }
                // The home may be between its apply here and its insert there.
                RowLookup::Newer => assert!(newest > at || self.visible.load(Ordering::Acquire) <= at + 64),
                RowLookup::Miss => {
                    if rng.below(8) == 0 {
                        std::thread::yield_now();
                    }
                    self.cache.fill(&key_of(key), Lsn(at), Lsn(lsn), value.as_deref());
                }
            }
        }
    }
}

#[test]
fn concurrent_readers_never_see_a_stale_row() {
    for (bytes_max, admission) in [
        (6_000, WriteAdmission::IfPresent),
        (6_000, WriteAdmission::Always),
        (1 << 20, WriteAdmission::IfPresent),
    ] {
        let world = Arc::new(World {
            cache: cache_of(bytes_max, admission),
            storage: (0..64).map(|_| Mutex::default()).collect(),
            visible: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            hits: AtomicU64::new(0),
        });
        let readers: Vec<_> = (1..=4)
            .map(|seed| {
                let world = world.clone();
                std::thread::spawn(move || world.run_reader(seed * 7919))
            })
            .collect();
        let homes: Vec<_> = (0..2)
            .map(|home| {
                let world = world.clone();
                std::thread::spawn(move || world.run_home(home, 2, 6000))
            })
            .collect();
        homes.into_iter().for_each(|h| h.join().unwrap());
        let until = Instant::now() + Duration::from_millis(50);
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        world.stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|r| r.join().unwrap());
        let counters = world.cache.counters();
        assert!(world.hits.load(Ordering::Relaxed) > 1000, "hardly any hit: {counters:?}");
        let crowded = bytes_max < 10_000;
        assert!(!crowded || (counters.fills_stale > 0 && counters.evictions > 0), "{counters:?}");
        assert!(world.cache.bytes() <= bytes_max);
    }
}
