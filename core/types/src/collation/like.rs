//! LIKE: characters are compared one by one under the collation; spaces at the end count.

use super::Charset;
use crate::Collation;

/// Whether `text` matches `pattern`, with `%`, `_` and an escape character (`None` for no escape).
#[must_use]
pub fn like(collation: Collation, text: &[u8], pattern: &[u8], escape: Option<&[u8]>) -> bool {
    let charset = collation.charset();
    let mut text = text;
    let mut pattern = pattern;
    // Where to go on when a match after the last `%` fails.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match next_part(charset, pattern, escape) {
            Part::AnyRun(rest) => {
                if rest.is_empty() {
                    return true;
                }
                pattern = rest;
                retry = Some((text, rest));
                continue;
            }
            Part::End if text.is_empty() => return true,
            Part::AnyChar(rest) if !text.is_empty() => {
                text = &text[charset.char_len(text)..];
                pattern = rest;
                continue;
            }
            Part::Char(c, rest) if !text.is_empty() => {
                let len = charset.char_len(text);
                if collation.chars_equal(&text[..len], c) {
                    text = &text[len..];
                    pattern = rest;
                    continue;
                }
            }
            _ => {}
        }
        match retry {
            Some((from, rest)) if !from.is_empty() => {
                let from = &from[charset.char_len(from)..];
                retry = Some((from, rest));
                (text, pattern) = (from, rest);
            }
            _ => return false,
        }
    }
}

enum Part<'a> {
    End,
    AnyRun(&'a [u8]),
    AnyChar(&'a [u8]),
    Char(&'a [u8], &'a [u8]),
}

fn next_part<'a>(charset: Charset, pattern: &'a [u8], escape: Option<&[u8]>) -> Part<'a> {
    let len = charset.char_len(pattern);
    let (head, tail) = pattern.split_at(len);
    if len == 0 {
        return Part::End;
    }
    if escape == Some(head) {
        let escaped = charset.char_len(tail);
        // An escape at the very end stands for itself.
        return if escaped == 0 {
            Part::Char(head, tail)
        } else {
            Part::Char(&tail[..escaped], &tail[escaped..])
        };
    }
    match head {
        b"%" => Part::AnyRun(tail),
        b"_" => Part::AnyChar(tail),
        _ => Part::Char(head, tail),
    }
}
