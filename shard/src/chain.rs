//! Reading a branch's chain: from its newest checkpoint to its end, and on as it grows.
//!
//! Opening a branch:
//!
//! 1. Ask `head` for the newest checkpoint. It may be stale, damaged or lost: a listing of the checkpoints
//!    after it tells, or of all. Without any, begin at link 1.
//! 2. Take the manifest from the checkpoint, and read the links from its `replay_seq` on for the deltas
//!    that are not in tables. Up to the checkpoint's own link, edits are in the manifest already.
//! 3. Go on link by link until there is none: that is the end. No number is ever skipped, and each
//!    link must name the one before it.
//!
//! What does not depend on an answer is asked for beside it: the links after the checkpoint that the head
//! names while that checkpoint and the listing are under way, and several links at a time ([`ahead`]). A
//! branch that was closed cleanly so takes two rounds to the store, whatever its size.
//!
//! The first link of a forked branch is a fork record: the parent is then read up to the fork point
//! first, in the same way.
//!
//! This module decides nothing about memtables: it hands groups of committed transactions to whoever
//! reads, in LSN order without a gap.

mod ahead;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use aquifer_format::link::LinkPosition;
use aquifer_format::{
    Checkpoint, ForkRecord, GroupView, Head, Link, LinkDigest, ObjectKey, Record, checkpoint_key, head_key,
    link_key,
};
use aquifer_lsm::Manifest;
use aquifer_objstore::{Store, StoreErrorKind};
use aquifer_types::{BranchName, Epoch, ErrorKind, LinkSeq, Lsn};
use bytes::Bytes;
use futures_util::future::join;

use crate::error::{NodeError, NodeResult};
use ahead::LinksAhead;

/// What the chain says up to one link.
#[derive(Clone, Debug)]
pub struct ChainState {
    /// Where the next link belongs.
    pub next: LinkPosition,
    /// The tables, and the LSN up to which everything is in them.
    pub manifest: Manifest,
    /// The process that sealed the present epoch; 0 before the first.
    pub writer: u128,
    /// The committed LSN that the last link's writer told.
    pub committed_lsn: Lsn,
    /// Wall-clock time of the last link, microseconds since 1970; 0 without one.
    pub wall_micros: u64,
    /// Where the branch began, unless it is a first branch.
    pub parent: Option<ForkRecord>,
    /// Number and last LSN of the links whose deltas are not all in tables, ascending.
    unflushed: VecDeque<(LinkSeq, Lsn)>,
    /// The newest checkpoint that is known of; 0 without one.
    pub checkpoint_seq: LinkSeq,
    /// The oldest link that exists, as far as is known; later ones do.
    pub retained_seq: LinkSeq,
    /// The oldest LSN that can be read or branched from.
    pub retained_lsn: Lsn,
}

/// Takes the groups of a chain as they are read.
pub trait GroupSink {
    /// The next committed transactions: those above the LSN of everything that came before. The group
    /// may begin with some that are in tables already (at or below `skip_through`).
    ///
    /// # Errors
    /// Ends the reading.
    fn group(&mut self, group: &GroupView, skip_through: Lsn) -> NodeResult<()>;

    /// A link was read; for progress.
    fn link(&mut self, _seq: LinkSeq) {}
}

impl ChainState {
    /// A branch without links.
    #[must_use]
    pub fn empty(branch: &BranchName) -> Self {
        Self {
            next: LinkPosition {
                branch: branch.clone(),
                seq: LinkSeq(1),
                epoch: Epoch(0),
                previous: LinkDigest::NONE,
                previous_lsn: Lsn(0),
            },
            manifest: Manifest::new(),
            writer: 0,
            committed_lsn: Lsn(0),
            wall_micros: 0,
            parent: None,
            unflushed: VecDeque::new(),
            checkpoint_seq: LinkSeq(0),
            retained_seq: LinkSeq(1),
            retained_lsn: Lsn(0),
        }
    }

    fn from_checkpoint(checkpoint: &Checkpoint) -> NodeResult<Self> {
        Ok(Self {
            next: LinkPosition {
                branch: checkpoint.branch.clone(),
                seq: checkpoint.seq.next(),
                epoch: checkpoint.epoch,
                previous: checkpoint.link_digest,
                previous_lsn: checkpoint.last_lsn,
            },
            manifest: Manifest::from_checkpoint(checkpoint)?,
            writer: checkpoint.writer,
            committed_lsn: checkpoint.last_lsn,
            wall_micros: checkpoint.created_micros,
            parent: checkpoint.parent.clone(),
            unflushed: VecDeque::new(),
            checkpoint_seq: checkpoint.seq,
            retained_seq: checkpoint.retained_seq,
            retained_lsn: checkpoint.retained_lsn,
        })
    }

