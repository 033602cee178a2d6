//! `aquifer inspect WHAT`: what a store holds, as text made for reading.
//!
//! Each kind is a file of its own with one function from a [`Context`] to text. They only read the store,
//! and need no running node.

mod chain;
pub mod text;

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
    run: fn(&Context<'_>) -> NodeResult<String>,
}

const KINDS: &[Kind] = &[Kind {
    name: "chain",
    words: "[FROM]",
    help: "the links of a branch, the newest or from one on: who made them, what they brought",
    run: chain::chain,
}];

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
    let store = boot::open_store_to_read(&up::store_options(command)?)?;
    if boot::read_cluster(&store)?.is_none() {
        return Err(invalid(format!("no Aquifer database at {}", store.location())));
    }
    let branch = BranchName::new(command.get("--branch").unwrap_or("main")).map_err(invalid)?;
    let last = command.number("--last").map_err(invalid)?.unwrap_or(LAST_DEFAULT);
    print!("{}", (kind.run)(&Context { store, branch, words, last })?);
    Ok(())
}

/// The lines of `--help`.
pub fn usage() -> String {
    KINDS
        .iter()
        .map(|kind| format!("         {:18} {}\n", format!("{} {}", kind.name, kind.words), kind.help))
        .collect()
}
