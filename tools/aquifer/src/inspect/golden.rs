//! Golden texts: what is printed is compared with a file beside the code; `AQUIFER_REWRITE=1` writes it anew.

use std::path::Path;

/// Compares with `golden/<name>.txt`.
pub fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/inspect/golden/{name}.txt"));
    if std::env::var_os("AQUIFER_REWRITE").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == wanted, "{} differs; what is printed now:\n{text}", path.display());
}
