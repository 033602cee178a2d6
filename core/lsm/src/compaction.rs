//! Picking what to compact: a pure function of the manifest and of what is running.
//!
//! Level 0 is tiered: runs pile up until there are enough, then all of them go to level 1 together. Levels 1
//! to 5 are leveled: when one is over its size, one table of it goes to the next, the one that has the least
//! to rewrite there. The level that is furthest over its limit comes first; when
//! none is, tables that are mostly tombstones go down.
//!
//! A table that has nothing below it to be merged with goes down as it is, except into the first level that is
//! compressed harder: entering that one is what compresses it (ADR 0162).
//!
//! What keeps "a higher level has the newer versions" true:
//! * Runs with writes above the checkpoint LSN stay in level 0: older writes may still be flushed.
//! * When a run in level 0 may be older than something in a deep level (tables of an index build, say), the
//!   job takes all levels down to there.
//! * Jobs that run at the same time have no level and key in common.

use std::collections::HashSet;
use std::sync::Arc;

use aquifer_format::sst::Compression;
use aquifer_format::{ManifestEdit, SstMeta, SstRef};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

use crate::manifest::{DEEP_LEVELS, Manifest};
use crate::retention::{Elsewhere, Tombstones};
use crate::table::{Table, TableInfo};

/// The first level whose tables are compressed harder if nothing is below them.
const DENSE_LEVEL_MIN: u32 = 2;
/// Bytes of deeper levels that an idle tree may rewrite for each byte of level 0.
const IDLE_REWRITE_MAX: u64 = 3;
/// A store at rest may hold one such part of a level above it without a rewrite.
const SPACE_SHARE: u64 = 8;
/// Tables of a level that are compared before the cheapest of them is taken.
const CANDIDATES_MAX: usize = 256;

/// The limits that picking goes by.
#[derive(Clone, Copy, Debug)]
pub struct CompactionPolicy {
    /// Runs in level 0 that start a compaction. Fewer: reads ask less; more: less is rewritten.
    pub runs_trigger: usize,
    /// Size of level 1; each level below may be `level_ratio` times as large.
    pub level1_bytes: u64,
    /// See `level1_bytes`.
    pub level_ratio: u64,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Reads the inputs and writes new tables.
    Rewrite,
    /// Changes the level of its only input; the object stays. Needs only [`CompactionJob::edit_of_move`].
    Move,
    /// Takes the inputs away, whose keys are all dead. Needs only [`CompactionJob::edit`] of nothing.
    Remove,
}

/// One compaction.
#[derive(Clone, Debug)]
pub struct CompactionJob {
    /// What is to be done.
    pub kind: JobKind,
    /// The tables, as sorted runs, newer ones first.
    pub inputs: Vec<Arc<Vec<Arc<Table>>>>,
    /// Where the output goes.
    pub output_level: u32,
    /// First user key of any input, inclusive.
    pub smallest: Bytes,
    /// Last user key of any input, inclusive.
    pub largest: Bytes,
    /// How the output is to be compressed.
    pub compression: Compression,
    /// Which tombstones may go.
    pub tombstones: Tombstones,
    /// The uppermost level that has an input.
    input_level: u32,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self { runs_trigger: 4, level1_bytes: 256 << 20, level_ratio: 10 }
    }
}

impl CompactionPolicy {
    /// The size that a level from 1 on may have.
    #[must_use]
    pub fn level_bytes_max(&self, level: u32) -> u64 {
        let steps = level.saturating_sub(1);
        self.level_ratio
            .checked_pow(steps)
            .and_then(|factor| self.level1_bytes.checked_mul(factor))
            .unwrap_or(u64::MAX)
    }
}

/// The compaction that is most due and can run beside those of `running`; `None` when nothing is due or all
/// that is has to wait for them.
#[must_use]
pub fn pick(
    manifest: &Manifest,
    policy: &CompactionPolicy,
    running: &[CompactionJob],
) -> Option<CompactionJob> {
    let busy: HashSet<SstId> = running.iter().flat_map(CompactionJob::input_ids).collect();
    let mut due = due_levels(manifest, policy, &busy);
    // Urgency in thousandths, so that it can be compared exactly.
    due.sort_by_key(|(level, urgency)| (std::cmp::Reverse(*urgency), *level));
    let by_size = due.into_iter().find_map(|(level, _)| match level {
        0 => pick_runs(manifest, running),
        level => pick_table(manifest, level, &busy, running, |_| true),
    });
    by_size.or_else(|| {
        // Tables of mostly tombstones are worth a rewrite before their level is full: each brings the
        // rows that it deletes a level nearer to their end, and scans past fewer of them.
        let levels = 1..max_level();
        levels.rev().find_map(|level| pick_table(manifest, level, &busy, running, is_mostly_tombstones))
    })
}

