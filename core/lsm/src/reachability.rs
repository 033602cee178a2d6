//! Which objects of a store nothing can reach any more: a pure function of what the store holds (ADR 0101).
//!
//! What must stay, for each branch:
//!
//! 1. **The window.** The *base* is the newest checkpoint that was there when the retention window began. Base
//!    and newer checkpoints stay, the links from the base's replay position on, and the tables of all of them:
//!    so every state since the window's beginning can be read. A branch without a base keeps everything.
//! 2. **Roots** ([`Root`]): where a branch leaves its parent (as long as the child's base needs the parent), and
//!    pins. Of the branch that a root is on, the newest checkpoint at or before it stays, the links from there to
//!    the root, and their tables.
//! 3. **What is live now**: the writer's manifest, and tables that are on their way into it.
//!
//! Tables that links add are not looked up link by link. A table that was added after the base and went again
//! before the next checkpoint is in no checkpoint; it stays because it was made after the base, or within
//! [`SLACK`] before it. Publishing sees to the rest: an edit with an older table is followed by a checkpoint. Where
//! nothing is published any more, [`StoreView::needs_checkpoint`] says that one is due all the same.
//!
//! Only time by the store's clock is compared, never a node's. Verdicts are monotonic: what one finds
//! unreachable, no later one finds reachable. So a collector that was paused in the middle may go on.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use aquifer_types::{BranchName, LinkSeq, Lsn, SstId};

/// A table may wait so long between its PUT and its link without a checkpoint of its own.
pub const SLACK: Duration = Duration::from_secs(15 * 60);

/// A checkpoint as the collection sees it.
#[derive(Clone, Debug)]
pub struct CheckpointView {
    /// Its link.
    pub seq: LinkSeq,
    /// The first link that is needed to read it.
    pub replay_seq: LinkSeq,
    /// All up to it is in tables.
    pub checkpoint_lsn: Lsn,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
    /// Its tables.
    pub tables: Vec<SstId>,
}

/// Where a branch left its parent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fork {
    /// The parent.
    pub parent: BranchName,
    /// The last link that is shared.
    pub seq: LinkSeq,
    /// The last LSN that is shared.
    pub lsn: Lsn,
}

/// A branch as the collection sees it.
#[derive(Clone, Debug, Default)]
pub struct BranchView {
    /// Its checkpoints, ascending.
    pub checkpoints: Vec<CheckpointView>,
    /// The numbers of its links, ascending.
    pub links: Vec<LinkSeq>,
    /// Where it began, unless it is a first branch.
    pub fork: Option<Fork>,
    /// Tables that links after its newest checkpoint add, or all its links if it has none.
    pub added: Vec<SstId>,
}

/// A state of a branch that must stay readable whatever its age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// The branch.
    pub branch: BranchName,
    /// Its state as of this link.
    pub seq: LinkSeq,
}

/// A table in the store.
#[derive(Clone, Copy, Debug)]
pub struct StoredTable {
    /// Which.
    pub id: SstId,
    /// Its length.
    pub bytes: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// What a store holds.
#[derive(Clone, Debug)]
pub struct StoreView {
    /// All branches.
    pub branches: BTreeMap<BranchName, BranchView>,
    /// Promises beside those that forks make.
    pub pins: Vec<Root>,
    /// Tables that links add between the newest checkpoint at or before a root, and the root.
    pub root_tables: BTreeMap<Root, Vec<SstId>>,
    /// Tables of the present manifest, and those that are on their way into it.
    pub live: HashSet<SstId>,
    /// All tables.
    pub tables: Vec<StoredTable>,
    /// The present moment by the store's clock.
    pub now: SystemTime,
    /// States since so long ago stay readable.
    pub retention: Duration,
}

/// What can be deleted of one branch, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchGarbage {
    /// Checkpoints.
    pub checkpoints: Vec<LinkSeq>,
    /// Links, ascending: a reader that finds a number missing concludes that all before it are.
    pub links: Vec<LinkSeq>,
    /// The oldest link that stays.
    pub retained_seq: LinkSeq,
}

