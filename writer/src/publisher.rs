//! The publisher: copies committed groups and edits into the chain, in order, one link at a time.
//!
//! It runs on a thread of its own. Steps for each link:
//!
//! 1. Wait until something is queued and the publish interval has passed.
//! 2. Put what is queued into a link, up to the link's target size. Tables of its edits that wait in the
//!    outbox are PUT first.
//! 3. PUT it under the next number if that is free; again and again while the store is away.
//! 4. Created: account for it, run what waited for the edits in it, tell the sequencer how far the chain
//!    has come. Exists: another writer owns the chain. Then nothing more is published on this branch, and
//!    [`crate::rescue`] takes what is left.

mod backlog;
mod run;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aquifer_commitlog::LogIndex;
use aquifer_format::{GroupView, ManifestEdit};
use aquifer_objstore::Store;
use aquifer_shard::chain::ChainState;
use aquifer_shard::error::NodeError;
use aquifer_types::{LinkSeq, Lsn, SstId};
use futures_channel::oneshot;

pub use backlog::{Loader, Pending, ReadLog};
use run::{ATTEMPT, Outcome, Run};
pub use run::{put_link, write_checkpoint};

use crate::outbox::{OutboxDir, StoreWatch};

/// Groups are held in memory up to this; beyond it they are in the commit log only.
const HELD_BYTES_MAX: usize = 64 << 20;

/// Runs when an edit is in the chain, on the publisher's thread.
pub type Published = Box<dyn FnOnce(&ChainState) + Send>;

/// Something to publish.
enum Item {
    Group(Pending),
    Edit {
        edit: ManifestEdit,
        /// Tables that are in the outbox.
        tables: Vec<SstId>,
        published: Published,
    },
    /// A checkpoint and a head of the chain as it is then; whether they were written.
    Checkpoint(oneshot::Sender<bool>),
}

