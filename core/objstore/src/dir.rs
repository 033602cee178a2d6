//! A directory as an object store: for tests, for a single machine, for a mounted file system.
//!
//! An object is a file whose path below the root is its key. A PUT writes a temporary file, makes it
//! durable, and gives it its name: by `rename` when it may replace, by `link` when it may not, which the
//! kernel does atomically among all processes. Then the directory is made durable.
//!
//! Temporary files are in `.aquifer-tmp` below the root. One that a crash left behind is removed by the
//! next opening that finds it more than an hour old. The file system must have hard links.
//!
//! Small reads run on the calling thread (the S3 lane): handing one to another thread costs more than a
//! read from the page cache. Everything that may wait for a device runs on tokio's blocking threads.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::error::{StoreError, StoreErrorKind, StoreResult};
use crate::retry::random_u64;
use crate::traits::{ObjectInfo, ObjectStore, Page, PutOutcome, StoreFuture};

/// What the process may do with a directory store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirAccess {
    /// It is created when absent, and opening it fails when it cannot be written.
    #[default]
    ReadWrite,
    /// Nothing is written by opening it.
    ReadOnly,
}

const TEMPORARY_DIR: &str = ".aquifer-tmp";

/// Age at which a temporary file counts as left behind.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// Larger reads go to a blocking thread.
const DIRECT_READ_BYTES_MAX: u64 = 256 << 10;

/// An object store in a directory.
#[derive(Clone, Debug)]
pub struct DirStore {
    root: Arc<Root>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// Makes the names of this process's temporary files different.
    temporaries: AtomicU64,
    process_tag: u64,
}

impl DirStore {
    /// Opens a directory.
    ///
    /// # Errors
    /// `Denied` or `Invalid`, with what to do about it, when the directory cannot be used.
    pub fn open(path: &Path, access: DirAccess) -> StoreResult<Self> {
        let root = Root { path: path.to_owned(), temporaries: AtomicU64::new(0), process_tag: random_u64() };
        if access == DirAccess::ReadWrite {
            root.prepare().map_err(|error| unusable(path, "written", &error))?;
        } else {
            fs::read_dir(path).map_err(|error| unusable(path, "read", &error))?;
        }
        Ok(Self { root: Arc::new(root) })
    }

    fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Root, &str) -> io::Result<T> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let (root, key) = (Arc::clone(&self.root), key.to_owned());
        Box::pin(async move {
            let done =
                tokio::task::spawn_blocking(move || work(&root, &key).map_err(|error| from_io(&error, &key)));
            done.await.map_err(|_| StoreError::unavailable("the file operation was given up"))?
        })
    }
}

impl ObjectStore for DirStore {
    fn location(&self) -> String {
        self.root.path.display().to_string()
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Bytes> {
        self.blocking(key, |root, key| Ok(Bytes::from(fs::read(root.file(key)?)?)))
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> StoreFuture<'a, Bytes> {
        if range.end - range.start > DIRECT_READ_BYTES_MAX {
            return self.blocking(key, move |root, key| root.read_range(key, range));
        }
        let bytes = self.root.read_range(key, range).map_err(|error| from_io(&error, key));
        Box::pin(std::future::ready(bytes))
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, ()> {
        self.blocking(key, move |root, key| root.replace(key, &bytes))
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, PutOutcome> {
        self.blocking(key, move |root, key| root.create(key, &bytes))
    }

    fn head<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<u64>> {
        let size = match self.root.file(key).and_then(fs::metadata) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(from_io(&error, key)),
        };
        Box::pin(std::future::ready(size))
    }

    fn delete<'a>(&'a self, key: &'a str) -> StoreFuture<'a, ()> {
        self.blocking(key, |root, key| match fs::remove_file(root.file(key)?) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        })
    }

    fn list_page<'a>(&'a self, prefix: &'a str, start_after: Option<&'a str>) -> StoreFuture<'a, Page> {
        let start_after = start_after.map(str::to_owned);
        self.blocking(prefix, move |root, prefix| root.list(prefix, start_after.as_deref()))
    }
}

