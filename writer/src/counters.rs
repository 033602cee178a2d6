//! Counters that never hand out a value twice, not even after a crash: AUTO_INCREMENT, table and index ids.
//!
//! Values are reserved in blocks: the end of a block is durable before a value of it is handed out. A crash
//! skips what was left of the block; a clean stop gives it back. A counter's row is changed by this module
//! alone, one extension at a time, so it needs no row lock.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_types::{IndexId, SqlError, SqlResult, TableId};
use bytes::Bytes;
use futures_channel::oneshot;

/// The system index that holds the counters. It is above the catalog's, so that a reservation does not
/// count as a change of the catalog.
pub const COUNTERS: IndexId = IndexId(1024);

/// The first index id that belongs to a user's table.
pub const USER_INDEX_FIRST: u64 = 4096;

const BLOCK_MIN: u64 = 32;
const BLOCK_MAX: u64 = 4096;

/// ER_AUTOINC_READ_FAILED: the column's values are used up.
const ER_AUTOINC_READ_FAILED: u16 = 1467;

/// Which counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterId {
    /// Ids of tables and databases.
    Tables,
    /// Ids of indexes.
    Indexes,
    /// AUTO_INCREMENT of a table.
    AutoIncrement(TableId),
}

impl CounterId {
    /// The key of the counter's row: index id, kind, number. Its value is the end of the reserved block,
    /// exclusive, as eight bytes little-endian.
    #[must_use]
    pub fn key(self) -> Bytes {
        let (kind, number) = match self {
            Self::Tables => (0, 0),
            Self::Indexes => (1, 0),
            Self::AutoIncrement(table) => (2, table.0),
        };
        let mut key = COUNTERS.0.to_be_bytes().to_vec();
        key.push(kind);
        key.extend_from_slice(&number.to_be_bytes());
        key.into()
    }

    fn first(self) -> u64 {
        match self {
            Self::Indexes => USER_INDEX_FIRST,
            Self::Tables | Self::AutoIncrement(_) => 1,
        }
    }
}

/// Ids that [`CounterId::Indexes`], whose row is `stored`, may have given to indexes of users' tables.
///
/// # Errors
/// `Corrupt` when the row cannot be read.
pub fn given_indexes(stored: Option<&[u8]>) -> SqlResult<Range<u32>> {
    let shared = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
    let end = stored.map_or(Ok(USER_INDEX_FIRST), decode)?;
    Ok(shared(USER_INDEX_FIRST)..shared(end))
}

/// All counters of a writer.
#[derive(Debug, Default)]
pub struct Counters {
    counters: Mutex<HashMap<CounterId, Arc<Counter>>>,
}

/// One counter.
#[derive(Debug)]
pub struct Counter {
    id: CounterId,
    /// The next value to hand out.
    next: AtomicU64,
    /// Values below this are reserved durably.
    limit: AtomicU64,
    extending: Mutex<Extending>,
}

#[derive(Debug, Default)]
struct Extending {
    busy: bool,
    block: u64,
    waiting: Vec<oneshot::Sender<()>>,
}

/// What [`Counter::take`] says.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// The first of the values.
    Value(u64),
    /// The block must be extended so that it ends at this value at least.
    Extend(u64),
}

impl Counters {
    /// A counter that is loaded already.
    #[must_use]
    pub fn find(&self, id: CounterId) -> Option<Arc<Counter>> {
        lock(&self.counters).get(&id).cloned()
    }

    /// A counter whose row was read: the end of its last block, if it has one.
    pub fn loaded(&self, id: CounterId, stored: Option<&[u8]>) -> SqlResult<Arc<Counter>> {
        let limit = match stored {
            Some(bytes) => decode(bytes)?,
            None => id.first(),
        };
        let counter = || {
            let (next, limit) = (AtomicU64::new(limit), AtomicU64::new(limit));
            Arc::new(Counter { id, next, limit, extending: Mutex::default() })
        };
        Ok(Arc::clone(lock(&self.counters).entry(id).or_insert_with(counter)))
    }

    /// Rows that give unused values back, for a clean stop: no value may be taken afterwards.
    #[must_use]
    pub fn unused(&self) -> Vec<(Bytes, Bytes)> {
        let counters = lock(&self.counters);
        let mut rows: Vec<_> = counters
            .values()
            .filter(|counter| counter.next.load(Ordering::Acquire) < counter.limit.load(Ordering::Acquire))
            .map(|counter| (counter.id.key(), encode(counter.next.load(Ordering::Acquire))))
            .collect();
        rows.sort();
        rows
    }
}

impl Counter {
    /// Which one.
    #[must_use]
    pub fn id(&self) -> CounterId {
        self.id
    }

    /// The value that would be handed out next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Hands out `count` consecutive values, the first at least `at_least`, if the block has them.
    ///
    /// # Errors
    /// 1467 when the 64 bits are used up.
    pub fn take(&self, count: u64, at_least: u64) -> SqlResult<Taken> {
        loop {
            let next = self.next.load(Ordering::Acquire);
            let first = next.max(at_least);
            let end = first.checked_add(count).ok_or_else(exhausted)?;
            if end > self.limit.load(Ordering::Acquire) {
                return Ok(Taken::Extend(end));
            }
            let taken = self.next.compare_exchange(next, end, Ordering::AcqRel, Ordering::Acquire);
            if taken.is_ok() {
                return Ok(Taken::Value(first));
            }
        }
    }

    /// Sees to it that only values above `value` are handed out. `Some`: extend to this first.
    #[must_use]
    pub fn observe(&self, value: u64) -> Option<u64> {
        let after = value.checked_add(1)?;
        if after > self.limit.load(Ordering::Acquire) {
            return Some(after);
        }
        self.next.fetch_max(after, Ordering::AcqRel);
        None
    }

    /// Begins an extension to at least `end`: the limit to make durable. `Err`: somebody else is at it, try
    /// again when the receiver is done.
    ///
    /// # Errors
    /// As said.
    pub fn begin_extension(&self, end: u64) -> Result<u64, oneshot::Receiver<()>> {
        let mut extending = lock(&self.extending);
        if extending.busy {
            let (sender, receiver) = oneshot::channel();
            extending.waiting.push(sender);
            return Err(receiver);
        }
        extending.busy = true;
        extending.block = (extending.block * 2).clamp(BLOCK_MIN, BLOCK_MAX);
        let limit = self.limit.load(Ordering::Acquire).max(end);
        Ok(limit.saturating_add(extending.block))
    }

    /// Ends the extension: `Some` with the limit that is durable now.
    pub fn end_extension(&self, limit: Option<u64>) {
        if let Some(limit) = limit {
            self.limit.fetch_max(limit, Ordering::AcqRel);
        }
        let mut extending = lock(&self.extending);
        extending.busy = false;
        for waiting in extending.waiting.drain(..) {
            let _ = waiting.send(());
        }
    }
}

/// A counter row's value.
#[must_use]
pub fn encode(limit: u64) -> Bytes {
    Bytes::copy_from_slice(&limit.to_le_bytes())
}

fn decode(bytes: &[u8]) -> SqlResult<u64> {
    let bytes = bytes.try_into().map_err(|_| {
        SqlError::with_kind(1105, aquifer_types::ErrorKind::Corrupt, "a counter row is not eight bytes long")
    })?;
    Ok(u64::from_le_bytes(bytes))
}

fn exhausted() -> SqlError {
    SqlError::new(ER_AUTOINC_READ_FAILED, "Failed to read auto-increment value from storage engine")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