impl StoreView {
    /// All roots: pins, the places where branches left parents that they would still read, and what reading
    /// those needs in turn.
    #[must_use]
    pub fn roots(&self) -> BTreeSet<Root> {
        let forks = self.branches.values().filter_map(|branch| branch.needed_parent(self.base(branch)));
        let mut waiting: Vec<Root> = forks.map(Fork::root).chain(self.pins.iter().cloned()).collect();
        let mut roots = BTreeSet::new();
        while let Some(root) = waiting.pop() {
            let branch = self.branches.get(&root.branch);
            let parent = branch.and_then(|branch| branch.needed_parent(self.checkpoint_of(&root)));
            if roots.insert(root) {
                waiting.extend(parent.map(Fork::root));
            }
        }
        roots
    }

    /// The checkpoint from which on the window of a branch can be read.
    fn base<'a>(&self, branch: &'a BranchView) -> Option<&'a CheckpointView> {
        let begin = self.now.checked_sub(self.retention).unwrap_or(SystemTime::UNIX_EPOCH);
        branch.checkpoints.iter().rev().find(|checkpoint| checkpoint.modified <= begin)
    }

    /// The checkpoint from which a root is read.
    fn checkpoint_of(&self, root: &Root) -> Option<&CheckpointView> {
        let branch = self.branches.get(&root.branch)?;
        branch.checkpoints.iter().rev().find(|checkpoint| checkpoint.seq <= root.seq)
    }

    /// What can be deleted of a branch.
    #[must_use]
    pub fn garbage_of(&self, name: &BranchName) -> BranchGarbage {
        let Some(branch) = self.branches.get(name) else { return BranchGarbage::default() };
        let Some(base) = self.base(branch) else {
            let retained_seq = branch.links.first().copied().unwrap_or_default();
            return BranchGarbage { retained_seq, ..BranchGarbage::default() };
        };
        let mut kept = vec![(branch.first_needed(Some(base)), LinkSeq(u64::MAX))];
        let mut kept_checkpoints = HashSet::new();
        for root in self.roots().iter().filter(|root| root.branch == *name) {
            let checkpoint = self.checkpoint_of(root);
            kept_checkpoints.extend(checkpoint.map(|checkpoint| checkpoint.seq));
            kept.push((branch.first_needed(checkpoint), root.seq));
        }
        let is_kept = |seq: LinkSeq| kept.iter().any(|(from, to)| (*from..=*to).contains(&seq));
        let gone = |checkpoint: &&CheckpointView| {
            checkpoint.seq < base.seq && !kept_checkpoints.contains(&checkpoint.seq)
        };
        BranchGarbage {
            checkpoints: branch.checkpoints.iter().filter(gone).map(|checkpoint| checkpoint.seq).collect(),
            links: branch.links.iter().copied().filter(|seq| !is_kept(*seq)).collect(),
            retained_seq: branch.links.iter().copied().find(|seq| is_kept(*seq)).unwrap_or(base.seq),
        }
    }

    /// Every table that some state which stays may need, apart from those that are too young to be judged.
    #[must_use]
    pub fn reachable_tables(&self) -> HashSet<SstId> {
        self.reachable_since(|_, branch| self.base(branch).map_or(LinkSeq(0), |base| base.seq))
    }

    /// As [`Self::reachable_tables`], had the window of each branch begun at the link that `from` gives.
    fn reachable_since(&self, from: impl Fn(&BranchName, &BranchView) -> LinkSeq) -> HashSet<SstId> {
        let mut reachable = self.live.clone();
        for (name, branch) in &self.branches {
            let from = from(name, branch);
            let kept = branch.checkpoints.iter().filter(|checkpoint| checkpoint.seq >= from);
            reachable.extend(kept.flat_map(|checkpoint| &checkpoint.tables));
            reachable.extend(&branch.added);
        }
        for root in self.roots() {
            reachable.extend(self.checkpoint_of(&root).iter().flat_map(|checkpoint| &checkpoint.tables));
            reachable.extend(self.root_tables.get(&root).into_iter().flatten());
        }
        reachable
    }

    /// Tables that can be deleted. Only those are judged that are older, by more than [`SLACK`], than every
    /// branch's base; while a branch that is written has none, none is.
    #[must_use]
    pub fn garbage_tables(&self) -> Vec<StoredTable> {
        let bases: Option<Vec<SystemTime>> = self
            .branches
            .values()
            .filter(|branch| !branch.is_frozen())
            .map(|branch| self.base(branch).map(|base| base.modified))
            .collect();
        let oldest = bases.and_then(|bases| bases.into_iter().min());
        let Some(judged) = oldest.and_then(|oldest| oldest.checked_sub(SLACK)) else { return Vec::new() };
        let reachable = self.reachable_tables();
        let gone = |table: &&StoredTable| table.modified < judged && !reachable.contains(&table.id);
        self.tables.iter().filter(gone).copied().collect()
    }
}

