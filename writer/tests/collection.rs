//! Collection on a store: what goes, what stays, and a stop at every deletion.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use aquifer_commitlog::LogIndex;
use aquifer_format::{
    ForkRecord, ManifestEdit, Pin, SstMeta, SstRef, checkpoint_key, head_key, link_key, pin_key, sst_key,
};
use aquifer_objstore::{Fault, Operation, StoreErrorKind, block_on};
use aquifer_shard::chain::{self, ChainState};
use aquifer_types::{BranchName, LinkSeq, Lsn, SstId};
use aquifer_writer::collection::{CollectionCounts, CollectionOptions, Collector};
use aquifer_writer::outbox::{Metas, Origin};
use aquifer_writer::publisher::Ended;
use support::{Count, Rig, group, table};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Four flushes, a checkpoint, an hour later a compaction of all four and a checkpoint; all of it three days old.
fn aged(base: &Path) -> (Rig, JoinHandle<Ended>) {
    let groups: Vec<_> = (1..=4).map(|lsn| group(lsn, 10)).collect();
    let rig = Rig::new(base, &groups);
    let thread = rig.run();
    for (at, group) in groups.iter().enumerate() {
        let lsn = at as u64 + 1;
        rig.publisher.push_group(group.clone(), LogIndex(lsn));
        rig.flush(&table(u128::from(lsn), lsn), lsn, lsn);
    }
    assert!(block_on(rig.publisher.request_checkpoint()).unwrap());
    // Tables are judged only if they are clearly older than the checkpoint from which the window is read.
    age(&base.join("store"), Duration::from_secs(3600));
    compact_to_table_5(&rig, 4);
    age(&base.join("store"), 3 * DAY);
    (rig, thread)
}

/// Replaces tables 1 to `last`, which are in level 0, by table 5 in level 1, with a checkpoint after it.
fn compact_to_table_5(rig: &Rig, last: u64) {
    let compacted = table(5, last);
    block_on(rig.outbox.table(SstId(5), compacted.object.clone(), Origin::Compaction)).unwrap();
    let edit = ManifestEdit {
        added: vec![SstMeta { level: 1, ..SstMeta::from(&compacted.info) }],
        removed: (1..=u128::from(last)).map(|id| SstRef::new(SstId(id), 0)).collect(),
        ..ManifestEdit::default()
    };
    block_on(rig.outbox.edit(edit, Metas::new(), Origin::Compaction)).unwrap();
    assert!(block_on(rig.publisher.request_checkpoint()).unwrap());
}

/// Makes everything in a directory older.
fn age(dir: &Path, by: Duration) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age(&path, by);
        } else {
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            // Objects are read-only files; their times can be set all the same.
            let file = File::open(&path).unwrap();
            file.set_modified(modified - by).unwrap();
        }
    }
}

fn collector(rig: &Rig, base: &Path, counts: &Arc<CollectionCounts>) -> Collector {
    let options = CollectionOptions { retention: DAY, interval: DAY, local: base.to_owned() };
    Collector::new(
        Arc::clone(&rig.engine),
        rig.publisher.clone(),
        rig.outbox.clone(),
        options,
        Arc::clone(counts),
    )
}

fn stop(rig: &Rig, thread: JoinHandle<Ended>) {
    rig.publisher.close();
    assert!(matches!(thread.join().unwrap(), Ended::Closed));
}