impl Item {
    fn into_group(self) -> Option<Pending> {
        match self {
            Self::Group(group) => Some(group),
            Self::Edit { .. } | Self::Checkpoint(_) => None,
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
    retained_seq: AtomicU64,
    retained_lsn: AtomicU64,
    watch: StoreWatch,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Bytes of the groups that are in memory.
    held_bytes: usize,
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
    /// It was closed while the store was away. What is not in the chain is in the commit log.
    Away,
    /// Another writer owns the chain. What was not published, in order.
    Fenced {
        /// What to tell.
        error: NodeError,
        /// The chain as this writer left it.
        state: Box<ChainState>,
        /// Committed here and not in the chain.
        left: Vec<Pending>,
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
            retained_seq: AtomicU64::new(1),
            retained_lsn: AtomicU64::new(0),
            watch: StoreWatch::default(),
        }))
    }

    /// Queues committed transactions, which the commit log has at `index`; they follow those queued before.
    pub fn push_group(&self, group: GroupView, index: LogIndex) {
        let fits = |queue: &Queue| queue.held_bytes + group.bytes().len() <= HELD_BYTES_MAX;
        let queue = self.queue();
        if fits(&queue) || queue.items.is_empty() {
            return self.hold(queue, group);
        }
        self.account(&group);
        self.push(queue, Item::Group(Pending::logged(&group, index)));
    }

    /// As [`Publisher::push_group`] for transactions that no commit log has: they stay in memory.
    pub fn push_held_group(&self, group: GroupView) {
        self.hold(self.queue(), group);
    }

    fn hold(&self, mut queue: MutexGuard<'_, Queue>, group: GroupView) {
        self.account(&group);
        queue.held_bytes += group.bytes().len();
        self.push(queue, Item::Group(Pending::Held(group)));
    }

    fn account(&self, group: &GroupView) {
        self.0.committed.fetch_max(group.last_lsn().0, Ordering::AcqRel);
        self.0.backlog_bytes.fetch_add(group.bytes().len() as u64, Ordering::Relaxed);
    }

    /// Queues an edit, of whose tables `tables` are in the outbox; `published` runs once it is in the chain.
    pub fn push_edit(&self, edit: ManifestEdit, tables: Vec<SstId>, published: Published) {
        self.push(self.queue(), Item::Edit { edit, tables, published });
    }

    /// Asks for a checkpoint of the chain, and a head that names it, without waiting for the usual number of
    /// links. `false`: it could not be written. Fails when the publisher has ended.
    pub fn request_checkpoint(&self) -> oneshot::Receiver<bool> {
        let (sender, written) = oneshot::channel();
        self.push(self.queue(), Item::Checkpoint(sender));
        written
    }

    /// Later checkpoints say that this is the oldest link that exists, and the oldest LSN that can be read.
    pub fn set_retained(&self, seq: LinkSeq, lsn: Lsn) {
        self.0.retained_seq.fetch_max(seq.0, Ordering::AcqRel);
        self.0.retained_lsn.fetch_max(lsn.0, Ordering::AcqRel);
    }

    fn push(&self, mut queue: MutexGuard<'_, Queue>, item: Item) {
        queue.items.push_back(item);
        if queue.items.len() == 1 {
            drop(queue);
            self.0.changed.notify_one();
        }
    }

    /// Whether the store answers.
    #[must_use]
    pub fn watch(&self) -> &StoreWatch {
        &self.0.watch
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

    /// Those of them that are in memory; the others are in the commit log only.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.queue().held_bytes
    }

    /// Links made since the start.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.0.links.load(Ordering::Relaxed)
    }

    /// The groups that are still queued, for a publisher that was fenced.
    #[must_use]
    pub fn take_left(&self) -> Vec<Pending> {
        self.queue().items.drain(..).filter_map(Item::into_group).collect()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.queue().closing
    }

    /// The publisher's thread. `on_published` is told the last LSN in the chain after each link.
    pub fn run(&self, parts: PublisherParts<'_>, on_published: impl Fn(Lsn)) -> Ended {
        let PublisherParts { store, state, options, outbox, read_log } = parts;
        let attempt_store = store.with_retry(ATTEMPT);
        let loader = Loader::new(read_log);
        let mut run =
            Run { publisher: self, store, attempt_store, state, outbox, loader, links_since_checkpoint: 0 };
        let mut last = Instant::now().checked_sub(options.interval).unwrap_or_else(Instant::now);
        while let Some(batch) = self.next_batch(last + options.interval) {
            last = Instant::now();
            match run.take(batch) {
                Ok(Outcome::Published) => on_published(run.state.last_lsn()),
                Ok(Outcome::Fenced(left)) => return run.fenced(left),
                Ok(Outcome::Away) => return Ended::Away,
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
                return Some(take_link(&mut queue));
            } else {
                queue = self.0.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// What the publisher's thread works with.
pub struct PublisherParts<'a> {
    /// Where the chain is.
    pub store: &'a Store,
    /// The chain as it is.
    pub state: ChainState,
    /// When to publish.
    pub options: &'a PublisherOptions,
    /// Where tables wait for the store.
    pub outbox: &'a OutboxDir,
    /// Reads the part of the backlog that is not in memory.
    pub read_log: &'a ReadLog,
}

/// As many items as fit into one link.
fn take_link(queue: &mut Queue) -> Vec<Item> {
    let mut bytes = 0;
    let mut taken = Vec::new();
    while let Some(item) = queue.items.front() {
        let item_bytes = match item {
            Item::Group(group) => group.bytes(),
            Item::Edit { edit, .. } => edit.to_bytes().len(),
            // Alone in its batch.
            Item::Checkpoint(_) => aquifer_format::link::LINK_BYTES_TARGET,
        };
        if !taken.is_empty() && bytes + item_bytes > aquifer_format::link::LINK_BYTES_TARGET / 2 {
            break;
        }
        bytes += item_bytes;
        if let Item::Group(Pending::Held(_)) = item {
            queue.held_bytes -= item_bytes;
        }
        taken.extend(queue.items.pop_front());
    }
    taken
}
