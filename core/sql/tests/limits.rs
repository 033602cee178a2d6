//! Statements at the limits of nesting run on the stack of an ordinary thread.
#![allow(clippy::unwrap_used)]

mod support;

use aquifer_sql::exec::MemoryBudget;
use aquifer_sql::{Outcome, execute};
use aquifer_types::SqlResult;
use support::{TestSession, block_on};

#[test]
fn deepest_and_longest_statements_run() {
    let session = TestSession::new();
    session.run("CREATE TABLE t (id INT PRIMARY KEY, a INT)").unwrap();
    session.run("INSERT INTO t VALUES (1, 1), (2, 2), (3, NULL)").unwrap();
    let nested = |open: &str, core: &str, close: &str, depth: usize| {
        format!("{}{core}{}", open.repeat(depth), close.repeat(depth))
    };
    let texts = [
        format!("SELECT {}", nested("(1 + ", "1", ")", 28)),
        format!("SELECT {}", nested("ABS(", "1", ")", 28)),
        format!("SELECT {}", nested("CASE WHEN 1 THEN ", "1", " END", 28)),
        format!("SELECT {}", nested("(SELECT ", "1", ")", 14)),
        format!("SELECT * FROM {}", nested("(SELECT * FROM ", "t", ") d", 14)),
        format!("SELECT id FROM t WHERE {}", nested("id IN (SELECT id FROM t WHERE ", "1", ")", 14)),
        format!("SELECT 1{}", " + 1".repeat(250)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(250)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(250)),
        format!("SELECT 1{}", " EXCEPT SELECT 2".repeat(60)),
        format!("SELECT a FROM t WHERE id = 0{}", " OR id = 1 AND a = 2 XOR id = 7".repeat(2000)),
        format!("SELECT a FROM t WHERE id IN (0{})", ", 1".repeat(5000)),
    ];
    for text in texts {
        if let Err(error) = session.run(&text) {
            panic!("{}…: {error}", &text[..60]);
        }
    }
}

/// Runs a query under a limit of memory and gives the number of its rows.
fn rows_within(session: &TestSession, sql: &str, bytes: usize) -> SqlResult<usize> {
    let plan = session.plan(sql, &[])?;
    let mut ctx = session.context(&[]);
    ctx.memory = MemoryBudget::new(bytes);
    block_on(async {
        let Outcome::Rows { mut stream, .. } = execute(&plan, &mut ctx).await? else { return Ok(0) };
        let mut count = 0;
        while let Some(batch) = stream.next(&mut ctx).await? {
            count += batch.len();
        }
        Ok(count)
    })
}

#[test]
fn rows_kept_beyond_the_memory_limit_fail_with_3170() {
    let session = TestSession::new();
    session.run("CREATE TABLE m (id INT PRIMARY KEY, t VARCHAR(200))").unwrap();
    let rows: Vec<String> = (0..1000).map(|n| format!("({n}, '{n:0100}')")).collect();
    session.run(&format!("INSERT INTO m VALUES {}", rows.join(","))).unwrap();
    let keeping = [
        "SELECT t FROM m ORDER BY t",
        "SELECT t, COUNT(*) FROM m GROUP BY t",
        "SELECT t, COUNT(*) FROM m GROUP BY t WITH ROLLUP",
        "SELECT DISTINCT t FROM m",
        "SELECT id, ROW_NUMBER() OVER (ORDER BY t) FROM m",
        "SELECT a.id FROM m a JOIN m b ON a.t = b.t",
        "SELECT id FROM m WHERE t IN (SELECT t FROM m)",
        "SELECT t FROM m EXCEPT SELECT t FROM m",
        "SELECT GROUP_CONCAT(t) FROM m",
        "SELECT COUNT(DISTINCT t) FROM m",
        "SELECT JSON_ARRAYAGG(t) FROM m",
        "WITH RECURSIVE r AS (SELECT 1 AS n, t FROM m UNION ALL SELECT n + 1, t FROM r WHERE n < 3) SELECT n FROM r",
    ];
    for sql in keeping {
        assert_eq!(rows_within(&session, sql, 20_000).unwrap_err().code(), 3170, "{sql}");
        rows_within(&session, sql, 10_000_000).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let frugal = [
        "SELECT t FROM m",
        "SELECT t FROM m ORDER BY t DESC LIMIT 3",
        "SELECT (SELECT COUNT(DISTINCT b.t) FROM m b WHERE b.id = a.id) FROM m a",
        "SELECT a.id, l.n FROM m a JOIN LATERAL (SELECT COUNT(DISTINCT b.t) AS n FROM m b WHERE b.id = a.id) l",
    ];
    for sql in frugal {
        rows_within(&session, sql, 100_000).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}
