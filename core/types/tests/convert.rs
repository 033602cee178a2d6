//! Storing values in columns: what is kept, and what is said.
#![allow(clippy::unwrap_used)]

use aquifer_types::convert::{StoreContext, Strictness, store};
use aquifer_types::temporal::TimeZone;
use aquifer_types::text::to_text;
use aquifer_types::{Collation, DataType, Decimal, SqlMode, TypeKind, Value, Warnings};
use bytes::Bytes;

fn text(s: &'static str) -> Value {
    Value::Bytes(Bytes::from_static(s.as_bytes()))
}

fn number(s: &str) -> Value {
    Value::Decimal(Decimal::parse(s.as_bytes()).unwrap())
}

fn store_as(
    value: Value,
    from: &DataType,
    to: &DataType,
    strictness: Strictness,
    sql_mode: SqlMode,
) -> String {
    let mut warnings = Warnings::default();
    let mut ctx = StoreContext {
        strictness,
        sql_mode,
        time_zone: TimeZone::Utc,
        column: "c",
        row_number: 1,
        warnings: &mut warnings,
    };
    let result = store(value, from, to, &mut ctx);
    let said: String = warnings.entries().iter().map(|w| format!(" [{} {}]", w.code, w.message)).collect();
    match result {
        Ok(v) => {
            let shown =
                to_text(&v, to).map_or("NULL".to_owned(), |t| String::from_utf8_lossy(&t).into_owned());
            format!("{shown}{said}")
        }
        Err(e) => format!("ERR {} {}", e.code(), e.message()),
    }
}

fn natural(value: &Value) -> DataType {
    match value {
        Value::Int(_) => DataType::of(TypeKind::BigInt),
        Value::Double(_) => DataType::of(TypeKind::Double),
        Value::Decimal(d) => DataType { length: 65, decimals: d.scale(), ..DataType::of(TypeKind::Decimal) },
        _ => DataType::varchar(100),
    }
}

fn strict(value: Value, to: &DataType) -> String {
    let from = natural(&value);
    store_as(value, &from, to, Strictness::Strict, SqlMode::default())
}

fn lenient(value: Value, to: &DataType) -> String {
    let from = natural(&value);
    store_as(value, &from, to, Strictness::Lenient, SqlMode::NONE)
}

const RANGE: &str = "Out of range value for column 'c' at row 1";
const CUT: &str = "Data truncated for column 'c' at row 1";

#[test]
fn integers_check_their_range() {
    let tiny = DataType::of(TypeKind::TinyInt);
    assert_eq!(strict(Value::Int(127), &tiny), "127");
    assert_eq!(strict(Value::Int(128), &tiny), format!("ERR 1264 {RANGE}"));
    assert_eq!(lenient(Value::Int(128), &tiny), format!("127 [1264 {RANGE}]"));
    assert_eq!(lenient(Value::Int(-200), &tiny), format!("-128 [1264 {RANGE}]"));
    let unsigned = DataType { unsigned: true, ..tiny.clone() };
    assert_eq!(lenient(Value::Int(-1), &unsigned), format!("0 [1264 {RANGE}]"));
    assert_eq!(strict(number("1.5"), &tiny), "2");
    assert_eq!(strict(Value::Double(2.5), &tiny), "2");
    assert_eq!(strict(text(" 12 "), &tiny), "12");
    assert_eq!(strict(text("12x"), &tiny), format!("ERR 1265 {CUT}"));
    assert_eq!(strict(text("x"), &tiny), "ERR 1366 Incorrect integer value: 'x' for column 'c' at row 1");
    assert_eq!(lenient(text("x"), &tiny), "0 [1366 Incorrect integer value: 'x' for column 'c' at row 1]");
    assert_eq!(strict(Value::Null, &tiny), "NULL");
}

#[test]
fn zerofill_pads() {
    let z = DataType { unsigned: true, zerofill: true, length: 5, ..DataType::of(TypeKind::Int) };
    assert_eq!(strict(Value::Int(42), &z), "00042");
}

