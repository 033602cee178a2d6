//! A device of plain system calls, for systems that forbid io_uring.
//!
//! Operations are noted down by `submit` and carried out by `wait`, in the caller's thread: writes
//! first, then one `fdatasync` a file, so that groups which were submitted together share it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use super::files::Files;
use super::{Device, Done, FileId, Operation, Tag};
use crate::api::Wait;
use crate::buffer::Buffer;
use crate::waker::Waker;

/// See the module's text.
#[derive(Debug)]
pub struct PlainDevice {
    files: Files,
    noted: VecDeque<(Tag, FileId, Operation)>,
    waker: Waker,
    spare: Option<Buffer>,
}

impl PlainDevice {
    pub(super) fn new(files: Files) -> io::Result<Self> {
        Ok(Self { files, noted: VecDeque::new(), waker: Waker::new()?, spare: None })
    }

    fn write(&mut self, file: FileId, offset: u64, buffer: Buffer) -> io::Result<()> {
        let result = self.files.get(file).and_then(|f| f.write_all_at(&buffer, offset));
        self.spare = Some(buffer);
        result
    }

    fn run_noted(&mut self, done: &mut Vec<Done>) {
        let mut to_sync: Vec<(Tag, FileId)> = Vec::new();
        while let Some((tag, file, operation)) = self.noted.pop_front() {
            let (result, durable) = match operation {
                Operation::Write { offset, buffer } => (self.write(file, offset, buffer), false),
                Operation::WriteDurable { offset, buffer } => (self.write(file, offset, buffer), true),
                Operation::Sync => (Ok(()), true),
            };
            if durable && result.is_ok() {
                to_sync.push((tag, file));
            } else {
                done.push(Done { tag, result });
            }
        }
        let mut synced: Option<FileId> = None;
        for (tag, file) in to_sync {
            let result = match synced {
                Some(last) if last == file => Ok(()),
                _ => self.files.get(file).and_then(std::fs::File::sync_data),
            };
            synced = result.is_ok().then_some(file);
            done.push(Done { tag, result });
        }
    }
}

impl Device for PlainDevice {
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
        self.files.close(file);
    }
    fn read(&mut self, file: FileId, offset: u64, out: &mut Buffer) -> io::Result<()> {
        self.files.read(file, offset, out)
    }
    fn buffer(&mut self, bytes: usize) -> Buffer {
        match self.spare.take() {
            Some(mut buffer) if buffer.capacity() >= bytes => {
                buffer.set_len(bytes);
                buffer
            }
            _ => Buffer::zeroed(bytes),
        }
    }
    fn submit(&mut self, tag: Tag, file: FileId, operation: Operation) -> io::Result<()> {
        self.noted.push_back((tag, file, operation));
        Ok(())
    }

    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> io::Result<bool> {
        if !self.noted.is_empty() {
            self.run_noted(done);
            return Ok(false);
        }
        let timeout_ms = match wait {
            Wait::No => return Ok(false),
            Wait::Forever => -1,
            Wait::Until(at) => {
                let left = at.saturating_duration_since(Instant::now());
                // Rounded up, so that the caller does not spin through the last millisecond.
                i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
            }
        };
        if !self.waker.prepare_sleep() {
            return Ok(true);
        }
        poll_readable(self.waker.fd(), timeout_ms)?;
        let woken = self.waker.finish_sleep();
        if woken {
            self.waker.drain();
        }
        Ok(woken)
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
    fn describe(&self) -> String {
        let cache = if self.files.is_direct() { "direct" } else { "page cache" };
        format!("pwrite and fdatasync, {cache}")
    }
}

/// Waits until a descriptor can be read, the timeout, or a signal.
fn poll_readable(fd: RawFd, timeout_ms: i32) -> io::Result<()> {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, on our stack, for the duration of the call.
    let ready = unsafe { libc::poll(&raw mut entry, 1, timeout_ms) };
    if ready >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}
