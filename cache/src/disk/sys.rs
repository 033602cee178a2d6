//! System calls and memory that the standard library does not offer. The disk cache's unsafe code is
//! here and in [`super::ring`].

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

use super::layout::PAGE;

/// Zeroed memory aligned to a page, as direct I/O wants it.
#[derive(Debug)]
pub(super) struct AlignedBuf {
    pointer: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the buffer owns its memory exclusively, like a `Vec<u8>`.
unsafe impl Send for AlignedBuf {}

impl AlignedBuf {
    /// At least `bytes` bytes, rounded up to whole pages and at least one.
    ///
    /// # Errors
    /// When the size is beyond what memory can hold.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let size = bytes.max(1).next_multiple_of(PAGE);
        let layout = Layout::from_size_align(size, PAGE).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: the layout's size is at least one page, so it is not zero.
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(pointer) = NonNull::new(raw) else { handle_alloc_error(layout) };
        Ok(Self { pointer, layout })
    }

    /// Where the kernel is to read to; valid as long as the buffer.
    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.pointer.as_ptr()
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the memory is owned, initialised (zeroed at first) and `size` long.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.layout.size()) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.layout.size()) }
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: the memory came from `alloc_zeroed` with this layout and is freed once.
        unsafe { dealloc(self.pointer.as_ptr(), self.layout) };
    }
}

/// Reserves the file's space on the device, so that later writes cannot run out of it.
///
/// # Errors
/// `ENOSPC` and the like. Where the file system has no such call the length is set instead.
pub(super) fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    let length = i64::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
    loop {
        // SAFETY: plain system call on a descriptor that is open for the borrow of `file`.
        let code = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) };
        if code == 0 {
            return file.set_len(bytes);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => return file.set_len(bytes),
            _ => return Err(error),
        }
    }
}

/// A counter that another thread can wait on by reading it.
///
/// # Errors
/// When the process is out of descriptors.
pub(super) fn eventfd() -> io::Result<File> {
    // SAFETY: plain system call without pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just opened and has no other owner.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}
