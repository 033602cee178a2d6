//! Project tasks: `cargo xtask check | fix | test | setup | conformance | differential`.
//!
//! `check` only reads, `fix` writes, `setup` installs what the tests need, `test` does all of it and
//! runs every test there is. CI calls `test` and nothing else. No dependencies, so that it builds in
//! a second.

mod checks;
mod conformance;
mod differential;
mod layering;
mod setup;
mod shell;
mod tests;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <task>
  check   format, clippy, layering, documentation, file sizes; changes nothing
  fix     what a machine can fix of that
  setup   install Debian packages and the Python environment that the tests use (root)
  test [name…]   setup, check, unit and end-to-end tests; with names, only the end-to-end tests
          whose name contains one of them
  conformance SUITE…   tests of drivers, ORMs, applications and tools, on Aquifer and on MariaDB (pymysql,
          mysqlclient, peewee, sqlalchemy, django, pdo, mysql_node, mysql2, mysql2_old, mysql_async, sqlx,
          wordpress, phpmyadmin, schemas, tools, all)
  differential [--statements N] [--seed S]   generated statements, on Aquifer and on MariaDB, compared";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        Some("check") => checks::run(),
        Some("fix") => checks::fix(),
        Some("setup") => setup::run(),
        Some("test") => tests::run(&args[1..]),
        Some("differential") => differential::run(&args[1..]),
        Some("conformance") => conformance::run(&args[1..]),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
