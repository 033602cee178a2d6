//! Runs generated statements on Aquifer and on MariaDB and compares them (`tools/differential`).

use std::process::Command;

use crate::{setup, shell};

/// Builds the server and compares; options are those of `tools/differential/differential.py`.
///
/// # Errors
/// When something cannot be built, or answers differ without a known reason.
pub fn run(arguments: &[String]) -> Result<(), String> {
    setup::run()?;
    shell::run("cargo", &["build", "--release", "--bin", "aquifer"])?;
    let mut python = Command::new(shell::venv().join("bin/python"));
    python.arg("tools/differential/differential.py").args(arguments);
    python.env("AQUIFER_BINARY", shell::target_dir().join("release/aquifer"));
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    shell::run_with(&mut python)
}
