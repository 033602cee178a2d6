//! Records of a file that LOAD DATA reads, as its bytes come (manual 15.2.9).
//!
//! A [`RecordReader`] is fed with parts of the file and gives whole records; it knows nothing of tables, types and
//! character sets. Separators are compared as bytes. A field is `None` when the file says NULL.

#[cfg(test)]
mod reader_test;

use aquifer_types::{SqlError, SqlResult};

use crate::ast::RecordFormat;

/// Longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// The fields of one record.
pub type Record = Vec<Option<Vec<u8>>>;

/// Reads records.
#[derive(Debug)]
pub struct RecordReader {
    format: RecordFormat,
    /// Lines to be passed over.
    skip: u64,
    buffer: Vec<u8>,
    /// What of the buffer has been read.
    at: usize,
    /// With less than this in the buffer there is no whole record in it.
    wanted: usize,
    /// First bytes of whatever is not a plain byte of a field outside of quotes.
    special: [u8; 3],
}

/// Whether more of the file may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It may.
    MayCome,
    /// What was fed is all.
    Ended,
}

/// What follows a field.
enum After {
    Field,
    Record,
    File,
}

/// A field and what follows it.
type Field = (Option<Vec<u8>>, After);

/// Why a record cannot be read yet.
struct Incomplete;

/// What stands at a place.
enum Separator {
    Line,
    Field,
    Nothing,
}

impl RecordReader {
    /// A reader that passes over the first `skip` lines.
    #[must_use]
    pub fn new(format: RecordFormat, skip: u64) -> Self {
        let first = |separator: &[u8]| separator.first().copied().unwrap_or_default();
        let (field_end, line_end) = (first(&format.field_end), first(&format.line_end));
        let special = [field_end, line_end, format.escape.unwrap_or(field_end)];
        Self { format, skip, buffer: Vec::new(), at: 0, wanted: 0, special }
    }

    /// Takes the next part of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.wanted = self.wanted.saturating_sub(self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record; `None` when it has not come in whole, or at the end.
    ///
    /// # Errors
    /// 1153 when a record is longer than [`RECORD_BYTES_MAX`].
    pub fn next(&mut self, rest: Rest) -> SqlResult<Option<Record>> {
        // A long record that comes in small parts is not read from its beginning for each of them.
        if rest == Rest::MayCome && self.buffer.len() < self.wanted {
            return Ok(None);
        }
        loop {
            if self.at >= self.buffer.len() {
                return Ok(None);
            }
            let read = if self.skip > 0 { self.line(rest).map(|()| None) } else { self.record(rest) };
            match read {
                Ok(Some(record)) => return Ok(Some(record)),
                Ok(None) => {}
                Err(Incomplete) => {
                    let open = self.buffer.len() - self.at;
                    if open > RECORD_BYTES_MAX {
                        return Err(SqlError::new(
                            1153,
                            "Got a packet bigger than 'max_allowed_packet' bytes",
                        ));
                    }
                    self.wanted = self.at + open * 2;
                    return Ok(None);
                }
            }
        }
    }

    /// Passes over a line.
    fn line(&mut self, rest: Rest) -> Result<(), Incomplete> {
        self.at = match find(&self.buffer[self.at..], &self.format.line_end) {
            Some(found) => self.at + found + self.format.line_end.len(),
            None if rest == Rest::Ended => self.buffer.len(),
            None => return Err(Incomplete),
        };
        self.skip -= 1;
        Ok(())
    }

    /// Reads a record; `None` when the rest of the file has none.
    fn record(&mut self, rest: Rest) -> Result<Option<Record>, Incomplete> {
        let mut at = self.at;
        if !self.format.line_start.is_empty() {
            match find(&self.buffer[at..], &self.format.line_start) {
                Some(found) => at += found + self.format.line_start.len(),
                None if rest == Rest::Ended => {
                    self.at = self.buffer.len();
                    return Ok(None);
                }
                None => return Err(Incomplete),
            }
        }
        let mut record = Vec::new();
        loop {
            let (field, after) = self.field(&mut at, rest)?;
            record.push(field);
            match after {
                After::Field => {}
                After::Record | After::File => {
                    self.at = at;
                    return Ok(Some(record));
                }
            }
        }
    }

