//! Rows by full primary key, readable from every thread without a lock.
//!
//! One `RowCache` serves one branch. An entry is a key, the LSN of the newest committed version of
//! that row, and its value (or that it is deleted). It answers a read at LSN `at` when its own LSN is
//! not above `at`; otherwise the reader needs an older version and goes to storage.
//!
//! # The protocol that keeps every entry the newest
//!
//! *Invariant.* When LSN `v` is visible, a published entry with LSN `e ≤ v` is the newest version of
//! its row at or below `v`.
//!
//! Each set remembers `applied`, the highest LSN that was applied to any key of the set, held or not.
//!
//! 1. **Apply.** Before version `n` of a row becomes visible, its home core calls
//!    [`RowCache::apply`], which raises `applied` to `n`, then replaces or removes every entry of that
//!    key in the set. Whoever reads at `n` or above starts after that.
//! 2. **Fill.** A reader that missed reads storage at its own read LSN `at` (which is visible) and
//!    calls [`RowCache::fill`] with what it found. The cache puts the entry in as *pending*, which
//!    readers ignore, then looks at `applied`, and publishes only if `applied ≤ at`.
//!
//! *Why a stale fill cannot be seen.* Suppose version `n > at` of that key exists. If its apply raised
//! `applied` before the fill looked, the fill sees `applied ≥ n > at` and withdraws. Otherwise the
//! apply's raise comes after the fill's look, hence after the pending entry was put in, so the apply's
//! scan of the set finds the entry and removes it (all four steps are sequentially consistent). If
//! version `n` was applied long ago and its entry evicted, `applied` still says so: it belongs to the
//! set, not to the entry. So fills may come from any thread, with no message to the home core.
//!
//! Two fills of one key may race and leave two equal entries; an apply removes both.
//!
//! # Changes that are not applied row by row
//!
//! A large transaction's writes are in tables and become visible by an edit. Before it is given its LSN `n`:
//! [`RowCache::hold_fills`], then [`RowCache::remove_where`] for all keys that it may have written. When it has its LSN,
//! and before that is visible: [`HeldFills::release`] with `n`. No fill is published in between, and afterwards none that
//! read below `n`: `n` counts as applied to every set. A fill that looked before the hold has put its entry in before, so
//! the removal finds it.
//!
//! # Limits
//!
//! Entries and table together stay below `bytes_max`: room is reserved before an entry goes in, by a
//! clock hand that sweeps all sets, and a fill that finds no room in a bounded sweep is refused.
//! Retired entries wait for the epoch collector and are not counted: at most some dozens a thread.
//!
//! Deliberately not here: memtables, locks, and the decision which LSN is visible.

mod slot;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use aquifer_types::Lsn;
use bytes::Bytes;
use crossbeam_epoch::{self as epoch, Guard};

use crate::config::{RowCacheConfig, WriteAdmission};
use crate::counters::{RowCounters, Striped, bump, read, to_u64};
use crate::hash::{bucket, hash_bytes};
use slot::{Entry, Publish, Seen, Slot};

/// Slots of a set: one cache line of words.
const WAYS: usize = 8;
/// Memory of a set: its slots and its `applied`.
const SET_BYTES: usize = size_of::<Set>() + size_of::<AtomicU64>();
/// The size of a small row's entry, from which the number of sets is chosen.
const ENTRY_BYTES_TYPICAL: usize = 192;
/// What an entry costs beside key and value: itself, and the allocator's rounding of two allocations.
const ENTRY_BYTES_OVERHEAD: usize = size_of::<Entry>() + 24;
/// Sets that one insertion may sweep for room.
const SWEEP_SETS_MAX: usize = 64;

const HIT: usize = 0;
const MISS: usize = 1;
const NEWER: usize = 2;

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowLookup {
    /// The newest version at or below the asked LSN; `None` when that is a deletion.
    Hit(Option<Bytes>),
    /// A version above the asked LSN is held: read storage, and do not fill.
    Newer,
    /// Not held: read storage, then [`RowCache::fill`].
    Miss,
}

/// What became of a fill; only for counting and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillOutcome {
    /// The row is held now.
    Filled,
    /// Somebody else filled it.
    Present,
    /// A version above the reader's LSN was applied to the row's set: what was read may be old.
    Stale,
    /// Too large, or no room.
    Full,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([Slot; WAYS]);