    /// The last LSN in the chain.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.next.previous_lsn
    }

    /// The last link; 0 without one.
    #[must_use]
    pub fn last_seq(&self) -> LinkSeq {
        LinkSeq(self.next.seq.0 - 1)
    }

    /// Accounts for the link at [`ChainState::next`], which has been checked to follow.
    ///
    /// # Errors
    /// `Corrupt` when an edit does not fit the manifest.
    pub fn advance(&mut self, link: &Link) -> NodeResult<()> {
        for record in &link.records {
            match record {
                Record::Edit(edit) => self.manifest = self.manifest.apply(edit)?,
                Record::Epoch(epoch) => self.writer = epoch.writer,
                Record::Fork(fork) => self.parent = Some(fork.clone()),
                Record::Group(_) => {}
            }
        }
        self.note_unflushed(link.header.seq, link.header.last_lsn);
        self.next = link.next_position();
        self.committed_lsn = link.header.committed_lsn;
        self.wall_micros = link.header.wall_micros;
        Ok(())
    }

    fn note_unflushed(&mut self, seq: LinkSeq, last_lsn: Lsn) {
        self.unflushed.push_back((seq, last_lsn));
        let checkpoint = self.manifest.checkpoint_lsn();
        while self.unflushed.front().is_some_and(|(_, last)| *last <= checkpoint) {
            self.unflushed.pop_front();
        }
    }

    /// This state as an object.
    #[must_use]
    pub fn to_checkpoint(&self, created_micros: u64) -> Checkpoint {
        let replay_seq = self.unflushed.front().map_or(self.next.seq, |(seq, _)| *seq);
        Checkpoint {
            branch: self.next.branch.clone(),
            seq: self.last_seq(),
            link_digest: self.next.previous,
            last_lsn: self.last_lsn(),
            checkpoint_lsn: self.manifest.checkpoint_lsn(),
            replay_seq,
            epoch: self.next.epoch,
            writer: self.writer,
            ssts: self.manifest.to_ssts(),
            next_run: self.manifest.next_run(),
            parent: self.parent.clone(),
            retained_seq: self.retained_seq,
            retained_lsn: self.retained_lsn,
            created_micros,
        }
    }
}

/// Reads a branch up to its present end.
///
/// # Errors
/// `Corrupt` naming the object, `Unavailable`, or what the sink returned.
pub async fn open(store: &Store, branch: &BranchName, sink: &mut dyn GroupSink) -> NodeResult<ChainState> {
    let (mut state, mut links) = begin(store, branch, None, sink).await?;
    while let Some(link) = links.following(&state).await? {
        take(&mut state, &link, sink)?;
    }
    Ok(state)
}

/// Reads a branch up to a link, whatever came after it. `at` names the branch as a fork would name its parent.
///
/// # Errors
/// As [`open`]; `Corrupt` when what is needed for it has been collected.
pub async fn open_at(store: &Store, at: &ForkRecord, sink: &mut dyn GroupSink) -> NodeResult<ChainState> {
    parent_state(store, at, sink).await
}

/// The link that follows `state`, or `None` at the end of the chain.
///
/// # Errors
/// As [`open`].
pub async fn next_link(store: &Store, state: &ChainState) -> NodeResult<Option<Link>> {
    let key = link_key("", &state.next.branch, state.next.seq);
    let Some(bytes) = get_if_there(store, &key).await? else { return Ok(None) };
    let link = Link::decode(bytes, &key)?;
    link.follows(&state.next).map_err(|error| error.with_object(&key))?;
    Ok(Some(link))
}

/// Hands a link's groups to the sink and accounts for it. A link with a fork record must have been
/// handled by [`open`].
///
/// # Errors
/// As [`open`].
pub fn take(state: &mut ChainState, link: &Link, sink: &mut dyn GroupSink) -> NodeResult<()> {
    for group in link.groups() {
        sink.group(group, state.manifest.checkpoint_lsn())?;
    }
    state.advance(link)?;
    sink.link(link.header.seq);
    Ok(())
}

/// A state, and the links that follow it.
type Begun<'s> = NodeResult<(ChainState, LinksAhead<'s>)>;

