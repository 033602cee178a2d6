//! Bytes of every format version decode forever, and this build writes the newest ones to the byte.
//!
//! `AQUIFER_WRITE_GOLDEN=1` writes the files that do not exist yet; it never changes one.

mod sample;

use std::path::PathBuf;

use aquifer_format::{
    Checkpoint, Cluster, DeltaView, GroupView, Head, Link, ManifestEdit, Op, OutboxEdit, Pin, Record, SstMeta,
};
use aquifer_types::{Epoch, LinkSeq, Lsn};
use bytes::Bytes;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}_v1.bin"))
}

fn golden(name: &str) -> Bytes {
    Bytes::from(std::fs::read(path(name)).unwrap_or_else(|error| panic!("golden file of {name}: {error}")))
}

#[test]
fn encoders_write_the_golden_bytes() {
    for (name, bytes, _) in sample::all() {
        if !path(name).exists() && std::env::var_os("AQUIFER_WRITE_GOLDEN").is_some() {
            std::fs::write(path(name), &bytes).expect("the golden directory is writable");
        }
        assert_eq!(golden(name), bytes, "{name}");
    }
}

#[test]
fn cluster_v1_decodes() {
    let cluster = Cluster::decode(golden("cluster"), "cluster").expect("golden");
    assert_eq!(cluster, sample::cluster());
    assert_eq!(cluster.uuid_text(), "12345678-9abc-4def-8123-456789abcdef");
}

#[test]
fn head_v1_decodes() {
    assert_eq!(Head::decode(golden("head")), Some(sample::head()));
}

#[test]
fn checkpoint_v1_decodes() {
    let checkpoint = Checkpoint::decode(golden("checkpoint"), "checkpoint").expect("golden");
    assert_eq!(checkpoint, sample::checkpoint());
}

#[test]
fn outbox_edit_v1_decodes() {
    let edit = OutboxEdit::decode(golden("outbox_edit"), "outbox").expect("golden");
    assert_eq!(edit, sample::outbox_edit());
}

#[test]
fn pin_v1_decodes() {
    assert_eq!(Pin::decode(golden("pin"), "pin").expect("golden"), sample::pin());
}

#[test]
fn delta_v1_decodes() {
    let delta = DeltaView::parse(golden("delta")).expect("golden");
    assert!(!delta.touches_catalog());
    assert_eq!(delta.wall_micros(), sample::MICROS);
    assert_eq!(delta.len(), 4);
    let writes: Vec<(Bytes, Op)> = delta.iter().collect();
    assert_eq!(
        writes[0],
        (Bytes::from_static(b"\x00\x00\x04\x00alpha"), Op::Put(Bytes::from_static(b"one")))
    );
    assert_eq!(writes[1], (Bytes::from_static(b"\x00\x00\x04\x00beta"), Op::Delete));
    assert_eq!(writes[2], (Bytes::from_static(b"\x00\x00\x04\x00gamma"), Op::Put(Bytes::new())));
    assert_eq!(writes[3].1, Op::Put(Bytes::from(vec![0x5a; 300])));
}

#[test]
fn group_v1_decodes() {
    let group = GroupView::parse(golden("group")).expect("golden");
    assert_eq!((group.first_lsn(), group.last_lsn(), group.epoch()), (Lsn(100), Lsn(102), Epoch(3)));
    let deltas: Vec<(Lsn, DeltaView)> = group.iter().collect();
    assert_eq!(deltas.iter().map(|(lsn, _)| lsn.0).collect::<Vec<_>>(), [100, 101, 102]);
    assert!(deltas[1].1.touches_catalog());
    assert!(deltas[2].1.is_empty());
}

#[test]
fn link_with_deltas_v1_decodes() {
    let link = Link::decode(golden("link_deltas"), "link").expect("golden");
    assert_eq!(link.header.seq, LinkSeq(42));
    assert_eq!((link.header.first_lsn, link.header.last_lsn), (Lsn(100), Lsn(105)));
    assert_eq!(link.header.committed_lsn, Lsn(110));
    assert_eq!(link.header.wall_micros, sample::MICROS);
    let expected =
        [Record::Group(sample::group(100)), Record::Edit(sample::edit()), Record::Group(sample::group(103))];
    assert_eq!(link.records, expected);
    assert_eq!(link.digest.to_string(), "a295f417a96b264c377d1f1496f8eb4c");
}

#[test]
fn link_with_a_large_transaction_v1_decodes() {
    let link = Link::decode(golden("link_spilled"), "link").expect("golden");
    let group = sample::spilled_group();
    let tables = [8, 9].map(|number| SstMeta { run: 12, commit_lsn: 107, ..sample::sst(number) });
    let edit = ManifestEdit { added: tables.to_vec(), next_run: Some(13), ..ManifestEdit::default() };
    assert_eq!(link.records, [Record::Group(group.clone()), Record::Edit(edit.clone())]);
    assert_eq!(group.spilled_edits(), [edit]);
    let rows: Vec<_> =
        group.iter().map(|(_, delta)| (delta.iter().count(), delta.slices().count())).collect();
    assert_eq!(rows, [(4, 4), (1, 1)]);
}

#[test]
fn link_with_epoch_v1_decodes() {
    let link = Link::decode(golden("link_epoch"), "link").expect("golden");
    assert_eq!(link.epoch_record(), Some(&sample::epoch_record()));
    assert_eq!((link.header.first_lsn, link.header.last_lsn), (Lsn(106), Lsn(105)));
    assert_eq!(link.header.committed_lsn, Lsn(105), "raised to the last LSN");
}

#[test]
fn link_with_fork_v1_decodes() {
    let link = Link::decode(golden("link_fork"), "link").expect("golden");
    assert_eq!(link.fork_record(), Some(&sample::fork_record()));
    assert_eq!(link.header.branch, sample::branch("try-it_2"));
    assert_eq!(link.header.first_lsn, Lsn(104));
}
