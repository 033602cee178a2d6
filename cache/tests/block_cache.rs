//! The block cache: limits, scan resistance, agreement with a model.

#![allow(clippy::unwrap_used)] // A test may fail by a panic.

use std::collections::HashMap;
use std::sync::Arc;

use aquifer_cache::{Access, BlockCache, BlockCacheConfig, BlockKey};
use aquifer_types::SstId;
use bytes::Bytes;
use proptest::prelude::*;

const BLOCK: usize = 16 << 10;

fn key_of(number: u64) -> BlockKey {
    BlockKey { sst: SstId(u128::from(number / 100)), offset: (number % 100) * 9000 }
}

fn cache_of(blocks: usize, shards: usize) -> BlockCache<Bytes> {
    BlockCache::new(&BlockCacheConfig { bytes_max: blocks * (BLOCK + 160), shards })
}

/// Reads as a statement does: from the cache, or loads.
fn touch(cache: &BlockCache<Bytes>, number: u64, access: Access) -> bool {
    if cache.get(key_of(number), access).is_some() {
        return true;
    }
    cache.insert(key_of(number), Bytes::from_static(b"block"), BLOCK, access);
    false
}

#[test]
fn inserted_block_is_found_and_counted() {
    let cache = cache_of(100, 1);
    assert!(!touch(&cache, 1, Access::Point));
    assert!(touch(&cache, 1, Access::Point));
    assert!(cache.contains(key_of(1)) && !cache.contains(key_of(2)));
    let counters = cache.counters();
    assert_eq!((counters.hits, counters.misses, counters.inserts, counters.blocks), (1, 1, 1, 1));
}

#[test]
fn block_larger_than_the_small_queue_is_not_kept() {
    let cache = cache_of(100, 1);
    cache.insert(key_of(1), Bytes::new(), 11 * BLOCK, Access::Point);
    assert!(!cache.contains(key_of(1)));
    assert_eq!(cache.counters().bytes, 0);
}

#[test]
fn byte_limit_holds_after_every_insertion() {
    let cache = cache_of(1000, 4);
    for n in 0..20_000u64 {
        let bytes = usize::try_from(n * 7919 % 20_000).unwrap();
        cache.insert(key_of(n % 5000), Bytes::new(), bytes, Access::Point);
        let _ = cache.get(key_of(n * 31 % 5000), Access::Point);
        let counters = cache.counters();
        assert!(counters.bytes <= counters.bytes_max, "{counters:?}");
    }
    assert!(cache.counters().evictions > 0);
}

#[test]
fn hot_set_survives_a_long_scan() {
    for access in [Access::Point, Access::Scan] {
        let cache = cache_of(1000, 1);
        for _ in 0..5 {
            for n in 0..700 {
                touch(&cache, n, Access::Point);
            }
        }
        for n in 10_000..60_000 {
            touch(&cache, n, access);
        }
        let left = (0..700).filter(|n| cache.contains(key_of(*n))).count();
        let wanted = if access == Access::Scan { 690 } else { 0 };
        assert!(left >= wanted, "{left} of 700 hot blocks left after a scan with {access:?}");
    }
}

#[test]
fn repeated_scan_of_more_than_fits_leaves_the_hot_set() {
    let cache = cache_of(1000, 1);
    for round in 0..20 {
        for n in 0..700 {
            touch(&cache, n, Access::Point);
        }
        for n in 10_000..12_000 {
            touch(&cache, n, Access::Scan);
        }
        if round > 2 {
            assert!((0..700).all(|n| cache.contains(key_of(n))), "round {round}");
        }
    }
}

#[test]
fn block_that_comes_back_soon_enters_the_main_queue() {
    let cache = cache_of(100, 1);
    for n in 0..200 {
        touch(&cache, n, Access::Point);
    }
    // 0 to 99 have left unused; some of them are still remembered.
    let back: Vec<u64> = (0..100).rev().filter(|n| !cache.contains(key_of(*n))).take(40).collect();
    for n in &back {
        touch(&cache, *n, Access::Point);
    }
    for n in 1000..1050 {
        touch(&cache, n, Access::Point);
    }
    let left = back.iter().filter(|n| cache.contains(key_of(**n))).count();
    assert!(left >= 35, "{left} of 40 left");
}

#[test]
fn skewed_load_hits_often() {
    let cache = cache_of(1000, 1);
    let mut state = 88_172_645_463_325_252u64;
    let (mut hits, rounds) = (0u32, 200_000u32);
    for _ in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Cubing a uniform number gives a skew: half of the accesses go to an eighth of the keys.
        let uniform = (state >> 11) % 1000;
        let number = uniform * uniform * uniform / 100_000;
        hits += u32::from(touch(&cache, number, Access::Point));
    }
    assert!(hits > rounds / 3, "{hits} of {rounds}");
}

#[test]
fn threads_share_it_within_the_limit() {
    let cache = Arc::new(cache_of(500, 8));
    let threads: Vec<_> = (0..4u64)
        .map(|t| {
            let cache = cache.clone();
            std::thread::spawn(move || {
                for n in 0..20_000u64 {
                    touch(&cache, (n * 37 + t * 11) % 1500, Access::Point);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let counters = cache.counters();
    assert!(counters.bytes <= counters.bytes_max);
    assert_eq!(counters.hits + counters.misses, 80_000);
}

proptest! {
    #[test]
    fn what_is_found_is_what_was_put_in(ops in proptest::collection::vec((0u64..60, any::<bool>(), any::<bool>()), 1..500)) {
        let cache: BlockCache<u64> = BlockCache::new(&BlockCacheConfig { bytes_max: 30 * 1160, shards: 1 });
        let mut model = HashMap::new();
        for (number, write, scan) in ops {
            let access = if scan { Access::Scan } else { Access::Point };
            if write {
                cache.insert(key_of(number), number, 1000, access);
                model.insert(number, number);
            } else if let Some(found) = cache.get(key_of(number), access) {
                prop_assert_eq!(Some(&found), model.get(&number));
            }
            let counters = cache.counters();
            prop_assert!(counters.bytes <= counters.bytes_max);
            prop_assert_eq!(counters.bytes, counters.blocks * 1160);
        }
    }
}
