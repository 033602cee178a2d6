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
    bytes: usize,
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
        WriteSetPoint(self.undo.len())
    }

    /// Undoes what was set after `point`.
    pub fn undo_to(&mut self, point: WriteSetPoint) {
        while self.undo.len() > point.0 {
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