#[test]
fn decimals_round_with_a_note() {
    let ty = DataType { length: 5, decimals: 2, ..DataType::of(TypeKind::Decimal) };
    assert_eq!(strict(number("1.5"), &ty), "1.50");
    assert_eq!(strict(number("1.235"), &ty), format!("1.24 [1265 {CUT}]"));
    assert_eq!(strict(number("1000"), &ty), format!("ERR 1264 {RANGE}"));
    assert_eq!(lenient(number("-1000"), &ty), format!("-999.99 [1264 {RANGE}]"));
    assert_eq!(strict(text("abc"), &ty), "ERR 1366 Incorrect decimal value: 'abc' for column 'c' at row 1");
    assert_eq!(strict(Value::Double(0.1), &ty), "0.10");
}

#[test]
fn floats_round_to_their_scale() {
    let ty = DataType { length: 5, decimals: 2, ..DataType::of(TypeKind::Double) };
    assert_eq!(strict(Value::Double(1.236), &ty), "1.24");
    assert_eq!(strict(Value::Double(1e6), &ty), format!("ERR 1264 {RANGE}"));
    let float = DataType::of(TypeKind::Float);
    assert_eq!(strict(Value::Double(1e39), &float), format!("ERR 1264 {RANGE}"));
    assert_eq!(strict(text("1.5"), &float), "1.5");
    assert_eq!(strict(text("x"), &float), format!("ERR 1265 {CUT}"));
}

#[test]
fn strings_check_their_length() {
    let ty = DataType::varchar(3);
    assert_eq!(strict(text("héh"), &ty), "héh");
    assert_eq!(strict(text("abcd"), &ty), "ERR 1406 Data too long for column 'c' at row 1");
    assert_eq!(lenient(text("abcd"), &ty), format!("abc [1265 {CUT}]"));
    assert_eq!(strict(text("abc  "), &ty), format!("abc [1265 {CUT}]"));
    let fixed = DataType { length: 3, ..DataType::of(TypeKind::Char) };
    assert_eq!(strict(text("ab   "), &fixed), "ab");
    assert_eq!(strict(Value::Int(12), &ty), "12");
    let binary = DataType { length: 3, ..DataType::of(TypeKind::Binary) };
    assert_eq!(strict(text("a"), &binary), "a\0\0");
    let tiny = DataType::of(TypeKind::TinyText);
    let long = Value::Bytes(Bytes::from("é".repeat(200)));
    assert_eq!(lenient(long, &tiny).chars().filter(|c| *c == 'é').count(), 127);
}

#[test]
fn strings_check_their_characters() {
    let ty = DataType::varchar(10);
    let bytes = Value::Bytes(Bytes::from_static(b"a\xFFb"));
    let error = "ERR 1366 Incorrect string value: '\\xFFb' for column 'c' at row 1";
    assert_eq!(strict(bytes.clone(), &ty), error);
    let latin = DataType { collation: Collation(8), ..DataType::varchar(10) };
    let from = DataType::varchar(10);
    let stored = store_as(text("日"), &from, &latin, Strictness::Strict, SqlMode::default());
    assert!(stored.starts_with("ERR 1366"), "{stored}");
    let kept = store_as(
        bytes,
        &DataType { length: 9, ..DataType::of(TypeKind::VarBinary) },
        &latin,
        Strictness::Strict,
        SqlMode::default(),
    );
    assert!(!kept.starts_with("ERR"), "{kept}");
}

#[test]
fn temporals_check_their_calendar() {
    let date = DataType::of(TypeKind::Date);
    assert_eq!(strict(text("2024-02-29"), &date), "2024-02-29");
    assert_eq!(
        strict(text("2023-02-29"), &date),
        "ERR 1292 Incorrect date value: '2023-02-29' for column 'c' at row 1"
    );
    assert_eq!(
        strict(text("0000-00-00"), &date),
        "ERR 1292 Incorrect date value: '0000-00-00' for column 'c' at row 1"
    );
    assert_eq!(lenient(text("0000-00-00"), &date), "0000-00-00");
    assert_eq!(lenient(text("2024-00-00"), &date), "2024-00-00");
    assert_eq!(lenient(text("2023-02-29"), &date), format!("0000-00-00 [1264 {RANGE}]"));
    assert_eq!(lenient(text("x"), &date), format!("0000-00-00 [1265 {CUT}]"));
    assert_eq!(strict(text("2024-02-29 10:00:00"), &date), format!("2024-02-29 [1265 {CUT}]"));
    assert_eq!(strict(Value::Int(20_240_229), &date), "2024-02-29");
    let at = DataType { decimals: 3, ..DataType::of(TypeKind::DateTime) };
    assert_eq!(strict(text("2024-02-29 23:59:59.9996"), &at), "2024-03-01 00:00:00.000");
    let stamp = DataType::of(TypeKind::Timestamp);
    assert_eq!(
        strict(text("1969-01-01"), &stamp),
        "ERR 1292 Incorrect datetime value: '1969-01-01' for column 'c' at row 1"
    );
    assert_eq!(strict(text("2038-01-19 03:14:07"), &stamp), "2038-01-19 03:14:07");
    let time = DataType::of(TypeKind::Time);
    assert_eq!(
        strict(text("900:00:00"), &time),
        "ERR 1292 Incorrect time value: '900:00:00' for column 'c' at row 1"
    );
    assert_eq!(lenient(text("900:00:00"), &time), format!("838:59:59 [1264 {RANGE}]"));
    let year = DataType::of(TypeKind::Year);
    assert_eq!(strict(Value::Int(69), &year), "2069");
    assert_eq!(strict(text("0"), &year), "2000");
    assert_eq!(strict(Value::Int(0), &year), "0000");
    assert_eq!(strict(Value::Int(1900), &year), format!("ERR 1264 {RANGE}"));
}

