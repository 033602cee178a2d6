//! The cases that SlateDB and Aquifer's engine have in common.

use futures_util::{StreamExt, stream};

use crate::Outcome;
use crate::args::Args;
use crate::cpu::{self, Whose, float};
use crate::data::{LOGICAL_BYTES, Random, absent_key, fill_row, row_key};
use crate::peer::{Load, Sizes, Stored, get, scan};
use crate::report::{Case, Goal};

/// Rounds of loads: each takes long.
const LOADS_MAX: usize = 3;
const MIB: u64 = 1 << 20;
/// Reads that wait at the same time, in the figures that say so.
const TOGETHER: usize = 32;

/// Measures a case by its name.
pub async fn measure(name: &str, args: &Args) -> Outcome<Case> {
    match name {
        "ingest" => ingest(args).await,
        "update" => update(args).await,
        "memory" => memory(args).await,
        "disk" => disk(args).await,
        "cold" => cold(args).await,
        _ => Err(format!("there is no case {name}")),
    }
}

async fn ingest(args: &Args) -> Outcome<Case> {
    let mut case =
        Case::new("ingest", "SlateDB: unique keys in a random order into an empty store, 16 rows a write.");
    let mut loads = Vec::new();
    for _ in 0..args.rounds.min(LOADS_MAX) {
        let stored = Stored::new(args.seed)?;
        let db = stored.open(&Sizes { blocks: 64 * MIB, disk: None }).await?;
        loads.push(stored.load_all(&db, args.rows).await?);
        db.close().await.map_err(crate::peer::text)?;
    }
    add(&mut case, args, &loads);
    Ok(case)
}

async fn update(args: &Args) -> Outcome<Case> {
    let mut case = Case::new(
        "update",
        "SlateDB: updates of random rows of a settled set, twice as many as there are rows.",
    );
    let stored = Stored::new(args.seed)?;
    let db = stored.open(&Sizes { blocks: 64 * MIB, disk: None }).await?;
    stored.load_all(&db, args.rows).await?;
    let mut loads = Vec::new();
    for round in 0..args.rounds.min(LOADS_MAX) as u64 {
        let mut random = Random::new(77 + round);
        loads.push(stored.load(&db, args.rows * 2, 2 + round, || random.below(args.rows)).await?);
    }
    let stored_mib = stored.stored_bytes() / MIB;
    case.notes.push(format!(
        "{stored_mib} MiB in the store at the end, {} MiB of rows.",
        args.rows * LOGICAL_BYTES / MIB
    ));
    db.close().await.map_err(crate::peer::text)?;
    add(&mut case, args, &loads);
    Ok(case)
}

fn add(case: &mut Case, args: &Args, loads: &[Load]) {
    let making = generation_us(args.rows.min(100_000));
    let all = |figure: fn(&Load) -> f64| loads.iter().map(figure).collect::<Vec<f64>>();
    case.add("CPU a put, compaction included", "µs", Goal::None, {
        loads.iter().map(|load| load.cpu_us - making).collect()
    });
    case.add("bytes PUT for each logical byte", "", Goal::None, all(|load| load.put_ratio));
    case.add("rows a second", "1/s", Goal::None, all(|load| load.rows_per_second));
    case.notes.push(format!("Making a row costs {making:.2} µs, which is taken off."));
}

fn generation_us(count: u64) -> f64 {
    let (mut random, mut value) = (Random::new(1), Vec::new());
    cpu::per_operation(Whose::Thread, count, || {
        for _ in 0..count {
            fill_row(&mut random, &mut value);
            std::hint::black_box(&value);
        }
    })
}

/// A store with every row, closed.
async fn set(args: &Args) -> Outcome<Stored> {
    let stored = Stored::new(args.seed)?;
    let db = stored.open(&Sizes { blocks: 64 * MIB, disk: None }).await?;
    stored.load_all(&db, args.rows).await?;
    db.close().await.map_err(crate::peer::text)?;
    Ok(stored)
}

