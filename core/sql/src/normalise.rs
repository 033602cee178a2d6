//! A statement's text with its literals taken out, for the plan cache of the text protocol.
//!
//! One pass over the bytes, without a parser. A literal becomes a parameter only where that cannot change what
//! the statement means or how its result is described. Left as they are: the select list (its text names the
//! columns), ORDER BY and GROUP BY (numbers there are positions), arguments of functions and CAST (some must be
//! literals), literals with a prefix or after COLLATE, ESCAPE, AS, and NULL, TRUE, FALSE. Statements other than
//! SELECT, INSERT, REPLACE, UPDATE and DELETE, texts with comments, with `?` or `@`, and long texts are not
//! normalised at all.

use aquifer_types::{Decimal, SqlMode, Value};
use bytes::Bytes;

/// Longer texts are parsed: their plans would hardly be used again.
const TEXT_MAX: usize = 8 * 1024;
/// Most literals of a text.
const PARAMS_MAX: usize = 512;
/// Deepest parentheses.
const DEPTH_MAX: usize = 32;

/// A normalised text. Keep one for each session and pass it again: its buffers are reused.
#[derive(Clone, Debug, Default)]
pub struct Normalised {
    /// The text with `?` for each literal taken out and spaces folded outside of select lists; parse this text.
    pub text: Vec<u8>,
    /// The literals in order.
    pub params: Vec<Value>,
}

/// What the token before was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// An operator, a comma, an opening parenthesis or a keyword after which a value stands.
    Operator,
    /// A sign after [`Before::Operator`].
    Minus,
    /// LIMIT or OFFSET: only an unsigned number may follow.
    Limit,
    /// A value, a name or a closing parenthesis.
    Operand,
    /// A keyword or prefix after which literals stay.
    Keep,
    /// An unquoted word that may be the name of a function.
    Name,
}

struct Normaliser<'t, 'o> {
    text: &'t [u8],
    at: usize,
    out: &'o mut Normalised,
    backslash: bool,
    ansi_quotes: bool,
    /// For each open parenthesis (0 is none), whether literals stay: by clause and by call.
    keep: [bool; DEPTH_MAX],
    /// Whether the depth is within a select list, whose text stays as it is.
    verbatim: [bool; DEPTH_MAX],
    depth: usize,
    before: Before,
    /// LIMIT and OFFSET take parameters, ORDER BY does not.
    space: bool,
}

/// Normalises `text` into `out`; `false` when the statement must be parsed as it is, without the cache.
pub fn normalise(text: &[u8], sql_mode: SqlMode, out: &mut Normalised) -> bool {
    out.text.clear();
    out.params.clear();
    if text.len() > TEXT_MAX || !starts_well(text) {
        return false;
    }
    let mut normaliser = Normaliser {
        text,
        at: 0,
        out,
        backslash: !sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES),
        ansi_quotes: sql_mode.contains(SqlMode::ANSI_QUOTES),
        keep: [false; DEPTH_MAX],
        verbatim: [false; DEPTH_MAX],
        depth: 0,
        before: Before::Operator,
        space: false,
    };
    normaliser.run().is_some()
}

