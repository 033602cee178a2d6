//! Reads through `io_uring` with registered buffers. Unsafe code is here and in [`super::sys`].
//!
//! Ownership: the ring owns the buffers that the kernel writes to and frees none before every
//! operation has completed, on drop too. The file and the doorbell live as long as the ring.
//!
//! A slot is one read in flight. The doorbell (an eventfd) is read through the ring as well, so that
//! one system call waits for a finished read and for new work at the same time.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use io_uring::{IoUring, opcode, types};

use super::sys::AlignedBuf;

/// Length of a registered buffer. A longer read gets memory of its own.
const SLOT_BYTES: usize = 32 << 10;
/// Most slots: their buffers count towards the locked-memory limit, which is 8 MiB by default.
const SLOTS_MAX: usize = 128;
const BELL: u64 = u64::MAX;

struct Slot {
    registered: AlignedBuf,
    large: Option<AlignedBuf>,
    busy: bool,
}

/// A finished read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    /// The slot it was submitted with.
    pub(super) slot: usize,
    /// Bytes read, or the negated error number.
    pub(super) result: i32,
}

/// One thread's ring.
pub(super) struct ReadRing {
    ring: IoUring,
    file: Arc<File>,
    doorbell: Arc<File>,
    bell_word: AlignedBuf,
    bell_armed: bool,
    slots: Vec<Slot>,
    fixed: bool,
}

impl ReadRing {
    /// A ring for `reads_max` reads at once.
    ///
    /// # Errors
    /// Where `io_uring` is forbidden or memory is short; the caller reads without it then.
    pub(super) fn new(file: Arc<File>, doorbell: Arc<File>, reads_max: usize) -> io::Result<Self> {
        let count = reads_max.clamp(1, SLOTS_MAX);
        let entries = u32::try_from(count + 1).map_err(|_| io::ErrorKind::InvalidInput)?;
        let ring = IoUring::new(entries.next_power_of_two())?;
        let slots: Vec<Slot> = (0..count)
            .map(|_| Ok(Slot { registered: AlignedBuf::new(SLOT_BYTES)?, large: None, busy: false }))
            .collect::<io::Result<_>>()?;
        let vectors: Vec<libc::iovec> = slots
            .iter()
            .map(|s| libc::iovec { iov_base: s.registered.as_ptr().cast(), iov_len: SLOT_BYTES })
            .collect();
        // SAFETY: the buffers are owned by `slots`, which outlives the ring's registration: `slots`
        // is never changed in length, and `Drop` waits for all operations before it is freed.
        let fixed = unsafe { ring.submitter().register_buffers(&vectors) }.is_ok();
        let bell_word = AlignedBuf::new(8)?;
        Ok(Self { ring, file, doorbell, bell_word, bell_armed: false, slots, fixed })
    }

    /// Number of slots.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Queues a read of `bytes` bytes at `position` (both multiples of a page) into a free slot; it
    /// is handed to the kernel by the next [`ReadRing::wait`].
    ///
    /// # Errors
    /// When memory for a long read is short, or the slot is not free.
    pub(super) fn queue(&mut self, slot: usize, position: u64, bytes: usize) -> io::Result<()> {
        let target = self.slots.get_mut(slot).filter(|s| !s.busy).ok_or(io::ErrorKind::InvalidInput)?;
        target.large = if bytes > SLOT_BYTES { Some(AlignedBuf::new(bytes)?) } else { None };
        let buffer = target.large.as_ref().unwrap_or(&target.registered);
        let length = u32::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        let fd = types::Fd(self.file.as_raw_fd());
        let index = u16::try_from(slot).map_err(|_| io::ErrorKind::InvalidInput)?;
        let entry = if self.fixed && target.large.is_none() {
            opcode::ReadFixed::new(fd, buffer.as_ptr(), length, index).offset(position).build()
        } else {
            opcode::Read::new(fd, buffer.as_ptr(), length).offset(position).build()
        };
        let entry = entry.user_data(u64::from(index));
        // SAFETY: the buffer is at least `length` long, belongs to this slot, which is marked busy
        // and not touched until its completion, and outlives the operation (see `Drop`).
        unsafe { self.ring.submission().push(&entry) }.map_err(|_| io::ErrorKind::WouldBlock)?;
        target.busy = true;
        Ok(())
    }

    /// Hands queued reads to the kernel and waits until one finishes or the doorbell rings. Adds what
    /// finished to `finished`.
    ///
    /// # Errors
    /// When the kernel refuses the ring; the ring is of no further use then.
    pub(super) fn wait(&mut self, finished: &mut Vec<Finished>) -> io::Result<()> {
        self.arm_bell()?;
        loop {
            match self.ring.submit_and_wait(1) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        for completion in self.ring.completion() {
            if completion.user_data() == BELL {
                self.bell_armed = false;
            } else if let Ok(slot) = usize::try_from(completion.user_data())
                && let Some(target) = self.slots.get_mut(slot)
            {
                target.busy = false;
                finished.push(Finished { slot, result: completion.result() });
            }
        }
        Ok(())
    }

    /// What the last read of a slot brought; empty while the kernel may still write to it.
    pub(super) fn bytes(&self, slot: usize) -> &[u8] {
        match self.slots.get(slot) {
            Some(target) if !target.busy => target.large.as_ref().unwrap_or(&target.registered),
            _ => &[],
        }
    }

    fn arm_bell(&mut self) -> io::Result<()> {
        if self.bell_armed {
            return Ok(());
        }
        let fd = types::Fd(self.doorbell.as_raw_fd());
        let entry = opcode::Read::new(fd, self.bell_word.as_ptr(), 8).build().user_data(BELL);
        // SAFETY: `bell_word` is a page long, used by this operation only while it is armed, and
        // outlives it (see `Drop`).
        unsafe { self.ring.submission().push(&entry) }.map_err(|_| io::ErrorKind::WouldBlock)?;
        self.bell_armed = true;
        Ok(())
    }
}

impl Drop for ReadRing {
    /// Waits until the kernel has let go of every buffer.
    fn drop(&mut self) {
        while self.bell_armed || self.slots.iter().any(|s| s.busy) {
            let rung = (&*self.doorbell).write_all(&1u64.to_ne_bytes());
            let waited = self.ring.submit_and_wait(1);
            let interrupted = |e: &io::Error| e.kind() == io::ErrorKind::Interrupted;
            if rung.is_err() || waited.is_err_and(|e| !interrupted(&e)) {
                // The kernel may still write: leak the buffers rather than free them.
                std::mem::forget(std::mem::take(&mut self.slots));
                if let Ok(spare) = AlignedBuf::new(8) {
                    std::mem::forget(std::mem::replace(&mut self.bell_word, spare));
                }
                return;
            }
            for completion in self.ring.completion() {
                match usize::try_from(completion.user_data()).ok().and_then(|s| self.slots.get_mut(s)) {
                    Some(slot) => slot.busy = false,
                    None => self.bell_armed = false,
                }
            }
        }
    }
}
