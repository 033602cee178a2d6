//! What a merge reads from: one memtable or one sorted run, an entry at a time in one direction.
//!
//! A walk is at an item, or at a *bound*: nothing nearer than this key is left, but what is there has not
//! been looked at, because that may need a load. A merge resolves a bound only when it is first in line, so
//! a short scan does not load blocks that it never comes to.

use std::cmp::Ordering;
use std::ops::Range;

use aquifer_types::Lsn;
use bytes::Bytes;

use crate::memtable::{MemCursor, MemEntry};
use crate::read_state::HeldBlock;
use crate::run_walk::RunWalk;
use crate::sorted::SortedWalk;
use crate::source::{BlockSource, Step};

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// Which versions of a key are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    /// All of them, newest first. Only forward.
    All,
    /// The newest at or below an LSN, tombstones included.
    AsOf(Lsn),
}

/// User keys from `start`, inclusive, to `end`, exclusive; without `end` to the last key of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// Inclusive.
    pub start: Bytes,
    /// Exclusive.
    pub end: Option<Bytes>,
}

/// Where a walk is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Head<'a> {
    /// At an entry.
    Item(&'a [u8], Lsn),
    /// Nothing before this key in the walk's direction; to be resolved.
    Bound(&'a [u8]),
    /// Past the last entry.
    End,
}

/// One source of a merge.
#[derive(Debug)]
pub(crate) enum Walk {
    Mem(MemWalk),
    Run(Box<RunWalk>),
    Sorted(SortedWalk),
}

/// A walk over a memtable; never at a bound.
pub(crate) struct MemWalk {
    cursor: MemCursor,
    range: KeyRange,
    direction: Direction,
    versions: Versions,
    /// Whether the cursor is at an entry of the range.
    is_inside: bool,
}

impl From<Range<Bytes>> for KeyRange {
    fn from(range: Range<Bytes>) -> Self {
        Self { start: range.start, end: Some(range.end) }
    }
}

impl KeyRange {
    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether `key` is at or after the end.
    pub(crate) fn ends_before(&self, key: &[u8]) -> bool {
        self.end.as_ref().is_some_and(|end| **end <= *key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends_before(&self.start)
    }
}

impl Direction {
    /// Compares keys in this direction.
    pub(crate) fn compare(self, left: &[u8], right: &[u8]) -> Ordering {
        match self {
            Self::Forward => left.cmp(right),
            Self::Backward => right.cmp(left),
        }
    }
}

impl Walk {
    #[inline]
    pub(crate) fn head(&self) -> Head<'_> {
        match self {
            Self::Mem(walk) => walk.head(),
            Self::Run(walk) => walk.head(),
            Self::Sorted(walk) => walk.head(),
        }
    }

    /// Leaves the item, or looks behind the bound. Afterwards the walk is at an item, at another bound, or
    /// at the end; or it needs a block, and nothing has changed.
    pub(crate) fn advance<S: BlockSource + ?Sized>(
        &mut self,
        blocks: &S,
        held: &mut Option<HeldBlock>,
    ) -> Step<()> {
        match self {
            Self::Mem(walk) => {
                walk.advance();
                Step::Done(())
            }
            Self::Run(walk) => walk.advance(blocks, held),
            Self::Sorted(walk) => {
                walk.advance();
                Step::Done(())
            }
        }
    }
}

impl MemWalk {
    /// A walk at the first visible entry of the range.
    pub(crate) fn new(
        mut cursor: MemCursor,
        range: KeyRange,
        direction: Direction,
        versions: Versions,
    ) -> Self {
        match (direction, &range.end) {
            (Direction::Forward, _) => cursor.seek(&range.start, Lsn::MAX),
            (Direction::Backward, Some(end)) => cursor.seek_before(end, Lsn::MAX),
            (Direction::Backward, None) => cursor.seek_last(),
        }
        let mut walk = Self { cursor, range, direction, versions, is_inside: false };
        walk.settle();
        walk
    }

    /// The entry at the walk, if it is in the range.
    #[inline]
    pub(crate) fn entry(&self) -> Option<MemEntry<'_>> {
        if self.is_inside { self.cursor.entry() } else { None }
    }

    #[inline]
    fn head(&self) -> Head<'_> {
        self.entry().map_or(Head::End, |entry| Head::Item(entry.key, entry.lsn))
    }

    fn advance(&mut self) {
        match (self.direction, self.versions) {
            (Direction::Forward, Versions::All) => self.cursor.next(),
            (Direction::Forward, Versions::AsOf(_)) => {
                self.cursor.next_key();
                self.cursor.prefetch();
            }
            (Direction::Backward, _) => self.cursor.previous_key(),
        }
        self.settle();
    }

    /// From any entry, goes on to the nearest one that is shown; stops outside the range.
    fn settle(&mut self) {
        loop {
            // The walk came from the other end of the range, and cannot have passed that.
            self.is_inside = self.cursor.entry().is_some_and(|entry| match self.direction {
                Direction::Forward => !self.range.ends_before(entry.key),
                Direction::Backward => *self.range.start <= *entry.key,
            });
            let Versions::AsOf(lsn) = self.versions else { return };
            let Some(entry) = self.entry() else { return };
            // Forward, the walk comes to the newest version of a key first.
            let is_settled = entry.lsn <= lsn && self.direction == Direction::Forward;
            if is_settled || self.cursor.seek_version(lsn) {
                return;
            }
            match self.direction {
                Direction::Forward => self.cursor.next_key(),
                Direction::Backward => self.cursor.previous_key(),
            }
        }
    }
}

impl std::fmt::Debug for MemWalk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemWalk({:?}, {:?})", self.range, self.direction)
    }
}
