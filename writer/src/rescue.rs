//! Rescue branches: where committed transactions go that another writer's takeover kept out of the chain.
//!
//! A rescue branch begins at the last link that both writers share and holds the transactions that only
//! the fenced one had. Nothing that was acknowledged is lost: the branch can be opened by a reader and
//! compared or merged by hand. Its name is made of the fork point, so making it twice makes it once.

use aquifer_format::link::{LinkBuilder, LinkPosition};
use aquifer_format::{ForkRecord, GroupView, LinkDigest, link_key};
use aquifer_objstore::{PutOutcome, Store};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_types::{BranchName, Epoch, LinkSeq, Lsn};

use crate::publisher::put_link;

/// The last link that the fenced writer shares with the chain.
#[derive(Clone, Debug)]
pub struct ForkPoint {
    /// The branch that was taken over.
    pub branch: BranchName,
    /// Number of the link.
    pub seq: LinkSeq,
    /// Its digest.
    pub digest: LinkDigest,
    /// Its last LSN.
    pub lsn: Lsn,
    /// Its epoch: the fenced writer's.
    pub epoch: Epoch,
}

/// Publishes `left` (in LSN order, beginning after the fork point) as a branch and returns its name. The
/// groups are asked for one after the other: they need not fit into memory.
///
/// # Errors
/// When the store refuses.
pub fn rescue(
    store: &Store,
    fork: &ForkPoint,
    left: impl Iterator<Item = NodeResult<GroupView>>,
) -> NodeResult<BranchName> {
    let name = format!("rescue-e{}-l{}", fork.epoch, fork.seq);
    let branch =
        BranchName::new(&name).map_err(|text| NodeError::new(aquifer_types::ErrorKind::Bug, text))?;
    let mut position = LinkPosition {
        branch: branch.clone(),
        seq: LinkSeq(1),
        epoch: fork.epoch,
        previous: fork.digest,
        previous_lsn: fork.lsn,
    };
    let mut builder = LinkBuilder::new(position.clone());
    builder.push_fork(&ForkRecord { parent: fork.branch.clone(), parent_seq: fork.seq, lsn: fork.lsn });
    for group in left {
        let group = group?;
        if !builder.has_room_for(group.bytes().len()) {
            position = put(store, builder, &position)?;
            builder = LinkBuilder::new(position.clone());
        }
        builder.push_group(&group)?;
    }
    put(store, builder, &position)?;
    Ok(branch)
}

fn put(store: &Store, builder: LinkBuilder, position: &LinkPosition) -> NodeResult<LinkPosition> {
    let last_lsn = builder.last_lsn();
    let (bytes, digest) = builder.finish(last_lsn, event::wall_micros())?;
    let key = link_key("", &position.branch, position.seq);
    if put_link(store, &key, &bytes)? == PutOutcome::Exists {
        // An earlier attempt that ended in the middle: its bytes differ by the time they carry.
        let present = aquifer_objstore::block_on(store.get(&key))?;
        let present = aquifer_format::Link::decode(present, &key)?;
        if present.header.last_lsn != last_lsn || present.header.previous != position.previous {
            return Err(NodeError::corrupt(format!("{key}: is another branch's link")));
        }
        return Ok(present.next_position());
    }
    Ok(LinkPosition {
        seq: position.seq.next(),
        previous: digest,
        previous_lsn: last_lsn,
        ..position.clone()
    })
}
