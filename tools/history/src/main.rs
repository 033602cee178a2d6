//! `aquifer-history --level LEVEL FILE…`: checks recorded histories; fails when there is what the level forbids.

use std::collections::BTreeMap;
use std::process::ExitCode;

use aquifer_history::anomaly::{Kind, Level};
use aquifer_history::{check, history};

const USAGE: &str =
    "aquifer-history --level read-uncommitted|read-committed|repeatable-read|snapshot|serializable FILE…";

/// Anomalies that are told in words.
const TOLD_MAX: usize = 20;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.as_slice() {
        [option, level, files @ ..] if option == "--level" && !files.is_empty() => run(level, files),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// The number of forbidden anomalies in all files.
fn run(level: &str, files: &[String]) -> Result<usize, String> {
    let level = Level::named(level).ok_or(USAGE)?;
    let mut forbidden = 0;
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        let txns = history::parse(&text).map_err(|error| format!("{file}: {error}"))?;
        let found = check::anomalies(&txns);
        let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
        for anomaly in &found {
            *counts.entry(anomaly.kind).or_default() += 1;
        }
        let bad: Vec<_> = found.iter().filter(|anomaly| level.forbids(anomaly)).collect();
        let committed = txns.iter().filter(|txn| txn.committed()).count();
        let kinds: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        println!(
            "{file}: {} transactions, {committed} committed; found: {}; forbidden: {}",
            txns.len(),
            if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") },
            bad.len()
        );
        for anomaly in bad.iter().take(TOLD_MAX) {
            println!("  {} ({:?}): {}", anomaly.kind, anomaly.readers, anomaly.detail);
        }
        forbidden += bad.len();
    }
    Ok(forbidden)
}
