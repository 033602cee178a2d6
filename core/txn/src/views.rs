//! The read views of a node: which LSNs somebody still reads, so that flush and compaction keep the
//! versions that those need.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_types::Lsn;

/// All read views of a node, one slot an executor so that registering never contends.
#[derive(Debug)]
pub struct Views {
    visible: AtomicU64,
    slots: Box<[Mutex<BTreeMap<Lsn, u32>>]>,
}

impl Views {
    /// A registry for `slots` executors whose newest visible LSN is `visible`.
    #[must_use]
    pub fn new(slots: usize, visible: Lsn) -> Arc<Self> {
        let slots = (0..slots.max(1)).map(|_| Mutex::default()).collect();
        Arc::new(Self { visible: AtomicU64::new(visible.0), slots })
    }

    /// The newest LSN that reads on this node see.
    #[must_use]
    pub fn visible(&self) -> Lsn {
        Lsn(self.visible.load(Ordering::Acquire))
    }

    /// Makes everything up to `lsn` visible; never goes back. Returns whether it went on.
    pub fn advance(&self, lsn: Lsn) -> bool {
        self.visible.fetch_max(lsn.0, Ordering::AcqRel) < lsn.0
    }

    /// A view of what is visible now, kept until the guard is dropped.
    ///
    /// The visible LSN is read while the slot is locked: [`Views::live`] reads it before it looks at
    /// the slots, so a view that it does not find is at least as new as what it returns.
    #[must_use]
    pub fn open(self: &Arc<Self>, slot: usize) -> ViewGuard {
        self.open_ahead(slot, Lsn(0))
    }

    /// As [`Views::open`], of what is not visible yet when `at_least` is beyond it. Who reads there must not end
    /// before it is visible.
    #[must_use]
    pub fn open_ahead(self: &Arc<Self>, slot: usize, at_least: Lsn) -> ViewGuard {
        let slot = slot % self.slots.len();
        let mut views = lock(&self.slots[slot]);
        let lsn = self.visible().max(at_least);
        *views.entry(lsn).or_insert(0) += 1;
        drop(views);
        ViewGuard { views: Arc::clone(self), slot, lsn }
    }

    /// The LSNs that must stay readable, ascending and without repeats: those of all open views and,
    /// last, the visible one. Versions newer than the last are all needed.
    #[must_use]
    pub fn live(&self) -> Vec<Lsn> {
        let visible = self.visible();
        let mut live: Vec<Lsn> = Vec::new();
        for slot in &self.slots {
            live.extend(lock(slot).keys().copied());
        }
        live.retain(|lsn| *lsn < visible);
        live.push(visible);
        live.sort_unstable();
        live.dedup();
        live
    }
}

fn lock(slot: &Mutex<BTreeMap<Lsn, u32>>) -> MutexGuard<'_, BTreeMap<Lsn, u32>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to read one LSN.
#[derive(Debug)]
pub struct ViewGuard {
    views: Arc<Views>,
    slot: usize,
    lsn: Lsn,
}

impl ViewGuard {
    /// The LSN that may be read.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The same right for somebody else.
    #[must_use]
    pub fn share(&self) -> Self {
        *lock(&self.views.slots[self.slot]).entry(self.lsn).or_insert(0) += 1;
        Self { views: Arc::clone(&self.views), slot: self.slot, lsn: self.lsn }
    }
}

impl Drop for ViewGuard {
    fn drop(&mut self) {
        let mut views = lock(&self.views.slots[self.slot]);
        if let Some(count) = views.get_mut(&self.lsn) {
            *count -= 1;
            if *count == 0 {
                views.remove(&self.lsn);
            }
        }
    }
}
