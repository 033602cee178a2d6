//! Caches as text.

use std::collections::BTreeMap;
use std::path::Path;

use aquifer_cache::disk::survey::SegmentSurvey;
use aquifer_cache::{BlockKey, DiskCache, DiskCacheConfig, DiskSurvey, survey};
use aquifer_types::SstId;
use bytes::Bytes;

use super::super::golden;
use super::{counters, file};

#[test]
fn cache_file_with_a_reused_segment() {
    let segment = |generation, blocks, used_bytes| SegmentSurvey {
        generation,
        batches: blocks / 20,
        blocks,
        block_bytes: blocks * 11_000,
        used_bytes,
    };
    let found = DiskSurvey {
        file_bytes: (16 << 20) + 4096,
        segment_bytes: 4 << 20,
        segments: vec![
            segment(5, 40, 500_000),
            segment(3, 360, 4 << 20),
            segment(4, 350, 4_100_000),
            segment(0, 0, 0),
        ],
        tables: BTreeMap::from([(SstId(7), (600, 6_600_000)), (SstId(9), (150, 1_650_000))]),
    };
    golden::check("cache_file", &file(Path::new("node/disk.cache"), &found));
}

#[test]
fn cache_counters_of_a_node() {
    let counts = [
        ("row_cache_hits", "9000"),
        ("row_cache_misses", "1000"),
        ("row_cache_newer", "12"),
        ("row_cache_bytes", "1048576"),
        ("row_cache_bytes_max", "2097152"),
        ("block_cache_hits", "700"),
        ("block_cache_misses", "300"),
        ("block_cache_bytes", "3000000"),
        ("block_cache_bytes_max", "4000000"),
        ("block_cache_evictions", "77"),
        ("disk_cache_hits", "200"),
        ("disk_cache_misses", "100"),
        ("disk_cache_bytes", "6000000"),
        ("disk_cache_bytes_max", "67112960"),
        ("disk_cache_state", "ON"),
        ("disk_cache_loads", "200"),
        ("store_fetches", "100"),
        ("store_fetch_bytes", "1200000"),
        ("store_fetch_hedges", "3"),
        ("store_fetch_hedge_wins", "2"),
    ];
    let counts =
        counts.iter().map(|(name, value)| (format!("Aquifer_{name}"), (*value).to_owned())).collect();
    golden::check("cache_counters", &counters(&counts));
}

/// What the survey counts is what the cache has written.
#[test]
fn survey_of_a_file_counts_what_was_offered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.cache");
    let cache = DiskCache::open(DiskCacheConfig::new(&path, 64 << 20));
    cache.flush();
    for block in 0..300_u64 {
        let key = BlockKey { sst: SstId(u128::from(block % 3) + 1), offset: block * 10_000 };
        cache.offer(key, Bytes::from(vec![7; 9_000]));
    }
    cache.flush();
    let found = survey(&path).unwrap().unwrap();
    assert_eq!((found.blocks(), found.block_bytes()), (300, 300 * 9_000));
    assert_eq!(found.tables[&SstId(2)], (100, 900_000));
    assert_eq!(found.file_bytes, cache.counters().bytes_max);
    std::fs::write(&path, b"something else").unwrap();
    assert_eq!(survey(&path).unwrap(), None);
}
