//! Records of texts, fed whole and byte by byte.

use super::{Record, RecordReader, Rest};
use crate::ast::RecordFormat;

fn read(format: &RecordFormat, skip: u64, text: &[u8], part: usize) -> Vec<Record> {
    let mut reader = RecordReader::new(format.clone(), skip);
    let mut records = Vec::new();
    for bytes in text.chunks(part) {
        reader.feed(bytes);
        while let Some(record) = reader.next(Rest::MayCome).expect("short") {
            records.push(record);
        }
    }
    while let Some(record) = reader.next(Rest::Ended).expect("short") {
        records.push(record);
    }
    records
}

/// Fields joined by `|`, NULL as `<null>`.
fn shown(records: &[Record]) -> Vec<String> {
    let field = |field: &Option<Vec<u8>>| match field {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => "<null>".to_owned(),
    };
    records.iter().map(|record| record.iter().map(field).collect::<Vec<_>>().join("|")).collect()
}

fn check(format: &RecordFormat, skip: u64, text: &str, expected: &[&str]) {
    for part in [1, 2, 3, text.len().max(1)] {
        assert_eq!(
            shown(&read(format, skip, text.as_bytes(), part)),
            expected,
            "in parts of {part}: {text:?}"
        );
    }
}

fn csv() -> RecordFormat {
    RecordFormat {
        field_end: b",".to_vec(),
        quote: Some(b'"'),
        line_end: b"\r\n".to_vec(),
        ..RecordFormat::default()
    }
}

#[test]
fn default_format_reads_tabs_escapes_and_null() {
    let format = RecordFormat::default();
    check(&format, 0, "1\ta\n2\t\\N\n", &["1|a", "2|<null>"]);
    check(&format, 0, "a\\tb\\nc\\\\d\t\\q\n", &["a\tb\nc\\d|q"]);
    check(&format, 0, "\\N\\N\tNULL\tN\n", &["NN|NULL|N"]);
    check(&format, 0, "a\\\nb\tc\n", &["a\nb|c"]);
    check(&format, 0, "no end", &["no end"]);
    check(&format, 0, "\n\t\n", &["", "|"]);
    check(&format, 0, "", &[]);
    check(&format, 2, "one\ntwo\nthree\n", &["three"]);
    check(&format, 9, "one\ntwo", &[]);
}

#[test]
fn quoted_fields_hold_separators() {
    check(&csv(), 0, "1,\"a,b\r\nc\",NULL,\"NULL\"\r\n", &["1|a,b\r\nc|<null>|NULL"]);
    check(&csv(), 0, "\"a\"\"b\",\"c\"d\",e\"f\r\n", &["a\"b|c\"d|e\"f"]);
    check(&csv(), 0, "\"a\\\"b\",\"\"\r\n\"x\"", &["a\"b|", "x"]);
    check(&csv(), 0, "a\rb,c\r\n", &["a\rb|c"]);
    check(&csv(), 0, "\"never ends,x\r\n", &["\"never ends|x"]);
}

#[test]
fn lines_without_their_beginning_are_passed_over() {
    let format =
        RecordFormat { line_start: b"xx".to_vec(), field_end: b",".to_vec(), ..RecordFormat::default() };
    check(&format, 0, "xxabc,1\nsomething xxdef,2\nghi,3\n", &["abc|1", "def|2"]);
}

#[test]
fn doubled_quotes_without_an_escape_character() {
    let format = RecordFormat { escape: None, ..csv() };
    check(&format, 0, "\"a\\\",\\N\r\n", &["a\\|\\N"]);
}
