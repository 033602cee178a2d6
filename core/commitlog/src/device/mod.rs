//! What the log needs of a disk.
//!
//! A [`Device`] is a flat directory of preallocated files. Durable writes are submitted and complete
//! later, in any order; everything else is synchronous, because it happens once in a segment. The log
//! thread sleeps in [`Device::wait`], for completions and for its [`Waker`] alike. A simulator
//! implements the same trait.

mod files;
mod plain;
mod uring;

use std::io;
use std::path::Path;

pub use plain::PlainDevice;
pub use uring::UringDevice;

use crate::api::{DeviceKind, DirectIo, Wait};
use crate::buffer::Buffer;
use crate::waker::Waker;

/// An open file of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(pub u32);

/// A write in flight; its owner gives the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(pub u64);

/// What is to be done asynchronously.
#[derive(Debug)]
pub enum Operation {
    /// Write the buffer at an offset, both multiples of the block size; complete when durable.
    WriteDurable {
        /// Where in the file.
        offset: u64,
        /// What.
        buffer: Buffer,
    },
    /// As `WriteDurable`, but complete when the kernel has it.
    Write {
        /// Where in the file.
        offset: u64,
        /// What.
        buffer: Buffer,
    },
    /// Make what was written before durable.
    Sync,
}

/// An operation that has ended.
#[derive(Debug)]
pub struct Done {
    /// Which.
    pub tag: Tag,
    /// How. A short write is an error.
    pub result: io::Result<()>,
}

/// Files of one directory and asynchronous durable writes to them. See the module's text.
pub trait Device: Send {
    /// Names of the files.
    ///
    /// # Errors
    /// The operating system's.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// Opens a file; with its length.
    ///
    /// # Errors
    /// The operating system's.
    fn open(&mut self, name: &str) -> io::Result<(FileId, u64)>;

    /// Makes a new file of `bytes` bytes whose space is allocated. Durable after [`Operation::Sync`]
    /// and a rename.
    ///
    /// # Errors
    /// The operating system's; no space above all.
    fn create(&mut self, name: &str, bytes: u64) -> io::Result<FileId>;

    /// Gives a file another name; durable on return, the file's contents not included.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Deletes a file by name; durable on return.
    ///
    /// # Errors
    /// The operating system's.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Closes an open file without operations in flight.
    fn close(&mut self, file: FileId);

    /// Fills `out` from `offset` on; offset and length are multiples of the block size.
    ///
    /// # Errors
    /// The operating system's; `UnexpectedEof` beyond the end.
    fn read(&mut self, file: FileId, offset: u64, out: &mut Buffer) -> io::Result<()>;

    /// A buffer of `bytes` bytes with unspecified contents, from the pool if one fits.
    fn buffer(&mut self, bytes: usize) -> Buffer;

    /// Starts an operation, or notes it down to be started by the next [`Device::wait`].
    ///
    /// # Errors
    /// The operating system's.
    fn submit(&mut self, tag: Tag, file: FileId, operation: Operation) -> io::Result<()>;

    /// Starts what was noted down, and sleeps at most for `wait` until something has ended or the
    /// waker was used. Appends what has ended to `done`. `true`: the waker was used.
    ///
    /// # Errors
    /// The operating system's, when the device as a whole cannot go on.
    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> io::Result<bool>;

    /// What ends a wait from other threads.
    fn waker(&self) -> Waker;

    /// What carries the writes, for reports: `io_uring, direct` and the like.
    fn describe(&self) -> String;
}

/// Opens the device of a directory, which is created if necessary.
///
/// # Errors
/// The operating system's. With [`DeviceKind::Auto`] a refused io_uring is none.
pub fn open(
    dir: &Path,
    kind: DeviceKind,
    direct: DirectIo,
    in_flight_max: usize,
) -> io::Result<Box<dyn Device>> {
    let files = files::Files::open(dir, direct)?;
    if kind == DeviceKind::Plain {
        return Ok(Box::new(PlainDevice::new(files)?));
    }
    match UringDevice::new(files, in_flight_max) {
        Ok(device) => Ok(Box::new(device)),
        Err((files, _)) if kind == DeviceKind::Auto => Ok(Box::new(PlainDevice::new(files)?)),
        Err((_, error)) => Err(error),
    }
}