/// The compaction that is worth its bytes when nothing is due and nobody writes: what is left in level 0 goes
/// to level 1, so that a scan looks into fewer runs. Not when that would rewrite more than
/// [`IDLE_REWRITE_MAX`] times its size.
#[must_use]
pub fn pick_idle(manifest: &Manifest, running: &[CompactionJob]) -> Option<CompactionJob> {
    let shallow: u64 = eligible_runs(manifest).map(crate::manifest::Run::object_bytes).sum();
    let job = pick_runs(manifest, running)?;
    let deep = job.input_bytes().saturating_sub(shallow);
    (deep <= shallow.saturating_mul(IDLE_REWRITE_MAX)).then_some(job)
}

/// The compaction that is worth its bytes when nobody has written for long: it brings versions that may be out of
/// date to those that they replace, until no level holds more than one [`SPACE_SHARE`]th of the one below it, and tables
/// to where they are compressed harder. So a store at rest has little more than its live bytes (ADRs 0116 and 0162).
#[must_use]
pub fn pick_space(manifest: &Manifest, running: &[CompactionJob]) -> Option<CompactionJob> {
    let shallow: u64 = eligible_runs(manifest).map(crate::manifest::Run::object_bytes).sum();
    let runs = pick_runs(manifest, running)
        .filter(|job| job.input_bytes().saturating_sub(shallow) <= shallow.saturating_mul(SPACE_SHARE));
    let even = || {
        let pairs = (1u32..).zip(manifest.levels().windows(2));
        let uneven = pairs.filter(|(_, pair)| {
            let (above, below) = (pair[0].object_bytes(), pair[1].object_bytes());
            below > 0 && above.saturating_mul(SPACE_SHARE) > below
        });
        let nobody = HashSet::new();
        uneven
            .map(|(level, _)| level)
            .find_map(|level| pick_table(manifest, level, &nobody, running, |_| true))
    };
    runs.or_else(even).or_else(|| pick_dense(manifest, running))
}

/// A table that gets smaller where it goes: from above the levels that are compressed harder to the first of them. Not
/// one that would have more than its own size rewritten there.
fn pick_dense(manifest: &Manifest, running: &[CompactionJob]) -> Option<CompactionJob> {
    let above = DENSE_LEVEL_MIN - 1;
    let is_cheap = |info: &TableInfo| rewrite_per_mille(manifest, DENSE_LEVEL_MIN, info) <= 1000;
    if !is_bottom(manifest, DENSE_LEVEL_MIN) {
        return None;
    }
    pick_table(manifest, above, &HashSet::new(), running, is_cheap)
}

/// Whether no level below has a table.
fn is_bottom(manifest: &Manifest, level: u32) -> bool {
    (level + 1..=max_level()).all(|below| manifest.level(below).is_none_or(|run| run.tables().is_empty()))
}

/// Whether a store at rest gets smaller by a flush of `memtable` bytes: with them level 0 is more than one
/// [`SPACE_SHARE`]th of what is below it, so that [`pick_space`] brings both down.
#[must_use]
pub fn is_flush_worth_its_bytes(manifest: &Manifest, memtable: u64) -> bool {
    let shallow: u64 = manifest.runs().iter().map(crate::manifest::Run::object_bytes).sum();
    let deep: u64 = manifest.levels().iter().map(crate::manifest::Run::object_bytes).sum();
    shallow.saturating_add(memtable).saturating_mul(SPACE_SHARE) > deep
}

fn is_mostly_tombstones(info: &TableInfo) -> bool {
    info.tombstones > info.entries / 2
}

