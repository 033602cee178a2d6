//! What opening a store costs: rounds of requests that wait for each other, counted on the simulated store's clock.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use aquifer_cache::{BlockCache, BlockCacheConfig, TieredSource};
use aquifer_format::sst::Compression;
use aquifer_format::{
    EpochRecord, Head, Link, LinkBuilder, ManifestEdit, SstMeta, head_key, link_key, sst_key,
};
use aquifer_lsm::{Cursor, Direction, Manifest, Memtable, ReadState, TableBuilder, TableOptions, get_async};
use aquifer_objstore::sim::LogNormal;
use aquifer_objstore::{Operation, Retry, SimOptions, SimProfile, SimStore, SimTime, Store, block_on};
use aquifer_shard::chain::{self, ChainState};
use aquifer_types::{BranchName, Epoch, ErrorKind, LinkSeq, Lsn, SstId};
use aquifer_writer::publisher::write_checkpoint;
use bytes::Bytes;
use support::{Count, group};

/// What every request takes.
const ROUND: Duration = Duration::from_millis(10);

struct Opened {
    rounds: u128,
    gets: u64,
    transactions: usize,
    has_row: bool,
}

/// A store with a clock that counts rounds: each request takes as long as every other.
fn simulated() -> (SimStore, Store) {
    let always = LogNormal { median_ms: 10.0, sigma: 0.0 };
    let profile = SimProfile {
        put: always,
        get: always,
        list: always,
        slow_factor: 1.0,
        bytes_per_second: f64::INFINITY,
        ..SimProfile::S3_STANDARD
    };
    let time = SimTime::VirtualAfter(Duration::from_millis(5));
    let sim = SimStore::new(SimOptions { profile, time, ..SimOptions::new(1) });
    let store = Store::with_backend(Arc::new(sim.clone()), Retry::default()).unwrap();
    (sim, store)
}

fn key(number: usize) -> Vec<u8> {
    format!("\0\0\x10\0{number:08}").into_bytes()
}

/// Tables of one row each, all in one level.
fn tables(store: &Store, count: usize) -> Vec<SstMeta> {
    let one = |number: usize| {
        let id = SstId(number as u128 + 1);
        let mut builder = TableBuilder::new(TableOptions::new(id, Compression::None, 1));
        builder.add(&key(number), Lsn(1), Some(b"value")).unwrap();
        let built = builder.finish().unwrap();
        // Only one of them is read.
        if number == 0 {
            block_on(store.put(&sst_key("", id), built.object.clone())).unwrap();
        }
        SstMeta { level: 1, ..SstMeta::from(&built.info) }
    };
    (0..count).map(one).collect()
}

fn append(store: &Store, state: &mut ChainState, fill: impl FnOnce(&mut LinkBuilder)) {
    let mut builder = LinkBuilder::new(state.next.clone());
    fill(&mut builder);
    let (bytes, _) = builder.finish(state.last_lsn(), 1).unwrap();
    let key = link_key("", &state.next.branch, state.next.seq);
    block_on(store.put_if_absent(&key, bytes.clone())).unwrap();
    state.advance(&Link::decode(bytes, &key).unwrap()).unwrap();
}

/// A chain whose checkpoint has so many tables, with so many links after it.
fn chain_of(store: &Store, table_count: usize, links_after: u64) -> ChainState {
    let mut state = ChainState::empty(&BranchName::main());
    state.next.epoch = Epoch(1);
    append(store, &mut state, |link| {
        link.push_epoch(&EpochRecord { epoch: Epoch(1), writer: 7, address: String::new() });
        link.push_group(&group(1, 10)).unwrap();
        link.push_edit(&ManifestEdit {
            added: tables(store, table_count),
            checkpoint_lsn: Some(1),
            ..ManifestEdit::default()
        });
    });
    block_on(write_checkpoint(store, &mut state)).unwrap();
    for lsn in 2..links_after + 2 {
        append(store, &mut state, |link| link.push_group(&group(lsn, 10)).unwrap());
    }
    state
}

/// A thread that the machine leaves waiting for longer than the clock does can only add rounds: the least of some
/// tries is what it takes.
const TRIES: usize = 4;

fn open(sim: &SimStore, store: &Store) -> Opened {
    (0..TRIES).map(|_| open_once(sim, store)).min_by_key(|opened| opened.rounds).unwrap()
}

