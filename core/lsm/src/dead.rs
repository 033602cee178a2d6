//! Keys that nobody can read any more, and how tables that hold them go (ADR 0167).

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use aquifer_types::SstId;
use bytes::Bytes;

use crate::compaction::{CompactionJob, JobKind, in_place};
use crate::estimate::in_table;
use crate::manifest::{Manifest, Run};
use crate::table::{Table, TableInfo};

/// Ranges of dead keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadKeys(Arc<[DeadRange]>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRange {
    /// The keys.
    pub keys: Range<Bytes>,
    /// When they died, in microseconds since 1970.
    pub died_micros: u64,
}

impl DeadKeys {
    /// Ranges that do not overlap, in any order.
    #[must_use]
    pub fn new(mut ranges: Vec<DeadRange>) -> Self {
        ranges.sort_by(|left, right| left.keys.start.cmp(&right.keys.start));
        Self(ranges.into())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is dead. `at` is 0 for the first of several ascending keys and then what the call before left there.
    pub(crate) fn contains_from(&self, at: &mut usize, key: &[u8]) -> bool {
        while self.0.get(*at).is_some_and(|range| *range.keys.end <= *key) {
            *at += 1;
        }
        self.0.get(*at).is_some_and(|range| *range.keys.start <= *key)
    }

    /// The ranges that may have keys of a table.
    fn of(&self, info: &TableInfo) -> &[DeadRange] {
        let first = self.0.partition_point(|range| range.keys.end <= info.smallest);
        let end = self.0.partition_point(|range| range.keys.start <= info.largest);
        &self.0[first..end.max(first)]
    }

    /// Whether all keys of a table are dead.
    #[must_use]
    pub fn cover(&self, info: &TableInfo) -> bool {
        matches!(self.of(info), [only] if only.keys.start <= info.smallest && info.largest < only.keys.end)
    }

    /// Whether at least one `share`th of a table is dead, as far as is known without reading it, and was not when it was
    /// written.
    fn are_much_of(&self, table: &Arc<Table>, share: u64) -> bool {
        let info = table.info();
        let ranges = self.of(info);
        let died_later = |range: &DeadRange| info.created_micros <= range.died_micros;
        if !table.has_meta() || !ranges.iter().any(died_later) {
            return false;
        }
        let dead: u64 =
            ranges.iter().map(|range| in_table(table, &(&*range.keys.start..&*range.keys.end)).bytes).sum();
        dead.saturating_mul(share) >= info.object_bytes
    }
}

/// What dead keys make due: neighbouring tables that hold nothing else go, a table below level 0 of which they are one
/// `share`th is rewritten in its place.
#[must_use]
pub fn pick_dead(
    manifest: &Manifest,
    dead: &DeadKeys,
    share: u64,
    running: &[CompactionJob],
) -> Option<CompactionJob> {
    if dead.is_empty() {
        return None;
    }
    let busy: HashSet<SstId> = running.iter().flat_map(CompactionJob::input_ids).collect();
    let is_free = |table: &Arc<Table>| !busy.contains(&table.id());
    let runs = || manifest.runs().iter().map(|run| (0, run)).chain((1..).zip(manifest.levels()));
    let removal = |(level, run): (u32, &Run)| {
        let mut rest = run.tables().iter().skip_while(|table| !dead.cover(table.info()));
        let neighbours: Vec<_> =
            rest.by_ref().take_while(|table| dead.cover(table.info())).cloned().collect();
        let is_free = neighbours.iter().all(is_free);
        is_free.then(|| in_place(JobKind::Remove, manifest, level, neighbours, running)).flatten()
    };
    let rewrite = |(level, run): (u32, &Run)| {
        let mut much_dead =
            run.tables().iter().filter(|table| is_free(table) && dead.are_much_of(table, share));
        much_dead
            .find_map(|table| in_place(JobKind::Rewrite, manifest, level, vec![Arc::clone(table)], running))
    };
    runs().find_map(removal).or_else(|| runs().filter(|(level, _)| *level > 0).find_map(rewrite))
}
