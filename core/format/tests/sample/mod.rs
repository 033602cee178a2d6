//! One object of every kind with fixed contents, which golden files, round trips and fuzzing share.
#![allow(dead_code)]

use aquifer_format::delta::DeltaFlags;
use aquifer_format::link::LinkPosition;
use aquifer_format::{
    Checkpoint, Cluster, DeltaBuilder, DeltaView, EpochRecord, ForkRecord, FormatResult, GroupBuilder,
    GroupView, Head, Link, LinkBuilder, LinkDigest, ManifestEdit, OutboxEdit, Pin, SstMeta, SstRef,
    encode_delta,
};
use aquifer_types::{BranchName, Epoch, LinkSeq, Lsn, SstId};
use bytes::Bytes;

pub const MICROS: u64 = 1_767_225_600_123_456;

pub fn branch(name: &str) -> BranchName {
    BranchName::new(name).expect("a legal name")
}

pub fn sst(number: u8) -> SstMeta {
    SstMeta {
        level: 1,
        run: 7,
        object_bytes: 100_000,
        smallest_key: Bytes::from(vec![0, 0, 4, 0, number]),
        largest_key: Bytes::from(vec![0, 0, 4, 1, number]),
        min_lsn: 3,
        max_lsn: 90,
        entries: 1000,
        tombstones: 10,
        raw_bytes: 300_000,
        index_offset: 90_000,
        index_bytes: 5000,
        filter_offset: 95_000,
        filter_bytes: 4000,
        created_micros: MICROS,
        commit_lsn: 0,
        ..SstMeta::default()
    }
    .with_id(SstId(0x0123_4567_89ab_cdef_0011_2233_4455_6600 + u128::from(number)))
}

pub fn edit() -> ManifestEdit {
    ManifestEdit {
        added: vec![sst(1), SstMeta { commit_lsn: 91, min_lsn: 0, ..sst(2) }],
        removed: vec![SstRef::new(SstId(5), 0), SstRef::new(SstId(6), 2)],
        checkpoint_lsn: Some(90),
        next_run: Some(8),
    }
}

pub fn user_delta() -> Bytes {
    let long_value = vec![0x5a; 300];
    let writes: [(&[u8], Option<&[u8]>); 4] = [
        (b"\x00\x00\x04\x00alpha", Some(b"one")),
        (b"\x00\x00\x04\x00beta", None),
        (b"\x00\x00\x04\x00gamma", Some(b"")),
        (b"\x00\x00\x04\x07delta", Some(&long_value)),
    ];
    encode_delta(writes, DeltaFlags::NONE, MICROS).expect("small")
}

pub fn catalog_delta() -> Bytes {
    let writes: [(&[u8], Option<&[u8]>); 1] = [(b"\x00\x00\x03\xffschema", Some(b"row"))];
    encode_delta(writes, DeltaFlags::SPILLED, MICROS + 1).expect("small")
}

pub fn empty_delta() -> Bytes {
    encode_delta([], DeltaFlags::NONE, 0).expect("small")
}

pub fn group(first_lsn: u64) -> GroupView {
    let mut builder = GroupBuilder::new(Lsn(first_lsn), Epoch(3));
    for delta in [user_delta(), catalog_delta(), empty_delta()] {
        builder.push(delta);
    }
    GroupView::parse(builder.finish().expect("small")).expect("just made")
}

/// A large transaction: one write beside two tables.
pub fn spilled_group() -> GroupView {
    let mut delta = DeltaBuilder::new();
    delta.put(b"\x00\x00\x04\x00alpha", b"one");
    delta.spilled(&SstMeta { run: 12, ..sst(8) });
    delta.spilled(&SstMeta { run: 12, ..sst(9) });
    let mut builder = GroupBuilder::new(Lsn(106), Epoch(3));
    builder.push(user_delta());
    builder.push(delta.finish(MICROS).expect("small"));
    GroupView::parse(builder.finish().expect("small")).expect("just made")
}

pub fn spilled_link() -> Bytes {
    let mut builder = LinkBuilder::new(position(44, 105));
    builder.push_group(&spilled_group()).expect("follows");
    builder.finish(Lsn(107), MICROS).expect("small").0
}

