//! The publisher: copies committed groups and edits into the chain, in order, one link at a time.
//!
//! It runs on a thread of its own. Steps for each link:
//!
//! 1. Wait until something is queued and the publish interval has passed.
//! 2. Put what is queued into a link, up to the link's target size.
//! 3. PUT it under the next number if that is free; again and again while the store is away.
//! 4. Created: account for it, run what waited for the edits in it, tell the sequencer how far the chain
//!    has come. Exists: another writer owns the chain. Then nothing more is published on this branch, and
//!    [`crate::rescue`] takes what is left.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aquifer_format::link::LinkBuilder;
use aquifer_format::{GroupView, Head, Link, ManifestEdit, checkpoint_key, head_key, link_key};
use aquifer_objstore::{PutOutcome, Store, StoreErrorKind, block_on};
use aquifer_shard::chain::ChainState;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_types::{LinkSeq, Lsn};

/// Runs when an edit is in the chain, on the publisher's thread.
pub type Published = Box<dyn FnOnce(&ChainState) + Send>;

/// Something to publish.
enum Item {
    Group(GroupView),
    Edit(ManifestEdit, Published),
}

impl Item {
    fn into_group(self) -> Option<GroupView> {
        match self {
            Self::Group(group) => Some(group),
            Self::Edit(..) => None,
        }
    }
}

/// The publisher's queue, shared with those that fill it.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    published: AtomicU64,
    committed: AtomicU64,
    backlog_bytes: AtomicU64,
    links: AtomicU64,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    closing: bool,
}

/// When to publish and when to write checkpoints.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// Least time between two links.
    pub interval: Duration,
    /// Links between two checkpoints.
    pub checkpoint_links: u64,
}

/// How the publisher ended.
pub enum Ended {
    /// It was closed, and everything is in the chain.
    Closed,
    /// Another writer owns the chain. What was not published, in order.
    Fenced {
        /// What to tell.
        error: NodeError,
        /// The chain as this writer left it.
        state: Box<ChainState>,
        /// Committed here and not in the chain.
        left: Vec<GroupView>,
    },
    /// The chain cannot be written for another reason than the store being away.
    Failed(NodeError),
}

