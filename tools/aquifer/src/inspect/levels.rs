//! The tree of tables: what each level holds, where its tables lie beside those of the others, and each table.

use std::collections::BTreeSet;
use std::fmt::Write;

use aquifer_lsm::pressure::RUNS_STOP;
use aquifer_lsm::{CompactionPolicy, Run, Table, TableInfo};
use aquifer_shard::error::NodeResult;
use bytes::Bytes;

use super::Context;
use super::text::{Align, Columns, bytes, counted, per_cent};
use super::tree::Tree;

/// Cells of the picture from the first key to the last.
const CELLS: usize = 64;

/// Prints the tree of the branch.
///
/// # Errors
/// As [`Tree::open`].
pub fn levels(context: &Context<'_>) -> NodeResult<String> {
    Ok(print(&Tree::open(context)?, context.last))
}

/// The tree as text, with at most `last` tables one by one.
fn print(tree: &Tree, last: usize) -> String {
    let mut text = format!(
        "branch {} as of link {}, LSN {}; all up to LSN {} is in tables\n",
        tree.branch,
        tree.link,
        tree.last_lsn,
        tree.manifest.checkpoint_lsn()
    );
    let lines: Vec<Line<'_>> = lines(tree);
    if lines.is_empty() {
        return text + "no tables yet\n";
    }
    let all = Sums::of(tree.manifest.tables().map(|table| table.info()));
    let _ = writeln!(
        text,
        "{}: {} stored, {} before compression; {} entries, {} of them deletions",
        counted(all.tables as u64, "table"),
        bytes(all.stored),
        bytes(all.raw),
        all.entries,
        per_cent(all.tombstones, all.entries)
    );
    let _ = write!(text, "\n{}\n{}\n{}", summary(tree), picture(tree, &lines), tables(tree, &lines, last));
    text
}

/// A sorted run with its name.
struct Line<'a> {
    name: String,
    level: u32,
    run: &'a Run,
}

fn lines(tree: &Tree) -> Vec<Line<'_>> {
    let shallow = tree.manifest.runs().iter();
    let shallow = shallow.map(|run| Line { name: format!("0, run {}", run.number()), level: 0, run });
    let deep = (1..).zip(tree.manifest.levels()).filter(|(_, run)| !run.tables().is_empty());
    shallow.chain(deep.map(|(level, run)| Line { name: level.to_string(), level, run })).collect()
}

#[derive(Default)]
struct Sums {
    tables: usize,
    stored: u64,
    raw: u64,
    entries: u64,
    tombstones: u64,
}

impl Sums {
    fn of<'a>(infos: impl Iterator<Item = &'a TableInfo>) -> Self {
        let mut sums = Self::default();
        for info in infos {
            sums.tables += 1;
            sums.stored += info.object_bytes;
            sums.raw += info.raw_bytes;
            sums.entries += info.entries;
            sums.tombstones += info.tombstones;
        }
        sums
    }
}

/// One row a level.
fn summary(tree: &Tree) -> String {
    let mut columns = Columns::new(&[
        ("level", Align::Right),
        ("runs", Align::Right),
        ("tables", Align::Right),
        ("stored", Align::Right),
        ("of raw", Align::Right),
        ("entries", Align::Right),
        ("deleted", Align::Right),
        ("full", Align::Right),
        ("limit", Align::Left),
    ]);
    let policy = CompactionPolicy::default();
    let shallow = tree.manifest.runs();
    let level0 = Sums::of(shallow.iter().flat_map(|run| run.tables().iter()).map(|table| table.info()));
    let limit = format!("compaction at {} runs, writers stop at {RUNS_STOP}", policy.runs_trigger);
    let full = per_cent(shallow.len() as u64, policy.runs_trigger as u64);
    columns.row(level_row(0, shallow.len(), &level0, full, limit));
    for (level, run) in (1..).zip(tree.manifest.levels()) {
        let sums = Sums::of(run.tables().iter().map(|table| table.info()));
        if sums.tables > 0 {
            let limit = policy.level_bytes_max(level);
            let full = per_cent(sums.stored, limit);
            columns.row(level_row(level, 1, &sums, full, bytes(limit)));
        }
    }
    columns.print()
}

