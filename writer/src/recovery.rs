//! How a writer starts: what the chain holds, what only the local commit log holds, and taking the chain
//! over.
//!
//! 1. Read the chain to its end ([`aquifer_shard::chain::open`]); its deltas go into a memtable.
//! 2. Open the commit log with a term above the chain's epoch: that term is the new epoch. Open the outbox:
//!    edits that go with this log and are not in the chain are put in force on this node.
//! 3. If the chain's last epoch was sealed by this log, what the log has beyond the chain simply
//!    continues it. If somebody else has sealed a later epoch, what this log has beyond the last link of
//!    its own epoch goes to a rescue branch, and log and outbox begin anew.
//! 4. Seal: create the next link with an epoch record. If another writer is faster, read its links and try
//!    again with the number after them.
//! 5. What the log had beyond the chain is applied, as far as it is in no table, and queued for publishing
//!    together with the edits of the outbox.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use aquifer_commitlog::{Committed, Log, LogIndex, LogOptions, Recovered};
use aquifer_format::link::LinkBuilder;
use aquifer_format::{EpochRecord, GroupView, Link, ManifestEdit, link_key};
use aquifer_lsm::Manifest;
use aquifer_objstore::{PutOutcome, Store, block_on};
use aquifer_shard::chain::{self, ChainState, GroupSink};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::replay::{Memtables, Replay};
use aquifer_types::{BranchName, Epoch, ErrorKind, LinkSeq, Lsn};

use crate::outbox::{FoundEdit, OutboxDir};
use crate::publisher::put_link;
use crate::rescue::{ForkPoint, rescue};

/// What a writer starts from.
pub struct Recovery {
    /// The chain, sealed with this writer's epoch.
    pub chain: ChainState,
    /// The commit log; its term is the epoch.
    pub log: Log,
    /// What is not in tables.
    pub memtables: Memtables,
    /// The tables of the chain and of the outbox.
    pub manifest: Manifest,
    /// Where tables wait for the store.
    pub outbox: OutboxDir,
    /// Edits that are in force and not in the chain, in order.
    pub edits: Vec<FoundEdit>,
    /// Committed groups that the chain does not have yet, in order.
    pub unpublished: Vec<(GroupView, LogIndex)>,
    /// Entries that the log holds: last LSN and position.
    pub kept: VecDeque<(Lsn, LogIndex)>,
    /// The last committed LSN.
    pub last_lsn: Lsn,
}

/// Recovers a branch and takes it over.
///
/// # Errors
/// `Corrupt` naming the object or file, `Fenced` when another writer takes over at the same time,
/// `Unavailable`.
pub fn recover(store: &Store, branch: &BranchName, local: &Path, address: &str) -> NodeResult<Recovery> {
    let mut replay = Replay::new("recovering");
    let mut chain = block_on(chain::open(store, branch, &mut replay))?;
    let log_dir = local.join("commitlog");
    let (mut log, mut recovered) = open_log(&log_dir, chain.next.epoch)?;
    if taken_over(&chain, &recovered) {
        let rescued = rescue_tail(store, &chain, &recovered)?;
        drop(log);
        put_away(&log_dir, rescued)?;
        (log, recovered) = open_log(&log_dir, chain.next.epoch)?;
    } else if recovered.was_empty {
        tell_what_may_be_lost(&chain);
    }
    let epoch = log.term();
    seal(store, &mut chain, epoch, recovered.log_id, address, &mut replay)?;
    let (unpublished, kept) = beyond(&chain, recovered.entries)?;
    let last_lsn = unpublished.last().map_or(chain.last_lsn(), |(group, _)| group.last_lsn());
    let Waiting { outbox, edits, manifest } =
        open_outbox(&local.join("outbox"), recovered.log_id, &chain, &unpublished)?;
    for (group, _) in &unpublished {
        replay.group(group, manifest.checkpoint_lsn().max(chain.last_lsn()))?;
    }
    if last_lsn > chain.last_lsn() {
        let count = last_lsn.0 - chain.last_lsn().0;
        event::info(&format!(
            "{count} committed transactions were in the commit log only and are published now"
        ));
    }
    let memtables = replay.finish(manifest.checkpoint_lsn());
    Ok(Recovery { chain, log, memtables, manifest, outbox, edits, unpublished, kept, last_lsn })
}

/// What waits for the store.
struct Waiting {
    outbox: OutboxDir,
    edits: Vec<FoundEdit>,
    /// The chain's, with the edits.
    manifest: Manifest,
}

