//! The whole tree against a model: random writes, flushes, large transactions, compactions, and reads at
//! every read view, with a cache that keeps everything and with one that keeps nothing.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aquifer_format::sst::Compression;
use aquifer_format::{ManifestEdit, SstMeta};
use aquifer_lsm::subcompaction::split;
use aquifer_lsm::{
    BlockSource, CompactionJob, CompactionPolicy, Cursor, Direction, JobKind, KeyRange, Manifest, Memtable,
    Need, ReadState, Retention, Rewrite, RewriteOptions, TableBuilder, TableInfo, TableOptions, get_async,
    pick, verify,
};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;
use common::{Caching, Objects, now, run_rewrite};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Put(u16, u8),
    Delete(u16),
    /// A transaction whose tables go to level 0 at once.
    Spill(Vec<(u16, Option<u8>)>),
    Freeze,
    Flush,
    Compact,
    OpenView,
    CloseView,
    Check(u16, u16),
}

struct Tree {
    objects: Objects,
    active: Arc<Memtable>,
    /// Newest first, with the last LSN that each has.
    frozen: Vec<(Arc<Memtable>, Lsn)>,
    manifest: Arc<Manifest>,
    lsn: u64,
    next_id: u128,
    views: BTreeSet<Lsn>,
    /// All versions ever.
    model: BTreeMap<Vec<u8>, BTreeMap<u64, Option<Vec<u8>>>>,
    /// Reads below this LSN are at views only.
    floor: Lsn,
}

fn key_of(number: u16) -> Vec<u8> {
    format!("table/{:03}/{}", number / 7, number % 7).into_bytes()
}

fn value_of(lsn: u64, size: u8) -> Vec<u8> {
    format!("{lsn:04}").bytes().cycle().take(usize::from(size) + 4).collect()
}

impl Tree {
    fn new(caching: Caching) -> Self {
        Self {
            objects: Objects::new(caching),
            active: Arc::default(),
            frozen: Vec::new(),
            manifest: Arc::default(),
            lsn: 0,
            next_id: 1,
            views: BTreeSet::new(),
            model: BTreeMap::new(),
            floor: Lsn(0),
        }
    }

    fn write(&mut self, number: u16, size: Option<u8>) {
        self.lsn += 1;
        let (key, value) = (key_of(number), size.map(|size| value_of(self.lsn, size)));
        assert!(self.active.insert(&key, Lsn(self.lsn), value.as_deref()).unwrap());
        self.model.entry(key).or_default().insert(self.lsn, value);
    }

    fn spill(&mut self, writes: &[(u16, Option<u8>)]) {
        self.lsn += 1;
        let rows: BTreeMap<Vec<u8>, Option<Vec<u8>>> = writes
            .iter()
            .map(|(number, size)| (key_of(*number), size.map(|size| value_of(self.lsn, size))))
            .collect();
        let Some(id) = (!rows.is_empty()).then(|| self.new_ids()()) else { return };
        let mut builder = TableBuilder::new(small(id));
        for (key, value) in &rows {
            builder.add(key, Lsn(1), value.as_deref()).unwrap();
        }
        let built = builder.finish().unwrap();
        self.objects.put(id, built.object);
        let info = TableInfo { run: self.manifest.next_run(), commit_lsn: Some(Lsn(self.lsn)), ..built.info };
        let added = vec![SstMeta::from(&info)];
        self.apply(&ManifestEdit { added, ..ManifestEdit::default() });
        for (key, value) in rows {
            self.model.entry(key).or_default().insert(self.lsn, value);
        }
    }

    fn new_ids(&mut self) -> Box<dyn FnMut() -> SstId + Send> {
        let mut next = self.next_id;
        self.next_id += 1_000;
        Box::new(move || {
            next += 1;
            SstId(next)
        })
    }

    fn retention(&mut self) -> Retention {
        self.floor = self.floor.max(Lsn(self.lsn));
        Retention::new(self.views.iter().copied().collect(), Lsn(self.lsn))
    }

    fn apply(&mut self, edit: &ManifestEdit) {
        let bytes = edit.to_bytes();
        let edit = ManifestEdit::decode_verified(bytes).unwrap();
        self.manifest = Arc::new(self.manifest.apply(&edit).unwrap());
    }

    fn freeze(&mut self) {
        let full = std::mem::take(&mut self.active);
        self.frozen.insert(0, (full, Lsn(self.lsn)));
    }