pub fn position(seq: u64, previous_lsn: u64) -> LinkPosition {
    LinkPosition {
        branch: branch("main"),
        seq: LinkSeq(seq),
        epoch: Epoch(3),
        previous: LinkDigest(0x00ff_eedd_ccbb_aa99_8877_6655_4433_2211),
        previous_lsn: Lsn(previous_lsn),
    }
}

pub fn delta_link() -> Bytes {
    let mut builder = LinkBuilder::new(position(42, 99));
    builder.push_group(&group(100)).expect("follows");
    builder.push_edit(&edit());
    builder.push_group(&group(103)).expect("follows");
    builder.finish(Lsn(110), MICROS).expect("small").0
}

pub fn epoch_record() -> EpochRecord {
    let address = "10.0.0.7:3306".to_owned();
    EpochRecord { epoch: Epoch(3), writer: 0xfeed_0000_0000_0000_0000_0000_0000_beef, address }
}

pub fn epoch_link() -> Bytes {
    let mut builder = LinkBuilder::new(position(43, 105));
    builder.push_epoch(&epoch_record());
    builder.finish(Lsn(0), MICROS).expect("small").0
}

pub fn fork_record() -> ForkRecord {
    ForkRecord { parent: branch("main"), parent_seq: LinkSeq(42), lsn: Lsn(103) }
}

pub fn fork_link() -> Bytes {
    let mut builder = LinkBuilder::new(LinkPosition { branch: branch("try-it_2"), ..position(1, 103) });
    builder.push_fork(&fork_record());
    builder.finish(Lsn(103), MICROS).expect("small").0
}

pub fn checkpoint() -> Checkpoint {
    Checkpoint {
        branch: branch("try-it_2"),
        seq: LinkSeq(42),
        link_digest: LinkDigest(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
        last_lsn: Lsn(105),
        checkpoint_lsn: Lsn(90),
        replay_seq: LinkSeq(40),
        epoch: Epoch(3),
        writer: 77,
        ssts: vec![sst(1), sst(2), sst(3)],
        next_run: 8,
        parent: Some(fork_record()),
        retained_seq: LinkSeq(2),
        retained_lsn: Lsn(9),
        created_micros: MICROS,
    }
}

pub fn head() -> Head {
    Head { checkpoint_seq: LinkSeq(40), link_seq: LinkSeq(43), epoch: Epoch(3), written_micros: MICROS }
}

pub fn cluster() -> Cluster {
    Cluster::new(0x1234_5678_9abc_4def_8123_4567_89ab_cdef, MICROS)
}

pub fn outbox_edit() -> OutboxEdit {
    OutboxEdit { log_id: 0xfeed, number: 12, files: vec![Some(0x1234_5678), None], edit: edit() }
}

pub fn pin() -> Pin {
    Pin { branch: branch("main"), seq: LinkSeq(42), lsn: Lsn(105), created_micros: MICROS }
}

/// A decoder as a function that only says whether it accepts.
pub type Accepts = fn(Bytes) -> FormatResult<()>;

/// Name, bytes and decoder of every sample.
pub fn all() -> Vec<(&'static str, Bytes, Accepts)> {
    let link: Accepts = |bytes| Link::decode(bytes, "link").map(drop);
    vec![
        ("cluster", cluster().encode(), |bytes| Cluster::decode(bytes, "cluster").map(drop)),
        ("link_deltas", delta_link(), link),
        ("link_spilled", spilled_link(), link),
        ("link_epoch", epoch_link(), link),
        ("link_fork", fork_link(), link),
        ("checkpoint", checkpoint().encode(), |bytes| Checkpoint::decode(bytes, "checkpoint").map(drop)),
        ("head", head().encode(), |bytes| Head::try_decode(bytes).map(drop)),
        ("outbox_edit", outbox_edit().encode(), |bytes| OutboxEdit::decode(bytes, "outbox").map(drop)),
        ("pin", pin().encode(), |bytes| Pin::decode(bytes, "pin").map(drop)),
        ("group", group(100).bytes().clone(), |bytes| GroupView::parse(bytes).map(drop)),
        ("delta", user_delta(), |bytes| DeltaView::parse(bytes).map(drop)),
    ]
}
