//! Objects that wait on a local disk until they can be PUT, and are read from there meanwhile.
//!
//! Who writes these files and sends them off decides what they mean (a writer's outbox); here they are only
//! found by their key. A file that cannot be read is treated as absent: the store is asked then.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

/// Larger reads go to a blocking thread.
const DIRECT_READ_BYTES_MAX: u64 = 256 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct WaitingObjects {
    files: RwLock<HashMap<String, PathBuf>>,
    /// Length of `files`, so that nobody takes the lock while nothing waits.
    count: AtomicUsize,
}

impl WaitingObjects {
    /// From now on `key` is read from `path`.
    pub fn insert(&self, key: &str, path: PathBuf) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(key.to_owned(), path);
        self.count.store(files.len(), Ordering::Release);
    }

    /// From now on `key` is read from the store.
    pub fn remove(&self, key: &str) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.remove(key);
        self.count.store(files.len(), Ordering::Release);
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        if self.is_empty() {
            return None;
        }
        self.files.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Bytes of an object that waits: all, or a range, fewer where it ends first. Runs on the lane.
    pub(crate) async fn read(&self, key: &str, range: Option<Range<u64>>) -> Option<Bytes> {
        let path = self.path(key)?;
        let is_small = range.as_ref().is_some_and(|range| range.end - range.start <= DIRECT_READ_BYTES_MAX);
        if is_small {
            return read_file(&path, range).ok();
        }
        tokio::task::spawn_blocking(move || read_file(&path, range).ok()).await.ok()?
    }
}

fn read_file(path: &Path, range: Option<Range<u64>>) -> io::Result<Bytes> {
    let Some(range) = range else { return fs::read(path).map(Bytes::from) };
    let file = File::open(path)?;
    let end = range.end.min(file.metadata()?.len());
    let length = usize::try_from(end.saturating_sub(range.start)).map_err(io::Error::other)?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(Bytes::from(bytes))
}