#[derive(Debug, Default)]
struct Counts {
    fills: AtomicU64,
    fills_stale: AtomicU64,
    fills_full: AtomicU64,
    updates: AtomicU64,
    evictions: AtomicU64,
}

/// The row cache of one branch. Share it by `Arc`.
#[derive(Debug)]
pub struct RowCache {
    sets: Box<[Set]>,
    /// Highest LSN applied to each set; zero, and so untouched memory, until there is one.
    applied: Box<[AtomicU64]>,
    /// What counts as applied to every set.
    applied_everywhere: AtomicU64,
    /// How many [`HeldFills`] there are.
    holds: AtomicUsize,
    bytes: AtomicUsize,
    hand: AtomicUsize,
    config: RowCacheConfig,
    looked: Striped<3>,
    counts: Counts,
}

/// Where a key belongs.
#[derive(Clone, Copy)]
struct Place {
    set: usize,
    tag: u64,
}

/// While it is there nothing is filled; see [`RowCache::hold_fills`].
#[derive(Debug)]
pub struct HeldFills(Arc<RowCache>);

impl HeldFills {
    /// Fills go on, with what is read at `lsn` or above.
    pub fn release(self, lsn: Lsn) {
        self.0.applied_everywhere.fetch_max(lsn.0, Ordering::SeqCst);
    }
}

impl Drop for HeldFills {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Ordering::SeqCst);
    }
}

impl RowCache {
    /// An empty cache. `start_lsn` is the visible LSN now: versions up to it were never applied
    /// here, so that reads below it may not fill.
    #[must_use]
    pub fn new(config: RowCacheConfig, start_lsn: Lsn) -> Self {
        let sets = (config.bytes_max / (ENTRY_BYTES_TYPICAL * WAYS + SET_BYTES)).max(1);
        Self {
            sets: slot::zeroed(sets),
            applied: slot::zeroed(sets),
            applied_everywhere: AtomicU64::new(start_lsn.0),
            holds: AtomicUsize::new(0),
            bytes: AtomicUsize::new(sets * SET_BYTES),
            hand: AtomicUsize::new(0),
            config,
            looked: Striped::default(),
            counts: Counts::default(),
        }
    }

    /// Looks a row up as of `at`. From any thread; takes no lock. The value is copied: sharing it would
    /// make all readers of a hot row write to one counter, and touch one more cold line on each hit.
    #[must_use]
    pub fn get(&self, key: &[u8], at: Lsn) -> RowLookup {
        let place = self.place(key);
        let guard = epoch::pin();
        for slot in &self.sets[place.set].0 {
            let seen = slot.load(&guard);
            if seen.is_pending() {
                continue;
            }
            if let Some(entry) = matching(seen, place.tag, key) {
                return self.answer(entry, at);
            }
        }
        self.looked.bump(MISS);
        RowLookup::Miss
    }

    fn answer(&self, entry: &Entry, at: Lsn) -> RowLookup {
        if entry.lsn > at.0 {
            self.looked.bump(NEWER);
            return RowLookup::Newer;
        }
        if !entry.referenced.load(Ordering::Relaxed) {
            entry.referenced.store(true, Ordering::Relaxed);
        }
        self.looked.bump(HIT);
        RowLookup::Hit((!entry.deleted).then(|| Bytes::copy_from_slice(&entry.data[entry.key_len..])))
    }

    /// Takes note of a newly committed version (`None`: deleted). Afterwards no read finds an older
    /// version of the row here.
    ///
    /// Must be called by the row's home core, in LSN order for a row, before `lsn` becomes visible.
    pub fn apply(&self, key: &[u8], lsn: Lsn, value: Option<&[u8]>) {
        let place = self.place(key);
        // Step 1 of the protocol: raise first, then scan.
        self.applied[place.set].fetch_max(lsn.0, Ordering::SeqCst);
        let guard = epoch::pin();
        let mut held = false;
        for slot in &self.sets[place.set].0 {
            loop {
                let seen = slot.load(&guard);
                let Some(entry) = matching(seen, place.tag, key) else { break };
                let cost = cost_of(entry);
                let done = if held {
                    slot.remove(seen, &guard)
                } else {
                    self.update_slot(slot, seen, place, key, lsn, value, &guard)
                };
                if done {
                    self.release(cost);
                    held = true;
                    break;
                }
            }
        }
        if held {
            bump(&self.counts.updates);
        } else if self.config.admission == WriteAdmission::Always {
            self.put(place, key, lsn, value, Publish::Now, &guard);
        }
    }

