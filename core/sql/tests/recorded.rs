//! Tables of expressions with the answers that MariaDB gave ("= ") or that MySQL's manual gives where the two
//! differ ("! "); `tools/record/record.py` writes the former anew.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;
use std::path::Path;

use support::TestSession;

/// The answer to one expression, in the form of the files.
fn answer(session: &TestSession, expression: &str) -> String {
    let whole = expression.starts_with("SELECT ");
    let statement = if whole { expression.to_owned() } else { format!("SELECT {expression}") };
    match session.run(&statement) {
        Ok(answer) => answer.rows[0].join("\t").replace('\n', "\\n"),
        Err(error) => format!("ERROR {}", error.code()),
    }
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let session = TestSession::new();
    let mut expression = "";
    let mut wrong = String::new();
    let mut checked = 0;
    for line in text.lines() {
        let Some(wanted) = line.strip_prefix("= ").or_else(|| line.strip_prefix("! ")) else {
            expression = line;
            continue;
        };
        let got = answer(&session, expression);
        checked += 1;
        if got != wanted {
            writeln!(wrong, "{expression}\n  wanted {wanted}\n  got    {got}").unwrap();
        }
    }
    assert!(wrong.is_empty() && checked > 0, "{checked} checked\n{wrong}");
}

#[test]
fn string_functions_answer_as_recorded() {
    check("strings.txt");
}

#[test]
fn date_functions_answer_as_recorded() {
    check("dates.txt");
}

#[test]
fn numbers_and_aggregates_answer_as_recorded() {
    check("numbers.txt");
}
