//! Point reads beside flush and compaction.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use aquifer_shard::affinity::{self, Urgency};
use aquifer_shard::reads::Fill;

use crate::args::Args;
use crate::cases::reads::{MIB, load_metas};
use crate::cpu::{self, Whose, float};
use crate::data::{KEY_BYTES, LOGICAL_BYTES, ROW_BYTES, Random, row_key};
use crate::load::{burst, load, load_all};
use crate::report::{Case, Goal};
use crate::tree::{Outcome, Sizes, Tree};

/// Seconds of reading alone, before anything else begins.
const ALONE: usize = 4;
const HOT_ROWS: u64 = 10_000;
/// Lines of the processor's caches that as much memory has as the hot rows.
const HOT_LINES: usize = 10_000 * (ROW_BYTES + KEY_BYTES) / LINE_BYTES;
/// Reads between two looks at the clock.
const READS_AT_ONCE: u64 = 1_024;
/// Bytes between two reads of plain memory: a line of the processor's caches.
const LINE_BYTES: usize = 64;
/// Seconds of plain reads beside plain copying.
const COPYING: Duration = Duration::from_secs(6);
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
    let (seconds, alone) = beside_work(hot_rows(&tree), &mut tree, |_| Ok(()), writing)?;
    add(&mut case, seconds, alone);
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
    let (mut random, mut all, mut before) = (Random::new(9), Vec::new(), Vec::new());
    for round in 0..args.rounds as u64 {
        let written = |tree: &mut Tree| burst(tree, updates, 2 + round, || random.below(args.rows));
        let (seconds, alone) = beside_work(hot_rows(&tree), &mut tree, written, |tree| tree.settle())?;
        all.extend(seconds);
        before.push(alone);
        case.notes.push(tree.shape());
    }
    add(&mut case, all, Second::mean(&before));
    let copying = |(): &mut ()| {
        copy_memory();
        Ok(())
    };
    let (seconds, alone) = beside_work(plain_reads(), &mut (), |()| Ok(()), copying)?;
    let plain = seconds.iter().map(|second| second.reads / alone.reads).collect();
    case.add("plain reads of as much memory, beside a thread that copies memory", "", Goal::None, plain);
    case.notes.push("Needs a core each for the reader and the compaction; elapsed time.".to_owned());
    tree.close()?;
    crate::tree::remove(&dir)?;
    Ok(case)
}

fn add(case: &mut Case, seconds: Vec<Second>, alone: Second) {
    let ratios = |figure: fn(&Second) -> f64| -> Vec<f64> {
        seconds.iter().map(|second| figure(second) / figure(&alone)).collect()
    };
    let by_clock = ratios(|second| second.reads);
    let worst = by_clock.iter().copied().fold(f64::INFINITY, f64::min);
    case.add("reads in the worst second against those alone", "", Goal::AtLeast(0.9), vec![worst]);
    case.add("reads in each second against those alone", "", Goal::None, by_clock);
    let by_cpu = ratios(|second| second.reads / second.cpu);
    case.add("the same for a second of the reader's CPU", "", Goal::None, by_cpu);
    let had = seconds.iter().map(|second| second.cpu).collect();
    case.add("the reader's part of a core", "", Goal::None, had);
    case.notes.push(format!(
        "{} whole seconds. Alone: {:.0} reads a second with {:.2} of a core.",
        seconds.len(),
        alone.reads,
        alone.cpu
    ));
}

/// What the reader did in a second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    /// Reads.
    reads: f64,
    /// Seconds of CPU that it had.
    cpu: f64,
}

impl Second {
    fn mean(all: &[Self]) -> Self {
        let sum = |figure: fn(&Self) -> f64| all.iter().map(figure).sum::<f64>() / float(all.len() as u64);
        Self { reads: sum(|second| second.reads), cpu: sum(|second| second.cpu) }
    }
}

/// What the reader counts as it goes.
#[derive(Debug, Default)]
struct Progress {
    reads: AtomicU64,
    cpu_us: AtomicU64,
}

/// Brings the hot rows into the row cache.
fn read_hot(tree: &Tree) -> Outcome<()> {
    load_metas(tree)?;
    (1..=HOT_ROWS).try_for_each(|n| tree.get(&row_key(n), Fill::Rows).map(drop))
}

