//! Runs other people's test suites against Aquifer and MariaDB (`tools/conformance`).

use std::path::Path;
use std::process::Command;

use crate::{setup, shell};

/// Builds the server and runs the named suites; options are those of `tools/conformance/conformance.py`.
///
/// # Errors
/// When something cannot be built or fetched, or a suite is below its goal.
pub fn run(arguments: &[String]) -> Result<(), String> {
    setup::run()?;
    shell::run("cargo", &["build", "--release", "--bin", "aquifer"])?;
    suites(&shell::target_dir().join("release/aquifer"), arguments)
}

fn suites(binary: &Path, arguments: &[String]) -> Result<(), String> {
    let mut python = Command::new(shell::venv().join("bin/python"));
    python.arg("tools/conformance/conformance.py").arg("--out").arg(shell::target_dir().join("conformance"));
    python.args(arguments).env("AQUIFER_BINARY", binary).env("PYTHONDONTWRITEBYTECODE", "1");
    shell::run_with(&mut python)
}
