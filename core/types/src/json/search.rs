//! JSON_SEARCH: where strings are that match a pattern.

use super::write::write_string;
use super::{Json, Path};

/// Whether a string matches.
pub type Like<'l> = &'l dyn Fn(&[u8]) -> bool;

/// Paths of the strings below any of `within` that match, in the document's order, nothing twice. `first` stops
/// at the first.
#[must_use]
pub fn search(document: &Json, within: &[Path], like: Like<'_>, first: bool) -> Vec<String> {
    let all = [Path { legs: Vec::new() }];
    let roots: Vec<*const Json> = if within.is_empty() { &all[..] } else { within }
        .iter()
        .flat_map(|path| path.seek(document))
        .map(std::ptr::from_ref)
        .collect();
    let mut found = Vec::new();
    let mut walk = Walk { roots: &roots, like, first, found: &mut found };
    walk.value(document, false, &mut b"$".to_vec());
    found
}

struct Walk<'w> {
    roots: &'w [*const Json],
    like: Like<'w>,
    first: bool,
    found: &'w mut Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, value: &Json, inside: bool, path: &mut Vec<u8>) {
        if self.first && !self.found.is_empty() {
            return;
        }
        let inside = inside || self.roots.contains(&std::ptr::from_ref(value));
        let length = path.len();
        match value {
            Json::String(s) if inside && (self.like)(s.as_bytes()) => {
                self.found.push(String::from_utf8_lossy(path).into_owned());
            }
            Json::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    path.extend_from_slice(format!("[{number}]").as_bytes());
                    self.value(item, inside, path);
                    path.truncate(length);
                }
            }
            Json::Object(members) => {
                for (name, member) in members {
                    path.push(b'.');
                    write_name(name, path);
                    self.value(member, inside, path);
                    path.truncate(length);
                }
            }
            _ => {}
        }
    }
}

/// A name as a step of a path: in quotation marks unless it is an identifier.
fn write_name(name: &str, out: &mut Vec<u8>) {
    let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
    if plain && name.chars().next().is_some_and(|c| !c.is_ascii_digit()) {
        out.extend_from_slice(name.as_bytes());
    } else {
        write_string(name, out);
    }
}