    /// Flushes all frozen memtables.
    fn flush(&mut self) {
        let Some((_, upto)) = self.frozen.first().cloned() else { return };
        let memtables: Vec<_> = self.frozen.drain(..).map(|(memtable, _)| memtable).collect();
        let mut options = RewriteOptions::flush(self.new_ids(), self.manifest.next_run(), 77);
        (options.object_bytes_target, options.block_bytes_target) = (2_000, 300);
        let retention = self.retention();
        let infos = run_rewrite(Rewrite::flush(&memtables, retention, options), &self.objects);
        for info in &infos {
            assert_eq!(verify::verify(info.id, &self.objects.object(info.id)).unwrap().entries, info.entries);
        }
        let added = infos.iter().map(SstMeta::from).collect();
        self.apply(&ManifestEdit { added, checkpoint_lsn: Some(upto.0), ..ManifestEdit::default() });
    }

    fn compact(&mut self) {
        let policy = CompactionPolicy { runs_trigger: 2, level1_bytes: 3_000, level_ratio: 2 };
        let Some(job) = pick(&self.manifest, &policy, &[]) else { return };
        let edit = if job.kind == JobKind::Move {
            job.edit_of_move()
        } else {
            self.load_some_indexes(&job);
            let mut infos = Vec::new();
            for range in split(&job, 3, 2_000) {
                let mut options = RewriteOptions::compaction(self.new_ids(), &job, 78);
                (options.object_bytes_target, options.block_bytes_target) = (2_000, 300);
                let retention = self.retention();
                let rewrite = Rewrite::part(&job, &range, retention, options);
                infos.extend(run_rewrite(rewrite, &self.objects));
            }
            job.edit(&infos)
        };
        self.apply(&edit);
    }

    /// Cuts depend on which indexes are in memory: half of them.
    fn load_some_indexes(&self, job: &CompactionJob) {
        for table in job.tables().filter(|table| table.id().0 % 2 == 0) {
            now(self.objects.load(Need::Meta(Arc::clone(table)))).unwrap();
        }
    }

    fn state(&self) -> Arc<ReadState> {
        let frozen = self.frozen.iter().map(|(memtable, _)| Arc::clone(memtable)).collect();
        Arc::new(ReadState::new(Arc::clone(&self.active), frozen, Arc::clone(&self.manifest)))
    }

    fn check_all(&self, from: u16, to: u16) {
        let latest = [Lsn(self.lsn), Lsn::MAX];
        let above = (self.floor.0..=self.lsn).step_by(3).map(Lsn);
        for view in self.views.iter().copied().chain(latest).chain(above) {
            self.check_view(view, from, to);
        }
    }

    fn check_view(&self, view: Lsn, from: u16, to: u16) {
        let state = self.state();
        let visible: BTreeMap<&Vec<u8>, (u64, &Option<Vec<u8>>)> = self
            .model
            .iter()
            .filter_map(|(key, versions)| {
                versions.range(..=view.0).next_back().map(|(lsn, value)| (key, (*lsn, value)))
            })
            .collect();
        for number in [from, to, from / 2, (from + to) / 2] {
            let key = key_of(number);
            let found = now(get_async(&state, &self.objects, &key, view)).unwrap();
            let row = found.clone().and_then(|found| found.value).map(|value| value.to_vec());
            let expected = visible.get(&key).and_then(|(_, value)| (*value).clone());
            assert_eq!(row, expected, "get {:?} at {view}", String::from_utf8_lossy(&key));
            if let Some(found) = found {
                assert_eq!(Some(found.lsn.0), visible.get(&key).map(|(lsn, _)| *lsn));
            }
        }
        let ends = (Bytes::from(key_of(from)), Bytes::from(key_of(to)));
        for range in [KeyRange { start: ends.0, end: Some(ends.1) }, KeyRange::all()] {
            let is_inside =
                |key: &Vec<u8>| *range.start <= **key && range.end.as_ref().is_none_or(|end| **key < **end);
            let mut expected: Vec<(Vec<u8>, Vec<u8>)> = visible
                .iter()
                .filter(|(key, _)| is_inside(key))
                .filter_map(|(key, (_, value))| Some(((*key).clone(), (*value).clone()?)))
                .collect();
            for direction in [Direction::Forward, Direction::Backward] {
                let limit = 1 + usize::from(from % 9);
                let found = self.scan(&state, range.clone(), direction, view, limit);
                assert_eq!(found, expected, "scan {direction:?} of {range:?} at {view}");
                expected.reverse();
            }
        }
    }

    fn scan(
        &self,
        state: &Arc<ReadState>,
        range: KeyRange,
        direction: Direction,
        view: Lsn,
        limit: usize,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut cursor = Cursor::new(state, range, direction, view);
        let mut rows = Vec::new();
        loop {
            let before = rows.len();
            now(cursor.next_batch_async(&self.objects, &mut rows, limit)).unwrap();
            assert!(rows.len() - before <= limit);
            if rows.len() == before {
                return rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            }
        }
    }
}

