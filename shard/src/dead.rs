//! Indexes that nobody can read any more, for flushes and compactions to leave out (ADR 0167).

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_catalog::Catalog;
use aquifer_lsm::{DeadKeys, DeadRange};
use aquifer_txn::Views;
use aquifer_types::{IndexId, Lsn};
use bytes::Bytes;

/// The dead indexes of a branch. Ids are never given twice, so that none ever leaves.
#[derive(Debug, Default)]
pub struct DeadIndexes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Ascending; not in anybody's view.
    unread: Vec<Dead>,
    /// `unread` as compactions take it.
    keys: DeadKeys,
    /// What views that were open when it died may still read.
    waiting: Vec<Dead>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Dead {
    ids: Range<u32>,
    /// Views from here on do not see it.
    since: Lsn,
    died_micros: u64,
}

impl DeadIndexes {
    /// Those that a node finds at its start: ids in `given` that the catalog does not name.
    #[must_use]
    pub fn at_start(catalog: &Catalog, given: Range<u32>, now_micros: u64) -> Self {
        let mut named: Vec<u32> = named(catalog).map(|id| id.0).filter(|id| given.contains(id)).collect();
        named.sort_unstable();
        let starts = std::iter::once(given.start).chain(named.iter().map(|id| id + 1));
        let ends = named.iter().copied().chain(std::iter::once(given.end));
        let ranges = starts.zip(ends).filter(|(start, end)| start < end);
        let dead =
            ranges.map(|(start, end)| Dead { ids: start..end, since: Lsn(0), died_micros: now_micros });
        Self(Mutex::new(State { waiting: dead.collect(), ..State::default() }))
    }

    /// A commit made one catalog of the other.
    pub fn note_change(&self, before: &Catalog, after: &Catalog, now_micros: u64) {
        let changed = before.stored_tables().filter(|old| {
            after
                .table_by_id(old.id)
                .is_none_or(|new| !Arc::ptr_eq(old, new) && !new.index_ids().eq(old.index_ids()))
        });
        let had: Vec<IndexId> = changed.flat_map(|old| old.index_ids()).collect();
        self.add(&had, after, after.version(), now_micros);
    }

    /// Ids that were given to a transaction which was rolled back.
    pub fn note_given_up(&self, ids: &[IndexId], catalog: &Catalog, now_micros: u64) {
        self.add(ids, catalog, Lsn(0), now_micros);
    }

    fn add(&self, ids: &[IndexId], catalog: &Catalog, since: Lsn, died_micros: u64) {
        if ids.is_empty() {
            return;
        }
        let named: HashSet<IndexId> = named(catalog).collect();
        let dead = ids.iter().filter(|id| !named.contains(id));
        let dead = dead.map(|id| Dead { ids: id.0..id.0 + 1, since, died_micros });
        self.state().waiting.extend(dead);
    }

    /// All keys of indexes that no view can read.
    #[must_use]
    pub fn keys(&self, views: &Views) -> DeadKeys {
        let mut state = self.state();
        if !state.waiting.is_empty() {
            let oldest = views.live().first().copied().unwrap_or_default();
            let (unread, waiting): (Vec<_>, _) =
                state.waiting.drain(..).partition(|dead| dead.since <= oldest);
            state.waiting = waiting;
            state.extend_unread(unread);
        }
        state.keys.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn extend_unread(&mut self, more: Vec<Dead>) {
        if more.is_empty() {
            return;
        }
        self.unread.extend(more);
        self.unread.sort_by_key(|dead| dead.ids.start);
        self.unread.dedup_by(|next, last| {
            let is_next = next.ids.start <= last.ids.end;
            if is_next {
                last.ids.end = last.ids.end.max(next.ids.end);
                last.since = last.since.max(next.since);
                last.died_micros = last.died_micros.max(next.died_micros);
            }
            is_next
        });
        let key = |id: u32| Bytes::copy_from_slice(&id.to_be_bytes());
        let range = |dead: &Dead| DeadRange {
            keys: key(dead.ids.start)..key(dead.ids.end),
            died_micros: dead.died_micros,
        };
        self.keys = DeadKeys::new(self.unread.iter().map(range).collect());
    }
}

fn named(catalog: &Catalog) -> impl Iterator<Item = IndexId> {
    catalog.stored_tables().flat_map(|table| table.index_ids())
}

#[cfg(test)]
#[path = "dead_test.rs"]
mod dead_test;
