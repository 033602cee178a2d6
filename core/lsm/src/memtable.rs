//! The memtable: what was committed and is not in tables yet.
//!
//! One ordered map for all threads: home cores insert at the same time, anybody reads at any time, nobody
//! waits. Keys and values are copied into the memtable's own memory, which is freed as a whole; dropping
//! even a large memtable is cheap enough for an executor. A read sees an entry as soon as its insert has
//! returned; which LSNs are complete is for the caller to know (the visible LSN).
//!
//! Freezing is not a state of the memtable: a writer that no longer inserts has frozen it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aquifer_format::FormatError;
use aquifer_format::sst::{KEY_BYTES_MAX, LSN_LIMIT, VALUE_BYTES_MAX};
use aquifer_types::Lsn;

mod arena;
mod list;

use list::{List, NodeRef};

/// See the module.
pub struct Memtable {
    list: List,
    entries: AtomicUsize,
    min_lsn: AtomicU64,
    max_lsn: AtomicU64,
}

/// One version of a key, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemEntry<'a> {
    /// The user key.
    pub key: &'a [u8],
    /// Position of the transaction that wrote it.
    pub lsn: Lsn,
    /// `None` for a tombstone.
    pub value: Option<&'a [u8]>,
}

/// A position in a memtable that keeps it alive. At an entry, or at none.
#[derive(Clone)]
pub struct MemCursor {
    memtable: Arc<Memtable>,
    at: Option<NodeRef>,
}

impl Default for Memtable {
    fn default() -> Self {
        Self::new()
    }
}

impl Memtable {
    /// An empty memtable.
    #[must_use]
    pub fn new() -> Self {
        Self {
            list: List::new(),
            entries: AtomicUsize::new(0),
            min_lsn: AtomicU64::new(u64::MAX),
            max_lsn: AtomicU64::new(0),
        }
    }

    /// Adds a version of a key; `None` is a tombstone. `false` when the same key has an entry with this LSN
    /// already; that one stays (a delta applied twice changes nothing).
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] for a key, a value or an LSN that no table could hold.
    pub fn insert(&self, key: &[u8], lsn: Lsn, value: Option<&[u8]>) -> Result<bool, FormatError> {
        check_limit("key", key.len(), KEY_BYTES_MAX)?;
        check_limit("value", value.map_or(0, <[u8]>::len), VALUE_BYTES_MAX)?;
        if lsn.0 >= LSN_LIMIT {
            return Err(FormatError::TooLarge { what: "LSN", bytes: lsn.0, bytes_max: LSN_LIMIT - 1 });
        }
        // Before the entry can be seen, so that whoever sees it also sees bounds that include it.
        if self.max_lsn.load(Ordering::Relaxed) < lsn.0 {
            self.max_lsn.fetch_max(lsn.0, Ordering::Relaxed);
        }
        if self.min_lsn.load(Ordering::Relaxed) > lsn.0 {
            self.min_lsn.fetch_min(lsn.0, Ordering::Relaxed);
        }
        let is_new = self.list.insert(key, lsn.0, value);
        self.entries.fetch_add(usize::from(is_new), Ordering::Relaxed);
        Ok(is_new)
    }

    /// The newest version of `key` that is not newer than `lsn`, tombstones included.
    #[must_use]
    pub fn get(&self, key: &[u8], lsn: Lsn) -> Option<MemEntry<'_>> {
        let entry = self.entry(self.list.at_or_after(key, lsn.0)?);
        (entry.key == key).then_some(entry)
    }

    /// Bytes of memory in use, towers and headers included.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        self.list.used_bytes()
    }

    /// Entries, all versions and tombstones counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// About how many entries have `start ≤ key < end`; exact when there are few.
    #[must_use]
    pub fn count_between(&self, start: &[u8], end: &[u8]) -> usize {
        usize::try_from(self.list.count_between(start, end)).unwrap_or(usize::MAX).min(self.len())
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.first().is_none()
    }

    /// At or below the LSN of every entry; [`Lsn::MAX`] when empty.
    #[must_use]
    pub fn min_lsn(&self) -> Lsn {
        Lsn(self.min_lsn.load(Ordering::Relaxed))
    }

    /// At or above the LSN of every entry; 0 when empty.
    #[must_use]
    pub fn max_lsn(&self) -> Lsn {
        Lsn(self.max_lsn.load(Ordering::Relaxed))
    }

    /// A cursor over all versions, at no entry yet.
    #[must_use]
    pub fn cursor(self: &Arc<Self>) -> MemCursor {
        MemCursor { memtable: Arc::clone(self), at: None }
    }

    fn entry(&self, node: NodeRef) -> MemEntry<'_> {
        // SAFETY: the node is of this memtable's list, which lives as long as `&self`.
        let (key, lsn, value) = unsafe { (node.key(), node.lsn(), node.value()) };
        MemEntry { key, lsn: Lsn(lsn), value }
    }
}

