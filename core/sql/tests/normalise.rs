//! Which literals become parameters.

#![allow(clippy::unwrap_used)]

use aquifer_sql::{Normalised, normalise};
use aquifer_types::{SqlMode, Value};

/// The normalised text and its parameters, or `None`.
fn normal(text: &str) -> Option<(String, Vec<String>)> {
    let mut out = Normalised::default();
    if !normalise(text.as_bytes(), SqlMode::default(), &mut out) {
        return None;
    }
    let params = out
        .params
        .iter()
        .map(|value| match value {
            Value::Int(n) => n.to_string(),
            Value::UInt(n) => format!("{n}u"),
            Value::Double(f) => format!("{f}f"),
            Value::Bytes(text) => format!("'{}'", String::from_utf8_lossy(text)),
            other => format!("{other:?}"),
        })
        .collect();
    Some((String::from_utf8(out.text).unwrap(), params))
}

fn check(text: &str, normalised: &str, params: &[&str]) {
    let (got, got_params) = normal(text).unwrap_or_else(|| panic!("{text} was not normalised"));
    assert_eq!(got, normalised, "of {text}");
    assert_eq!(got_params, params, "of {text}");
}

#[test]
fn point_select_has_one_parameter() {
    check("SELECT c FROM sbtest1 WHERE id=5015", "SELECT c FROM sbtest1 WHERE id=?", &["5015"]);
    check("SELECT c  FROM t\nWHERE  id = -3", "SELECT c  FROM t WHERE id = ?", &["-3"]);
}

#[test]
fn select_list_keeps_its_text_and_literals() {
    check("SELECT 1 + 2 , 'a'  FROM t WHERE a = 7", "SELECT 1 + 2 , 'a'  FROM t WHERE a = ?", &["7"]);
    check(
        "SELECT (SELECT 5 FROM u WHERE x = 1), 2 FROM t WHERE a = 7",
        "SELECT (SELECT 5 FROM u WHERE x = 1), 2 FROM t WHERE a = ?",
        &["7"],
    );
}

#[test]
fn order_and_group_positions_stay_but_limit_is_taken() {
    check(
        "SELECT a FROM t WHERE b IN (1, 'x') GROUP BY 1 ORDER BY 2 DESC LIMIT 10, 5",
        "SELECT a FROM t WHERE b IN (?, ?) GROUP BY 1 ORDER BY 2 DESC LIMIT ?, ?",
        &["1", "'x'", "10", "5"],
    );
}

#[test]
fn insert_values_are_taken_but_not_null_or_calls() {
    check(
        "INSERT INTO t (a, b) VALUES (1, 'it''s'), (NULL, NOW(6)), (-1.5e3, \"q\\n\")",
        "INSERT INTO t (a, b) VALUES (?, ?), (NULL, NOW(6)), (?, ?)",
        &["1", "'it's'", "-1500f", "'q\n'"],
    );
}

#[test]
fn functions_casts_and_prefixed_literals_stay() {
    check(
        "UPDATE t SET a = ROUND(b, 2), c = CAST(d AS CHAR(10)), e = DATE '2020-01-01' WHERE x = 0x41 AND y = 3",
        "UPDATE t SET a = ROUND(b, 2), c = CAST(d AS CHAR(10)), e = DATE '2020-01-01' WHERE x = 0x41 AND y = ?",
        &["3"],
    );
    check(
        "DELETE FROM t WHERE a = _utf8mb4'x' AND b LIKE 'a%' ESCAPE '|' AND t1.2x = 5",
        "DELETE FROM t WHERE a = _utf8mb4'x' AND b LIKE ? ESCAPE '|' AND t1.2x = ?",
        &["'a%'", "5"],
    );
}

#[test]
fn subtraction_is_not_a_sign() {
    check("SELECT a FROM t WHERE a -5 > 3", "SELECT a FROM t WHERE a -? > ?", &["5", "3"]);
    check("UPDATE t SET a = a - 5", "UPDATE t SET a = a - ?", &["5"]);
}

#[test]
fn other_statements_and_texts_are_left_alone() {
    for text in [
        "CREATE TABLE t (a INT DEFAULT 5)",
        "SELECT 1 /* hint */",
        "SELECT a FROM t WHERE b = ? AND c = 1",
        "SELECT @@version",
        "SELECT 1; SELECT 2",
        "SELECT 'abc",
        "SHOW TABLES",
    ] {
        assert!(normal(text).is_none(), "{text}");
    }
}
