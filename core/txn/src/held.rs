//! What a transaction has written and locked, where its executor can look at it.

use std::ops::Range;

use bytes::Bytes;

use crate::write_set::WriteSet;

/// Whose transaction it is, for reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Who {
    /// The connection.
    pub connection: u64,
    /// When it began to lock or write, in seconds since 1970.
    pub started_unix_s: i64,
    /// Its isolation level's name.
    pub isolation: &'static str,
}

/// The writes and exclusive locks of one running transaction.
#[derive(Debug, Default)]
pub struct Held {
    /// Whose it is.
    pub who: Who,
    /// What it wants to change.
    pub writes: WriteSet,
    /// Keys that it has locked exclusively or asked to, in no order; and the least and greatest of them.
    exclusive: Vec<Bytes>,
    bounds: Option<(Bytes, Bytes)>,
    locked: usize,
    /// Where writes that have moved to tables may be: least and greatest key, of one table of rows or index each.
    spilled: Vec<(Bytes, Bytes)>,
    /// How many writes have moved.
    moved: usize,
}

impl Held {
    /// Notes a lock of either strength.
    pub fn note_lock(&mut self) {
        self.locked += 1;
    }

    /// Locks it has asked for.
    #[must_use]
    pub fn locked(&self) -> usize {
        self.locked
    }

    /// Notes a key that is locked exclusively.
    pub fn note_exclusive(&mut self, key: &Bytes) {
        match &mut self.bounds {
            None => self.bounds = Some((key.clone(), key.clone())),
            Some((least, _)) if key < least => *least = key.clone(),
            Some((_, greatest)) if key > greatest => *greatest = key.clone(),
            Some(_) => {}
        }
        self.exclusive.push(key.clone());
    }

    /// The last `count` keys that were noted, all of them exclusive, are not locked.
    pub fn forget_last(&mut self, count: usize) {
        self.exclusive.truncate(self.exclusive.len().saturating_sub(count));
        self.locked = self.locked.saturating_sub(count);
    }

    /// A key is not locked any more.
    pub fn forget(&mut self, key: &Bytes) {
        if let Some(at) = self.exclusive.iter().rposition(|locked| locked == key) {
            self.exclusive.swap_remove(at);
        }
        self.locked = self.locked.saturating_sub(1);
    }

    /// The writes so far have moved to tables, which lock their keys; see [`WriteSet::move_away`].
    pub fn move_writes_away(&mut self) {
        for key in self.writes.newest().keys() {
            match self.spilled.iter_mut().find(|(least, _)| least.first_chunk::<4>() == key.first_chunk()) {
                Some((least, _)) if key < least => *least = key.clone(),
                Some((_, greatest)) if key > greatest => *greatest = key.clone(),
                Some(_) => {}
                None => self.spilled.push((key.clone(), key.clone())),
            }
        }
        self.moved += self.writes.len();
        let writes = &self.writes;
        self.exclusive.retain(|key| writes.get(key).is_none());
        self.writes.move_away();
    }

    /// Keys that it has written, one that was written again after the first writes had moved counted twice.
    #[must_use]
    pub fn written(&self) -> usize {
        self.moved + self.writes.len()
    }

    /// Where writes that have moved to tables may be: least and greatest key.
    #[must_use]
    pub fn spilled(&self) -> &[(Bytes, Bytes)] {
        &self.spilled
    }

    /// Whether it has locked exclusively or written a key with `range.start ≤ key < range.end`.
    #[must_use]
    pub fn reaches_into(&self, range: &Range<Bytes>) -> bool {
        let near = self
            .bounds
            .as_ref()
            .is_some_and(|(least, greatest)| *least < range.end && *greatest >= range.start);
        near && self.exclusive.iter().any(|key| range.contains(key))
            || self.writes.range(range).next().is_some()
            || self.spilled.iter().any(|(least, greatest)| *least < range.end && *greatest >= range.start)
    }

    /// Nothing is held any more.
    pub fn clear(&mut self) {
        *self = Self { who: self.who, ..Self::default() };
    }
}