/// Levels that are at or over their limit, with how far in thousandths.
fn due_levels(manifest: &Manifest, policy: &CompactionPolicy, busy: &HashSet<SstId>) -> Vec<(u32, u64)> {
    let per_mille = |have: u64, limit: u64| have.saturating_mul(1000) / limit.max(1);
    let runs = eligible_runs(manifest).count();
    let mut due = vec![(0, per_mille(runs as u64, policy.runs_trigger as u64))];
    for (level, run) in (1u32..).zip(manifest.levels()).take(DEEP_LEVELS - 1) {
        let bytes: u64 = run
            .tables()
            .iter()
            .filter(|table| !busy.contains(&table.id()))
            .map(|table| table.info().object_bytes)
            .sum();
        due.push((level, per_mille(bytes, policy.level_bytes_max(level).saturating_add(1))));
    }
    due.retain(|(_, urgency)| *urgency >= 1000);
    due
}

/// Runs of level 0 below which nothing older can arrive any more.
fn eligible_runs(manifest: &Manifest) -> impl Iterator<Item = &crate::manifest::Run> {
    let checkpoint = manifest.checkpoint_lsn();
    manifest.runs().iter().filter(move |run| run.max_lsn() <= checkpoint)
}

pub(crate) fn pick_runs(manifest: &Manifest, running: &[CompactionJob]) -> Option<CompactionJob> {
    let mut parts: Vec<(u32, Arc<Vec<Arc<Table>>>)> =
        eligible_runs(manifest).map(|run| (0, Arc::clone(run.tables()))).collect();
    let min_lsn = eligible_runs(manifest).map(crate::manifest::Run::min_lsn).min()?;
    let shallow = parts.len();
    let mut output_level = 1;
    loop {
        parts.truncate(shallow);
        let mut hull = hull(&parts)?;
        for level in 1..=output_level {
            let overlapping = overlapping(manifest, level, &hull);
            if !overlapping.is_empty() {
                parts.push((level, Arc::new(overlapping)));
                hull = self::hull(&parts)?;
            }
        }
        // The deepest level that has something newer than the oldest input.
        let inverted = |level: &u32| {
            overlapping(manifest, *level, &hull).iter().any(|table| table.info().max_lsn >= min_lsn)
        };
        match (output_level + 1..=max_level()).rev().find(inverted) {
            Some(level) => output_level = level,
            None => return job(manifest, parts, 0, output_level, running),
        }
    }
}

pub(crate) fn pick_table(
    manifest: &Manifest,
    level: u32,
    busy: &HashSet<SstId>,
    running: &[CompactionJob],
    is_wanted: impl Fn(&TableInfo) -> bool,
) -> Option<CompactionJob> {
    let tables = manifest.level(level)?.tables();
    let mut candidates: Vec<(u64, &Arc<Table>)> = tables
        .iter()
        .filter(|table| !busy.contains(&table.id()) && is_wanted(table.info()))
        .map(|table| (rewrite_per_mille(manifest, level + 1, table.info()), table))
        .collect();
    // Cheapest first; among equals the oldest, so that every key gets its turn.
    candidates.sort_by_key(|(cost, table)| (*cost, table.info().max_lsn, table.info().smallest.clone()));
    candidates.into_iter().take(CANDIDATES_MAX).find_map(|(_, table)| {
        let info = table.info();
        let mut parts = vec![(level, Arc::new(vec![Arc::clone(table)]))];
        let below = overlapping(manifest, level + 1, &(info.smallest.clone(), info.largest.clone()));
        if !below.is_empty() {
            parts.push((level + 1, Arc::new(below)));
        }
        job(manifest, parts, level, level + 1, running)
    })
}

/// Bytes to rewrite in `level` for each thousand bytes that come down.
fn rewrite_per_mille(manifest: &Manifest, level: u32, info: &TableInfo) -> u64 {
    let below: u64 = overlapping(manifest, level, &(info.smallest.clone(), info.largest.clone()))
        .iter()
        .map(|table| table.info().object_bytes)
        .sum();
    below.saturating_mul(1000) / info.object_bytes.max(1)
}