/// Whether the first word is that of a statement that is normalised.
fn starts_well(text: &[u8]) -> bool {
    let start = text.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(text.len());
    let word = text[start..].split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
    [&b"select"[..], b"insert", b"update", b"delete", b"replace"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

impl Normaliser<'_, '_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Whether literals stay at this place.
    fn keeps(&self) -> bool {
        self.before == Before::Keep || self.keep[self.depth] || self.verbatim[self.depth]
    }

    /// Appends what is kept, after a space if there was one.
    fn copy(&mut self, from: usize) {
        if self.space && !self.out.text.is_empty() {
            self.out.text.push(b' ');
        }
        self.space = false;
        self.out.text.extend_from_slice(&self.text[from..self.at]);
    }

    fn param(&mut self, value: Value) -> Option<()> {
        if self.out.params.len() >= PARAMS_MAX {
            return None;
        }
        if self.space && !self.out.text.is_empty() {
            self.out.text.push(b' ');
        }
        self.space = false;
        self.out.text.push(b'?');
        self.out.params.push(value);
        self.before = Before::Operand;
        Some(())
    }

    /// `None` when the text must be parsed as it is.
    fn run(&mut self) -> Option<()> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => {
                    if self.verbatim[self.depth] {
                        self.out.text.push(byte);
                    } else {
                        self.space = true;
                    }
                    self.at += 1;
                }
                b'\'' => self.string()?,
                b'"' if !self.ansi_quotes => self.string()?,
                b'"' | b'`' => self.quoted_name(byte)?,
                b'0'..=b'9' => self.number()?,
                b'.' if self.peek(1).is_ascii_digit()
                    && self.before != Before::Name
                    && self.before != Before::Operand =>
                {
                    self.number()?;
                }
                b'(' | b')' => self.parenthesis(byte)?,
                b';' => {
                    // Only space may follow: several statements are parsed one by one.
                    let rest = &self.text[self.at + 1..];
                    return rest.iter().all(u8::is_ascii_whitespace).then_some(());
                }
                b'?' | b'@' | b'#' | b'{' => return None,
                b'/' if self.peek(1) == b'*' => return None,
                b'-' if self.peek(1) == b'-' => return None,
                b'-' if self.before == Before::Operator && self.peek(1).is_ascii_digit() => {
                    self.negative()?
                }
                _ if crate::parse::lexer::is_word_byte(byte) => self.word()?,
                _ => {
                    let from = self.at;
                    self.at += 1;
                    self.copy(from);
                    self.before = if byte == b'.' { Before::Keep } else { Before::Operator };
                }
            }
        }
        Some(())
    }

    fn quoted_name(&mut self, quote: u8) -> Option<()> {
        let from = self.at;
        self.at += 1;
        while *self.text.get(self.at)? != quote {
            self.at += 1;
        }
        self.at += 1;
        self.copy(from);
        self.before = Before::Operand;
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let from = self.at;
        let quote = self.text[from];
        self.at += 1;
        loop {
            match *self.text.get(self.at)? {
                b'\\' if self.backslash => self.at += 2,
                byte if byte == quote && self.peek(1) == quote => self.at += 2,
                byte => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                }
            }
        }
        // Adjacent strings are one; a string after a value is an alias.
        let next = self.text[self.at..].iter().find(|byte| !byte.is_ascii_whitespace());
        if matches!(next, Some(b'\'' | b'"')) || self.before == Before::Operand && !self.keeps() {
            return None;
        }
        if self.keeps() || matches!(self.before, Before::Name | Before::Limit) {
            self.copy(from);
            self.before = Before::Operand;
            return Some(());
        }
        let bytes = self.text.get(from..self.at)?;
        let value = crate::parse::lexer::unquote(bytes, self.backslash);
        self.param(Value::Bytes(Bytes::from(value)))
    }

    /// A minus sign directly before digits, where no value stands before it: part of the number.
    fn negative(&mut self) -> Option<()> {
        if self.keeps() {
            let from = self.at;
            self.at += 1;
            self.copy(from);
            self.before = Before::Minus;
            return Some(());
        }
        let from = self.at;
        self.at += 1;
        let end = self.number_end()?;
        let value = number_value(&self.text[from..end])?;
        self.at = end;
        self.param(value)
    }

    /// Where the number that begins here ends; `None` when it is something else, such as an identifier.
    fn number_end(&self) -> Option<usize> {
        let byte = |at: usize| self.text.get(at).copied().unwrap_or(0);
        let mut at = self.at;
        while byte(at).is_ascii_digit() {
            at += 1;
        }
        if byte(at) == b'.' {
            at += 1;
            while byte(at).is_ascii_digit() {
                at += 1;
            }
        }
        if matches!(byte(at), b'e' | b'E') {
            let sign = usize::from(matches!(byte(at + 1), b'+' | b'-'));
            if byte(at + 1 + sign).is_ascii_digit() {
                at += 1 + sign;
                while byte(at).is_ascii_digit() {
                    at += 1;
                }
            }
        }
        (!crate::parse::lexer::is_word_byte(byte(at))).then_some(at)
    }

    fn number(&mut self) -> Option<()> {
        let from = self.at;
        let Some(end) = self.number_end() else {
            // 0x…, 0b… or a name that begins with a digit.
            while crate::parse::lexer::is_word_byte(self.peek(0)) {
                self.at += 1;
            }
            self.copy(from);
            self.before = Before::Operand;
            return Some(());
        };
        self.at = end;
        if self.keeps() || matches!(self.before, Before::Name | Before::Operand | Before::Minus) {
            self.copy(from);
            self.before = Before::Operand;
            return Some(());
        }
        let value = number_value(&self.text[from..end])?;
        self.param(value)
    }

    fn parenthesis(&mut self, byte: u8) -> Option<()> {
        let from = self.at;
        self.at += 1;
        self.copy(from);
        if byte == b')' {
            self.depth = self.depth.checked_sub(1)?;
            self.before = Before::Operand;
            return Some(());
        }
        // What follows a name directly is a call, or the column list of an INSERT, which holds no literals.
        let call = matches!(self.before, Before::Name | Before::Keep);
        let keep = self.keeps() || call;
        let verbatim = self.verbatim[self.depth];
        self.depth += 1;
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.keep[self.depth] = keep;
        self.verbatim[self.depth] = verbatim;
        self.before = if keep { Before::Keep } else { Before::Operator };
        Some(())
    }

    fn word(&mut self) -> Option<()> {
        let from = self.at;
        while crate::parse::lexer::is_word_byte(self.peek(0)) {
            self.at += 1;
        }
        let mut lower = [0_u8; 16];
        let word = &self.text[from..self.at];
        let known: &[u8] = match lower.get_mut(..word.len()) {
            Some(lower) => {
                lower.copy_from_slice(word);
                lower.make_ascii_lowercase();
                lower
            }
            None => b"",
        };
        let before = match known {
            b"where" | b"and" | b"or" | b"not" | b"in" | b"between" | b"like" | b"values" | b"value"
            | b"set" | b"on" | b"having" | b"then" | b"when" | b"else" | b"case" | b"xor" | b"div"
            | b"mod" | b"is" | b"regexp" | b"rlike" | b"interval" | b"update" => Before::Operator,
            b"limit" | b"offset" => Before::Limit,
            b"as" | b"collate" | b"escape" | b"separator" | b"using" | b"charset" | b"date" | b"time"
            | b"timestamp" | b"n" | b"x" | b"b" => Before::Keep,
            b"select" => {
                self.keep[self.depth] = true;
                self.verbatim[self.depth] = true;
                self.copy(from);
                self.before = Before::Operator;
                return Some(());
            }
            b"window" | b"over" | b"with" => return None,
            _ => Before::Name,
        };
        match known {
            b"from" | b"union" | b"except" | b"intersect" => {
                // Only at the depth of its SELECT: EXTRACT(YEAR FROM x) and TRIM are inside of calls.
                self.keep[self.depth] = self.depth > 0 && self.keep[self.depth - 1];
                self.verbatim[self.depth] = self.depth > 0 && self.verbatim[self.depth - 1];
            }
            b"order" | b"group" => self.keep[self.depth] = true,
            b"limit" | b"having" | b"for" => {
                self.keep[self.depth] = self.depth > 0 && self.keep[self.depth - 1];
            }
            _ => {}
        }
        self.copy(from);
        self.before = if word[0] == b'_' && self.peek(0) == b'\'' { Before::Keep } else { before };
        Some(())
    }
}

/// A decimal literal as a value; `None` when it is better parsed.
fn number_value(text: &[u8]) -> Option<Value> {
    let digits = std::str::from_utf8(text).ok()?;
    if text.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return digits.parse::<f64>().ok().filter(|f| f.is_finite()).map(Value::Double);
    }
    if text.contains(&b'.') {
        return Decimal::parse(text).map(Value::Decimal);
    }
    match digits.parse::<i64>() {
        Ok(number) => Some(Value::Int(number)),
        Err(_) => digits.parse::<u64>().ok().map(Value::UInt),
    }
}
