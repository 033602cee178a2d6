//! Dead keys: tables that hold nothing else go at once, rewrites leave them out, half-dead tables are written again once.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use aquifer_format::{ManifestEdit, SstMeta};
use aquifer_lsm::{
    BlockSource, CompactionJob, CompactionPolicy, DeadKeys, DeadRange, JobKind, Manifest, Memtable, Need,
    Retention, Rewrite, RewriteOptions, TableInfo, pick, pick_dead,
};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;
use common::{Caching, Objects, now, run_rewrite};

const ROWS: u32 = 500;

fn key(index: u32, row: u32) -> [u8; 8] {
    (u64::from(index) << 32 | u64::from(row)).to_be_bytes()
}

fn dead(ids: &[(u32, u32)], died_micros: u64) -> DeadKeys {
    let at = |id: u32| Bytes::copy_from_slice(&id.to_be_bytes());
    let range = |&(start, end): &(u32, u32)| DeadRange { keys: at(start)..at(end), died_micros };
    DeadKeys::new(ids.iter().map(range).collect())
}

struct Tree {
    manifest: Manifest,
    objects: Objects,
    next_id: u128,
    lsn: u64,
}

impl Tree {
    fn new() -> Self {
        Self { manifest: Manifest::new(), objects: Objects::new(Caching::Everything), next_id: 0, lsn: 0 }
    }

    fn options(&mut self, run: u64, created_micros: u64) -> RewriteOptions {
        self.next_id += 1;
        let mut next = self.next_id << 32;
        let new_id = Box::new(move || {
            next += 1;
            SstId(next)
        });
        RewriteOptions { object_bytes_target: 8 << 10, ..RewriteOptions::flush(new_id, run, created_micros) }
    }

    /// Flushes rows of these indexes as one run; the number of tables that it has.
    fn flush(&mut self, indexes: &[u32], retention: Retention) -> usize {
        let memtable = Arc::new(Memtable::new());
        for (index, row) in indexes.iter().flat_map(|index| (0..ROWS).map(move |row| (*index, row))) {
            self.lsn += 1;
            let value = format!("{:x}", u64::from(row).wrapping_mul(0x9E37_79B9_7F4A_7C15)).repeat(4);
            memtable.insert(&key(index, row), Lsn(self.lsn), Some(value.as_bytes())).unwrap();
        }
        let options = self.options(self.manifest.next_run(), 100);
        let infos = run_rewrite(Rewrite::flush(&[memtable], retention, options), &self.objects);
        let added = infos.iter().map(SstMeta::from).collect();
        let checkpoint_lsn = Some(self.lsn);
        self.apply(&ManifestEdit { added, checkpoint_lsn, ..ManifestEdit::default() });
        infos.len()
    }

    fn apply(&mut self, edit: &ManifestEdit) {
        self.manifest = self.manifest.apply(edit).unwrap();
        self.manifest.tables().for_each(|table| drop(now(self.objects.load(Need::Meta(Arc::clone(table))))));
    }

    fn rewrite(&mut self, job: &CompactionJob, dead: &DeadKeys, created_micros: u64) {
        let target = self.options(0, created_micros);
        let options = RewriteOptions {
            object_bytes_target: target.object_bytes_target,
            ..RewriteOptions::compaction(target.new_id, job, created_micros)
        };
        let retention = Retention::everything().without(dead.clone());
        let infos = run_rewrite(Rewrite::compaction(job, retention, options), &self.objects);
        self.apply(&job.edit(&infos));
    }

    /// Everything to level 1.
    fn compact(&mut self) {
        let policy = CompactionPolicy { runs_trigger: 1, ..CompactionPolicy::default() };
        let job = pick(&self.manifest, &policy, &[]).unwrap();
        match job.kind {
            JobKind::Move => self.apply(&job.edit_of_move()),
            _ => self.rewrite(&job, &DeadKeys::default(), 100),
        }
    }

