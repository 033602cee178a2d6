//! Which tables are live, and where: the pure state that edits change.
//!
//! Level 0 holds sorted runs, newest first; levels 1 to 6 are one sorted run each. A manifest never changes:
//! applying an edit gives another one that shares all tables that both have, with their loaded indexes.
//!
//! Invariants, checked at every edit:
//! * Tables of one run are sorted by key and do not overlap, so all versions of a user key that the run has
//!   are in one table.
//! * An id is in the manifest once. The checkpoint LSN never moves back.
//!
//! Kept by compaction picking, and relied upon by point reads: among levels 1 to 6 a higher one has the newer
//! versions of a key. Level 0 and memtables may hold versions out of order (a large transaction's tables
//! arrive before older writes are flushed); reads compare LSNs there.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use aquifer_format::{Checkpoint, FormatError, ManifestEdit, SstMeta, SstRef};
use aquifer_types::{Lsn, SstId};

use crate::table::{Table, TableInfo};

/// Levels below level 0.
pub const DEEP_LEVELS: usize = 6;

/// Tables in key order that do not overlap.
#[derive(Clone, Debug)]
pub struct Run {
    number: u64,
    tables: Arc<Vec<Arc<Table>>>,
    min_lsn: Lsn,
    max_lsn: Lsn,
    object_bytes: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Manifest {
    runs: Vec<Run>,
    levels: [Run; DEEP_LEVELS],
    checkpoint_lsn: Lsn,
    next_run: u64,
}

/// Why an edit or a checkpoint cannot be what it says. Whoever made it broke an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// A table's description contradicts itself.
    Format(FormatError),
    /// A level that does not exist.
    Level(u32),
    /// An edit removes a table that is not there.
    Unknown(SstId),
    /// An edit adds a table that is there already.
    Duplicate(SstId),
    /// Two tables of one run overlap.
    Overlap {
        /// The level of both.
        level: u32,
        /// The one that starts first.
        first: SstId,
        /// The one that starts before the first one ends.
        second: SstId,
    },
    /// The checkpoint LSN would move back.
    CheckpointMovedBack {
        /// Where it is.
        from: Lsn,
        /// Where it would be.
        to: Lsn,
    },
}

impl Run {
    fn empty() -> Self {
        let (min_lsn, max_lsn) = (Lsn::MAX, Lsn(0));
        Self { number: 0, tables: Arc::new(Vec::new()), min_lsn, max_lsn, object_bytes: 0 }
    }

    /// Sorts and checks the tables of one run.
    fn new(number: u64, mut tables: Vec<Arc<Table>>) -> Result<Self, ManifestError> {
        tables.sort_by(|left, right| left.info().smallest.cmp(&right.info().smallest));
        for pair in tables.windows(2) {
            let (first, second) = (pair[0].info(), pair[1].info());
            if first.largest >= second.smallest {
                return Err(ManifestError::Overlap {
                    level: first.level,
                    first: first.id,
                    second: second.id,
                });
            }
        }
        let infos = || tables.iter().map(|table| table.info());
        Ok(Self {
            number,
            min_lsn: infos().map(|info| info.min_lsn).min().unwrap_or(Lsn::MAX),
            max_lsn: infos().map(|info| info.max_lsn).max().unwrap_or_default(),
            object_bytes: infos().map(|info| info.object_bytes).sum(),
            tables: Arc::new(tables),
        })
    }

    /// The run's number; larger is newer. Means nothing below level 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The tables, in key order.
    #[must_use]
    pub fn tables(&self) -> &Arc<Vec<Arc<Table>>> {
        &self.tables
    }

    /// Lowest LSN of any entry; [`Lsn::MAX`] when empty.
    #[must_use]
    pub fn min_lsn(&self) -> Lsn {
        self.min_lsn
    }

    /// Highest LSN of any entry; 0 when empty.
    #[must_use]
    pub fn max_lsn(&self) -> Lsn {
        self.max_lsn
    }

    /// Size of all objects.
    #[must_use]
    pub fn object_bytes(&self) -> u64 {
        self.object_bytes
    }

    /// The one table whose key range includes `key`.
    #[must_use]
    pub fn table_of(&self, key: &[u8]) -> Option<&Arc<Table>> {
        let at = self.tables.partition_point(|table| *table.info().largest < *key);
        self.tables.get(at).filter(|table| *table.info().smallest <= *key)
    }