    /// Reads a field and what ends it.
    fn field(&self, at: &mut usize, rest: Rest) -> Result<Field, Incomplete> {
        let quoted = self.format.quote.is_some() && self.buffer.get(*at).copied() == self.format.quote;
        if quoted && let Some(found) = self.quoted_field(at, rest)? {
            return Ok(found);
        }
        let mut out = Vec::new();
        let mut escaped_n = false;
        let [field_end, line_end, escape] = self.special;
        let after = loop {
            let here = &self.buffer[*at..];
            let plain = memchr::memchr3(field_end, line_end, escape, here).unwrap_or(here.len());
            out.extend_from_slice(&here[..plain]);
            *at += plain;
            match self.separator(*at, rest)? {
                Separator::Line => {
                    *at += self.format.line_end.len();
                    break After::Record;
                }
                Separator::Field => {
                    *at += self.format.field_end.len();
                    break After::Field;
                }
                Separator::Nothing => {}
            }
            let Some(byte) = self.buffer.get(*at).copied() else {
                if rest == Rest::MayCome {
                    return Err(Incomplete);
                }
                break After::File;
            };
            escaped_n |= self.byte(byte, at, rest, &mut out)? && out == b"N";
        };
        let null = escaped_n && out == b"N" || self.format.quote.is_some() && out == b"NULL";
        Ok(((!null).then_some(out), after))
    }

    /// Takes a byte, or an escape sequence: then the answer is `true`.
    fn byte(&self, byte: u8, at: &mut usize, rest: Rest, out: &mut Vec<u8>) -> Result<bool, Incomplete> {
        *at += 1;
        if self.format.escape != Some(byte) {
            out.push(byte);
            return Ok(false);
        }
        match self.buffer.get(*at) {
            Some(next) => {
                *at += 1;
                out.push(unescaped(*next));
                Ok(true)
            }
            None if rest == Rest::MayCome => Err(Incomplete),
            None => {
                out.push(byte);
                Ok(false)
            }
        }
    }

    /// Reads a field that begins with a quote; `None` when no quote ends it.
    fn quoted_field(&self, start: &mut usize, rest: Rest) -> Result<Option<Field>, Incomplete> {
        let mut at = *start + 1;
        let mut out = Vec::new();
        let Some(quote) = self.format.quote else { return Ok(None) };
        let escape = self.format.escape.unwrap_or(quote);
        loop {
            let here = &self.buffer[at..];
            let plain = memchr::memchr2(quote, escape, here).unwrap_or(here.len());
            out.extend_from_slice(&here[..plain]);
            at += plain;
            let Some(byte) = self.buffer.get(at).copied() else {
                return if rest == Rest::MayCome { Err(Incomplete) } else { Ok(None) };
            };
            if quote != byte {
                self.byte(byte, &mut at, rest, &mut out)?;
                continue;
            }
            at += 1;
            if self.buffer.get(at) == Some(&byte) {
                out.push(byte);
                at += 1;
                continue;
            }
            let after = match self.separator(at, rest)? {
                Separator::Line => After::Record,
                Separator::Field => After::Field,
                Separator::Nothing if at >= self.buffer.len() && rest == Rest::Ended => After::File,
                Separator::Nothing if at >= self.buffer.len() => return Err(Incomplete),
                Separator::Nothing => {
                    // A quote in the middle of a field is one of its characters.
                    out.push(byte);
                    continue;
                }
            };
            *start = at
                + match after {
                    After::Record => self.format.line_end.len(),
                    After::Field => self.format.field_end.len(),
                    After::File => 0,
                };
            return Ok(Some((Some(out), after)));
        }
    }

    /// The separator at a place.
    fn separator(&self, at: usize, rest: Rest) -> Result<Separator, Incomplete> {
        let here = &self.buffer[at..];
        for (separator, what) in
            [(&self.format.line_end, Separator::Line), (&self.format.field_end, Separator::Field)]
        {
            if here.starts_with(separator) {
                return Ok(what);
            }
            let cut_off = !here.is_empty() && here.len() < separator.len() && separator.starts_with(here);
            if cut_off && rest == Rest::MayCome {
                return Err(Incomplete);
            }
        }
        Ok(Separator::Nothing)
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 8,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 26,
        other => other,
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1)).position(|window| window == wanted)
}
