//! Locks on ranges of keys, as one executor sees them.
//!
//! A lock on a range says: nobody else locks a key in it exclusively, nor writes one. Such locks go together with
//! each other. Every executor has all of them, and its own transactions look there before they lock or write: so
//! without range locks that look is one comparison, and no key has to have a home for its range.
//!
//! When a range arrives, transactions of this executor may have locked or written keys in it already. The range is
//! granted when they have ended, and does not hold them up meanwhile; others it keeps out from its arrival on, so
//! that a range does not starve.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Bound, Range};

use aquifer_types::TxnId;
use bytes::Bytes;

#[derive(Debug, Default)]
struct Owner {
    /// Disjoint, by start.
    granted: BTreeMap<Bytes, Bytes>,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    range: Range<Bytes>,
    /// Transactions of this executor that must end first.
    blockers: HashSet<TxnId>,
}

/// The range locks of a node, from the view of one executor.
#[derive(Debug, Default)]
pub struct RangeTable {
    owners: HashMap<TxnId, Owner>,
}

impl RangeTable {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Transactions with ranges that keep `txn` from locking or writing `key`.
    #[must_use]
    pub fn conflicts(&self, txn: TxnId, key: &[u8]) -> Vec<TxnId> {
        let keeps_out = |(owner, ranges): (&TxnId, &Owner)| {
            (*owner != txn && ranges.keeps_out(txn, key)).then_some(*owner)
        };
        self.owners.iter().filter_map(keeps_out).collect()
    }

    /// A range arrives that must wait for `blockers` of this executor. Whether it is granted at once.
    pub fn arrive(&mut self, owner: TxnId, range: Range<Bytes>, blockers: Vec<TxnId>) -> bool {
        let ranges = self.owners.entry(owner).or_default();
        if blockers.is_empty() {
            ranges.add(range);
            return true;
        }
        ranges.pending = Some(Pending { range, blockers: blockers.into_iter().collect() });
        false
    }

    /// A transaction of this executor has ended; the owners of the ranges that are granted thereby.
    pub fn ended(&mut self, txn: TxnId) -> Vec<TxnId> {
        let mut granted = Vec::new();
        for (owner, ranges) in &mut self.owners {
            let over = ranges.pending.as_mut().is_some_and(|pending| {
                pending.blockers.remove(&txn);
                pending.blockers.is_empty()
            });
            if over && let Some(pending) = ranges.pending.take() {
                ranges.add(pending.range);
                granted.push(*owner);
            }
        }
        granted
    }

    /// The range that `owner` waits for is wanted no more; what it was granted stays.
    pub fn cancel(&mut self, owner: TxnId) {
        if let Some(ranges) = self.owners.get_mut(&owner) {
            ranges.pending = None;
            if ranges.granted.is_empty() {
                self.owners.remove(&owner);
            }
        }
    }

    /// Gives up all ranges of a transaction.
    pub fn release(&mut self, owner: TxnId) {
        self.owners.remove(&owner);
    }

    /// The granted ranges, for reports.
    pub fn granted(&self) -> impl Iterator<Item = (TxnId, &Bytes, &Bytes)> {
        self.owners
            .iter()
            .flat_map(|(owner, ranges)| ranges.granted.iter().map(|(start, end)| (*owner, start, end)))
    }
}

impl Owner {
    fn keeps_out(&self, txn: TxnId, key: &[u8]) -> bool {
        let pending = self.pending.as_ref().is_some_and(|pending| {
            &*pending.range.start <= key && key < &*pending.range.end && !pending.blockers.contains(&txn)
        });
        pending || covers(&self.granted, key)
    }

    /// Adds a range to those that are granted, joined with those that it touches.
    fn add(&mut self, range: Range<Bytes>) {
        add(&mut self.granted, range);
    }
}

/// Ranges that one transaction has locked, to know what need not be asked for again.
#[derive(Debug, Default)]
pub struct HeldRanges(BTreeMap<Bytes, Bytes>);

impl HeldRanges {
    /// Whether all of `range` is held.
    #[must_use]
    pub fn contains(&self, range: &Range<Bytes>) -> bool {
        before(&self.0, &range.start).is_some_and(|(_, end)| *end >= range.end)
    }

    /// `range` is held from now on.
    pub fn add(&mut self, range: Range<Bytes>) {
        add(&mut self.0, range);
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The last range that begins at or before `key`.
fn before<'a>(ranges: &'a BTreeMap<Bytes, Bytes>, key: &[u8]) -> Option<(&'a Bytes, &'a Bytes)> {
    ranges.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()
}

fn covers(ranges: &BTreeMap<Bytes, Bytes>, key: &[u8]) -> bool {
    before(ranges, key).is_some_and(|(_, end)| key < &**end)
}

fn add(ranges: &mut BTreeMap<Bytes, Bytes>, range: Range<Bytes>) {
    if range.start >= range.end {
        return;
    }
    let Range { mut start, mut end } = range;
    while let Some((first, last)) = before(ranges, &end).filter(|(_, last)| **last >= start) {
        let (first, last) = (first.clone(), last.clone());
        ranges.remove(&first);
        start = start.min(first);
        end = end.max(last);
    }
    ranges.insert(start, end);
}