    /// Replaces (or, without room, removes) one entry of the key; `false` when the slot changed.
    #[allow(clippy::too_many_arguments)]
    fn update_slot<'g>(
        &self,
        slot: &Slot,
        seen: Seen<'g>,
        place: Place,
        key: &[u8],
        lsn: Lsn,
        value: Option<&[u8]>,
        guard: &'g Guard,
    ) -> bool {
        let size = self.admissible(key, value);
        let Some(cost) = size.filter(|cost| self.reserve(*cost, guard)) else {
            return slot.remove(seen, guard);
        };
        let entry = new_entry(key, lsn, value);
        let done = slot.replace(seen, entry, place.tag, Publish::Now, guard).is_ok();
        if !done {
            self.release(cost);
        }
        done
    }

    /// Offers what a reader found in storage after a miss. From any thread.
    ///
    /// `at` is the LSN at which storage was read and must have been visible then; `lsn` is the LSN
    /// of the version found (at most `at`), or of its deletion; for a row that storage does not know
    /// at all, any LSN up to `at`. A locking read at [`Lsn::MAX`] says nothing about visibility: its
    /// `lsn` is taken for `at`.
    pub fn fill(&self, key: &[u8], at: Lsn, lsn: Lsn, value: Option<&[u8]>) -> FillOutcome {
        debug_assert!(lsn <= at, "a version above the read LSN cannot have been read");
        let at = if at == Lsn::MAX { lsn } else { at };
        let place = self.place(key);
        if !self.may_fill(place.set, at) {
            bump(&self.counts.fills_stale);
            return FillOutcome::Stale;
        }
        let guard = epoch::pin();
        if self.sets[place.set].0.iter().any(|s| matching(s.load(&guard), place.tag, key).is_some()) {
            return FillOutcome::Present;
        }
        let Some((slot, seen)) = self.put(place, key, lsn, value, Publish::Pending, &guard) else {
            bump(&self.counts.fills_full);
            return FillOutcome::Full;
        };
        // Step 2 of the protocol: put in first, then look.
        if !self.may_fill(place.set, at) {
            let cost = seen.entry().map_or(0, cost_of);
            if slot.remove(seen, &guard) {
                self.release(cost);
            }
            bump(&self.counts.fills_stale);
            return FillOutcome::Stale;
        }
        slot.publish(seen);
        bump(&self.counts.fills);
        FillOutcome::Filled
    }

    /// From now on nothing is filled until what is returned is released or dropped.
    #[must_use]
    pub fn hold_fills(self: &Arc<Self>) -> HeldFills {
        self.holds.fetch_add(1, Ordering::SeqCst);
        HeldFills(Arc::clone(self))
    }

    /// Forgets the rows whose keys are told. Takes a look at every entry: not for an executor's thread.
    pub fn remove_where(&self, is_told: impl Fn(&[u8]) -> bool) {
        for set in &self.sets {
            let guard = epoch::pin();
            for slot in &set.0 {
                self.empty_slot(slot, &is_told, &guard);
            }
        }
    }

    fn empty_slot(&self, slot: &Slot, is_told: impl Fn(&[u8]) -> bool, guard: &Guard) {
        loop {
            let seen = slot.load(guard);
            let Some(entry) = seen.entry().filter(|entry| is_told(&entry.data[..entry.key_len])) else {
                return;
            };
            let cost = cost_of(entry);
            if slot.remove(seen, guard) {
                self.release(cost);
                return;
            }
        }
    }

    /// Bytes of entries and table now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> RowCounters {
        RowCounters {
            hits: self.looked.read(HIT),
            misses: self.looked.read(MISS),
            newer: self.looked.read(NEWER),
            fills: read(&self.counts.fills),
            fills_stale: read(&self.counts.fills_stale),
            fills_full: read(&self.counts.fills_full),
            updates: read(&self.counts.updates),
            evictions: read(&self.counts.evictions),
            bytes: to_u64(self.bytes()),
            bytes_max: to_u64(self.config.bytes_max),
        }
    }

    fn place(&self, key: &[u8]) -> Place {
        let hash = hash_bytes(key);
        Place { set: bucket(hash, self.sets.len()), tag: hash & 0xffff }
    }

    fn may_fill(&self, set: usize, at: Lsn) -> bool {
        self.applied(set) <= at && self.holds.load(Ordering::SeqCst) == 0
    }

    /// The highest LSN that was, or before the start may have been, applied to a key of the set.
    fn applied(&self, set: usize) -> Lsn {
        let everywhere = self.applied_everywhere.load(Ordering::SeqCst);
        Lsn(self.applied[set].load(Ordering::SeqCst).max(everywhere))
    }

    fn admissible(&self, key: &[u8], value: Option<&[u8]>) -> Option<usize> {
        let data = key.len() + value.map_or(0, <[u8]>::len);
        (data <= self.config.row_bytes_max).then_some(data + ENTRY_BYTES_OVERHEAD)
    }

    /// Puts a new entry into a free slot of its set, or in place of one that was not used lately.
    fn put<'g>(
        &self,
        place: Place,
        key: &[u8],
        lsn: Lsn,
        value: Option<&[u8]>,
        publish: Publish,
        guard: &'g Guard,
    ) -> Option<(&Slot, Seen<'g>)> {
        let cost = self.admissible(key, value)?;
        if !self.reserve(cost, guard) {
            return None;
        }
        let mut entry = new_entry(key, lsn, value);
        for _ in 0..WAYS {
            let Some((slot, old)) = self.victim(place.set, guard) else { break };
            let freed = old.entry().map(cost_of);
            match slot.replace(old, entry, place.tag, publish, guard) {
                Ok(seen) => {
                    if let Some(freed) = freed {
                        self.release(freed);
                        bump(&self.counts.evictions);
                    }
                    return Some((slot, seen));
                }
                Err(back) => entry = back,
            }
        }
        self.release(cost);
        None
    }

    /// A free slot of the set, or the first that was not used since the last search.
    fn victim<'g>(&self, set: usize, guard: &'g Guard) -> Option<(&Slot, Seen<'g>)> {
        let slots = &self.sets[set].0;
        if let Some(free) = slots.iter().map(|s| (s, s.load(guard))).find(|(_, seen)| seen.is_empty()) {
            return Some(free);
        }
        let unused = |slot: &&Slot| {
            let seen = slot.load(guard);
            !seen.is_pending() && seen.entry().is_none_or(|e| !e.referenced.swap(false, Ordering::Relaxed))
        };
        let slot = slots.iter().find(unused).or_else(|| slots.iter().find(unused))?;
        Some((slot, slot.load(guard)))
    }

    /// Takes `cost` bytes of the budget, making room if needed; `false` when a bounded sweep did not.
    fn reserve(&self, cost: usize, guard: &Guard) -> bool {
        let mut used = self.bytes.fetch_add(cost, Ordering::Relaxed) + cost;
        for _ in 0..SWEEP_SETS_MAX {
            if used <= self.config.bytes_max {
                return true;
            }
            self.sweep_one_set(guard);
            used = self.bytes.load(Ordering::Relaxed);
        }
        if used <= self.config.bytes_max {
            return true;
        }
        self.release(cost);
        false
    }

    fn release(&self, cost: usize) {
        self.bytes.fetch_sub(cost, Ordering::Relaxed);
    }

    /// Moves the clock hand over one set: what was used loses its mark, the rest goes.
    fn sweep_one_set(&self, guard: &Guard) {
        let set = self.hand.fetch_add(1, Ordering::Relaxed) % self.sets.len();
        for slot in &self.sets[set].0 {
            let seen = slot.load(guard);
            let Some(entry) = seen.entry() else { continue };
            if seen.is_pending() || entry.referenced.swap(false, Ordering::Relaxed) {
                continue;
            }
            let cost = cost_of(entry);
            if slot.remove(seen, guard) {
                self.release(cost);
                bump(&self.counts.evictions);
            }
        }
    }
}

fn matching<'g>(seen: Seen<'g>, tag: u64, key: &[u8]) -> Option<&'g Entry> {
    if seen.is_empty() || seen.tag() != tag {
        return None;
    }
    seen.entry().filter(|entry| entry.data.get(..entry.key_len) == Some(key))
}

fn cost_of(entry: &Entry) -> usize {
    entry.data.len() + ENTRY_BYTES_OVERHEAD
}

/// Copies key and value, so that the entry holds no larger buffer alive.
fn new_entry(key: &[u8], lsn: Lsn, value: Option<&[u8]>) -> Box<Entry> {
    let data = [key, value.unwrap_or_default()].concat();
    Box::new(Entry {
        lsn: lsn.0,
        data: data.into_boxed_slice(),
        key_len: key.len(),
        deleted: value.is_none(),
        referenced: AtomicBool::new(false),
    })
}
