//! Queries whose operators go on in temporary files give what they give in memory.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aquifer_sql::exec::MemoryBudget;
use aquifer_sql::{Outcome, execute};
use aquifer_types::SqlResult;
use support::{FileSpace, TestSession, block_on, text_rows};

/// Numbers without a pattern.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// A table of rows with NULLs, duplicates, texts that are equal under their collation, long values and one value that many
/// rows have.
fn fill(session: &TestSession, table: &str, rows: u64, numbers: &mut Numbers) {
    let columns = "id INT PRIMARY KEY, a INT, b BIGINT UNSIGNED, s VARCHAR(3000), x DECIMAL(30,5), f DOUBLE, d DATETIME(6)";
    session.run(&format!("CREATE TABLE {table} ({columns})")).unwrap();
    let mut values = String::new();
    for id in 0..rows {
        let a = if numbers.below(3) == 0 { 7 } else { numbers.below(rows) };
        let text = match numbers.below(10) {
            0 => "x".repeat(usize::try_from(numbers.below(2500)).unwrap()),
            1 => String::new(),
            n if n % 2 == 0 => format!("Ä{}", numbers.below(20)),
            _ => format!("a{} ", numbers.below(20)),
        };
        let [b, whole, part, f, day] = [5, 100, 4, 50, 28].map(|most| numbers.below(most));
        let [a, text, b, x, f, d] = [
            a.to_string(),
            format!("'{text}'"),
            (u64::MAX - b).to_string(),
            format!("{whole}.{}", part * 25),
            format!("{f}e-3"),
            format!("'2024-01-{:02} 00:00:00.5'", 1 + day),
        ]
        .map(|value| if numbers.below(8) == 0 { "NULL".to_owned() } else { value });
        write!(values, "{}({id}, {a}, {b}, {text}, {x}, {f}, {d})", if id == 0 { "" } else { ", " }).unwrap();
    }
    session.run(&format!("INSERT INTO {table} VALUES {values}")).unwrap();
}

/// Queries by the operator that they are about. `true`: the order of all rows is given.
const QUERIES: &[(bool, &str)] = &[
    (true, "SELECT id, s, x FROM t ORDER BY s, id"),
    (true, "SELECT * FROM t ORDER BY a DESC, f, d DESC, x, id"),
    (true, "SELECT id FROM t ORDER BY b, id DESC LIMIT 40 OFFSET 13"),
    (true, "SELECT a, s FROM t ORDER BY x, s, a, id LIMIT 1000000"),
    (false, "SELECT DISTINCT s FROM t"),
    (false, "SELECT DISTINCT a, x, d FROM t"),
    (false, "SELECT a, COUNT(*), SUM(x), MIN(s), MAX(d), AVG(b) FROM t GROUP BY a"),
    (false, "SELECT s, f, COUNT(*), BIT_XOR(id), MAX(b) FROM t GROUP BY s, f"),
    (false, "SELECT d, GROUP_CONCAT(id), COUNT(DISTINCT s), SUM(DISTINCT a) FROM t GROUP BY d"),
    (false, "SELECT COUNT(DISTINCT s), COUNT(DISTINCT a, b), SUM(DISTINCT x), MIN(DISTINCT d) FROM t"),
    (false, "SELECT x, JSON_ARRAYAGG(id), GROUP_CONCAT(DISTINCT b ORDER BY b DESC) FROM t GROUP BY x"),
    (true, "SELECT x, d, COUNT(*), SUM(id), GROUPING(d) FROM t GROUP BY x, d WITH ROLLUP"),
    (true, "SELECT f, COUNT(DISTINCT a) FROM t GROUP BY f WITH ROLLUP"),
    (false, "SELECT t.id, u.id FROM t JOIN u ON t.a = u.a"),
    (false, "SELECT t.id, u.id, u.s FROM t JOIN u ON t.s = u.s AND t.x > u.x"),
    (false, "SELECT t.id, u.id FROM t LEFT JOIN u ON t.a = u.a AND t.f < u.f"),
    (false, "SELECT t.id, u.id, u.x FROM t LEFT JOIN u ON t.d = u.d AND t.x = u.x"),
    (false, "SELECT t.id, u.id FROM t LEFT JOIN u ON t.id + u.id = 100"),
    (false, "SELECT t.id, u.id FROM t JOIN u ON t.id + u.id < 40"),
    (false, "SELECT id FROM t WHERE s IN (SELECT s FROM u)"),
    (false, "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.s = t.s AND u.id > t.id)"),
    (false, "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.a = t.a)"),
    (false, "SELECT id FROM t WHERE a NOT IN (SELECT a FROM u WHERE a IS NOT NULL)"),
    (false, "SELECT s FROM t UNION SELECT s FROM u"),
    (false, "SELECT a, x FROM t INTERSECT SELECT a, x FROM u"),
    (false, "SELECT a FROM t INTERSECT ALL SELECT a FROM u"),
    (false, "SELECT s FROM t EXCEPT SELECT s FROM u"),
    (false, "SELECT s FROM t EXCEPT ALL SELECT s FROM u"),
    (
        true,
        "SELECT id, ROW_NUMBER() OVER (PARTITION BY s ORDER BY id), SUM(a) OVER (ORDER BY id) FROM t ORDER BY id",
    ),
    (
        true,
        "SELECT id, LAG(x) OVER (PARTITION BY a ORDER BY id), RANK() OVER (PARTITION BY d ORDER BY x) FROM t ORDER BY id",
    ),
    (
        false,
        "WITH c AS (SELECT a, COUNT(*) AS n FROM t GROUP BY a) SELECT p.a, q.n FROM c p JOIN c q ON p.a = q.n",
    ),
];

