//! Rows and keys at rest: golden bytes, round trips, order, malformed input.
#![allow(clippy::unwrap_used)]

use aquifer_types::collation::CollationVersion;
use aquifer_types::convert::is_identical;
use aquifer_types::key::{KeyColumn, KeyDecoder, KeyEncoder, KeyOrder, successor};
use aquifer_types::row::{RowLayout, RowView};
use aquifer_types::{
    Collation, DataType, Date, DateTime, Decimal, IndexId, SchemaVersion, Time, TypeKind, Value,
};
use bytes::Bytes;
use proptest::prelude::*;

fn text(s: &'static str) -> Value {
    Value::Bytes(Bytes::from_static(s.as_bytes()))
}

fn unsigned(kind: TypeKind) -> DataType {
    DataType { unsigned: true, ..DataType::of(kind) }
}

fn decimal(length: u32, decimals: u8) -> DataType {
    DataType { length, decimals, ..DataType::of(TypeKind::Decimal) }
}

/// One column of every type with a value.
fn sample() -> Vec<(DataType, Value)> {
    let number = |s: &str| Value::Decimal(Decimal::parse(s.as_bytes()).unwrap());
    let day = Date { year: 2024, month: 2, day: 29 };
    let at = DateTime { date: day, micros: 45_296_789_012 };
    let enumeration = DataType {
        members: Some(vec!["a".to_owned(), "b".to_owned()].into()),
        ..DataType::of(TypeKind::Enum)
    };
    vec![
        (DataType::of(TypeKind::TinyInt), Value::Int(-128)),
        (unsigned(TypeKind::TinyInt), Value::UInt(255)),
        (DataType::of(TypeKind::SmallInt), Value::Int(-2)),
        (DataType::of(TypeKind::MediumInt), Value::Int(8_388_607)),
        (DataType::of(TypeKind::Int), Value::Int(-2_147_483_648)),
        (DataType::of(TypeKind::BigInt), Value::Int(1)),
        (DataType::bigint_unsigned(), Value::UInt(u64::MAX)),
        (DataType { length: 9, ..DataType::of(TypeKind::Bit) }, Value::UInt(0x101)),
        (DataType::of(TypeKind::Year), Value::UInt(1970)),
        (DataType::of(TypeKind::Float), Value::Float(-1.5)),
        (DataType::of(TypeKind::Double), Value::Double(0.1)),
        (decimal(10, 2), number("-12345678.90")),
        (decimal(65, 30), number("12345678901234567890123456789012345.123456789012345678901234567890")),
        (DataType::of(TypeKind::Date), Value::Date(day)),
        (DataType::of(TypeKind::Time), Value::Time(Time { micros: -1_000_000 })),
        (DataType { decimals: 6, ..DataType::of(TypeKind::DateTime) }, Value::DateTime(at)),
        (DataType::of(TypeKind::Timestamp), Value::DateTime(DateTime::default())),
        (enumeration, Value::UInt(2)),
        (DataType::of(TypeKind::Set), Value::UInt(5)),
        (DataType::varchar(10), text("héllo")),
        (DataType::of(TypeKind::Text), Value::Null),
        (
            DataType { length: 3, ..DataType::of(TypeKind::VarBinary) },
            Value::Bytes(Bytes::from_static(&[0, 1, 255])),
        ),
        (DataType::of(TypeKind::Blob), text("")),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn from_hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap())
        .collect::<Vec<u8>>()
        .into()
}

fn sample_layout() -> (RowLayout, Vec<Value>) {
    let (types, values): (Vec<DataType>, Vec<Value>) = sample().into_iter().unzip();
    (RowLayout::new(SchemaVersion(7), &types), values)
}

#[test]
fn row_golden_bytes_are_written_and_read() {
    let (layout, values) = sample_layout();
    let golden = include_str!("golden/row_1.hex");
    let mut out = Vec::new();
    layout.encode(&values, &mut out).unwrap();
    assert_eq!(hex(&out), hex(&from_hex(golden)));
    let stored = from_hex(golden);
    let view = RowView::new(&stored, &layout).unwrap();
    for (i, expected) in values.iter().enumerate() {
        let found = view.column(i).unwrap();
        assert!(is_identical(&found, expected), "column {i}: {found:?} {expected:?}");
        assert_eq!(view.is_null(i), expected.is_null());
    }
    assert_eq!(view.column_raw(19).unwrap(), Some("héllo".as_bytes()));
    assert!(view.column(23).is_err());
}

#[test]
fn key_golden_bytes_are_written_and_read() {
    key_golden(CollationVersion::V1, sample(), include_str!("golden/key_1.hex"));
    let unicode = |name: &str, value: &'static str| {
        let collation = Collation::by_name(name).unwrap();
        (DataType { collation, ..DataType::varchar(40) }, text(value))
    };
    let names = ["utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci"];
    let texts = names.map(|name| unicode(name, "Zu æ, ß \u{416}\u{65e5}\u{ac00}\u{1F600} "));
    key_golden(CollationVersion::V2, texts.to_vec(), include_str!("golden/key_2.hex"));
}

