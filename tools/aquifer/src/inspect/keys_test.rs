//! Keys as people read them.

use aquifer_types::key::{KeyColumn, KeyEncoder};
use aquifer_types::{Collation, DataType, IndexId, TypeKind, Value};
use bytes::Bytes;

use super::{Keys, Named};

fn bigint() -> DataType {
    DataType::of(TypeKind::BigInt)
}

fn text_type() -> DataType {
    DataType { collation: Collation::UTF8MB4_0900_AI_CI, ..DataType::varchar(20) }
}

fn keys() -> Keys {
    let mut keys = Keys::default();
    let columns = vec![KeyColumn::new(bigint()), KeyColumn::new(text_type())];
    keys.indexes.insert(IndexId(2_000), Named { name: "app.t".to_owned(), columns });
    keys
}

fn key(index: u32) -> Bytes {
    let mut encoder = KeyEncoder::new(IndexId(index));
    encoder.push(&KeyColumn::new(bigint()), &Value::Int(-7)).unwrap();
    encoder.push(&KeyColumn::new(text_type()), &Value::Bytes(Bytes::from_static(b"ab"))).unwrap();
    encoder.finish()
}

#[test]
fn key_of_a_known_index_shows_name_and_values() {
    let text = keys().text(&key(2_000));
    // The weights of a text cannot be read back.
    assert!(text.starts_with("app.t(-7, ") && text.ends_with(')'), "{text}");
}

#[test]
fn key_of_an_unknown_index_shows_its_bytes() {
    assert!(keys().text(&key(3_000)).starts_with("index 3000(\\02\\7f"), "{}", keys().text(&key(3_000)));
    assert!(keys().text(&key(3)).starts_with("system 3("));
    assert_eq!(keys().text(b"a"), "a");
}

#[test]
fn key_that_is_cut_short_shows_the_columns_that_it_has() {
    let whole = key(2_000);
    assert_eq!(keys().text(&whole[..13]), "app.t(-7)");
    assert_eq!(keys().text(&whole[..6]), "app.t()");
}
