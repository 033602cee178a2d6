//! Path expressions (manual 11.5, "JSON Path Syntax") and what they find.

use super::Json;

/// A path is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathError {
    /// 1-based position of the character where it stops being one.
    pub position: usize,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leg {
    /// `.name`.
    Member(String),
    /// `[n]`, `[last-n]`.
    Cell(Index),
    /// `[m to n]`.
    Range(Index, Index),
    /// `.*`.
    AnyMember,
    /// `[*]`.
    AnyCell,
    /// `**`: this value and all below it.
    Ellipsis,
}

/// A position in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    /// From the start, 0 is the first.
    First(usize),
    /// From the end, 0 is the last.
    Last(usize),
}

impl Index {
    /// Position in an array of `length`; `None` before its start.
    pub(super) fn of(self, length: usize) -> Option<usize> {
        match self {
            Self::First(n) => Some(n),
            Self::Last(n) => length.checked_sub(n + 1),
        }
    }
}

/// A path from the document's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub(super) legs: Vec<Leg>,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// Says where it stops being one.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        PathParser { text: text.as_bytes(), at: 0 }.path()
    }

    /// Whether it may find more than one value.
    #[must_use]
    pub fn is_multiple(&self) -> bool {
        self.legs.iter().any(|leg| !matches!(leg, Leg::Member(_) | Leg::Cell(_)))
    }

    /// `$` alone.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.legs.is_empty()
    }

    /// Whether its last step is into an array.
    #[must_use]
    pub fn ends_in_cell(&self) -> bool {
        matches!(self.legs.last(), Some(Leg::Cell(_)))
    }

    /// What it finds in a document, in the document's order, nothing twice.
    #[must_use]
    pub fn seek<'j>(&self, document: &'j Json) -> Vec<&'j Json> {
        let mut found = vec![document];
        for leg in &self.legs {
            let mut next = Vec::new();
            for value in found {
                step(value, leg, &mut next);
            }
            if *leg == Leg::Ellipsis {
                let mut seen = std::collections::HashSet::new();
                next.retain(|value| seen.insert(std::ptr::from_ref::<Json>(value)));
            }
            found = next;
        }
        found
    }
}

/// What one leg finds below a value.
fn step<'j>(value: &'j Json, leg: &Leg, found: &mut Vec<&'j Json>) {
    match (leg, value) {
        (Leg::Member(name), _) => found.extend(value.member(name)),
        (Leg::AnyMember, Json::Object(members)) => found.extend(members.iter().map(|(_, member)| member)),
        (Leg::AnyCell, Json::Array(items)) => found.extend(items),
        (Leg::Cell(index), Json::Array(items)) => {
            found.extend(index.of(items.len()).and_then(|at| items.get(at)));
        }
        // A value that is no array is taken as an array of one.
        (Leg::Cell(index), _) => found.extend((index.of(1) == Some(0)).then_some(value)),
        (Leg::Range(from, to), Json::Array(items)) => found.extend(&items[range(*from, *to, items.len())]),
        (Leg::Range(from, to), _) => found.extend(range(*from, *to, 1).contains(&0).then_some(value)),
        (Leg::Ellipsis, _) => {
            found.push(value);
            match value {
                Json::Array(items) => items.iter().for_each(|item| step(item, leg, found)),
                Json::Object(members) => members.iter().for_each(|(_, member)| step(member, leg, found)),
                _ => {}
            }
        }
        (Leg::AnyMember | Leg::AnyCell, _) => {}
    }
}

/// Positions of `[from to to]` in an array of `length`.
fn range(from: Index, to: Index, length: usize) -> std::ops::Range<usize> {
    let start = from.of(length).unwrap_or(0);
    let end = to.of(length).map_or(0, |end| end.saturating_add(1)).min(length);
    start.min(end)..end
}

struct PathParser<'a> {
    text: &'a [u8],
    at: usize,
}

impl PathParser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    fn fail<T>(&self) -> Result<T, PathError> {
        Err(PathError { position: self.at.max(1) })
    }

    fn path(mut self) -> Result<Path, PathError> {
        self.spaces();
        if !self.take(b'$') {
            self.at = 1;
            return self.fail();
        }
        let mut legs = Vec::new();
        loop {
            self.spaces();
            let leg = match self.peek() {
                None => break,
                Some(b'.') => {
                    self.at += 1;
                    self.spaces();
                    self.member()?
                }
                Some(b'[') => {
                    self.at += 1;
                    self.cell()?
                }
                Some(b'*') => {
                    if !self.word("**") || self.peek() == Some(b'*') {
                        return self.fail();
                    }
                    self.spaces();
                    if !matches!(self.peek(), Some(b'.' | b'[' | b'*')) {
                        return self.fail();
                    }
                    Leg::Ellipsis
                }
                Some(_) => return self.fail(),
            };
            legs.push(leg);
            if legs.len() > super::DEPTH_MAX {
                return self.fail();
            }
        }
        Ok(Path { legs })
    }

    fn member(&mut self) -> Result<Leg, PathError> {
        if self.take(b'*') {
            return Ok(Leg::AnyMember);
        }
        let from = self.at;
        if self.take(b'"') {
            while let Some(byte) = self.peek() {
                self.at += if byte == b'\\' { 2 } else { 1 };
                if byte == b'"' {
                    break;
                }
            }
            let quoted = self.text.get(from..self.at).unwrap_or_default();
            return match super::parse(quoted) {
                Ok(Json::String(name)) => Ok(Leg::Member(name)),
                _ => self.fail(),
            };
        }
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || b >= 0x80)
        {
            self.at += 1;
        }
        let name = &self.text[from..self.at];
        if name.is_empty() || name[0].is_ascii_digit() {
            return self.fail();
        }
        match std::str::from_utf8(name) {
            Ok(name) => Ok(Leg::Member(name.to_owned())),
            Err(_) => self.fail(),
        }
    }

    fn cell(&mut self) -> Result<Leg, PathError> {
        self.spaces();
        if self.take(b'*') {
            self.spaces();
            return if self.take(b']') { Ok(Leg::AnyCell) } else { self.fail() };
        }
        let from = self.index()?;
        self.spaces();
        let mut leg = Leg::Cell(from);
        if self.word("to") {
            self.spaces();
            let to = self.index()?;
            let backwards = match (from, to) {
                (Index::First(a), Index::First(b)) => a > b,
                (Index::Last(a), Index::Last(b)) => a < b,
                _ => false,
            };
            if backwards {
                return self.fail();
            }
            leg = Leg::Range(from, to);
            self.spaces();
        }
        if self.take(b']') { Ok(leg) } else { self.fail() }
    }

    fn index(&mut self) -> Result<Index, PathError> {
        if self.word("last") {
            self.spaces();
            if !self.take(b'-') {
                return Ok(Index::Last(0));
            }
            self.spaces();
            return self.number().map(Index::Last);
        }
        self.number().map(Index::First)
    }

    fn number(&mut self) -> Result<usize, PathError> {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.text[from..self.at]).unwrap_or("");
        match text.parse::<u32>() {
            Ok(n) => Ok(n as usize),
            Err(_) => self.fail(),
        }
    }
}
