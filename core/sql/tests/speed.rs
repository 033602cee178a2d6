//! What the hot statements cost without storage and protocol. Ignored: figures mean something only in a release
//! build on a quiet machine: `cargo test --release -p aquifer-sql --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)]

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use aquifer_sql::exec::{MemoryBudget, SPILL_MEMORY};
use aquifer_sql::{Normalised, ParseOptions, Plan, normalise, parse};
use aquifer_types::SqlMode;
use support::{FileSpace, TestSession, block_on};

/// Nanoseconds for one call, the best of five rounds.
fn nanos(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 20_000;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    best
}

#[test]
#[ignore = "measures"]
fn hot_statements() {
    let session = TestSession::new();
    session
        .run("CREATE TABLE sbtest1 (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', KEY k_1 (k))")
        .unwrap();
    // As sysbench fills it: groups of digits.
    let filler = |n: u64| {
        let group = |i: u64| {
            format!("{:011}", n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i) % 99_999_999_999)
        };
        (0..10).map(group).collect::<Vec<_>>().join("-")
    };
    for from in (0..10_000).step_by(500) {
        let rows: Vec<String> =
            (from..from + 500).map(|n| format!("({n}, '{}', 'pad')", filler(n))).collect();
        session.run(&format!("INSERT INTO sbtest1 (k, c, pad) VALUES {}", rows.join(","))).unwrap();
    }
    let statements = [
        ("point", "SELECT c FROM sbtest1 WHERE id=5015"),
        ("range", "SELECT c FROM sbtest1 WHERE id BETWEEN 5015 AND 5114"),
        ("sum", "SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN 5015 AND 5114"),
        ("order", "SELECT c FROM sbtest1 WHERE id BETWEEN 5015 AND 5114 ORDER BY c"),
        ("distinct", "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 5015 AND 5114 ORDER BY c"),
        ("update k", "UPDATE sbtest1 SET k=k+1 WHERE id=5015"),
        ("update c", "UPDATE sbtest1 SET c='0123456789' WHERE id=5015"),
        ("delete", "DELETE FROM sbtest1 WHERE id=5015"),
        ("insert", "INSERT INTO sbtest1 (id, k, c, pad) VALUES (20001, 4, 'cccc', 'pppp')"),
    ];
    let mode = SqlMode::default();
    println!("{:10} {:>10} {:>10} {:>10} {:>10}", "ns", "normalise", "parse", "plan", "execute");
    for (name, text) in statements {
        let mut normal = Normalised::default();
        assert!(normalise(text.as_bytes(), mode, &mut normal));
        let t_normalise = nanos(|| {
            black_box(normalise(black_box(text).as_bytes(), mode, &mut normal));
        });
        let t_parse = nanos(|| {
            black_box(parse(black_box(text), ParseOptions { sql_mode: mode }).unwrap());
        });
        let normalised = String::from_utf8(normal.text.clone()).unwrap();
        let params = normal.params.clone();
        let t_plan = nanos(|| {
            black_box(session.plan(&normalised, &params).unwrap());
        });
        let plan = session.plan(&normalised, &params).unwrap();
        let mut ctx = session.context(&params);
        let t_execute = nanos(|| {
            ctx.eval.params.clear();
            ctx.eval.params.extend_from_slice(&params);
            run(&plan, &mut ctx);
            session.txn.rollback();
        });
        println!("{name:10} {t_normalise:10.0} {t_parse:10.0} {t_plan:10.0} {t_execute:10.0}");
    }
}

#[test]
#[ignore = "measures"]
fn operators_in_memory_and_in_files() {
    let mut session = TestSession::new();
    session.run("CREATE TABLE d (n INT PRIMARY KEY)").unwrap();
    session.run("INSERT INTO d VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)").unwrap();
    session.run("CREATE TABLE t (id INT PRIMARY KEY, k INT, s VARCHAR(40))").unwrap();
    let number = "a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n";
    for start in (0..2_000_000).step_by(100_000) {
        session
            .run(&format!(
                "INSERT INTO t SELECT {start} + {number}, CRC32({start} + {number}) % 1000000, MD5({start} + {number}) \
                 FROM d a, d b, d c, d d, d e"
            ))
            .unwrap();
    }
    let statements = [
        ("sort", "SELECT s, id FROM t ORDER BY s"),
        ("group", "SELECT k, COUNT(*), MIN(s) FROM t GROUP BY k"),
        ("distinct", "SELECT DISTINCT s FROM t"),
        ("join", "SELECT COUNT(*) FROM t v JOIN t w ON v.k = w.k + 0"),
    ];
    println!("{:10} {:>12} {:>12}", "ms", "in memory", "in files");
    for (name, text) in statements {
        let plan = session.plan(text, &[]).unwrap();
        let mut times = Vec::new();
        for spills in [false, true] {
            session.spill = spills.then(|| (Arc::new(FileSpace::default()), SPILL_MEMORY));
            let mut ctx = session.context(&[]);
            ctx.memory = MemoryBudget::new(8 << 30);
            let start = Instant::now();
            run(&plan, &mut ctx);
            times.push(start.elapsed().as_millis());
        }
        println!("{name:10} {:>12} {:>12}", times[0], times[1]);
    }
}

fn run<'a>(plan: &'a Plan, ctx: &mut aquifer_sql::ExecContext<'a>) {
    block_on(async {
        match aquifer_sql::execute(plan, ctx).await.unwrap() {
            aquifer_sql::Outcome::Done(done) => {
                black_box(done);
            }
            aquifer_sql::Outcome::Rows { mut stream, .. } => {
                while let Some(batch) = stream.next(ctx).await.unwrap() {
                    black_box(batch.len());
                }
            }
        }
    });
}