/// State and deltas as of the newest checkpoint at or before `upto` (the newest of all without it), or
/// of the branch's beginning; and the links that follow, up to `upto`.
fn begin<'a, 's: 'a>(
    store: &'s Store,
    branch: &'a BranchName,
    upto: Option<LinkSeq>,
    sink: &'a mut dyn GroupSink,
) -> Pin<Box<dyn Future<Output = Begun<'s>> + 'a>> {
    Box::pin(async move {
        let mut newest = upto;
        loop {
            let Some((seq, read, links)) = newest_checkpoint(store, branch, newest, upto).await? else {
                return from_first_link(store, branch, upto, sink).await;
            };
            match read {
                Ok(checkpoint) => return Ok((from_checkpoint(store, &checkpoint, sink).await?, links)),
                // An older one, or the whole chain, says the same.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    crate::event::warn(&format!("{error}; using an older checkpoint"));
                    newest = Some(LinkSeq(seq.0.saturating_sub(1)));
                }
                Err(error) => return Err(error),
            }
        }
    })
}

/// A checkpoint's number, what reading it gave, and the links after it.
type CheckpointRead<'a> = (LinkSeq, NodeResult<Checkpoint>, LinksAhead<'a>);

/// The newest checkpoint at or before `newest`, and the links after it up to `upto`. The head names it, unless a
/// writer that had been fenced was the last to write the head; a listing from there on tells, at the same time as
/// the checkpoint is read.
async fn newest_checkpoint<'a>(
    store: &'a Store,
    branch: &BranchName,
    newest: Option<LinkSeq>,
    upto: Option<LinkSeq>,
) -> NodeResult<Option<CheckpointRead<'a>>> {
    let head = read_head(store, branch).await?;
    let named = head
        .map(|head| head.checkpoint_seq)
        .filter(|seq| *seq != LinkSeq(0) && newest.is_none_or(|newest| *seq <= newest));
    let listed = match named {
        Some(seq) => {
            let list = listed_checkpoint(store, branch, named, newest);
            let ((read, links), newer) = join(checkpoint_at(store, branch, seq, upto), list).await;
            match newer? {
                Some(newer) => newer,
                None => return Ok(Some((seq, read, links))),
            }
        }
        None => match listed_checkpoint(store, branch, None, newest).await? {
            Some(seq) => seq,
            None => return Ok(None),
        },
    };
    let (read, links) = checkpoint_at(store, branch, listed, upto).await;
    Ok(Some((listed, read, links)))
}

/// Reads a checkpoint while the links after it are on their way.
async fn checkpoint_at<'a>(
    store: &'a Store,
    branch: &BranchName,
    seq: LinkSeq,
    upto: Option<LinkSeq>,
) -> (NodeResult<Checkpoint>, LinksAhead<'a>) {
    let mut links = LinksAhead::new(store, branch, seq.next(), upto);
    let (read, ()) = join(read_checkpoint(store, branch, seq), links.prefetch()).await;
    (read, links)
}

/// The head of a branch; `None` when there is none or it is damaged.
///
/// # Errors
/// `Unavailable`.
pub async fn read_head(store: &Store, branch: &BranchName) -> NodeResult<Option<Head>> {
    Ok(get_if_there(store, &head_key("", branch)).await?.and_then(Head::decode))
}

async fn read_checkpoint(store: &Store, branch: &BranchName, seq: LinkSeq) -> NodeResult<Checkpoint> {
    let key = checkpoint_key("", branch, seq);
    let checkpoint = Checkpoint::decode(store.get(&key).await?, &key)?;
    if checkpoint.seq != seq || checkpoint.branch != *branch {
        return Err(NodeError::corrupt(format!("{key}: is the checkpoint of another link")));
    }
    Ok(checkpoint)
}

/// The newest checkpoint after one and at or before another.
async fn listed_checkpoint(
    store: &Store,
    branch: &BranchName,
    after: Option<LinkSeq>,
    upto: Option<LinkSeq>,
) -> NodeResult<Option<LinkSeq>> {
    let prefix = aquifer_format::key::checkpoint_prefix("", branch);
    let after = after.map(|seq| checkpoint_key("", branch, seq));
    let objects = store.list(&prefix, after.as_deref()).await?;
    let seqs = objects.iter().filter_map(|object| match ObjectKey::parse("", &object.key) {
        Some(ObjectKey::Checkpoint(_, seq)) => Some(seq),
        _ => None,
    });
    Ok(seqs.filter(|seq| upto.is_none_or(|upto| *seq <= upto)).max())
}

