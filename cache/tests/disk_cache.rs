//! The disk cache: restart, damage, full and failing devices.

#![allow(clippy::unwrap_used)] // A test may fail by a panic.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aquifer_cache::{BlockKey, DiskCache, DiskCacheConfig, DiskState, IoEngine};
use aquifer_objstore::block_on;
use aquifer_types::SstId;
use bytes::Bytes;

const SEGMENT: u64 = 1 << 20;

type Warnings = Arc<Mutex<Vec<String>>>;

fn config_of(path: &Path, segments: u64, engine: IoEngine) -> (DiskCacheConfig, Warnings) {
    let warnings = Warnings::default();
    let sink = warnings.clone();
    let config = DiskCacheConfig {
        segment_bytes: SEGMENT,
        engine,
        warn: Arc::new(move |text| sink.lock().unwrap().push(text.to_owned())),
        ..DiskCacheConfig::new(path, 4096 + segments * SEGMENT)
    };
    (config, warnings)
}

fn key_of(number: u64) -> BlockKey {
    BlockKey { sst: SstId(u128::from(number) << 64 | 77), offset: number * 4096 }
}

/// Bytes that depend on the number; lengths from 1 to 20,000, one in a hundred larger than 300,000.
fn block_of(number: u64) -> Bytes {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let length = if number % 100 == 99 { 300_000 } else { 1 + state % 20_000 };
    let bytes = (0..length).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    bytes.collect()
}

fn path_in(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("blocks")
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn get(cache: &DiskCache, number: u64) -> Option<Bytes> {
    block_on(cache.get(key_of(number)))
}

fn offer_and_flush(cache: &DiskCache, numbers: std::ops::Range<u64>) {
    for number in numbers {
        cache.offer(key_of(number), block_of(number));
        if number % 50 == 0 {
            cache.flush();
        }
    }
    cache.flush();
}

/// How many of these the cache has; all that it has must be right.
fn count_sound(cache: &DiskCache, numbers: std::ops::Range<u64>) -> usize {
    numbers.filter(|n| get(cache, *n).is_some_and(|found| found == block_of(*n))).count()
}

#[test]
fn offered_blocks_are_read_back_with_both_engines() {
    for engine in [IoEngine::Auto, IoEngine::Pread] {
        let directory = scratch();
        let (config, warnings) = config_of(&path_in(&directory), 16, engine);
        let cache = DiskCache::open(config);
        offer_and_flush(&cache, 0..200);
        assert_eq!(count_sound(&cache, 0..200), 200, "{engine:?}");
        assert_eq!(get(&cache, 1000), None);
        let counters = cache.counters();
        assert_eq!((counters.writes, counters.hits, counters.misses, counters.blocks), (200, 200, 1, 200));
        assert_eq!(counters.bytes, (0..200).map(|n| u64::try_from(block_of(n).len()).unwrap()).sum::<u64>());
        assert_eq!(cache.state(), DiskState::On);
        assert!(warnings.lock().unwrap().is_empty());
    }
}

#[test]
fn many_threads_read_what_is_being_replaced_and_see_it_whole_or_not_at_all() {
    let directory = scratch();
    let cache = Arc::new(DiskCache::open(config_of(&path_in(&directory), 4, IoEngine::Auto).0));
    offer_and_flush(&cache, 0..200);
    let readers: Vec<_> = (0..4u64)
        .map(|seed| {
            let cache = cache.clone();
            std::thread::spawn(move || {
                for step in 0..3000u64 {
                    let number = (step * 7919 + seed * 13) % 1500;
                    if let Some(found) = get(&cache, number) {
                        assert!(found == block_of(number), "wrong bytes for block {number}");
                    }
                }
            })
        })
        .collect();
    offer_and_flush(&cache, 200..1500);
    readers.into_iter().for_each(|r| r.join().unwrap());
    let counters = cache.counters();
    assert_eq!((counters.corrupt, counters.io_errors), (0, 0), "{counters:?}");
    assert!(counters.evictions > 0);
}

#[test]
fn file_keeps_its_size_and_the_newest_blocks() {
    let directory = scratch();
    let path = path_in(&directory);
    let cache = DiskCache::open(config_of(&path, 4, IoEngine::Auto).0);
    offer_and_flush(&cache, 0..1500);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 4096 + 4 * SEGMENT);
    assert!(cache.counters().bytes <= 4 * SEGMENT);
    assert_eq!(count_sound(&cache, 1420..1500), 80);
    assert_eq!(count_sound(&cache, 0..500), 0);
}

