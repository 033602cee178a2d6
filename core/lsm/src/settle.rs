//! Bringing everything that is stored of a range to one level, whatever the size of the levels (OPTIMIZE TABLE).

use std::collections::HashSet;
use std::ops::Range;

use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

use crate::compaction::{CompactionJob, pick_runs, pick_table};
use crate::manifest::Manifest;
use crate::table::TableInfo;

/// What is to be settled.
#[derive(Clone, Debug)]
pub struct Settling {
    /// The keys.
    pub keys: Range<Bytes>,
    /// Tables with nothing older are left alone, so that writers cannot keep it from ending.
    pub up_to: Lsn,
}

impl Settling {
    fn concerns(&self, info: &TableInfo) -> bool {
        info.min_lsn <= self.up_to && info.smallest < self.keys.end && self.keys.start <= info.largest
    }

    /// Entries of tables over the range at each level from 0 on.
    fn entries(&self, manifest: &Manifest) -> Vec<u64> {
        let of_run = |run: &crate::manifest::Run| -> u64 {
            let tables = run.tables().iter().map(|table| table.info());
            tables.filter(|info| self.concerns(info)).map(|info| info.entries).sum()
        };
        let shallow = manifest.runs().iter().map(of_run).sum();
        std::iter::once(shallow).chain(manifest.levels().iter().map(of_run)).collect()
    }

    /// Entries in all tables over the range.
    #[must_use]
    pub fn in_all(&self, manifest: &Manifest) -> u64 {
        self.entries(manifest).iter().sum()
    }

    /// Entries in tables over the range that are not where they are to be: below level 0, and all in one level.
    #[must_use]
    pub fn left(&self, manifest: &Manifest) -> u64 {
        let entries = self.entries(manifest);
        let deepest = entries.iter().rposition(|entries| *entries > 0).unwrap_or(0);
        entries[..deepest.max(1)].iter().sum()
    }
}

/// What brings a range one step further; `None` when it is settled or has to wait for `running`.
#[must_use]
pub fn pick_settling(
    manifest: &Manifest,
    settling: &Settling,
    running: &[CompactionJob],
) -> Option<CompactionJob> {
    if settling.left(manifest) == 0 {
        return None;
    }
    let busy: HashSet<SstId> = running.iter().flat_map(CompactionJob::input_ids).collect();
    match settling.entries(manifest).iter().position(|entries| *entries > 0)? {
        0 => pick_runs(manifest, running),
        level => {
            let level = u32::try_from(level).ok()?;
            pick_table(manifest, level, &busy, running, |info| settling.concerns(info))
        }
    }
}
