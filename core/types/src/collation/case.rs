//! Upper and lower case, character by character: a character whose other case has several characters
//! stays as it is, as in MySQL.

use super::{Charset, latin1};
use crate::Collation;

impl Collation {
    /// The text in upper case; binary strings stay as they are.
    #[must_use]
    pub fn to_upper(self, text: &[u8]) -> Vec<u8> {
        match self.charset() {
            Charset::Binary => text.to_vec(),
            Charset::Ascii => text.to_ascii_uppercase(),
            Charset::Latin1 => text.iter().map(|b| latin1::to_upper(*b)).collect(),
            _ if text.is_ascii() => text.to_ascii_uppercase(),
            set => map_chars(set, text, |c| single(c.to_uppercase(), c)),
        }
    }

    /// The text in lower case; binary strings stay as they are.
    #[must_use]
    pub fn to_lower(self, text: &[u8]) -> Vec<u8> {
        match self.charset() {
            Charset::Binary => text.to_vec(),
            Charset::Ascii => text.to_ascii_lowercase(),
            Charset::Latin1 => text.iter().map(|b| latin1::to_lower(*b)).collect(),
            _ if text.is_ascii() => text.to_ascii_lowercase(),
            set => map_chars(set, text, |c| single(c.to_lowercase(), c)),
        }
    }
}

fn single(mut mapped: impl Iterator<Item = char>, original: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(c), None) => c,
        _ => original,
    }
}

fn map_chars(set: Charset, text: &[u8], map: impl Fn(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for bytes in set.chars(text) {
        match std::str::from_utf8(bytes).ok().and_then(|s| s.chars().next()) {
            Some(c) if set.encode(map(c), &mut out) => {}
            _ => out.extend_from_slice(bytes),
        }
    }
    out
}
