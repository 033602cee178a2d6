//! What the storage engine costs by itself: CPU an operation, requests and bytes to the store.
//!
//! It runs the writer's own parts (engine, publisher, maintenance) over a store in a directory, without SQL,
//! clients and commit log. Each case prints its figures and writes them to `perf/results`.

mod args;
mod cases;
mod cpu;
mod data;
mod executor;
mod load;
mod memory_store;
mod report;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::{Args, HELP, StoreKind};
use crate::cases::{beside, compaction, open, reads, writes};
use crate::report::Case;
use crate::tree::{Outcome, Sizes, Tree};

#[global_allocator]
static ALLOCATOR: jemallocator::Jemalloc = jemallocator::Jemalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match Args::parse(&words) {
        Ok(Some(args)) => run(&args),
        Ok(None) => {
            print!("{HELP}");
            Ok(())
        }
        Err(text) => Err(text),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("engine-bench: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Outcome<()> {
    let machine = report::machine();
    println!("{machine}");
    std::fs::create_dir_all(&args.dir).map_err(|error| format!("{}: {error}", args.dir.display()))?;
    if args.store == StoreKind::Sim {
        tree::simulate_stores(args.seed);
    }
    let mut set = DataSet { args, dir: args.dir.join("set"), is_built: false };
    for name in ["compaction", "ingest", "update", "beside", "compacting", "memory", "disk", "cold", "open"] {
        if !args.wants(name) {
            continue;
        }
        println!("{name}");
        let case = measure(name, args, &mut set)?;
        report::write(args, &machine, &case)?;
    }
    set.remove()
}

fn measure(name: &str, args: &Args, set: &mut DataSet) -> Outcome<Case> {
    match name {
        "compaction" => compaction::compaction(args),
        "ingest" => writes::ingest(args),
        "update" => writes::update(args),
        "beside" => beside::beside(args),
        "compacting" => beside::compacting(args),
        "memory" => reads::memory(args, set.built()?),
        "disk" => reads::disk(args, set.built()?),
        "cold" => reads::cold(args, set.built()?),
        "open" => open::open(args),
        _ => Err(format!("there is no case {name}")),
    }
}

/// The set that the reading cases share, made when the first of them asks for it.
struct DataSet<'a> {
    args: &'a Args,
    dir: PathBuf,
    is_built: bool,
}

impl DataSet<'_> {
    fn built(&mut self) -> Outcome<&Path> {
        if !self.is_built {
            let sizes = Sizes { rows: 1 << 20, blocks: 64 << 20, disk: 0, memtable: 64 << 20 };
            let mut tree = Tree::open(&self.dir, sizes)?;
            load::load_all(&mut tree, self.args.rows)?;
            tree.close()?;
            self.is_built = true;
        }
        Ok(&self.dir)
    }

    fn remove(&self) -> Outcome<()> {
        if self.is_built {
            crate::tree::remove(&self.dir)?;
        }
        Ok(())
    }
}