    /// The tables that overlap a range of keys, both ends inclusive.
    #[must_use]
    pub fn overlapping(&self, range: &RangeInclusive<&[u8]>) -> &[Arc<Table>] {
        let start = self.tables.partition_point(|table| *table.info().largest < **range.start());
        let end = self.tables.partition_point(|table| *table.info().smallest <= **range.end());
        self.tables.get(start..end).unwrap_or_default()
    }
}

impl Default for Manifest {
    fn default() -> Self {
        let levels = std::array::from_fn(|_| Run::empty());
        Self { runs: Vec::new(), levels, checkpoint_lsn: Lsn(0), next_run: 1 }
    }
}

impl Manifest {
    /// A manifest without tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The manifest that a checkpoint holds.
    ///
    /// # Errors
    /// When its tables contradict each other.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self, ManifestError> {
        Self::default().apply(&ManifestEdit {
            added: checkpoint.ssts.clone(),
            removed: Vec::new(),
            checkpoint_lsn: Some(checkpoint.checkpoint_lsn.0),
            next_run: Some(checkpoint.next_run),
        })
    }

    /// The tables as a checkpoint lists them: level 0 first, newest run first, then in key order.
    #[must_use]
    pub fn to_ssts(&self) -> Vec<SstMeta> {
        self.tables().map(|table| SstMeta::from(table.info())).collect()
    }

    /// The manifest after an edit. Removals come first.
    ///
    /// # Errors
    /// When the edit breaks an invariant; nothing has changed then.
    pub fn apply(&self, edit: &ManifestEdit) -> Result<Self, ManifestError> {
        let mut gone: HashMap<SstId, u32> =
            edit.removed.iter().map(|table| (table.sst_id(), table.level)).collect();
        let mut moved = HashMap::new();
        let mut keep = Vec::new();
        for table in self.tables() {
            let info = table.info();
            if gone.get(&info.id) == Some(&info.level) {
                gone.remove(&info.id);
                moved.insert(info.id, Arc::clone(table));
            } else {
                keep.push(table);
            }
        }
        if let Some(id) = gone.into_keys().next() {
            return Err(ManifestError::Unknown(id));
        }
        let added = added_tables(edit, &keep, &moved)?;
        let mut next = self.with_changes(&added, &moved)?;
        next.checkpoint_lsn = self.checkpoint_after(edit)?;
        let runs_after = next.runs.first().map_or(0, |run| run.number.saturating_add(1));
        next.next_run = self.next_run.max(edit.next_run.unwrap_or(0)).max(runs_after);
        Ok(next)
    }

    /// The manifest without the tables of large transactions that committed after `lsn`.
    ///
    /// # Errors
    /// As [`Manifest::apply`].
    pub fn without_commits_after(&self, lsn: Lsn) -> Result<Self, ManifestError> {
        let later = self.tables().filter(|table| table.info().commit_lsn.is_some_and(|commit| commit > lsn));
        let removed = later.map(|table| SstRef::new(table.id(), table.info().level));
        self.apply(&ManifestEdit { removed: removed.collect(), ..ManifestEdit::default() })
    }

    fn checkpoint_after(&self, edit: &ManifestEdit) -> Result<Lsn, ManifestError> {
        let to = edit.checkpoint_lsn.map_or(self.checkpoint_lsn, Lsn);
        if to < self.checkpoint_lsn {
            return Err(ManifestError::CheckpointMovedBack { from: self.checkpoint_lsn, to });
        }
        Ok(to)
    }

    /// Rebuilds only the runs that lose or gain a table.
    fn with_changes(
        &self,
        added: &[Arc<Table>],
        gone: &HashMap<SstId, Arc<Table>>,
    ) -> Result<Self, ManifestError> {
        let mut next = self.clone();
        let mut new_runs: Vec<u64> =
            added.iter().filter(|table| table.info().level == 0).map(|table| table.info().run).collect();
        new_runs.retain(|number| self.runs.iter().all(|run| run.number != *number));
        new_runs.sort_unstable();
        new_runs.dedup();
        next.runs.extend(new_runs.into_iter().map(|number| Run { number, ..Run::empty() }));
        for run in &mut next.runs {
            let number = run.number;
            rebuild(run, gone, added, |info| info.level == 0 && info.run == number)?;
        }
        next.runs.retain(|run| !run.tables.is_empty());
        next.runs.sort_by_key(|run| Reverse(run.number));
        for (run, level) in next.levels.iter_mut().zip(1u32..) {
            rebuild(run, gone, added, |info| info.level == level)?;
        }
        Ok(next)
    }

    /// Runs of level 0, newest first.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Levels 1 to 6, in this order.
    #[must_use]
    pub fn levels(&self) -> &[Run; DEEP_LEVELS] {
        &self.levels
    }

    /// A level below level 0 by its number, 1 to 6.
    #[must_use]
    pub fn level(&self, level: u32) -> Option<&Run> {
        self.levels.get(usize::try_from(level).ok()?.checked_sub(1)?)
    }

    /// All runs in the order in which reads ask them: level 0 newest first, then levels 1 to 6.
    pub fn all_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().chain(&self.levels)
    }

    /// All tables, in the order of [`Self::all_runs`].
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.all_runs().flat_map(|run| run.tables.iter())
    }

    /// All writes up to this LSN are in tables, inclusive.
    #[must_use]
    pub fn checkpoint_lsn(&self) -> Lsn {
        self.checkpoint_lsn
    }

    /// The number for the next run of level 0.
    #[must_use]
    pub fn next_run(&self) -> u64 {
        self.next_run
    }

    /// Size of all objects.
    #[must_use]
    pub fn object_bytes(&self) -> u64 {
        self.all_runs().map(Run::object_bytes).sum()
    }

    /// Highest LSN in levels 1 to 6.
    #[must_use]
    pub fn deep_max_lsn(&self) -> Lsn {
        self.levels.iter().map(Run::max_lsn).max().unwrap_or_default()
    }
}

