//! Statements at the limits of nesting run on the stack of an ordinary thread.
#![allow(clippy::unwrap_used)]

mod support;

use support::TestSession;

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
