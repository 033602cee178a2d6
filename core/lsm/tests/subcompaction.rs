//! Cutting a compaction: parts cover every key once, are of about the same size, and write disjoint tables.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use aquifer_format::{ManifestEdit, SstMeta};
use aquifer_lsm::subcompaction::split;
use aquifer_lsm::{
    BlockSource, CompactionJob, CompactionPolicy, KeyRange, Manifest, Memtable, Need, Retention, Rewrite,
    RewriteOptions, TableInfo, pick,
};
use aquifer_types::{Lsn, SstId};
use common::{Caching, Objects, now, run_rewrite};

const ROWS: u64 = 4_000;

fn ids(first: u128) -> Box<dyn FnMut() -> SstId + Send> {
    let mut next = first << 32;
    Box::new(move || {
        next += 1;
        SstId(next)
    })
}

/// Four runs that overlap entirely, as a job; one table each.
fn job(objects: &Objects) -> CompactionJob {
    let mut manifest = Manifest::new();
    for run in 1..=4u64 {
        let memtable = Arc::new(Memtable::new());
        for row in 0..ROWS {
            let (key, lsn) = ((row * 4 + run).to_be_bytes(), run * ROWS + row);
            memtable.insert(&key, Lsn(lsn), Some(&[u8::try_from(run).unwrap(); 40])).unwrap();
        }
        let options = RewriteOptions::flush(ids(u128::from(run)), run, 0);
        let infos = run_rewrite(Rewrite::flush(&[memtable], Retention::everything(), options), objects);
        let added = infos.iter().map(SstMeta::from).collect();
        let edit = ManifestEdit { added, checkpoint_lsn: Some(run * ROWS + ROWS), ..ManifestEdit::default() };
        manifest = manifest.apply(&edit).unwrap();
    }
    pick(&manifest, &CompactionPolicy::default(), &[]).unwrap()
}

fn write(objects: &Objects, job: &CompactionJob, ranges: &[KeyRange]) -> Vec<Vec<TableInfo>> {
    let part = |(number, range): (usize, &KeyRange)| {
        let options = RewriteOptions::compaction(ids(100 + number as u128), job, 0);
        run_rewrite(Rewrite::part(job, range, Retention::everything(), options), objects)
    };
    ranges.iter().enumerate().map(part).collect()
}

fn load_indexes(objects: &Objects, job: &CompactionJob) {
    job.tables().for_each(|table| drop(now(objects.load(Need::Meta(Arc::clone(table)))).unwrap()));
}

#[test]
fn split_covers_all_keys_without_overlap() {
    let objects = Objects::new(Caching::Everything);
    let job = job(&objects);
    load_indexes(&objects, &job);
    for parts in 1..=7 {
        let ranges = split(&job, parts, 1);
        assert_eq!(ranges.len(), parts);
        assert!(ranges[0].start.is_empty() && ranges[parts - 1].end.is_none());
        for pair in ranges.windows(2) {
            assert_eq!(pair[0].end.as_ref(), Some(&pair[1].start));
            assert!(pair[0].start < pair[1].start);
        }
    }
}

#[test]
fn split_parts_are_of_about_the_same_size_and_lose_nothing() {
    let objects = Objects::new(Caching::Everything);
    let job = job(&objects);
    load_indexes(&objects, &job);
    let written = write(&objects, &job, &split(&job, 4, 1));
    let entries: Vec<u64> = written.iter().map(|part| part.iter().map(|info| info.entries).sum()).collect();
    assert_eq!(entries.iter().sum::<u64>(), 4 * ROWS);
    for part in &entries {
        assert!(*part > ROWS / 2 && *part < ROWS * 2, "uneven: {entries:?}");
    }
    for pair in written.windows(2) {
        assert!(pair[0].last().unwrap().largest < pair[1].first().unwrap().smallest);
    }
}

#[test]
fn split_without_indexes_cuts_where_tables_begin() {
    let objects = Objects::new(Caching::Everything);
    let job = job(&objects);
    let ranges = split(&job, 4, 1);
    let written = write(&objects, &job, &ranges);
    assert_eq!(written.iter().flatten().map(|info| info.entries).sum::<u64>(), 4 * ROWS);
}

#[test]
fn split_of_small_job_is_one_part() {
    let objects = Objects::new(Caching::Everything);
    let job = job(&objects);
    assert_eq!(split(&job, 4, job.input_bytes() + 1).len(), 1);
    assert_eq!(split(&job, 4, job.input_bytes() / 2).len(), 2);
    assert_eq!(split(&job, 0, 1).len(), 1);
}
