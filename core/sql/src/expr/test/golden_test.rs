//! Expressions with the results that MySQL 8.0 gives: `expressions.txt`, one a line, in the environment of
//! `text.rs`. The examples are those of the manual's chapter 12 and others that were compared with a
//! MariaDB server, but for what the two do differently.

use super::text::evaluate;

#[test]
fn expressions_give_what_mysql_gives() {
    let mut wrong = Vec::new();
    for line in include_str!("expressions.txt").lines() {
        let (text, expected) = line.rsplit_once(" => ").unwrap_or_else(|| panic!("no result: {line}"));
        let found = match evaluate(text) {
            Ok(value) => {
                value.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\0', "\\0")
            }
            Err(e) => format!("ERR {}", e.code()),
        };
        if found != expected {
            wrong.push(format!("{text}: {found} instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
