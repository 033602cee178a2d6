//! The tiers together, over real tables and a store that can be told to fail.

#![allow(clippy::unwrap_used)] // A test may fail by a panic.

use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use aquifer_cache::{
    BlockCache, BlockCacheConfig, DiskCache, DiskCacheConfig, RangeFuture, RangeReader, TieredSource,
};
use aquifer_format::ManifestEdit;
use aquifer_format::sst::Compression;
use aquifer_lsm::{
    BlockSource, BuiltTable, Cursor, Direction, KeyRange, Loaded, Located, Manifest, Memtable, Need,
    ReadError, ReadState, Table, TableBuilder, TableOptions, get_async, object_name,
};
use aquifer_objstore::{Store, StoreError, StoreErrorKind, StoreOptions, StoreUrl, block_on};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

const ROWS: u64 = 5000;

/// Objects in memory. Damage is applied to what is read; `gate` holds answers back.
#[derive(Default)]
struct TestStore {
    objects: Mutex<HashMap<String, Bytes>>,
    reads: AtomicU64,
    damaged_reads: AtomicU64,
    /// Every read of more bytes than this is damaged; 0: none.
    damage_over_bytes: AtomicU64,
    away: AtomicBool,
    gate: Arc<Gate>,
}

/// While closed, answers wait.
#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
    }
}

struct Passing(Arc<Gate>);

impl Future for Passing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.0.waiting.lock().unwrap();
        if !self.0.closed.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        waiting.push(cx.waker().clone());
        Poll::Pending
    }
}

impl RangeReader for TestStore {
    fn read_range(&self, object: String, range: Range<u64>) -> RangeFuture {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer(&object, &range);
        let gate = Passing(self.gate.clone());
        Box::pin(async move {
            gate.await;
            answer
        })
    }
}

impl TestStore {
    fn answer(&self, object: &str, range: &Range<u64>) -> Result<Bytes, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("the store is away"));
        }
        let objects = self.objects.lock().unwrap();
        let bytes = objects.get(object).ok_or_else(|| StoreError::not_found(object))?;
        let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        if start >= bytes.len() {
            return Err(StoreError::new(StoreErrorKind::Invalid, "range outside the object"));
        }
        let mut part = bytes[start..end.min(bytes.len())].to_vec();
        let damaged =
            self.damaged_reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        let over = self.damage_over_bytes.load(Ordering::SeqCst);
        if damaged.is_ok() || (over > 0 && range.end - range.start > over) {
            let middle = part.len() / 2;
            part[middle] ^= 1;
        }
        Ok(part.into())
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

fn row_key(number: u64) -> Vec<u8> {
    [&[0, 0, 4, 1][..], &number.to_be_bytes()].concat()
}

fn row_value(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(20)
}

fn build(id: u128) -> BuiltTable {
    let options =
        TableOptions { block_bytes_target: 4096, ..TableOptions::new(SstId(id), Compression::Lz4, 0) };
    let mut builder = TableBuilder::new(options);
    for number in 0..ROWS {
        builder.add(&row_key(number), Lsn(number + 1), Some(&row_value(number))).unwrap();
    }
    builder.finish().unwrap()
}

struct World {
    store: Arc<TestStore>,
    source: TieredSource,
    built: BuiltTable,
    state: Arc<ReadState>,
}

/// A table in level 1 of a store, and the tiers over it; a disk cache if a path is given.
fn world(disk: Option<&Path>, block_bytes: usize) -> World {
    let built = build(0xabcd);
    let store = Arc::new(TestStore::default());
    store.objects.lock().unwrap().insert(object_name(built.info.id), built.object.clone());
    let disk = disk.map(|path| {
        let config = DiskCacheConfig { segment_bytes: 1 << 20, ..DiskCacheConfig::new(path, 9 << 20) };
        Arc::new(DiskCache::open(config))
    });
    let blocks = Arc::new(BlockCache::new(&BlockCacheConfig { bytes_max: block_bytes, shards: 1 }));
    let source = TieredSource::new(store.clone(), blocks, disk);
    World { store, source, state: state_of(&built), built }
}

fn state_of(built: &BuiltTable) -> Arc<ReadState> {
    let info = aquifer_lsm::TableInfo { level: 1, ..built.info.clone() };
    let edit = ManifestEdit { added: vec![(&info).into()], ..ManifestEdit::default() };
    let manifest = Manifest::new().apply(&edit).unwrap();
    Arc::new(ReadState::new(Arc::new(Memtable::new()), Vec::new(), Arc::new(manifest)))
}

