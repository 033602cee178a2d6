//! What SlateDB costs by itself, on the store, the rows and the figures of `perf/engine`.
//!
//! The same simulated S3 (real time, same profile, same seed), the same keys and rows in the same order, LZ4 in
//! both, a memtable of 64 MiB in both, no write waits until it is durable in either. Figures have the names that
//! `engine-bench` gives them, in files of the same shape.

#[path = "../../engine/src/args.rs"]
#[allow(dead_code)]
mod args;
mod bridge;
mod cases;
#[path = "../../engine/src/cpu.rs"]
#[allow(dead_code)]
mod cpu;
#[path = "../../engine/src/data.rs"]
#[allow(dead_code)]
mod data;
mod peer;
#[path = "../../engine/src/report.rs"]
#[allow(dead_code)]
mod report;

use std::process::ExitCode;

use crate::args::Args;

/// Anything that goes wrong ends the measurement.
pub type Outcome<T> = Result<T, String>;

#[global_allocator]
static ALLOCATOR: jemallocator::Jemalloc = jemallocator::Jemalloc;

const HELP: &str = "\
slatedb-bench: SlateDB on the simulated store of engine-bench --store sim

  --case A,B       cases: memory, disk, cold, ingest, update (default: all)
  --rows, --rounds, --operations, --seed, --dir, --results, --name: as for engine-bench
";

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
            eprintln!("slatedb-bench: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let machine = report::machine();
    println!("{machine}");
    for name in ["ingest", "update", "memory", "disk", "cold"] {
        if args.wants(name) {
            println!("{name}");
            let mut case = runtime.block_on(cases::measure(name, args))?;
            case.notes.push(peer::ABOUT.to_owned());
            report::write(args, &machine, &case)?;
        }
    }
    Ok(())
}