fn level_row(level: u32, runs: usize, sums: &Sums, full: String, limit: String) -> Vec<String> {
    vec![
        level.to_string(),
        runs.to_string(),
        sums.tables.to_string(),
        bytes(sums.stored),
        per_cent(sums.stored, sums.raw),
        sums.entries.to_string(),
        per_cent(sums.tombstones, sums.entries),
        full,
        limit,
    ]
}

/// Where the tables of each run lie. A place is the rank of a key among the first and last keys of all tables:
/// even where keys are dense, tables that overlap can be told from those that do not.
fn picture(tree: &Tree, lines: &[Line<'_>]) -> String {
    let infos = || tree.manifest.tables().map(|table| table.info());
    let bounds: BTreeSet<&Bytes> = infos().flat_map(|info| [&info.smallest, &info.largest]).collect();
    let bounds: Vec<&Bytes> = bounds.into_iter().collect();
    let cell = |key: &Bytes| {
        let rank = bounds.binary_search(&key).unwrap_or(0);
        rank * (CELLS - 1) / (bounds.len() - 1).max(1)
    };
    let mut text =
        String::from("keys from the first to the last; [==] is a table, # several in one place\n\n");
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    for line in lines {
        let mut cells = vec![b' '; CELLS];
        for table in line.run.tables().iter() {
            draw(&mut cells, cell(&table.info().smallest), cell(&table.info().largest));
        }
        let cells = String::from_utf8_lossy(&cells).into_owned();
        let _ = writeln!(text, "  level {:<width$}  {}", line.name, cells.trim_end());
    }
    let (first, last) = (tree.keys.text(bounds[0]), tree.keys.text(bounds[bounds.len() - 1]));
    let indent = " ".repeat(width + 10);
    let _ =
        writeln!(text, "{indent}{first}{last:>rest$}", rest = CELLS.saturating_sub(first.chars().count()));
    text
}

fn draw(cells: &mut [u8], first: usize, last: usize) {
    let middle = if last > first + 1 { &mut cells[first + 1..last] } else { &mut [][..] };
    middle.fill(b'=');
    let ends = if first == last { vec![(first, b'|')] } else { vec![(first, b'['), (last, b']')] };
    for (at, mark) in ends {
        cells[at] = if cells[at] == b' ' { mark } else { b'#' };
    }
}

/// Each table, those that reads ask first before the others.
fn tables(tree: &Tree, lines: &[Line<'_>], last: usize) -> String {
    let mut columns = Columns::new(&[
        ("level", Align::Left),
        ("table", Align::Left),
        ("stored", Align::Right),
        ("of raw", Align::Right),
        ("entries", Align::Right),
        ("deleted", Align::Right),
        ("LSN", Align::Left),
        ("over", Align::Right),
        ("keys", Align::Left),
    ]);
    let all: Vec<(&Line<'_>, &Table)> = lines
        .iter()
        .flat_map(|line| line.run.tables().iter().map(move |table| (line, table.as_ref())))
        .collect();
    for (line, table) in all.iter().take(last) {
        let info = table.info();
        columns.row(vec![
            line.name.clone(),
            format!("{:032x}", info.id.0),
            bytes(info.object_bytes),
            per_cent(info.object_bytes, info.raw_bytes),
            info.entries.to_string(),
            per_cent(info.tombstones, info.entries),
            format!("{}-{}", info.min_lsn, info.max_lsn),
            below(tree, line.level, info).to_string(),
            format!("{} … {}", tree.keys.text(&info.smallest), tree.keys.text(&info.largest)),
        ]);
    }
    let mut text = columns.print();
    if all.len() > last {
        let _ =
            writeln!(text, "and {} more (--last {})", counted((all.len() - last) as u64, "table"), all.len());
    }
    text += "\nover: tables of the next level that has any with keys in the same range; a compaction rewrites them\n";
    text
}

/// Tables of the next lower level that overlap.
fn below(tree: &Tree, level: u32, info: &TableInfo) -> usize {
    let deeper = (1..).zip(tree.manifest.levels()).filter(|(below, _)| *below > level);
    let next = deeper.map(|(_, run)| run).find(|run| !run.tables().is_empty());
    next.map_or(0, |run| run.overlapping(&(&info.smallest[..]..=&info.largest[..])).len())
}

#[cfg(test)]
#[path = "levels_test.rs"]
mod levels_test;