impl Root {
    fn file(&self, key: &str) -> io::Result<PathBuf> {
        if key.split('/').next() == Some(TEMPORARY_DIR) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "a key reserved for temporary files"));
        }
        Ok(self.path.join(key))
    }

    fn temporary_dir(&self) -> PathBuf {
        self.path.join(TEMPORARY_DIR)
    }

    /// Creates what is missing, proves that it can be written, and removes what crashes left behind.
    fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(self.temporary_dir())?;
        let probe = self.write_temporary(b"writable")?;
        fs::remove_file(probe)?;
        for entry in fs::read_dir(self.temporary_dir())? {
            let entry = entry?;
            // Another process may remove it at the same time.
            let age = entry.metadata().and_then(|found| found.modified()).map(|at| at.elapsed());
            if age.is_ok_and(|age| age.is_ok_and(|age| age > LEFTOVER_AGE)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    fn write_temporary(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:016x}-{}-{number}", self.process_tag, std::process::id());
        let path = self.temporary_dir().join(name);
        let mut file = File::create_new(&path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        if let Err(error) = written {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(path)
    }

    fn read_range(&self, key: &str, range: Range<u64>) -> io::Result<Bytes> {
        let file = File::open(self.file(key)?)?;
        let wanted =
            usize::try_from(range.end - range.start).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
        let available = file.metadata()?.len().saturating_sub(range.start);
        let mut bytes = vec![0; wanted.min(usize::try_from(available).unwrap_or(usize::MAX))];
        if bytes.is_empty() {
            let message = format!("range starts at {} past the end of the object", range.start);
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(Bytes::from(bytes))
    }

    fn replace(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        let target = self.file(key)?;
        let temporary = self.write_temporary(bytes)?;
        let named = self.make_parents(&target).and_then(|()| fs::rename(&temporary, &target));
        if let Err(error) = named {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        sync_dir(parent(&target))
    }

    fn create(&self, key: &str, bytes: &[u8]) -> io::Result<PutOutcome> {
        let target = self.file(key)?;
        let temporary = self.write_temporary(bytes)?;
        let linked = self.make_parents(&target).and_then(|()| fs::hard_link(&temporary, &target));
        let _ = fs::remove_file(&temporary);
        let outcome = match linked {
            Ok(()) => PutOutcome::Created,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => PutOutcome::Exists,
            Err(error) => return Err(error),
        };
        // Also when it exists: who acts on that must find it again after a crash.
        sync_dir(parent(&target))?;
        Ok(outcome)
    }

    /// Creates the directories above `target`, durably.
    fn make_parents(&self, target: &Path) -> io::Result<()> {
        let dir = parent(target);
        if dir.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(dir)?;
        for made in dir.ancestors().skip(1).take_while(|above| above.starts_with(&self.path)) {
            sync_dir(made)?;
        }
        Ok(())
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> io::Result<Page> {
        let mut objects = Vec::new();
        let dir_key = prefix.rsplit_once('/').map_or("", |(dir, _)| dir);
        let mut dirs = vec![dir_key.to_owned()];
        while let Some(dir_key) = dirs.pop() {
            let entries = match fs::read_dir(self.path.join(&dir_key)) {
                Ok(entries) => entries,
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let Some(key) = child_key(&dir_key, &entry.file_name()) else { continue };
                if entry.file_type()?.is_dir() {
                    if key.starts_with(prefix) || prefix.starts_with(&key) {
                        dirs.push(key);
                    }
                } else if key.starts_with(prefix) && start_after.is_none_or(|after| key.as_str() > after) {
                    objects.extend(object_info(&entry, key)?);
                }
            }
        }
        objects.sort_by(|a: &ObjectInfo, b| a.key.cmp(&b.key));
        Ok(Page { objects, more: false })
    }
}

/// The key of a directory entry; `None` for what is no object of ours.
fn child_key(dir_key: &str, name: &OsStr) -> Option<String> {
    let name = name.to_str()?;
    if dir_key.is_empty() {
        return (name != TEMPORARY_DIR).then(|| name.to_owned());
    }
    Some(format!("{dir_key}/{name}"))
}

/// `None` when the object has gone meanwhile.
fn object_info(entry: &fs::DirEntry, key: String) -> io::Result<Option<ObjectInfo>> {
    match entry.metadata() {
        Ok(found) => {
            let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            Ok(Some(ObjectInfo { key, size: found.len(), modified }))
        }
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn from_io(error: &io::Error, key: &str) -> StoreError {
    let kind = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => return StoreError::not_found(key),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreErrorKind::Denied,
        ErrorKind::InvalidInput | ErrorKind::IsADirectory | ErrorKind::Unsupported => StoreErrorKind::Invalid,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, error.to_string()).with_object(key)
}

fn unusable(path: &Path, what: &str, error: &io::Error) -> StoreError {
    let message = format!(
        "the directory {} cannot be {what}: {error}; create it and give it to the user that runs Aquifer, \
         or name another store",
        path.display()
    );
    StoreError::new(StoreErrorKind::Denied, message)
}
