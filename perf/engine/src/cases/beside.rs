//! Point reads beside flush and compaction.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aquifer_shard::reads::Fill;

use crate::args::Args;
use crate::cases::reads::{MIB, load_metas};
use crate::cpu::float;
use crate::data::{Random, row_key};
use crate::load::load;
use crate::report::{Case, Goal};
use crate::tree::{Outcome, Sizes, Tree};

/// Seconds of reading alone, before the writes begin.
const ALONE: usize = 4;

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
    load(&mut tree, args.rows / 4, 1, || {
        next += 1;
        next
    })?;
    load_metas(&tree)?;
    let hot = 10_000;
    (1..=hot).try_for_each(|n| tree.get(&row_key(n), Fill::Rows).map(drop))?;
    let (ratios, alone) = measure(&mut tree, args, hot, next)?;
    let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    case.add("reads in the worst second against those alone", "", Goal::AtLeast(0.9), vec![worst]);
    case.add("reads in each second against those alone", "", Goal::None, ratios);
    case.notes.push(format!("Alone: {alone:.0} reads a second."));
    case.notes.push(
        "Needs a core each for the reader and the writer and a machine that does nothing else; elapsed time."
            .to_owned(),
    );
    tree.close()?;
    crate::tree::remove(&dir)?;
    Ok(case)
}

fn measure(tree: &mut Tree, args: &Args, hot: u64, first: u64) -> Outcome<(Vec<f64>, f64)> {
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let engine = tree.engine.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(3);
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..64 {
                    let key = row_key(1 + random.below(hot));
                    std::hint::black_box(engine.rows.get(&key, engine.views.visible()));
                }
                reads.fetch_add(64, Ordering::Relaxed);
            }
        });
        let seconds = |count: usize, writing: &AtomicBool| -> Vec<f64> {
            let mut rates = Vec::new();
            while rates.len() < count && writing.load(Ordering::Relaxed) {
                let (begun, before) = (Instant::now(), reads.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_secs(1));
                let done = float(reads.load(Ordering::Relaxed) - before);
                rates.push(done / begun.elapsed().as_secs_f64());
            }
            rates
        };
        let always = AtomicBool::new(true);
        let alone = seconds(ALONE, &always);
        let alone = alone.iter().sum::<f64>() / float(alone.len() as u64);
        let writing = AtomicBool::new(true);
        let result = std::thread::scope(|inner| {
            let observer = inner.spawn(|| seconds(usize::MAX, &writing));
            let mut next = first;
            let loaded = load(tree, args.rows, 2, || {
                next += 1;
                next
            });
            writing.store(false, Ordering::Relaxed);
            let rates = observer.join().map_err(|_| "the observer has panicked".to_owned())?;
            loaded.map(|_| rates)
        });
        stop.store(true, Ordering::Relaxed);
        Ok((result?.into_iter().map(|rate| rate / alone).collect(), alone))
    })
}
