//! Writing tables from memtables (flush) or from tables (compaction).
//!
//! A rewrite merges all versions of its inputs in order, drops those that nobody can see, and cuts the rest
//! into objects at user keys: all versions of a key that it keeps are in one table. It does no I/O: what it
//! needs it asks for, what it has built it hands out, and it stops in between so that its lane can be shared.
//!
//! ```text
//! loop { match rewrite.step(&blocks, budget)? {
//!     Step::Need(need)                        => load it, rewrite.supply(need, loaded)
//!     Step::Done(RewriteStep::Paused)         => let others run
//!     Step::Done(RewriteStep::Built(table))   => PUT table.object, remember table.info
//!     Step::Done(RewriteStep::Finished)       => publish the edit with all infos
//! } }
//! ```

use std::sync::{Arc, OnceLock};

use aquifer_format::sst::Compression;
use aquifer_types::{Lsn, SstId};

use crate::builder::{BLOCK_BYTES_TARGET, BuildError, BuiltTable, TableBuilder, TableOptions};
use crate::compaction::CompactionJob;
use crate::error::ReadError;
use crate::memtable::Memtable;
use crate::merge::Merge;
use crate::retention::{Retention, Tombstones};
use crate::run_walk::RunWalk;
use crate::sorted::{Sorted, SortedWalk};
use crate::source::{BlockHandle, BlockSource, LoadFuture, Loaded, Need, Step};
use crate::table::Table;
use crate::walk::{Direction, KeyRange, MemWalk, Versions, Walk};

/// Size at which an object is complete, unless the options say otherwise.
pub const OBJECT_BYTES_TARGET: u64 = 32 << 20;

/// How the output is to be written.
pub struct RewriteOptions {
    /// Gives a new object id for each table.
    pub new_id: Box<dyn FnMut() -> SstId + Send>,
    /// Size at which a table is complete; [`OBJECT_BYTES_TARGET`] by default.
    pub object_bytes_target: u64,
    /// Size at which a data block is complete; [`BLOCK_BYTES_TARGET`] by default.
    pub block_bytes_target: usize,
    /// Compression of data blocks.
    pub compression: Compression,
    /// Wall-clock time in microseconds since 1970.
    pub created_micros: u64,
    /// Level of the output, for its description.
    pub level: u32,
    /// Run of the output when that is level 0.
    pub run: u64,
    /// If a key comes twice with one LSN, the rewrite ends with [`BuildError::Repeated`], and key and value are put
    /// here.
    pub repeats: Option<Repeats>,
}

/// The first entry whose key had come before, and its value.
pub type Repeats = Arc<OnceLock<(Vec<u8>, Vec<u8>)>>;

/// Progress of a rewrite.
#[derive(Debug)]
pub enum RewriteStep {
    /// The budget is used up.
    Paused,
    /// A table is complete.
    Built(Box<BuiltTable>),
    /// There is nothing more.
    Finished,
}

/// See the module.
pub struct Rewrite {
    merge: Merge,
    retention: Retention,
    tombstones: Tombstones,
    options: RewriteOptions,
    /// About the length of each object.
    object_bytes: usize,
    builder: Option<TableBuilder>,
    /// The version that came last: its key and LSN.
    last_key: Vec<u8>,
    last_lsn: Option<Lsn>,
    is_dead: bool,
    /// The dead range that is not before `last_key`.
    dead_at: usize,
    counts: RewriteCounts,
}

/// What a rewrite has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RewriteCounts {
    /// Entries read.
    pub entries_in: u64,
    /// Entries written.
    pub entries_out: u64,
}

/// A block source for rewrites of memtables, which need no blocks.
#[derive(Clone, Copy, Debug)]
pub struct NoBlocks;

impl RewriteOptions {
    /// Options for a flush to level 0 as run `run`.
    #[must_use]
    pub fn flush(new_id: Box<dyn FnMut() -> SstId + Send>, run: u64, created_micros: u64) -> Self {
        Self {
            new_id,
            object_bytes_target: OBJECT_BYTES_TARGET,
            block_bytes_target: BLOCK_BYTES_TARGET,
            compression: Compression::Lz4,
            created_micros,
            level: 0,
            run,
            repeats: None,
        }
    }

