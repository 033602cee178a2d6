//! Bytes that are not text within a statement's text.
//!
//! Clients send binary strings within quotes, usually after `_binary`. The parser works on text; so literals that
//! are not UTF-8 are written as hexadecimal ones first, which mean the same: MySQL, too, takes their bytes as they are.

use std::fmt::Write as _;

use bytes::Bytes;

/// The statement with its literals that are not UTF-8 in hexadecimal. `backslash` says whether backslashes
/// escape, `ansi_quotes` whether double quotes are around names.
pub(crate) fn as_text(text: Bytes, backslash: bool, ansi_quotes: bool) -> Bytes {
    if std::str::from_utf8(&text).is_ok() {
        return text;
    }
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut at = 0;
    while at < text.len() {
        let end = match text[at] {
            quote @ (b'\'' | b'"' | b'`') => {
                let string = quote == b'\'' || quote == b'"' && !ansi_quotes;
                let end = closing(&text, at, string && backslash);
                let literal = &text[at..end];
                if string && std::str::from_utf8(literal).is_err() {
                    write_hexadecimal(&mut out, &unquoted(literal, backslash));
                } else {
                    out.extend_from_slice(literal);
                }
                at = end;
                continue;
            }
            b'/' if text[at..].starts_with(b"/*") && !text[at..].starts_with(b"/*!") => {
                let rest = &text[at + 2..];
                rest.windows(2).position(|two| two == b"*/").map_or(text.len(), |found| at + found + 4)
            }
            _ => at + 1,
        };
        out.extend_from_slice(&text[at..end]);
        at = end;
    }
    out.into()
}

/// The position after the quote that closes the one at `from`.
fn closing(text: &[u8], from: usize, backslash: bool) -> usize {
    let quote = text[from];
    let mut at = from + 1;
    while at < text.len() {
        if text[at] == b'\\' && backslash {
            at += 2;
        } else if text[at] != quote {
            at += 1;
        } else if text.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    text.len()
}

fn unquoted(literal: &[u8], backslash: bool) -> Vec<u8> {
    let quote = literal[0];
    let mut out = Vec::with_capacity(literal.len());
    let mut rest = literal.get(1..literal.len() - 1).unwrap_or_default().iter().copied();
    while let Some(byte) = rest.next() {
        if byte == b'\\' && backslash {
            out.extend(rest.next().map(|escaped| match escaped {
                b'0' => 0,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'Z' => 26,
                other => other,
            }));
        } else {
            if byte == quote {
                rest.next();
            }
            out.push(byte);
        }
    }
    out
}

fn write_hexadecimal(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut text = String::with_capacity(bytes.len() * 2 + 4);
    text.push_str(" x'");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\'');
    out.extend_from_slice(text.as_bytes());
}
