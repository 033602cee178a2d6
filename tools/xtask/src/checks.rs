//! `check` and `fix`: what a machine can say about the source.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{layering, shell};

/// A product file may not be longer than this.
const FILE_LINES_MAX: usize = 1_000;

/// Words that do not belong in the repository, written so that this file does not hold them itself.
const LEFTOVERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// Runs all checks; changes nothing.
///
/// # Errors
/// The first check that failed, with what it found.
pub fn run() -> Result<(), String> {
    shell::run("cargo", &["fmt", "--all", "--check"])?;
    layering::check()?;
    sources()?;
    formats_have_documents()?;
    shell::run(
        "cargo",
        &["clippy", "--release", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
    )
}

/// Formats the source and applies what clippy can apply.
///
/// # Errors
/// When cargo fails.
pub fn fix() -> Result<(), String> {
    shell::run("cargo", &["fmt", "--all"])?;
    shell::run(
        "cargo",
        &["clippy", "--release", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"],
    )
}

/// Each source file opens with a module comment, is short enough and has no leftovers.
fn sources() -> Result<(), String> {
    let mut complaints = Vec::new();
    for path in rust_files(&shell::root()) {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        complaints.extend(complaints_about(&path, &text));
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

fn complaints_about(path: &Path, text: &str) -> Vec<String> {
    let shown = path.display();
    let mut complaints = Vec::new();
    let lines = text.lines().count();
    if !is_test(path) {
        if lines > FILE_LINES_MAX {
            complaints.push(format!("{shown}: {lines} lines, at most {FILE_LINES_MAX}: split it by topic"));
        }
        if !text.starts_with("//!") {
            complaints.push(format!("{shown}: does not open with a module comment (`//!`)"));
        }
    }
    for word in LEFTOVERS.iter().filter(|word| text.contains(**word)) {
        complaints.push(format!("{shown}: contains {word}: do it, or file it with an owner"));
    }
    complaints
}

fn is_test(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with("_test.rs")
        || path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "examples")))
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["core", "cache", "shard", "writer", "reader", "tools", "perf"]
        .iter()
        .map(|f| root.join(f))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Each page in the format documents is named in their index, and the index names no other.
fn formats_have_documents() -> Result<(), String> {
    let folder = shell::root().join("core/docs/formats");
    let index =
        fs::read_to_string(folder.join("README.md")).map_err(|e| format!("formats/README.md: {e}"))?;
    for entry in fs::read_dir(&folder).map_err(|e| e.to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "README.md" && !index.contains(&format!("({name})")) {
            return Err(format!("core/docs/formats/README.md does not list {name}"));
        }
    }
    Ok(())
}
