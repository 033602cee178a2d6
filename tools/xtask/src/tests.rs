//! Runs the tests: unit tests of all crates, then the end-to-end tests with real processes.
//!
//! Everything is built with the release profile, so that binaries and tests share their dependencies.

use std::path::PathBuf;
use std::process::Command;

use crate::{checks, setup, shell};

/// Runs everything, or only the end-to-end tests that match one of `names`.
///
/// # Errors
/// The first thing that failed.
pub fn run(names: &[String]) -> Result<(), String> {
    setup::run()?;
    if names.is_empty() {
        checks::run()?;
        unit()?;
    }
    end_to_end(names)
}

fn unit() -> Result<(), String> {
    cargo(&["test", "--release", "--workspace", "--quiet"])
}

fn end_to_end(names: &[String]) -> Result<(), String> {
    // All targets, because the features of shared dependencies are then those of the unit tests, and nothing
    // is built twice.
    cargo(&["build", "--release", "--workspace", "--all-targets"])?;
    let mut pytest = Command::new(shell::venv().join("bin/python"));
    pytest.args(["-m", "pytest", "tools/e2e", "-q", "-rs", "--durations=15", "-p", "no:cacheprovider"]);
    // A test leaves its servers' data behind only when it fails.
    pytest.args(["-o", "tmp_path_retention_policy=failed", "-o", "tmp_path_retention_count=1"]);
    if !names.is_empty() {
        pytest.arg("-k").arg(names.join(" or "));
    }
    pytest.env("AQUIFER_BINARY", binary());
    pytest.env("PYTHONDONTWRITEBYTECODE", "1");
    shell::run_with(&mut pytest)
}

fn cargo(args: &[&str]) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.args(args).env("AQUIFER_PYTHON", shell::venv().join("bin/python"));
    shell::run_with(&mut cargo)
}

fn binary() -> PathBuf {
    shell::target_dir().join("release/aquifer")
}
