//! Stored blocks on the local disk: one preallocated file that survives restarts.
//!
//! Layout on disk: `core/docs/formats/disk_cache.md` (module [`layout`]). Two threads of its own serve
//! it: one reads (`io_uring`, [`reads`]), one writes ([`writer`]). Executors read on their own rings
//! ([`own`]); everybody else only asks.
//!
//! Invariants:
//!
//! 1. The file never grows: it is preallocated, and the oldest segment is reused.
//! 2. Bytes are handed out only after their CRC32C has been compared with the index's.
//! 3. What is damaged is forgotten and reported as a miss, so that the caller fetches it from the
//!    store again and offers it anew.
//! 4. A device error turns the tier off, with one warning; it never reaches a statement.
//! 5. Opening never fails and never waits for a scan: recovery runs behind, look-ups miss until then.
//!
//! Nothing is ever `fsync`ed: what a crash tears fails its checksum.
//!
//! Deliberately not here: deciding what is worth keeping beyond "first in, first out, and once more if
//! it was read".

mod index;
mod layout;
pub mod own;
mod reads;
mod ring;
pub mod survey;
mod sys;
mod writer;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use bytes::Bytes;

use crate::block::BlockKey;
use crate::config::{DiskCacheConfig, WarnHook};
use crate::counters::{DiskCounters, bump, read};
use index::{Index, Location};
pub use layout::PAGE_BYTES;
use layout::{Geometry, PAGE};
use reads::{ReadFault, ReadQueue};
use sys::AlignedBuf;
use writer::{Order, Record, Writer};

/// Blocks that may wait to be written; their bytes have a limit of their own.
const OFFERS_MAX: usize = 4096;
/// With fewer segments, reuse would forget too much at once.
const SEGMENTS_MIN: u32 = 2;

/// Whether the tier works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskState {
    /// It does.
    On,
    /// It was turned off for this reason; every look-up misses.
    Off(String),
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    writes: AtomicU64,
    write_bytes: AtomicU64,
    offers_dropped: AtomicU64,
    evictions: AtomicU64,
    corrupt: AtomicU64,
    io_errors: AtomicU64,
    recovered: AtomicU64,
}

/// What the caller's side and the writer share.
struct Shared {
    file: Arc<File>,
    geometry: Geometry,
    index: Index,
    counts: Counts,
    gate: Arc<Gate>,
    queued_bytes: AtomicUsize,
    stop: AtomicBool,
}

/// On until the first device error.
struct Gate {
    path: PathBuf,
    off: OnceLock<String>,
    warn: WarnHook,
}

impl Gate {
    fn close(&self, reason: String) {
        let mut first = false;
        self.off.get_or_init(|| {
            first = true;
            reason.clone()
        });
        if first {
            let path = self.path.display();
            (self.warn)(&format!("disk cache {path} turned off, blocks come from the store: {reason}"));
        }
    }
}

impl Shared {
    fn is_on(&self) -> bool {
        self.gate.off.get().is_none()
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn turn_off(&self, doing: &str, error: &io::Error) {
        bump(&self.counts.io_errors);
        self.gate.close(format!("{doing}: {error}"));
        self.index.clear();
    }
}

/// The parts of a working tier.
struct Running {
    shared: Arc<Shared>,
    offers: Option<SyncSender<Order>>,
    reads: Arc<ReadQueue>,
    threads: Vec<JoinHandle<()>>,
    config: DiskCacheConfig,
}

/// The disk cache of a node. Share it by `Arc`. Dropping it ends its threads and forgets what waits to
/// be written; what is in the file stays.
pub struct DiskCache {
    gate: Arc<Gate>,
    running: Option<Running>,
}

impl DiskCache {
    /// Opens or creates the file. When that fails the tier is off from the start, with one warning.
    #[must_use]
    pub fn open(config: DiskCacheConfig) -> Self {
        let gate =
            Arc::new(Gate { path: config.path.clone(), off: OnceLock::new(), warn: config.warn.clone() });
        match Running::start(config, &gate) {
            Ok(running) => Self { gate, running: Some(running) },
            Err(error) => {
                gate.close(format!("opening: {error}"));
                Self { gate, running: None }
            }
        }
    }

