//! A warm start: the blocks that were hot at the last stop are fetched again, in the background.
//!
//! 1. A clean stop writes the list ([`save`]).
//! 2. A start takes it ([`take`]: the file is gone afterwards, so that a start which fails because of it does
//!    not fail again), and serves at once.
//! 3. A thread of low priority brings the blocks into memory ([`warm`]): table by table, neighbours in one
//!    request, one request at a time, and not more than the block cache holds. Statements that want one of
//!    them meanwhile fetch it themselves or join the thread's fetch.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use aquifer_cache::hot_set::{HOT_BLOCKS_MAX, decode, encode};
use aquifer_lsm::{BlockHandle, BlockSource, Need, Table};
use aquifer_objstore::block_on;
use aquifer_types::SstId;

use crate::affinity::{self, Urgency};
use crate::engine::Engine;
use crate::event;

/// The file's name in the node's own directory.
pub const FILE_NAME: &str = "hot.blocks";

/// Blocks that follow each other in an object and are fetched together, at most.
const TOGETHER_MAX: usize = 32;

/// A warm start under way.
pub struct Warming {
    engine: Arc<Engine>,
    local: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Warming {
    /// Begins to fetch what the last stop has left in `local`.
    #[must_use]
    pub fn start(engine: &Arc<Engine>, local: &Path) -> Self {
        let (hot, stop) = (take(local), Arc::new(AtomicBool::new(false)));
        let is_listed = !hot.is_empty();
        let (reading, flag) = (Arc::clone(engine), Arc::clone(&stop));
        let run = move || {
            affinity::set_urgency(Urgency::Background);
            let blocks = block_on(warm(&reading, &hot, &flag));
            event::info(&format!("{blocks} blocks of the last run's hot set are in memory"));
        };
        // Without the thread the start is a cold one.
        let spawn = || thread::Builder::new().name("warm".to_owned()).spawn(run).ok();
        let thread = is_listed.then(spawn).flatten();
        Self { engine: Arc::clone(engine), local: local.to_owned(), stop, thread }
    }

    /// Ends it, and leaves the list for the next start.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Err(error) = save(&self.engine, &self.local) {
            event::warn(&format!(
                "the next start will be a cold one, the hot set cannot be written: {error}"
            ));
        }
    }
}

/// Writes the list of what is hot now.
///
/// # Errors
/// The file system's; the next start is a cold one then.
pub fn save(engine: &Engine, local: &Path) -> io::Result<()> {
    let keys = engine.source.blocks().hot_keys(HOT_BLOCKS_MAX);
    let (path, new) = (local.join(FILE_NAME), local.join("hot.blocks.new"));
    fs::write(&new, encode(&keys))?;
    fs::rename(&new, &path)
}

/// Takes the list that the last stop has left: offsets of blocks by table. Empty when there is none.
#[must_use]
pub fn take(local: &Path) -> HashMap<SstId, Vec<u64>> {
    let path = local.join(FILE_NAME);
    let keys = fs::read(&path).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
    let _ = fs::remove_file(&path);
    let mut tables: HashMap<SstId, Vec<u64>> = HashMap::new();
    for key in keys {
        tables.entry(key.sst).or_default().push(key.offset);
    }
    tables
}

/// Fetches what `take` gave. Ends early when `stop` is set, when the cache is full, or when the store fails:
/// nobody waits for it. Returns the number of blocks that are in memory because of it.
pub async fn warm(engine: &Engine, hot: &HashMap<SstId, Vec<u64>>, stop: &AtomicBool) -> usize {
    let state = engine.state();
    let mut brought = 0;
    for table in state.manifest().tables() {
        let Some(offsets) = hot.get(&table.id()) else { continue };
        if engine.source.load(Need::Meta(Arc::clone(table))).await.is_err() {
            return brought;
        }
        for stretch in stretches(table, offsets) {
            if stop.load(Ordering::Acquire) || is_full(engine) {
                return brought;
            }
            engine.source.read_ahead(table, &stretch);
            for handle in stretch {
                if engine.source.load(Need::Block(Arc::clone(table), handle)).await.is_err() {
                    return brought;
                }
                brought += 1;
            }
        }
    }
    brought
}

/// Blocks at these offsets, in the order of the object, in pieces of neighbours.
fn stretches(table: &Table, offsets: &[u64]) -> Vec<Vec<BlockHandle>> {
    let mut offsets = offsets.to_vec();
    offsets.sort_unstable();
    let mut pieces: Vec<Vec<BlockHandle>> = Vec::new();
    for handle in table.block_handles().filter(|handle| offsets.binary_search(&handle.offset).is_ok()) {
        match pieces.last_mut() {
            Some(piece)
                if piece.len() < TOGETHER_MAX
                    && piece.last().is_some_and(|last| last.range().end == handle.offset) =>
            {
                piece.push(handle);
            }
            _ => pieces.push(vec![handle]),
        }
    }
    pieces
}

/// What comes now would displace what statements have brought.
fn is_full(engine: &Engine) -> bool {
    let blocks = engine.source.blocks().counters();
    blocks.bytes > blocks.bytes_max / 10 * 9
}
