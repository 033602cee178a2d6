//! What a transaction wants to change: the newest value of each key, and how to undo back to a
//! savepoint.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use bytes::Bytes;

/// What a key is to become: a value, or `None` for a deletion.
pub type Write = Option<Bytes>;

/// A mark in a [`WriteSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteSetPoint(usize);

impl WriteSetPoint {
    /// The mark as a number, for callers that keep it as one.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }

    /// The mark that [`WriteSetPoint::index`] told.
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        Self(index)
    }
}

/// The uncommitted writes of one transaction, in key order.
#[derive(Debug, Default)]
pub struct WriteSet {
    writes: BTreeMap<Bytes, Write>,
    /// What each write replaced, oldest first.
    undo: Vec<(Bytes, Option<Write>)>,
    /// The point before the first of `undo`: what came before has moved elsewhere.
    base: usize,
    bytes: usize,
}

/// The writes between two points.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins.
    pub from: WriteSetPoint,
    /// Where it ends.
    pub to: WriteSetPoint,
    /// What each of its keys was at its end.
    pub writes: BTreeMap<Bytes, Write>,
}

impl WriteSet {
    /// Sets what `key` is to become.
    pub fn set(&mut self, key: Bytes, write: Write) {
        self.bytes += size_of_write(&key, &write);
        let replaced = self.writes.insert(key.clone(), write);
        self.undo.push((key, replaced));
    }

    /// What this transaction made of `key`; `None` when it did not touch it.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Write> {
        if self.writes.is_empty() {
            return None;
        }
        self.writes.get(key)
    }

    /// The writes with `range.start ≤ key < range.end`, in key order.
    pub fn range(&self, range: &Range<Bytes>) -> impl DoubleEndedIterator<Item = (&Bytes, &Write)> {
        let bounds = if range.start < range.end {
            (Bound::Included(range.start.clone()), Bound::Excluded(range.end.clone()))
        } else {
            (Bound::Included(Bytes::new()), Bound::Excluded(Bytes::new()))
        };
        self.writes.range::<Bytes, _>(bounds)
    }

    /// How many keys are written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// The newest write of each key.
    #[must_use]
    pub fn newest(&self) -> &BTreeMap<Bytes, Write> {
        &self.writes
    }

    /// All writes in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Write)> {
        self.writes.iter()
    }

    /// The present end, to which [`WriteSet::undo_to`] can go back.
    #[must_use]
    pub fn point(&self) -> WriteSetPoint {
        WriteSetPoint(self.base + self.undo.len())
    }

    /// All there is, cut at those of `points` that lie inside; in order, without empty segments.
    #[must_use]
    pub fn segments(&self, points: &[WriteSetPoint]) -> Vec<Segment> {
        let mut cuts: Vec<usize> = points.iter().map(|point| point.0).collect();
        cuts.retain(|cut| (self.base + 1..self.base + self.undo.len()).contains(cut));
        cuts.sort_unstable();
        cuts.dedup();
        let mut state = self.writes.clone();
        let (mut to, mut segments) = (self.base + self.undo.len(), Vec::new());
        for cut in cuts.into_iter().rev() {
            let mut writes = BTreeMap::new();
            for (key, replaced) in self.undo[cut - self.base..to - self.base].iter().rev() {
                let written = match replaced {
                    Some(write) => state.insert(key.clone(), write.clone()),
                    None => state.remove(key),
                };
                if let Some(written) = written {
                    // The last write of a key comes first here.
                    writes.entry(key.clone()).or_insert(written);
                }
            }
            segments.push(Segment { from: WriteSetPoint(cut), to: WriteSetPoint(to), writes });
            to = cut;
        }
        segments.push(Segment { from: WriteSetPoint(self.base), to: WriteSetPoint(to), writes: state });
        segments.reverse();
        segments.retain(|segment| !segment.writes.is_empty());
        segments
    }

    /// Forgets all writes, which are kept elsewhere: points go on from here, and none before can be returned to.
    pub fn move_away(&mut self) {
        *self = Self { base: self.point().0, ..Self::default() };
    }

    /// The first point that [`WriteSet::undo_to`] can go back to.
    #[must_use]
    pub fn first_point(&self) -> WriteSetPoint {
        WriteSetPoint(self.base)
    }

    /// Undoes what was set after `point`. What has moved away is up to whoever has it; the set begins at `point` then.
    pub fn undo_to(&mut self, point: WriteSetPoint) {
        if point.0 < self.base {
            *self = Self { base: point.0, ..Self::default() };
            return;
        }
        while self.base + self.undo.len() > point.0 {
            let Some((key, replaced)) = self.undo.pop() else { return };
            match replaced {
                Some(write) => self.writes.insert(key, write),
                None => self.writes.remove(&key),
            };
        }
        if self.writes.is_empty() {
            self.bytes = 0;
        }
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes of keys and values written so far, replaced ones included: what the set costs in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size_of_write(key: &Bytes, write: &Write) -> usize {
    key.len() + write.as_ref().map_or(0, Bytes::len)
}