    /// Reads a block's stored bytes, verified. `None`: not held, or no longer sound, or the tier is
    /// off or overloaded; ask the store. May be awaited on any executor.
    pub async fn get(&self, key: BlockKey) -> Option<Bytes> {
        let running = self.running.as_ref()?;
        let found = running.read(key).await;
        bump(if found.is_some() { &running.shared.counts.hits } else { &running.shared.counts.misses });
        found
    }

    /// Whether the index has the block; says nothing about its bytes.
    #[must_use]
    pub fn contains(&self, key: BlockKey) -> bool {
        self.running.as_ref().is_some_and(|r| r.shared.is_on() && r.shared.index.contains(key))
    }

    /// Whether the block is held and was read since it was written.
    #[must_use]
    pub fn is_hot(&self, key: BlockKey) -> bool {
        self.running.as_ref().is_some_and(|r| r.shared.is_on() && r.shared.index.is_hot(key))
    }

    /// Offers a block's stored bytes. Never waits: it is written in the background, or dropped when
    /// too much waits already.
    pub fn offer(&self, key: BlockKey, stored: Bytes) {
        if let Some(running) = &self.running {
            running.offer(key, stored);
        }
    }

    /// Forgets a block, whose bytes turned out to be unusable.
    pub fn forget(&self, key: BlockKey) {
        if let Some(running) = &self.running
            && running.shared.index.remove_if(key, |_| true).is_some()
        {
            bump(&running.shared.counts.corrupt);
        }
    }

