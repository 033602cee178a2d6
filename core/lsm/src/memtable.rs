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
mod keys;
mod prefetch;
mod versions;

use keys::{KeyRef, Keys};
use versions::{VersionRef, Versions};

/// See the module.
pub struct Memtable {
    keys: Keys,
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
    at: Option<Place>,
}

/// An entry's place: its key and its version.
#[derive(Clone, Copy)]
struct Place {
    key: KeyRef,
    version: VersionRef,
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
            keys: Keys::new(),
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
        let is_new = self.keys.insert(key, lsn.0, value);
        self.entries.fetch_add(usize::from(is_new), Ordering::Relaxed);
        Ok(is_new)
    }

    /// The newest version of `key` that is not newer than `lsn`, tombstones included.
    #[must_use]
    pub fn get(&self, key: &[u8], lsn: Lsn) -> Option<MemEntry<'_>> {
        let (node, is_own) = self.keys.at_or_after(key)?;
        if !is_own {
            return None;
        }
        // SAFETY: the node is of this memtable's list, which lives as long as `&self`.
        let version = unsafe { node.versions() }.as_of(lsn.0)?;
        Some(self.entry(Place { key: node, version }))
    }

    /// Bytes of memory in use, towers and headers included.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        self.keys.used_bytes()
    }

    /// Entries, all versions and tombstones counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// About how many keys there are with `start ≤ key < end`; exact when there are few.
    #[must_use]
    pub fn count_between(&self, start: &[u8], end: &[u8]) -> usize {
        usize::try_from(self.keys.count_between(start, end)).unwrap_or(usize::MAX).min(self.len())
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.first().is_none()
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

    fn entry(&self, place: Place) -> MemEntry<'_> {
        // SAFETY: the place is of this memtable's list, which lives as long as `&self`.
        let (key, value) = unsafe { (place.key.key(), place.version.value()) };
        MemEntry { key, lsn: Lsn(place.version.lsn()), value }
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
        self.at.map(|place| self.memtable.entry(place))
    }

    /// Goes to the first entry at or after `(key, lsn)` in entry order.
    pub fn seek(&mut self, key: &[u8], lsn: Lsn) {
        let Some((node, is_own)) = self.memtable.keys.at_or_after(key) else {
            self.at = None;
            return;
        };
        match is_own.then(|| self.versions(node).as_of(lsn.0)) {
            Some(Some(version)) => self.at = Some(Place { key: node, version }),
            // All versions are newer.
            Some(None) => self.at = self.newest(self.memtable.keys.next(node)),
            None => self.at = self.newest(Some(node)),
        }
    }

    /// Goes to the last entry before `(key, lsn)` in entry order.
    pub fn seek_before(&mut self, key: &[u8], lsn: Lsn) {
        let own = self.memtable.keys.at_or_after(key).filter(|(_, is_own)| *is_own).map(|(node, _)| node);
        self.at = own
            .and_then(|node| Some(Place { key: node, version: self.versions(node).before(lsn.0)? }))
            .or_else(|| self.oldest(self.memtable.keys.before(key)));
    }

    /// Goes to the first entry of all.
    pub fn seek_first(&mut self) {
        self.at = self.newest(self.memtable.keys.first());
    }

    /// Goes to the last entry of all.
    pub fn seek_last(&mut self) {
        self.at = self.oldest(self.memtable.keys.last());
    }

    /// Goes to the next entry; to none after the last.
    pub fn next(&mut self) {
        let Some(place) = self.at else { return };
        match place.version.older() {
            Some(version) => self.at = Some(Place { version, ..place }),
            None => self.next_key(),
        }
    }

    /// Goes to the entry before; to none before the first.
    pub fn previous(&mut self) {
        let Some(place) = self.at else { return };
        self.at = match self.versions(place.key).before(place.version.lsn()) {
            Some(version) => Some(Place { version, ..place }),
            None => self.oldest(self.memtable.keys.previous(place.key)),
        };
    }

    /// From any version of a key, goes to the newest at or below `lsn`; `false`, without moving, when there
    /// is none.
    pub fn seek_version(&mut self, lsn: Lsn) -> bool {
        let Some(place) = self.at else { return false };
        let Some(version) = self.versions(place.key).as_of(lsn.0) else { return false };
        self.at = Some(Place { version, ..place });
        true
    }

    /// Goes to the newest version of the next key; to none after the last key.
    pub fn next_key(&mut self) {
        self.at = self.newest(self.at.and_then(|place| self.memtable.keys.next(place.key)));
    }

    /// Goes to the newest version of the key before; to none before the first key.
    pub fn previous_key(&mut self) {
        self.at = self.newest(self.at.and_then(|place| self.memtable.keys.previous(place.key)));
    }

    /// Has the processor fetch what the next steps forward will read, while the entry here is being used.
    pub(crate) fn prefetch(&self) {
        if let Some(place) = self.at {
            self.memtable.keys.prefetch_after(place.key);
        }
    }

    fn versions(&self, key: KeyRef) -> &Versions {
        // SAFETY: the key is of this cursor's memtable, which the cursor keeps alive.
        unsafe { key.versions() }
    }

    fn newest(&self, key: Option<KeyRef>) -> Option<Place> {
        key.and_then(|key| Some(Place { key, version: self.versions(key).newest()? }))
    }

    fn oldest(&self, key: Option<KeyRef>) -> Option<Place> {
        // No entry has LSN 0: the first transaction has 1.
        key.and_then(|key| Some(Place { key, version: self.versions(key).before(0)? }))
    }
}

// SAFETY: the pointers refer to memory that `memtable` keeps alive, and which is shared by atomics.
unsafe impl Send for MemCursor {}

fn check_limit(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), FormatError> {
    if bytes > bytes_max {
        return Err(FormatError::TooLarge { what, bytes: bytes as u64, bytes_max: bytes_max as u64 });
    }
    Ok(())
}