/// Asks for keys that nobody wrote, after every block has been read once.
async fn memory(args: &Args) -> Outcome<Case> {
    let mut case =
        Case::new("memory", "SlateDB: point reads whose blocks are in memory; CPU of the process.");
    let stored = set(args).await?;
    let db = stored.open(&Sizes { blocks: (args.rows * 700).max(64 * MIB), disk: None }).await?;
    for n in (0..args.rows).step_by(15) {
        get(&db, &row_key(n)).await?.ok_or("a row is missing")?;
    }
    let count = args.operations;
    let mut random = Random::new(12);
    let mut costs = Vec::new();
    for _ in 0..args.rounds {
        let before = cpu::micros(Whose::Process);
        for _ in 0..count {
            if get(&db, &absent_key(random.below(args.rows))).await?.is_some() {
                return Err("a row that nobody wrote".to_owned());
            }
        }
        costs.push(cpu::ratio(cpu::micros(Whose::Process) - before, count));
    }
    case.add("absent key, filters resident", "µs CPU a get", Goal::None, costs);
    let (mut random, mut costs) = (Random::new(13), Vec::new());
    for _ in 0..args.rounds {
        let before = cpu::micros(Whose::Process);
        for _ in 0..count {
            get(&db, &row_key(random.below(args.rows))).await?.ok_or("a row is missing")?;
        }
        costs.push(cpu::ratio(cpu::micros(Whose::Process) - before, count));
    }
    case.add("block-cache hit", "µs CPU a get", Goal::None, costs);
    db.close().await.map_err(crate::peer::text)?;
    Ok(case)
}

/// Blocks are in the cache on disk and nearly none in memory.
async fn disk(args: &Args) -> Outcome<Case> {
    let mut case =
        Case::new("disk", "SlateDB: point reads whose part is in its cache on disk; CPU of the process.");
    let stored = set(args).await?;
    let folder = args.dir.join("slatedb-parts");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let db = stored.open(&Sizes { blocks: MIB, disk: Some(folder.clone()) }).await?;
    for n in (0..args.rows).step_by(15) {
        get(&db, &row_key(n)).await?.ok_or("a row is missing")?;
    }
    let (count, before) = (args.operations / 10, stored.gets());
    let (mut random, mut costs) = (Random::new(21), Vec::new());
    for _ in 0..args.rounds {
        let before = cpu::micros(Whose::Process);
        for _ in 0..count {
            get(&db, &row_key(random.below(args.rows))).await?.ok_or("a row is missing")?;
        }
        costs.push(cpu::ratio(cpu::micros(Whose::Process) - before, count));
    }
    case.add("disk-cache read, one at a time", "µs CPU a get", Goal::None, costs);
    let mut costs = Vec::new();
    for _ in 0..args.rounds {
        let before = cpu::micros(Whose::Process);
        let keys: Vec<_> = (0..count).map(|_| row_key(random.below(args.rows))).collect();
        let mut answers = stream::iter(keys.iter().map(|key| get(&db, key))).buffer_unordered(TOGETHER);
        while let Some(row) = answers.next().await {
            row?.ok_or("a row is missing")?;
        }
        costs.push(cpu::ratio(cpu::micros(Whose::Process) - before, count));
    }
    case.add("disk-cache read, 32 at a time", "µs CPU a get", Goal::None, costs);
    case.notes.push(format!("{} GET requests meanwhile.", stored.gets() - before));
    db.close().await.map_err(crate::peer::text)?;
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    Ok(case)
}

/// Nothing but index and filter is at hand.
async fn cold(args: &Args) -> Outcome<Case> {
    let mut case = Case::new(
        "cold",
        "SlateDB: reads of random rows whose blocks are in the store; a block cache for an eighth of the rows, index \
         and filter resident.",
    );
    let stored = set(args).await?;
    let db = stored.open(&Sizes { blocks: args.rows * LOGICAL_BYTES / 8, disk: None }).await?;
    // Enough rows for the index and filter of every table to be read.
    let (count, mut random) = (args.operations / 40, Random::new(31));
    for _ in 0..count.min(500) {
        get(&db, &row_key(random.below(args.rows))).await?.ok_or("a row is missing")?;
    }
    let (mut gets, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let (requests, before) = (stored.gets(), cpu::micros(Whose::Process));
        for _ in 0..count {
            get(&db, &row_key(random.below(args.rows))).await?.ok_or("a row is missing")?;
        }
        costs.push(cpu::ratio(cpu::micros(Whose::Process) - before, count));
        gets.push(float(stored.gets() - requests) / float(count));
    }
    case.add("cold get", "GET requests a get", Goal::None, gets);
    case.add("cold get", "µs CPU a get, store included", Goal::None, costs);
    let (scans, mut gets) = (count / 2, Vec::new());
    for _ in 0..args.rounds {
        let requests = stored.gets();
        for _ in 0..scans {
            scan(&db, random.below(args.rows - 100), 10).await?;
        }
        gets.push(float(stored.gets() - requests) / float(scans));
    }
    case.add("cold scan of 10 rows", "GET requests a scan", Goal::None, gets);
    db.close().await.map_err(crate::peer::text)?;
    Ok(case)
}