fn rows_of(session: &TestSession, sql: &str, ordered: bool) -> Vec<Vec<String>> {
    let mut rows = session.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).rows;
    if !ordered {
        rows.sort();
    }
    rows
}

#[test]
fn queries_give_the_same_rows_whatever_the_limit() {
    for (seed, rows) in [(1, 30), (2, 200), (3, 700)] {
        let mut session = TestSession::new();
        let mut numbers = Numbers(seed);
        fill(&session, "t", rows, &mut numbers);
        fill(&session, "u", rows / 2, &mut numbers);
        for (ordered, sql) in QUERIES {
            let expected = rows_of(&session, sql, *ordered);
            for memory in [1, 2_000, 30_000] {
                let space = Arc::new(FileSpace::default());
                session.spill = Some((Arc::clone(&space), memory));
                assert_eq!(rows_of(&session, sql, *ordered), expected, "{seed}, {memory}: {sql}");
                session.spill = None;
                // Rows of subqueries that are kept for their tests stay in memory.
                let spills = memory == 1 && !sql.contains("(SELECT ");
                assert!(!spills || space.files.load(Ordering::Relaxed) > 0, "nothing spilled: {sql}");
            }
        }
    }
}

/// Runs a query under limits of memory, and gives its rows and the most memory that it had at a time.
fn within(session: &TestSession, sql: &str, memory: usize) -> SqlResult<(Vec<Vec<String>>, usize)> {
    let plan = session.plan(sql, &[])?;
    let mut ctx = session.context(&[]);
    ctx.memory = MemoryBudget::new(memory);
    block_on(async {
        let Outcome::Rows { mut stream, columns } = execute(&plan, &mut ctx).await? else {
            panic!("no rows")
        };
        let (mut rows, mut most) = (Vec::new(), 0);
        while let Some(batch) = stream.next(&mut ctx).await? {
            text_rows(&batch, &columns, &mut rows)?;
            most = most.max(ctx.memory.used());
        }
        rows.sort();
        Ok((rows, most))
    })
}

#[test]
fn much_more_than_the_limit_is_answered_within_it() {
    let mut session = TestSession::new();
    fill(&session, "t", 5_000, &mut Numbers(9));
    let queries = [
        "SELECT id, s FROM t ORDER BY s",
        "SELECT DISTINCT id, s FROM t",
        "SELECT id, s, COUNT(*) FROM t GROUP BY id, s",
        "SELECT COUNT(DISTINCT id, s), SUM(DISTINCT id) FROM t",
        "SELECT id % 3, COUNT(DISTINCT id, s) FROM t GROUP BY id % 3",
        "SELECT v.id, w.s FROM t v JOIN t w ON v.id = w.id + 0",
        "SELECT v.id, w.s FROM t v LEFT JOIN t w ON v.b = w.b AND v.id = w.id + 0 AND v.x > 1",
    ];
    for sql in queries {
        let (expected, most) = within(&session, sql, usize::MAX).unwrap();
        assert!(most > 600_000, "{most}: {sql}");
        assert_eq!(within(&session, sql, 500_000).unwrap_err().code(), 3170, "{sql}");
        session.spill = Some((Arc::new(FileSpace::default()), 100_000));
        let (rows, most) = within(&session, sql, 500_000).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows, expected, "{sql}");
        assert!(most < 500_000, "{most}: {sql}");
        session.spill = None;
    }
}

#[test]
fn rows_of_one_key_beyond_the_limit_are_joined_in_parts() {
    let mut session = TestSession::new();
    session.run("CREATE TABLE t (id INT PRIMARY KEY, k INT, s VARCHAR(200))").unwrap();
    let rows: Vec<String> = (0..600).map(|id| format!("({id}, {}, '{id:0100}')", id / 590)).collect();
    session.run(&format!("INSERT INTO t VALUES {}", rows.join(","))).unwrap();
    let sql = "SELECT v.id, w.id FROM t v LEFT JOIN t w ON v.k = w.k AND w.id % 40 = v.id";
    let expected = rows_of(&session, sql, false);
    session.spill = Some((Arc::new(FileSpace::default()), 8_000));
    assert_eq!(rows_of(&session, sql, false), expected);
}

#[test]
fn what_spilled_is_counted_and_shown() {
    let mut session = TestSession::new();
    fill(&session, "t", 300, &mut Numbers(4));
    let space = Arc::new(FileSpace::default());
    session.spill = Some((Arc::clone(&space), 1_000));
    let sql = "EXPLAIN ANALYZE SELECT s, COUNT(*) FROM t GROUP BY s ORDER BY s";
    let text = session.run(sql).unwrap().rows.concat().concat();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(" (spilled ")).collect();
    assert!(lines.iter().any(|line| line.contains("Sort") && line.ends_with(" sorted runs)")), "{text}");
    assert!(lines.iter().any(|line| line.contains("roup") && line.ends_with(" partitions)")), "{text}");
    assert!(space.operators.load(Ordering::Relaxed) == 1 && space.merge_passes.load(Ordering::Relaxed) > 1);
}

#[test]
fn a_full_disk_is_an_error_of_the_statement() {
    let mut session = TestSession::new();
    fill(&session, "t", 300, &mut Numbers(5));
    for sql in [
        "SELECT s FROM t ORDER BY s",
        "SELECT s, COUNT(*) FROM t GROUP BY s",
        "SELECT v.id FROM t v JOIN t w ON v.s = w.s",
    ] {
        let full = FileSpace { blocks_max: Some(3), ..FileSpace::default() };
        session.spill = Some((Arc::new(full), 1_000));
        assert_eq!(session.run(sql).err().map(|error| error.code()), Some(1021), "{sql}");
        session.spill = Some((Arc::new(FileSpace::default()), 1_000));
        assert!(session.run(sql).is_ok(), "{sql}");
    }
}
