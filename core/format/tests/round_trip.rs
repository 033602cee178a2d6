//! What is encoded is decoded, and rules between parts are kept.

mod sample;

use aquifer_format::delta::DELTA_BYTES_MAX;
use aquifer_format::link::{LINK_BYTES_TARGET, LinkPosition};
use aquifer_format::{
    Checkpoint, DeltaBuilder, DeltaView, EpochRecord, FormatError, GroupBuilder, GroupView, Link,
    LinkBuilder, LinkDigest, ManifestEdit, ObjectKey, Op, SstMeta,
};
use aquifer_types::{BranchName, Epoch, LinkSeq, Lsn, SstId};
use bytes::Bytes;
use proptest::prelude::*;

type Write = (Vec<u8>, Option<Vec<u8>>);

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let bytes = |most: usize| proptest::collection::vec(any::<u8>(), 0..most);
    proptest::collection::vec((bytes(40), proptest::option::of(bytes(300))), 0..20)
}

fn encode(writes: &[Write], micros: u64) -> Bytes {
    let mut builder = DeltaBuilder::new();
    for (key, value) in writes {
        match value {
            Some(value) => builder.put(key, value),
            None => builder.delete(key),
        }
    }
    builder.finish(micros).expect("small")
}

fn decode(delta: &DeltaView) -> Vec<Write> {
    let write = |(key, op): (Bytes, Op)| match op {
        Op::Put(value) => (key.to_vec(), Some(value.to_vec())),
        Op::Delete => (key.to_vec(), None),
    };
    delta.iter().map(write).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delta_round_trips(writes in writes(), micros in any::<u64>()) {
        let delta = DeltaView::parse(encode(&writes, micros)).expect("just made");
        prop_assert_eq!(decode(&delta), writes.clone());
        prop_assert_eq!(delta.wall_micros(), micros);
        let slices: Vec<Write> =
            delta.slices().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
        prop_assert_eq!(slices, writes.clone());
        let is_catalog = |(key, _): &Write| key.len() >= 4 && key[..2] == [0, 0] && key[2] < 4;
        prop_assert_eq!(delta.touches_catalog(), writes.iter().any(is_catalog));
    }

    #[test]
    fn group_round_trips(deltas in proptest::collection::vec(writes(), 1..8), first in 1u64..1 << 60) {
        let mut whole = GroupBuilder::new(Lsn(first), Epoch(9));
        let mut parts = GroupBuilder::new(Lsn(first), Epoch(9));
        for (index, writes) in deltas.iter().enumerate() {
            prop_assert_eq!(whole.push(encode(writes, 1)), Lsn(first + index as u64));
            parts.push(encode(writes, 1));
        }
        let bytes = whole.encoded_bytes();
        let whole = whole.finish().expect("small");
        prop_assert_eq!(whole.len(), bytes);
        prop_assert_eq!(parts.finish_parts().expect("small").concat(), whole.to_vec());
        let group = GroupView::parse(whole).expect("just made");
        let decoded: Vec<(u64, Vec<Write>)> =
            group.iter().map(|(lsn, delta)| (lsn.0, decode(&delta))).collect();
        let expected: Vec<(u64, Vec<Write>)> = (first..).zip(deltas).collect();
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn key_round_trips(seq in any::<u64>(), high in any::<u64>(), name in "[a-z0-9_-]{1,64}", prefix in "(|a|a/b|c/)") {
        let branch = BranchName::new(&name).expect("legal");
        let id = SstId((u128::from(high) << 64) | u128::from(seq));
        for key in [
            ObjectKey::Cluster,
            ObjectKey::Link(branch.clone(), LinkSeq(seq)),
            ObjectKey::Checkpoint(branch.clone(), LinkSeq(seq)),
            ObjectKey::Head(branch.clone()),
            ObjectKey::Pin(branch),
            ObjectKey::Sst(id),
            ObjectKey::Archive(id),
        ] {
            let text = key.to_key(&prefix);
            prop_assert_eq!(ObjectKey::parse(&prefix, &text), Some(key), "{}", text);
        }
    }
}

#[test]
fn key_has_the_documented_form() {
    let main = BranchName::main();
    let keys = [
        (aquifer_format::cluster_key("p/"), "p/cluster"),
        (aquifer_format::link_key("p", &main, LinkSeq(7)), "p/b/main/chain/00000000000000000007"),
        (aquifer_format::checkpoint_key("", &main, LinkSeq(7)), "b/main/checkpoint/00000000000000000007"),
        (aquifer_format::head_key("p/q", &main), "p/q/b/main/head"),
        (aquifer_format::sst_key("", SstId(0xab)), "sst/000000000000000000000000000000ab"),
    ];
    for (key, expected) in keys {
        assert_eq!(key, expected);
    }
}

#[test]
fn key_parse_of_foreign_key_is_none() {
    let foreign = [
        "",
        "cluste",
        "cluster/",
        "sst/",
        "sst/AB",
        "sst/000000000000000000000000000000AB",
        "b/main/chain/7",
        "b/main/chain/99999999999999999999",
        "b/Main/head",
        "b/main",
        "q/cluster",
        "b/main/chain/+0000000000000000007",
        "archive/000000000000000000000000000000ab",
    ];
    for key in foreign {
        assert_eq!(ObjectKey::parse("", key), None, "{key}");
    }
    assert_eq!(ObjectKey::parse("p", "pq/cluster"), None);
}

#[test]
fn delta_above_its_limit_is_refused() {
    let mut builder = DeltaBuilder::new();
    let value = vec![0; DELTA_BYTES_MAX / 2];
    builder.put(b"a", &value);
    builder.put(b"b", &value);
    assert!(matches!(builder.finish(0), Err(FormatError::TooLarge { .. })));
}

#[test]
fn group_without_deltas_is_refused() {
    assert!(GroupBuilder::new(Lsn(1), Epoch(1)).finish().is_err());
    let mut at_zero = GroupBuilder::new(Lsn(0), Epoch(1));
    at_zero.push(sample::user_delta());
    assert!(at_zero.finish().is_err());
}

#[test]
fn checkpoint_round_trips() {
    for checkpoint in
        [sample::checkpoint(), Checkpoint { parent: None, ssts: vec![], ..sample::checkpoint() }]
    {
        assert_eq!(Checkpoint::decode(checkpoint.encode(), "c"), Ok(checkpoint));
    }
}

#[test]
fn checkpoint_that_contradicts_itself_is_refused() {
    let past_the_end = Checkpoint { checkpoint_lsn: Lsn(106), ..sample::checkpoint() };
    let gap = Checkpoint { replay_seq: LinkSeq(44), ..sample::checkpoint() };
    let table = SstMeta { smallest_key: Bytes::from_static(b"\xff"), ..sample::sst(1) };
    let table = Checkpoint { ssts: vec![table], ..sample::checkpoint() };
    for checkpoint in [past_the_end, gap, table] {
        let error = Checkpoint::decode(checkpoint.encode(), "c").expect_err("refused");
        assert!(matches!(error.cause(), FormatError::Malformed(_)));
    }
}

fn link(position: LinkPosition, fill: impl FnOnce(&mut LinkBuilder)) -> Link {
    let mut builder = LinkBuilder::new(position);
    fill(&mut builder);
    let (bytes, digest) = builder.finish(Lsn(0), 5).expect("small");
    let link = Link::decode(bytes, "link").expect("just made");
    assert_eq!(link.digest, digest);
    link
}

#[test]
fn link_follows_the_one_before_it() {
    let first = link(sample::position(41, 99), |builder| {
        builder.push_group(&sample::group(100)).expect("follows");
    });
    assert_eq!(first.follows(&sample::position(41, 99)), Ok(()));
    let second = link(first.next_position(), |builder| builder.push_edit(&sample::edit()));
    assert_eq!(second.follows(&first.next_position()), Ok(()));
    assert_eq!(second.header.first_lsn, Lsn(103));
}

#[test]
fn link_that_does_not_follow_is_refused() {
    let after = link(sample::position(41, 99), |_| {}).next_position();
    let wrong = [
        LinkPosition { branch: sample::branch("other"), ..after.clone() },
        LinkPosition { seq: LinkSeq(43), ..after.clone() },
        LinkPosition { previous: LinkDigest(1), ..after.clone() },
        LinkPosition { previous_lsn: Lsn(98), ..after.clone() },
        LinkPosition { epoch: Epoch(2), ..after.clone() },
        LinkPosition { epoch: Epoch(4), ..after.clone() },
    ];
    for position in wrong {
        let text = format!("{position:?}");
        assert!(link(position, |_| {}).follows(&after).is_err(), "{text}");
    }
}

#[test]
fn link_of_a_new_epoch_follows_with_its_record() {
    let after = link(sample::position(41, 99), |_| {}).next_position();
    let sealed = LinkPosition { epoch: Epoch(4), ..after.clone() };
    let record = EpochRecord { epoch: Epoch(4), ..sample::epoch_record() };
    let sealed = link(sealed, |builder| builder.push_epoch(&record));
    assert_eq!(sealed.follows(&after), Ok(()));
}

#[test]
fn link_refuses_a_group_after_a_gap() {
    let mut builder = LinkBuilder::new(sample::position(41, 99));
    assert!(builder.push_group(&sample::group(101)).is_err());
    assert!(builder.is_empty());
}

#[test]
fn link_with_a_contradicting_record_is_refused() {
    let decode = |fill: &dyn Fn(&mut LinkBuilder)| {
        let mut builder = LinkBuilder::new(sample::position(41, 99));
        fill(&mut builder);
        Link::decode(builder.finish(Lsn(0), 5).expect("small").0, "link")
    };
    let other_epoch = EpochRecord { epoch: Epoch(8), ..sample::epoch_record() };
    assert!(decode(&|builder| builder.push_epoch(&other_epoch)).is_err());
    assert!(decode(&|builder| builder.push_fork(&sample::fork_record())).is_err());
    let bad =
        ManifestEdit { added: vec![SstMeta { tombstones: 2000, ..sample::sst(1) }], ..Default::default() };
    assert!(decode(&|builder| builder.push_edit(&bad)).is_err());
}

#[test]
fn link_with_a_contradicting_position_is_refused() {
    let early = LinkPosition { epoch: Epoch(2), ..sample::position(41, 99) };
    let zero = sample::position(0, 99);
    for position in [early, zero] {
        let mut builder = LinkBuilder::new(position);
        builder.push_group(&sample::group(100)).expect("follows");
        assert!(Link::decode(builder.finish(Lsn(0), 5).expect("small").0, "link").is_err());
    }
}

#[test]
fn link_has_room_up_to_its_target() {
    let mut builder = LinkBuilder::new(sample::position(41, 99));
    assert!(builder.has_room_for(2 * LINK_BYTES_TARGET), "an empty link takes anything");
    builder.push_group(&sample::group(100)).expect("follows");
    assert!(builder.has_room_for(1000));
    assert!(!builder.has_room_for(LINK_BYTES_TARGET));
}
