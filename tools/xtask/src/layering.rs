//! The direction of dependencies between crates, read from their manifests.

use std::fs;

use crate::shell;

/// The crates from the bottom up, with their folder. A crate may use only crates of lower rank;
/// equal ranks may not use each other.
const RANKS: &[(u32, &str, &str)] = &[
    (1, "core/types", "aquifer-types"),
    (2, "core/format", "aquifer-format"),
    (3, "core/objstore", "aquifer-objstore"),
    (4, "core/lsm", "aquifer-lsm"),
    (5, "core/commitlog", "aquifer-commitlog"),
    (6, "core/catalog", "aquifer-catalog"),
    (7, "core/txn", "aquifer-txn"),
    (8, "core/sql", "aquifer-sql"),
    (9, "core/wire", "aquifer-wire"),
    (10, "core/session", "aquifer-session"),
    (20, "cache", "aquifer-cache"),
    (30, "shard", "aquifer-shard"),
    (40, "writer", "aquifer-writer"),
    (40, "reader", "aquifer-reader"),
    (50, "tools/aquifer", "aquifer"),
    (50, "tools/history", "aquifer-history"),
    (50, "tools/xtask", "xtask"),
    (50, "perf/engine", "engine-bench"),
];

/// Checks every manifest.
///
/// # Errors
/// Each dependency that points the wrong way.
pub fn check() -> Result<(), String> {
    let mut complaints = Vec::new();
    for (rank, folder, name) in RANKS {
        let path = shell::root().join(folder).join("Cargo.toml");
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        for dependency in dependencies(&text) {
            match RANKS.iter().find(|(_, _, other)| *other == dependency) {
                Some((other, _, _)) if other >= rank => {
                    complaints.push(format!("{name} may not depend on {dependency}"));
                }
                None if dependency.starts_with("aquifer") => {
                    complaints.push(format!("{dependency} has no rank in xtask/src/layering.rs"));
                }
                _ => {}
            }
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

/// Names in the `[dependencies]` sections; test-only dependencies may point anywhere below.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && let Some(end) = line.find(['.', ' ', '='])
        {
            names.push(&line[..end]);
        }
    }
    names
}
