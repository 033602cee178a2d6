//! `aquifer inspect WHAT`: what a store holds, as text made for reading.
//!
//! Each kind is a file of its own with one function to text. They only read, and need no running node; `cache`
//! asks one for its counters when it is told where.

mod cache;
mod chain;
mod client;
#[cfg(test)]
mod golden;
mod keys;
mod levels;
mod pins;
mod sst;
pub mod text;
mod tree;

use aquifer_objstore::Store;
use aquifer_shard::boot;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_types::{BranchName, ErrorKind};

use crate::args::Command;
use crate::up;

/// What every kind is given.
pub struct Context<'a> {
    /// The store.
    pub store: Store,
    /// The branch of `--branch`, or main.
    pub branch: BranchName,
    /// What follows the kind on the command line.
    pub words: &'a [String],
    /// How many of the newest are asked for.
    pub last: usize,
}

struct Kind {
    name: &'static str,
    /// The words that it takes.
    words: &'static str,
    help: &'static str,
    run: Run,
}

/// What a kind reads.
enum Run {
    /// The store.
    Store(fn(&Context<'_>) -> NodeResult<String>),
    /// A node: its directory, or itself.
    Node(fn(&Command) -> NodeResult<String>),
}

const KINDS: &[Kind] = &[
    Kind {
        name: "chain",
        words: "[FROM]",
        help: "the links of a branch, the newest or from one on: who made them, what they brought",
        run: Run::Store(chain::chain),
    },
    Kind {
        name: "levels",
        words: "",
        help: "the tree of a branch: levels, runs and tables, and how they lie above each other",
        run: Run::Store(levels::levels),
    },
    Kind {
        name: "sst",
        words: "ID",
        help: "one table (the beginning of its id will do): parts, compression, filter, blocks",
        run: Run::Store(sst::sst),
    },
    Kind {
        name: "pins",
        words: "",
        help: "the states that pins keep, and since when",
        run: Run::Store(pins::pins),
    },
    Kind {
        name: "cache",
        words: "[FILE]",
        help: "the disk cache's file of a node (--local); hit rates of all tiers with --port",
        run: Run::Node(cache::cache),
    },
];

/// How many of the newest are printed by default.
const LAST_DEFAULT: usize = 40;

/// Prints what the command asks for.
///
/// # Errors
/// One sentence with the remedy; what the store fails with.
pub fn inspect(command: &Command) -> NodeResult<()> {
    let invalid = |text: String| NodeError::new(ErrorKind::Invalid, text);
    let names = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    let Some((name, words)) = command.words.split_first() else {
        return Err(invalid(format!("inspect what? One of: {}", names())));
    };
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        return Err(invalid(format!("cannot inspect {name:?}; one of: {}", names())));
    };
    let run = match kind.run {
        Run::Node(run) => {
            print!("{}", run(command)?);
            return Ok(());
        }
        Run::Store(run) => run,
    };
    let store = boot::open_store_to_read(&up::store_options(command)?)?;
    if boot::read_cluster(&store)?.is_none() {
        return Err(invalid(format!("no Aquifer database at {}", store.location())));
    }
    let branch = BranchName::new(command.get("--branch").unwrap_or("main")).map_err(invalid)?;
    let last = command.number("--last").map_err(invalid)?.unwrap_or(LAST_DEFAULT);
    print!("{}", run(&Context { store, branch, words, last })?);
    Ok(())
}

/// The lines of `--help`.
pub fn usage() -> String {
    KINDS
        .iter()
        .map(|kind| format!("         {:18} {}\n", format!("{} {}", kind.name, kind.words), kind.help))
        .collect()
}
