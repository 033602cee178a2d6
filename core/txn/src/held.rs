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

    /// Whether it has locked exclusively or written a key with `range.start ≤ key < range.end`.
    #[must_use]
    pub fn reaches_into(&self, range: &Range<Bytes>) -> bool {
        let near = self
            .bounds
            .as_ref()
            .is_some_and(|(least, greatest)| *least < range.end && *greatest >= range.start);
        near && self.exclusive.iter().any(|key| range.contains(key))
            || self.writes.range(range).next().is_some()
    }

    /// Nothing is held any more.
    pub fn clear(&mut self) {
        *self = Self { who: self.who, ..Self::default() };
    }
}