    /// Blocks the thread until recovery is done and everything offered before is written or dropped.
    /// For tests and an orderly shutdown.
    pub fn flush(&self) {
        let Some(offers) = self.running.as_ref().and_then(|r| r.offers.as_ref()) else { return };
        let (done, wait) = sync_channel(1);
        if offers.send(Order::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }

    /// Whether the tier works.
    #[must_use]
    pub fn state(&self) -> DiskState {
        self.gate.off.get().map_or(DiskState::On, |reason| DiskState::Off(reason.clone()))
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> DiskCounters {
        let Some(running) = &self.running else { return DiskCounters::default() };
        let counts = &running.shared.counts;
        let (blocks, bytes, index_bytes) = running.shared.index.sizes();
        DiskCounters {
            hits: read(&counts.hits),
            misses: read(&counts.misses),
            writes: read(&counts.writes),
            write_bytes: read(&counts.write_bytes),
            offers_dropped: read(&counts.offers_dropped),
            evictions: read(&counts.evictions),
            corrupt: read(&counts.corrupt),
            io_errors: read(&counts.io_errors),
            recovered: read(&counts.recovered),
            blocks,
            bytes,
            bytes_max: running.shared.geometry.file_bytes(),
            index_bytes,
        }
    }
}

impl Running {
    fn start(config: DiskCacheConfig, gate: &Arc<Gate>) -> io::Result<Self> {
        let geometry = geometry_of(&config)?;
        let file = Arc::new(open_file(&config.path, geometry)?);
        let shared = Arc::new(Shared {
            file: file.clone(),
            geometry,
            index: Index::default(),
            counts: Counts::default(),
            gate: gate.clone(),
            queued_bytes: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let reads = Arc::new(ReadQueue::new(file, config.engine)?);
        let (offers, orders) = sync_channel(OFFERS_MAX);
        let writer = Writer::new(shared.clone(), orders)?;
        let mut running = Self { shared, offers: Some(offers), reads, threads: Vec::new(), config };
        let (queue, reads_max) = (running.reads.clone(), running.config.reads_max);
        running.spawn("disk-cache-read", move || reads::run(&queue, reads_max))?;
        running.spawn("disk-cache-write", move || writer.run())?;
        Ok(running)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(body)?);
        Ok(())
    }

    async fn read(&self, key: BlockKey) -> Option<Bytes> {
        if !self.shared.is_on() {
            return None;
        }
        let location = self.shared.index.find(key)?;
        match self.reads.ask(location)?.await {
            Ok(Ok(bytes)) => Some(bytes),
            Ok(Err(fault)) => {
                self.note_fault(key, location, &fault);
                None
            }
            Err(_) => None, // The reading thread has ended.
        }
    }

    /// A block whose segment was reused while it was read is only a miss.
    fn note_fault(&self, key: BlockKey, location: Location, fault: &ReadFault) {
        match fault {
            ReadFault::Checksum => {
                if self.shared.index.remove_if(key, |now| now == location).is_some() {
                    bump(&self.shared.counts.corrupt);
                }
            }
            ReadFault::Io(error) if is_transient(error) => {}
            ReadFault::Io(error) => self.shared.turn_off("reading", error),
        }
    }

    fn offer(&self, key: BlockKey, stored: Bytes) {
        let fits = writer::record_cost(stored.len()) <= self.shared.geometry.segment_bytes / 2;
        if !self.shared.is_on() || stored.is_empty() || !fits || self.shared.index.contains(key) {
            return;
        }
        let length = stored.len();
        let queued = self.shared.queued_bytes.fetch_add(length, Ordering::Relaxed) + length;
        let Some(offers) = self.offers.as_ref().filter(|_| queued <= self.config.write_queue_bytes_max)
        else {
            return self.drop_offer(length);
        };
        let order = Order::Put(Record { key, bytes: stored });
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = offers.try_send(order) {
            self.drop_offer(length);
        }
    }

    fn drop_offer(&self, length: usize) {
        self.shared.queued_bytes.fetch_sub(length, Ordering::Relaxed);
        bump(&self.shared.counts.offers_dropped);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.reads.stop();
        self.offers = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        // Executors may still have the file open; it is free for the next one all the same.
        let _ = self.shared.file.unlock();
    }
}

fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, OutOfMemory, WouldBlock};
    matches!(error.kind(), Interrupted | WouldBlock | OutOfMemory)
}

fn geometry_of(config: &DiskCacheConfig) -> io::Result<Geometry> {
    let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
    let segment_bytes = config.segment_bytes;
    if segment_bytes == 0 || !segment_bytes.is_multiple_of(PAGE_BYTES) || segment_bytes > 1 << 30 {
        return Err(invalid("segment_bytes must be a multiple of 4096 of at most 1 GiB"));
    }
    let segments = config.bytes_max.saturating_sub(PAGE_BYTES) / segment_bytes;
    let segments = u32::try_from(segments).map_err(|_| invalid("bytes_max is too large"))?;
    if segments < SEGMENTS_MIN {
        return Err(invalid("bytes_max must hold at least two segments"));
    }
    Ok(Geometry { segment_bytes, segments })
}

/// Opens the file for this process alone, and makes it anew unless it has this geometry already.
fn open_file(path: &Path, geometry: Geometry) -> io::Result<File> {
    let file = open_direct(path)?;
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::Error(error) => error,
        std::fs::TryLockError::WouldBlock => io::Error::other("another process uses this file"),
    })?;
    let mut page = AlignedBuf::new(PAGE)?;
    let usable = file.metadata()?.len() == geometry.file_bytes()
        && file.read_exact_at(&mut page, 0).is_ok()
        && layout::decode_file_header(&page) == Some(geometry);
    if !usable {
        file.set_len(0)?;
        sys::preallocate(&file, geometry.file_bytes()).inspect_err(|_| {
            // Give back what was reserved before the device was full.
            let _ = file.set_len(0);
        })?;
        layout::encode_file_header(geometry, &mut page);
        file.write_all_at(&page, 0)?;
    }
    Ok(file)
}

/// With direct I/O, or without where the file system has none.
fn open_direct(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    match options.clone().custom_flags(libc::O_DIRECT).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => options.open(path),
        opened => opened,
    }
}