/// Completes a job, unless it is in the way of a running one.
fn job(
    manifest: &Manifest,
    parts: Vec<(u32, Arc<Vec<Arc<Table>>>)>,
    input_level: u32,
    output_level: u32,
    running: &[CompactionJob],
) -> Option<CompactionJob> {
    let (smallest, largest) = hull(&parts)?;
    let inputs: Vec<_> = parts.into_iter().map(|(_, tables)| tables).collect();
    let is_single = inputs.iter().map(|tables| tables.len()).sum::<usize>() == 1;
    let is_dense = output_level >= DENSE_LEVEL_MIN && is_bottom(manifest, output_level);
    let becomes_dense = is_dense && input_level < DENSE_LEVEL_MIN;
    let needs_rewrite =
        |info: &TableInfo| becomes_dense || info.commit_lsn.is_some() || is_mostly_tombstones(info);
    let mut infos = inputs.iter().flat_map(|tables| tables.iter().map(|table| table.info()));
    let is_move = is_single && !infos.any(needs_rewrite);
    let kind = if is_move { JobKind::Move } else { JobKind::Rewrite };
    let ids: HashSet<SstId> =
        inputs.iter().flat_map(|tables| tables.iter().map(|table| table.id())).collect();
    let outside = manifest
        .tables()
        .map(|table| table.info())
        .filter(|info| !ids.contains(&info.id) && info.smallest <= largest && smallest <= info.largest);
    let elsewhere = outside.map(|info| (info.smallest.clone(), info.largest.clone(), info.min_lsn)).collect();
    let job = CompactionJob {
        kind,
        inputs,
        output_level,
        smallest,
        largest,
        compression: if is_dense { Compression::Zstd } else { Compression::Lz4 },
        tombstones: Tombstones::Drop {
            up_to: manifest.checkpoint_lsn(),
            elsewhere: Elsewhere::new(elsewhere),
        },
        input_level,
    };
    running.iter().all(|other| !job.conflicts_with(other)).then_some(job)
}

/// A job that replaces neighbouring tables of one run by at most as many there; `None` for no tables, and when it is in
/// the way of a running one.
pub(crate) fn in_place(
    kind: JobKind,
    manifest: &Manifest,
    level: u32,
    tables: Vec<Arc<Table>>,
    running: &[CompactionJob],
) -> Option<CompactionJob> {
    let job = job(manifest, vec![(level, Arc::new(tables))], level, level, running)?;
    Some(CompactionJob { kind, ..job })
}

impl CompactionJob {
    /// The tables that the job replaces.
    pub fn input_ids(&self) -> impl Iterator<Item = SstId> {
        self.tables().map(|table| table.id())
    }

    /// The tables that the job reads.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.inputs.iter().flat_map(|tables| tables.iter())
    }

    /// Size of all inputs.
    #[must_use]
    pub fn input_bytes(&self) -> u64 {
        self.tables().map(|table| table.info().object_bytes).sum()
    }

    /// Whether two jobs must not run at the same time: they have a level and a key in common.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let levels = self.input_level <= other.output_level && other.input_level <= self.output_level;
        levels && self.smallest <= other.largest && other.smallest <= self.largest
    }

    /// The edit that replaces the inputs by what was written.
    #[must_use]
    pub fn edit(&self, outputs: &[TableInfo]) -> ManifestEdit {
        let added = outputs.iter().map(|info| {
            let info = TableInfo { level: self.output_level, run: 0, ..info.clone() };
            SstMeta::from(&info)
        });
        let removed = self.tables().map(|table| SstRef::new(table.id(), table.info().level));
        ManifestEdit { added: added.collect(), removed: removed.collect(), ..ManifestEdit::default() }
    }

    /// The edit of a [`JobKind::Move`].
    #[must_use]
    pub fn edit_of_move(&self) -> ManifestEdit {
        let infos: Vec<TableInfo> = self.tables().map(|table| table.info().clone()).collect();
        self.edit(&infos)
    }

    /// The LSN above which no input has an entry.
    #[must_use]
    pub fn max_lsn(&self) -> Lsn {
        self.tables().map(|table| table.info().max_lsn).max().unwrap_or_default()
    }
}

fn overlapping(manifest: &Manifest, level: u32, range: &(Bytes, Bytes)) -> Vec<Arc<Table>> {
    manifest.level(level).map_or_else(Vec::new, |run| run.overlapping(&(&*range.0..=&*range.1)).to_vec())
}

/// Smallest and largest key of all parts.
fn hull(parts: &[(u32, Arc<Vec<Arc<Table>>>)]) -> Option<(Bytes, Bytes)> {
    let infos = || parts.iter().flat_map(|(_, tables)| tables.iter().map(|table| table.info()));
    let smallest = infos().map(|info| &info.smallest).min()?;
    let largest = infos().map(|info| &info.largest).max()?;
    Some((smallest.clone(), largest.clone()))
}

fn max_level() -> u32 {
    u32::try_from(DEEP_LEVELS).unwrap_or(u32::MAX)
}
