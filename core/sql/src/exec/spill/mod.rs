//! What operators keep in temporary files instead of in memory (ADR 0173).
//!
//! A [`SpillFile`] belongs to one operator. [`Stream`]s are sequences of rows in it, written by [`StreamWriter`]s in
//! blocks and read by [`StreamReader`]s; several may be written at a time. On top of them are sorted runs
//! ([`Sorter`]) and partitions by hash ([`Partitions`]).
//!
//! Nothing here is kept beyond the execution: dropping the last stream of a file drops the file.

mod aside;
mod codec;
mod merge;
mod partition;
mod sorter;
mod stream;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use aquifer_types::{ErrorKind, SqlError, SqlResult};

use crate::exec::ExecContext;
use crate::temporary_space::{Offload, SpillEvent, TemporaryFile, TemporarySpace};
pub(crate) use aside::Aside;
pub(crate) use partition::{LEVELS_MAX, Partitions};
pub(crate) use sorter::{Sorted, Sorter};
pub(crate) use stream::{Stream, StreamReader, StreamWriter};

/// Bytes of memory beyond which an operator goes on in temporary files.
pub const SPILL_MEMORY: usize = 64 << 20;

/// Bytes that are written at once, about.
const BLOCK_BYTES_MAX: usize = 256 << 10;
const BLOCK_BYTES_MIN: usize = 4 << 10;
/// Blocks that fit into an operator's memory, at least.
const BLOCKS_MIN: usize = 64;

/// Where statements spill.
pub struct SpillPlace {
    /// Makes the files.
    pub space: Arc<dyn TemporarySpace>,
    /// Where blocking I/O is done; `None`: on the spot.
    pub offload: Option<Rc<dyn Offload>>,
}

/// Where, when and how much a statement spills.
#[derive(Clone)]
pub struct Spill {
    /// Where; `None`: nothing spills.
    pub place: Option<Rc<SpillPlace>>,
    /// Bytes of memory beyond which an operator spills.
    pub memory: usize,
    /// Bytes that files may hold at a time.
    pub disk_max: u64,
    /// Bytes that files hold, once there are any.
    on_disk: Option<Rc<Cell<u64>>>,
}

impl Default for Spill {
    fn default() -> Self {
        Self { place: None, memory: SPILL_MEMORY, disk_max: u64::MAX, on_disk: None }
    }
}

impl Spill {
    /// Size of the blocks of an operator's files.
    fn block_bytes(&self) -> usize {
        (self.memory / BLOCKS_MIN).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX)
    }
}

/// What an operator has put into files, for EXPLAIN ANALYZE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spilled {
    pub bytes: u64,
    /// Sorted runs or partitions.
    pub parts: usize,
    pub sorted: bool,
}

/// A temporary file of an operator.
pub(crate) struct SpillFile {
    file: Arc<dyn TemporaryFile>,
    length: Cell<u64>,
    on_disk: Rc<Cell<u64>>,
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        self.on_disk.set(self.on_disk.get().saturating_sub(self.length.get()));
    }
}

impl ExecContext<'_> {
    /// Whether an operator that keeps `own` bytes has to go on in files.
    ///
    /// # Errors
    /// That of a spent budget: an execution that can move to the bulk lane does so first.
    pub(crate) fn must_spill(&mut self, own: usize) -> SqlResult<bool> {
        let most = self.spill.memory;
        let is_full = own >= most || (own >= most / 8 && self.memory.is_half_used());
        if !is_full || self.spill.place.is_none() {
            return Ok(false);
        }
        self.budget.leave()?;
        Ok(true)
    }

    /// A new file for an operator.
    pub(crate) fn spill_file(&mut self) -> SqlResult<Rc<SpillFile>> {
        let Some(place) = &self.spill.place else {
            return Err(SqlError::with_kind(1105, ErrorKind::Bug, "a temporary file without a place for it"));
        };
        let file = Arc::from(place.space.create()?);
        let on_disk = Rc::clone(self.spill.on_disk.get_or_insert_default());
        Ok(Rc::new(SpillFile { file, length: Cell::new(0), on_disk }))
    }

    /// Counts for SHOW STATUS.
    pub(crate) fn count_spill(&self, event: SpillEvent) {
        if let Some(place) = &self.spill.place {
            place.space.count(event);
        }
    }

    /// Appends a block to a file and gives its offset and the buffer back.
    async fn append(&mut self, file: &SpillFile, block: Vec<u8>) -> SqlResult<(u64, Vec<u8>)> {
        let offset = file.length.get();
        let length = block.len() as u64;
        if file.on_disk.get().saturating_add(length) > self.spill.disk_max {
            let text = format!(
                "Disk full (temporary files of the statement, which may use {} bytes: aquifer_spill_disk); let it sort \
                 or join fewer rows, or raise the limit",
                self.spill.disk_max
            );
            return Err(SqlError::new(1021, text));
        }
        let target = Arc::clone(&file.file);
        let block = self.blocking(move || target.write_at(&block, offset).map(|()| block)).await?;
        file.length.set(offset + length);
        file.on_disk.set(file.on_disk.get() + length);
        self.between_blocks().await?;
        Ok((offset, block))
    }

    /// Reads a block into a buffer.
    async fn read_block(
        &mut self,
        file: &SpillFile,
        (offset, length): (u64, usize),
        mut buffer: Vec<u8>,
    ) -> SqlResult<Vec<u8>> {
        let source = Arc::clone(&file.file);
        buffer.resize(length, 0);
        let block = self.blocking(move || source.read_at(&mut buffer, offset).map(|()| buffer)).await?;
        self.between_blocks().await?;
        Ok(block)
    }

    /// Ends a statement that was killed, and lets others run.
    pub(crate) async fn between_blocks(&mut self) -> SqlResult<()> {
        self.txn.check_interrupted()?;
        self.txn.give_way().await;
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> SqlResult<T> + Send + 'static,
    ) -> SqlResult<T> {
        let offload = self.spill.place.as_ref().and_then(|place| place.offload.as_ref());
        let Some(offload) = offload else { return work() };
        let place = Arc::new(Mutex::new(None));
        let result = Arc::clone(&place);
        let fill = move || *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(work());
        offload.offload(Box::new(fill)).await;
        let result = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.unwrap_or_else(|| Err(SqlError::with_kind(1105, ErrorKind::Bug, "temporary I/O was not done")))
    }
}
