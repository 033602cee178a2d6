//! The publisher and the outbox on a store that goes away and comes back.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use aquifer_commitlog::LogIndex;
use aquifer_format::{GroupView, ManifestEdit, sst_key};
use aquifer_objstore::block_on;
use aquifer_shard::chain;
use aquifer_types::{BranchName, ErrorKind, Lsn, SstId};
use aquifer_writer::outbox::{Origin, OutboxDir};
use aquifer_writer::publisher::Ended;
use bytes::Bytes;
use support::{Count, LOG_ID, Rig, group, table};

#[test]
fn flush_while_the_store_is_away_is_in_force_at_once_and_published_in_order() {
    let base = tempfile::tempdir().unwrap();
    let groups = [group(1, 10), group(2, 10), group(3, 10)];
    let rig = Rig::new(base.path(), &groups);
    let thread = rig.run();
    rig.faults.start_outage();
    rig.publisher.push_group(groups[0].clone(), LogIndex(1));
    rig.flush(&table(11, 1), 1, 1);
    rig.publisher.push_group(groups[1].clone(), LogIndex(2));
    rig.flush(&table(12, 2), 2, 2);
    rig.publisher.push_group(groups[2].clone(), LogIndex(3));
    assert_eq!(rig.tables_in_force(), 2);
    assert!(rig.outbox.is_away());
    assert_eq!(rig.publisher.published_lsn(), Lsn(0));
    // Reads find the table where it waits.
    let key = sst_key("", SstId(11));
    assert_eq!(block_on(rig.store.get(&key)).unwrap(), table(11, 1).object);
    assert_eq!(block_on(rig.store.get_range(&key, 4..9)).unwrap(), table(11, 1).object.slice(4..9));

    rig.faults.end_outage();
    rig.publisher.close();
    assert!(matches!(thread.join().unwrap(), Ended::Closed));
    assert_eq!((rig.dir.bytes(), rig.store.waiting().len()), (0, 0));
    assert_eq!(std::fs::read_dir(base.path().join("outbox")).unwrap().count(), 0);
    let mut lsns = Count::default();
    let chain = block_on(chain::open(&rig.store, &BranchName::main(), &mut lsns)).unwrap();
    assert_eq!((chain.last_lsn(), chain.manifest.checkpoint_lsn()), (Lsn(3), Lsn(2)));
    assert_eq!(chain.manifest.tables().count(), 2);
    assert_eq!(lsns.0, [3]);
    assert_eq!(block_on(rig.store.get(&key)).unwrap(), table(11, 1).object);
}

#[test]
fn compaction_is_refused_while_the_store_is_away() {
    let base = tempfile::tempdir().unwrap();
    let rig = Rig::new(base.path(), &[]);
    rig.faults.start_outage();
    let built = table(11, 1);
    let refused = block_on(rig.outbox.table(built.info.id, built.object, Origin::Compaction));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(rig.dir.bytes(), 0);
}

#[test]
fn outbox_of_a_publisher_that_ended_without_the_store_is_found_again() {
    let base = tempfile::tempdir().unwrap();
    let groups = [group(1, 10)];
    let rig = Rig::new(base.path(), &groups);
    let thread = rig.run();
    rig.faults.start_outage();
    rig.publisher.push_group(groups[0].clone(), LogIndex(1));
    rig.flush(&table(11, 1), 1, 1);
    rig.publisher.close();
    assert!(matches!(thread.join().unwrap(), Ended::Away));
    let dir = base.path().join("outbox");
    let (outbox, found, dropped) = OutboxDir::open(&dir, LOG_ID).unwrap();
    assert_eq!((found.len(), dropped), (1, 0));
    assert_eq!(found[0].tables, [SstId(11)]);
    assert_eq!(outbox.bytes(), table(11, 1).object.len() as u64);

    // A damaged table makes its edit unusable.
    let path = outbox.table_path(SstId(11));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(outbox.read_table(SstId(11)).is_err());
    let (_, found, dropped) = OutboxDir::open(&dir, LOG_ID).unwrap();
    assert_eq!((found.len(), dropped), (0, 1));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn outbox_of_another_commit_log_is_forgotten() {
    let base = tempfile::tempdir().unwrap();
    let (dir, _, _) = OutboxDir::open(base.path(), LOG_ID).unwrap();
    let edit = ManifestEdit { checkpoint_lsn: Some(4), ..ManifestEdit::default() };
    dir.add_edit(&edit).unwrap();
    let (_, found, dropped) = OutboxDir::open(base.path(), LOG_ID + 1).unwrap();
    assert_eq!((found.len(), dropped), (0, 1));
}

#[test]
fn backlog_beyond_memory_is_read_from_the_log() {
    let base = tempfile::tempdir().unwrap();
    let groups: Vec<GroupView> = (1..=10).map(|lsn| group(lsn, 9 << 20)).collect();
    let rig = Rig::new(base.path(), &groups);
    rig.faults.start_outage();
    for entry in rig.log.iter() {
        rig.publisher.push_group(GroupView::parse(entry.data.clone()).unwrap(), entry.index);
    }
    assert_eq!(
        rig.publisher.backlog_bytes(),
        groups.iter().map(|group| group.bytes().len() as u64).sum::<u64>()
    );
    assert!(rig.publisher.held_bytes() <= 64 << 20);
    let thread = rig.run();
    rig.faults.end_outage();
    rig.publisher.close();
    assert!(matches!(thread.join().unwrap(), Ended::Closed));
    let mut lsns = Count::default();
    block_on(chain::open(&rig.store, &BranchName::main(), &mut lsns)).unwrap();
    assert_eq!(lsns.0, (1..=10).collect::<Vec<u64>>());
    assert_eq!(rig.publisher.backlog_bytes(), 0);
}

#[test]
fn fenced_publisher_hands_its_whole_backlog_back() {
    let base = tempfile::tempdir().unwrap();
    let groups: Vec<GroupView> = (1..=9).map(|lsn| group(lsn, 9 << 20)).collect();
    let rig = Rig::new(base.path(), &groups);
    let other = Bytes::from_static(b"another writer's link");
    let key = aquifer_format::link_key("", &BranchName::main(), aquifer_types::LinkSeq(1));
    block_on(rig.store.put(&key, other)).unwrap();
    for entry in rig.log.iter() {
        rig.publisher.push_group(GroupView::parse(entry.data.clone()).unwrap(), entry.index);
    }
    let Ended::Fenced { left, .. } = rig.run().join().unwrap() else { panic!("not fenced") };
    let left: Vec<_> = left.into_iter().chain(rig.publisher.take_left()).collect();
    assert_eq!(left.iter().map(|pending| pending.transactions()).sum::<u64>(), 9);
}
