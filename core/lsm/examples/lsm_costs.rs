//! What the storage tree costs when everything is in memory: memtable insert, point reads, scans of 100.
//!
//! `cargo run --release -p aquifer-lsm --example lsm_costs [rows]`. A million rows of 120 bytes by default,
//! spread over one deep level, a middle level, three runs of level 0 and a memtable. CPU time. Figures are CPU time.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::ready;
use std::hint::black_box;
use std::sync::Arc;

use aquifer_format::sst::Compression;
use aquifer_format::{ManifestEdit, SstMeta};
use aquifer_lsm::{
    Block, BlockHandle, BlockSource, Cursor, Direction, KeyRange, LoadFuture, Loaded, Manifest, Memtable,
    Need, NoBlocks, ReadState, Retention, Rewrite, RewriteOptions, RewriteStep, Step, Table, TableInfo, get,
};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

const READS: u64 = 200_000;
const SCANS: u64 = 20_000;

/// All blocks in a map: what a block cache costs at best.
#[derive(Default)]
struct Resident(RefCell<HashMap<(SstId, u64), Block>>);

impl BlockSource for Resident {
    fn try_block(&self, table: &Arc<Table>, handle: BlockHandle) -> Option<Block> {
        self.0.borrow().get(&(table.id(), handle.offset)).cloned()
    }

    fn load<'a>(&'a self, need: Need) -> LoadFuture<'a> {
        let _ = need;
        Box::pin(ready(Ok(Loaded::Meta)))
    }
}

/// CPU time of this thread in nanoseconds, so that a busy machine does not count; Linux only.
#[derive(Clone, Copy)]
struct Cpu(u64);

impl Cpu {
    fn now() -> Self {
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Self(schedstat.split(' ').next().unwrap().parse().unwrap())
    }

    fn elapsed_ns(self) -> u64 {
        Self::now().0 - self.0
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn key(number: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&1024u32.to_be_bytes());
    key[4..].copy_from_slice(&(number | 1 << 63).to_be_bytes());
    key
}

fn value(random: &mut Random) -> Vec<u8> {
    (0..120u8).map(|at| if at < 40 { u8::try_from(random.below(256)).unwrap() } else { at }).collect()
}

struct Loader {
    objects: HashMap<SstId, Bytes>,
    manifest: Manifest,
    lsn: u64,
    next_id: u128,
}

impl Loader {
    /// Writes `rows` as tables of `level`.
    fn level(&mut self, level: u32, rows: impl Iterator<Item = u64>, random: &mut Random) {
        let memtable = Arc::new(Memtable::new());
        for number in rows {
            self.lsn += 1;
            memtable.insert(&key(number), Lsn(self.lsn), Some(&value(random))).unwrap();
        }
        self.next_id += 10_000;
        let mut next = self.next_id;
        let new_id = Box::new(move || {
            next += 1;
            SstId(next)
        });
        let options = RewriteOptions {
            level,
            compression: if level > 1 { Compression::Zstd } else { Compression::Lz4 },
            ..RewriteOptions::flush(new_id, self.manifest.next_run(), 0)
        };
        let retention = Retention::everything();
        let started = Cpu::now();
        let mut rewrite = Rewrite::flush(&[Arc::clone(&memtable)], retention, options);
        let (mut added, mut bytes) = (Vec::new(), 0);
        loop {
            match rewrite.step(&NoBlocks, usize::MAX).unwrap() {
                Step::Done(RewriteStep::Built(built)) => {
                    bytes += built.object.len();
                    added.push(SstMeta::from(&TableInfo { level, ..built.info.clone() }));
                    self.objects.insert(built.info.id, built.object);
                }
                Step::Done(RewriteStep::Finished) => break,
                _ => {}
            }
        }
        let raw: u64 = added.iter().map(|meta| meta.raw_bytes).sum();
        println!(
            "write level {level}: {} rows, {} tables, {bytes} of {raw} bytes, {:.0} ns a row",
            memtable.len(),
            added.len(),
            per(started, memtable.len() as u64)
        );
        let edit = ManifestEdit { added, ..ManifestEdit::default() };
        self.manifest = self.manifest.apply(&edit).unwrap();
    }