    /// Options for a compaction.
    #[must_use]
    pub fn compaction(
        new_id: Box<dyn FnMut() -> SstId + Send>,
        job: &CompactionJob,
        created_micros: u64,
    ) -> Self {
        Self {
            compression: job.compression,
            level: job.output_level,
            ..Self::flush(new_id, 0, created_micros)
        }
    }
}

/// All versions of sorted runs that are in `range`.
fn walks(runs: &[Arc<Vec<Arc<Table>>>], range: &KeyRange) -> Vec<Walk> {
    let walk = |tables: &Arc<Vec<Arc<Table>>>| {
        let walk = RunWalk::new(Arc::clone(tables), range.clone(), Direction::Forward, Versions::All);
        Walk::Run(Box::new(walk))
    };
    runs.iter().map(walk).collect()
}

fn stored_bytes(runs: &[Arc<Vec<Arc<Table>>>]) -> u64 {
    runs.iter().flat_map(|tables| tables.iter()).map(|table| table.info().object_bytes).sum()
}

impl Rewrite {
    /// A flush of frozen memtables, newer ones first, to one run of level 0.
    #[must_use]
    pub fn flush(memtables: &[Arc<Memtable>], retention: Retention, options: RewriteOptions) -> Self {
        let walk = |memtable: &Arc<Memtable>| {
            let (cursor, range) = (memtable.cursor(), KeyRange::all());
            Walk::Mem(MemWalk::new(cursor, range, Direction::Forward, Versions::All))
        };
        let bytes = memtables.iter().map(|memtable| memtable.approximate_bytes() as u64).sum();
        Self::new(memtables.iter().map(walk).collect(), bytes, retention, Tombstones::Keep, options)
    }

    /// Entries of a build as one run.
    #[must_use]
    pub fn sorted(sorted: Arc<Sorted>, options: RewriteOptions) -> Self {
        let bytes = sorted.used_bytes() as u64;
        let walks = vec![Walk::Sorted(SortedWalk::new(sorted))];
        Self::new(walks, bytes, Retention::everything(), Tombstones::Keep, options)
    }

    /// Several sorted runs in one, tombstones included.
    #[must_use]
    pub fn merge(runs: &[Arc<Vec<Arc<Table>>>], retention: Retention, options: RewriteOptions) -> Self {
        let (all, bytes) = (KeyRange::all(), stored_bytes(runs));
        Self::new(walks(runs, &all), bytes, retention, Tombstones::Keep, options)
    }

    /// The rewrite of a compaction job.
    #[must_use]
    pub fn compaction(job: &CompactionJob, retention: Retention, options: RewriteOptions) -> Self {
        Self::part(job, &KeyRange::all(), retention, options)
    }

    /// The rewrite of those keys of a compaction job that are in `range`; see [`crate::subcompaction`].
    #[must_use]
    pub fn part(
        job: &CompactionJob,
        range: &KeyRange,
        retention: Retention,
        options: RewriteOptions,
    ) -> Self {
        let (walks, bytes) = (walks(&job.inputs, range), stored_bytes(&job.inputs));
        Self::new(walks, bytes, retention, job.tombstones.clone(), options)
    }

    /// `bytes`: at most about as many are written in all.
    fn new(
        walks: Vec<Walk>,
        bytes: u64,
        retention: Retention,
        tombstones: Tombstones,
        options: RewriteOptions,
    ) -> Self {
        // The last block may go beyond the target.
        let object_bytes = bytes.min(options.object_bytes_target + options.object_bytes_target / 64);
        Self {
            object_bytes: usize::try_from(object_bytes).unwrap_or(0),
            merge: Merge::new(walks, Direction::Forward),
            retention,
            tombstones,
            options,
            builder: None,
            last_key: Vec::new(),
            last_lsn: None,
            is_dead: false,
            dead_at: 0,
            counts: RewriteCounts::default(),
        }
    }

