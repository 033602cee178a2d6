//! From a store to the first row.

use std::path::Path;
use std::time::Instant;

use aquifer_shard::reads::Fill;

use crate::args::Args;
use crate::cpu::float;
use crate::data::row_key;
use crate::load::load_all;
use crate::report::{Case, Goal};
use crate::tree::{Outcome, Sizes, Tree};

const SIZES: Sizes = Sizes { rows: 1 << 20, blocks: 64 << 20, disk: 0, memtable: 64 << 20 };

/// Opens the set, and one of a fiftieth of its size, and reads a row.
pub fn open(args: &Args, set: &Path) -> Outcome<Case> {
    let mut case = Case::new(
        "open",
        "Head, checkpoint, chain to its end, then one row, from a store that was closed cleanly. All requests of \
         this way depend on each other unless a note says otherwise.",
    );
    let small = args.dir.join("open-small");
    let mut tree = Tree::open(&small, SIZES)?;
    load_all(&mut tree, args.rows / 50)?;
    tree.close()?;
    let (gets, millis) = first_row(set, args)?;
    case.add("requests to the first row", "GET requests", Goal::AtMost(4.0), gets);
    case.add("time to the first row", "ms", Goal::None, millis);
    let (gets, millis) = first_row(&small, args)?;
    case.add("requests to the first row, a fiftieth of the data", "GET requests", Goal::AtMost(4.0), gets);
    case.add("time to the first row, a fiftieth of the data", "ms", Goal::None, millis);
    std::fs::remove_dir_all(&small).map_err(|error| error.to_string())?;
    Ok(case)
}

fn first_row(dir: &Path, args: &Args) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let (mut gets, mut millis) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let begun = Instant::now();
        let tree = Tree::open(dir, SIZES)?;
        if tree.get(&row_key(7), Fill::Nothing)?.is_none() {
            return Err("the first row is missing".to_owned());
        }
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
        gets.push(float(tree.traffic().gets));
        tree.close()?;
    }
    Ok((gets, millis))
}