    fn indexes(&self) -> Vec<u32> {
        let id = |key: &Bytes| u32::from_be_bytes(*key.first_chunk().unwrap());
        let info = |info: &TableInfo| [id(&info.smallest), id(&info.largest)];
        let mut ids: Vec<u32> = self.manifest.tables().flat_map(|table| info(table.info())).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn entries(&self) -> u64 {
        self.manifest.tables().map(|table| table.info().entries).sum()
    }
}

#[test]
fn pick_dead_removes_only_tables_without_any_living_key() {
    let mut tree = Tree::new();
    tree.flush(&[1, 2, 3], Retention::everything());
    let tables = tree.flush(&[1, 2, 3], Retention::everything());
    assert!(tables > 8);
    assert!(pick_dead(&tree.manifest, &DeadKeys::default(), 2, &[]).is_none());
    assert!(pick_dead(&tree.manifest, &dead(&[(4, 9)], 200), 2, &[]).is_none(), "nobody has keys of these");
    let two = dead(&[(2, 3)], 200);
    let first = pick_dead(&tree.manifest, &two, 2, &[]).unwrap();
    assert_eq!(first.kind, JobKind::Remove);
    assert!(first.tables().all(|table| two.cover(table.info())) && first.tables().count() > 1);
    let second = pick_dead(&tree.manifest, &two, 2, std::slice::from_ref(&first));
    assert!(second.is_none(), "jobs in level 0 do not overlap");
    tree.apply(&first.edit(&[]));
    let second = pick_dead(&tree.manifest, &two, 2, &[]).unwrap();
    tree.apply(&second.edit(&[]));
    assert!(pick_dead(&tree.manifest, &two, 2, &[]).is_none(), "level 0 is left to compactions");
    assert!(tree.manifest.tables().all(|table| !two.cover(table.info())));
    assert!(tree.entries() >= u64::from(4 * ROWS));
}

#[test]
fn pick_dead_leaves_what_a_running_job_reads() {
    let mut tree = Tree::new();
    tree.flush(&[1, 2], Retention::everything());
    let policy = CompactionPolicy { runs_trigger: 1, ..CompactionPolicy::default() };
    let running = pick(&tree.manifest, &policy, &[]).unwrap();
    assert!(pick_dead(&tree.manifest, &dead(&[(1, 3)], 200), 2, &[running]).is_none());
    assert!(pick_dead(&tree.manifest, &dead(&[(1, 3)], 200), 2, &[]).is_some());
}

#[test]
fn rewrites_leave_dead_keys_out() {
    let mut tree = Tree::new();
    let retention = Retention::everything().without(dead(&[(1, 2), (3, 4), (7, 8)], 200));
    tree.flush(&[1, 2, 3, 4], retention);
    assert_eq!((tree.entries(), tree.indexes()), (u64::from(2 * ROWS), vec![2, 4]));
    let gone = tree.flush(&[7], Retention::everything().without(dead(&[(7, 8)], 200)));
    assert_eq!(gone, 0, "nothing to write");
}

#[test]
fn a_table_that_is_half_dead_is_rewritten_in_its_place_once() {
    let mut tree = Tree::new();
    tree.flush(&[1, 2, 3], Retention::everything());
    tree.compact();
    let three = dead(&[(1, 2), (3, 4)], 200);
    let mut kinds = Vec::new();
    while let Some(job) = pick_dead(&tree.manifest, &three, 2, &[]) {
        assert_eq!(job.output_level, 1);
        match job.kind {
            JobKind::Remove => tree.apply(&job.edit(&[])),
            _ => tree.rewrite(&job, &three, 300),
        }
        kinds.push(job.kind);
        assert!(kinds.len() < 9, "comes to rest");
    }
    assert!(kinds.contains(&JobKind::Remove), "{kinds:?}");
    assert!(tree.manifest.levels()[0].tables().len() == tree.manifest.tables().count());
    assert!(tree.entries() >= u64::from(ROWS) && tree.entries() < u64::from(2 * ROWS), "{}", tree.entries());
    // Rows that died before a table was written cannot be in it.
    assert!(pick_dead(&tree.manifest, &dead(&[(2, 3)], 50), 2, &[]).is_some(), "all of index 2 goes");
}
