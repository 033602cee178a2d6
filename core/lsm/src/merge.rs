//! Several walks as one, in order: a binary heap of walks by what is at their heads.
//!
//! Order: keys in the scan's direction; a bound before an item of the same key; newer versions before older;
//! of two equal versions (a transaction that wrote a key twice in different tables) that of the source that
//! was given first.

use std::cmp::Ordering;
use std::sync::Arc;

use aquifer_types::Lsn;
use bytes::Bytes;

use crate::read_state::{HeldBlock, ReadState};
use crate::run_walk::RunWalk;
use crate::source::{BlockSource, Loaded, Need, Step};
use crate::walk::{Direction, Head, KeyRange, MemWalk, Versions, Walk};

/// See the module.
#[derive(Debug)]
pub(crate) struct Merge {
    walks: Vec<Walk>,
    /// Indexes of the walks that are not at their end; the first in line is at 0.
    heap: Vec<usize>,
    direction: Direction,
    held: Option<HeldBlock>,
}

impl Merge {
    /// A merge over `walks`; those that are newer come first.
    pub(crate) fn new(walks: Vec<Walk>, direction: Direction) -> Self {
        let live = |(index, walk): (usize, &Walk)| (!matches!(walk.head(), Head::End)).then_some(index);
        let heap = walks.iter().enumerate().filter_map(live).collect();
        let mut merge = Self { walks, heap, direction, held: None };
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(at);
        }
        merge
    }

    /// A merge over all that a state has in a range.
    pub(crate) fn of_state(
        state: &ReadState,
        range: &KeyRange,
        direction: Direction,
        versions: Versions,
    ) -> Self {
        Self::new(walks_of(state, range, direction, versions), direction)
    }

    /// As [`Self::of_state`] as of `lsn`, with everything in `own` on top: it must have higher LSNs than `state`.
    pub(crate) fn with_own(
        own: &ReadState,
        state: &ReadState,
        range: &KeyRange,
        direction: Direction,
        lsn: Lsn,
    ) -> Self {
        let mut walks = walks_of(own, range, direction, Versions::AsOf(Lsn::MAX));
        walks.extend(walks_of(state, range, direction, Versions::AsOf(lsn)));
        Self::new(walks, direction)
    }

    /// Hands in what was loaded for the [`Need`] that [`Self::first`] gave.
    pub(crate) fn supply(&mut self, need: Need, loaded: Loaded) {
        self.held = HeldBlock::of(need, loaded);
    }

    /// The walk whose item is first in line; `None` at the end.
    pub(crate) fn first<S: BlockSource + ?Sized>(&mut self, blocks: &S) -> Step<Option<usize>> {
        while let Some(&index) = self.heap.first() {
            if matches!(self.walks[index].head(), Head::Item(..)) {
                return Step::Done(Some(index));
            }
            if let Step::Need(need) = self.advance_first(blocks) {
                return Step::Need(need);
            }
        }
        Step::Done(None)
    }

    /// Advances the walk that is first in line, an item or a bound.
    pub(crate) fn advance_first<S: BlockSource + ?Sized>(&mut self, blocks: &S) -> Step<()> {
        let Some(&index) = self.heap.first() else { return Step::Done(()) };
        if let Step::Need(need) = self.walks[index].advance(blocks, &mut self.held) {
            return Step::Need(need);
        }
        if matches!(self.walks[index].head(), Head::End) {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Step::Done(())
    }

    /// Key and LSN of the item of a walk that [`Self::first`] gave.
    pub(crate) fn item(&self, index: usize) -> (&[u8], Lsn) {
        match self.walks[index].head() {
            Head::Item(key, lsn) => (key, lsn),
            Head::Bound(key) => (key, Lsn(0)),
            Head::End => (&[], Lsn(0)),
        }
    }

    /// The value of the item of a walk that [`Self::first`] gave; `None` for a tombstone. Taken once.
    pub(crate) fn take_value(&mut self, index: usize) -> Option<ValueRef<'_>> {
        match &mut self.walks[index] {
            Walk::Mem(walk) => walk.entry().and_then(|entry| entry.value).map(ValueRef::Memory),
            Walk::Run(walk) => walk.take_value().map(ValueRef::Block),
            Walk::Sorted(walk) => walk.value().map(ValueRef::Memory),
        }
    }

    /// Tells the source what will be wanted beside `need` and after it.
    pub(crate) fn announce_read_ahead<S: BlockSource + ?Sized>(&self, need: &Need, blocks: &S) {
        let Some(&index) = self.heap.first() else { return };
        self.announce_others(index, blocks);
        let Need::Block(table, _) = need else { return };
        if let Walk::Run(walk) = &self.walks[index] {
            let next = walk.read_ahead();
            if !next.is_empty() {
                blocks.read_ahead(table, &next);
            }
        }
    }

    /// Walks at the same bound as the first must all look behind it before there is an item: what they load for
    /// that is loaded together. One after the other, each run of a cold scan would cost its own rounds.
    fn announce_others<S: BlockSource + ?Sized>(&self, first: usize, blocks: &S) {
        let Head::Bound(bound) = self.walks[first].head() else { return };
        let beside = self.heap[1..].iter().filter_map(|index| match &self.walks[*index] {
            Walk::Run(walk) if matches!(walk.head(), Head::Bound(other) if other == bound) => Some(&**walk),
            _ => None,
        });
        let beside: Vec<&RunWalk> = beside.collect();
        let no_index = |walk: &&RunWalk| match walk.wants() {
            Some(Need::Meta(table)) => Some(table),
            _ => None,
        };
        let tables: Vec<_> = beside.iter().filter_map(no_index).collect();
        if !tables.is_empty() {
            blocks.metas_ahead(&tables);
        }
        // Some of those may have been under way, and are here now.
        for walk in beside {
            if let Some(Need::Block(table, handle)) = walk.wants() {
                blocks.read_ahead(&table, &[handle]);
            }
        }
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let left = 2 * at + 1;
            let Some(&left_walk) = self.heap.get(left) else { return };
            let mut child = left;
            let right_walk = self.heap.get(left + 1);
            if right_walk.is_some_and(|right_walk| self.precedes(*right_walk, left_walk)) {
                child = left + 1;
            }
            if !self.precedes(self.heap[child], self.heap[at]) {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }

    fn precedes(&self, left: usize, right: usize) -> bool {
        let order = match (self.walks[left].head(), self.walks[right].head()) {
            (Head::Item(key, lsn), Head::Item(other, other_lsn)) => {
                self.direction.compare(key, other).then_with(|| other_lsn.cmp(&lsn))
            }
            (Head::Bound(key), Head::Bound(other)) => self.direction.compare(key, other),
            (Head::Bound(key), Head::Item(other, _)) => {
                self.direction.compare(key, other).then(Ordering::Less)
            }
            (Head::Item(key, _), Head::Bound(other)) => {
                self.direction.compare(key, other).then(Ordering::Greater)
            }
            (Head::End, Head::End) => Ordering::Equal,
            (Head::End, _) => Ordering::Greater,
            (_, Head::End) => Ordering::Less,
        };
        order.then_with(|| left.cmp(&right)) == Ordering::Less
    }
}

/// The walks over all that a state has in a range; those that are newer come first.
fn walks_of(state: &ReadState, range: &KeyRange, direction: Direction, versions: Versions) -> Vec<Walk> {
    let memtables = std::iter::once(state.active()).chain(state.frozen());
    let memtables = memtables
        .map(|memtable| Walk::Mem(MemWalk::new(memtable.cursor(), range.clone(), direction, versions)));
    let runs = state.manifest().all_runs().filter(|run| !run.tables().is_empty()).map(|run| {
        let tables = Arc::clone(run.tables());
        Walk::Run(Box::new(RunWalk::new(tables, range.clone(), direction, versions)))
    });
    memtables.chain(runs).filter(|walk| !matches!(walk.head(), Head::End)).collect()
}

/// A value where it lies.
#[derive(Debug)]
pub(crate) enum ValueRef<'a> {
    /// In a memtable.
    Memory(&'a [u8]),
    /// In a block, sharing its bytes.
    Block(Bytes),
}

impl std::ops::Deref for ValueRef<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Block(bytes) => bytes,
        }
    }
}
