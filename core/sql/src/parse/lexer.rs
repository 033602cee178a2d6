//! Text to tokens.
//!
//! A token is a kind and a byte range; literals are decoded by the parser when it needs them. Comments are
//! passed over, except that the content of `/*!NNNNN … */` counts when the version is not above
//! [`VERSION`]. Lexing stops after the first semicolon.

use aquifer_types::{SqlError, SqlMode, SqlResult};

/// Versioned comments up to this one are executed.
pub(super) const VERSION: u32 = 80_034;

/// Kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word: keyword or identifier.
    Word,
    /// An identifier in backticks (or double quotes under ANSI_QUOTES).
    Quoted,
    /// A string in quotes.
    String,
    /// N'…'.
    National,
    /// Decimal digits.
    Integer,
    /// Digits with a point.
    Decimal,
    /// Digits with an exponent.
    Float,
    /// 0x… or x'…'.
    Hex,
    /// 0b… or b'…'.
    Bits,
    /// `?`.
    Param,
    /// `@name`.
    UserVariable,
    /// `@@`.
    SystemAt,
    /// One character.
    Char(u8),
    /// An operator of several characters.
    Op(Op),
    /// End of the statement.
    End,
}

/// Operators of several characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    NullSafeEq,
    Le,
    Ge,
    Ne,
    ShiftLeft,
    ShiftRight,
    And,
    Or,
    Assign,
    Arrow,
    LongArrow,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// Tokens of one statement, the last of kind [`Kind::End`], and where the text after it begins.
pub(super) struct Lexed {
    pub tokens: Vec<Token>,
    pub consumed: usize,
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    ansi_quotes: bool,
    backslash: bool,
    in_versioned: bool,
    tokens: Vec<Token>,
}

/// Splits the first statement of `text` into tokens.
pub(super) fn lex(text: &str, mode: SqlMode) -> SqlResult<Lexed> {
    let mut lexer = Lexer {
        text: text.as_bytes(),
        at: 0,
        ansi_quotes: mode.contains(SqlMode::ANSI_QUOTES),
        backslash: !mode.contains(SqlMode::NO_BACKSLASH_ESCAPES),
        in_versioned: false,
        tokens: Vec::with_capacity(16 + text.len() / 8),
    };
    let consumed = lexer.run().map_err(|at| syntax_error(text, at))?;
    Ok(Lexed { tokens: lexer.tokens, consumed })
}

/// Error 1064 at a byte position.
pub(crate) fn syntax_error(text: &str, at: usize) -> SqlError {
    let rest = text.get(at..).unwrap_or_default();
    let near: String = rest.chars().take(80).collect();
    let line = 1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    SqlError::new(
        1064,
        format!(
            "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server \
             version for the right syntax to use near '{near}' at line {line}"
        ),
    )
}