fn tables_in(base: &Path) -> Vec<u128> {
    let mut ids: Vec<u128> = fs::read_dir(base.join("store/sst"))
        .unwrap()
        .map(|entry| u128::from_str_radix(&entry.unwrap().file_name().to_string_lossy(), 16).unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

/// Opens the chain as a node would and checks that every table is there.
fn open(rig: &Rig) -> ChainState {
    let mut lsns = Count::default();
    let chain = block_on(chain::open(&rig.store, &BranchName::main(), &mut lsns)).unwrap();
    for table in chain.manifest.tables() {
        let info = table.info();
        let head = block_on(rig.store.head(&sst_key("", info.id))).unwrap();
        assert_eq!(head, Some(info.object_bytes), "table {}", info.id.0);
    }
    chain
}

#[test]
fn collection_deletes_what_the_window_has_passed() {
    let base = tempfile::tempdir().unwrap();
    let (rig, thread) = aged(base.path());
    assert_eq!(tables_in(base.path()), [1, 2, 3, 4, 5]);
    let counts = Arc::default();
    block_on(collector(&rig, base.path(), &counts).collect()).unwrap();
    assert_eq!(tables_in(base.path()), [5]);
    let main = BranchName::main();
    let last = open(&rig).last_seq();
    let exists = |key: String| block_on(rig.store.head(&key)).unwrap().is_some();
    let links: Vec<u64> = (1..=last.0).filter(|seq| exists(link_key("", &main, LinkSeq(*seq)))).collect();
    assert_eq!(links, [last.0], "all but the newest checkpoint's own link");
    let checkpoints: Vec<u64> =
        (1..=last.0).filter(|seq| exists(checkpoint_key("", &main, LinkSeq(*seq)))).collect();
    assert_eq!(checkpoints, [last.0]);
    let deleted = counts.deleted_objects.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(deleted, 4 + (last.0 - 1) + 1);
    // Later checkpoints say so.
    rig.publisher.push_group(group(5, 10), LogIndex(5));
    assert!(block_on(rig.publisher.request_checkpoint()).unwrap());
    let chain = open(&rig);
    assert_eq!((chain.retained_seq, chain.retained_lsn), (last, Lsn(4)));
    stop(&rig, thread);
}

#[test]
fn a_pinned_state_stays_until_it_is_let_go() {
    let base = tempfile::tempdir().unwrap();
    let groups: Vec<_> = (1..=4).map(|lsn| group(lsn, 10)).collect();
    let rig = Rig::new(base.path(), &groups);
    let thread = rig.run();
    for (at, group) in groups.iter().take(2).enumerate() {
        let lsn = at as u64 + 1;
        rig.publisher.push_group(group.clone(), LogIndex(lsn));
        rig.flush(&table(u128::from(lsn), lsn), lsn, lsn);
    }
    assert!(block_on(rig.publisher.request_checkpoint()).unwrap());
    let then = open(&rig);
    let pin =
        Pin { branch: BranchName::main(), seq: then.last_seq(), lsn: then.last_lsn(), created_micros: 1 };
    let key = pin_key("", &BranchName::new("audit").unwrap());
    block_on(rig.store.put_if_absent(&key, pin.encode())).unwrap();
    // Both tables are replaced, and days pass.
    let compacted = table(5, 2);
    block_on(rig.outbox.table(SstId(5), compacted.object.clone(), Origin::Compaction)).unwrap();
    let edit = ManifestEdit {
        added: vec![SstMeta { level: 1, ..SstMeta::from(&compacted.info) }],
        removed: (1..=2).map(|id| SstRef::new(SstId(id), 0)).collect(),
        ..ManifestEdit::default()
    };
    block_on(rig.outbox.edit(edit, Metas::new(), Origin::Compaction)).unwrap();
    age(&base.path().join("store"), Duration::from_secs(3600));
    rig.publisher.push_group(groups[2].clone(), LogIndex(3));
    assert!(block_on(rig.publisher.request_checkpoint()).unwrap());
    age(&base.path().join("store"), 3 * DAY);
    let counts = Arc::default();
    let mut first = collector(&rig, base.path(), &counts);
    block_on(first.collect()).unwrap();
    assert_eq!(tables_in(base.path()), [1, 2, 5]);
    assert!(!first.is_settled(), "the pin may be let go without a link");
    let at = ForkRecord { parent: pin.branch.clone(), parent_seq: pin.seq, lsn: pin.lsn };
    let mut lsns = Count::default();
    let kept = block_on(chain::open_at(&rig.store, &at, &mut lsns)).unwrap();
    let ids: Vec<u128> = kept.manifest.tables().map(|table| table.id().0).collect();
    assert_eq!((ids, kept.last_lsn()), (vec![2, 1], Lsn(2)));
    // One that cannot be read: in doubt nothing goes.
    block_on(rig.store.put("pin/torn", bytes::Bytes::from_static(b"AQPN"))).unwrap();
    assert!(block_on(collector(&rig, base.path(), &counts).collect()).is_err());
    block_on(rig.store.delete("pin/torn")).unwrap();
    block_on(rig.store.delete(&key)).unwrap();
    block_on(collector(&rig, base.path(), &counts).collect()).unwrap();
    assert_eq!(tables_in(base.path()), [5]);
    stop(&rig, thread);
}

#[test]
fn tables_replaced_right_before_the_last_link_go_though_nothing_is_published() {
    let base = tempfile::tempdir().unwrap();
    let store = base.path().join("store");
    let groups: Vec<_> = (1..=2).map(|lsn| group(lsn, 10)).collect();
    let rig = Rig::new(base.path(), &groups);
    let thread = rig.run();
    for (group, lsn) in groups.iter().zip(1..) {
        rig.publisher.push_group(group.clone(), LogIndex(lsn));
        rig.flush(&table(u128::from(lsn), lsn), lsn, lsn);
    }
    assert!(block_on(rig.publisher.request_checkpoint()).unwrap());
    compact_to_table_5(&rig, 2);
    let counts = Arc::default();
    let mut collector = collector(&rig, base.path(), &counts);
    let links = rig.publisher.links();
    block_on(collector.collect()).unwrap();
    assert_eq!(rig.publisher.links(), links, "a checkpoint would be too early as well");
    age(&store, Duration::from_secs(3600));
    block_on(collector.collect()).unwrap();
    assert_eq!(rig.publisher.links(), links + 1);
    for _ in 0..3 {
        age(&store, Duration::from_secs(3600));
        block_on(collector.collect()).unwrap();
    }
    assert_eq!(rig.publisher.links(), links + 1, "once is enough");
    assert_eq!(tables_in(base.path()), [1, 2, 5]);
    age(&store, 2 * DAY);
    block_on(collector.collect()).unwrap();
    assert_eq!(tables_in(base.path()), [5]);
    assert!(collector.is_settled());
    assert_eq!(rig.publisher.links(), links + 1);
    assert_eq!(open(&rig).last_lsn(), Lsn(2));
    stop(&rig, thread);
}

#[test]
fn nothing_goes_while_it_is_in_the_window() {
    let base = tempfile::tempdir().unwrap();
    let (rig, thread) = aged(base.path());
    let options = CollectionOptions { retention: 4 * DAY, interval: DAY, local: base.path().to_owned() };
    let counts: Arc<CollectionCounts> = Arc::default();
    let mut collector = Collector::new(
        Arc::clone(&rig.engine),
        rig.publisher.clone(),
        rig.outbox.clone(),
        options,
        Arc::clone(&counts),
    );
    block_on(collector.collect()).unwrap();
    assert_eq!(tables_in(base.path()), [1, 2, 3, 4, 5]);
    assert_eq!(counts.deleted_objects.load(std::sync::atomic::Ordering::Relaxed), 0);
    stop(&rig, thread);
}

#[test]
fn stop_at_any_deletion_leaves_a_store_that_opens_and_the_rest_to_the_next() {
    for allowed in 0.. {
        let base = tempfile::tempdir().unwrap();
        let (rig, thread) = aged(base.path());
        for _ in 0..allowed {
            rig.faults.inject(Operation::Delete, Fault::Delay(Duration::ZERO));
        }
        rig.faults.inject(Operation::Delete, Fault::ErrorBefore(StoreErrorKind::Denied));
        let counts = Arc::default();
        let outcome = block_on(collector(&rig, base.path(), &counts).collect());
        let finished = rig.faults.pending() > 0;
        assert_eq!(outcome.is_ok(), finished, "{allowed} deletions");
        assert_eq!(open(&rig).last_lsn(), Lsn(4));
        while rig.faults.pending() > 0 {
            // Uses the fault up.
            let _ = block_on(rig.store.delete("nothing"));
        }
        block_on(collector(&rig, base.path(), &counts).collect()).unwrap();
        assert_eq!(tables_in(base.path()), [5]);
        assert_eq!(open(&rig).last_lsn(), Lsn(4));
        stop(&rig, thread);
        if finished {
            assert!(allowed > 4, "the test has tried every step");
            return;
        }
    }
}

#[test]
fn collector_of_a_fenced_writer_leaves_the_new_writers_objects() {
    let base = tempfile::tempdir().unwrap();
    let (old, old_thread) = aged(base.path());
    let new = Rig::on(base.path(), "outbox2", &[group(5, 10), group(6, 10)], open(&old));
    let new_thread = new.run();
    for lsn in 5..=6 {
        new.publisher.push_group(group(lsn, 10), LogIndex(lsn));
        new.flush(&table(u128::from(lsn) + 100, lsn), lsn, lsn);
    }
    assert!(block_on(new.publisher.request_checkpoint()).unwrap());
    // A table that the new writer has put and not published yet.
    block_on(new.outbox.table(SstId(900), table(900, 6).object, Origin::Compaction)).unwrap();
    let counts = Arc::default();
    block_on(collector(&old, base.path(), &counts).collect()).unwrap();
    assert_eq!(open(&new).last_lsn(), Lsn(6));
    assert_eq!(tables_in(base.path()), [5, 105, 106, 900]);
    stop(&old, old_thread);
    stop(&new, new_thread);
}

#[test]
fn head_of_a_fenced_writer_does_not_lead_to_the_past() {
    for remove_old_checkpoint in [false, true] {
        let base = tempfile::tempdir().unwrap();
        let (rig, thread) = aged(base.path());
        let main = BranchName::main();
        let old_head = block_on(rig.store.get(&head_key("", &main))).unwrap();
        let old_last = open(&rig).last_seq();
        rig.publisher.push_group(group(5, 10), LogIndex(5));
        rig.flush(&table(105, 5), 5, 5);
        assert!(block_on(rig.publisher.request_checkpoint()).unwrap());
        let last = open(&rig).last_seq();
        // What a collection of the new writer leaves, and then the old writer's head comes late.
        for seq in 1..last.0 {
            block_on(rig.store.delete(&link_key("", &main, LinkSeq(seq)))).unwrap();
        }
        if remove_old_checkpoint {
            block_on(rig.store.delete(&checkpoint_key("", &main, old_last))).unwrap();
        }
        block_on(rig.store.put(&head_key("", &main), old_head)).unwrap();
        assert_eq!(open(&rig).last_lsn(), Lsn(5));
        stop(&rig, thread);
    }
}

#[test]
fn table_on_its_way_stays_however_old_it_is() {
    let base = tempfile::tempdir().unwrap();
    let (rig, thread) = aged(base.path());
    block_on(rig.outbox.table(SstId(900), table(900, 4).object, Origin::Compaction)).unwrap();
    let file = File::open(base.path().join(format!("store/sst/{:032x}", 900))).unwrap();
    file.set_modified(SystemTime::now() - 10 * DAY).unwrap();
    let counts = Arc::default();
    block_on(collector(&rig, base.path(), &counts).collect()).unwrap();
    assert_eq!(tables_in(base.path()), [5, 900]);
    stop(&rig, thread);
}

#[test]
fn one_collection_of_an_idle_store_makes_few_requests() {
    let base = tempfile::tempdir().unwrap();
    let (rig, thread) = aged(base.path());
    let counts = Arc::default();
    let mut collector = collector(&rig, base.path(), &counts);
    block_on(collector.collect()).unwrap();
    let requests = |rig: &Rig| -> u64 {
        let free = Operation::Delete;
        let snapshot = rig.store.meter().snapshot();
        snapshot
            .operations
            .iter()
            .filter(|counts| counts.operation != free)
            .map(|counts| counts.requests)
            .sum()
    };
    let before = requests(&rig);
    block_on(collector.collect()).unwrap();
    assert!(requests(&rig) - before <= 4, "{} requests", requests(&rig) - before);
    assert!(collector.is_settled(), "nothing waits for its age: there is no next collection");
    stop(&rig, thread);
}
