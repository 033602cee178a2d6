//! `aquifer pin` and `aquifer unpin`: keep the present state of a branch, and let it go (ADR 0104).

use aquifer_format::{Pin, pin_key};
use aquifer_objstore::{PutOutcome, block_on};
use aquifer_reader::tailer;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::{boot, event};
use aquifer_types::{BranchName, ErrorKind, LinkSeq};

use crate::args::Command;
use crate::up;

fn invalid(text: String) -> NodeError {
    NodeError::new(ErrorKind::Invalid, text)
}

/// The name that the command gives, which is written as the names of branches are.
fn name_of(command: &Command, verb: &str) -> NodeResult<BranchName> {
    match command.words.as_slice() {
        [name] => BranchName::new(name).map_err(invalid),
        _ => Err(invalid(format!("{verb} what? aquifer {verb} NAME"))),
    }
}

/// Keeps the state that a branch has now.
///
/// # Errors
/// One sentence with the remedy; what the store fails with.
pub fn pin(command: &Command) -> NodeResult<()> {
    let name = name_of(command, "pin")?;
    let branch = BranchName::new(command.get("--branch").unwrap_or("main")).map_err(invalid)?;
    let store = boot::open_store(&up::store_options(command)?)?;
    let chain = block_on(tailer::open(&store, &branch))?.chain;
    let (seq, lsn) = (chain.last_seq(), chain.last_lsn());
    if seq == LinkSeq(0) {
        return Err(invalid(format!("no branch {branch} at {}", store.location())));
    }
    let pin = Pin { branch, seq, lsn, created_micros: event::wall_micros() };
    match block_on(store.put_if_absent(&pin_key("", &name), pin.encode()))? {
        PutOutcome::Created => {
            println!("pin {name} keeps branch {} as of link {seq}, LSN {lsn}", pin.branch);
            Ok(())
        }
        PutOutcome::Exists => Err(invalid(format!(
            "there is a pin {name} already; `aquifer unpin {name}` lets it go, `aquifer inspect pins` lists all"
        ))),
    }
}

/// Lets a state go: the next collections delete what nothing else needs.
///
/// # Errors
/// As [`pin`].
pub fn unpin(command: &Command) -> NodeResult<()> {
    let name = name_of(command, "unpin")?;
    let store = boot::open_store(&up::store_options(command)?)?;
    let key = pin_key("", &name);
    if block_on(store.head(&key))?.is_none() {
        return Err(invalid(format!("there is no pin {name}; `aquifer inspect pins` lists all")));
    }
    block_on(store.delete(&key))?;
    println!("pin {name} is gone; what only it kept goes with a later collection");
    Ok(())
}
