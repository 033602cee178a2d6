//! Point reads beside flush and compaction.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use aquifer_shard::affinity::{self, Urgency};
use aquifer_shard::reads::Fill;

use crate::args::Args;
use crate::cases::reads::{MIB, load_metas};
use crate::cpu::float;
use crate::data::{LOGICAL_BYTES, Random, row_key};
use crate::load::{burst, load, load_all};
use crate::report::{Case, Goal};
use crate::tree::{Outcome, Sizes, Tree};

/// Seconds of reading alone, before anything else begins.
const ALONE: usize = 4;
const HOT_ROWS: u64 = 10_000;
/// Memtables of a burst: as many runs of level 0 are compacted.
const BURST_MEMTABLES: usize = 4;
const BURST_MEMTABLE: usize = 32 * MIB;

/// One thread reads hot rows all the time; another writes so much that compaction never rests.
pub fn beside(args: &Args) -> Outcome<Case> {
    let mut case = Case::new(
        "beside",
        "One thread reads rows that are in the row cache, another writes unique keys as fast as it can, and flush \
         and compaction run on the bulk lane. Reads in a second while all of this goes on, against a second \
         without it.",
    );
    let dir = args.dir.join("beside");
    let sizes = Sizes { rows: 256 * MIB, blocks: 256 * MIB, disk: 0, memtable: 16 * MIB };
    let mut tree = Tree::open(&dir, sizes)?;
    let mut next = 0;
    let mut unique = || {
        next += 1;
        next
    };
    load(&mut tree, args.rows / 4, 1, &mut unique)?;
    read_hot(&tree)?;
    let writing = |tree: &mut Tree| load(tree, args.rows, 2, &mut unique).map(drop);
    let (ratios, alone) = beside_work(&mut tree, |_| Ok(()), writing)?;
    add(&mut case, ratios, alone);
    case.notes.push("Needs a core each for the reader and the writer; elapsed time.".to_owned());
    tree.close()?;
    crate::tree::remove(&dir)?;
    Ok(case)
}

/// One thread reads hot rows all the time; nothing else goes on but the compaction that a burst of updates has left.
pub fn compacting(args: &Args) -> Outcome<Case> {
    let mut case = Case::new(
        "compacting",
        "One thread reads rows that are in the row cache. Four memtables of updates of random rows have just been \
         written; reads in a second from then on until nothing is left to flush and to compact, against a second in \
         which nothing else goes on.",
    );
    let dir = args.dir.join("compacting");
    let sizes = Sizes { rows: 256 * MIB, blocks: 256 * MIB, disk: 0, memtable: BURST_MEMTABLE };
    let mut tree = Tree::open(&dir, sizes)?;
    load_all(&mut tree, args.rows)?;
    read_hot(&tree)?;
    let updates = (BURST_MEMTABLES * BURST_MEMTABLE) as u64 / LOGICAL_BYTES;
    let (mut random, mut all, mut speeds) = (Random::new(9), Vec::new(), Vec::new());
    for round in 0..args.rounds as u64 {
        let written = |tree: &mut Tree| burst(tree, updates, 2 + round, || random.below(args.rows));
        let (ratios, alone) = beside_work(&mut tree, written, |tree| tree.settle())?;
        all.extend(ratios);
        speeds.push(alone);
        case.notes.push(tree.shape());
    }
    add(&mut case, all, speeds.iter().sum::<f64>() / float(speeds.len() as u64));
    case.notes.push("Needs a core each for the reader and the compaction; elapsed time.".to_owned());
    tree.close()?;
    crate::tree::remove(&dir)?;
    Ok(case)
}

fn add(case: &mut Case, ratios: Vec<f64>, alone: f64) {
    let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    case.add("reads in the worst second against those alone", "", Goal::AtLeast(0.9), vec![worst]);
    case.notes.push(format!("{} whole seconds; alone {alone:.0} reads a second.", ratios.len()));
    case.add("reads in each second against those alone", "", Goal::None, ratios);
}

/// Brings the hot rows into the row cache.
fn read_hot(tree: &Tree) -> Outcome<()> {
    load_metas(tree)?;
    (1..=HOT_ROWS).try_for_each(|n| tree.get(&row_key(n), Fill::Rows).map(drop))
}

/// Reads in each whole second of `work`, which comes after `before`, against a second before both, and how many those
/// are.
fn beside_work(
    tree: &mut Tree,
    before: impl FnOnce(&mut Tree) -> Outcome<()>,
    work: impl FnOnce(&mut Tree) -> Outcome<()> + Send,
) -> Outcome<(Vec<f64>, f64)> {
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        start_reader(scope, tree, &stop, &reads);
        let alone = rates(&reads, |seconds| seconds < ALONE);
        let alone = alone.iter().sum::<f64>() / float(alone.len() as u64);
        let working = AtomicBool::new(true);
        let found = before(tree).and_then(|()| {
            std::thread::scope(|inner| {
                let observer = inner.spawn(|| rates(&reads, |_| working.load(Ordering::Relaxed)));
                let worked = work(tree);
                working.store(false, Ordering::Relaxed);
                let rates = observer.join().map_err(|_| "the observer has panicked".to_owned());
                worked.and(rates)
            })
        });
        stop.store(true, Ordering::Relaxed);
        let mut rates = found?;
        // The last second was not one of work to its end.
        rates.pop();
        if rates.is_empty() {
            return Err("it took no whole second: more rows are needed".to_owned());
        }
        Ok((rates.into_iter().map(|rate| rate / alone).collect(), alone))
    })
}

fn start_reader<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    tree: &Tree,
    stop: &'scope AtomicBool,
    reads: &'scope AtomicU64,
) {
    let engine = tree.engine.clone();
    scope.spawn(move || {
        // As urgent as the threads that serve clients.
        affinity::set_urgency(Urgency::Executor);
        let mut random = Random::new(3);
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..64 {
                let key = row_key(1 + random.below(HOT_ROWS));
                std::hint::black_box(engine.rows.get(&key, engine.views.visible()));
            }
            reads.fetch_add(64, Ordering::Relaxed);
        }
    });
}

/// Reads a second, in each second that begins while `goes_on` says so of the seconds before it.
fn rates(reads: &AtomicU64, goes_on: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut rates = Vec::new();
    while goes_on(rates.len()) {
        let (begun, before) = (Instant::now(), reads.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_secs(1));
        let done = float(reads.load(Ordering::Relaxed) - before);
        rates.push(done / begun.elapsed().as_secs_f64());
    }
    rates
}
