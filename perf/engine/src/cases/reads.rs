//! Point reads and scans from each place where a row may be.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use aquifer_lsm::{BlockSource, Need};
use aquifer_objstore::block_on;
use aquifer_shard::engine::Engine;
use aquifer_shard::reads::{self, Fill, Scan};
use aquifer_sql::txn::{Cursor as _, Direction};
use aquifer_types::Maybe;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;

use crate::args::Args;
use crate::cpu::{self, Whose, float, per_operation};
use crate::data::{LOGICAL_BYTES, Random, absent_key, row_key};
use crate::executor::Executor;
use crate::report::{Case, Goal};
use crate::tree::{Outcome, Sizes, Tree};

/// 2^20 bytes.
pub const MIB: usize = 1 << 20;

const SMALL: usize = 4 * MIB;
const MEMTABLE: usize = 64 * MIB;
/// Reads that wait at the same time, in the figures that say so.
const TOGETHER: usize = 32;

/// A tree that does nothing but read.
fn open(set: &Path, sizes: Sizes) -> Outcome<Tree> {
    let mut tree = Tree::open(set, sizes)?;
    tree.hold_still();
    Ok(tree)
}

/// Everything that a read needs is in memory.
pub fn memory(args: &Args, set: &Path) -> Outcome<Case> {
    let mut case = Case::new(
        "memory",
        "Point reads through the engine's own function (row cache, memtable, tables) by one thread; CPU of that \
         thread.",
    );
    let hot = (args.rows / 5).max(1_000);
    let row_bytes = usize::try_from(hot).unwrap_or(usize::MAX).saturating_mul(1_200).max(64 * MIB);
    let block_bytes = usize::try_from(args.rows).unwrap_or(usize::MAX).saturating_mul(700).max(64 * MIB);
    let tree = open(set, Sizes { rows: row_bytes, blocks: block_bytes, disk: 0, memtable: MEMTABLE })?;
    case.notes.push(tree.shape());
    warm(&tree, args.rows)?;
    (0..hot).try_for_each(|n| tree.get(&row_key(n), Fill::Rows).map(drop))?;
    let count = args.operations;
    let mut random = Random::new(11);
    let from_rows = rounds(args, || read_present(&tree, count, Fill::Rows, || random.below(hot)));
    case.add("row-cache hit", "µs CPU a get", Goal::AtMost(1.5), from_rows?);
    let counters = tree.engine.rows.counters();
    case.notes.push(format!("Row cache: {} hits, {} misses.", counters.hits, counters.misses));
    let mut random = Random::new(12);
    let absent = rounds(args, || {
        let before = cpu::micros(Whose::Thread);
        for _ in 0..count {
            if tree.get(&absent_key(random.below(args.rows)), Fill::Rows)?.is_some() {
                return Err("a row that nobody wrote".to_owned());
            }
        }
        Ok(cpu::ratio(cpu::micros(Whose::Thread) - before, count))
    });
    case.add("absent key, filters resident", "µs CPU a get", Goal::AtMost(1.0), absent?);
    tree.close()?;
    from_blocks(args, set, &mut case, block_bytes)?;
    Ok(case)
}

fn from_blocks(args: &Args, set: &Path, case: &mut Case, block_bytes: usize) -> Outcome<()> {
    let tree = open(set, Sizes { rows: MIB, blocks: block_bytes, disk: 0, memtable: MEMTABLE })?;
    warm(&tree, args.rows)?;
    let count = args.operations;
    let mut random = Random::new(13);
    let hits = rounds(args, || read_present(&tree, count, Fill::Nothing, || random.below(args.rows)));
    case.add("block-cache hit", "µs CPU a get", Goal::AtMost(4.0), hits?);
    let filling = rounds(args, || read_present(&tree, count, Fill::Rows, || random.below(args.rows)));
    case.add("block-cache hit, left in a full row cache", "µs CPU a get", Goal::AtMost(4.0), filling?);
    let scans = count / 20;
    let scanning = rounds(args, || {
        let before = cpu::micros(Whose::Thread);
        for _ in 0..scans {
            scan(&tree, random.below(args.rows - 100), 10)?;
        }
        Ok(cpu::ratio(cpu::micros(Whose::Thread) - before, scans))
    });
    case.add("scan of 10 rows, blocks in memory", "µs CPU a scan", Goal::None, scanning?);
    let fetched = tree.engine.source.counters().store_fetches;
    case.notes.push(format!("Fetches from the store, warming included: {fetched}."));
    tree.close()
}

