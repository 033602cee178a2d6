//! REGEXP. MySQL uses ICU; the `regex` crate understands what is common, without back references and
//! look-around, which are refused with MySQL's error for a wrong pattern.

use std::cell::RefCell;

use aquifer_types::collation::Charset;
use aquifer_types::{Collation, SqlError, SqlResult};
use regex::bytes::{Regex, RegexBuilder};

/// Most compiled pattern size, in bytes.
const SIZE_MAX: usize = 1 << 20;

thread_local! {
    /// The pattern compiled last: patterns are nearly always constant.
    static LAST: RefCell<Option<(String, Regex)>> = const { RefCell::new(None) };
}

/// Runs `use_it` with the compiled pattern. Case counts only under binary and case-sensitive collations,
/// unless `flags` (of REGEXP_LIKE and its kin) say otherwise.
pub(crate) fn with_regex<T>(
    collation: Collation,
    pattern: &[u8],
    flags: &[u8],
    use_it: impl FnOnce(&Regex) -> T,
) -> SqlResult<T> {
    let mut ignore_case = !collation.is_binary() && !collation.name().ends_with("_cs");
    let (mut lines, mut dot_all) = (false, false);
    for flag in flags {
        match flag {
            b'c' => ignore_case = false,
            b'i' => ignore_case = true,
            b'm' => lines = true,
            b'n' => dot_all = true,
            b'u' => {}
            _ => return Err(SqlError::new(3692, "Invalid match mode flag in regular expression.")),
        }
    }
    let utf8 = collation.charset() != Charset::Binary;
    let source = String::from_utf8_lossy(pattern).into_owned();
    if source.is_empty() {
        return Err(SqlError::new(3685, "Illegal argument to a regular expression."));
    }
    let key = format!("{ignore_case}{lines}{dot_all}{utf8}{source}");
    LAST.with_borrow_mut(|last| {
        if last.as_ref().is_none_or(|(k, _)| *k != key) {
            let compiled = RegexBuilder::new(&source)
                .case_insensitive(ignore_case)
                .multi_line(lines)
                .dot_matches_new_line(dot_all)
                .unicode(utf8)
                .size_limit(SIZE_MAX)
                .build()
                .map_err(|_| {
                    if [r"(?=", r"(?!", r"(?<=", r"(?<!"].iter().any(|group| source.contains(group)) {
                        return SqlError::not_supported("look-around in regular expressions");
                    }
                    SqlError::new(
                        3691,
                        "The regular expression contains an error or an unsupported construct.",
                    )
                })?;
            *last = Some((key, compiled));
        }
        match last {
            Some((_, regex)) => Ok(use_it(regex)),
            None => Err(SqlError::bug("a compiled pattern was lost")),
        }
    })
}

/// Whether the pattern is found anywhere in the text.
pub(crate) fn is_match(collation: Collation, text: &[u8], pattern: &[u8]) -> SqlResult<bool> {
    with_regex(collation, pattern, b"", |regex| regex.is_match(text))
}
