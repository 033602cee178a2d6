//! Golden scripts: each statement of `tests/scripts/*.test`, up to a semicolon at the end of a line, is
//! followed by its answer after `----`, up to an empty line. `AQUIFER_REWRITE=1` writes the answers anew.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use aquifer_sql::{Normalised, normalise};
use aquifer_types::SqlMode;
use support::{FileSpace, TestSession};

/// The answer of one statement as text.
fn answer(session: &mut TestSession, statement: &str) -> String {
    let mut out = String::new();
    if let Some(mode) = statement.strip_prefix("SET sql_mode = '") {
        session.bind.sql_mode = SqlMode::parse(mode.trim_end_matches("';")).unwrap();
        return out;
    }
    if let Some(bytes) = statement.strip_prefix("SET aquifer_spill_memory = ") {
        let bytes = bytes.trim_end_matches(';').parse().unwrap();
        session.spill = Some((Arc::new(FileSpace::default()), bytes));
        return out;
    }
    check_normalised(session, statement);
    check_spilling(session, statement);
    match session.run(statement) {
        Err(error) => writeln!(out, "{error}").unwrap(),
        Ok(answer) => {
            if let Some(done) = answer.done {
                write!(out, "OK {}", done.affected).unwrap();
                if done.last_insert_id > 0 {
                    write!(out, " id {}", done.last_insert_id).unwrap();
                }
                if !done.info.is_empty() {
                    write!(out, " [{}]", done.info).unwrap();
                }
                out.push('\n');
            } else {
                writeln!(out, "{}", answer.columns.join(" | ")).unwrap();
                for row in answer.rows {
                    writeln!(out, "{}", row.join(" | ")).unwrap();
                }
            }
            for (code, text) in answer.warnings {
                writeln!(out, "warning {code}: {text}").unwrap();
            }
        }
    }
    out
}

/// A query gives the same names and rows when its literals are parameters, as in the text protocol.
fn check_normalised(session: &TestSession, statement: &str) {
    let mut normal = Normalised::default();
    let select = statement.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
    if !select
        || !statement.contains(" FROM ")
        || !normalise(statement.as_bytes(), session.bind.sql_mode, &mut normal)
    {
        return;
    }
    let text = String::from_utf8(normal.text).unwrap();
    match (session.run(statement), session.run_with(&text, &normal.params)) {
        (Ok(plain), Ok(with_params)) => {
            assert_eq!(plain.columns, with_params.columns, "{statement}");
            let sorted = |mut rows: Vec<Vec<String>>| {
                rows.sort();
                rows
            };
            let (a, b) = (sorted(plain.rows), sorted(with_params.rows));
            assert_eq!(a, b, "{statement}\n{text} {:?}", normal.params);
        }
        (plain, with_params) => {
            let code = |result: aquifer_types::SqlResult<_>| result.err().map(|error| error.code());
            assert_eq!(code(plain), code(with_params), "{statement}");
        }
    }
}

/// A query gives the same rows when everything that can be in temporary files is there.
fn check_spilling(session: &mut TestSession, statement: &str) {
    let word = |word: &str| statement.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let upper = statement.to_ascii_uppercase();
    let changes = ["UPDATE ", "DELETE "].iter().any(|word| upper.contains(word));
    let is_query = word("select") || word("(select") || word("with") && !changes;
    // What depends on the order of rows that have none, or on itself, is another one each time.
    let varies = [":=", "RAND(", "UUID(", "LIMIT", "INTO @", "FOUND_ROWS", "SLEEP("];
    if !is_query || session.spill.is_some() || varies.iter().any(|part| upper.contains(part)) {
        return;
    }
    let sorted = |result: aquifer_types::SqlResult<support::Answer>| {
        result.map_err(|error| error.code()).map(|answer| {
            let mut rows = answer.rows;
            rows.sort();
            rows
        })
    };
    let plain = sorted(session.run(statement));
    session.spill = Some((Arc::new(FileSpace::default()), 1));
    let spilling = sorted(session.run(statement));
    session.spill = None;
    assert_eq!(plain, spilling, "{statement}");
}

/// Runs a script and gives it with the answers that it got.
fn run(script: &str) -> String {
    let mut session = TestSession::new();
    let mut out = String::new();
    let mut statement = String::new();
    let mut in_answer = false;
    for line in script.lines() {
        if in_answer {
            in_answer = !line.is_empty();
            continue;
        }
        if line == "----" {
            in_answer = true;
            continue;
        }
        if statement.is_empty() && (line.is_empty() || line.starts_with('#')) {
            if line.starts_with('#') {
                writeln!(out, "{line}").unwrap();
            }
            continue;
        }
        writeln!(statement, "{line}").unwrap();
        if line.ends_with(';') {
            let text = statement.trim_end().to_owned();
            statement.clear();
            let answer = answer(&mut session, &text);
            writeln!(out, "{text}\n----\n{answer}").unwrap();
        }
    }
    out
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(name);
    let script = std::fs::read_to_string(&path).unwrap();
    let got = run(&script);
    if std::env::var_os("AQUIFER_REWRITE").is_some() {
        std::fs::write(&path, &got).unwrap();
        return;
    }
    let wrong = got.lines().zip(script.lines()).position(|(a, b)| a != b);
    assert!(got == script, "{name} differs at line {wrong:?}; got:\n{got}");
}

macro_rules! scripts {
    ($($test:ident: $file:literal;)*) => {
        $(#[test] fn $test() { check($file); })*
    };
}

scripts! {
    sysbench_statements: "sysbench.test";
    select_expressions_and_names: "select.test";
    insert_update_delete: "dml.test";
    joins_and_subqueries: "join.test";
    subqueries_as_joins_and_tables: "subquery.test";
    group_order_limit: "group.test";
    create_alter_drop: "ddl.test";
    errors_of_names_and_values: "errors.test";
    foreign_keys_refuse_and_act: "foreign_key.test";
    checks_and_generated_columns: "rules.test";
    views: "view.test";
    views_and_derived_tables_are_merged: "view_merge.test";
    changes_through_views: "view_change.test";
    explain_shows_access: "explain.test";
    explain_in_all_formats: "explain_json.test";
    expressions_have_indexes: "generated_index.test";
    disjunctions_are_ranges: "or.test";
    json_documents_and_functions: "json.test";
    window_functions_and_frames: "window.test";
    rollup_and_functional_dependence: "rollup.test";
    common_tables_lateral_json_table: "cte.test";
    temporary_tables: "temporary.test";
    changes_of_joined_tables: "change_join.test";
    operators_in_temporary_files: "spill.test";
}

/// `AQUIFER_SCRIPT=file cargo test -p aquifer-sql --test scripts -- --ignored`: writes the answers into the file.
#[test]
#[ignore = "needs AQUIFER_SCRIPT"]
fn script_of_the_environment() {
    let path = std::env::var_os("AQUIFER_SCRIPT").expect("AQUIFER_SCRIPT names a script");
    let script = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, run(&script)).unwrap();
}
