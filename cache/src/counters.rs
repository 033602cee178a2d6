//! What the tiers count: plain snapshots for the metrics table and SHOW STATUS.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::hedge::HedgeCounters;

/// What the row cache has done since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounters {
    /// Look-ups answered, deleted rows included.
    pub hits: u64,
    /// Look-ups of rows that are not held.
    pub misses: u64,
    /// Look-ups below the held version's LSN: the row must be read from storage.
    pub newer: u64,
    /// Fills that put a row in.
    pub fills: u64,
    /// Fills refused because the set had a newer version applied.
    pub fills_stale: u64,
    /// Fills refused because there was no room, or the row was too large.
    pub fills_full: u64,
    /// Committed versions that replaced a held row.
    pub updates: u64,
    /// Rows dropped to make room.
    pub evictions: u64,
    /// Bytes of entries and table now.
    pub bytes: u64,
    /// The limit.
    pub bytes_max: u64,
}

/// What the block cache has done since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockCounters {
    /// Look-ups answered.
    pub hits: u64,
    /// Look-ups not answered.
    pub misses: u64,
    /// Blocks put in.
    pub inserts: u64,
    /// Blocks dropped to make room.
    pub evictions: u64,
    /// Blocks held now.
    pub blocks: u64,
    /// Bytes held now, bookkeeping included.
    pub bytes: u64,
    /// The limit.
    pub bytes_max: u64,
}

/// What the disk cache has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Reads answered with verified bytes.
    pub hits: u64,
    /// Reads of blocks that are not held.
    pub misses: u64,
    /// Blocks written.
    pub writes: u64,
    /// Bytes written to the device, padding included.
    pub write_bytes: u64,
    /// Offers dropped because the queue was full.
    pub offers_dropped: u64,
    /// Blocks forgotten when their segment was reused.
    pub evictions: u64,
    /// Blocks that failed their checksum and were forgotten.
    pub corrupt: u64,
    /// Device errors; the first turns the tier off.
    pub io_errors: u64,
    /// Blocks found when the file was opened.
    pub recovered: u64,
    /// Blocks held now.
    pub blocks: u64,
    /// Stored bytes of the blocks held now.
    pub bytes: u64,
    /// The limit: size of the file.
    pub bytes_max: u64,
    /// Memory that the index takes, estimated.
    pub index_bytes: u64,
}

/// What the tiered source has done since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    /// Blocks loaded from the disk cache.
    pub disk_loads: u64,
    /// Ranged GETs sent to the store.
    pub store_fetches: u64,
    /// Bytes that they brought.
    pub store_bytes: u64,
    /// Loads that joined one already in flight.
    pub joins: u64,
    /// Blocks whose bytes from the store failed their checksum at first reading.
    pub store_corrupt: u64,
    /// Loads that ended in an error.
    pub errors: u64,
    /// Ranged GETs (among `store_fetches`) that fetch several blocks ahead of a scan.
    pub read_aheads: u64,
    /// Second requests for what was slow; `store_fetches` does not count them.
    pub hedges: HedgeCounters,
}

/// Adds one.
pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Adds a count of bytes.
pub(crate) fn bump_by(counter: &AtomicU64, count: usize) {
    counter.fetch_add(to_u64(count), Ordering::Relaxed);
}

/// Reads a counter.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A length as a number to report.
pub(crate) fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

const STRIPES: usize = 16;

/// Counters of the hottest paths, one cache line a group of threads, so that counting a hit does not
/// move a line between cores.
#[derive(Debug, Default)]
pub(crate) struct Striped<const N: usize> {
    stripes: [Stripe<N>; STRIPES],
}

#[derive(Debug)]
#[repr(align(64))]
struct Stripe<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Stripe<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl<const N: usize> Striped<N> {
    /// Adds one to counter `which`.
    pub(crate) fn bump(&self, which: usize) {
        bump(&self.stripes[stripe()].0[which]);
    }

    /// The sum of counter `which`.
    pub(crate) fn read(&self, which: usize) -> u64 {
        self.stripes.iter().map(|s| read(&s.0[which])).sum()
    }
}

/// This thread's stripe.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        mine.get()
    })
}
