//! Picking compactions: it comes to rest, jobs never get in each other's way, and the tree stays in order.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use aquifer_format::sst::Compression;
use aquifer_format::{ManifestEdit, SstMeta};
use aquifer_lsm::{
    BlockHandle, CompactionJob, CompactionPolicy, JobKind, Manifest, Retention, Settling, TableInfo,
    is_flush_worth_its_bytes, pick, pick_idle, pick_settling, pick_space,
};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;
use proptest::prelude::*;

const POLICY: CompactionPolicy = CompactionPolicy { runs_trigger: 4, level1_bytes: 1_000, level_ratio: 10 };
const TABLE_BYTES: u64 = 100;

struct Tree {
    manifest: Manifest,
    next_id: u128,
    lsn: u64,
    running: Vec<CompactionJob>,
}

fn key(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

impl Tree {
    fn new() -> Self {
        Self { manifest: Manifest::new(), next_id: 1, lsn: 0, running: Vec::new() }
    }

    fn table(&mut self, keys: (u32, u32), lsns: (u64, u64), run: u64) -> TableInfo {
        self.next_id += 1;
        TableInfo {
            id: SstId(self.next_id),
            level: 0,
            run,
            smallest: key(keys.0),
            largest: key(keys.1),
            min_lsn: Lsn(lsns.0),
            max_lsn: Lsn(lsns.1),
            object_bytes: TABLE_BYTES,
            entries: 10,
            tombstones: 1,
            raw_bytes: 1_000,
            index: BlockHandle { offset: 50, len: 20 },
            filter: BlockHandle { offset: 70, len: 20 },
            created_micros: 0,
            commit_lsn: None,
        }
    }

    fn flush(&mut self, keys: (u32, u32), tables: u32) {
        let run = self.manifest.next_run();
        let lsns = (self.lsn + 1, self.lsn + 10);
        self.lsn += 10;
        let step = (keys.1 - keys.0) / tables + 1;
        let added = (0..tables)
            .map(|table| {
                let start = keys.0 + table * step;
                SstMeta::from(&self.table((start, start + step - 1), lsns, run))
            })
            .collect();
        let edit = ManifestEdit { added, checkpoint_lsn: Some(self.lsn), ..ManifestEdit::default() };
        self.manifest = self.manifest.apply(&edit).unwrap();
    }

    fn start(&mut self) -> bool {
        let Some(job) = pick(&self.manifest, &POLICY, &self.running) else { return false };
        let own: HashSet<SstId> = job.input_ids().collect();
        for other in &self.running {
            assert!(!job.conflicts_with(other));
            assert!(other.input_ids().all(|id| !own.contains(&id)), "two jobs have an input in common");
        }
        self.running.push(job);
        true
    }

    /// Ends a job: its output has as many tables as its input, over the same keys.
    fn end(&mut self, index: usize) {
        let job = self.running.swap_remove(index);
        let edit = if job.kind == JobKind::Move { job.edit_of_move() } else { job.edit(&self.output(&job)) };
        self.manifest = self.manifest.apply(&edit).expect("the output overlaps nothing");
        self.check_order();
    }

    fn output(&mut self, job: &CompactionJob) -> Vec<TableInfo> {
        let number = |key: &Bytes| u32::from_be_bytes((&**key).try_into().unwrap());
        let mut cuts: Vec<u32> = job.tables().map(|table| number(&table.info().largest)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let min_lsn = job.tables().map(|table| table.info().min_lsn).min().unwrap();
        let mut start = number(&job.smallest);
        let mut infos = Vec::new();
        for cut in cuts {
            if cut >= start {
                infos.push(self.table((start, cut), (min_lsn.0, job.max_lsn().0), 0));
                start = cut + 1;
            }
        }
        infos
    }

    /// No deep level has a table that could hide something newer below it.
    fn check_order(&self) {
        for job in &self.running {
            for table in job.tables() {
                let info = table.info();
                assert!(self.manifest.tables().any(|live| live.id() == info.id), "an input has gone");
            }
        }
    }

    fn rest(&mut self) {
        for _ in 0..10_000 {
            while self.start() {}
            if self.running.is_empty() {
                return;
            }
            self.end(0);
        }
        panic!("picking does not come to rest");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn pick_repeatedly_comes_to_rest(
        steps in prop::collection::vec((0u32..10_000, 1u32..5_000, 1u32..6, 0usize..4), 1..60),
    ) {
        let mut tree = Tree::new();
        for (start, width, tables, finish) in steps {
            tree.flush((start, start + width), tables);
            while tree.running.len() < 3 && tree.start() {}
            for _ in 0..finish.min(tree.running.len()) {
                let last = tree.running.len() - 1;
                tree.end(finish % (last + 1));
            }
        }
        tree.rest();
        prop_assert!(tree.manifest.runs().len() < POLICY.runs_trigger);
        for (level, run) in (1..).zip(tree.manifest.levels()) {
            prop_assert!(level == 6 || run.object_bytes() <= POLICY.level_bytes_max(level));
        }
    }
}

#[test]
fn pick_below_trigger_does_nothing() {
    let mut tree = Tree::new();
    for _ in 0..3 {
        tree.flush((0, 100), 1);
        assert!(pick(&tree.manifest, &POLICY, &[]).is_none());
    }
    tree.flush((0, 100), 1);
    let job = pick(&tree.manifest, &POLICY, &[]).unwrap();
    assert_eq!((job.kind, job.output_level, job.inputs.len()), (JobKind::Rewrite, 1, 4));
    assert!(pick(&tree.manifest, &POLICY, &[job]).is_none());
}

#[test]
fn pick_idle_empties_level_zero_unless_too_much_is_rewritten() {
    let mut tree = Tree::new();
    assert!(pick_idle(&tree.manifest, &[]).is_none(), "there is nothing");
    (0..4).for_each(|_| tree.flush((0, 999), 5));
    tree.rest();
    assert_eq!((tree.manifest.runs().len(), tree.manifest.levels()[0].tables().len()), (0, 5));
    tree.flush((0, 999), 1);
    assert!(pick_idle(&tree.manifest, &[]).is_none(), "five tables would be rewritten for one");
    tree.flush((0, 999), 1);
    assert!(pick(&tree.manifest, &POLICY, &[]).is_none(), "not due");
    let job = pick_idle(&tree.manifest, &[]).expect("five tables for two are worth it");
    assert_eq!((job.output_level, job.tables().count()), (1, 7));
    assert!(pick_idle(&tree.manifest, std::slice::from_ref(&job)).is_none(), "it runs already");
    tree.running.push(job);
    tree.end(0);
    assert!(tree.manifest.runs().is_empty());
}

#[test]
fn pick_space_leaves_an_eighth_of_each_level_above_it_at_most() {
    let mut tree = Tree::new();
    assert!(pick_space(&tree.manifest, &[]).is_none(), "there is nothing");
    (0..4).for_each(|_| tree.flush((0, 999), 5));
    tree.rest();
    assert_eq!((tree.manifest.runs().len(), tree.manifest.levels()[0].tables().len()), (0, 5));
    tree.flush((0, 999), 1);
    assert!(pick_idle(&tree.manifest, &[]).is_none(), "too much for a short rest");
    let job = pick_space(&tree.manifest, &[]).expect("a fifth is too much for a long one");
    assert_eq!((job.output_level, job.tables().count()), (1, 6));
    tree.running.push(job);
    tree.end(0);
    let level = tree.manifest.levels()[0].object_bytes();
    assert!(!is_flush_worth_its_bytes(&tree.manifest, level / 8), "an eighth may be above");
    assert!(is_flush_worth_its_bytes(&tree.manifest, level / 8 + 1));
    // Grows two levels, then rests.
    for turn in 1..40 {
        tree.flush((turn * 1_000, turn * 1_000 + 999), 5);
        tree.rest();
    }
    assert!(tree.manifest.levels()[1].object_bytes() > 0);
    let mut jobs = 0;
    while let Some(job) = pick_space(&tree.manifest, &[]) {
        tree.running.push(job);
        tree.end(0);
        jobs += 1;
        assert!(jobs < 1_000, "it does not come to an end");
    }
    for pair in tree.manifest.levels().windows(2) {
        let (above, below) = (pair[0].object_bytes(), pair[1].object_bytes());
        assert!(below == 0 || above * 8 <= below, "{above} above {below}");
    }
}

#[test]
fn pick_settling_brings_a_range_to_one_level_and_leaves_the_rest_and_what_is_newer() {
    let mut tree = Tree::new();
    for turn in 0..40 {
        tree.flush((turn % 4 * 1_000, turn % 4 * 1_000 + 2_999), 5);
        tree.rest();
    }
    tree.flush((0, 9_999), 5);
    let all = Settling { keys: key(0)..key(10_000), up_to: Lsn(tree.lsn) };
    let none = Settling { keys: key(20_000)..key(30_000), up_to: Lsn(tree.lsn) };
    assert!(all.left(&tree.manifest) > 0 && none.in_all(&tree.manifest) == 0);
    assert!(pick_settling(&tree.manifest, &none, &[]).is_none());
    let mut jobs = 0;
    while let Some(job) = pick_settling(&tree.manifest, &all, &[]) {
        assert!(pick_settling(&tree.manifest, &all, std::slice::from_ref(&job)).is_none_or(|other| {
            let own: HashSet<SstId> = job.input_ids().collect();
            other.input_ids().all(|id| !own.contains(&id))
        }));
        tree.running.push(job);
        tree.end(0);
        jobs += 1;
        assert!(jobs < 1_000, "it does not come to an end");
        if jobs == 3 {
            // Writers go on.
            tree.flush((0, 9_999), 5);
        }
    }
    assert_eq!(all.left(&tree.manifest), 0);
    let old = tree.manifest.tables().filter(|table| table.info().min_lsn <= all.up_to);
    let levels: HashSet<u32> = old.map(|table| table.info().level).collect();
    assert_eq!(levels.len(), 1, "{levels:?}");
    assert!(!levels.contains(&0));
    tree.flush((0, 9_999), 5);
    assert!(pick_settling(&tree.manifest, &all, &[]).is_none(), "newer");
}

#[test]
fn pick_space_compresses_harder_what_only_lz4_has() {
    let mut tree = Tree::new();
    (0..4).for_each(|_| tree.flush((0, 999), 5));
    tree.rest();
    assert_eq!(tree.manifest.levels()[0].tables().len(), 5);
    let mut jobs = 0;
    while let Some(job) = pick_space(&tree.manifest, &[]) {
        assert_eq!(
            (job.kind, job.output_level),
            (JobKind::Rewrite, 2),
            "a table that is moved stays as it is"
        );
        assert_eq!((job.compression, job.tables().count()), (Compression::Zstd, 1));
        tree.running.push(job);
        tree.end(0);
        jobs += 1;
        assert!(jobs <= 5, "each table once");
    }
    let tables = |level: usize| tree.manifest.levels()[level].tables().len();
    assert_eq!((tables(0), tables(1), jobs), (0, 5, 5));
}

#[test]
fn pick_space_leaves_a_table_that_overlaps_more_than_its_size() {
    let mut tree = Tree::new();
    (0..4).for_each(|_| tree.flush((0, 9_999), 40));
    tree.rest();
    while let Some(job) = pick_space(&tree.manifest, &[]) {
        tree.running.push(job);
        tree.end(0);
    }
    assert_eq!(tree.manifest.levels()[1].tables().len(), 40);
    // Of two tables of level 1, one lies over all of level 2 and one beyond it.
    let wide = TableInfo { level: 1, ..tree.table((0, 9_999), (900, 900), 0) };
    let beyond = TableInfo { level: 1, ..tree.table((20_000, 20_999), (900, 900), 0) };
    let added = vec![SstMeta::from(&wide), SstMeta::from(&beyond)];
    let edit = ManifestEdit { added, checkpoint_lsn: Some(900), ..ManifestEdit::default() };
    tree.manifest = tree.manifest.apply(&edit).unwrap();
    let job = pick_space(&tree.manifest, &[]).expect("the one beyond gets smaller for nothing");
    assert_eq!(job.input_ids().collect::<Vec<_>>(), [beyond.id]);
    tree.running.push(job);
    tree.end(0);
    assert!(pick_space(&tree.manifest, &[]).is_none());
}

#[test]
fn pick_leaves_runs_above_checkpoint() {
    let mut tree = Tree::new();
    for _ in 0..4 {
        tree.flush((0, 100), 1);
    }
    let info = tree.table((0, 100), (60, 60), tree.manifest.next_run());
    let early = ManifestEdit { added: vec![SstMeta::from(&info)], ..ManifestEdit::default() };
    tree.manifest = tree.manifest.apply(&early).unwrap();
    let job = pick(&tree.manifest, &POLICY, &[]).unwrap();
    assert!(job.input_ids().all(|id| id != info.id));
}

#[test]
fn pick_of_older_run_takes_the_levels_that_are_newer() {
    let mut tree = Tree::new();
    tree.lsn = 1_000;
    for (level, lsns) in [(1, (900, 990)), (2, (800, 890)), (3, (700, 790))] {
        let info = TableInfo { level, ..tree.table((0, 1_000), lsns, 0) };
        let added = vec![SstMeta::from(&info)];
        tree.manifest = tree.manifest.apply(&ManifestEdit { added, ..ManifestEdit::default() }).unwrap();
    }
    for lsns in [(850, 850), (1_001, 1_010), (1_011, 1_020), (1_021, 1_030)] {
        let info = tree.table((500, 600), lsns, tree.manifest.next_run());
        let (added, checkpoint_lsn) = (vec![SstMeta::from(&info)], Some(1_030));
        let edit = ManifestEdit { added, checkpoint_lsn, ..ManifestEdit::default() };
        tree.manifest = tree.manifest.apply(&edit).unwrap();
    }
    let job = pick(&tree.manifest, &POLICY, &[]).unwrap();
    assert_eq!(job.output_level, 2, "level 2 has entries up to 890, newer than 850; level 3 has not");
    assert_eq!(job.tables().count(), 6);
}

#[test]
fn apply_of_wrong_edit_is_refused() {
    let mut tree = Tree::new();
    tree.flush((0, 100), 2);
    let overlap = TableInfo { run: 1, ..tree.table((50, 60), (1, 1), 1) };
    let add = |info: &TableInfo| ManifestEdit { added: vec![SstMeta::from(info)], ..ManifestEdit::default() };
    assert!(tree.manifest.apply(&add(&overlap)).is_err());
    assert!(tree.manifest.apply(&add(&TableInfo { level: 7, ..overlap.clone() })).is_err());
    let twice = tree.manifest.tables().next().unwrap().info().clone();
    assert!(tree.manifest.apply(&add(&TableInfo { level: 1, ..twice.clone() })).is_err());
    let reference = aquifer_format::SstRef::new(twice.id, 1);
    let remove = ManifestEdit { removed: vec![reference], ..ManifestEdit::default() };
    assert!(tree.manifest.apply(&remove).is_err(), "it is on level 0");
    let back = ManifestEdit { checkpoint_lsn: Some(1), ..ManifestEdit::default() };
    assert!(tree.manifest.apply(&back).is_err());
}

#[test]
fn retention_keeps_what_views_see() {
    let retention = Retention::new(vec![Lsn(30), Lsn(10), Lsn(10)], Lsn(50));
    // Versions of one key, newest first: 60, 50, 40, 31, 29, 12, 9, 5.
    let versions = [60, 50, 40, 31, 29, 12, 9, 5];
    let mut newer = None;
    let mut kept = Vec::new();
    for lsn in versions {
        if retention.needs(Lsn(lsn), newer) {
            kept.push(lsn);
        }
        newer = Some(Lsn(lsn));
    }
    assert_eq!(kept, [60, 50, 29, 9]);
    assert_eq!(retention.oldest(), Lsn(10));
}
