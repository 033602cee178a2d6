//! One link after the other: what the publisher's thread does with a batch.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aquifer_format::link::LinkBuilder;
use aquifer_format::{Head, Link, ManifestEdit, checkpoint_key, head_key, link_key, sst_key};
use aquifer_objstore::{PutOutcome, Retry, Store, StoreErrorKind, StoreResult, block_on};
use aquifer_shard::chain::ChainState;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_types::{LinkSeq, Lsn};

use super::{Ended, Item, Loader, Pending, Publisher};
use crate::outbox::{OutboxDir, StoreWatch};

/// One attempt at a time, so that an absent store is noticed soon; the publisher repeats them itself.
pub(super) const ATTEMPT: Retry =
    Retry { attempts_max: 1, backoff_first_ms: 0, backoff_max_ms: 0, attempt_timeout_ms: 5_000 };

/// A link that brings a table made so long ago is followed by a checkpoint, see
/// [`aquifer_lsm::reachability`].
const TABLE_AGE_MAX_MICROS: u64 = 10 * 60 * 1_000_000;

const _: () = assert!(TABLE_AGE_MAX_MICROS < aquifer_lsm::reachability::SLACK.as_secs() * 1_000_000);

/// A publisher that is to end tries so often to reach a store that is away.
const LAST_ATTEMPTS: u32 = 3;

/// The publisher at work.
pub(super) struct Run<'a> {
    pub(super) publisher: &'a Publisher,
    pub(super) store: &'a Store,
    /// The store, one attempt a request.
    pub(super) attempt_store: Store,
    pub(super) state: ChainState,
    pub(super) outbox: &'a OutboxDir,
    pub(super) loader: Loader<'a>,
    pub(super) links_since_checkpoint: u64,
}

/// What became of a batch.
pub(super) enum Outcome {
    Published,
    /// Another writer was faster; the items come back.
    Fenced(Vec<Item>),
    /// The store is away and the publisher is to end.
    Away,
}

