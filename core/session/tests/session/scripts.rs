//! Golden scripts of several clients: each line `user: statement;` of `tests/scripts/*.test` is followed by its
//! answer after `----`, up to an empty line. `user: RECONNECT;` ends the user's session. `AQUIFER_REWRITE=1` writes
//! the answers anew.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::client::{Answer, Client, Server};

fn connect(server: &Server, user: &str) -> Client {
    let mut client = server.connect(Ipv4Addr::LOCALHOST);
    let answer = client.log_in(user, "", None);
    assert!(matches!(answer, Answer::Ok(_)), "{user}: {answer:?}");
    client
}

fn shown(answer: Answer) -> String {
    match answer {
        Answer::Ok(ok) if ok.warnings > 0 => format!("OK {}, warnings {}\n", ok.affected, ok.warnings),
        Answer::Ok(ok) => format!("OK {}\n", ok.affected),
        Answer::Error(code, text) => format!("{code}: {text}\n"),
        Answer::Rows { columns, rows, .. } => {
            let mut out = format!("{}\n", columns.join(" | "));
            for row in rows {
                let values = row.into_iter().map(|value| value.unwrap_or_else(|| "NULL".to_owned()));
                writeln!(out, "{}", values.collect::<Vec<_>>().join(" | ")).unwrap();
            }
            out
        }
        Answer::Other(packet) => panic!("{packet:?}"),
    }
}

/// Runs a script and gives it with the answers that it got.
fn run(script: &str) -> String {
    let server = Server::new();
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    let mut out = String::new();
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
        if line.starts_with('#') {
            writeln!(out, "{line}").unwrap();
        }
        let Some((user, statement)) = line.split_once(": ").filter(|_| line.ends_with(';')) else { continue };
        let statement = statement.trim_end_matches(';');
        if statement == "RECONNECT" {
            clients.remove(user);
            writeln!(out, "{line}\n----\n").unwrap();
            continue;
        }
        let client = clients.entry(user.to_owned()).or_insert_with(|| connect(&server, user));
        let answer = shown(client.query(statement));
        writeln!(out, "{line}\n----\n{answer}").unwrap();
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

#[test]
fn grants_on_tables() {
    check("table_grants.test");
}

#[test]
fn grants_on_columns() {
    check("column_grants.test");
}

#[test]
fn roles_within_roles() {
    check("roles.test");
}

#[test]
fn rights_of_views() {
    check("view_rights.test");
}

#[test]
fn rights_to_change_through_views() {
    check("view_change_rights.test");
}
