//! Where statements put what does not fit into their memory: files that the node makes (ADR 0173).

use std::future::Future;
use std::pin::Pin;

use aquifer_types::SqlResult;

/// What is counted for `SHOW STATUS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpillEvent {
    /// An operator other than a sort went on in files.
    Operator,
    /// A pass over sorted runs.
    MergePass,
}

/// Makes temporary files. They need no name and are gone when they are dropped, or with the process.
pub trait TemporarySpace: Send + Sync {
    /// A new empty file.
    ///
    /// # Errors
    /// 1004, and 1021 when there is no room.
    fn create(&self) -> SqlResult<Box<dyn TemporaryFile>>;

    /// Counts.
    fn count(&self, event: SpillEvent);
}

/// A temporary file. Its methods may block.
pub trait TemporaryFile: Send + Sync {
    /// Writes bytes from an offset on.
    ///
    /// # Errors
    /// 1021 when there is no room, 1026 otherwise.
    fn write_at(&self, bytes: &[u8], offset: u64) -> SqlResult<()>;

    /// Fills a buffer from an offset on, all of which has been written.
    ///
    /// # Errors
    /// 1024.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> SqlResult<()>;
}

/// Does work that may block on another thread.
pub trait Offload {
    /// Ends when the work has been done.
    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}
