//! Memory that only grows: many threads take pieces, all of it is freed at once.
//!
//! This module exists for its unsafe code. Pieces come from chunks by an atomic bump of the chunk's
//! position; a thread that finds the chunk full allocates the next one and installs it with one
//! compare-and-swap. Pieces larger than an eighth of a chunk get a chunk of their own. Chunks are as the
//! processor's huge pages are, and asked for as such: a memtable is read all over, and with small pages
//! every node costs a page walk besides (ADR 0163).
//!
//! Invariants:
//! * A piece is given out once, aligned to [`ALIGN`], and stays where it is until the arena is dropped.
//! * The `previous` pointers of the two chunk lists are written before a chunk is published and never
//!   after, so dropping sees every chunk exactly once.
//!
//! Memory is not initialised; whoever takes a piece writes it before showing it to others.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Alignment of every piece.
pub(super) const ALIGN: usize = 8;
/// Size of the first chunk, so that a nearly empty memtable is small.
const FIRST_CHUNK_BYTES: usize = 64 << 10;
/// A huge page of the processors that servers have.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Size of the other chunks: a huge page, head included.
const CHUNK_BYTES: usize = HUGE_PAGE_BYTES - size_of::<Chunk>();
/// Larger pieces get their own chunk.
const SHARED_PIECE_BYTES_MAX: usize = HUGE_PAGE_BYTES / 8;

const _: () = assert!(align_of::<Chunk>() == ALIGN && size_of::<Chunk>().is_multiple_of(ALIGN));

/// Head of a chunk; its memory follows.
#[repr(C)]
struct Chunk {
    previous: *mut Chunk,
    capacity: usize,
    used: AtomicUsize,
}

/// See the module.
pub(super) struct Arena {
    /// The chunk that pieces come from; never null.
    current: AtomicPtr<Chunk>,
    /// Chunks of one large piece; null at first.
    large: AtomicPtr<Chunk>,
    /// Capacity of all chunks but the current one.
    closed_bytes: AtomicUsize,
}

impl Arena {
    pub(super) fn new() -> Self {
        let first = Chunk::allocate(FIRST_CHUNK_BYTES, std::ptr::null_mut(), 0);
        Self {
            current: AtomicPtr::new(first),
            large: AtomicPtr::new(std::ptr::null_mut()),
            closed_bytes: AtomicUsize::new(0),
        }
    }

    /// A piece of `bytes` uninitialised bytes. Aborts the process when the system is out of memory, as
    /// every allocation does.
    pub(super) fn allocate(&self, bytes: usize) -> NonNull<u8> {
        let bytes = bytes.next_multiple_of(ALIGN);
        if bytes > SHARED_PIECE_BYTES_MAX {
            return self.allocate_large(bytes);
        }
        loop {
            let chunk = self.current.load(Ordering::Acquire);
            // SAFETY: `current` is never null and chunks live until the arena is dropped.
            let head = unsafe { &*chunk };
            let at = head.used.fetch_add(bytes, Ordering::Relaxed);
            if at + bytes <= head.capacity {
                // SAFETY: `at + bytes` lies within the chunk's capacity.
                return unsafe { Chunk::piece(chunk, at) };
            }
            self.grow(chunk, head.capacity);
        }
    }

    /// Bytes taken so far: chunks that are full count as a whole.
    pub(super) fn used_bytes(&self) -> usize {
        // SAFETY: as in `allocate`.
        let head = unsafe { &*self.current.load(Ordering::Acquire) };
        self.closed_bytes.load(Ordering::Relaxed) + head.used.load(Ordering::Relaxed).min(head.capacity)
    }

