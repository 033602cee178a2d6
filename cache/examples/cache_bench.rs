//! Costs of a hit in each tier, in nanoseconds.
//!
//! `cargo run --release -p aquifer-cache --example cache_bench [directory]`. The disk cache's file
//! (256 MiB) goes to the directory, by default the current one, and is removed at the end.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aquifer_cache::{
    Access, BlockCache, BlockCacheConfig, BlockKey, DiskCache, DiskCacheConfig, IoEngine, RowCache,
    RowCacheConfig, RowLookup,
};
use aquifer_objstore::block_on;
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

const ROWS: u64 = 1_000_000;
const BLOCKS: u64 = 10_000;
const STORED: usize = 8 << 10;
const DISK_BLOCKS: u64 = 20_000;

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

fn row_key(number: u64) -> [u8; 12] {
    let mut key = [0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    key[4..].copy_from_slice(&number.to_be_bytes());
    key
}

fn block_key(number: u64) -> BlockKey {
    BlockKey { sst: SstId(u128::from(number / 1000) << 70 | 5), offset: number % 1000 * 8200 }
}

/// Nanoseconds that this thread has spent on a processor.
fn processor_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// Runs `step` on some threads for half a second; prints the mean cost of a step on one of them, by the
/// clock and in processor time (which a busy machine does not inflate).
fn measure(name: &str, threads: u64, step: impl Fn(&mut Rng) + Sync) {
    let stop = AtomicBool::new(false);
    let (step, stop) = (&step, &stop);
    let costs: Vec<(f64, f64)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|seed| {
                scope.spawn(move || {
                    let mut rng = Rng(0x9e37_79b9 + seed * 7919);
                    let (start, busy, mut steps) = (Instant::now(), processor_ns(), 0u32);
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..64 {
                            step(&mut rng);
                        }
                        steps += 64;
                    }
                    let elapsed = start.elapsed().as_secs_f64() * 1e9;
                    (elapsed / f64::from(steps), (processor_ns() - busy) / f64::from(steps))
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().filter_map(|w| w.join().ok()).collect()
    });
    let count = f64::from(u32::try_from(costs.len()).unwrap_or(1));
    let elapsed = costs.iter().map(|c| c.0).sum::<f64>() / count;
    let busy = costs.iter().map(|c| c.1).sum::<f64>() / count;
    println!("{name:<42} {threads:>2} thread(s) {elapsed:>10.0} ns, {busy:>8.0} ns of processor");
}

fn bench_rows() {
    let cache = RowCache::new(RowCacheConfig::with_bytes(512 << 20), Lsn(0));
    for number in 0..ROWS {
        cache.fill(&row_key(number), Lsn(1), Lsn(1), Some(&[7; 190]));
    }
    let counters = cache.counters();
    println!("row cache: {} rows filled, {} MiB", counters.fills, counters.bytes >> 20);
    for threads in [1, 2] {
        measure("row hit, 1,000,000 rows of 190 bytes", threads, |rng| {
            let found = cache.get(&row_key(rng.below(ROWS)), Lsn(9));
            debug_assert!(!matches!(found, RowLookup::Newer));
            black_box(found);
        });
        measure("row hit, 1,000 of them", threads, |rng| {
            black_box(cache.get(&row_key(rng.below(1000)), Lsn(9)));
        });
        measure("row hit, always the same", threads, |_| {
            black_box(cache.get(&row_key(77), Lsn(9)));
        });
    }
    measure("row miss", 1, |rng| {
        black_box(cache.get(&row_key(ROWS + rng.below(ROWS)), Lsn(9)));
    });
    measure("row apply to a held row", 1, |rng| {
        cache.apply(&row_key(rng.below(ROWS)), Lsn(2), Some(&[8; 190]));
    });
    measure("row fill with eviction", 1, |rng| {
        let _ = cache.fill(&row_key(rng.below(u64::MAX >> 12)), Lsn(2), Lsn(1), Some(&[8; 190]));
    });
}

fn bench_blocks() {
    let cache = BlockCache::new(&BlockCacheConfig::with_bytes(512 << 20));
    let block = Bytes::from(vec![1u8; 16 << 10]);
    for number in 0..BLOCKS {
        cache.insert(block_key(number), block.slice(1..), 16 << 10, Access::Point);
    }
    for threads in [1, 2] {
        measure("block hit, 10,000 blocks", threads, |rng| {
            black_box(cache.get(block_key(rng.below(BLOCKS)), Access::Point));
        });
        measure("block hit, always the same", threads, |_| {
            black_box(cache.get(block_key(77), Access::Point));
        });
    }
    measure("block insert with eviction", 1, |rng| {
        cache.insert(block_key(rng.below(1 << 40)), block.clone(), 16 << 10, Access::Point);
    });
}

fn bench_disk(directory: PathBuf, engine: IoEngine) {
    let path = directory.join("cache_bench.blocks");
    let config = DiskCacheConfig { engine, ..DiskCacheConfig::new(&path, 256 << 20) };
    let cache = Arc::new(DiskCache::open(config));
    let start = Instant::now();
    for number in 0..DISK_BLOCKS {
        let fill = number.to_le_bytes()[0];
        cache.offer(block_key(number), Bytes::from(vec![fill; STORED]));
        if number % 1000 == 0 {
            cache.flush();
        }
    }
    cache.flush();
    let counters = cache.counters();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "disk cache ({engine:?}, {:?}): {} blocks of 8 KiB, {} bytes written in {seconds:.2} s",
        cache.state(),
        counters.blocks,
        counters.write_bytes
    );
    for threads in [1, 4, 16] {
        measure("disk read of 8 KiB, verified", threads, |rng| {
            black_box(block_on(cache.get(block_key(rng.below(DISK_BLOCKS)))));
        });
    }
    drop(cache);
    let start = Instant::now();
    let config = DiskCacheConfig { engine, ..DiskCacheConfig::new(&path, 256 << 20) };
    let cache = DiskCache::open(config);
    cache.flush();
    println!("recovered {} blocks in {:?}", cache.counters().recovered, start.elapsed());
    drop(cache);
    let _ = std::fs::remove_file(path);
}

fn main() {
    bench_rows();
    bench_blocks();
    let directory = std::env::args().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    bench_disk(directory.clone(), IoEngine::Auto);
    bench_disk(directory, IoEngine::Pread);
}