impl StoreView {
    /// Whether a checkpoint of a branch as it is would let tables go that none there is ever will: no state needs them
    /// once the window has passed the newest checkpoint, but they were made too shortly before it, or after it, to be
    /// judged by it, and long enough ago to be judged by one of now. A store in which nothing changes gets no other.
    ///
    /// Such a checkpoint is asked for once: tables that were there when it is written are no reason for a second.
    #[must_use]
    pub fn needs_checkpoint(&self, name: &BranchName) -> bool {
        let newest = self.branches.get(name).and_then(|branch| branch.checkpoints.last());
        let judged = |checkpoint: SystemTime| checkpoint.checked_sub(SLACK).unwrap_or(SystemTime::UNIX_EPOCH);
        let Some(newest) = newest else { return false };
        let (by_newest, by_next) = (judged(newest.modified), judged(self.now));
        let waits = |table: &&StoredTable| (by_newest..by_next).contains(&table.modified);
        let mut waiting = self.tables.iter().filter(waits).peekable();
        if waiting.peek().is_none() {
            return false;
        }
        let reachable = self.reachable_since(|other, branch| match self.base(branch) {
            _ if other == name => newest.seq,
            base => base.map_or(LinkSeq(0), |base| base.seq),
        });
        waiting.any(|table| !reachable.contains(&table.id))
    }

    /// Whether a pin, or a branch that began there, keeps a state of a branch.
    #[must_use]
    pub fn has_root_on(&self, name: &BranchName) -> bool {
        self.roots().iter().any(|root| root.branch == *name)
    }
}

impl Fork {
    fn root(&self) -> Root {
        Root { branch: self.parent.clone(), seq: self.seq }
    }
}

impl BranchView {
    /// A branch that was made and never written by a node, as rescue branches are: all of it is in `added`
    /// and in its root on the parent.
    fn is_frozen(&self) -> bool {
        self.fork.is_some() && self.checkpoints.is_empty()
    }

    /// Where the branch began, if reading it from a checkpoint, or from its beginning, reads the parent.
    fn needed_parent(&self, checkpoint: Option<&CheckpointView>) -> Option<&Fork> {
        let reaches = |fork: &&Fork| checkpoint.is_none_or(|from| from.checkpoint_lsn < fork.lsn);
        self.fork.as_ref().filter(reaches)
    }

    /// The first link that a node reads which opens a checkpoint, or the branch from its beginning. The
    /// checkpoint's own link stays in any case, so that the link after it has a predecessor.
    fn first_needed(&self, checkpoint: Option<&CheckpointView>) -> LinkSeq {
        match checkpoint {
            Some(from) if self.needed_parent(checkpoint).is_none() => from.replay_seq.min(from.seq),
            _ => LinkSeq(1),
        }
    }
}
