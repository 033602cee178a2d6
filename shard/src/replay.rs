//! What a chain or a log holds and no table does, put into memtables when a node starts.
//!
//! Memtables are cut before each large transaction. Its writes are in tables, and once everything up to it is in
//! tables a compaction may drop its deletions together with what they delete: then a memtable with older versions
//! must be gone. It goes as a whole, so it must not hold newer ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_format::GroupView;
use aquifer_lsm::{Manifest, Memtable, ReadState};
use aquifer_types::{LinkSeq, Lsn};

use crate::chain::GroupSink;
use crate::error::NodeResult;
use crate::event;

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Memtables of a node at its start.
#[derive(Debug, Default)]
pub struct Memtables {
    /// The one that new writes go to.
    pub active: Arc<Memtable>,
    /// Those that wait for their flush, oldest first, each with the last LSN that it may hold.
    pub frozen: Vec<(Arc<Memtable>, Lsn)>,
}

/// See the module. Says from time to time how far it is.
pub struct Replay {
    memtables: Memtables,
    doing: &'static str,
    transactions: u64,
    links: u64,
    last_told: Instant,
}

impl Memtables {
    /// What reads look at, with the tables of `manifest`.
    #[must_use]
    pub fn state(&self, manifest: Arc<Manifest>) -> ReadState {
        let frozen = self.frozen.iter().rev().map(|(memtable, _)| Arc::clone(memtable));
        ReadState::new(Arc::clone(&self.active), frozen.collect(), manifest)
    }
}

impl Replay {
    /// An empty one. `doing` is told with the progress.
    #[must_use]
    pub fn new(doing: &'static str) -> Self {
        let memtables = Memtables::default();
        Self { memtables, doing, transactions: 0, links: 0, last_told: Instant::now() }
    }

    /// What was read, without memtables that are in tables when everything up to `checkpoint` is.
    #[must_use]
    pub fn finish(mut self, checkpoint: Lsn) -> Memtables {
        self.memtables.frozen.retain(|(_, last)| *last > checkpoint);
        self.memtables
    }
}

impl GroupSink for Replay {
    fn group(&mut self, group: &GroupView, skip_through: Lsn) -> NodeResult<()> {
        for (lsn, delta) in group.iter().filter(|(lsn, _)| *lsn > skip_through) {
            self.transactions += 1;
            if delta.is_spilled() && !self.memtables.active.is_empty() {
                let full = std::mem::take(&mut self.memtables.active);
                self.memtables.frozen.push((full, Lsn(lsn.0 - 1)));
            }
            for (key, value) in delta.slices() {
                self.memtables.active.insert(key, lsn, value)?;
            }
        }
        Ok(())
    }

    fn link(&mut self, seq: LinkSeq) {
        self.links += 1;
        if self.last_told.elapsed() >= TOLD_EVERY {
            self.last_told = Instant::now();
            let (doing, links, transactions) = (self.doing, self.links, self.transactions);
            event::info(&format!("{doing}: {links} links read (now {seq}), {transactions} transactions"));
        }
    }
}
