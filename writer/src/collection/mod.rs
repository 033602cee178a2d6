//! Collection: deletes from the store what nothing can reach any more (ADRs 0101 and 0161).
//!
//! A job on the bulk lane, at most once an interval and not at all while nothing changes. Its steps:
//!
//! 1. Have the publisher write a checkpoint and a head. The head's time of writing is the present moment by
//!    the store's clock.
//! 2. Note which tables are on their way, then which are in the manifest; then list the store.
//! 3. Read what is new of checkpoints and of other branches' links ([`gather`]).
//! 4. Judge ([`aquifer_lsm::reachability`]).
//! 5. Delete, of this writer's branch, checkpoints and then links, ascending; then tables of any branch.
//! 6. If tables wait for a checkpoint that nothing brings, because nothing is published, publish a link with an empty
//!    edit and a checkpoint after it (ADR 0161). Tables ask for one once.
//!
//! A crash after any request leaves what the next collection deletes. Verdicts are monotonic, so a collector
//! that sleeps in the middle, and even one whose writer has been fenced meanwhile, deletes nothing that is
//! needed. Links and checkpoints of other branches are their writers' business.

pub mod gather;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aquifer_format::{ManifestEdit, checkpoint_key, link_key, sst_key};
use aquifer_lsm::reachability::BranchGarbage;
use aquifer_objstore::Store;
use aquifer_shard::engine::Engine;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::lane::yield_if_needed;
use aquifer_shard::ticker::Ticker;
use aquifer_types::{ErrorKind, LinkSeq};
use futures_channel::oneshot;
use futures_util::future::{Either, select, try_join_all};

use crate::outbox::Outbox;
use crate::publisher::Publisher;
use gather::Gatherer;

/// Deletions under way at once.
const DELETES_AT_ONCE: usize = 8;

/// Remembers, in the local directory, when the last collection was.
const STAMP_FILE: &str = "last-collection";

/// When to collect, and what to keep.
#[derive(Clone, Debug)]
pub struct CollectionOptions {
    /// Every state since so long ago stays readable. Longer: older states can be branched from, and readers
    /// may run longer statements; more storage.
    pub retention: Duration,
    /// Least time between two collections, each of which lists the store.
    pub interval: Duration,
    /// The writer's local directory.
    pub local: PathBuf,
}

/// What collections have found and done.
#[derive(Debug, Default)]
pub struct CollectionCounts {
    /// Objects deleted.
    pub deleted_objects: AtomicU64,
    /// Bytes of the tables among them.
    pub deleted_bytes: AtomicU64,
    /// Bytes that the last listing showed, after the deletions; 0 before the first.
    pub stored_bytes: AtomicU64,
    /// Collections finished.
    pub runs: AtomicU64,
}

/// The job's state.
pub struct Collector {
    engine: Arc<Engine>,
    publisher: Publisher,
    outbox: Outbox,
    options: CollectionOptions,
    counts: Arc<CollectionCounts>,
    gatherer: Gatherer,
    /// Links published when the last collection found that nothing is waiting for its age.
    settled_at: Option<u64>,
}

