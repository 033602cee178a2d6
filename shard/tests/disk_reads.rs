//! Reads of the disk cache by tasks on executors: on their own ring, and on epoll by the cache's thread.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use aquifer_cache::{BlockKey, DiskCache, DiskCacheConfig, DiskState};
use aquifer_shard::executor::{self, DriverKind, ExecutorId, ExecutorOptions, Executors, Pinning};
use aquifer_types::SstId;
use bytes::Bytes;

const BLOCKS: u64 = 400;
const FILE_BYTES: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn key_of(number: u64) -> BlockKey {
    BlockKey { sst: SstId(5), offset: number << 20 }
}

/// Lengths from 1 byte to 200,000; most as blocks are.
fn block_of(number: u64) -> Bytes {
    let length = if number.is_multiple_of(50) { 200_000 } else { 1 + number * 37 % 20_000 };
    (0..length).map(|at| (number * 31 + at * 7).to_le_bytes()[0]).collect()
}

fn open(path: &Path) -> Arc<DiskCache> {
    Arc::new(DiskCache::open(DiskCacheConfig::new(path, FILE_BYTES)))
}

fn filled(path: &Path) -> Arc<DiskCache> {
    let cache = open(path);
    for number in 0..BLOCKS {
        cache.offer(key_of(number), block_of(number));
        if number.is_multiple_of(50) {
            cache.flush();
        }
    }
    cache.flush();
    cache
}

fn executors(driver: DriverKind) -> Executors {
    let options =
        ExecutorOptions { count: Some(2), pinning: Pinning::None, driver, ..ExecutorOptions::default() };
    Executors::start(options, |_| async {}).unwrap()
}

/// Asks for every block at once on one executor; those that came, in order.
fn read_all(executors: &Executors, executor: u16, cache: &Arc<DiskCache>) -> Vec<Option<Bytes>> {
    let (sender, answer) = mpsc::channel();
    let cache = Arc::clone(cache);
    let job = move || async move {
        let read = |number| {
            let cache = Arc::clone(&cache);
            executor::spawn(async move { cache.get(key_of(number)).await })
        };
        let tasks: Vec<_> = (0..BLOCKS).map(read).collect();
        let mut found = Vec::new();
        for task in tasks {
            found.push(task.await);
        }
        // The test may open the file again as soon as it has the answer.
        drop(cache);
        sender.send(found).unwrap();
    };
    executors.handle().spawn_on_blocking(ExecutorId(executor), job).unwrap();
    answer.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn blocks_read_on_executors_are_what_was_offered() {
    for driver in [DriverKind::Auto, DriverKind::Epoll] {
        let directory = tempfile::tempdir().unwrap();
        let cache = filled(&directory.path().join("blocks"));
        let executors = executors(driver);
        for executor in [0, 1, 0] {
            let found = read_all(&executors, executor, &cache);
            for (number, block) in (0..).zip(found) {
                assert_eq!(block, Some(block_of(number)), "block {number} with {driver:?}");
            }
        }
        executors.shutdown().unwrap();
        assert_eq!(cache.state(), DiskState::On);
    }
}

#[test]
fn damaged_block_read_on_an_executor_is_a_miss_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blocks");
    let cache = filled(&path);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0xA5; usize::try_from(FILE_BYTES / 2).unwrap()], 4096).unwrap();
    drop(file);
    let executors = executors(DriverKind::Auto);
    let found = read_all(&executors, 0, &cache);
    executors.shutdown().unwrap();
    assert!(found.iter().all(Option::is_none));
    assert_eq!(cache.counters().corrupt, BLOCKS);
    assert_eq!(cache.state(), DiskState::On, "a damaged block is no device error");
}

#[test]
fn cache_opens_again_while_executors_that_have_read_it_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blocks");
    let executors = executors(DriverKind::Auto);
    for round in 0..3 {
        let cache = if round == 0 { filled(&path) } else { open(&path) };
        cache.flush();
        assert_eq!(cache.state(), DiskState::On, "round {round}");
        let found = read_all(&executors, 1, &cache);
        assert!(found.iter().all(Option::is_some), "round {round}");
    }
    executors.shutdown().unwrap();
}