/// Step 2: the deltas of the links between `replay_seq` and the checkpoint.
async fn from_checkpoint(
    store: &Store,
    checkpoint: &Checkpoint,
    sink: &mut dyn GroupSink,
) -> NodeResult<ChainState> {
    let mut state = ChainState::from_checkpoint(checkpoint)?;
    let mut before: Option<LinkPosition> = None;
    let mut seq = checkpoint.replay_seq;
    if let Some(fork) = &checkpoint.parent
        && fork.lsn > checkpoint.checkpoint_lsn
    {
        // Some of what is not in tables yet is in the parent's links.
        parent_deltas(store, fork, checkpoint.checkpoint_lsn, sink).await?;
        seq = LinkSeq(1);
    }
    let mut links = LinksAhead::new(store, &checkpoint.branch, seq, Some(checkpoint.seq));
    while let Some(bytes) = links.next().await? {
        let key = link_key("", &checkpoint.branch, seq);
        let link = Link::decode(bytes, &key)?;
        if let Some(position) = &before {
            link.follows(position).map_err(|error| error.with_object(&key))?;
        }
        for group in link.groups() {
            sink.group(group, checkpoint.checkpoint_lsn)?;
        }
        sink.link(seq);
        state.unflushed.push_back((seq, link.header.last_lsn));
        before = Some(link.next_position());
        seq = seq.next();
    }
    if before.is_some_and(|position| position.previous != checkpoint.link_digest) {
        let key = checkpoint_key("", &checkpoint.branch, checkpoint.seq);
        return Err(NodeError::corrupt(format!("{key}: does not belong to this chain")));
    }
    Ok(state)
}

/// The parent's deltas above `after` and up to the fork point.
async fn parent_deltas(
    store: &Store,
    fork: &ForkRecord,
    after: Lsn,
    sink: &mut dyn GroupSink,
) -> NodeResult<()> {
    let mut sink = After { after, sink };
    parent_state(store, fork, &mut sink).await.map(|_| ())
}

/// The branch's beginning: empty, or the parent as of the fork point.
async fn from_first_link<'a>(
    store: &'a Store,
    branch: &BranchName,
    upto: Option<LinkSeq>,
    sink: &mut dyn GroupSink,
) -> Begun<'a> {
    let state = ChainState::empty(branch);
    let mut links = LinksAhead::new(store, branch, LinkSeq(1), upto);
    let Some(bytes) = links.peek().await? else { return Ok((state, links)) };
    let key = link_key("", branch, LinkSeq(1));
    let Some(fork) = Link::decode(bytes, &key)?.fork_record().cloned() else { return Ok((state, links)) };
    let parent = parent_state(store, &fork, sink).await?;
    let mut state = ChainState {
        next: LinkPosition {
            branch: branch.clone(),
            seq: LinkSeq(1),
            epoch: parent.next.epoch,
            previous: parent.next.previous,
            previous_lsn: fork.lsn,
        },
        unflushed: VecDeque::new(),
        checkpoint_seq: LinkSeq(0),
        retained_seq: LinkSeq(1),
        ..parent
    };
    if let Some(link) = links.following(&state).await? {
        take(&mut state, &link, sink)?;
    }
    Ok((state, links))
}

async fn parent_state(store: &Store, fork: &ForkRecord, sink: &mut dyn GroupSink) -> NodeResult<ChainState> {
    let mut sink = UpTo { upto: fork.lsn, sink };
    let (mut state, mut links) = begin(store, &fork.parent, Some(fork.parent_seq), &mut sink).await?;
    while let Some(link) = links.following(&state).await? {
        take(&mut state, &link, &mut sink)?;
    }
    state.manifest = state.manifest.without_commits_after(fork.lsn)?;
    Ok(state)
}

/// Lets groups through up to an LSN, cutting the last one.
struct UpTo<'a> {
    upto: Lsn,
    sink: &'a mut dyn GroupSink,
}

impl GroupSink for UpTo<'_> {
    fn group(&mut self, group: &GroupView, skip_through: Lsn) -> NodeResult<()> {
        if group.first_lsn() > self.upto {
            return Ok(());
        }
        if group.last_lsn() <= self.upto {
            return self.sink.group(group, skip_through);
        }
        let mut cut = aquifer_format::GroupBuilder::new(group.first_lsn(), group.epoch());
        for (_, delta) in group.iter().take_while(|(lsn, _)| *lsn <= self.upto) {
            cut.push(delta.bytes().clone());
        }
        self.sink.group(&GroupView::parse(cut.finish()?)?, skip_through)
    }
}

/// Lets groups through that reach above an LSN.
struct After<'a> {
    after: Lsn,
    sink: &'a mut dyn GroupSink,
}

impl GroupSink for After<'_> {
    fn group(&mut self, group: &GroupView, skip_through: Lsn) -> NodeResult<()> {
        if group.last_lsn() <= self.after {
            return Ok(());
        }
        self.sink.group(group, skip_through.max(self.after))
    }
}

async fn get_if_there(store: &Store, key: &str) -> NodeResult<Option<Bytes>> {
    match store.get(key).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