impl Collector {
    /// A collector that has not listed anything yet.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        publisher: Publisher,
        outbox: Outbox,
        options: CollectionOptions,
        counts: Arc<CollectionCounts>,
    ) -> Self {
        let gatherer = Gatherer::default();
        Self { engine, publisher, outbox, options, counts, gatherer, settled_at: None }
    }

    /// Collects from time to time until `stop` is told or dropped.
    pub async fn run(mut self, ticker: Ticker, stop: oneshot::Receiver<()>) {
        let mut stop = stop;
        let mut pause = match since_stamp(&self.options.local) {
            Some(since) => self.options.interval.saturating_sub(since),
            None => {
                stamp(&self.options.local);
                self.options.interval
            }
        };
        loop {
            match select(ticker.sleep(pause), stop).await {
                Either::Left((_, still)) => stop = still,
                Either::Right(_) => return,
            }
            pause = self.options.interval;
            if self.outbox.is_away() || self.is_settled() {
                continue;
            }
            stamp(&self.options.local);
            match select(Box::pin(self.collect()), stop).await {
                Either::Left((outcome, still)) => {
                    stop = still;
                    if let Err(error) = outcome {
                        event::warn(&format!("collection is tried again later: {error}"));
                    }
                }
                Either::Right(_) => return,
            }
        }
    }

    /// Whether the last collection left nothing to a later one and no link has been published since.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled_at == Some(self.publisher.links())
    }

    /// One collection.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`: nothing that is needed was deleted, the rest is left to the next one.
    pub async fn collect(&mut self) -> NodeResult<()> {
        let links = self.publisher.links();
        if !matches!(self.publisher.request_checkpoint().await, Ok(true)) {
            return Err(NodeError::new(ErrorKind::Unavailable, "no checkpoint could be written before it"));
        }
        let mut live = self.outbox.on_their_way();
        live.extend(self.engine.state().manifest().tables().map(|table| table.id()));
        let (store, own) = (&self.engine.store, &self.engine.branch);
        let gathered = self.gatherer.gather(store, own, live, self.options.retention).await?;
        let garbage = gathered.view.garbage_of(own);
        let tables = gathered.view.garbage_tables();
        let base_lsn = gathered
            .last_lsns
            .iter()
            .find(|((name, seq), _)| name == own && !garbage.checkpoints.contains(seq));
        if let Some((_, lsn)) = base_lsn {
            self.publisher.set_retained(garbage.retained_seq, *lsn);
        }
        self.delete_chain(&garbage).await?;
        let keys: Vec<String> = tables.iter().map(|table| sst_key("", table.id)).collect();
        self.delete(&keys).await?;
        let bytes: u64 = tables.iter().map(|table| table.bytes).sum();
        self.counts.deleted_bytes.fetch_add(bytes, Ordering::Relaxed);
        let all: u64 = gathered.view.tables.iter().map(|table| table.bytes).sum();
        self.counts.stored_bytes.store(all - bytes + gathered.chain_bytes, Ordering::Relaxed);
        self.counts.runs.fetch_add(1, Ordering::Relaxed);
        let kept = |listed: usize, gone: usize| listed - gone;
        let branch = gathered.view.branches.get(own);
        let checkpoints =
            branch.map_or(0, |branch| kept(branch.checkpoints.len(), garbage.checkpoints.len()));
        let young = kept(gathered.view.tables.len(), tables.len()) > gathered.view.live.len();
        // What a pin or another branch keeps may be let go without a link of this one.
        let is_settled = checkpoints <= 1 && !young && !gathered.view.has_root_on(own);
        self.settled_at = is_settled.then_some(links);
        if self.publisher.links() == links && gathered.view.needs_checkpoint(own) {
            self.publish_nothing().await?;
        }
        Ok(())
    }

    /// Makes a link that changes nothing, for the sake of the checkpoint after it.
    async fn publish_nothing(&self) -> NodeResult<()> {
        self.publisher.push_edit(ManifestEdit::default(), Vec::new(), Box::new(|_| {}));
        match self.publisher.request_checkpoint().await {
            Ok(true) => Ok(()),
            _ => Err(NodeError::new(ErrorKind::Unavailable, "garbage waits for a checkpoint")),
        }
    }

    async fn delete_chain(&self, garbage: &BranchGarbage) -> NodeResult<()> {
        let own = &self.engine.branch;
        let keys = |seqs: &[LinkSeq], key: &dyn Fn(LinkSeq) -> String| {
            seqs.iter().map(|seq| key(*seq)).collect::<Vec<_>>()
        };
        self.delete(&keys(&garbage.checkpoints, &|seq| checkpoint_key("", own, seq))).await?;
        self.delete(&keys(&garbage.links, &|seq| link_key("", own, seq))).await
    }

    async fn delete(&self, keys: &[String]) -> NodeResult<()> {
        for chunk in keys.chunks(DELETES_AT_ONCE) {
            let delete = |key: &String| Store::delete(&self.engine.store, key);
            try_join_all(chunk.iter().map(delete)).await?;
            self.counts.deleted_objects.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            yield_if_needed().await;
        }
        Ok(())
    }
}

/// How long ago the last collection of this directory's writers began, or the first start.
fn since_stamp(local: &Path) -> Option<Duration> {
    let modified = std::fs::metadata(local.join(STAMP_FILE)).and_then(|file| file.modified());
    modified.ok().and_then(|at| at.elapsed().ok())
}

fn stamp(local: &Path) {
    if let Err(error) = std::fs::write(local.join(STAMP_FILE), b"") {
        event::warn(&format!("collections may come more often than they should: {error}"));
    }
}
