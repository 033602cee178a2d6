use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use crate::write_set::{Segment, Write, WriteSet};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn undo_to_a_point_restores_what_was_there() {
    let mut set = WriteSet::default();
    set.set(bytes("a"), Some(bytes("1")));
    let point = set.point();
    set.set(bytes("a"), None);
    set.set(bytes("b"), Some(bytes("2")));
    set.set(bytes("a"), Some(bytes("3")));
    set.undo_to(point);
    assert_eq!(set.get(b"a"), Some(&Some(bytes("1"))));
    assert_eq!(set.get(b"b"), None);
    assert_eq!(set.iter().count(), 1);
}

#[test]
fn range_excludes_its_end_and_tolerates_an_inverted_one() {
    let mut set = WriteSet::default();
    for key in ["a", "b", "c"] {
        set.set(bytes(key), None);
    }
    let keys =
        |start, end| set.range(&(bytes(start)..bytes(end))).map(|(k, _)| k.clone()).collect::<Vec<_>>();
    assert_eq!(keys("a", "c"), [bytes("a"), bytes("b")]);
    assert!(keys("c", "a").is_empty());
}

proptest! {
    /// The segments up to a cut, one on top of the other, are what there was at the cut.
    #[test]
    fn segments_add_up_to_what_there_was_at_each_cut(
        writes in prop::collection::vec((0u8..8, prop::option::of(0u8..4)), 0..60),
        mut cuts in prop::collection::vec(0usize..60, 0..4),
    ) {
        cuts.sort_unstable();
        let (mut set, mut points, mut states) = (WriteSet::default(), Vec::new(), Vec::new());
        for (number, (key, value)) in writes.iter().enumerate() {
            if cuts.contains(&number) {
                points.push(set.point());
                states.push(set.newest().clone());
            }
            set.set(Bytes::copy_from_slice(&[*key]), value.map(|value| Bytes::copy_from_slice(&[value])));
        }
        let segments = set.segments(&points);
        let added_up = |upto: &dyn Fn(&Segment) -> bool| {
            let taken = segments.iter().filter(|segment| upto(segment));
            taken.flat_map(|segment| segment.writes.clone()).collect::<BTreeMap<Bytes, Write>>()
        };
        for (point, state) in points.iter().zip(&states) {
            prop_assert_eq!(&added_up(&|segment| segment.to <= *point), state);
        }
        prop_assert_eq!(&added_up(&|_| true), set.newest());
        prop_assert!(segments.windows(2).all(|pair| pair[0].to <= pair[1].from));
    }
}

#[test]
fn points_go_on_where_writes_have_moved_away() {
    let mut set = WriteSet::default();
    set.set(bytes("a"), Some(bytes("1")));
    let before = set.point();
    set.set(bytes("b"), Some(bytes("2")));
    set.move_away();
    assert!(set.is_empty());
    assert_eq!((set.bytes(), set.first_point()), (0, set.point()));
    let after = set.point();
    set.set(bytes("c"), None);
    set.undo_to(after);
    assert!(set.is_empty());
    assert_eq!(set.point(), after);
    set.set(bytes("c"), None);
    set.undo_to(before);
    assert!(set.is_empty());
    assert_eq!((set.point(), set.first_point()), (before, before));
}