fn key_golden(collation_version: CollationVersion, sample: Vec<(DataType, Value)>, golden: &str) {
    let mut encoder = KeyEncoder::new(IndexId(1024));
    let mut columns = Vec::new();
    for (ty, value) in sample {
        for order in [KeyOrder::Ascending, KeyOrder::Descending] {
            let column = KeyColumn { order, collation_version, ..KeyColumn::new(ty.clone()) };
            encoder.push(&column, &value).unwrap();
            columns.push((column, value.clone()));
        }
    }
    let key = encoder.finish();
    assert_eq!(hex(&key), hex(&from_hex(golden)));
    let mut decoder = KeyDecoder::new(&key).unwrap();
    assert_eq!(decoder.index(), IndexId(1024));
    for (column, value) in &columns {
        if column.is_reversible() {
            let found = decoder.decode(column).unwrap();
            assert!(is_identical(&found, value), "{column:?}: {found:?}");
        } else {
            decoder.skip(column).unwrap();
        }
    }
    assert!(decoder.rest().is_empty());
}

#[test]
fn row_with_long_strings_has_wide_offsets() {
    let layout =
        RowLayout::new(SchemaVersion(1), &[DataType::of(TypeKind::LongText), DataType::of(TypeKind::Int)]);
    let long = Value::Bytes(Bytes::from(vec![b'x'; 70_000]));
    let mut out = Vec::new();
    layout.encode(&[long.clone(), Value::Int(5)], &mut out).unwrap();
    let stored = Bytes::from(out);
    let view = RowView::new(&stored, &layout).unwrap();
    assert!(is_identical(&view.column(0).unwrap(), &long));
    assert!(is_identical(&view.column(1).unwrap(), &Value::Int(5)));
}

#[test]
fn encode_refuses_values_of_another_type() {
    let layout = RowLayout::new(SchemaVersion(1), &[DataType::of(TypeKind::TinyInt)]);
    for wrong in [Value::Int(128), Value::UInt(300), text("1"), Value::Double(1.0)] {
        assert!(layout.encode(std::slice::from_ref(&wrong), &mut Vec::new()).is_err(), "{wrong:?}");
        let column = KeyColumn::new(DataType::of(TypeKind::TinyInt));
        assert!(KeyEncoder::new(IndexId(1)).push(&column, &wrong).is_err());
    }
    assert!(layout.encode(&[], &mut Vec::new()).is_err());
}

#[test]
fn null_sorts_first_and_descending_last() {
    let encode = |order: KeyOrder, v: &Value| {
        let column = KeyColumn { order, ..KeyColumn::new(DataType::of(TypeKind::Int)) };
        let mut e = KeyEncoder::new(IndexId(1));
        e.push(&column, v).unwrap();
        e.finish()
    };
    let (null, least) = (Value::Null, Value::Int(i64::from(i32::MIN)));
    assert!(encode(KeyOrder::Ascending, &null) < encode(KeyOrder::Ascending, &least));
    assert!(encode(KeyOrder::Descending, &null) > encode(KeyOrder::Descending, &least));
}

#[test]
fn prefix_columns_index_characters() {
    let column = KeyColumn { prefix_length: Some(2), ..KeyColumn::new(DataType::varchar(10)) };
    let encode = |s: &'static str| {
        let mut e = KeyEncoder::new(IndexId(1));
        e.push(&column, &text(s)).unwrap();
        e.finish()
    };
    assert_eq!(encode("日本語"), encode("日本x"));
    assert_ne!(encode("日本"), encode("日x"));
}

#[test]
fn secondary_entry_splits_into_its_columns_and_the_primary_key() {
    let name = KeyColumn::new(DataType::varchar(10));
    let id = KeyColumn::new(DataType::of(TypeKind::Int));
    let mut e = KeyEncoder::new(IndexId(9));
    e.push(&name, &text("a\u{0}b")).unwrap();
    e.push(&id, &Value::Int(5)).unwrap();
    let key = e.finish();
    let mut d = KeyDecoder::new(&key).unwrap();
    d.skip(&name).unwrap();
    let mut primary = KeyEncoder::new(IndexId(8));
    primary.push_encoded(d.rest());
    let mut expected = KeyEncoder::new(IndexId(8));
    expected.push(&id, &Value::Int(5)).unwrap();
    assert_eq!(primary.as_slice(), expected.as_slice());
}

#[test]
fn successor_ends_the_range_of_a_prefix() {
    assert_eq!(successor(&[1, 2]), Bytes::from_static(&[1, 3]));
    assert_eq!(successor(&[1, 255]), Bytes::from_static(&[2]));
    assert_eq!(successor(&[255]), Bytes::new());
}

