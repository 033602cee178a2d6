//! Running commands, and where things are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The directory for build output: what cargo was told, or `target`.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The Python environment of the tests, kept outside the source tree's tracked files.
pub fn venv() -> PathBuf {
    target_dir().join("venv")
}

/// Runs a program in the root directory with its output shown.
///
/// # Errors
/// What was run and how it ended, when it did not end well.
pub fn run(program: &str, args: &[&str]) -> Result<(), String> {
    run_with(Command::new(program).args(args))
}

/// As [`run`], with a command that the caller has prepared.
///
/// # Errors
/// As [`run`].
pub fn run_with(command: &mut Command) -> Result<(), String> {
    let shown = describe(command);
    println!("── {shown}");
    let start = Instant::now();
    let status =
        command.current_dir(root()).status().map_err(|error| format!("cannot run {shown}: {error}"))?;
    println!("── {:.1} s", start.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}