impl World {
    fn table(&self) -> Arc<Table> {
        self.state.manifest().levels()[0].tables()[0].clone()
    }

    fn read(&self, number: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let found = block_on(get_async(&self.state, &self.source, &row_key(number), Lsn::MAX))?;
        Ok(found.and_then(|f| f.value).map(|v| v.to_vec()))
    }

    fn check_all_rows(&self) {
        for number in (0..ROWS).step_by(7) {
            assert_eq!(self.read(number).unwrap(), Some(row_value(number)), "row {number}");
        }
    }

    fn block_need(&self, number: u64) -> Need {
        let table = self.table();
        block_on(self.source.load(Need::Meta(table.clone()))).unwrap();
        let key = row_key(number);
        match table.locate(&key, aquifer_format::sst::key_hash(&key), Lsn::MAX) {
            Located::Block(handle) => Need::Block(table, handle),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rows_read_through_all_tiers_are_right() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(Some(&directory.path().join("blocks")), 200_000);
    world.check_all_rows();
    let first = world.store.reads();
    world.source.disk().unwrap().flush();
    world.check_all_rows();
    assert_eq!(world.store.reads(), first, "the second pass comes from the disk cache");
    let counters = world.source.counters();
    assert!(
        counters.disk_loads > 0 && counters.store_fetches == first && counters.errors == 0,
        "{counters:?}"
    );
    let blocks = world.source.blocks().counters();
    assert!(blocks.hits > 0 && blocks.bytes <= blocks.bytes_max);
}

#[test]
fn a_new_process_reads_from_the_disk_cache_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blocks");
    let first = world(Some(&path), 200_000);
    first.check_all_rows();
    first.source.disk().unwrap().flush();
    drop(first);
    let second = world(Some(&path), 200_000);
    second.source.disk().unwrap().flush();
    second.store.away.store(true, Ordering::SeqCst);
    second.check_all_rows();
    assert_eq!(second.store.reads(), 0);
}

#[test]
fn block_damaged_in_the_disk_cache_is_fetched_again_and_heals() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blocks");
    let first = world(Some(&path), 200_000);
    first.check_all_rows();
    first.source.disk().unwrap().flush();
    drop(first);
    let mut bytes = std::fs::read(&path).unwrap();
    for position in (12_000..400_000).step_by(50_021) {
        bytes[position] ^= 0x40;
    }
    std::fs::write(&path, bytes).unwrap();
    let second = world(Some(&path), 200_000);
    second.source.disk().unwrap().flush();
    second.check_all_rows();
    let fetched = second.store.reads();
    assert!(fetched > 0 && second.source.disk().unwrap().counters().corrupt > 0);
    second.source.disk().unwrap().flush();
    second.check_all_rows();
    assert_eq!(second.store.reads(), fetched, "what was fetched again is held again");
}

#[test]
fn sound_record_that_does_not_decode_is_forgotten_and_fetched() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(Some(&directory.path().join("blocks")), 200_000);
    let need = world.block_need(100);
    let Need::Block(table, handle) = need.clone() else { unreachable!() };
    let key = aquifer_cache::BlockKey { sst: table.id(), offset: handle.offset };
    let disk = world.source.disk().unwrap();
    disk.offer(key, Bytes::from_static(b"not this block"));
    disk.flush();
    assert!(matches!(block_on(world.source.load(need)), Ok(Loaded::Block(_))));
    disk.flush();
    let healed = block_on(disk.get(key)).unwrap();
    let range = handle.range();
    let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
    assert_eq!(healed, world.built.object.slice(start..end));
}

#[test]
fn damage_on_the_way_is_read_again_and_damage_at_rest_is_an_error_with_the_object() {
    let world = world(None, 1 << 20);
    world.store.damaged_reads.store(1, Ordering::SeqCst);
    assert_eq!(world.read(1).unwrap(), Some(row_value(1)));
    assert_eq!(world.source.counters().store_corrupt, 1);
    world.store.damaged_reads.store(2, Ordering::SeqCst);
    let error = world.read(ROWS - 1).unwrap_err();
    let name = object_name(world.built.info.id);
    assert!(matches!(&error, ReadError::Corrupt { object, .. } if *object == name), "{error}");
    assert_eq!(world.read(ROWS - 1).unwrap(), Some(row_value(ROWS - 1)), "nothing wrong was kept");
}