#[test]
fn string_prefix_covers_what_starts_with_it() {
    for (collation, order) in [
        (Collation::UTF8MB4_0900_AI_CI, KeyOrder::Ascending),
        (Collation::UTF8MB4_GENERAL_CI, KeyOrder::Descending),
        (Collation::UTF8MB4_BIN, KeyOrder::Ascending),
        (Collation::by_name("utf8mb4_unicode_ci").unwrap(), KeyOrder::Ascending),
    ] {
        let column = KeyColumn { order, ..KeyColumn::new(DataType { collation, ..DataType::varchar(10) }) };
        let mut e = KeyEncoder::new(IndexId(1));
        e.push_string_prefix(&column, b"ab ").unwrap();
        let (from, to) = (e.to_bytes(), successor(e.as_slice()));
        for s in ["ab ", "ab c", "ab \t"] {
            let mut whole = KeyEncoder::new(IndexId(1));
            whole.push(&column, &text(s)).unwrap();
            assert!(
                whole.as_slice() >= &from[..] && whole.as_slice() < &to[..],
                "{} {s:?}",
                collation.name()
            );
        }
    }
}

fn value_of(ty: &DataType, seed: i64) -> Value {
    match ty.kind {
        TypeKind::Int => Value::Int(seed >> 32),
        TypeKind::BigInt if ty.unsigned => Value::UInt(seed.cast_unsigned()),
        TypeKind::BigInt => Value::Int(seed),
        TypeKind::Double => Value::Double(f64::from_bits(seed.cast_unsigned() & !(1 << 62))),
        TypeKind::Decimal => Value::Decimal(Decimal::from_scaled(seed, 4)),
        TypeKind::Time => Value::Time(Time { micros: seed % 3_020_399_000_000 }),
        TypeKind::DateTime => {
            Value::DateTime(DateTime::from_unix_micros(seed.rem_euclid(253_402_300_800_000_000)).unwrap())
        }
        _ => Value::Bytes(Bytes::copy_from_slice(&seed.to_be_bytes()[..usize::try_from(seed & 7).unwrap()])),
    }
}

fn key_types() -> Vec<DataType> {
    vec![
        DataType::of(TypeKind::Int),
        DataType::of(TypeKind::BigInt),
        DataType::bigint_unsigned(),
        DataType::of(TypeKind::Double),
        decimal(20, 4),
        DataType { decimals: 6, ..DataType::of(TypeKind::Time) },
        DataType { decimals: 6, ..DataType::of(TypeKind::DateTime) },
        DataType { length: 8, ..DataType::of(TypeKind::VarBinary) },
    ]
}

/// Order of two values of one of the types above.
fn value_order(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => x.cmp(y),
        (Value::UInt(x), Value::UInt(y)) => x.cmp(y),
        (Value::Double(x), Value::Double(y)) => x.partial_cmp(y).unwrap(),
        (Value::Decimal(x), Value::Decimal(y)) => x.cmp(y),
        (Value::Time(x), Value::Time(y)) => x.cmp(y),
        (Value::DateTime(x), Value::DateTime(y)) => x.cmp(y),
        (Value::Bytes(x), Value::Bytes(y)) => x.cmp(y),
        _ => panic!("types differ"),
    }
}

proptest! {
    #[test]
    fn keys_order_as_their_columns(a in any::<[i64; 2]>(), b in any::<[i64; 2]>(), first in 0_usize..8, second in 0_usize..8, descending in any::<bool>()) {
        let types = key_types();
        let order = if descending { KeyOrder::Descending } else { KeyOrder::Ascending };
        let columns = [KeyColumn { order, ..KeyColumn::new(types[first].clone()) }, KeyColumn::new(types[second].clone())];
        let values = |seeds: [i64; 2]| [value_of(&types[first], seeds[0]), value_of(&types[second], seeds[1])];
        let encode = |v: &[Value; 2]| {
            let mut e = KeyEncoder::new(IndexId(3));
            e.push(&columns[0], &v[0]).unwrap();
            e.push(&columns[1], &v[1]).unwrap();
            e.finish()
        };
        let (x, y) = (values(a), values(b));
        let mut expected = value_order(&x[0], &y[0]);
        if descending {
            expected = expected.reverse();
        }
        prop_assert_eq!(encode(&x).cmp(&encode(&y)), expected.then(value_order(&x[1], &y[1])));
        let key = encode(&x);
        let mut d = KeyDecoder::new(&key).unwrap();
        for (column, value) in columns.iter().zip(&x) {
            let back = d.decode(column).unwrap();
            prop_assert_eq!(value_order(&back, value), std::cmp::Ordering::Equal);
        }
    }

    #[test]
    fn malformed_rows_and_keys_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (layout, _) = sample_layout();
        let mut row = vec![7, 0, 0, 0, 0];
        row.extend_from_slice(&bytes);
        let row = Bytes::from(row);
        if let Ok(view) = RowView::new(&row, &layout) {
            for i in 0..layout.len() {
                let _ = view.column(i);
                let _ = view.column_raw(i);
            }
        }
        if let Ok(mut d) = KeyDecoder::new(&bytes) {
            for (ty, _) in sample() {
                let _ = d.decode(&KeyColumn::new(ty));
            }
        }
    }
}