#[test]
fn blocks_in_use_survive_the_reuse_of_their_segment() {
    let directory = scratch();
    let cache = DiskCache::open(config_of(&path_in(&directory), 6, IoEngine::Auto).0);
    offer_and_flush(&cache, 0..20);
    for number in 100..1500 {
        cache.offer(key_of(number), block_of(number));
        if number % 10 == 0 {
            cache.flush();
            count_sound(&cache, 0..20);
        }
    }
    cache.flush();
    assert_eq!(count_sound(&cache, 0..20), 20);
}

#[test]
fn blocks_survive_a_process_that_just_stops() {
    let directory = scratch();
    let path = path_in(&directory);
    let mut written = 0;
    for round in 0..4u64 {
        let cache = DiskCache::open(config_of(&path, 16, IoEngine::Auto).0);
        cache.flush();
        assert_eq!(cache.counters().recovered, written, "round {round}");
        assert_eq!(count_sound(&cache, 0..round * 100), usize::try_from(round * 100).unwrap());
        offer_and_flush(&cache, round * 100..(round + 1) * 100);
        // Not written, and never asked for: dropped with the process.
        cache.offer(key_of(9000 + round), block_of(1));
        written = cache.counters().blocks;
    }
}

#[test]
fn recovery_after_reuse_finds_only_live_blocks() {
    let directory = scratch();
    let path = path_in(&directory);
    let cache = DiskCache::open(config_of(&path, 4, IoEngine::Auto).0);
    offer_and_flush(&cache, 0..1333);
    let held: HashMap<u64, bool> = (0..1333).map(|n| (n, cache.contains(key_of(n)))).collect();
    drop(cache);
    let cache = DiskCache::open(config_of(&path, 4, IoEngine::Auto).0);
    cache.flush();
    for (number, was_held) in held {
        assert_eq!(cache.contains(key_of(number)), was_held, "block {number}");
        assert_eq!(get(&cache, number).is_some_and(|b| b == block_of(number)), was_held);
    }
}

#[test]
fn flipped_bits_are_detected_and_heal_by_a_new_offer() {
    let directory = scratch();
    let path = path_in(&directory);
    let cache = DiskCache::open(config_of(&path, 8, IoEngine::Auto).0);
    offer_and_flush(&cache, 0..200);
    drop(cache);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut page = [0u8; 1];
    for position in (4096..SEGMENT * 3).step_by(10_007) {
        file.read_exact_at(&mut page, position).unwrap();
        page[0] ^= 0x10;
        file.write_all_at(&page, position).unwrap();
    }
    file.sync_all().unwrap();
    drop(file);
    let cache = DiskCache::open(config_of(&path, 8, IoEngine::Auto).0);
    cache.flush();
    let (mut sound, mut lost) = (0, Vec::new());
    for number in 0..200 {
        match get(&cache, number) {
            Some(found) => {
                assert!(found == block_of(number), "wrong bytes for block {number}");
                sound += 1;
            }
            None => lost.push(number),
        }
    }
    assert!(!lost.is_empty(), "no flip was noticed");
    assert!(cache.counters().corrupt > 0 && sound > 0, "{:?}", cache.counters());
    for number in &lost {
        assert!(!cache.contains(key_of(*number)));
        cache.offer(key_of(*number), block_of(*number));
    }
    cache.flush();
    assert_eq!(count_sound(&cache, 0..200), 200);
    assert_eq!(cache.state(), DiskState::On);
}

