//! Temporal literals (manual 9.1.3): delimited with any punctuation, compact digits, two-digit years,
//! fractions (the seventh digit rounds), offsets from UTC.

use super::{SECOND, Time};
use crate::value::{Date, DateTime};

/// A date with time as it was read; its parts are in their ranges, but the day may not be in the
/// calendar (see [`super::DateRules`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedDateTime {
    /// What was read.
    pub value: DateTime,
    /// Whether a time of day was given.
    pub has_time: bool,
    /// Bytes followed that do not belong to it.
    pub truncated: bool,
    /// Offset from UTC that was given, in seconds.
    pub offset: Option<i32>,
    /// Fraction digits given, at most 6.
    pub fraction_digits: u8,
}

/// A duration as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedTime {
    /// What was read, cut to MySQL's range.
    pub value: Time,
    /// Whether it was in range.
    pub in_range: bool,
    /// Bytes followed that do not belong to it.
    pub truncated: bool,
    /// Fraction digits given, at most 6.
    pub fraction_digits: u8,
}

/// 70 to 99 are of the last century, 0 to 69 of this one.
#[must_use]
pub fn year_of_two_digits(year: u16) -> u16 {
    match year {
        0..70 => 2000 + year,
        70..100 => 1900 + year,
        _ => year,
    }
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Up to `max` digits as a number, and how many there were.
    fn number(&mut self, max: usize) -> (u64, usize) {
        let mut value = 0_u64;
        let start = self.at;
        while let Some(b) = self.peek().filter(u8::is_ascii_digit) {
            if self.at - start == max {
                break;
            }
            value = value.saturating_mul(10).saturating_add(u64::from(b - b'0'));
            self.at += 1;
        }
        (value, self.at - start)
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// `.digits` in microseconds, the seventh digit rounding, and the number of digits (at most 6).
    fn fraction(&mut self) -> (i64, u8) {
        if self.peek() != Some(b'.') {
            return (0, 0);
        }
        self.at += 1;
        let (mut micros, mut digits, mut round) = (0_i64, 0_u8, false);
        let mut position = 0;
        while let Some(b) = self.peek().filter(u8::is_ascii_digit) {
            if digits < 6 {
                micros = micros * 10 + i64::from(b - b'0');
                digits += 1;
            } else if position == 6 {
                round = b >= b'5';
            }
            position += 1;
            self.at += 1;
        }
        for _ in digits..6 {
            micros *= 10;
        }
        (micros + i64::from(round), digits)
    }

    /// Takes `+hh:mm` or `-hh:mm` at the end of the text.
    fn offset(&mut self) -> Option<i32> {
        let seconds = self.peek_offset()?;
        self.at = self.text.len();
        Some(seconds)
    }

    fn peek_offset(&self) -> Option<i32> {
        let sign = match self.peek()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let rest = &self.text[self.at + 1..];
        let digit = |i: usize| rest.get(i).filter(|b| b.is_ascii_digit()).map(|b| i32::from(b - b'0'));
        if rest.len() != 5 || rest[2] != b':' {
            return None;
        }
        let (hours, minutes) = (digit(0)? * 10 + digit(1)?, digit(3)? * 10 + digit(4)?);
        let seconds = sign * (hours * 3600 + minutes * 60);
        let legal = minutes < 60 && (-(13 * 3600 + 59 * 60)..=14 * 3600).contains(&seconds);
        legal.then_some(seconds)
    }
}

/// Reads a DATE or DATETIME literal; `None` when it is none at all or a part is out of its range.
#[must_use]
pub fn parse_datetime(text: &[u8]) -> Option<ParsedDateTime> {
    let mut c = Cursor { text, at: 0 };
    c.skip_spaces();
    let digits = text[c.at..].iter().take_while(|b| b.is_ascii_digit()).count();
    let next = text.get(c.at + digits).copied();
    if digits == 0 {
        return None;
    }
    let compact = matches!(next, None | Some(b'.' | b'T' | b' ')) && digits >= 5;
    let (parts, has_time) = if compact { compact_parts(&mut c, digits)? } else { delimited_parts(&mut c)? };
    let (fraction, fraction_digits) = if has_time { c.fraction() } else { (0, 0) };
    let offset = if has_time { c.offset() } else { None };
    c.skip_spaces();
    let value = assemble(parts, fraction)?;
    Some(ParsedDateTime { value, has_time, truncated: c.at < text.len(), offset, fraction_digits })
}

/// Year, month, day, hour, minute, second.
type Parts = [u64; 6];

fn assemble(p: Parts, fraction: i64) -> Option<DateTime> {
    if p[0] > 9999 || p[1] > 12 || p[2] > 31 || p[3] > 23 || p[4] > 59 || p[5] > 59 {
        return None;
    }
    let date = Date {
        year: u16::try_from(p[0]).ok()?,
        month: u8::try_from(p[1]).ok()?,
        day: u8::try_from(p[2]).ok()?,
    };
    let seconds = p[3] * 3600 + p[4] * 60 + p[5];
    let micros = seconds * 1_000_000 + u64::try_from(fraction).ok()?;
    if micros < 86_400_000_000 {
        return Some(DateTime { date, micros });
    }
    let next = Date::from_days(date.to_days()? + 1)?;
    Some(DateTime { date: next, micros: micros - 86_400_000_000 })
}

fn delimited_parts(c: &mut Cursor<'_>) -> Option<(Parts, bool)> {
    let mut p = [0; 6];
    let (year, year_digits) = c.number(4);
    p[0] = if year_digits <= 2 { u64::from(year_of_two_digits(u16::try_from(year).ok()?)) } else { year };
    for slot in &mut p[1..3] {
        if !c.peek().is_some_and(|b| b.is_ascii_punctuation()) {
            return None;
        }
        while c.peek().is_some_and(|b| b.is_ascii_punctuation()) {
            c.at += 1;
        }
        let (value, digits) = c.number(2);
        if digits == 0 {
            return None;
        }
        *slot = value;
    }
    if year_digits <= 2 && p == [2000, 0, 0, 0, 0, 0] {
        p[0] = 0;
    }
    let mark = c.at;
    if !c.take(b'T') {
        c.skip_spaces();
    }
    if c.at == mark || !c.peek().is_some_and(|b| b.is_ascii_digit()) {
        return Some((p, false));
    }
    for (i, slot) in p.iter_mut().enumerate().skip(3) {
        let (value, digits) = c.number(2);
        if digits == 0 {
            break;
        }
        *slot = value;
        let separated = c.peek().is_some_and(|b| b.is_ascii_punctuation() && b != b'.');
        if i == 5 || !separated || c.peek_offset().is_some() {
            break;
        }
        c.at += 1;
    }
    Some((p, true))
}

fn compact_parts(c: &mut Cursor<'_>, digits: usize) -> Option<(Parts, bool)> {
    let mut p = [0; 6];
    let year_digits = if digits == 8 || digits >= 14 { 4 } else { 2 };
    let (year, _) = c.number(year_digits);
    p[0] = if year_digits == 2 { u64::from(year_of_two_digits(u16::try_from(year).ok()?)) } else { year };
    let mut used = year_digits;
    let mut last = 0;
    for (i, slot) in p.iter_mut().enumerate().skip(1) {
        if used >= digits {
            break;
        }
        let (value, n) = c.number(2);
        *slot = value;
        used += n;
        last = i;
    }
    if last < 2 {
        return None;
    }
    if year_digits == 2 && p == [2000, 0, 0, 0, 0, 0] {
        p[0] = 0;
    }
    if last == 2 && matches!(c.peek(), Some(b'T' | b' ')) {
        return compact_date_with_time(c, p);
    }
    Some((p, last > 2))
}

/// `yyyymmddThhmmss` and `yyyymmdd hh:mm:ss`.
fn compact_date_with_time(c: &mut Cursor<'_>, mut p: Parts) -> Option<(Parts, bool)> {
    c.at += 1;
    c.skip_spaces();
    if !c.peek().is_some_and(|b| b.is_ascii_digit()) {
        return Some((p, false));
    }
    for slot in &mut p[3..] {
        let (value, digits) = c.number(2);
        if digits == 0 {
            break;
        }
        *slot = value;
        c.take(b':');
    }
    Some((p, true))
}

/// Reads a TIME literal: `[-][d ]hh:mm:ss[.f]`, `hh:mm`, compact `hhmmss`, or the time of day of a
/// DATETIME literal. `None` when it is none at all.
#[must_use]
pub fn parse_time(text: &[u8]) -> Option<ParsedTime> {
    let mut c = Cursor { text, at: 0 };
    c.skip_spaces();
    let rest = &text[c.at..];
    let moment = looks_like_datetime(rest).then(|| parse_datetime(rest)).flatten();
    if let Some(parsed) = moment.filter(|parsed| parsed.has_time) {
        return Some(ParsedTime {
            value: parsed.value.time(),
            in_range: true,
            truncated: parsed.truncated,
            fraction_digits: parsed.fraction_digits,
        });
    }
    let negative = c.take(b'-');
    let (first, digits) = c.number(18);
    if digits == 0 && c.peek() != Some(b'.') {
        return None;
    }
    let (hours, minutes, seconds) = time_parts(&mut c, first)?;
    let (fraction, fraction_digits) = c.fraction();
    c.skip_spaces();
    let total = hours.min(1 << 32) * 3600 + minutes * 60 + seconds;
    let micros = i64::try_from(total).ok()? * SECOND + fraction;
    let (value, in_range) = Time::clamped(if negative { -micros } else { micros });
    Some(ParsedTime { value, in_range, truncated: c.at < text.len(), fraction_digits })
}

/// A time never has a `-` or two separators of a date within it, nor twelve digits. A date alone, which is shorter than
/// twelve characters, is read as a time that ends at its first separator, as MySQL does.
fn looks_like_datetime(text: &[u8]) -> bool {
    if text.len() < 12 {
        return false;
    }
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let next = text.get(digits).copied();
    match next {
        Some(b'-' | b'/') => digits > 0,
        None | Some(b'.') => digits >= 12,
        _ => digits == 8 && next == Some(b'T'),
    }
}

fn time_parts(c: &mut Cursor<'_>, first: u64) -> Option<(u64, u64, u64)> {
    let mut hours = first;
    let mut days = 0;
    if c.peek() == Some(b' ') {
        let mark = c.at;
        c.skip_spaces();
        let (value, digits) = c.number(2);
        if digits > 0 {
            (days, hours) = (first, value);
            if c.peek() != Some(b':') {
                return Some((days.min(1 << 24) * 24 + hours, 0, 0));
            }
        } else {
            c.at = mark;
        }
    }
    if c.peek() == Some(b':') && c.text.get(c.at + 1).is_some_and(u8::is_ascii_digit) {
        c.at += 1;
        let (minutes, _) = c.number(2);
        let mut seconds = 0;
        if c.peek() == Some(b':') && c.text.get(c.at + 1).is_some_and(u8::is_ascii_digit) {
            c.at += 1;
            (seconds, _) = c.number(2);
        }
        let legal = minutes < 60 && seconds < 60;
        return legal.then_some((days.min(1 << 24) * 24 + hours, minutes, seconds));
    }
    let (minutes, seconds) = (first / 100 % 100, first % 100);
    (minutes < 60 && seconds < 60).then_some((first / 10_000, minutes, seconds))
}

/// A number as DATE or DATETIME: `yymmdd`, `yyyymmdd`, `yymmddhhmmss`, `yyyymmddhhmmss`.
#[must_use]
pub fn number_to_datetime(number: i64) -> Option<ParsedDateTime> {
    let n = u64::try_from(number).ok()?;
    let (date, time, has_time) = match n {
        0 => (0, 0, false),
        101..=691_231 => (n + 20_000_000, 0, false),
        700_101..=991_231 => (n + 19_000_000, 0, false),
        10_000_101..=99_991_231 => (n, 0, false),
        101_000_000..=691_231_235_959 => (n / 1_000_000 + 20_000_000, n % 1_000_000, true),
        700_101_000_000..=991_231_235_959 => (n / 1_000_000 + 19_000_000, n % 1_000_000, true),
        10_000_101_000_000..=99_991_231_235_959 => (n / 1_000_000, n % 1_000_000, true),
        _ => return None,
    };
    let parts = [date / 10_000, date / 100 % 100, date % 100, time / 10_000, time / 100 % 100, time % 100];
    let value = assemble(parts, 0)?;
    Some(ParsedDateTime { value, has_time, truncated: false, offset: None, fraction_digits: 0 })
}

/// A number as TIME: `[-]hhmmss`; numbers with a date have their date dropped.
#[must_use]
pub fn number_to_time(number: i64) -> Option<ParsedTime> {
    let n = number.unsigned_abs();
    if n >= 10_000_000_000 {
        let value = number_to_datetime(number)?.value.time();
        return Some(ParsedTime { value, in_range: true, truncated: false, fraction_digits: 0 });
    }
    let (minutes, seconds) = (n / 100 % 100, n % 100);
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let total = i64::try_from(n / 10_000 * 3600 + minutes * 60 + seconds).ok()? * SECOND;
    let (value, in_range) = Time::clamped(total * number.signum());
    Some(ParsedTime { value, in_range, truncated: false, fraction_digits: 0 })
}