/// Blocks are on the local disk, and nearly none in memory.
pub fn disk(args: &Args, set: &Path) -> Outcome<Case> {
    let mut case = Case::new(
        "disk",
        "Point reads whose block is in the disk cache and not in memory, on an executor, as a node reads; CPU of the \
         whole process, which does nothing else.",
    );
    let disk_bytes = (args.rows * 600).max(128 << 20);
    let sizes = Sizes { rows: MIB, blocks: SMALL, disk: disk_bytes, memtable: MEMTABLE };
    let tree = open(set, sizes)?;
    fill_disk(&tree, args.rows)?;
    let count = args.operations / 10;
    let before = (tree.traffic().gets, tree.engine.source.counters().disk_loads);
    let executor = Executor::start()?;
    for (together, what) in
        [(1, "disk-cache read, one at a time"), (TOGETHER, "disk-cache read, 32 at a time")]
    {
        let mut seed = 21;
        let costs = rounds(args, || {
            seed += 1;
            let (engine, rows) = (Arc::clone(&tree.engine), args.rows);
            executor.run(move || read_from_disk(engine, rows, seed, count, together))
        });
        case.add(what, "µs CPU a get", Goal::AtMost(15.0), costs?);
    }
    executor.stop()?;
    let mut random = Random::new(21);
    let elsewhere = rounds(args, || {
        let before = cpu::micros(Whose::Process);
        for _ in 0..count {
            present(tree.get(&row_key(random.below(args.rows)), Fill::Nothing)?)?;
        }
        Ok(cpu::ratio(cpu::micros(Whose::Process) - before, count))
    });
    case.add(
        "the same from a thread that is no executor, one at a time",
        "µs CPU a get",
        Goal::None,
        elsewhere?,
    );
    case.add(
        "the same bytes by plain direct reads",
        "µs CPU a read",
        Goal::None,
        plain_reads(args, set, count, written(&tree))?,
    );
    let after = (tree.traffic().gets, tree.engine.source.counters().disk_loads);
    let reads = 3 * args.rounds as u64 * count;
    case.notes.push(format!(
        "{reads} reads: {} blocks from the disk cache, {} GET requests.",
        after.1 - before.1,
        after.0 - before.0
    ));
    tree.close()?;
    std::fs::remove_file(set.join("disk.cache")).map_err(|error| error.to_string())?;
    Ok(case)
}

/// Bytes of blocks in the disk cache.
fn written(tree: &Tree) -> u64 {
    tree.engine.source.disk().map_or(0, |disk| disk.counters().bytes)
}

/// What reading the cache's file costs whoever does it: a page-aligned read of 12 KiB, without a page cache, from the
/// first `written` bytes (what was only reserved costs the device nothing).
fn plain_reads(args: &Args, set: &Path, count: u64, written: u64) -> Outcome<Vec<f64>> {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    const PAGE: u64 = 4096;
    let failed = |error: std::io::Error| error.to_string();
    let path = set.join("disk.cache");
    let file = std::fs::File::options().read(true).custom_flags(libc::O_DIRECT).open(path).map_err(failed)?;
    let pages = (written / PAGE).saturating_sub(3).max(1);
    let mut memory = vec![0; 5 * 4096];
    let start = memory.as_ptr().align_offset(4096);
    let buffer = &mut memory[start..start + 3 * 4096];
    let mut random = Random::new(22);
    rounds(args, || {
        let before = cpu::micros(Whose::Process);
        for _ in 0..count {
            file.read_exact_at(buffer, random.below(pages) * PAGE).map_err(failed)?;
        }
        Ok(cpu::ratio(cpu::micros(Whose::Process) - before, count))
    })
}

/// Nothing but index and filter is at hand.
pub fn cold(args: &Args, set: &Path) -> Outcome<Case> {
    let mut case = Case::new(
        "cold",
        "Reads of random rows, whose blocks are in the store (a directory); a block cache for an eighth of the \
         rows, no disk cache; index and filter resident.",
    );
    let blocks = usize::try_from(args.rows * LOGICAL_BYTES / 8).unwrap_or(usize::MAX);
    let sizes = Sizes { rows: MIB, blocks, disk: 0, memtable: MEMTABLE };
    let tree = open(set, sizes)?;
    load_metas(&tree)?;
    let count = args.operations / 40;
    let mut random = Random::new(31);
    let (mut gets, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let (requests, before) = (tree.traffic().gets, cpu::micros(Whose::Process));
        for _ in 0..count {
            present(tree.get(&row_key(random.below(args.rows)), Fill::Nothing)?)?;
        }
        costs.push(cpu::ratio(cpu::micros(Whose::Process) - before, count));
        gets.push(float(tree.traffic().gets - requests) / float(count));
    }
    case.add("cold get", "GET requests a get", Goal::AtMost(1.02), gets);
    case.add("cold get", "µs CPU a get, store included", Goal::None, costs);
    let scans = count / 2;
    let scanning = rounds(args, || {
        let requests = tree.traffic().gets;
        for _ in 0..scans {
            scan(&tree, random.below(args.rows - 100), 10)?;
        }
        Ok(float(tree.traffic().gets - requests) / float(scans))
    });
    case.add("cold scan of 10 rows", "GET requests a scan", Goal::AtMost(1.3), scanning?);
    case.notes.push(tree.shape());
    tree.close()?;
    let mut first = Vec::new();
    for round in 0..args.rounds {
        let tree = open(set, sizes)?;
        let before = tree.traffic().gets;
        present(tree.get(&row_key(args.rows / 7 * (round as u64 % 7)), Fill::Nothing)?)?;
        first.push(float(tree.traffic().gets - before));
        tree.close()?;
    }
    case.add("first get with no index or filter", "GET requests", Goal::AtMost(3.0), first);
    Ok(case)
}