/// The tables that an edit adds, keeping what is loaded of those that only move.
fn added_tables(
    edit: &ManifestEdit,
    keep: &[&Arc<Table>],
    moved: &HashMap<SstId, Arc<Table>>,
) -> Result<Vec<Arc<Table>>, ManifestError> {
    let mut added: HashMap<SstId, Arc<Table>> = HashMap::with_capacity(edit.added.len());
    for meta in &edit.added {
        let info = TableInfo::try_from(meta).map_err(ManifestError::Format)?;
        if usize::try_from(info.level).map_or(true, |level| level > DEEP_LEVELS) {
            return Err(ManifestError::Level(info.level));
        }
        let id = info.id;
        let table = moved.get(&id).map_or_else(|| Table::new(info.clone()), |old| old.moved(info.clone()));
        if added.insert(id, Arc::new(table)).is_some() {
            return Err(ManifestError::Duplicate(id));
        }
    }
    match keep.iter().find(|table| added.contains_key(&table.id())) {
        Some(table) => Err(ManifestError::Duplicate(table.id())),
        None => Ok(added.into_values().collect()),
    }
}

fn rebuild(
    run: &mut Run,
    gone: &HashMap<SstId, Arc<Table>>,
    added: &[Arc<Table>],
    belongs: impl Fn(&TableInfo) -> bool,
) -> Result<(), ManifestError> {
    let loses = !gone.is_empty() && run.tables.iter().any(|table| gone.contains_key(&table.id()));
    let gains = added.iter().any(|table| belongs(table.info()));
    if loses || gains {
        let stay = run.tables.iter().filter(|table| !gone.contains_key(&table.id()));
        let come = added.iter().filter(|table| belongs(table.info()));
        *run = Run::new(run.number, stay.chain(come).cloned().collect())?;
    }
    Ok(())
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(error) => write!(f, "description of a table: {error}"),
            Self::Level(level) => write!(f, "level {level} does not exist"),
            Self::Unknown(id) => write!(f, "table {:032x} is removed and not there", id.0),
            Self::Duplicate(id) => write!(f, "table {:032x} is added twice", id.0),
            Self::Overlap { level, first, second } => {
                write!(f, "tables {:032x} and {:032x} of level {level} overlap", first.0, second.0)
            }
            Self::CheckpointMovedBack { from, to } => {
                write!(f, "checkpoint LSN would move back from {from} to {to}")
            }
        }
    }
}

impl std::error::Error for ManifestError {}