    /// Goes on for up to `entries_max` entries.
    ///
    /// # Errors
    /// [`BuildError`]: inputs out of order or over a limit of the format. The rewrite is of no use then.
    pub fn step<S: BlockSource + ?Sized>(
        &mut self,
        blocks: &S,
        entries_max: usize,
    ) -> Result<Step<RewriteStep>, BuildError> {
        for _ in 0..entries_max {
            let index = match self.merge.first(blocks) {
                Step::Need(need) => return Ok(Step::Need(need)),
                Step::Done(Some(index)) => index,
                Step::Done(None) => {
                    let built = self.finish_table()?;
                    return Ok(Step::Done(built.map_or(RewriteStep::Finished, RewriteStep::Built)));
                }
            };
            if self.is_full_before(index)
                && let Some(built) = self.finish_table()?
            {
                return Ok(Step::Done(RewriteStep::Built(built)));
            }
            self.take_item(index)?;
            // A need here comes again from `first`, where it is reported.
            let _ = self.merge.advance_first(blocks);
        }
        Ok(Step::Done(RewriteStep::Paused))
    }

    /// Hands in what was loaded for the [`Need`] that [`Self::step`] gave.
    pub fn supply(&mut self, need: Need, loaded: Loaded) {
        self.merge.supply(need, loaded);
    }

    /// Calls [`BlockSource::read_ahead`] with what will follow `need`.
    pub fn announce_read_ahead<S: BlockSource + ?Sized>(&self, need: &Need, blocks: &S) {
        self.merge.announce_read_ahead(need, blocks);
    }

    /// Entries read and written so far.
    #[must_use]
    pub fn counts(&self) -> RewriteCounts {
        self.counts
    }

    /// Whether the table is large enough and the next item begins another key.
    fn is_full_before(&self, index: usize) -> bool {
        let is_full = |builder: &TableBuilder| builder.object_bytes() >= self.options.object_bytes_target;
        self.builder.as_ref().is_some_and(is_full) && self.last_key != self.merge.item(index).0
    }

    fn finish_table(&mut self) -> Result<Option<Box<BuiltTable>>, BuildError> {
        let Some(builder) = self.builder.take() else { return Ok(None) };
        let mut built = builder.finish()?;
        (built.info.level, built.info.run) = (self.options.level, self.options.run);
        Ok(Some(Box::new(built)))
    }

    fn take_item(&mut self, index: usize) -> Result<(), BuildError> {
        self.counts.entries_in += 1;
        let (key, lsn) = self.merge.item(index);
        let is_same_key = self.last_lsn.is_some() && self.last_key == key;
        let newer = self.last_lsn.filter(|_| is_same_key);
        if !is_same_key {
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
            self.is_dead = self.retention.dead().contains_from(&mut self.dead_at, key);
        }
        self.last_lsn = Some(lsn);
        let is_repeated = newer == Some(lsn);
        if is_repeated && let Some(repeats) = &self.options.repeats {
            let value = self.merge.take_value(index);
            let _ =
                repeats.set((self.last_key.clone(), value.map(|value| value.to_vec()).unwrap_or_default()));
            return Err(BuildError::Repeated);
        }
        // An equal version of a source further back has been overwritten by the same transaction.
        if self.is_dead || is_repeated || !self.retention.needs(lsn, newer) {
            return Ok(());
        }
        let value = self.merge.take_value(index);
        if value.is_none() && self.tombstones.may_drop(&self.last_key, lsn, &self.retention) {
            return Ok(());
        }
        let bytes = value.as_deref();
        let (options, object_bytes) = (&mut self.options, self.object_bytes);
        let builder = self.builder.get_or_insert_with(|| {
            let mut builder = TableBuilder::new(TableOptions {
                id: (options.new_id)(),
                compression: options.compression,
                block_bytes_target: options.block_bytes_target,
                created_micros: options.created_micros,
            });
            builder.reserve(object_bytes);
            builder
        });
        builder.add(&self.last_key, lsn, bytes)?;
        self.counts.entries_out += 1;
        Ok(())
    }
}

impl BlockSource for NoBlocks {
    fn try_block(&self, _table: &Arc<Table>, _handle: BlockHandle) -> Option<crate::Block> {
        None
    }

    fn load<'a>(&'a self, need: Need) -> LoadFuture<'a> {
        let (Need::Meta(table) | Need::Block(table, _)) = need;
        Box::pin(std::future::ready(Err(ReadError::unavailable(table.id(), "this source has no blocks"))))
    }
}