impl std::fmt::Debug for Memtable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memtable({} entries, {} bytes)", self.len(), self.approximate_bytes())
    }
}

impl MemCursor {
    /// The entry at the cursor.
    #[must_use]
    pub fn entry(&self) -> Option<MemEntry<'_>> {
        self.at.map(|node| self.memtable.entry(node))
    }

    /// Goes to the first entry at or after `(key, lsn)` in entry order.
    pub fn seek(&mut self, key: &[u8], lsn: Lsn) {
        self.at = self.memtable.list.at_or_after(key, lsn.0);
    }

    /// Goes to the last entry before `(key, lsn)` in entry order.
    pub fn seek_before(&mut self, key: &[u8], lsn: Lsn) {
        self.at = self.memtable.list.before(key, lsn.0);
    }

    /// Goes to the first entry of all.
    pub fn seek_first(&mut self) {
        self.at = self.memtable.list.first();
    }

    /// Goes to the last entry of all.
    pub fn seek_last(&mut self) {
        self.at = self.memtable.list.last();
    }

    /// Goes to the next entry; to none after the last.
    pub fn next(&mut self) {
        self.at = self.at.and_then(|node| self.memtable.list.next(node));
    }

    /// Goes to the entry before; to none before the first.
    pub fn previous(&mut self) {
        self.at = self.at.and_then(|node| self.memtable.list.previous(node));
    }
}

impl MemCursor {
    /// Steps over versions of one key before a search is cheaper.
    const VERSION_STEPS_MAX: usize = 4;

    /// From any version of a key, goes to the newest at or below `lsn`; `false`, without moving, when there
    /// is none.
    pub fn seek_version(&mut self, lsn: Lsn) -> bool {
        let Some(node) = self.at else { return false };
        let entry = self.memtable.entry(node);
        let list = &self.memtable.list;
        let is_newest = |node| {
            let before = list.previous(node).map(|before| self.memtable.entry(before));
            before.is_none_or(|before| before.key != entry.key || before.lsn > lsn)
        };
        if entry.lsn <= lsn && is_newest(node) {
            return true;
        }
        let found = list.at_or_after(entry.key, lsn.0);
        match found.filter(|found| self.memtable.entry(*found).key == entry.key) {
            Some(found) => {
                self.at = Some(found);
                true
            }
            None => false,
        }
    }

    /// Goes to the newest version of the next key; to none after the last key.
    pub fn next_key(&mut self) {
        let Some(node) = self.at else { return };
        let key = self.memtable.entry(node).key;
        for _ in 0..Self::VERSION_STEPS_MAX {
            self.at = self.at.and_then(|node| self.memtable.list.next(node));
            if self.at.is_none_or(|next| self.memtable.entry(next).key != key) {
                return;
            }
        }
        // No entry has LSN 0: the first transaction has 1.
        self.at = self.memtable.list.at_or_after(key, 0);
        while self.at.is_some_and(|next| self.memtable.entry(next).key == key) {
            self.at = self.at.and_then(|node| self.memtable.list.next(node));
        }
    }

    /// Goes to the oldest version of the key before; to none before the first key.
    pub fn previous_key(&mut self) {
        let Some(node) = self.at else { return };
        let key = self.memtable.entry(node).key;
        for _ in 0..Self::VERSION_STEPS_MAX {
            self.at = self.at.and_then(|node| self.memtable.list.previous(node));
            if self.at.is_none_or(|before| self.memtable.entry(before).key != key) {
                return;
            }
        }
        self.at = self.memtable.list.before(key, Lsn::MAX.0);
    }
}

// SAFETY: the node pointer refers to memory that `memtable` keeps alive, and which is shared by atomics.
unsafe impl Send for MemCursor {}

fn check_limit(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), FormatError> {
    if bytes > bytes_max {
        return Err(FormatError::TooLarge { what, bytes: bytes as u64, bytes_max: bytes_max as u64 });
    }
    Ok(())
}
