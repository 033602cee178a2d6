//! A device on io_uring: durable writes (`RWF_DSYNC`) from registered buffers to registered files,
//! several in flight, and the waker's eventfd in the same ring, so that one `io_uring_enter` a loop
//! submits, waits and is woken.
//!
//! Unsafe lives here: the kernel reads buffers until it reports their completion. Each buffer in flight
//! is owned by `in_flight` and leaves it only when its completion has been seen; `drop` waits for the
//! rest.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Instant;

use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};

use super::files::Files;
use super::{Device, Done, FileId, Operation, Tag};
use crate::api::Wait;
use crate::buffer::Buffer;
use crate::waker::Waker;

/// Bytes of a registered buffer; larger frames are written from unregistered memory.
const REGISTERED_BYTES: usize = 128 << 10;
/// Files that the kernel knows by number.
const REGISTERED_FILES: u32 = 8;
/// Completion of the read of the waker's eventfd.
const WAKER_TAG: u64 = u64::MAX;

/// See the module's text.
pub struct UringDevice {
    ring: IoUring,
    files: Files,
    slots: Vec<Option<FileId>>,
    free_buffers: Vec<Buffer>,
    in_flight: HashMap<u64, Option<Buffer>>,
    waker: Waker,
    /// Where the kernel puts the eventfd's counter; boxed so that it never moves.
    waker_counter: Box<u64>,
    waker_armed: bool,
}

impl UringDevice {
    /// Sets the ring up.
    ///
    /// # Errors
    /// The files back and the reason: io_uring is forbidden or too old.
    pub(super) fn new(files: Files, in_flight_max: usize) -> Result<Self, (Files, io::Error)> {
        match Self::set_up(in_flight_max) {
            Ok((ring, waker, free_buffers, slots)) => Ok(Self {
                ring,
                files,
                slots,
                free_buffers,
                in_flight: HashMap::new(),
                waker,
                waker_counter: Box::new(0),
                waker_armed: false,
            }),
            Err(error) => Err((files, error)),
        }
    }

    #[allow(clippy::type_complexity, reason = "taken apart at once by the only caller")]
    fn set_up(in_flight_max: usize) -> io::Result<(IoUring, Waker, Vec<Buffer>, Vec<Option<FileId>>)> {
        let entries = u32::try_from(in_flight_max + 8).map_err(io::Error::other)?;
        let ring = IoUring::builder().build(entries.next_power_of_two())?;
        if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
            return Err(io::Error::other("this kernel's io_uring is too old"));
        }
        let mut buffers: Vec<Buffer> =
            (0..=in_flight_max).map(|_| Buffer::zeroed(REGISTERED_BYTES)).collect();
        let vectors: Vec<libc::iovec> = buffers
            .iter_mut()
            .map(|b| libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: b.capacity() })
            .collect();
        // Without them (locked-memory limit) everything works, a little slower.
        // SAFETY: the buffers live in the device, which outlives the ring's use of them: the ring is
        // closed in the same drop, after everything in flight has completed.
        if unsafe { ring.submitter().register_buffers(&vectors) }.is_ok() {
            for (number, buffer) in (0_u16..).zip(&mut buffers) {
                buffer.registered = Some(number);
            }
        }
        let registered = ring.submitter().register_files_sparse(REGISTERED_FILES).is_ok();
        let slots = if registered { vec![None; REGISTERED_FILES as usize] } else { Vec::new() };
        Ok((ring, Waker::new()?, buffers, slots))
    }

    /// The number under which the kernel knows a file, if it does or has room.
    fn slot(&mut self, file: FileId) -> io::Result<Option<u32>> {
        let known = self.slots.iter().position(|s| *s == Some(file));
        let Some(slot) = known.or_else(|| self.slots.iter().position(Option::is_none)) else {
            return Ok(None);
        };
        let number = u32::try_from(slot).map_err(io::Error::other)?;
        if known.is_none() {
            let fd = self.files.get(file)?.as_raw_fd();
            self.ring.submitter().register_files_update(number, &[fd])?;
            self.slots[slot] = Some(file);
        }
        Ok(Some(number))
    }

    fn entry(&mut self, tag: Tag, file: FileId, operation: Operation) -> io::Result<squeue::Entry> {
        let slot = self.slot(file)?;
        let fd = Fd(self.files.get(file)?.as_raw_fd());
        let (offset, buffer, flags) = match operation {
            Operation::Sync => {
                self.in_flight.insert(tag.0, None);
                let datasync = io_uring::types::FsyncFlags::DATASYNC;
                return Ok(match slot {
                    Some(number) => opcode::Fsync::new(Fixed(number)).flags(datasync).build(),
                    None => opcode::Fsync::new(fd).flags(datasync).build(),
                });
            }
            Operation::Write { offset, buffer } => (offset, buffer, 0),
            Operation::WriteDurable { offset, buffer } => (offset, buffer, libc::RWF_DSYNC),
        };
        let length = u32::try_from(buffer.len()).map_err(io::Error::other)?;
        let pointer = buffer.as_ptr();
        let registered = buffer.registered;
        self.in_flight.insert(tag.0, Some(buffer));
        Ok(match (slot, registered) {
            (Some(number), Some(index)) => opcode::WriteFixed::new(Fixed(number), pointer, length, index)
                .offset(offset)
                .rw_flags(flags)
                .build(),
            (None, Some(index)) => {
                opcode::WriteFixed::new(fd, pointer, length, index).offset(offset).rw_flags(flags).build()
            }
            (Some(number), None) => {
                opcode::Write::new(Fixed(number), pointer, length).offset(offset).rw_flags(flags).build()
            }
            (None, None) => opcode::Write::new(fd, pointer, length).offset(offset).rw_flags(flags).build(),
        })
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: what the entry points to is owned by `in_flight` or is `waker_counter`, and
            // stays where it is until the completion has been seen.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.ring.submit()?;
        }
    }

    /// Takes completions without a system call. `true`: the waker's was among them.
    fn reap(&mut self, done: &mut Vec<Done>) -> bool {
        let mut woken = false;
        for completion in self.ring.completion() {
            if completion.user_data() == WAKER_TAG {
                self.waker_armed = false;
                woken = true;
                continue;
            }
            let Some(buffer) = self.in_flight.remove(&completion.user_data()) else { continue };
            let result = outcome(completion.result(), buffer.as_deref().map_or(0, <[u8]>::len));
            if let Some(buffer) = buffer.filter(|b| b.registered.is_some()) {
                self.free_buffers.push(buffer);
            }
            done.push(Done { tag: Tag(completion.user_data()), result });
        }
        woken
    }

    fn submit_noted(&mut self) -> io::Result<()> {
        if self.ring.submission().is_empty() {
            return Ok(());
        }
        ignore_interruption(self.ring.submit().map(drop))
    }

    fn arm_waker(&mut self) -> io::Result<()> {
        if self.waker_armed {
            return Ok(());
        }
        let target: *mut u64 = &raw mut *self.waker_counter;
        let entry = opcode::Read::new(Fd(self.waker.fd()), target.cast(), 8).build().user_data(WAKER_TAG);
        self.push(&entry)?;
        self.waker_armed = true;
        Ok(())
    }

    fn sleep(&mut self, wait: Wait) -> io::Result<()> {
        let entered = match wait {
            Wait::No => self.ring.submit().map(drop),
            Wait::Forever => self.ring.submit_and_wait(1).map(drop),
            Wait::Until(at) => {
                let timeout = Timespec::from(at.saturating_duration_since(Instant::now()));
                let args = SubmitArgs::new().timespec(&timeout);
                self.ring.submitter().submit_with_args(1, &args).map(drop)
            }
        };
        ignore_interruption(entered)
    }
}

