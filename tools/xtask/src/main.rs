//! Project tasks: `cargo xtask check | fix | test | setup`.
//!
//! `check` only reads, `fix` writes, `setup` installs what the tests need, `test` does all of it and
//! runs every test there is. CI calls `test` and nothing else. No dependencies, so that it builds in
//! a second.

mod checks;
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
          whose name contains one of them";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        Some("check") => checks::run(),
        Some("fix") => checks::fix(),
        Some("setup") => setup::run(),
        Some("test") => tests::run(&args[1..]),
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
