//! DATE_FORMAT, TIME_FORMAT, STR_TO_DATE and GET_FORMAT (manual 12.7, table of specifiers).

use aquifer_types::temporal::{SECOND, WeekMode, year_of_two_digits};
use aquifer_types::{Date, DateTime, SqlResult, Time, TypeKind, Value};

use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, datetime, def, text, text_value, time};
use super::infer::{number, string_of, temporal_type, typed};
use super::ir::{Call, Coercibility, Expr, ExprType};
use super::temporal::{DAYS, MONTHS, month_name};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("date_format", 2, 2, infer_format, eval_date_format),
    def("time_format", 2, 2, infer_format, eval_time_format),
    def("str_to_date", 2, 2, infer_str_to_date, eval_str_to_date),
    def("get_format", 2, 2, infer_format, eval_get_format),
];

fn infer_format(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = match &args[1] {
        Expr::Literal { value: Value::Bytes(f), .. } => u32::try_from(f.len() * 10).unwrap_or(255),
        _ => 255,
    };
    Ok(typed(string_of(length, bind.collation), true, Coercibility::LITERAL))
}

fn eval_date_format(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(at), Some(format)) = (datetime(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    Ok(format_moment(&format, at).map_or(Value::Null, text_value))
}

fn eval_time_format(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(format)) = (time(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    Ok(render(&format, Date::default(), t).map_or(Value::Null, text_value))
}

/// A moment by a format; `None` when a specifier needs a part that the date does not have.
pub(crate) fn format_moment(format: &[u8], at: DateTime) -> Option<Vec<u8>> {
    render(format, at.date, at.time())
}

fn render(format: &[u8], date: Date, t: Time) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(format.len() * 2);
    let mut bytes = format.iter();
    while let Some(b) = bytes.next() {
        match (b, bytes.as_slice().first()) {
            (b'%', Some(specifier)) => {
                bytes.next();
                put(*specifier, date, t, &mut out)?;
            }
            (other, _) => out.push(*other),
        }
    }
    Some(out)
}

fn put(specifier: u8, date: Date, t: Time, out: &mut Vec<u8>) -> Option<()> {
    let seconds = t.micros.abs() / SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let clock_hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    let noon = if hour % 24 < 12 { "AM" } else { "PM" };
    let week = |mode: u8| date.week(WeekMode(mode));
    let piece = match specifier {
        b'Y' => format!("{:04}", date.year),
        b'y' => format!("{:02}", date.year % 100),
        b'm' => format!("{:02}", date.month),
        b'c' => date.month.to_string(),
        b'M' => month_name(date.month)?.to_owned(),
        b'b' => month_name(date.month)?[..3].to_owned(),
        b'd' => format!("{:02}", date.day),
        b'e' => date.day.to_string(),
        b'D' => format!("{}{}", date.day, ordinal(date.day)),
        b'j' => format!("{:03}", date.day_of_year()?),
        b'a' => DAYS[usize::from(date.weekday()?)][..3].to_owned(),
        b'W' => DAYS[usize::from(date.weekday()?)].to_owned(),
        b'w' => ((date.weekday()? + 1) % 7).to_string(),
        b'H' => format!("{hour:02}"),
        b'k' => hour.to_string(),
        b'h' | b'I' => format!("{clock_hour:02}"),
        b'l' => clock_hour.to_string(),
        b'i' => format!("{minute:02}"),
        b's' | b'S' => format!("{second:02}"),
        b'f' => format!("{:06}", t.micros.abs() % SECOND),
        b'p' => noon.to_owned(),
        b'r' => format!("{clock_hour:02}:{minute:02}:{second:02} {noon}"),
        b'T' => format!("{hour:02}:{minute:02}:{second:02}"),
        b'U' => format!("{:02}", week(0)?.1),
        b'u' => format!("{:02}", week(1)?.1),
        b'V' => format!("{:02}", week(2)?.1),
        b'v' => format!("{:02}", week(3)?.1),
        b'X' => format!("{:04}", week(2)?.0),
        b'x' => format!("{:04}", week(3)?.0),
        other => {
            out.push(other);
            return Some(());
        }
    };
    out.extend_from_slice(piece.as_bytes());
    Some(())
}

fn ordinal(day: u8) -> &'static str {
    match (day % 10, day) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// What a format can give: a date, a time, or both.
fn result_kind(format: &[u8]) -> (TypeKind, u8) {
    let specifiers: Vec<u8> = format.windows(2).filter(|w| w[0] == b'%').map(|w| w[1]).collect();
    let any = |set: &[u8]| specifiers.iter().any(|s| set.contains(s));
    let has_date = any(b"YymcMbdeDjaWwUuVvXx");
    let has_time = any(b"HkhIlisSfprT");
    let fsp = if specifiers.contains(&b'f') { 6 } else { 0 };
    match (has_date, has_time) {
        (true, false) => (TypeKind::Date, 0),
        (false, true) => (TypeKind::Time, fsp),
        _ => (TypeKind::DateTime, if has_date { fsp } else { 6 }),
    }
}

fn infer_str_to_date(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let (kind, fsp) = match &args[1] {
        Expr::Literal { value: Value::Bytes(f), .. } => result_kind(f),
        _ => (TypeKind::DateTime, 6),
    };
    Ok(number(temporal_type(kind, fsp), true))
}

fn eval_str_to_date(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(format)) = (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let kind = call.ty.data_type.kind;
    let read = Scanner { text: &t, at: 0, found: Found::default() }.run(&format).and_then(Found::resolve);
    let checked = read.filter(|(date, _)| {
        kind == TypeKind::Time || aquifer_types::temporal::DateRules::from(ctx.sql_mode).allow(*date)
    });
    let Some((date, micros)) = checked else {
        let shown = String::from_utf8_lossy(&t).into_owned();
        return ctx.null_with(1411, format!("Incorrect datetime value: '{shown}' for function str_to_date"));
    };
    Ok(match kind {
        TypeKind::Date => Value::Date(date),
        TypeKind::Time => Value::Time(Time { micros }),
        _ => Value::DateTime(DateTime { date, micros: u64::try_from(micros).unwrap_or(0) }),
    })
}

/// Parts that STR_TO_DATE has read.
#[derive(Default)]
struct Found {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    afternoon: Option<bool>,
    twelve_hours: bool,
    day_of_year: Option<i64>,
    week: Option<(i64, WeekMode)>,
    week_year: Option<i64>,
    weekday: Option<i64>,
}

impl Found {
    fn resolve(self) -> Option<(Date, i64)> {
        let mut hour = self.hour;
        if self.twelve_hours {
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + if self.afternoon == Some(true) { 12 } else { 0 };
        }
        if hour > 23 || self.minute > 59 || self.second > 59 || self.month > 12 || self.day > 31 {
            return None;
        }
        let mut date = Date {
            year: u16::try_from(self.year).ok()?,
            month: u8::try_from(self.month).ok()?,
            day: u8::try_from(self.day).ok()?,
        };
        if let Some(day) = self.day_of_year {
            let first = Date { year: date.year, month: 1, day: 1 };
            date = Date::from_days(first.to_days()? + day - 1)?;
        } else if let (Some(week), Some(weekday)) = (self.week, self.weekday) {
            date = date_of_week(self.week_year.unwrap_or(self.year), week, weekday)?;
        }
        let seconds = hour * 3600 + self.minute * 60 + self.second;
        Some((date, seconds * SECOND + self.micros))
    }
}

/// The day `weekday` (0 for Monday) of a week of a year.
fn date_of_week(year: i64, (week, mode): (i64, WeekMode), weekday: i64) -> Option<Date> {
    let first = Date { year: u16::try_from(year).ok()?, month: 1, day: 1 }.to_days()?;
    let sunday_first = mode.0 & 1 == 0;
    let wanted = if sunday_first { (weekday + 1) % 7 } else { weekday };
    // Search the year for the day: years are short.
    (first - 7..first + 374).filter_map(Date::from_days).find(|d| {
        let own = d.weekday().map_or(0, i64::from);
        let own = if sunday_first { (own + 1) % 7 } else { own };
        own == wanted && d.week(mode).is_some_and(|(y, w)| i64::from(w) == week && i64::from(y) == year)
    })
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    found: Found,
}

impl Scanner<'_> {
    fn run(mut self, format: &[u8]) -> Option<Found> {
        let mut bytes = format.iter();
        while let Some(b) = bytes.next() {
            if b.is_ascii_whitespace() {
                self.spaces();
                continue;
            }
            if *b == b'%'
                && let Some(specifier) = bytes.next()
            {
                self.spaces_before(*specifier);
                self.read(*specifier)?;
            } else {
                self.spaces();
                if self.text.get(self.at) != Some(b) {
                    return None;
                }
                self.at += 1;
            }
            if self.at >= self.text.len() {
                break;
            }
        }
        Some(self.found)
    }

    fn spaces(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn spaces_before(&mut self, specifier: u8) {
        if specifier != b'%' {
            self.spaces();
        }
    }

    fn number(&mut self, digits_max: usize) -> Option<i64> {
        let rest = &self.text[self.at..];
        let len = rest.iter().take(digits_max).take_while(|b| b.is_ascii_digit()).count();
        if len == 0 {
            return None;
        }
        self.at += len;
        Some(rest[..len].iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')))
    }

    fn word(&mut self, words: &[&str], length: Option<usize>) -> Option<i64> {
        let rest = &self.text[self.at..];
        let at = words.iter().position(|w| {
            let w = &w[..length.unwrap_or(w.len())];
            rest.get(..w.len()).is_some_and(|r| r.eq_ignore_ascii_case(w.as_bytes()))
        })?;
        self.at += length.unwrap_or(words[at].len());
        i64::try_from(at).ok()
    }

    fn read(&mut self, specifier: u8) -> Option<()> {
        match specifier {
            b'Y' => {
                let start = self.at;
                let year = self.number(4)?;
                self.found.year = if self.at - start <= 2 { two_digits(year) } else { year };
            }
            b'y' => self.found.year = two_digits(self.number(2)?),
            b'm' | b'c' => self.found.month = self.number(2)?,
            b'M' => self.found.month = self.word(&MONTHS, None)? + 1,
            b'b' => self.found.month = self.word(&MONTHS, Some(3))? + 1,
            b'd' | b'e' => self.found.day = self.number(2)?,
            b'D' => {
                self.found.day = self.number(2)?;
                self.at = (self.at + 2).min(self.text.len());
            }
            b'H' | b'k' => self.found.hour = self.number(2)?,
            b'h' | b'I' | b'l' => {
                self.found.hour = self.number(2)?;
                self.found.twelve_hours = true;
            }
            b'i' => self.found.minute = self.number(2)?,
            b's' | b'S' => self.found.second = self.number(2)?,
            b'f' => {
                let start = self.at;
                let n = self.number(6)?;
                let missing = u32::try_from(6 - (self.at - start)).unwrap_or(0);
                self.found.micros = n * 10_i64.pow(missing);
            }
            // Half days are those of a clock with twelve hours.
            b'p' if !self.found.twelve_hours => return None,
            b'p' => self.found.afternoon = Some(self.word(&["AM", "PM"], None)? == 1),
            b'r' => {
                self.clock()?;
                self.found.twelve_hours = true;
                self.spaces();
                self.found.afternoon = Some(self.word(&["AM", "PM"], None)? == 1);
            }
            b'T' => self.clock()?,
            b'j' => self.found.day_of_year = Some(self.number(3)?),
            b'a' => self.found.weekday = Some(self.word(&DAYS, Some(3))?),
            b'W' => self.found.weekday = Some(self.word(&DAYS, None)?),
            b'w' => self.found.weekday = Some((self.number(1)? + 6) % 7),
            b'U' => self.found.week = Some((self.number(2)?, WeekMode(0))),
            b'u' => self.found.week = Some((self.number(2)?, WeekMode(1))),
            b'V' => self.found.week = Some((self.number(2)?, WeekMode(2))),
            b'v' => self.found.week = Some((self.number(2)?, WeekMode(3))),
            b'X' | b'x' => self.found.week_year = Some(self.number(4)?),
            other => {
                if self.text.get(self.at) != Some(&other) {
                    return None;
                }
                self.at += 1;
            }
        }
        Some(())
    }

    fn clock(&mut self) -> Option<()> {
        self.found.hour = self.number(2)?;
        for slot in 0..2 {
            if self.text.get(self.at) != Some(&b':') {
                return None;
            }
            self.at += 1;
            let n = self.number(2)?;
            if slot == 0 {
                self.found.minute = n;
            } else {
                self.found.second = n;
            }
        }
        Some(())
    }
}

fn two_digits(year: i64) -> i64 {
    u16::try_from(year).map_or(year, |y| i64::from(year_of_two_digits(y)))
}

fn eval_get_format(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(what), Some(place)) = (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let (what, place) = (what.to_ascii_uppercase(), place.to_ascii_uppercase());
    let format = match (&what[..], &place[..]) {
        (b"DATE", b"USA") => "%m.%d.%Y",
        (b"DATE", b"JIS" | b"ISO") => "%Y-%m-%d",
        (b"DATE", b"EUR") => "%d.%m.%Y",
        (b"DATE", b"INTERNAL") => "%Y%m%d",
        (b"DATETIME" | b"TIMESTAMP", b"USA" | b"EUR") => "%Y-%m-%d %H.%i.%s",
        (b"DATETIME" | b"TIMESTAMP", b"JIS" | b"ISO") => "%Y-%m-%d %H:%i:%s",
        (b"DATETIME" | b"TIMESTAMP", b"INTERNAL") => "%Y%m%d%H%i%s",
        (b"TIME", b"USA") => "%h:%i:%s %p",
        (b"TIME", b"JIS" | b"ISO") => "%H:%i:%s",
        (b"TIME", b"EUR") => "%H.%i.%s",
        (b"TIME", b"INTERNAL") => "%H%i%s",
        _ => return Ok(Value::Null),
    };
    Ok(text_value(format))
}