/// A time-out, a signal, or a full completion queue: the caller looks at what has completed and comes
/// again.
fn ignore_interruption(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY)
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn outcome(result: i32, expected: usize) -> io::Result<()> {
    match usize::try_from(result) {
        Ok(bytes) if bytes == expected => Ok(()),
        Ok(bytes) => {
            Err(io::Error::new(io::ErrorKind::WriteZero, format!("{bytes} of {expected} bytes were written")))
        }
        Err(_) => Err(io::Error::from_raw_os_error(-result)),
    }
}

impl Device for UringDevice {
    fn list(&mut self) -> io::Result<Vec<String>> {
        self.files.list()
    }
    fn open(&mut self, name: &str) -> io::Result<(FileId, u64)> {
        self.files.open_file(name)
    }
    fn create(&mut self, name: &str, bytes: u64) -> io::Result<FileId> {
        self.files.create(name, bytes)
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.files.remove(name)
    }

    fn close(&mut self, file: FileId) {
        if let Some(slot) = self.slots.iter().position(|s| *s == Some(file)) {
            if let Ok(number) = u32::try_from(slot) {
                // Should it fail, the slot is taken over by the next file all the same.
                let _ = self.ring.submitter().register_files_update(number, &[-1]);
            }
            self.slots[slot] = None;
        }
        self.files.close(file);
    }

    fn read(&mut self, file: FileId, offset: u64, out: &mut Buffer) -> io::Result<()> {
        self.files.read(file, offset, out)
    }

    fn buffer(&mut self, bytes: usize) -> Buffer {
        if bytes <= REGISTERED_BYTES
            && let Some(mut buffer) = self.free_buffers.pop()
        {
            buffer.set_len(bytes);
            return buffer;
        }
        Buffer::zeroed(bytes)
    }

    fn submit(&mut self, tag: Tag, file: FileId, operation: Operation) -> io::Result<()> {
        let entry = self.entry(tag, file, operation)?.user_data(tag.0);
        self.push(&entry)
    }

    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> io::Result<bool> {
        self.reap(done);
        if !done.is_empty() || matches!(wait, Wait::No) {
            self.submit_noted()?;
            self.reap(done);
            return Ok(false);
        }
        if !self.waker.prepare_sleep() {
            self.submit_noted()?;
            return Ok(true);
        }
        let slept = self.arm_waker().and_then(|()| self.sleep(wait));
        let woken = self.waker.finish_sleep();
        slept?;
        self.reap(done);
        Ok(woken)
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn describe(&self) -> String {
        let cache = if self.files.is_direct() { "direct" } else { "page cache" };
        format!("io_uring, {cache}")
    }
}

impl Drop for UringDevice {
    fn drop(&mut self) {
        // The kernel must not read freed memory: wait for it. The eventfd's read ends by a wake-up.
        self.waker.signal();
        let mut done = Vec::new();
        while !self.in_flight.is_empty() || self.waker_armed {
            if self.ring.submit_and_wait(1).is_err() {
                // Leak what the kernel may still use.
                std::mem::forget(std::mem::take(&mut self.in_flight));
                std::mem::forget(std::mem::take(&mut self.waker_counter));
                break;
            }
            self.reap(&mut done);
        }
    }
}

impl std::fmt::Debug for UringDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UringDevice").field("in_flight", &self.in_flight.len()).finish_non_exhaustive()
    }
}
