//! `aquifer verify`: reads every object of a store, checks each by itself and all of them against each other.
//!
//! It changes nothing and needs no running node; one may run meanwhile. Steps:
//!
//! 1. List the store. Tables come last in a listing and are put before the links that name them, so a listed
//!    link's tables are listed too.
//! 2. Read each object and verify every byte of it ([`objects`]).
//! 3. Check that what refers to each other is there ([`references`]).
//!
//! Exit status: 0 when everything is sound, 1 when anything is damaged or missing. Orphans, tables that nothing
//! refers to, are reported with their bytes and are no fault: collection deletes them.

mod objects;
mod progress;
mod references;

use aquifer_objstore::{ObjectInfo, Store, block_on};
use aquifer_shard::boot::NodeOptions;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_types::ErrorKind;
use futures_util::future::join_all;

use crate::inspect::text::bytes;
use objects::{Facts, Verified};
use progress::Progress;

/// Objects read at once, and their bytes.
const READS_AT_ONCE: usize = 16;
const READ_BYTES_AT_ONCE: u64 = 128 << 20;

/// Verifies a whole store and prints what it found.
///
/// # Errors
/// `Corrupt` with the number of faults, each of which has been named; what the store fails with otherwise.
pub fn verify(options: &NodeOptions) -> NodeResult<()> {
    let store = aquifer_shard::boot::open_store_to_read(options)?;
    let objects = block_on(store.list("", None))?;
    let mut progress = Progress::new(objects.len(), objects.iter().map(|object| object.size).sum());
    let mut facts = Facts::default();
    for chunk in chunks(&objects) {
        for (object, verified) in read(&store, chunk) {
            facts.note(object, verified?);
            progress.done(object.size);
        }
    }
    progress.finish();
    let report = references::check(&facts);
    for problem in facts.damaged.iter().chain(&report.missing) {
        eprintln!("damaged: {problem}");
    }
    print!("{}", facts.summary());
    print!("{}", report.text(bytes));
    let faults = facts.damaged.len() + report.missing.len();
    if faults > 0 {
        let text = format!(
            "{} of {} objects at {} are damaged, {} are missing",
            facts.damaged.len(),
            objects.len(),
            store.location(),
            report.missing.len()
        );
        return Err(NodeError::new(ErrorKind::Corrupt, text));
    }
    Ok(())
}

/// Parts of a listing that are read together.
fn chunks(objects: &[ObjectInfo]) -> Vec<&[ObjectInfo]> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, object) in objects.iter().enumerate() {
        if at > start && (at - start >= READS_AT_ONCE || bytes + object.size > READ_BYTES_AT_ONCE) {
            parts.push(&objects[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += object.size;
    }
    parts.push(&objects[start..]);
    parts
}

fn read<'a>(store: &Store, chunk: &'a [ObjectInfo]) -> Vec<(&'a ObjectInfo, NodeResult<Verified>)> {
    let reads = join_all(chunk.iter().map(|object| store.get(&object.key)));
    let verified = |(object, read): (&'a ObjectInfo, _)| (object, objects::verify(&object.key, read));
    chunk.iter().zip(block_on(reads)).map(verified).collect()
}
