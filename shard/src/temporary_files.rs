//! Files that statements spill to, in `temporary/` of the local directory (ADR 0173).
//!
//! They have no names: whatever ends the statement or the process ends them. A part of the disk is left to the
//! commit log.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aquifer_sql::temporary_space::{SpillEvent, TemporaryFile, TemporarySpace};
use aquifer_types::{ErrorKind, SqlError, SqlResult};

use crate::event;
use crate::sizes::disk_bytes;

/// Bytes of the disk that statements leave to others; on a small disk an eighth of it.
const RESERVE_BYTES: u64 = 1 << 30;

/// The directory, and what was done there since the start.
pub struct TemporaryFiles {
    shared: Arc<Shared>,
    operators: AtomicU64,
    merge_passes: AtomicU64,
}

struct Shared {
    directory: PathBuf,
    files: AtomicU64,
    /// Bytes that open files hold.
    bytes: AtomicU64,
}

struct OpenFile {
    file: File,
    length: AtomicU64,
    shared: Arc<Shared>,
}

impl fmt::Debug for TemporaryFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporaryFiles").field("directory", &self.shared.directory).finish_non_exhaustive()
    }
}

/// Where they are.
pub(crate) fn directory(local: &Path) -> PathBuf {
    local.join("temporary")
}

impl TemporaryFiles {
    /// Makes the directory unless it exists. When files cannot be made there, nothing spills, which is told once.
    #[must_use]
    pub fn open(local: &Path) -> Option<Arc<Self>> {
        let directory = directory(local);
        match clear(&directory).and_then(|()| nameless(&directory, 0)) {
            Ok(_) => {
                let shared = Shared { directory, files: AtomicU64::new(0), bytes: AtomicU64::new(0) };
                Some(Arc::new(Self {
                    shared: Arc::new(shared),
                    operators: AtomicU64::new(0),
                    merge_passes: AtomicU64::new(0),
                }))
            }
            Err(error) => {
                event::warn(&format!(
                    "statements cannot use temporary files in {} and fail when they need them: {error}",
                    directory.display()
                ));
                None
            }
        }
    }

    /// Counters for SHOW STATUS.
    #[must_use]
    pub fn status(&self) -> Vec<(String, String)> {
        let row =
            |name: &str, counter: &AtomicU64| (name.to_owned(), counter.load(Ordering::Relaxed).to_string());
        vec![
            row("Created_tmp_disk_tables", &self.operators),
            row("Created_tmp_files", &self.shared.files),
            row("Sort_merge_passes", &self.merge_passes),
            row("Aquifer_spill_disk_bytes", &self.shared.bytes),
        ]
    }
}

/// Makes the directory, and removes what a process left there that died between making a file and removing its name.
fn clear(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A new file without a name. Where the file system cannot make such a one, it loses its name at once.
fn nameless(directory: &Path, number: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let made = options.clone().custom_flags(libc::O_TMPFILE | libc::O_EXCL).open(directory);
    let unsupported = [libc::EOPNOTSUPP, libc::EISDIR, libc::ENOENT];
    match made {
        Err(error) if error.raw_os_error().is_some_and(|code| unsupported.contains(&code)) => {
            let path = directory.join(format!("{}-{number}", std::process::id()));
            let file = options.create_new(true).open(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        }
        made => made,
    }
}

impl TemporarySpace for TemporaryFiles {
    fn create(&self) -> SqlResult<Box<dyn TemporaryFile>> {
        let number = self.shared.files.fetch_add(1, Ordering::Relaxed);
        match nameless(&self.shared.directory, number) {
            Ok(file) => {
                Ok(Box::new(OpenFile { file, length: AtomicU64::new(0), shared: Arc::clone(&self.shared) }))
            }
            Err(error) => Err(self.shared.error(1004, "Can't create file in", &error)),
        }
    }

    fn count(&self, event: SpillEvent) {
        let counter = match event {
            SpillEvent::Operator => &self.operators,
            SpillEvent::MergePass => &self.merge_passes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn error(&self, code: u16, what: &str, error: &io::Error) -> SqlError {
        let number = error.raw_os_error().unwrap_or(0);
        if [libc::ENOSPC, libc::EDQUOT].contains(&number) {
            return self.full();
        }
        let text = format!("{what} '{}' (errno: {number} - {error})", self.directory.display());
        event::warn(&format!("temporary files of a statement: {text}"));
        SqlError::with_kind(code, ErrorKind::Unavailable, text)
    }

    fn full(&self) -> SqlError {
        let text = format!(
            "Disk full ({}: temporary files of statements); free space there, let the statement sort or join fewer rows, \
             or raise aquifer_spill_memory",
            self.directory.display()
        );
        SqlError::new(1021, text)
    }

    /// Whether bytes may be written without touching what is left to others.
    fn has_room(&self, bytes: u64) -> bool {
        let room = |disk: crate::sizes::DiskBytes| {
            disk.free >= bytes.saturating_add(RESERVE_BYTES.min(disk.all / 8))
        };
        disk_bytes(&self.directory).is_none_or(room)
    }
}

impl TemporaryFile for OpenFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> SqlResult<()> {
        let length = bytes.len() as u64;
        if !self.shared.has_room(length) {
            return Err(self.shared.full());
        }
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|error| self.shared.error(1026, "Error writing a file in", &error))?;
        let before = self.length.fetch_max(offset + length, Ordering::Relaxed);
        self.shared.bytes.fetch_add((offset + length).saturating_sub(before), Ordering::Relaxed);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> SqlResult<()> {
        let read = self.file.read_exact_at(buffer, offset);
        read.map_err(|error| self.shared.error(1024, "Error reading a file in", &error))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.shared.bytes.fetch_sub(self.length.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "temporary_files_test.rs"]
mod temporary_files_test;
