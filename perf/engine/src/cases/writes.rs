//! Ingest of unique keys, and updates of a set that is there.

use crate::args::Args;
use crate::cases::reads::MIB;
use crate::data::Random;
use crate::load::{Load, generation_us, load, load_all};
use crate::report::{Case, Goal};
use crate::tree::{Outcome, Sizes, Tree};

const SIZES: Sizes = Sizes { rows: 16 * MIB, blocks: 64 * MIB, disk: 0, memtable: 64 * MIB };

/// Rounds of loads: each takes many seconds, and has many seconds inside.
const LOADS_MAX: usize = 3;

/// Unique keys in a random order into an empty store.
pub fn ingest(args: &Args) -> Outcome<Case> {
    let mut case = Case::new(
        "ingest",
        "Unique keys in a random order into an empty store; transactions of one row, 16 a group; links, flushes \
         and compactions until nothing is left to do. CPU of the process, with its store, and with one in \
         memory, which costs nothing.",
    );
    let (mut loads, mut engine_alone) = (Vec::new(), Vec::new());
    for round in 0..args.rounds.min(LOADS_MAX) {
        let dir = args.dir.join(format!("ingest-{round}"));
        let mut tree = Tree::open(&dir, SIZES)?;
        loads.push(load_all(&mut tree, args.rows)?);
        case.notes.push(tree.shape());
        tree.close()?;
        crate::tree::remove(&dir)?;
        let mut tree = Tree::in_memory(&dir, SIZES)?;
        engine_alone.push(load_all(&mut tree, args.rows)?.cpu_us);
        tree.close()?;
    }
    add(&mut case, args, &loads, Goal::AtMost(3.5));
    let making = generation_us(args.rows.min(100_000));
    let net = engine_alone.into_iter().map(|cost| cost - making).collect();
    case.add("CPU a put, compaction included, store in memory", "µs", Goal::AtMost(8.0), net);
    Ok(case)
}

/// As many updates of random rows as there are rows.
pub fn update(args: &Args) -> Outcome<Case> {
    let mut case = Case::new(
        "update",
        "Updates of random rows of a settled set, twice as many as there are rows; groups as in `ingest`.",
    );
    let dir = args.dir.join("update");
    let mut tree = Tree::open(&dir, SIZES)?;
    load_all(&mut tree, args.rows)?;
    let mut loads = Vec::new();
    for round in 0..args.rounds.min(LOADS_MAX) {
        let mut random = Random::new(77 + round as u64);
        loads.push(load(&mut tree, args.rows * 2, 2 + round as u64, || random.below(args.rows))?);
        case.notes.push(tree.shape());
    }
    tree.close()?;
    crate::tree::remove(&dir)?;
    add(&mut case, args, &loads, Goal::AtMost(4.0));
    Ok(case)
}

fn add(case: &mut Case, args: &Args, loads: &[Load], amplification: Goal) {
    let making = generation_us(args.rows.min(100_000));
    let all = |figure: fn(&Load) -> f64| loads.iter().map(figure).collect::<Vec<f64>>();
    let net: Vec<f64> = loads.iter().map(|load| load.cpu_us - making).collect();
    let is_ingest = case.name == "ingest";
    let when = |goal| if is_ingest { goal } else { Goal::None };
    case.add("CPU a put, compaction and the store included", "µs", Goal::None, net);
    case.add("of it on the committing thread", "µs", Goal::None, {
        loads.iter().map(|load| load.commit_cpu_us - making).collect()
    });
    case.add("bytes PUT for each logical byte", "", amplification, all(|load| load.put_ratio));
    case.add("rows a second", "1/s", Goal::None, all(|load| load.rows_per_second));
    case.add("worst second against the mean", "", when(Goal::AtLeast(0.7)), all(|load| load.worst_second));
    case.add("slowest put", "ms", when(Goal::AtMost(50.0)), all(|load| load.slowest_put_ms));
    case.notes.push(format!("Making a row costs {making:.2} µs, which is taken off."));
}
