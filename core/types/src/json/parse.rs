//! Reading JSON texts (RFC 8259) with MySQL's limits and messages.

use super::{DEPTH_MAX, Json};
use crate::Decimal;

/// Where and why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// Byte position.
    pub position: usize,
    /// MySQL's words for it.
    pub what: &'static str,
}

type Parsed<T> = Result<T, NotJson>;

/// Reads a text of the user: every number with a fraction is a double.
///
/// # Errors
/// Says where it stops being JSON.
pub fn parse(text: &[u8]) -> Parsed<Json> {
    parse_text(text, Fractions::Double)
}

/// Reads the normalised text of a JSON value: a fraction that no double prints is a DECIMAL.
///
/// # Errors
/// As [`parse`].
pub fn parse_stored(text: &[u8]) -> Parsed<Json> {
    parse_text(text, Fractions::Decimal)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fractions {
    Double,
    Decimal,
}

fn parse_text(text: &[u8], fractions: Fractions) -> Parsed<Json> {
    let mut p = Parser { text, at: 0, fractions };
    p.spaces();
    if p.at == text.len() {
        return p.fail("The document is empty.");
    }
    let value = p.value(1)?;
    p.spaces();
    if p.at < text.len() {
        return p.fail("The document root must not be followed by other values.");
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    fractions: Fractions,
}

impl Parser<'_> {
    fn fail<T>(&self, what: &'static str) -> Parsed<T> {
        Err(NotJson { position: self.at, what })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Parsed<Json> {
        match self.peek() {
            Some(b'{' | b'[') if depth > DEPTH_MAX => {
                self.fail("The JSON document exceeds the maximum depth.")
            }
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Parsed<Json> {
        let rest = &self.text[self.at..];
        let words: [(&[u8], Json); 3] =
            [(b"true", Json::Bool(true)), (b"false", Json::Bool(false)), (b"null", Json::Null)];
        for (word, value) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.fail("Invalid value.")
    }

    fn object(&mut self, depth: usize) -> Parsed<Json> {
        self.at += 1;
        self.spaces();
        if self.take(b'}') {
            return Ok(Json::Object(Vec::new()));
        }
        let mut members = Vec::new();
        loop {
            self.spaces();
            if self.peek() != Some(b'"') {
                return self.fail("Missing a name for object member.");
            }
            let name = self.string()?;
            self.spaces();
            if !self.take(b':') {
                return self.fail("Missing a colon after a name of object member.");
            }
            self.spaces();
            members.push((name, self.value(depth + 1)?));
            self.spaces();
            if self.take(b'}') {
                return Ok(Json::object(members));
            }
            if !self.take(b',') {
                return self.fail("Missing a comma or } after an object member.");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Parsed<Json> {
        self.at += 1;
        self.spaces();
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.spaces();
            items.push(self.value(depth + 1)?);
            self.spaces();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return self.fail("Missing a comma or ] after an array element.");
            }
        }
    }

    fn string(&mut self) -> Parsed<String> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let from = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..0x20)) {
                self.at += 1;
            }
            out.extend_from_slice(&self.text[from..self.at]);
            match self.peek() {
                None => return self.fail("Missing a closing quotation mark in string."),
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(b'\\') => self.escape(&mut out)?,
                Some(_) => return self.fail("Invalid encoding in string."),
            }
        }
        String::from_utf8(out).map_err(|_| NotJson { position: self.at, what: "Invalid encoding in string." })
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Parsed<()> {
        self.at += 1;
        let plain = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => c,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(out),
            _ => return self.fail("Invalid escape character in string."),
        };
        self.at += 1;
        out.push(plain);
        Ok(())
    }

    fn hex(&mut self) -> Parsed<u32> {
        let digits = self.text.get(self.at + 1..self.at + 5).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let number =
            digits.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u32::from_str_radix(d, 16).ok());
        match number {
            Some(number) => {
                self.at += 5;
                Ok(number)
            }
            None => self.fail("Incorrect hex digit after \\u escape in string."),
        }
    }

    /// `\uXXXX`, or a pair of surrogates.
    fn unicode(&mut self, out: &mut Vec<u8>) -> Parsed<()> {
        let mut code = self.hex()?;
        if (0xD800..0xDC00).contains(&code) {
            let low = if self.take(b'\\') && self.peek() == Some(b'u') { self.hex()? } else { 0 };
            if !(0xDC00..0xE000).contains(&low) {
                return self.fail("The surrogate pair in string is invalid.");
            }
            code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        let Some(c) = char::from_u32(code) else {
            return self.fail("The surrogate pair in string is invalid.");
        };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Parsed<Json> {
        let start = self.at;
        self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || (leading_zero && digits > 1) {
            return self.fail("Invalid value.");
        }
        let mut whole = true;
        if self.take(b'.') {
            whole = false;
            if self.digits() == 0 {
                return self.fail("Miss fraction part in number.");
            }
        }
        let fraction = !whole;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return self.fail("Miss exponent in number.");
            }
        }
        let raw = &self.text[start..self.at];
        let text = std::str::from_utf8(raw).unwrap_or("0");
        if whole {
            if let Ok(n) = text.parse::<i64>() {
                return Ok(Json::Int(n));
            }
            if let Ok(n) = text.parse::<u64>() {
                return Ok(Json::UInt(n));
            }
        }
        let double = text.parse::<f64>().unwrap_or(f64::INFINITY);
        if self.fractions == Fractions::Decimal && (fraction || whole) {
            let mut canonical = Vec::new();
            super::write::write_double(double, &mut canonical);
            if canonical != raw
                && let Some(decimal) = Decimal::parse(raw)
            {
                return Ok(Json::Decimal(decimal));
            }
        }
        if double.is_infinite() {
            self.at = start;
            return self.fail("Number too big to be stored in double.");
        }
        Ok(Json::Double(double))
    }
}
