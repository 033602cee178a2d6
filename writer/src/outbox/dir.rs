//! The outbox directory: files of tables and edits, each durable before anything relies on it.
//!
//! `core/docs/formats/outbox.md` has names and layout. Nothing here is the only copy of anything, so what does
//! not verify is dropped.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aquifer_format::{ManifestEdit, OutboxEdit};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_types::SstId;
use bytes::Bytes;

/// See the module.
#[derive(Debug)]
pub struct OutboxDir {
    dir: PathBuf,
    log_id: u128,
    next: AtomicU64,
    bytes: AtomicU64,
    /// Checksum and length of each table that is here.
    tables: Mutex<HashMap<SstId, (u32, u64)>>,
}

/// An edit that was found at a start.
#[derive(Clone, Debug)]
pub struct FoundEdit {
    /// Its number, by which it is removed.
    pub number: u64,
    /// The edit.
    pub edit: ManifestEdit,
    /// Tables whose files are here.
    pub tables: Vec<SstId>,
}

impl OutboxDir {
    /// Opens or creates the directory for the commit log with `log_id`. Returns the edits of that log that
    /// verify, in order, and how many were found that do not.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be read or written.
    pub fn open(dir: &Path, log_id: u128) -> NodeResult<(Self, Vec<FoundEdit>, usize)> {
        fs::create_dir_all(dir).map_err(|error| NodeError::io("create", dir, &error))?;
        let this = Self {
            dir: dir.to_owned(),
            log_id,
            next: AtomicU64::new(1),
            bytes: AtomicU64::new(0),
            tables: Mutex::default(),
        };
        let mut numbers: Vec<u64> = this.names()?.iter().filter_map(|name| edit_number(name)).collect();
        numbers.sort_unstable();
        let (mut found, mut last) = (Vec::new(), 0);
        for number in &numbers {
            let Some(edit) = this.read_edit(*number).filter(|edit| edit.edit.checkpoint_lsn > Some(last))
            else {
                break;
            };
            last = edit.edit.checkpoint_lsn.unwrap_or(last);
            found.push(edit);
        }
        let dropped = numbers.len() - found.len();
        this.next.store(numbers.last().map_or(1, |last| last + 1), Ordering::Release);
        this.remove_strangers(&found)?;
        Ok((this, found, dropped))
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<SstId, (u32, u64)>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> NodeResult<Vec<String>> {
        let failed = |error: io::Error| NodeError::io("read the directory", &self.dir, &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    /// `None`: damaged, of another log, or without its tables.
    fn read_edit(&self, number: u64) -> Option<FoundEdit> {
        let name = edit_name(number);
        let bytes = fs::read(self.dir.join(&name)).ok()?;
        let found = OutboxEdit::decode(Bytes::from(bytes), &name).ok()?;
        if found.log_id != self.log_id || found.number != number {
            return None;
        }
        let mut here = Vec::new();
        for (meta, checksum) in found.edit.added.iter().zip(&found.files) {
            let Some(checksum) = *checksum else { continue };
            let table = fs::read(self.table_path(meta.sst_id())).ok()?;
            let bytes = table.len() as u64;
            if bytes != meta.object_bytes || crc32c::crc32c(&table) != checksum {
                return None;
            }
            here.push((meta.sst_id(), (checksum, bytes)));
        }
        self.bytes.fetch_add(here.iter().map(|(_, (_, bytes))| bytes).sum(), Ordering::Relaxed);
        let tables = here.iter().map(|(id, _)| *id).collect();
        self.tables().extend(here);
        Some(FoundEdit { number, edit: found.edit, tables })
    }

    /// Removes what belongs to none of the found edits.
    fn remove_strangers(&self, found: &[FoundEdit]) -> NodeResult<()> {
        for name in self.names()? {
            let known = match (edit_number(&name), table_id(&name)) {
                (Some(number), _) => found.iter().any(|edit| edit.number == number),
                (_, Some(id)) => found.iter().any(|edit| edit.tables.contains(&id)),
                // Other names are not ours, unfinished files apart.
                _ => !name.ends_with(".tmp"),
            };
            if !known {
                self.remove_file(&name)?;
            }
        }
        Ok(())
    }

    /// Where a table's file is.
    #[must_use]
    pub fn table_path(&self, id: SstId) -> PathBuf {
        self.dir.join(format!("{:032x}.sst", id.0))
    }

    /// Bytes of the tables that wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether a table waits here.
    #[must_use]
    pub fn has(&self, id: SstId) -> bool {
        self.tables().contains_key(&id)
    }

    /// Keeps a table; durable on return.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written.
    pub fn add_table(&self, id: SstId, object: &[u8]) -> NodeResult<()> {
        self.write(&format!("{:032x}.sst", id.0), object)?;
        let bytes = object.len() as u64;
        self.tables().insert(id, (crc32c::crc32c(object), bytes));
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The bytes of a table that waits, verified.
    ///
    /// # Errors
    /// `Corrupt` when they are not what was written, `Unavailable`.
    pub fn read_table(&self, id: SstId) -> NodeResult<Bytes> {
        let path = self.table_path(id);
        let object = fs::read(&path).map_err(|error| NodeError::io("read", &path, &error))?;
        let known = self.tables().get(&id).copied();
        if known.is_some_and(|known| known != (crc32c::crc32c(&object), object.len() as u64)) {
            return Err(NodeError::corrupt(format!(
                "{} is damaged: stop the writer, remove the directory and start it again; nothing is lost",
                path.display()
            )));
        }
        Ok(Bytes::from(object))
    }

    /// Keeps an edit, whose tables are here or in the store; durable on return. Returns its number.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written.
    pub fn add_edit(&self, edit: &ManifestEdit) -> NodeResult<u64> {
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        let files = {
            let tables = self.tables();
            edit.added.iter().map(|meta| tables.get(&meta.sst_id()).map(|(crc, _)| *crc)).collect()
        };
        let record = OutboxEdit { log_id: self.log_id, number, files, edit: edit.clone() };
        self.write(&edit_name(number), &record.encode())?;
        Ok(number)
    }

    /// Removes an edit that is in the chain; its tables are removed by [`OutboxDir::remove_table`] after it.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be removed.
    pub fn remove_edit(&self, number: u64) -> NodeResult<()> {
        self.remove_file(&edit_name(number))
    }

    /// Removes a table that is in the store, or that nothing needs any more.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be removed.
    pub fn remove_table(&self, id: SstId) -> NodeResult<()> {
        let Some((_, bytes)) = self.tables().remove(&id) else { return Ok(()) };
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.remove_file(&format!("{:032x}.sst", id.0))
    }

    fn write(&self, name: &str, content: &[u8]) -> NodeResult<()> {
        let (path, unfinished) = (self.dir.join(name), self.dir.join(format!("{name}.tmp")));
        let written = (|| {
            let mut file = File::create(&unfinished)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&self.dir)?.sync_all()
        })();
        written.map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            NodeError::io("write", &path, &error)
        })
    }

    fn remove_file(&self, name: &str) -> NodeResult<()> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(NodeError::io("remove", &path, &error))
            }
            _ => Ok(()),
        }
    }
}

fn edit_name(number: u64) -> String {
    format!("{number:020}.edit")
}

fn edit_number(name: &str) -> Option<u64> {
    name.strip_suffix(".edit").filter(|digits| digits.len() == 20)?.parse().ok()
}

fn table_id(name: &str) -> Option<SstId> {
    let digits = name.strip_suffix(".sst").filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(SstId)
}
