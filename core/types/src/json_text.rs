//! Whether a text is JSON (RFC 8259), nested at most 100 deep as in MySQL.

/// Where and why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// Byte position.
    pub position: usize,
    /// MySQL's words for it.
    pub what: &'static str,
}

const DEPTH_MAX: usize = 100;

struct Checker<'a> {
    text: &'a [u8],
    at: usize,
}

type Check = Result<(), NotJson>;

/// Checks a whole text.
///
/// # Errors
/// Says where it stops being JSON.
pub fn check(text: &[u8]) -> Result<(), NotJson> {
    let mut c = Checker { text, at: 0 };
    c.spaces();
    if c.at == text.len() {
        return c.fail("The document is empty.");
    }
    c.value(0)?;
    c.spaces();
    if c.at < text.len() {
        return c.fail("The document root must not be followed by other values.");
    }
    Ok(())
}

impl Checker<'_> {
    fn fail(&self, what: &'static str) -> Check {
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

    fn value(&mut self, depth: usize) -> Check {
        if depth > DEPTH_MAX {
            return self.fail("The JSON document exceeds the maximum depth.");
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Check {
        let rest = &self.text[self.at..];
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        match words.iter().find(|w| rest.starts_with(w)) {
            Some(word) => {
                self.at += word.len();
                Ok(())
            }
            None => self.fail("Invalid value."),
        }
    }

    fn object(&mut self, depth: usize) -> Check {
        self.at += 1;
        self.spaces();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.spaces();
            if self.peek() != Some(b'"') {
                return self.fail("Missing a name for object member.");
            }
            self.string()?;
            self.spaces();
            if !self.take(b':') {
                return self.fail("Missing a colon after a name of object member.");
            }
            self.spaces();
            self.value(depth + 1)?;
            self.spaces();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.fail("Missing a comma or } after an object member.");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Check {
        self.at += 1;
        self.spaces();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.spaces();
            self.value(depth + 1)?;
            self.spaces();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.fail("Missing a comma or ] after an array element.");
            }
        }
    }

    fn string(&mut self) -> Check {
        self.at += 1;
        loop {
            match self.peek() {
                None => return self.fail("Missing a closing quotation mark in string."),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return self.fail("Invalid encoding in string."),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Check {
        self.at += 1;
        match self.peek() {
            Some(b'u') => {
                let digits = self.text.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                    return self.fail("Incorrect hex digit after \\u escape in string.");
                }
                self.at += 5;
                Ok(())
            }
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            _ => self.fail("Invalid escape character in string."),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Check {
        self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || (leading_zero && digits > 1) {
            return self.fail("Invalid value.");
        }
        if self.take(b'.') && self.digits() == 0 {
            return self.fail("Miss fraction part in number.");
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return self.fail("Miss exponent in number.");
            }
        }
        Ok(())
    }
}
