//! Waking the log thread from other threads.
//!
//! The log thread sleeps in one place: in its device, for completions and for this waker's eventfd.
//! Waking costs a system call only while it sleeps: a state word says whether it does.
//!
//! States: `AWAKE`, `SLEEPING` (set by the owner before it waits), `WOKEN` (set by [`Waker::wake`]). The
//! owner sleeps only if it moves the word from `AWAKE` to `SLEEPING`; a wake before that leaves
//! `WOKEN`, which makes the exchange fail, so no wake-up is lost.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const SLEEPING: u8 = 1;
const WOKEN: u8 = 2;

/// Wakes the thread that is in [`crate::Log::poll`], or makes its next call return at once.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    event: File,
}

impl Waker {
    /// A waker with an eventfd of its own.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers; its result is checked below.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and nobody else owns it.
        let event = unsafe { File::from_raw_fd(fd) };
        Ok(Self(Arc::new(Shared { state: AtomicU8::new(AWAKE), event })))
    }

    /// Ends the owner's present wait, or its next one.
    pub fn wake(&self) {
        if self.0.state.swap(WOKEN, Ordering::AcqRel) == SLEEPING {
            self.signal();
        }
    }

    /// Makes the descriptor readable.
    pub(crate) fn signal(&self) {
        // The counter cannot overflow: at most one write for each sleep. A failure would need a
        // closed descriptor, which the `Arc` rules out.
        let _ = (&self.0.event).write(&1_u64.to_ne_bytes());
    }

    /// Takes the signal back after a sleep that it ended. A waker that ended the sleep but has not
    /// signalled yet is waited for: it is between two instructions.
    pub(crate) fn drain(&self) {
        let mut counter = [0; 8];
        let _ = (&self.0.event).read(&mut counter);
    }

    /// The descriptor to wait for.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.0.event.as_raw_fd()
    }

    /// The owner is about to wait. `false`: it has been woken meanwhile and must not.
    #[must_use]
    pub fn prepare_sleep(&self) -> bool {
        let moved = self.0.state.compare_exchange(AWAKE, SLEEPING, Ordering::AcqRel, Ordering::Acquire);
        if moved.is_err() {
            self.0.state.swap(AWAKE, Ordering::AcqRel);
        }
        moved.is_ok()
    }

    /// The owner has ended its wait. `true`: because of a wake-up.
    pub fn finish_sleep(&self) -> bool {
        self.0.state.swap(AWAKE, Ordering::AcqRel) == WOKEN
    }
}