/// A read of a hot row from the row cache.
fn hot_rows(tree: &Tree) -> impl FnMut() + Send + use<> {
    let (engine, mut random) = (tree.engine.clone(), Random::new(3));
    move || {
        let key = row_key(1 + random.below(HOT_ROWS));
        std::hint::black_box(engine.rows.get(&key, engine.views.visible()));
    }
}

/// A read of memory of the hot rows' size, at a place that the read before it names: what the machine's caches and
/// memory do to a reader when another core uses them, whatever program runs.
fn plain_reads() -> impl FnMut() + Send {
    let words = LINE_BYTES / size_of::<usize>();
    // A cycle through every line in a random order (Sattolo's shuffle).
    let mut memory = vec![0; HOT_LINES * words];
    (0..HOT_LINES).for_each(|line| memory[line * words] = line * words);
    let mut random = Random::new(5);
    for line in (1..HOT_LINES).rev() {
        let other = usize::try_from(random.below(line as u64)).unwrap_or(0);
        memory.swap(line * words, other * words);
    }
    let mut place = 0;
    move || place = std::hint::black_box(memory[place])
}

/// Copies memory that no cache holds, over and over.
fn copy_memory() {
    let (from, mut to) = (vec![1_u8; 64 * MIB], vec![0_u8; 64 * MIB]);
    let begun = Instant::now();
    while begun.elapsed() < COPYING {
        std::hint::black_box(&mut to).copy_from_slice(&from);
    }
}

/// What `read` does in each whole second of `work`, which comes after `before`, against a second before both, and what
/// it does in that.
fn beside_work<T>(
    read: impl FnMut() + Send,
    with: &mut T,
    before: impl FnOnce(&mut T) -> Outcome<()>,
    work: impl FnOnce(&mut T) -> Outcome<()>,
) -> Outcome<(Vec<Second>, Second)> {
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    std::thread::scope(|scope| {
        start_reader(scope, read, &stop, &progress);
        let alone = Second::mean(&watch(&progress, |seconds| seconds < ALONE));
        let working = AtomicBool::new(true);
        let found = before(with).and_then(|()| {
            std::thread::scope(|inner| {
                let observer = inner.spawn(|| watch(&progress, |_| working.load(Ordering::Relaxed)));
                let worked = work(with);
                working.store(false, Ordering::Relaxed);
                let seconds = observer.join().map_err(|_| "the observer has panicked".to_owned());
                worked.and(seconds)
            })
        });
        stop.store(true, Ordering::Relaxed);
        let mut seconds = found?;
        // The last second was not one of work to its end.
        seconds.pop();
        if seconds.is_empty() {
            return Err("it took no whole second: more rows are needed".to_owned());
        }
        Ok((seconds, alone))
    })
}

fn start_reader<'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut read: impl FnMut() + Send + 'scope,
    stop: &'scope AtomicBool,
    progress: &'scope Progress,
) {
    scope.spawn(move || {
        // As urgent as the threads that serve clients.
        affinity::set_urgency(Urgency::Executor);
        while !stop.load(Ordering::Relaxed) {
            (0..READS_AT_ONCE).for_each(|_| read());
            progress.reads.fetch_add(READS_AT_ONCE, Ordering::Relaxed);
            progress.cpu_us.store(whole(cpu::micros(Whose::Thread)), Ordering::Relaxed);
        }
    });
}

/// What the reader does in each second that begins while `goes_on` says so of the seconds before it.
fn watch(progress: &Progress, goes_on: impl Fn(usize) -> bool) -> Vec<Second> {
    let now = || (progress.reads.load(Ordering::Relaxed), progress.cpu_us.load(Ordering::Relaxed));
    let mut seconds = Vec::new();
    while goes_on(seconds.len()) {
        let (begun, before) = (Instant::now(), now());
        std::thread::sleep(Duration::from_secs(1));
        let (after, elapsed) = (now(), begun.elapsed().as_secs_f64());
        seconds.push(Second {
            reads: float(after.0 - before.0) / elapsed,
            cpu: float(after.1 - before.1) / 1e6 / elapsed,
        });
    }
    seconds
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> u64 {
    number as u64
}
