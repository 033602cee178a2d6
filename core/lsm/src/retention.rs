//! Which versions of a key a rewrite keeps.
//!
//! A version at LSN `v`, overwritten at `w`, is what read views from `v` to `w - 1` see. It is kept when there
//! is such a view, or when `v` is above the LSN from which on everything is kept.

use aquifer_types::Lsn;
use bytes::Bytes;

use crate::dead::DeadKeys;

/// The read views that a rewrite must not disturb.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Ascending; the last one is `keep_above`.
    views: Vec<Lsn>,
    keep_above: Lsn,
    dead: DeadKeys,
}

/// When a rewrite may drop a tombstone.
#[derive(Clone, Debug)]
pub enum Tombstones {
    /// Never: older versions may be anywhere below (flush).
    Keep,
    /// When no older version is left for it to hide: the rewrite holds all older versions itself, and no
    /// view needs any of them.
    Drop {
        /// Only tombstones up to here, inclusive: all writes up to it are in tables, so no older version
        /// can still arrive from a memtable.
        up_to: Lsn,
        /// Where tables outside of the rewrite may hold older versions.
        elsewhere: Elsewhere,
    },
}

/// Key ranges in which tables outside of a rewrite have entries, and how old these may be.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// Sorted by key, not overlapping, both ends inclusive.
    ranges: Vec<(Bytes, Bytes, Lsn)>,
}

impl Retention {
    /// Keeps, of each key, all versions above `keep_above`, and the newest at or below each of `views` and
    /// `keep_above` itself. `keep_above` must not be above the visible LSN: later read views begin there or
    /// above. Views above it change nothing.
    #[must_use]
    pub fn new(mut views: Vec<Lsn>, keep_above: Lsn) -> Self {
        views.retain(|view| *view < keep_above);
        views.push(keep_above);
        views.sort_unstable();
        views.dedup();
        Self { views, keep_above, dead: DeadKeys::default() }
    }

    /// Keeps nothing of these keys.
    #[must_use]
    pub fn without(self, dead: DeadKeys) -> Self {
        Self { dead, ..self }
    }

    /// Keys of which nothing is kept.
    pub(crate) fn dead(&self) -> &DeadKeys {
        &self.dead
    }

    /// Keeps every version.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(Vec::new(), Lsn(0))
    }

    /// Keeps only the newest version of each key.
    #[must_use]
    pub fn newest() -> Self {
        Self::new(Vec::new(), Lsn::MAX)
    }

    /// Whether a version is needed that the next newer one, at `newer`, has overwritten.
    #[must_use]
    pub fn needs(&self, lsn: Lsn, newer: Option<Lsn>) -> bool {
        if lsn > self.keep_above {
            return true;
        }
        let first = self.views.partition_point(|view| *view < lsn);
        self.views.get(first).is_some_and(|view| newer.is_none_or(|newer| *view < newer))
    }

    /// The oldest view.
    #[must_use]
    pub fn oldest(&self) -> Lsn {
        self.views.first().copied().unwrap_or(self.keep_above)
    }
}

impl Tombstones {
    /// Whether a tombstone that [`Retention::needs`] can go nevertheless.
    #[must_use]
    pub(crate) fn may_drop(&self, key: &[u8], lsn: Lsn, retention: &Retention) -> bool {
        match self {
            Self::Keep => false,
            // At or below the oldest view, it is all that any view sees of what is older.
            Self::Drop { up_to, elsewhere } => {
                lsn <= *up_to && lsn <= retention.oldest() && !elsewhere.has_older(key, lsn)
            }
        }
    }
}

impl Elsewhere {
    /// Puts ranges together: smallest key, largest key (inclusive), lowest LSN.
    pub fn new(mut tables: Vec<(Bytes, Bytes, Lsn)>) -> Self {
        tables.sort_by(|left, right| left.0.cmp(&right.0));
        let mut ranges: Vec<(Bytes, Bytes, Lsn)> = Vec::new();
        for (smallest, largest, min_lsn) in tables {
            match ranges.last_mut() {
                Some(last) if smallest <= last.1 => {
                    last.2 = last.2.min(min_lsn);
                    last.1 = last.1.clone().max(largest);
                }
                _ => ranges.push((smallest, largest, min_lsn)),
            }
        }
        Self { ranges }
    }

    fn has_older(&self, key: &[u8], lsn: Lsn) -> bool {
        let at = self.ranges.partition_point(|(_, largest, _)| **largest < *key);
        self.ranges.get(at).is_some_and(|(smallest, _, min_lsn)| **smallest <= *key && *min_lsn <= lsn)
    }
}
