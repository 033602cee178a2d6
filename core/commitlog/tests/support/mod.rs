//! A disk in memory whose writes complete in any order and may be torn by a crash, under one seed.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use aquifer_commitlog::device::{Device, Done, FileId, Operation, Tag};
use aquifer_commitlog::{Buffer, Wait, Waker};

/// A small generator; the same seed gives the same run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub type Image = BTreeMap<String, Vec<u8>>;

#[derive(Debug)]
struct Pending {
    tag: Tag,
    name: String,
    operation: Operation,
}

/// What outlives a crash.
#[derive(Debug)]
pub struct Disk {
    pub files: Image,
    names: Vec<Option<String>>,
    pending: Vec<Pending>,
    random: Random,
}

/// A device on a [`Disk`] that the test also holds.
#[derive(Clone, Debug)]
pub struct SimDevice {
    pub disk: Arc<Mutex<Disk>>,
    waker: Waker,
}

impl SimDevice {
    pub fn new(files: Image, seed: u64) -> Self {
        let random = Random::new(seed);
        let disk = Disk { files, names: Vec::new(), pending: Vec::new(), random };
        Self { disk: Arc::new(Mutex::new(disk)), waker: Waker::new().expect("an eventfd") }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no test panics while it holds the disk")
    }

    /// The files after a crash: each write in flight has reached the medium wholly, in part, or not.
    pub fn crash(&self) -> Image {
        let disk = &mut *self.disk();
        let mut files = disk.files.clone();
        for pending in &disk.pending {
            let (Operation::Write { offset, buffer } | Operation::WriteDurable { offset, buffer }) =
                &pending.operation
            else {
                continue;
            };
            let Some(file) = files.get_mut(&pending.name) else { continue };
            let fate = disk.random.below(4);
            for (number, sector) in buffer.chunks(512).enumerate() {
                let reached = match fate {
                    0 => false,
                    1 => true,
                    2 => disk.random.below(2) == 0,
                    _ => number == 0,
                };
                if reached {
                    let at = usize::try_from(*offset).unwrap() + number * 512;
                    file[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
        files
    }
}

impl Disk {
    fn name(&self, file: FileId) -> String {
        self.names[file.0 as usize].clone().expect("the file is open")
    }

    fn open(&mut self, name: &str) -> FileId {
        self.names.push(Some(name.to_owned()));
        FileId(u32::try_from(self.names.len() - 1).unwrap())
    }

    fn complete(&mut self, at: usize) -> Done {
        let Pending { tag, name, operation } = self.pending.remove(at);
        if let Operation::Write { offset, buffer } | Operation::WriteDurable { offset, buffer } = operation {
            let at = usize::try_from(offset).unwrap();
            let file = self.files.get_mut(&name).expect("the file exists");
            file[at..at + buffer.len()].copy_from_slice(&buffer);
        }
        Done { tag, result: Ok(()) }
    }
}

impl Device for SimDevice {
    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.disk().files.keys().cloned().collect())
    }
    fn open(&mut self, name: &str) -> io::Result<(FileId, u64)> {
        let disk = &mut *self.disk();
        let bytes = disk.files.get(name).ok_or(io::ErrorKind::NotFound)?.len() as u64;
        Ok((disk.open(name), bytes))
    }
    fn create(&mut self, name: &str, bytes: u64) -> io::Result<FileId> {
        let disk = &mut *self.disk();
        disk.files.insert(name.to_owned(), vec![0; usize::try_from(bytes).unwrap()]);
        Ok(disk.open(name))
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let disk = &mut *self.disk();
        assert!(!disk.files.contains_key(to), "{to} would be overwritten");
        let content = disk.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.files.insert(to.to_owned(), content);
        let renamed = |name: &mut String| {
            if name == from {
                *name = to.to_owned();
            }
        };
        disk.names.iter_mut().flatten().for_each(renamed);
        disk.pending.iter_mut().map(|p| &mut p.name).for_each(renamed);
        Ok(())
    }
    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.disk().files.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    fn close(&mut self, file: FileId) {
        self.disk().names[file.0 as usize] = None;
    }
    fn read(&mut self, file: FileId, offset: u64, out: &mut Buffer) -> io::Result<()> {
        let disk = self.disk();
        let at = usize::try_from(offset).unwrap();
        let content = &disk.files[&disk.name(file)];
        let from = content.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    }
    fn buffer(&mut self, bytes: usize) -> Buffer {
        let mut buffer = Buffer::zeroed(bytes);
        buffer.fill(0xA5);
        buffer
    }
    fn submit(&mut self, tag: Tag, file: FileId, operation: Operation) -> io::Result<()> {
        let disk = &mut *self.disk();
        let name = disk.name(file);
        disk.pending.push(Pending { tag, name, operation });
        Ok(())
    }
    fn wait(&mut self, wait: Wait, done: &mut Vec<Done>) -> io::Result<bool> {
        let disk = &mut *self.disk();
        let idle = disk.pending.is_empty() && matches!(wait, Wait::Forever);
        assert!(!idle, "the log sleeps although nothing can wake it");
        let some = disk.random.below(disk.pending.len() as u64 + 1);
        let count = if matches!(wait, Wait::No) { some } else { some.max(1) };
        for _ in 0..count.min(disk.pending.len() as u64) {
            let at = usize::try_from(disk.random.below(disk.pending.len() as u64)).unwrap();
            let one = disk.complete(at);
            done.push(one);
        }
        Ok(false)
    }
    fn waker(&self) -> Waker {
        self.waker.clone()
    }
    fn describe(&self) -> String {
        "simulated".to_owned()
    }
}
