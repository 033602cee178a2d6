//! What the row cache counts is what it takes from the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use aquifer_cache::{RowCache, RowCacheConfig, RowLookup};
use aquifer_types::Lsn;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the callee's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the callee's.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn memory_taken_stays_within_five_percent_of_the_limit() {
    let limit = 32 << 20;
    let before = LIVE.load(Ordering::Relaxed);
    let cache = RowCache::new(RowCacheConfig::with_bytes(limit), Lsn(0));
    for n in 0..400_000u64 {
        let value = vec![3u8; 40 + usize::try_from(n % 200).unwrap_or(0)];
        cache.fill(&n.to_be_bytes(), Lsn(1), Lsn(1), Some(&value));
        let _: RowLookup = cache.get(&n.to_be_bytes(), Lsn(1));
    }
    let taken = LIVE.load(Ordering::Relaxed) - before;
    assert!(taken <= limit + limit / 20, "{taken} bytes taken, limit {limit}");
    assert!(taken >= limit * 6 / 10, "only {taken} bytes taken of {limit}");
}
