//! The caches of a node: what is in the disk cache's file and, from a running node, how often each tier had the
//! answer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use aquifer_cache::{DiskSurvey, survey};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_types::ErrorKind;

use super::client::{Client, Login};
use super::text::{Align, Columns, bytes, counted, per_cent};
use crate::args::Command;
use crate::up;

/// Tables that are printed.
const TABLES_SHOWN: usize = 10;

/// Prints the disk cache of the node's directory, and the counters of the node at `--port`.
///
/// # Errors
/// `Invalid` when there is neither, and what the node answers.
pub fn cache(command: &Command) -> NodeResult<String> {
    let invalid = |text: String| NodeError::new(ErrorKind::Invalid, text);
    let port = command.number::<u16>("--port").map_err(invalid)?;
    let path = file_of(command);
    let mut text = match port {
        Some(port) => counters(&ask(command, port)?),
        None => String::new(),
    };
    match survey(&path) {
        Ok(Some(found)) => {
            let _ = write!(text, "{}{}", if text.is_empty() { "" } else { "\n" }, file(&path, &found));
        }
        Ok(None) => return Err(invalid(format!("{} is no disk cache of this version", path.display()))),
        // A node may have none.
        Err(_) if port.is_some() => {}
        Err(error) => {
            return Err(invalid(format!(
                "the disk cache {} cannot be read: {error}; name the node's directory with --local, or a running \
                 node with --port",
                path.display()
            )));
        }
    }
    if port.is_none() {
        text += "\nhit rates are known to a running node only: --port asks it\n";
    }
    Ok(text)
}

fn file_of(command: &Command) -> PathBuf {
    if let Some(name) = command.words.get(1) {
        return PathBuf::from(name);
    }
    let data = PathBuf::from(command.get("--data").unwrap_or(up::DATA_DEFAULT));
    command.get("--local").map_or_else(|| data.join("writer"), PathBuf::from).join("disk.cache")
}

type Counters = BTreeMap<String, String>;

fn ask(command: &Command, port: u16) -> NodeResult<Counters> {
    let invalid = |text: String| NodeError::new(ErrorKind::Invalid, text);
    let password = match command.get("--password-file") {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| invalid(format!("--password-file {path}: {error}")))?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
        None => String::new(),
    };
    let login = Login { user: command.get("--user").unwrap_or("root").to_owned(), password };
    let address = format!("{}:{port}", command.get("--host").unwrap_or("127.0.0.1"));
    let rows = Client::connect(&address, &login)?.query("SHOW GLOBAL STATUS LIKE 'Aquifer%'")?;
    let pair = |row: Vec<String>| <[String; 2]>::try_from(row).ok().map(|[name, value]| (name, value));
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// The tiers from the fastest to the slowest.
fn counters(counters: &Counters) -> String {
    let count = |name: &str| -> u64 {
        counters.get(&format!("Aquifer_{name}")).and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let mut columns = Columns::new(&[
        ("tier", Align::Left),
        ("asked", Align::Right),
        ("hits", Align::Right),
        ("hit rate", Align::Right),
        ("holds", Align::Right),
        ("limit", Align::Right),
        ("full", Align::Right),
        ("evicted", Align::Right),
    ]);
    for tier in ["row", "block", "disk"] {
        let of = |what: &str| count(&format!("{tier}_cache_{what}"));
        let asked = of("hits") + of("misses") + of("newer");
        columns.row(vec![
            format!("{tier}s"),
            asked.to_string(),
            of("hits").to_string(),
            per_cent(of("hits"), asked),
            bytes(of("bytes")),
            bytes(of("bytes_max")),
            per_cent(of("bytes"), of("bytes_max")),
            of("evictions").to_string(),
        ]);
    }
    let state = counters.get("Aquifer_disk_cache_state").map_or("unknown", String::as_str);
    let mut text = columns.print().replace("disks ", "disk  ");
    let (loads, fetches) = (count("disk_cache_loads"), count("store_fetches"));
    let _ = writeln!(
        text,
        "\ndisk cache: {state}, {} blocks written, {} offers dropped, {} damaged, {} device errors\n\
         loads of blocks: {loads} from disk, {fetches} from the store ({}), {} joined another's\n\
         requests to the store: {} read ahead, {} slow ones were sent a second time, which won {} times, {} failed",
        count("disk_cache_writes"),
        count("disk_cache_offers_dropped"),
        count("disk_cache_corrupt"),
        count("disk_cache_io_errors"),
        bytes(count("store_fetch_bytes")),
        count("store_fetch_joins"),
        count("store_fetch_read_aheads"),
        count("store_fetch_hedges"),
        count("store_fetch_hedge_wins"),
        count("store_fetch_errors"),
    );
    text
}

/// What is in the file, segment by segment.
fn file(path: &Path, found: &DiskSurvey) -> String {
    let used = found.segments.iter().filter(|segment| segment.batches > 0).count();
    let mut text = format!(
        "{}: {} in {} of {}, {used} in use\n{} of {}, {} ({} of the file)\n\n",
        path.display(),
        bytes(found.file_bytes),
        counted(found.segments.len() as u64, "segment"),
        bytes(found.segment_bytes),
        counted(found.blocks(), "block"),
        counted(found.tables.len() as u64, "table"),
        bytes(found.block_bytes()),
        per_cent(found.block_bytes(), found.file_bytes),
    );
    let mut columns = Columns::new(&[
        ("segment", Align::Right),
        ("use", Align::Right),
        ("writes", Align::Right),
        ("blocks", Align::Right),
        ("of blocks", Align::Right),
        ("full", Align::Right),
    ]);
    let mut segments: Vec<_> = found.segments.iter().enumerate().filter(|(_, s)| s.batches > 0).collect();
    segments.sort_by_key(|(_, segment)| std::cmp::Reverse(segment.generation));
    for (number, segment) in segments.iter().take(TABLES_SHOWN) {
        columns.row(vec![
            number.to_string(),
            segment.generation.to_string(),
            segment.batches.to_string(),
            segment.blocks.to_string(),
            bytes(segment.block_bytes),
            per_cent(segment.used_bytes, found.segment_bytes),
        ]);
    }
    text += &columns.print();
    if segments.len() > TABLES_SHOWN {
        let _ = writeln!(text, "and {} older", counted((segments.len() - TABLES_SHOWN) as u64, "segment"));
    }
    if !found.tables.is_empty() {
        let _ = write!(text, "\n{}", tables(found));
    }
    text
}

fn tables(found: &DiskSurvey) -> String {
    let mut columns =
        Columns::new(&[("table", Align::Left), ("blocks", Align::Right), ("bytes", Align::Right)]);
    let mut tables: Vec<_> = found.tables.iter().collect();
    tables.sort_by_key(|(id, (_, bytes))| (std::cmp::Reverse(*bytes), **id));
    for (id, (blocks, size)) in tables.iter().take(TABLES_SHOWN) {
        columns.row(vec![format!("{:032x}", id.0), blocks.to_string(), bytes(*size)]);
    }
    let mut text = columns.print();
    if tables.len() > TABLES_SHOWN {
        let _ = writeln!(text, "and {} more", counted((tables.len() - TABLES_SHOWN) as u64, "table"));
    }
    text
}

#[cfg(test)]
#[path = "cache_test.rs"]
mod cache_test;