/// Step 2, second half: which edits of the outbox are in force. Those that the chain has are removed; from the
/// first that does not fit on they are made again from the log.
///
/// Before them come the tables of large transactions that are not published, as they did when those committed.
fn open_outbox(
    dir: &Path,
    log_id: u128,
    chain: &ChainState,
    unpublished: &[(GroupView, LogIndex)],
) -> NodeResult<Waiting> {
    let last_lsn = unpublished.last().map_or(chain.last_lsn(), |(group, _)| group.last_lsn());
    let (outbox, found, mut dropped) = OutboxDir::open(dir, log_id)?;
    let (mut manifest, mut edits) = (chain.manifest.clone(), Vec::new());
    for spilled in unpublished.iter().flat_map(|(group, _)| spilled_after(group, chain.last_lsn())) {
        manifest = manifest.apply(&spilled)?;
    }
    let mut fits = true;
    for edit in found {
        let upto = edit.edit.checkpoint_lsn.map_or(Lsn(0), Lsn);
        let published = upto <= chain.manifest.checkpoint_lsn();
        match manifest.apply(&edit.edit) {
            Ok(next) if fits && !published && upto <= last_lsn => {
                manifest = next;
                edits.push(edit);
                continue;
            }
            _ => fits &= published,
        }
        dropped += usize::from(!published);
        outbox.remove_edit(edit.number)?;
        edit.tables.iter().try_for_each(|id| outbox.remove_table(*id))?;
    }
    if dropped > 0 {
        event::warn(&format!("{dropped} flushes in {} cannot be used and are made again", dir.display()));
    }
    Ok(Waiting { outbox, edits, manifest })
}

/// The edits of a group's large transactions above an LSN.
fn spilled_after(group: &GroupView, lsn: Lsn) -> Vec<ManifestEdit> {
    let mut edits = group.spilled_edits();
    edits.retain(|edit| edit.added.iter().any(|table| Lsn(table.commit_lsn) > lsn));
    edits
}

fn open_log(dir: &Path, chain_epoch: Epoch) -> NodeResult<(Log, Recovered)> {
    fs::create_dir_all(dir).map_err(|error| NodeError::io("create", dir, &error))?;
    Log::open(dir, LogOptions::default(), chain_epoch).map_err(|error| {
        NodeError::corrupt(format!("the commit log in {} cannot be opened: {error}", dir.display()))
    })
}

/// Whether somebody else has sealed an epoch after the last one of this log.
fn taken_over(chain: &ChainState, recovered: &Recovered) -> bool {
    !recovered.was_empty && chain.writer != 0 && chain.writer != recovered.log_id
}

fn groups_of(entries: Vec<Committed>) -> NodeResult<Vec<(GroupView, LogIndex)>> {
    entries
        .into_iter()
        .map(|entry| {
            let name = format!("entry {} of the commit log", entry.index.0);
            let group = GroupView::parse(entry.data).map_err(|error| error.with_object(&name))?;
            Ok((group, entry.index))
        })
        .collect()
}

/// Step 3, second case.
fn rescue_tail(store: &Store, chain: &ChainState, recovered: &Recovered) -> NodeResult<Tail> {
    let groups = groups_of(recovered.entries.clone())?;
    let Some(epoch) = groups.last().map(|(group, _)| group.epoch()) else { return Ok(Tail::Safe) };
    let Some(fork) = fork_point(store, chain, epoch, recovered.log_id)? else { return Ok(Tail::Cut) };
    let left: Vec<GroupView> =
        groups.into_iter().map(|(group, _)| group).filter(|group| group.first_lsn() > fork.lsn).collect();
    if left.is_empty() {
        event::info(
            "another writer had taken the branch over; everything that this one committed is in the chain",
        );
        return Ok(Tail::Safe);
    }
    let count: u64 = left.iter().map(|group| u64::from(group.len())).sum();
    let name = rescue(store, &fork, left.into_iter().map(Ok))?;
    event::warn(&format!(
        "another writer had taken branch {} over after LSN {}; {count} transactions that were committed here and \
         not published are on rescue branch {name}",
        chain.next.branch, fork.lsn
    ));
    Ok(Tail::Safe)
}

/// What became of transactions that a takeover cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// They are on a rescue branch, or there were none.
    Safe,
    /// The links where they belong have been collected.
    Cut,
}

/// The log is no longer needed, unless it has what is nowhere else.
fn put_away(log_dir: &Path, tail: Tail) -> NodeResult<()> {
    if tail == Tail::Safe {
        return fs::remove_dir_all(log_dir).map_err(|error| NodeError::io("remove", log_dir, &error));
    }
    let kept = log_dir.with_extension(format!("kept-{}", event::wall_micros()));
    fs::rename(log_dir, &kept).map_err(|error| NodeError::io("rename", log_dir, &error))?;
    event::warn(&format!(
        "another writer took the branch over so long ago that the store no longer has the links where this \
         one was cut off; transactions that were not published stay in {}",
        kept.display()
    ));
    Ok(())
}