#[test]
fn members_are_found_under_the_collation() {
    let members = Some(vec!["small".to_owned(), "Large".to_owned()].into());
    let e = DataType { members: members.clone(), ..DataType::of(TypeKind::Enum) };
    assert_eq!(strict(text("LARGE "), &e), "Large");
    assert_eq!(strict(Value::Int(1), &e), "small");
    assert_eq!(strict(text("2"), &e), "Large");
    assert_eq!(strict(text("huge"), &e), format!("ERR 1265 {CUT}"));
    assert_eq!(lenient(text("huge"), &e), format!(" [1265 {CUT}]"));
    let s = DataType { members, ..DataType::of(TypeKind::Set) };
    assert_eq!(strict(text("large,small"), &s), "small,Large");
    assert_eq!(strict(text(""), &s), "");
    assert_eq!(strict(Value::Int(3), &s), "small,Large");
    assert_eq!(lenient(text("small,huge"), &s), format!("small [1265 {CUT}]"));
}

#[test]
fn bits_take_numbers_and_bytes() {
    let ty = DataType { length: 4, ..DataType::of(TypeKind::Bit) };
    assert_eq!(strict(Value::Int(15), &ty), "\u{f}");
    assert_eq!(strict(Value::Int(16), &ty), "ERR 1406 Data too long for column 'c' at row 1");
    let literal = DataType { length: 1, unsigned: true, ..DataType::of(TypeKind::VarBinary) };
    let five = Value::Bytes(Bytes::from_static(&[5]));
    assert_eq!(store_as(five.clone(), &literal, &ty, Strictness::Strict, SqlMode::default()), "\u{5}");
    let int = DataType::of(TypeKind::Int);
    assert_eq!(store_as(five, &literal, &int, Strictness::Strict, SqlMode::default()), "5");
}

#[test]
fn json_must_be_well_formed() {
    let ty = DataType::of(TypeKind::Json);
    assert_eq!(strict(text("{\"a\": [1, 2.5e3, null]}"), &ty), "{\"a\": [1, 2500.0, null]}");
    assert!(
        strict(text("{a: 1}"), &ty)
            .starts_with("ERR 3140 Invalid JSON text: \"Missing a name for object member.\" at position 1")
    );
    assert!(strict(text(""), &ty).starts_with("ERR 3140"));
    let deep = Value::Bytes(Bytes::from("[".repeat(200)));
    assert!(strict(deep, &ty).starts_with("ERR 3140"));
}

#[test]
fn sql_mode_reads_and_prints_lists() {
    let mode = SqlMode::parse("strict_trans_tables, NO_ZERO_DATE,").unwrap();
    assert_eq!(mode.to_string(), "STRICT_TRANS_TABLES,NO_ZERO_DATE");
    assert_eq!(
        SqlMode::default().to_string(),
        "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
    );
    assert_eq!(
        SqlMode::parse("ANSI").unwrap().to_string(),
        "REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ONLY_FULL_GROUP_BY,ANSI"
    );
    assert_eq!(SqlMode::parse("X").unwrap_err().code(), 1231);
    assert_eq!(SqlMode::parse(&SqlMode::default().to_string()).unwrap(), SqlMode::default());
}