impl Run<'_> {
    /// Publishes a link, or writes the checkpoint that was asked for.
    pub(super) fn take(&mut self, mut items: Vec<Item>) -> NodeResult<Outcome> {
        if let Some(Item::Checkpoint(_)) = items.first() {
            let written = self.checkpoint_now();
            if let Some(Item::Checkpoint(sender)) = items.pop() {
                // Who asked may have gone.
                let _ = sender.send(written);
            }
            return Ok(Outcome::Published);
        }
        self.publish(items)
    }

    /// Publishes one link.
    fn publish(&mut self, mut items: Vec<Item>) -> NodeResult<Outcome> {
        if self.send_tables(&items)?.is_none() {
            return Ok(Outcome::Away);
        }
        let mut builder = LinkBuilder::new(self.state.next.clone());
        let (mut group_bytes, mut needs_checkpoint) = (0, false);
        for item in &mut items {
            match item {
                Item::Group(pending) => {
                    let group = self.loader.load(pending.clone())?;
                    builder.push_group(&group)?;
                    needs_checkpoint |= group.spilled_edits().iter().any(|edit| self.brings_old_tables(edit));
                    group_bytes += group.bytes().len() as u64;
                    *pending = Pending::Held(group);
                }
                Item::Edit { edit, .. } => {
                    needs_checkpoint |= self.brings_old_tables(edit);
                    builder.push_edit(edit);
                }
                Item::Checkpoint(_) => {}
            }
        }
        let committed = Lsn(self.publisher.0.committed.load(Ordering::Acquire));
        let (bytes, _) = builder.finish(committed, event::wall_micros())?;
        let key = link_key("", &self.state.next.branch, self.state.next.seq);
        let link = Link::decode(bytes.clone(), &key)?;
        match self.until_answered(|store| block_on(store.put_if_absent(&key, bytes.clone())))? {
            None => return Ok(Outcome::Away),
            Some(PutOutcome::Exists) => return Ok(Outcome::Fenced(items)),
            Some(PutOutcome::Created) => {}
        }
        self.state.advance(&link)?;
        self.links_since_checkpoint =
            if needs_checkpoint { u64::MAX } else { self.links_since_checkpoint + 1 };
        let shared = &self.publisher.0;
        shared.published.store(self.state.last_lsn().0, Ordering::Release);
        shared.backlog_bytes.fetch_sub(group_bytes, Ordering::Relaxed);
        shared.links.fetch_add(1, Ordering::Relaxed);
        for item in items {
            if let Item::Edit { published, .. } = item {
                published(&self.state);
            }
        }
        Ok(Outcome::Published)
    }

    /// PUTs the tables of edits that wait in the outbox. `None`: the store is away and the publisher is to
    /// end.
    fn send_tables(&self, items: &[Item]) -> NodeResult<Option<()>> {
        for item in items {
            let Item::Edit { tables, .. } = item else { continue };
            for id in tables {
                let object = self.outbox.read_table(*id)?;
                let key = sst_key("", *id);
                if self.until_answered(|store| block_on(store.put(&key, object.clone())))?.is_none() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(()))
    }

    /// Repeats a request while the store is away. `None`: the publisher is to end first.
    fn until_answered<T>(&self, request: impl Fn(&Store) -> StoreResult<T>) -> NodeResult<Option<T>> {
        let watch = self.publisher.watch();
        let (mut pause, mut attempts_left) = (Duration::from_millis(50), LAST_ATTEMPTS);
        loop {
            match request(&self.attempt_store) {
                Ok(answer) => {
                    watch.answered();
                    return Ok(Some(answer));
                }
                Err(error) if error.kind() == StoreErrorKind::Unavailable => watch.failed(&error),
                Err(error) => return Err(error.into()),
            }
            if self.publisher.is_closing() {
                attempts_left -= 1;
                if attempts_left == 0 {
                    return Ok(None);
                }
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    pub(super) fn fenced(self, items: Vec<Item>) -> Ended {
        let error = NodeError::fenced(fenced_message(self.store, &self.state));
        let left = items.into_iter().filter_map(Item::into_group).collect();
        Ended::Fenced { error, state: Box::new(self.state), left }
    }

    /// Whether an edit adds a table that was made long ago. Collection judges tables by their age and would not
    /// see it between two checkpoints.
    fn brings_old_tables(&self, edit: &ManifestEdit) -> bool {
        let oldest = event::wall_micros().saturating_sub(TABLE_AGE_MAX_MICROS);
        let moves = |id| edit.removed.iter().any(|removed| removed.sst_id() == id);
        edit.added.iter().any(|meta| meta.created_micros < oldest && !moves(meta.sst_id()))
    }

    /// Writes a checkpoint if there is something new.
    pub(super) fn checkpoint(&mut self) {
        if self.state.checkpoint_seq != self.state.last_seq() {
            self.checkpoint_now();
        }
    }

    /// Writes a checkpoint, if there is something new, and points the head at it. Both can be made again from
    /// the chain, so a failure is a warning.
    fn checkpoint_now(&mut self) -> bool {
        if self.state.last_seq() == LinkSeq(0) {
            return false;
        }
        let shared = &self.publisher.0;
        self.state.retained_seq =
            LinkSeq(shared.retained_seq.load(Ordering::Acquire)).max(self.state.retained_seq);
        self.state.retained_lsn =
            Lsn(shared.retained_lsn.load(Ordering::Acquire)).max(self.state.retained_lsn);
        match block_on(write_checkpoint(self.store, &mut self.state)) {
            Ok(()) => self.links_since_checkpoint = 0,
            Err(error) => event::warn(&format!("no checkpoint was written: {error}")),
        }
        self.state.checkpoint_seq == self.state.last_seq() && self.links_since_checkpoint == 0
    }
}

/// Writes a checkpoint of a chain and its head.
///
/// # Errors
/// Those of the store.
pub async fn write_checkpoint(store: &Store, state: &mut ChainState) -> NodeResult<()> {
    let (branch, seq) = (state.next.branch.clone(), state.last_seq());
    let now = event::wall_micros();
    if state.checkpoint_seq != seq {
        store.put(&checkpoint_key("", &branch, seq), state.to_checkpoint(now).encode()).await?;
    }
    let head = Head { checkpoint_seq: seq, link_seq: seq, epoch: state.next.epoch, written_micros: now };
    store.put(&head_key("", &branch), head.encode()).await?;
    state.checkpoint_seq = seq;
    Ok(())
}

/// PUTs a link, waiting for as long as the store is away.
///
/// # Errors
/// When the store refuses for another reason.
pub fn put_link(store: &Store, key: &str, bytes: &bytes::Bytes) -> NodeResult<PutOutcome> {
    let watch = StoreWatch::default();
    let mut pause = Duration::from_millis(50);
    loop {
        match block_on(store.put_if_absent(key, bytes.clone())) {
            Ok(outcome) => {
                watch.answered();
                return Ok(outcome);
            }
            Err(error) if error.kind() == StoreErrorKind::Unavailable => watch.failed(&error),
            Err(error) => return Err(error.into()),
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Says who owns the chain now, as far as the link that is in our place tells.
fn fenced_message(store: &Store, state: &ChainState) -> String {
    let key = link_key("", &state.next.branch, state.next.seq);
    let other = block_on(store.get(&key)).ok().and_then(|bytes| Link::decode(bytes, &key).ok());
    let epoch = other.as_ref().map_or_else(String::new, |link| format!(" with epoch {}", link.header.epoch));
    let address = other
        .as_ref()
        .and_then(Link::epoch_record)
        .filter(|record| !record.address.is_empty())
        .map_or_else(String::new, |record| format!(" at {}", record.address));
    let branch = &state.next.branch;
    let mine = state.next.epoch;
    format!(
        "another writer{address} has taken over branch {branch}{epoch} (this one had epoch {mine}); stopping"
    )
}