#[test]
fn file_of_other_bytes_or_another_size_is_made_anew() {
    let directory = scratch();
    let path = path_in(&directory);
    std::fs::write(&path, vec![0xa5; 3_000_000]).unwrap();
    let cache = DiskCache::open(config_of(&path, 4, IoEngine::Auto).0);
    offer_and_flush(&cache, 0..50);
    assert_eq!(count_sound(&cache, 0..50), 50);
    drop(cache);
    let cache = DiskCache::open(config_of(&path, 5, IoEngine::Auto).0);
    cache.flush();
    assert_eq!(cache.counters().recovered, 0);
    offer_and_flush(&cache, 0..50);
    assert_eq!(count_sound(&cache, 0..50), 50);
}

#[test]
fn file_in_use_by_another_turns_the_second_off() {
    let directory = scratch();
    let first = DiskCache::open(config_of(&path_in(&directory), 4, IoEngine::Auto).0);
    let (config, warnings) = config_of(&path_in(&directory), 4, IoEngine::Auto);
    let second = DiskCache::open(config);
    assert!(matches!(second.state(), DiskState::Off(_)));
    assert_eq!(warnings.lock().unwrap().len(), 1);
    offer_and_flush(&first, 0..10);
    assert_eq!(count_sound(&first, 0..10), 10);
}

#[test]
fn device_without_space_turns_it_off_with_one_warning() {
    // More than any device of the tests has: refused before anything is reserved.
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { scratch() };
    let (config, warnings) = config_of(&path_in(&directory), 1 << 24, IoEngine::Auto);
    let cache = DiskCache::open(config);
    assert!(matches!(cache.state(), DiskState::Off(_)), "{:?}", cache.state());
    cache.offer(key_of(1), block_of(1));
    cache.flush();
    assert_eq!(get(&cache, 1), None);
    assert_eq!(warnings.lock().unwrap().len(), 1, "{warnings:?}");
    let left = std::fs::metadata(path_in(&directory)).map_or(0, |m| m.len());
    assert_eq!(left, 0, "space stays reserved");
}

#[test]
fn file_cut_short_under_it_turns_it_off_with_one_warning() {
    for engine in [IoEngine::Auto, IoEngine::Pread] {
        let directory = scratch();
        let path = path_in(&directory);
        let (config, warnings) = config_of(&path, 4, engine);
        let cache = DiskCache::open(config);
        offer_and_flush(&cache, 0..50);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(8192).unwrap();
        assert_eq!(count_sound(&cache, 1..50), 0, "{engine:?}");
        assert!(matches!(cache.state(), DiskState::Off(_)), "{engine:?}");
        assert_eq!(warnings.lock().unwrap().len(), 1, "{warnings:?}");
        assert_eq!(cache.counters().blocks, 0);
    }
}

#[test]
fn special_file_or_missing_directory_turns_it_off() {
    for path in ["/dev/full", "/nonexistent/blocks"] {
        let (config, warnings) = config_of(Path::new(path), 4, IoEngine::Auto);
        let cache = DiskCache::open(config);
        assert!(matches!(cache.state(), DiskState::Off(_)), "{path}");
        assert_eq!(warnings.lock().unwrap().len(), 1);
        assert_eq!(get(&cache, 1), None);
    }
}

#[test]
fn offers_beyond_the_queue_are_dropped_and_counted() {
    let directory = scratch();
    let (config, _) = config_of(&path_in(&directory), 16, IoEngine::Auto);
    let cache = DiskCache::open(DiskCacheConfig { write_queue_bytes_max: 64 << 10, ..config });
    for number in 0..2000 {
        cache.offer(key_of(number), block_of(number % 90));
    }
    cache.flush();
    let counters = cache.counters();
    assert!(counters.offers_dropped > 0, "{counters:?}");
    assert!(counters.writes > 0 && counters.writes + counters.offers_dropped == 2000, "{counters:?}");
}

#[test]
fn block_larger_than_half_a_segment_is_not_taken() {
    let directory = scratch();
    let cache = DiskCache::open(config_of(&path_in(&directory), 4, IoEngine::Auto).0);
    cache.offer(key_of(1), Bytes::from(vec![1; 600_000]));
    cache.offer(key_of(2), Bytes::from(vec![2; 500_000]));
    cache.flush();
    assert!(!cache.contains(key_of(1)) && cache.contains(key_of(2)));
    assert_eq!(get(&cache, 2), Some(Bytes::from(vec![2; 500_000])));
}
