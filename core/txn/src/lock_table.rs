//! Row locks of one home core: shared and exclusive, first come first served.
//!
//! A request waits for every incompatible holder and for every incompatible request that came before
//! it. The one exception is a holder of a shared lock that wants it exclusive: it waits for the other
//! holders only, because those behind it wait for it already.
//!
//! Of those that a request waits for, only the nearest are named: an exclusive request in the queue waits for all
//! before it, so whoever stands behind it need not know them. When a request leaves the queue, those that named it
//! get other names ([`Changes::rewired`]).

use std::collections::{HashMap, VecDeque};

use aquifer_types::TxnId;
use bytes::Bytes;

/// How much a lock excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockStrength {
    /// Compatible with other shared locks.
    Shared,
    /// Compatible with nothing.
    Exclusive,
}

/// Whom a transaction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The transaction.
    pub txn: TxnId,
    /// It holds what is wanted; otherwise it only stands before the waiter in the queue.
    pub holds: bool,
}

impl Blocker {
    /// One that holds what is wanted.
    #[must_use]
    pub fn holder(txn: TxnId) -> Self {
        Self { txn, holds: true }
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The transaction holds the lock now, and did not before: it must release it.
    Granted,
    /// The transaction held a lock on the key that is strong enough.
    AlreadyHeld,
    /// The request is queued; through these transactions it waits for all that are before it.
    Queued(Vec<Blocker>),
}

/// A queued request that a release let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who holds the lock now.
    pub txn: TxnId,
    /// What it locks.
    pub key: Bytes,
}

/// What the end of a request has brought others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Requests that hold their locks now.
    pub grants: Vec<Grant>,
    /// Transactions that wait on, and behind whom now.
    pub rewired: Vec<(TxnId, Vec<Blocker>)>,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    txn: TxnId,
    strength: LockStrength,
}

#[derive(Debug, Default)]
struct Entry {
    holders: Vec<Request>,
    queue: VecDeque<Request>,
}

/// The locks whose home is one core.
#[derive(Debug, Default)]
pub struct LockTable {
    entries: HashMap<Bytes, Entry, KeyHasher>,
}

impl LockTable {
    /// Asks for a lock; a transaction that is told `Queued` appears in a later [`Grant`] unless it
    /// cancels.
    pub fn acquire(&mut self, key: &Bytes, txn: TxnId, strength: LockStrength) -> Acquired {
        let entry = self.entries.entry(key.clone()).or_default();
        let request = Request { txn, strength };
        if let Some(held) = entry.holders.iter().position(|h| h.txn == txn) {
            return entry.strengthen(held, request);
        }
        let blockers = entry.blockers(request, entry.queue.len());
        if blockers.is_empty() {
            entry.holders.push(request);
            Acquired::Granted
        } else {
            entry.queue.push_back(request);
            Acquired::Queued(blockers)
        }
    }

    /// Locks all keys exclusively if that is possible at once: the keys that `txn` had not locked before, which it must
    /// release. Otherwise nothing is locked that was not before.
    pub fn acquire_all(&mut self, keys: &[Bytes], txn: TxnId) -> Option<Vec<Bytes>> {
        let mut new = Vec::with_capacity(keys.len());
        for key in keys {
            match self.acquire(key, txn, LockStrength::Exclusive) {
                Acquired::Granted => new.push(key.clone()),
                Acquired::AlreadyHeld => {}
                Acquired::Queued(_) => {
                    // Nobody can have come behind these requests, so that nobody is to be told.
                    let mut changes = Changes::default();
                    self.cancel(key, txn, &mut changes);
                    new.iter().for_each(|key| self.release(key, txn, &mut changes));
                    return None;
                }
            }
        }
        Some(new)
    }

    /// Whether [`LockTable::acquire`] would be granted at once.
    #[must_use]
    pub fn is_free(&self, key: &[u8], txn: TxnId, strength: LockStrength) -> bool {
        let Some(entry) = self.entries.get(key) else { return true };
        let request = Request { txn, strength };
        match entry.holders.iter().find(|h| h.txn == txn) {
            Some(held) => held.strength >= strength || entry.other_holders(txn).next().is_none(),
            None => entry.blockers(request, entry.queue.len()).is_empty(),
        }
    }

    /// Gives up the lock and any queued request of `txn` on `key`; what that changes for others is appended to
    /// `changes`. Releasing what is not held does nothing.
    pub fn release(&mut self, key: &[u8], txn: TxnId, changes: &mut Changes) {
        self.withdraw(key, txn, true, changes);
    }

    /// Withdraws a queued request only; a lock held already (one that was to be strengthened) stays.
    pub fn cancel(&mut self, key: &[u8], txn: TxnId, changes: &mut Changes) {
        self.withdraw(key, txn, false, changes);
    }