fn rounds(args: &Args, mut round: impl FnMut() -> Outcome<f64>) -> Outcome<Vec<f64>> {
    (0..args.rounds).map(|_| round()).collect()
}

fn present(row: Option<Bytes>) -> Outcome<()> {
    row.map(drop).ok_or_else(|| "a row is missing".to_owned())
}

fn read_present(tree: &Tree, count: u64, fill: Fill, mut next: impl FnMut() -> u64) -> Outcome<f64> {
    let mut result = Ok(());
    let cost = per_operation(Whose::Thread, count, || {
        result = (0..count).try_for_each(|_| present(tree.get(&row_key(next()), fill)?));
    });
    result.map(|()| cost)
}

/// CPU of the process for each of `count` reads of random rows, `together` of which wait at the same time.
async fn read_from_disk(
    engine: Arc<Engine>,
    rows: u64,
    seed: u64,
    count: u64,
    together: usize,
) -> Outcome<f64> {
    let (mut random, at) = (Random::new(seed), engine.views.visible());
    let engine = &engine;
    let reads = (0..count).map(|_| {
        let key = row_key(random.below(rows));
        async move {
            match reads::get(engine, || engine.state(), &key, at, Fill::Nothing) {
                Maybe::Ready(found) => found,
                Maybe::Wait(future) => future.await,
            }
        }
    });
    let before = cpu::micros(Whose::Process);
    let mut answers = stream::iter(reads).buffer_unordered(together);
    while let Some(answer) = answers.next().await {
        present(answer.map_err(|error| error.to_string())?)?;
    }
    Ok(cpu::ratio(cpu::micros(Whose::Process) - before, count))
}

/// Reads `rows` rows from the `n`-th on.
pub fn scan(tree: &Tree, n: u64, rows: usize) -> Outcome<()> {
    let range = Range {
        start: Bytes::copy_from_slice(&row_key(n)),
        end: Bytes::copy_from_slice(&row_key(n + rows as u64)),
    };
    let state = tree.engine.state();
    let (at, own) = (tree.engine.views.visible(), reads::Own::default());
    let mut scan = Scan::new(&tree.engine, &state, range, Direction::Forward, at, own);
    let mut out = Vec::with_capacity(rows);
    while out.len() < rows {
        let (before, left) = (out.len(), rows - out.len());
        match scan.next_batch(&mut out, left) {
            Maybe::Ready(done) => done.map_err(|error| error.to_string())?,
            Maybe::Wait(future) => block_on(future).map_err(|error| error.to_string())?,
        }
        if out.len() == before {
            return Err(format!("a scan of {rows} rows found {before}"));
        }
    }
    Ok(())
}

/// Loads index and filter of every table.
pub fn load_metas(tree: &Tree) -> Outcome<()> {
    let state = tree.engine.state();
    for table in state.manifest().tables() {
        block_on(tree.engine.source.load(Need::Meta(Arc::clone(table))))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Brings every block into memory, as far as there is room.
fn warm(tree: &Tree, rows: u64) -> Outcome<()> {
    load_metas(tree)?;
    // A block has at least 30 rows.
    (0..rows).step_by(15).try_for_each(|n| present(tree.get(&row_key(n), Fill::Nothing)?))
}

/// Brings every block into the disk cache.
fn fill_disk(tree: &Tree, rows: u64) -> Outcome<()> {
    load_metas(tree)?;
    let Some(disk) = tree.engine.source.disk() else { return Err("there is no disk cache".to_owned()) };
    for (read, n) in (0..rows).step_by(15).enumerate() {
        present(tree.get(&row_key(n), Fill::Nothing)?)?;
        if read % 1_000 == 0 {
            disk.flush();
        }
    }
    disk.flush();
    Ok(())
}
