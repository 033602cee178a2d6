//! What the planner makes of statistics, and what samples say.

#![allow(clippy::unwrap_used)]

mod support;

use aquifer_sql::Statistics;
use aquifer_sql::txn::Txn;
use aquifer_types::Value;
use support::TestSession;

/// `rows` rows, of which `a` has 10 values, `b` half as many as there are rows, and `(a, b)` as many as `b`.
fn session(rows: u32) -> TestSession {
    let session = TestSession::new();
    session
        .run("CREATE TABLE big (id INT PRIMARY KEY, a INT, b INT, c INT, KEY ka (a), KEY kb (b), KEY kab (a, b))")
        .unwrap();
    session.run("CREATE TABLE small (id INT PRIMARY KEY, n VARCHAR(10))").unwrap();
    session.run("INSERT INTO small VALUES (0, 'x'), (1, 'y'), (2, 'x')").unwrap();
    for from in (0..rows).step_by(1000) {
        let values: Vec<String> = (from..rows.min(from + 1000))
            .map(|id| format!("({id}, {}, {}, {})", id % 10, id / 2, id % 7))
            .collect();
        session.run(&format!("INSERT INTO big VALUES {}", values.join(","))).unwrap();
    }
    session
}

/// Column `name` of EXPLAIN, one value a table.
fn explained(session: &TestSession, sql: &str, name: &str) -> Vec<String> {
    let answer = session.run(&format!("EXPLAIN {sql}")).unwrap();
    let at = answer.columns.iter().position(|column| column == name).unwrap();
    answer.rows.into_iter().map(|mut row| row.swap_remove(at)).collect()
}

fn ratios(session: &TestSession, index: &str) -> Vec<f64> {
    let catalog = session.txn.catalog();
    let table = catalog.table("test", "big").unwrap();
    let index = table.indexes.iter().find(|each| &*each.name == index).unwrap();
    session.txn.sample(index.id).unwrap().rows_per_value.clone()
}

#[test]
fn sample_of_small_index_is_exact() {
    let session = session(4000);
    session.analyze("big");
    assert_eq!(ratios(&session, "PRIMARY"), [1.0]);
    assert_eq!(ratios(&session, "ka"), [400.0]);
    assert_eq!(ratios(&session, "kb"), [2.0]);
    assert_eq!(ratios(&session, "kab"), [400.0, 1.0]);
}

#[test]
fn sample_of_large_index_is_near() {
    let session = session(60_000);
    session.analyze("big");
    let near =
        |found: f64, wanted: f64| assert!((wanted / 1.5..wanted * 1.5).contains(&found), "{found}, {wanted}");
    near(ratios(&session, "ka")[0], 6000.0);
    near(ratios(&session, "kb")[0], 2.0);
    near(ratios(&session, "kab")[1], 1.0);
}

#[test]
fn range_of_many_rows_is_read_without_index_and_of_few_with_it() {
    let session = session(4000);
    session.analyze("big");
    assert_eq!(explained(&session, "SELECT * FROM big WHERE b > 1990", "key"), ["kb"]);
    assert_eq!(explained(&session, "SELECT * FROM big WHERE b > 1990", "rows"), ["18"]);
    assert_eq!(explained(&session, "SELECT * FROM big WHERE b > 50", "key"), ["NULL"]);
    // The index holds all that is asked for.
    assert_eq!(explained(&session, "SELECT b FROM big WHERE b > 50", "key"), ["kb"]);
}

#[test]
fn plan_is_made_for_the_parameters_of_its_first_execution() {
    let session = session(4000);
    session.analyze("big");
    let text = |params: &[Value]| {
        let plan = session.plan("EXPLAIN SELECT * FROM big WHERE b > ?", params).unwrap();
        let answer = session.execute(&plan, params).unwrap();
        answer.rows[0][answer.columns.iter().position(|column| column == "key").unwrap()].clone()
    };
    assert_eq!(text(&[Value::Int(1990)]), "kb");
    assert_eq!(text(&[Value::Int(50)]), "NULL");
}

#[test]
fn lookup_by_primary_key_asks_no_statistics() {
    let session = session(100);
    session.analyze("big");
    let follows = |sql: &str| session.plan(sql, &[Value::Int(5)]).unwrap().follows_statistics();
    assert!(!follows("SELECT c FROM big WHERE id = ?"));
    assert!(!follows("UPDATE big SET c = 1 WHERE id = ?"));
    assert!(follows("SELECT c FROM big WHERE b = ?"));
    assert!(follows("SELECT c FROM big WHERE id > ?"));
}

#[test]
fn join_begins_with_the_table_that_leaves_fewest_rows() {
    let session = session(4000);
    session.analyze("big");
    session.analyze("small");
    let sql = "SELECT * FROM big JOIN small ON small.id = big.b WHERE small.n = 'y'";
    assert_eq!(explained(&session, sql, "table"), ["small", "big"]);
    assert_eq!(explained(&session, sql, "key")[1], "kb");
    let sql = "SELECT * FROM big JOIN small ON small.id = big.c WHERE big.id = 17";
    assert_eq!(explained(&session, sql, "table"), ["big", "small"]);
}

#[test]
fn join_of_most_rows_is_hashed() {
    let session = session(4000);
    session.run("CREATE TABLE other (id INT PRIMARY KEY, v INT)").unwrap();
    session.run("INSERT INTO other SELECT id, c FROM big").unwrap();
    session.analyze("big");
    session.analyze("other");
    let extra = explained(&session, "SELECT * FROM big JOIN other ON other.id = big.b", "Extra");
    assert!(extra.iter().any(|extra| extra.contains("hash join")), "{extra:?}");
    let rows =
        session.run("SELECT COUNT(*), SUM(other.v) FROM big JOIN other ON other.id = big.b").unwrap().rows;
    let wanted: u32 = (0..4000_u32).map(|id| id / 2 % 7).sum();
    assert_eq!(rows, [["4000".to_owned(), wanted.to_string()]]);
}