fn small(id: SstId) -> TableOptions {
    TableOptions { id, compression: Compression::Lz4, block_bytes_target: 300, created_micros: 1 }
}

fn run(ops: &[Op], caching: Caching) {
    let mut tree = Tree::new(caching);
    for op in ops {
        match op {
            Op::Put(number, size) => tree.write(*number, Some(*size)),
            Op::Delete(number) => tree.write(*number, None),
            Op::Spill(writes) => tree.spill(writes),
            Op::Freeze => tree.freeze(),
            Op::Flush => {
                tree.freeze();
                tree.flush();
            }
            Op::Compact => tree.compact(),
            Op::OpenView => {
                tree.views.insert(Lsn(tree.lsn));
            }
            Op::CloseView => {
                tree.views.pop_first();
            }
            Op::Check(from, to) => tree.check_all(*from, *to),
        }
    }
    tree.check_all(0, 60);
    tree.freeze();
    tree.flush();
    for _ in 0..20 {
        tree.compact();
    }
    tree.check_all(10, 140);
    let rebuilt = Manifest::default()
        .apply(&ManifestEdit { added: tree.manifest.to_ssts(), ..ManifestEdit::default() })
        .unwrap();
    assert_eq!(rebuilt.to_ssts(), tree.manifest.to_ssts());
}

fn op() -> impl Strategy<Value = Op> {
    let number = prop_oneof![3 => 0u16..20, 2 => 0u16..150];
    let write = (number.clone(), prop::option::of(0u8..60));
    prop_oneof![
        20 => (number.clone(), 0u8..60).prop_map(|(number, size)| Op::Put(number, size)),
        6 => number.clone().prop_map(Op::Delete),
        1 => prop::collection::vec(write, 1..30).prop_map(Op::Spill),
        1 => Just(Op::Freeze),
        2 => Just(Op::Flush),
        3 => Just(Op::Compact),
        1 => Just(Op::OpenView),
        1 => Just(Op::CloseView),
        1 => (number.clone(), number).prop_map(|(from, to)| Op::Check(from.min(to), from.max(to))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn reads_equal_model_with_everything_cached(ops in prop::collection::vec(op(), 1..400)) {
        run(&ops, Caching::Everything);
    }

    #[test]
    fn reads_equal_model_with_nothing_cached(ops in prop::collection::vec(op(), 1..300)) {
        run(&ops, Caching::Nothing);
    }
}

#[test]
fn long_run_reaches_deep_levels_and_equals_model() {
    let mut tree = Tree::new(Caching::Everything);
    let mut seed = 0x5DEE_CE66_D1CE_4E5Bu64;
    let mut random = |bound: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % bound
    };
    let mut small = |bound: u16| u16::try_from(random(u64::from(bound))).unwrap();
    for round in 0..120u16 {
        for _ in 0..60 {
            let size = (small(5) > 0).then(|| u8::try_from(small(50)).unwrap());
            let number = if small(3) == 0 { 3 } else { small(600) };
            tree.write(number, size);
        }
        if round % 10 == 3 {
            let writes: Vec<_> = (0..40).map(|at| (small(20) + at * 13, Some(9))).collect();
            tree.spill(&writes);
        }
        if round % 7 == 0 {
            tree.views.insert(Lsn(tree.lsn));
        }
        if round % 21 == 20 {
            tree.views.pop_first();
        }
        tree.freeze();
        tree.flush();
        tree.compact();
        tree.compact();
        if round % 12 == 11 {
            tree.check_all(small(300), 300 + small(300));
        }
    }
    for _ in 0..200 {
        tree.compact();
    }
    tree.check_all(0, 599);
    let depth = tree.manifest.levels().iter().filter(|level| !level.tables().is_empty()).count();
    assert!(depth >= 4, "only {depth} levels are in use");

    // With all rows deleted and no views left, nothing but tombstones can remain.
    tree.views.clear();
    for number in 0..600 {
        tree.write(number, None);
    }
    tree.freeze();
    tree.flush();
    for round in 0..400 {
        // Runs that bring the compaction of everything about.
        tree.write(round % 600, None);
        tree.freeze();
        tree.flush();
        tree.compact();
    }
    for _ in 0..200 {
        tree.compact();
    }
    tree.check_all(0, 599);
    let versions: u64 = tree.manifest.tables().map(|table| table.info().entries).sum();
    assert!(versions < 3_000, "{versions} entries are left of nothing");
}
