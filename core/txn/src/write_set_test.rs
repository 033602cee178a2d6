use bytes::Bytes;

use crate::write_set::WriteSet;

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