#[test]
fn store_failures_keep_their_kind() {
    let world = world(None, 1 << 20);
    world.store.away.store(true, Ordering::SeqCst);
    assert!(matches!(world.read(1), Err(ReadError::Unavailable { .. })));
    world.store.away.store(false, Ordering::SeqCst);
    let object = world.store.objects.lock().unwrap().remove(&object_name(world.built.info.id)).unwrap();
    assert!(matches!(world.read(1), Err(ReadError::Missing { .. })));
    let cut = object.slice(..object.len() / 2);
    world.store.objects.lock().unwrap().insert(object_name(world.built.info.id), cut);
    assert!(matches!(world.read(1), Err(ReadError::Corrupt { .. })));
}

#[test]
fn many_waiters_share_one_fetch() {
    let world = Arc::new(world(None, 1 << 20));
    let need = world.block_need(2000);
    let before = world.store.reads();
    world.store.gate.closed.store(true, Ordering::SeqCst);
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let (world, need) = (world.clone(), need.clone());
            std::thread::spawn(move || block_on(world.source.load(need)).map(|_| ()))
        })
        .collect();
    while world.source.counters().joins < 7 {
        std::thread::yield_now();
    }
    world.store.gate.open();
    for waiter in waiters {
        waiter.join().unwrap().unwrap();
    }
    assert_eq!(world.store.reads() - before, 1);
}

#[test]
fn metas_ahead_are_fetched_once_and_joined() {
    let world = world(None, 1 << 20);
    world.store.gate.closed.store(true, Ordering::SeqCst);
    world.source.metas_ahead(&[world.table()]);
    world.source.metas_ahead(&[world.table(), world.table()]);
    assert_eq!(world.store.reads(), 1);
    world.store.gate.open();
    block_on(world.source.load(Need::Meta(world.table()))).unwrap();
    assert!(world.table().has_meta());
    world.source.metas_ahead(&[world.table()]);
    assert_eq!(world.store.reads(), 1, "what is there is not fetched again");
}

#[test]
fn table_is_as_hot_as_its_blocks_were_read() {
    let world = world(None, 16 << 20);
    assert_eq!(world.source.hot_per_mille(&world.table()), 0, "no index, no heat");
    (0..ROWS / 2).for_each(|number| drop(world.read(number).unwrap()));
    let half = world.source.hot_per_mille(&world.table());
    assert!((400..600).contains(&half), "half of it was read, and {half} of 1000 are hot");
    (0..ROWS).for_each(|number| drop(world.read(number).unwrap()));
    assert_eq!(world.source.hot_per_mille(&world.table()), 1_000);
}

#[test]
fn block_on_disk_is_hot_once_it_was_read() {
    let scratch = tempfile::tempdir().unwrap();
    let world = world(Some(&scratch.path().join("cache")), 1 << 10);
    world.source.admit_table(&world.table(), &world.built.object).unwrap();
    world.source.disk().unwrap().flush();
    assert_eq!(world.source.hot_per_mille(&world.table()), 0, "written is not read");
    (0..ROWS).for_each(|number| drop(world.read(number).unwrap()));
    assert_eq!(world.source.hot_per_mille(&world.table()), 1_000);
    assert_eq!(world.store.reads(), 0);
}

#[test]
fn admitted_meta_is_read_without_the_store() {
    let scratch = tempfile::tempdir().unwrap();
    let world = world(Some(&scratch.path().join("cache")), 1 << 20);
    let range = world.table().meta_range();
    let at = |byte: u64| usize::try_from(byte).unwrap();
    let stored = world.built.object.slice(at(range.start)..at(range.end));
    world.source.admit_meta(world.built.info.id, range.start, stored);
    world.source.disk().unwrap().flush();
    block_on(world.source.load(Need::Meta(world.table()))).unwrap();
    assert_eq!(world.store.reads(), 0);
}

#[test]
fn waiter_that_gives_up_takes_nobody_along() {
    let world = Arc::new(world(None, 1 << 20));
    let need = world.block_need(2000);
    let before = world.store.reads();
    world.store.gate.closed.store(true, Ordering::SeqCst);
    let mut first = world.source.load(need.clone());
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut nobody).is_pending());
    let waiter = {
        let (world, need) = (world.clone(), need.clone());
        std::thread::spawn(move || block_on(world.source.load(need)).map(|_| ()))
    };
    while world.source.counters().joins < 1 {
        std::thread::yield_now();
    }
    drop(first);
    world.store.gate.open();
    waiter.join().unwrap().unwrap();
    assert_eq!(world.store.reads() - before, 1);
}