fn open_once(sim: &SimStore, store: &Store) -> Opened {
    let (began, gets) = (sim.now(), store.meter().snapshot().of(Operation::Get).requests);
    let mut lsns = Count::default();
    let state = block_on(chain::open(store, &BranchName::main(), &mut lsns)).unwrap();
    let blocks = BlockCache::new(&BlockCacheConfig::with_bytes(1 << 20));
    let source = TieredSource::new(Arc::new(store.clone()), Arc::new(blocks), None);
    let manifest = Arc::new(state.manifest.clone());
    let reading = ReadState::new(Arc::new(Memtable::new()), Vec::new(), manifest);
    let found = block_on(get_async(&reading, &source, &key(0), Lsn(1))).unwrap();
    Opened {
        rounds: (sim.now() - began).as_millis() / ROUND.as_millis(),
        gets: store.meter().snapshot().of(Operation::Get).requests - gets,
        transactions: lsns.0.len(),
        has_row: found.is_some(),
    }
}

#[test]
fn open_after_a_clean_close_takes_four_rounds_whatever_the_size() {
    for table_count in [1, 1_000] {
        let (sim, store) = simulated();
        chain_of(&store, table_count, 0);
        let opened = open(&sim, &store);
        assert!(opened.has_row);
        // Head; checkpoint beside the links after it; index and filter; block.
        assert_eq!(opened.rounds, 4, "with {table_count} tables");
        assert!(opened.gets <= 9, "{} GET requests", opened.gets);
    }
}

/// Runs that all have the first key: none may be passed over, and none waits for another.
#[test]
fn cold_scan_of_overlapping_runs_takes_two_rounds() {
    let (sim, store) = simulated();
    let run = |number: u64| {
        let id = SstId(u128::from(number));
        let mut builder = TableBuilder::new(TableOptions::new(id, Compression::None, 1));
        for row in 0..10 {
            let value = number.to_string();
            builder.add(&key(row), Lsn(number), Some(value.as_bytes())).unwrap();
        }
        let built = builder.finish().unwrap();
        block_on(store.put(&sst_key("", id), built.object.clone())).unwrap();
        SstMeta { run: number, ..SstMeta::from(&built.info) }
    };
    let edit =
        ManifestEdit { added: (1..=4).map(run).collect(), next_run: Some(5), ..ManifestEdit::default() };
    for direction in [Direction::Forward, Direction::Backward] {
        let scan = || {
            let blocks = BlockCache::new(&BlockCacheConfig::with_bytes(1 << 20));
            let source = TieredSource::new(Arc::new(store.clone()), Arc::new(blocks), None);
            let manifest = Arc::new(Manifest::new().apply(&edit).unwrap());
            let reading = Arc::new(ReadState::new(Arc::new(Memtable::new()), Vec::new(), manifest));
            let range = Bytes::from(key(0))..Bytes::from(key(100));
            let mut cursor = Cursor::new(&reading, range, direction, Lsn(9));
            let (began, mut rows) = (sim.now(), Vec::new());
            block_on(cursor.next_batch_async(&source, &mut rows, 100)).unwrap();
            assert!(rows.len() == 10 && rows.iter().all(|(_, value)| value == "4"));
            (sim.now() - began).as_millis() / ROUND.as_millis()
        };
        assert_eq!((0..TRIES).map(|_| scan()).min(), Some(2), "{direction:?}");
    }
}

#[test]
fn open_reads_links_after_the_checkpoint_together() {
    let (sim, store) = simulated();
    chain_of(&store, 1, 100);
    let opened = open(&sim, &store);
    assert!(opened.has_row && opened.transactions == 100);
    assert!(opened.rounds <= 16, "{} rounds for a hundred links", opened.rounds);
    assert!(opened.gets <= 145, "{} GET requests", opened.gets);
}

#[test]
fn open_without_head_or_checkpoint_reads_every_link() {
    let (sim, store) = simulated();
    chain_of(&store, 1, 5);
    block_on(store.delete(&head_key("", &BranchName::main()))).unwrap();
    block_on(store.delete(&aquifer_format::checkpoint_key("", &BranchName::main(), LinkSeq(1)))).unwrap();
    let opened = open(&sim, &store);
    assert!(opened.has_row);
    assert_eq!(opened.transactions, 6);
}

#[test]
fn open_of_a_chain_that_ends_before_the_link_that_the_head_knows_is_refused() {
    for missing in [2, 4, 9] {
        let (_, store) = simulated();
        let state = chain_of(&store, 1, 10);
        let head = Head {
            checkpoint_seq: LinkSeq(1),
            link_seq: state.last_seq(),
            epoch: Epoch(1),
            written_micros: 1,
        };
        block_on(store.put(&head_key("", &BranchName::main()), head.encode())).unwrap();
        let key = link_key("", &BranchName::main(), LinkSeq(missing));
        block_on(store.delete(&key)).unwrap();
        let error = block_on(chain::open(&store, &BranchName::main(), &mut Count::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&key), "{error}");
    }
}