    /// Replaces the current chunk, unless somebody else did.
    fn grow(&self, full: *mut Chunk, full_bytes: usize) {
        if self.current.load(Ordering::Acquire) != full {
            return;
        }
        let next = Chunk::allocate(CHUNK_BYTES, full, 0);
        match self.current.compare_exchange(full, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                self.closed_bytes.fetch_add(full_bytes, Ordering::Relaxed);
            }
            // SAFETY: `next` was never published.
            Err(_) => unsafe { Chunk::free(next) },
        }
    }

    fn allocate_large(&self, bytes: usize) -> NonNull<u8> {
        let chunk = Chunk::allocate(bytes, std::ptr::null_mut(), bytes);
        self.closed_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut newest = self.large.load(Ordering::Relaxed);
        loop {
            // SAFETY: the chunk is not published yet, so nobody else reads or writes its head.
            unsafe { (*chunk).previous = newest };
            match self.large.compare_exchange_weak(newest, chunk, Ordering::Release, Ordering::Relaxed) {
                // SAFETY: the chunk has `bytes` bytes, all for this piece.
                Ok(_) => return unsafe { Chunk::piece(chunk, 0) },
                Err(other) => newest = other,
            }
        }
    }
}

impl Chunk {
    fn layout(capacity: usize) -> Layout {
        let align = if capacity == CHUNK_BYTES { HUGE_PAGE_BYTES } else { ALIGN };
        match Layout::from_size_align(size_of::<Self>().saturating_add(capacity), align) {
            Ok(layout) => layout,
            Err(_) => handle_alloc_error(Layout::new::<Self>()),
        }
    }

    fn allocate(capacity: usize, previous: *mut Self, used: usize) -> *mut Self {
        let layout = Self::layout(capacity);
        // SAFETY: the layout is at least as large as a chunk's head, so not empty.
        let chunk = unsafe { alloc(layout) }.cast::<Self>();
        if chunk.is_null() {
            handle_alloc_error(layout);
        }
        if layout.align() == HUGE_PAGE_BYTES {
            ask_for_huge_page(chunk.cast());
        }
        // SAFETY: freshly allocated with the size and alignment of a head.
        unsafe { chunk.write(Self { previous, capacity, used: AtomicUsize::new(used) }) };
        chunk
    }

    /// # Safety
    /// `chunk` came from [`Self::allocate`] and `at` lies within its capacity.
    unsafe fn piece(chunk: *mut Self, at: usize) -> NonNull<u8> {
        // SAFETY: the memory of the chunk follows its head in the same allocation.
        let start = unsafe { chunk.add(1).cast::<u8>().add(at) };
        // SAFETY: an address inside an allocation is not null.
        unsafe { NonNull::new_unchecked(start) }
    }

    /// # Safety
    /// `chunk` came from [`Self::allocate`], is freed once, and nobody uses it any more.
    unsafe fn free(chunk: *mut Self) {
        // SAFETY: the caller's promise.
        let capacity = unsafe { (*chunk).capacity };
        // SAFETY: the same layout as at allocation.
        unsafe { dealloc(chunk.cast(), Self::layout(capacity)) };
    }
}

/// Asks the system to back the chunk at `start` by a huge page, where it has them; without, all works as well.
fn ask_for_huge_page(start: *mut u8) {
    #[cfg(target_os = "linux")]
    // SAFETY: the advice changes how the memory is mapped, never what is in it, and the range is all of this chunk's.
    unsafe {
        // A system without huge pages refuses.
        let _ = libc::madvise(start.cast(), HUGE_PAGE_BYTES, libc::MADV_HUGEPAGE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = start;
}

impl Drop for Arena {
    fn drop(&mut self) {
        for list in [*self.current.get_mut(), *self.large.get_mut()] {
            let mut chunk = list;
            while !chunk.is_null() {
                // SAFETY: chunks in the lists are alive, and `&mut self` means nobody else uses them.
                let previous = unsafe { (*chunk).previous };
                // SAFETY: each chunk is in one list, once.
                unsafe { Chunk::free(chunk) };
                chunk = previous;
            }
        }
    }
}

// SAFETY: the arena owns its chunks; pieces may be used from any thread.
unsafe impl Send for Arena {}
// SAFETY: all shared state is atomic.
unsafe impl Sync for Arena {}
