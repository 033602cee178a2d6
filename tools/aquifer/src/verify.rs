//! `aquifer verify`: reads every object of a store and checks what can be checked of it by itself.
//!
//! It changes nothing and needs no running node. What refers to what is not checked here.

use std::io::{IsTerminal, Write};

use aquifer_format::{Checkpoint, Cluster, Head, Link, ObjectKey};
use aquifer_objstore::{ObjectInfo, Store, block_on};
use aquifer_shard::boot::NodeOptions;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_types::ErrorKind;
use bytes::Bytes;

/// Verifies a whole store and prints what it found.
///
/// # Errors
/// `Corrupt` with the number of damaged objects, each of which has been named; what the store fails with
/// otherwise.
pub fn verify(options: &NodeOptions) -> NodeResult<()> {
    let store = aquifer_shard::boot::open_store_to_read(options)?;
    let objects = block_on(store.list("", None))?;
    let (mut damaged, mut unknown, mut bytes) = (0_u64, 0_u64, 0_u64);
    for (index, object) in objects.iter().enumerate() {
        progress(index, objects.len());
        bytes += object.size;
        match check(&store, object) {
            Ok(Checked::Sound) => {}
            Ok(Checked::Unknown) => unknown += 1,
            Err(error) => {
                damaged += 1;
                eprintln!("damaged: {error}");
            }
        }
    }
    let count = objects.len();
    println!("{count} objects, {} MiB: {damaged} damaged, {unknown} not Aquifer's", bytes >> 20);
    if damaged > 0 {
        let text = format!("{damaged} of {count} objects at {} are damaged", store.location());
        return Err(NodeError::new(ErrorKind::Corrupt, text));
    }
    Ok(())
}

enum Checked {
    Sound,
    Unknown,
}

fn check(store: &Store, object: &ObjectInfo) -> NodeResult<Checked> {
    let key = &object.key;
    let Some(kind) = ObjectKey::parse("", key) else { return Ok(Checked::Unknown) };
    let bytes: Bytes = block_on(store.get(key))?;
    match kind {
        ObjectKey::Cluster => Cluster::decode(bytes, key).map(drop)?,
        ObjectKey::Link(..) => Link::decode(bytes, key).map(drop)?,
        ObjectKey::Checkpoint(..) => Checkpoint::decode(bytes, key).map(drop)?,
        ObjectKey::Head(_) => Head::try_decode(bytes).map(drop).map_err(|error| error.with_object(key))?,
        // A file of another format, with checksums of its own.
        ObjectKey::Archive(_) => return Ok(Checked::Unknown),
        ObjectKey::Sst(id) => aquifer_lsm::verify::verify(id, &bytes).map(drop)?,
    }
    Ok(Checked::Sound)
}

fn progress(done: usize, all: usize) {
    if done.is_multiple_of(64) && std::io::stderr().is_terminal() {
        eprint!("\r{done} of {all} objects");
        // A terminal that cannot be written to shows no progress.
        let _ = std::io::stderr().flush();
    }
}