    fn withdraw(&mut self, key: &[u8], txn: TxnId, also_held: bool, changes: &mut Changes) {
        let Some((shared_key, _)) = self.entries.get_key_value(key) else { return };
        let shared_key = shared_key.clone();
        let Some(entry) = self.entries.get_mut(key) else { return };
        let held = entry.holders.len();
        entry.holders.retain(|h| h.txn != txn || !also_held);
        // Who gives up a lock that it held, and had not asked to strengthen it, is not in the queue.
        let left = if entry.holders.len() < held && entry.queue.front().is_none_or(|q| q.txn != txn) {
            None
        } else {
            entry.leave_queue(txn)
        };
        entry.admit(&shared_key, &mut changes.grants);
        if let Some(left) = left {
            entry.rewire(left, changes);
        }
        if entry.holders.is_empty() && entry.queue.is_empty() {
            self.entries.remove(key);
        }
    }

    /// All requests: key, transaction, strength, and whether the lock is held.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, TxnId, LockStrength, bool)> {
        self.entries.iter().flat_map(|(key, entry)| {
            let held = entry.holders.iter().map(|request| (request, true));
            let wanted = entry.queue.iter().map(|request| (request, false));
            held.chain(wanted).map(move |(request, granted)| (key, request.txn, request.strength, granted))
        })
    }

    /// Number of keys that are locked or waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is locked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    fn other_holders(&self, txn: TxnId) -> impl Iterator<Item = &Request> {
        self.holders.iter().filter(move |h| h.txn != txn)
    }

    /// The transaction holds the key already: is it enough, can it be strengthened, or must it wait?
    fn strengthen(&mut self, held: usize, request: Request) -> Acquired {
        if self.holders[held].strength >= request.strength {
            return Acquired::AlreadyHeld;
        }
        let others = self.other_holders(request.txn);
        let blockers: Vec<Blocker> = others.map(|holder| Blocker::holder(holder.txn)).collect();
        if blockers.is_empty() {
            self.holders[held].strength = request.strength;
            return Acquired::AlreadyHeld;
        }
        self.queue.push_front(request);
        Acquired::Queued(blockers)
    }

    /// Who keeps `request`, standing behind the first `ahead` queued ones, from the lock: the nearest exclusive
    /// request before it and what conflicts with it after that, or also holders when there is none.
    fn blockers(&self, request: Request, ahead: usize) -> Vec<Blocker> {
        let conflicts = |other: &&Request| {
            other.txn != request.txn
                && (other.strength == LockStrength::Exclusive || request.strength == LockStrength::Exclusive)
        };
        let mut blockers = Vec::new();
        for other in self.queue.iter().take(ahead).rev().filter(conflicts) {
            blockers.push(Blocker { txn: other.txn, holds: false });
            if other.strength == LockStrength::Exclusive {
                return blockers;
            }
        }
        blockers.extend(self.holders.iter().filter(conflicts).map(|holder| Blocker::holder(holder.txn)));
        blockers
    }

    /// Takes a transaction's request out of the queue, and says how many were behind it.
    fn leave_queue(&mut self, txn: TxnId) -> Option<usize> {
        let at = self.queue.iter().position(|q| q.txn == txn)?;
        self.queue.remove(at);
        Some(self.queue.len() - at)
    }

    /// Names the blockers of those anew who may have named a request that had `behind` others behind it.
    fn rewire(&self, behind: usize, changes: &mut Changes) {
        let first = self.queue.len().saturating_sub(behind);
        for (at, request) in self.queue.iter().enumerate().skip(first) {
            changes.rewired.push((request.txn, self.blockers(*request, at)));
            if request.strength == LockStrength::Exclusive {
                return;
            }
        }
    }

    /// Lets queued requests through, in order, until one has to go on waiting.
    fn admit(&mut self, key: &Bytes, grants: &mut Vec<Grant>) {
        while let Some(&request) = self.queue.front() {
            if !self.blockers(request, 0).is_empty() {
                return;
            }
            self.queue.pop_front();
            match self.holders.iter_mut().find(|h| h.txn == request.txn) {
                Some(held) => held.strength = request.strength,
                None => self.holders.push(request),
            }
            grants.push(Grant { txn: request.txn, key: key.clone() });
        }
    }
}

/// Hashes lock keys with [`crate::key_hash`].
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher;

impl std::hash::BuildHasher for KeyHasher {
    type Hasher = KeyHashState;

    fn build_hasher(&self) -> KeyHashState {
        KeyHashState(0)
    }
}

/// See [`KeyHasher`].
#[derive(Debug)]
pub struct KeyHashState(u64);

impl std::hash::Hasher for KeyHashState {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(17) ^ crate::key_hash(bytes);
    }

    fn write_usize(&mut self, _length: usize) {}
}