impl Publisher {
    /// A queue for a chain that ends at `published`.
    #[must_use]
    pub fn new(published: Lsn) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            published: AtomicU64::new(published.0),
            committed: AtomicU64::new(published.0),
            backlog_bytes: AtomicU64::new(0),
            links: AtomicU64::new(0),
        }))
    }

    /// Queues committed transactions; they follow those queued before.
    pub fn push_group(&self, group: GroupView) {
        self.0.committed.fetch_max(group.last_lsn().0, Ordering::AcqRel);
        self.0.backlog_bytes.fetch_add(group.bytes().len() as u64, Ordering::Relaxed);
        self.push(Item::Group(group));
    }

    /// Queues an edit; `published` runs once it is in the chain.
    pub fn push_edit(&self, edit: ManifestEdit, published: Published) {
        self.push(Item::Edit(edit, published));
    }

    fn push(&self, item: Item) {
        let mut queue = self.queue();
        queue.items.push_back(item);
        if queue.items.len() == 1 {
            drop(queue);
            self.0.changed.notify_one();
        }
    }

    /// Publishes what is queued without regard to the interval, then ends.
    pub fn close(&self) {
        self.queue().closing = true;
        self.0.changed.notify_one();
    }

    /// Last LSN in the chain.
    #[must_use]
    pub fn published_lsn(&self) -> Lsn {
        Lsn(self.0.published.load(Ordering::Acquire))
    }

    /// Committed bytes that are not in the chain yet.
    #[must_use]
    pub fn backlog_bytes(&self) -> u64 {
        self.0.backlog_bytes.load(Ordering::Relaxed)
    }

    /// Links made since the start.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.0.links.load(Ordering::Relaxed)
    }

    /// The groups that are still queued, for a publisher that was fenced.
    #[must_use]
    pub fn take_left(&self) -> Vec<GroupView> {
        self.queue().items.drain(..).filter_map(Item::into_group).collect()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The publisher's thread. `on_published` is told the last LSN in the chain after each link.
    pub fn run(
        &self,
        store: &Store,
        state: ChainState,
        options: &PublisherOptions,
        on_published: impl Fn(Lsn),
    ) -> Ended {
        let mut run = Run { publisher: self, store, state, links_since_checkpoint: 0 };
        let mut last = Instant::now().checked_sub(options.interval).unwrap_or_else(Instant::now);
        while let Some(batch) = self.next_batch(last + options.interval) {
            last = Instant::now();
            match run.publish(batch) {
                Ok(None) => on_published(run.state.last_lsn()),
                Ok(Some(left)) => return run.fenced(left),
                Err(error) => return Ended::Failed(error),
            }
            if run.links_since_checkpoint >= options.checkpoint_links {
                run.checkpoint();
            }
        }
        run.checkpoint();
        Ended::Closed
    }

    /// Everything that is queued, not before `not_before`; `None` when closed and empty.
    fn next_batch(&self, not_before: Instant) -> Option<Vec<Item>> {
        let mut queue = self.queue();
        loop {
            let wait = not_before.saturating_duration_since(Instant::now());
            if queue.items.is_empty() {
                if queue.closing {
                    return None;
                }
                queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            } else if wait.is_zero() || queue.closing {
                return Some(take_link(&mut queue.items));
            } else {
                queue = self.0.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// As many items as fit into one link.
fn take_link(items: &mut VecDeque<Item>) -> Vec<Item> {
    let mut bytes = 0;
    let mut taken = Vec::new();
    while let Some(item) = items.front() {
        let item_bytes = match item {
            Item::Group(group) => group.bytes().len(),
            Item::Edit(edit, _) => edit.to_bytes().len(),
        };
        if !taken.is_empty() && bytes + item_bytes > aquifer_format::link::LINK_BYTES_TARGET / 2 {
            break;
        }
        bytes += item_bytes;
        taken.extend(items.pop_front());
    }
    taken
}

/// The publisher at work.
struct Run<'a> {
    publisher: &'a Publisher,
    store: &'a Store,
    state: ChainState,
    links_since_checkpoint: u64,
}

impl Run<'_> {
    /// Publishes one link. `Some`: fenced; the items come back.
    fn publish(&mut self, items: Vec<Item>) -> NodeResult<Option<Vec<Item>>> {
        let mut builder = LinkBuilder::new(self.state.next.clone());
        let mut group_bytes = 0;
        for item in &items {
            match item {
                Item::Group(group) => {
                    builder.push_group(group)?;
                    group_bytes += group.bytes().len() as u64;
                }
                Item::Edit(edit, _) => builder.push_edit(edit),
            }
        }
        let committed = Lsn(self.publisher.0.committed.load(Ordering::Acquire));
        let (bytes, _) = builder.finish(committed, event::wall_micros())?;
        let key = link_key("", &self.state.next.branch, self.state.next.seq);
        let link = Link::decode(bytes.clone(), &key)?;
        if put_link(self.store, &key, &bytes)? == PutOutcome::Exists {
            return Ok(Some(items));
        }
        self.state.advance(&link)?;
        self.links_since_checkpoint += 1;
        let shared = &self.publisher.0;
        shared.published.store(self.state.last_lsn().0, Ordering::Release);
        shared.backlog_bytes.fetch_sub(group_bytes, Ordering::Relaxed);
        shared.links.fetch_add(1, Ordering::Relaxed);
        for item in items {
            if let Item::Edit(_, published) = item {
                published(&self.state);
            }
        }
        Ok(None)
    }

    fn fenced(self, items: Vec<Item>) -> Ended {
        let error = NodeError::fenced(fenced_message(self.store, &self.state));
        let left = items.into_iter().filter_map(Item::into_group).collect();
        Ended::Fenced { error, state: Box::new(self.state), left }
    }

    /// Writes a checkpoint and points the head at it. Both can be made again from the chain, so a failure
    /// is a warning.
    fn checkpoint(&mut self) {
        if self.state.last_seq() == LinkSeq(0) || self.state.checkpoint_seq == self.state.last_seq() {
            return;
        }
        match block_on(write_checkpoint(self.store, &mut self.state)) {
            Ok(()) => self.links_since_checkpoint = 0,
            Err(error) => event::warn(&format!("no checkpoint was written: {error}")),
        }
    }
}

/// Writes a checkpoint of a chain and its head.
///
/// # Errors
/// Those of the store.
pub async fn write_checkpoint(store: &Store, state: &mut ChainState) -> NodeResult<()> {
    let (branch, seq) = (state.next.branch.clone(), state.last_seq());
    let now = event::wall_micros();
    store.put(&checkpoint_key("", &branch, seq), state.to_checkpoint(now).encode()).await?;
    let head = Head { checkpoint_seq: seq, link_seq: seq, epoch: state.next.epoch, written_micros: now };
    store.put(&head_key("", &branch), head.encode()).await?;
    state.checkpoint_seq = seq;
    Ok(())
}

/// PUTs a link, waiting while the store is away.
///
/// # Errors
/// When the store refuses for another reason.
pub fn put_link(store: &Store, key: &str, bytes: &bytes::Bytes) -> NodeResult<PutOutcome> {
    let mut pause = Duration::from_millis(50);
    let mut away_since: Option<Instant> = None;
    loop {
        match block_on(store.put_if_absent(key, bytes.clone())) {
            Ok(outcome) => {
                if let Some(since) = away_since {
                    event::info(&format!("the store is back after {:.1} s", since.elapsed().as_secs_f64()));
                }
                return Ok(outcome);
            }
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                if away_since.is_none() {
                    away_since = Some(Instant::now());
                    event::warn(&format!("the store is away, commits go on and wait for it: {error}"));
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            Err(error) => return Err(error.into()),
        }
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