#[test]
fn fetch_that_all_gave_up_is_started_anew() {
    let world = world(None, 1 << 20);
    let need = world.block_need(2000);
    world.store.gate.closed.store(true, Ordering::SeqCst);
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(world.source.load(need.clone()).as_mut().poll(&mut nobody).is_pending());
    world.store.gate.open();
    assert!(block_on(world.source.load(need)).is_ok());
}

fn scan(world: &World, source: &TieredSource, direction: Direction) -> Vec<u64> {
    let mut cursor = Cursor::new(&world.state, KeyRange::default(), direction, Lsn::MAX);
    let mut rows = Vec::new();
    loop {
        let mut batch = Vec::new();
        block_on(cursor.next_batch_async(source, &mut batch, 100)).unwrap();
        if batch.is_empty() {
            return rows;
        }
        for (key, value) in batch {
            let number = u64::from_be_bytes(key[4..].try_into().unwrap());
            assert_eq!(value, row_value(number));
            rows.push(number);
        }
    }
}

#[test]
fn scan_fetches_many_blocks_with_one_request() {
    for direction in [Direction::Forward, Direction::Backward] {
        let world = world(None, 8 << 20);
        let mut rows = scan(&world, &world.source.for_scan(), direction);
        if direction == Direction::Backward {
            rows.reverse();
        }
        assert_eq!(rows, (0..ROWS).collect::<Vec<_>>());
        let counters = world.source.counters();
        let blocks = world.source.blocks().counters().inserts;
        assert!(counters.store_fetches * 4 < blocks, "{counters:?} for {blocks} blocks");
        assert!(counters.read_aheads > 0 && counters.errors == 0);
    }
}

#[test]
fn scan_survives_damaged_stretches_and_a_cache_that_keeps_nothing() {
    let world = world(None, 1000);
    block_on(world.source.load(Need::Meta(world.table()))).unwrap();
    // Each stretch has a damaged block, which is fetched by itself then.
    world.store.damage_over_bytes.store(6000, Ordering::SeqCst);
    assert_eq!(scan(&world, &world.source, Direction::Forward).len(), usize::try_from(ROWS).unwrap());
    let counters = world.source.counters();
    assert!(counters.read_aheads > 0 && counters.store_corrupt == 0, "{counters:?}");
}

#[test]
fn scan_does_not_enter_the_disk_cache() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(Some(&directory.path().join("blocks")), 200_000);
    scan(&world, &world.source.for_scan(), Direction::Forward);
    let disk = world.source.disk().unwrap();
    disk.flush();
    assert!(disk.counters().writes <= 1, "more than index and filter: {:?}", disk.counters());
}

#[test]
fn admitted_table_is_read_without_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(Some(&directory.path().join("blocks")), 200_000);
    world.store.away.store(true, Ordering::SeqCst);
    world.source.admit_table(&world.table(), &world.built.object).unwrap();
    world.source.disk().unwrap().flush();
    world.check_all_rows();
    assert_eq!(world.store.reads(), 0);
}

#[test]
fn admission_of_another_object_is_refused() {
    let world = world(None, 200_000);
    let other = build(0x9999);
    assert!(matches!(
        world.source.admit_table(&world.table(), &other.object),
        Err(ReadError::Corrupt { .. })
    ));
    assert!(!world.table().has_meta());
    let cut = world.built.object.slice(..100);
    assert!(matches!(world.source.admit_table(&world.table(), &cut), Err(ReadError::Corrupt { .. })));
}

#[test]
fn directory_store_serves_the_tiers() {
    let directory = tempfile::tempdir().unwrap();
    let url = StoreUrl::parse(&format!("file://{}", directory.path().display())).unwrap();
    let store = Store::open(&url, &StoreOptions::default()).unwrap();
    let built = build(0x77);
    block_on(store.put(&object_name(built.info.id), built.object.clone())).unwrap();
    let blocks = Arc::new(BlockCache::new(&BlockCacheConfig::with_bytes(4 << 20)));
    let source = TieredSource::new(Arc::new(store), blocks, None);
    let state = state_of(&built);
    for number in (0..ROWS).step_by(101) {
        let found = block_on(get_async(&state, &source, &row_key(number), Lsn::MAX)).unwrap().unwrap();
        assert_eq!(found.value.unwrap(), row_value(number));
    }
}