/// The last link of the epochs that this log sealed, beginning with that of its last group. A later start
/// may have sealed and published without committing anything new. `None`: the link has been collected.
fn fork_point(
    store: &Store,
    chain: &ChainState,
    epoch: Epoch,
    log_id: u128,
) -> NodeResult<Option<ForkPoint>> {
    let Some(mut link) = last_link_of_epoch(store, chain, epoch)? else { return Ok(None) };
    while link.header.seq < chain.last_seq() {
        let Some(next) = read_link(store, chain, link.header.seq.next())? else { break };
        if next.epoch_record().is_none_or(|record| record.writer != log_id) {
            break;
        }
        link = match last_link_of_epoch(store, chain, next.header.epoch)? {
            Some(last) => last,
            None => break,
        };
    }
    Ok(Some(ForkPoint {
        branch: chain.next.branch.clone(),
        seq: link.header.seq,
        digest: link.digest,
        lsn: link.header.last_lsn,
        epoch: link.header.epoch,
    }))
}

/// Epochs never fall along a chain, so this is found by bisection. Links that have been collected are the
/// oldest, so they count as of an earlier epoch.
fn last_link_of_epoch(store: &Store, chain: &ChainState, epoch: Epoch) -> NodeResult<Option<Link>> {
    let (mut low, mut high) = (1, chain.last_seq().0);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let later = read_link(store, chain, LinkSeq(middle))?.is_some_and(|link| link.header.epoch > epoch);
        if later { high = middle - 1 } else { low = middle }
    }
    Ok(read_link(store, chain, LinkSeq(low))?.filter(|link| link.header.epoch <= epoch))
}

fn read_link(store: &Store, chain: &ChainState, seq: LinkSeq) -> NodeResult<Option<Link>> {
    let key = link_key("", &chain.next.branch, seq);
    match block_on(store.get(&key)) {
        Ok(bytes) => Ok(Some(Link::decode(bytes, &key)?)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn tell_what_may_be_lost(chain: &ChainState) {
    if chain.last_seq() == LinkSeq(0) {
        return;
    }
    let (lsn, committed) = (chain.last_lsn(), chain.committed_lsn);
    if chain.checkpoint_seq == chain.last_seq() && committed == lsn {
        event::info(&format!(
            "no local commit log; the chain was closed cleanly at LSN {lsn}, nothing is missing"
        ));
        return;
    }
    event::warn(&format!(
        "no local commit log, and the chain was not closed cleanly: the unpublished tail after LSN {lsn} is lost \
         ({} transactions are known to have been committed after it when the last link was made, later ones are \
         not counted)",
        committed.0 - lsn.0
    ));
}

/// Step 4.
fn seal(
    store: &Store,
    chain: &mut ChainState,
    epoch: Epoch,
    writer: u128,
    address: &str,
    replay: &mut Replay,
) -> NodeResult<()> {
    let owner = chain.writer;
    loop {
        if chain.next.epoch >= epoch || chain.writer != owner {
            return Err(NodeError::fenced(format!(
                "another writer has taken over branch {} with epoch {} while this one started with epoch {epoch}",
                chain.next.branch, chain.next.epoch
            )));
        }
        let mut position = chain.next.clone();
        position.epoch = epoch;
        let mut builder = LinkBuilder::new(position);
        builder.push_epoch(&EpochRecord { epoch, writer, address: address.to_owned() });
        let (bytes, _) = builder.finish(chain.last_lsn(), event::wall_micros())?;
        let key = link_key("", &chain.next.branch, chain.next.seq);
        if put_link(store, &key, &bytes)? == PutOutcome::Created {
            let link = Link::decode(bytes, &key)?;
            return chain.advance(&link);
        }
        while let Some(link) = block_on(chain::next_link(store, chain))? {
            chain::take(chain, &link, replay)?;
        }
    }
}

/// Groups that the log has beyond the chain, and everything that the log holds.
#[allow(clippy::type_complexity)]
fn beyond(
    chain: &ChainState,
    entries: Vec<Committed>,
) -> NodeResult<(Vec<(GroupView, LogIndex)>, VecDeque<(Lsn, LogIndex)>)> {
    let groups = groups_of(entries)?;
    let kept = groups.iter().map(|(group, index)| (group.last_lsn(), *index)).collect();
    let mut expected = chain.last_lsn().next();
    let mut unpublished = Vec::new();
    for (group, index) in groups {
        if group.last_lsn() < expected {
            continue;
        }
        if group.first_lsn() != expected {
            return Err(NodeError::new(
                ErrorKind::Corrupt,
                format!(
                    "the commit log goes on at LSN {}, the chain ends before {expected}",
                    group.first_lsn()
                ),
            ));
        }
        expected = group.last_lsn().next();
        unpublished.push((group, index));
    }
    Ok((unpublished, kept))
}
