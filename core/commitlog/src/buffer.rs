//! Memory for writes: aligned to blocks, as direct I/O demands.
//!
//! Unsafe lives here: allocation with an alignment, and the slices over it.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::codec::BLOCK_LEN;

/// A block of memory that starts on a multiple of the block size and is a multiple of it long.
#[derive(Debug)]
pub struct Buffer {
    pointer: NonNull<u8>,
    capacity: usize,
    len: usize,
    /// Its number among the buffers that the kernel knows.
    pub(crate) registered: Option<u16>,
}

// SAFETY: the buffer owns its memory and hands out references only by the usual borrowing rules.
unsafe impl Send for Buffer {}

impl Buffer {
    /// Zeroed memory for at least `bytes` bytes (at least one block), of which `bytes` are in use.
    #[must_use]
    pub fn zeroed(bytes: usize) -> Self {
        let layout = Self::layout(bytes.max(1));
        // SAFETY: the layout's size is at least one block, so not zero.
        let pointer = unsafe { alloc_zeroed(layout) };
        let Some(pointer) = NonNull::new(pointer) else { handle_alloc_error(layout) };
        Self { pointer, capacity: layout.size(), len: bytes, registered: None }
    }

    fn layout(bytes: usize) -> Layout {
        let block = BLOCK_LEN;
        Layout::from_size_align(bytes.next_multiple_of(block), block)
            .expect("a buffer is far smaller than the address space")
    }

    /// Bytes that [`Buffer::set_len`] can reach.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Puts the first `bytes` bytes in use; what they hold is unspecified but initialised.
    ///
    /// # Panics
    /// When `bytes` exceeds the capacity: the caller's mistake.
    pub fn set_len(&mut self, bytes: usize) {
        assert!(bytes <= self.capacity, "{bytes} bytes in a buffer of {}", self.capacity);
        self.len = bytes;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` is within the allocation, which was zeroed and so is initialised.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the borrow exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this very layout, freed once.
        unsafe { dealloc(self.pointer.as_ptr(), Self::layout(self.capacity)) }
    }
}
