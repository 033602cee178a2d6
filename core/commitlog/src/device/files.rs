//! The synchronous half that the real devices share: a directory and its open files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::FileId;
use crate::api::DirectIo;
use crate::buffer::Buffer;

/// A directory and the files that are open in it.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    handle: File,
    direct: bool,
    open: Vec<Option<File>>,
    /// Held for as long as the log is open.
    _lock: File,
}

impl Files {
    /// Creates the directory if necessary and locks it.
    pub fn open(dir: &Path, direct: DirectIo) -> io::Result<Self> {
        if !dir.exists() {
            fs::create_dir_all(dir)?;
            if let Some(parent) = dir.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        let handle = File::open(dir)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "the log directory is in use by another process")
            }
            fs::TryLockError::Error(error) => error,
        })?;
        let mut files = Self { dir: dir.to_owned(), handle, direct: false, open: Vec::new(), _lock: lock };
        files.direct = direct == DirectIo::Auto && files.can_direct();
        Ok(files)
    }

    /// Some file systems refuse `O_DIRECT` at open, some only at the first write: try both.
    fn can_direct(&self) -> bool {
        let path = self.dir.join("direct.probe");
        let probe = || -> io::Result<()> {
            let file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .custom_flags(libc::O_DIRECT)
                .open(&path)?;
            file.write_all_at(&Buffer::zeroed(4096), 0)
        };
        let possible = probe().is_ok();
        // Left over at worst; the next opening tries again.
        let _ = fs::remove_file(&path);
        possible
    }

    pub fn is_direct(&self) -> bool {
        self.direct
    }

    pub fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if self.direct {
            options.custom_flags(libc::O_DIRECT);
        }
        options
    }

    pub fn open_file(&mut self, name: &str) -> io::Result<(FileId, u64)> {
        let file = self.options().open(self.dir.join(name))?;
        let bytes = file.metadata()?.len();
        Ok((self.keep(file), bytes))
    }

    pub fn create(&mut self, name: &str, bytes: u64) -> io::Result<FileId> {
        let file = self.options().create(true).truncate(true).open(self.dir.join(name))?;
        allocate(&file, bytes)?;
        Ok(self.keep(file))
    }

    fn keep(&mut self, file: File) -> FileId {
        let free = self.open.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        self.open[slot] = Some(file);
        FileId(u32::try_from(slot).expect("there are far fewer files than that"))
    }

    pub fn get(&self, id: FileId) -> io::Result<&File> {
        let slot = usize::try_from(id.0).ok().and_then(|slot| self.open.get(slot));
        slot.and_then(Option::as_ref).ok_or_else(|| io::Error::other("the file is not open"))
    }

    pub fn close(&mut self, id: FileId) {
        if let Some(slot) = usize::try_from(id.0).ok().and_then(|slot| self.open.get_mut(slot)) {
            *slot = None;
        }
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))?;
        self.handle.sync_all()
    }

    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))?;
        self.handle.sync_all()
    }

    pub fn read(&self, id: FileId, offset: u64, out: &mut Buffer) -> io::Result<()> {
        self.get(id)?.read_exact_at(out, offset)
    }
}

/// Reserves space and sets the length.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open for the duration of the call; no pointers are passed.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // The file system cannot reserve: the zeros that follow do.
        Some(libc::EOPNOTSUPP) => file.set_len(bytes),
        _ => Err(error),
    }
}