/// Whether a byte may be part of a bare identifier.
pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.tokens.push(Token { kind, start, end: self.at });
    }

    /// Returns where the next statement begins, or the position of an error.
    fn run(&mut self) -> Result<usize, usize> {
        loop {
            self.skip_space()?;
            let start = self.at;
            let Some(&byte) = self.text.get(self.at) else {
                self.push(Kind::End, start);
                return Ok(self.at);
            };
            match byte {
                b';' => {
                    self.push(Kind::End, start);
                    return Ok(self.at + 1);
                }
                b'\'' => self.quoted(b'\'', Kind::String)?,
                b'"' if self.ansi_quotes => self.quoted(b'"', Kind::Quoted)?,
                b'"' => self.quoted(b'"', Kind::String)?,
                b'`' => self.quoted(b'`', Kind::Quoted)?,
                b'@' => self.at_sign()?,
                b'0'..=b'9' => self.number(),
                b'.' if self.peek(1).is_ascii_digit() && !self.follows_name() => self.number(),
                b'n' | b'N' if self.peek(1) == b'\'' => {
                    self.at += 1;
                    self.quoted(b'\'', Kind::National)?;
                    self.widen(start);
                }
                b'x' | b'X' if self.peek(1) == b'\'' => {
                    self.at += 1;
                    self.quoted(b'\'', Kind::Hex)?;
                    self.widen(start);
                }
                b'b' | b'B' if self.peek(1) == b'\'' => {
                    self.at += 1;
                    self.quoted(b'\'', Kind::Bits)?;
                    self.widen(start);
                }
                b'?' => {
                    self.at += 1;
                    self.push(Kind::Param, start);
                }
                _ if is_word_byte(byte) => {
                    self.word();
                    self.push(Kind::Word, start);
                }
                _ => self.symbol(byte),
            }
        }
    }

    fn widen(&mut self, start: usize) {
        if let Some(last) = self.tokens.last_mut() {
            last.start = start;
        }
    }

    /// Whether the token before touches this place and is a name, so that a point is a qualifier.
    fn follows_name(&self) -> bool {
        self.tokens
            .last()
            .is_some_and(|last| last.end == self.at && matches!(last.kind, Kind::Word | Kind::Quoted))
    }

    fn word(&mut self) {
        while self.text.get(self.at).copied().is_some_and(is_word_byte) {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) -> Result<(), usize> {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                0 if self.at < self.text.len() && self.at + 1 == self.text.len() => self.at += 1,
                b'#' => self.line_comment(),
                b'-' if self.peek(1) == b'-' && matches!(self.peek(2), 0..=b' ') => self.line_comment(),
                b'/' if self.peek(1) == b'*' => self.block_comment()?,
                b'*' if self.in_versioned && self.peek(1) == b'/' => {
                    self.in_versioned = false;
                    self.at += 2;
                }
                _ => return Ok(()),
            }
        }
    }

    fn line_comment(&mut self) {
        while self.at < self.text.len() && self.text[self.at] != b'\n' {
            self.at += 1;
        }
    }

    fn block_comment(&mut self) -> Result<(), usize> {
        let start = self.at;
        if self.peek(2) == b'!' {
            let digits = (3..9).take_while(|ahead| self.peek(*ahead).is_ascii_digit()).count();
            let number = &self.text[self.at + 3..self.at + 3 + digits];
            let version = std::str::from_utf8(number).ok().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
            if digits == 0 || (digits >= 5 && version <= VERSION) {
                self.at += 3 + if digits >= 5 { digits } else { 0 };
                self.in_versioned = true;
                return Ok(());
            }
        }
        self.at += 2;
        while self.at < self.text.len() {
            if self.peek(0) == b'*' && self.peek(1) == b'/' {
                self.at += 2;
                return Ok(());
            }
            self.at += 1;
        }
        Err(start)
    }

    fn quoted(&mut self, quote: u8, kind: Kind) -> Result<(), usize> {
        let start = self.at;
        self.at += 1;
        let escapes = self.backslash && quote != b'`' && kind != Kind::Quoted;
        loop {
            match self.text.get(self.at) {
                None => return Err(start),
                Some(b'\\') if escapes => self.at += 2,
                Some(&byte) if byte == quote => {
                    self.at += 1;
                    if self.peek(0) != quote || self.at >= self.text.len() {
                        break;
                    }
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
        }
        self.push(kind, start);
        Ok(())
    }

    fn at_sign(&mut self) -> Result<(), usize> {
        let start = self.at;
        self.at += 1;
        match self.peek(0) {
            b'@' => {
                self.at += 1;
                self.push(Kind::SystemAt, start);
            }
            quote @ (b'\'' | b'"' | b'`') => {
                self.quoted(quote, Kind::UserVariable)?;
                self.widen(start);
            }
            _ => {
                while is_word_byte(self.peek(0)) || self.peek(0) == b'.' {
                    self.at += 1;
                }
                self.push(Kind::UserVariable, start);
            }
        }
        Ok(())
    }

    fn number(&mut self) {
        let start = self.at;
        let radix = match (self.peek(0), self.peek(1)) {
            (b'0', b'x') => Some((Kind::Hex, u8::is_ascii_hexdigit as fn(&u8) -> bool)),
            (b'0', b'b') => Some((Kind::Bits, (|b: &u8| matches!(b, b'0' | b'1')) as fn(&u8) -> bool)),
            _ => None,
        };
        if let Some((kind, is_digit)) = radix {
            let digits = self.text[self.at + 2..].iter().take_while(|byte| is_digit(byte)).count();
            if digits > 0 && !is_word_byte(self.peek(2 + digits)) {
                self.at += 2 + digits;
                self.push(kind, start);
                return;
            }
        }
        self.digits();
        let mut kind = Kind::Integer;
        if self.follows_name()
            || self.peek(0) != b'.' && is_word_byte(self.peek(0)) && !self.exponent_follows()
        {
            self.word();
            self.push(Kind::Word, start);
            return;
        }
        if self.peek(0) == b'.' {
            self.at += 1;
            self.digits();
            kind = Kind::Decimal;
        }
        if self.exponent_follows() {
            self.at += if self.peek(1).is_ascii_digit() { 1 } else { 2 };
            self.digits();
            kind = Kind::Float;
        }
        self.push(kind, start);
    }

    fn exponent_follows(&self) -> bool {
        matches!(self.peek(0), b'e' | b'E')
            && (self.peek(1).is_ascii_digit()
                || matches!(self.peek(1), b'+' | b'-') && self.peek(2).is_ascii_digit())
    }

    fn digits(&mut self) {
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
    }

    fn symbol(&mut self, byte: u8) {
        let start = self.at;
        let found = match (byte, self.peek(1), self.peek(2)) {
            (b'<', b'=', b'>') => Some((Op::NullSafeEq, 3)),
            (b'-', b'>', b'>') => Some((Op::LongArrow, 3)),
            (b'<', b'=', _) => Some((Op::Le, 2)),
            (b'>', b'=', _) => Some((Op::Ge, 2)),
            (b'<', b'>', _) | (b'!', b'=', _) => Some((Op::Ne, 2)),
            (b'<', b'<', _) => Some((Op::ShiftLeft, 2)),
            (b'>', b'>', _) => Some((Op::ShiftRight, 2)),
            (b'&', b'&', _) => Some((Op::And, 2)),
            (b'|', b'|', _) => Some((Op::Or, 2)),
            (b':', b'=', _) => Some((Op::Assign, 2)),
            (b'-', b'>', _) => Some((Op::Arrow, 2)),
            _ => None,
        };
        match found {
            Some((op, length)) => {
                self.at += length;
                self.push(Kind::Op(op), start);
            }
            None => {
                self.at += 1;
                self.push(Kind::Char(byte), start);
            }
        }
    }
}

/// Removes the quotes of a string or identifier and resolves what is doubled or escaped.
pub(crate) fn unquote(text: &[u8], backslash: bool) -> Vec<u8> {
    let Some((&quote, rest)) = text.split_first() else { return Vec::new() };
    let body = rest.strip_suffix(&[quote]).unwrap_or(rest);
    let escapes = backslash && quote != b'`';
    let has_escape = escapes && body.contains(&b'\\');
    if !(has_escape || body.contains(&quote)) {
        return body.to_vec();
    }
    let mut out = Vec::with_capacity(body.len());
    let mut bytes = body.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == quote {
            bytes.next();
            out.push(quote);
        } else if escapes && byte == b'\\' {
            match bytes.next() {
                Some(b'0') => out.push(0),
                Some(b'b') => out.push(8),
                Some(b'n') => out.push(b'\n'),
                Some(b'r') => out.push(b'\r'),
                Some(b't') => out.push(b'\t'),
                Some(b'Z') => out.push(26),
                Some(wild @ (b'%' | b'_')) => out.extend([b'\\', wild]),
                Some(other) => out.push(other),
                None => {}
            }
        } else {
            out.push(byte);
        }
    }
    out
}