    fn resident(&self) -> Resident {
        let blocks = Resident::default();
        let (mut count, started) = (0u64, Cpu::now());
        for table in self.manifest.tables() {
            let object = &self.objects[&table.id()];
            let cut = |range: std::ops::Range<u64>| {
                object.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
            };
            table.install_meta(cut(table.meta_range())).unwrap();
            for handle in table.block_handles() {
                let block = table.decode_block(handle, cut(handle.range())).unwrap();
                blocks.0.borrow_mut().insert((table.id(), handle.offset), block);
                count += 1;
            }
        }
        println!("decode: {count} blocks, {:.0} ns a block", per(started, count));
        blocks
    }
}

#[allow(clippy::cast_precision_loss)]
fn per(started: Cpu, count: u64) -> f64 {
    started.elapsed_ns() as f64 / count.max(1) as f64
}

fn fill_memtable(rows: u64, random: &mut Random, first_lsn: u64) -> Arc<Memtable> {
    let memtable = Arc::new(Memtable::new());
    let row = value(random);
    let started = Cpu::now();
    for lsn in 0..rows / 10 {
        let number = random.below(rows);
        memtable.insert(&key(number), Lsn(first_lsn + lsn), Some(&row)).unwrap();
    }
    println!(
        "memtable insert: {:.0} ns ({} entries, {} bytes)",
        per(started, rows / 10),
        memtable.len(),
        memtable.approximate_bytes()
    );
    memtable
}

fn measure_gets(name: &str, state: &ReadState, blocks: &Resident, mut next: impl FnMut() -> u64) {
    let mut found = 0u64;
    let started = Cpu::now();
    for _ in 0..READS {
        match get(state, blocks, &key(next()), Lsn::MAX) {
            Step::Done(row) => found += u64::from(black_box(row).is_some()),
            Step::Need(need) => panic!("not resident: {need:?}"),
        }
    }
    println!("get {name}: {:.0} ns ({found} of {READS} found)", per(started, READS));
}

fn measure_scans(state: &Arc<ReadState>, blocks: &Resident, rows: u64, direction: Direction) {
    let mut random = Random(99);
    let mut out = Vec::with_capacity(100);
    let started = Cpu::now();
    for _ in 0..SCANS {
        let start = random.below(rows - 1_000);
        let range = KeyRange {
            start: Bytes::copy_from_slice(&key(start)),
            end: Some(Bytes::copy_from_slice(&key(start + 100))),
        };
        out.clear();
        let mut cursor = Cursor::new(state, range, direction, Lsn::MAX);
        loop {
            let before = out.len();
            assert!(matches!(cursor.next_batch(blocks, &mut out, 100 - before), Step::Done(())));
            if out.len() == before {
                break;
            }
        }
        assert_eq!(black_box(&out).len(), 100);
    }
    println!("scan of 100 {direction:?}: {:.2} µs", per(started, SCANS) / 1_000.0);
}

fn main() {
    let rows: u64 = std::env::args().nth(1).map_or(1_000_000, |rows| rows.parse().unwrap());
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut loader = Loader { objects: HashMap::new(), manifest: Manifest::new(), lsn: 0, next_id: 0 };
    loader.level(2, 0..rows, &mut random);
    loader.level(1, (0..rows).step_by(9), &mut random);
    for run in 0..3 {
        loader.level(0, (run..rows).step_by(97), &mut random);
    }
    let blocks = loader.resident();
    let memtable = fill_memtable(rows, &mut random, loader.lsn + 1);
    let manifest = Arc::new(loader.manifest);
    let empty = ReadState::new(Arc::default(), Vec::new(), Arc::clone(&manifest));
    measure_gets("from blocks, present", &empty, &blocks, || random.below(rows));
    measure_gets("from blocks, absent", &empty, &blocks, || rows + random.below(rows));
    let mut hot = Random(5);
    measure_gets("from blocks, 1,000 hot keys", &empty, &blocks, || hot.below(1_000) * 7);
    let state = Arc::new(ReadState::new(memtable, Vec::new(), manifest));
    measure_gets("from memtable or blocks", &state, &blocks, || random.below(rows));
    measure_scans(&state, &blocks, rows, Direction::Forward);
    measure_scans(&state, &blocks, rows, Direction::Backward);
}
