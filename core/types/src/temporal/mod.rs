//! Dates, times and time zones (manual 11.2): literals, calendar arithmetic, formatting, packing.
//!
//! A [`Date`] may have zero parts, and a DateTime of zeros is MySQL's zero date; calendar arithmetic
//! is defined only for dates whose parts are all within range, and says so in its return type.

mod calendar;
mod format;
mod parse;

pub use calendar::{WeekMode, days_in_month, is_leap_year};
pub use parse::{
    ParsedDateTime, ParsedTime, number_to_datetime, number_to_time, parse_datetime, parse_time,
    year_of_two_digits,
};

use crate::SqlMode;
use crate::value::{Date, DateTime, Time};

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub const DAY: i64 = 86_400 * SECOND;
/// The largest TIME, 838:59:59, in microseconds.
pub const TIME_MAX: i64 = (838 * 3600 + 59 * 60 + 59) * SECOND;

/// A session's time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeZone {
    /// UTC; also SYSTEM, because a node runs in UTC.
    #[default]
    Utc,
    /// `+hh:mm`: seconds east of UTC.
    Fixed(i32),
    /// A zone of the IANA database by its name; its rules are part of the binary, so that all nodes agree.
    Named(chrono_tz::Tz),
}

impl TimeZone {
    /// `SYSTEM`, `UTC`, an offset from `-13:59` to `+14:00`, or a name such as `Europe/Berlin` in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("SYSTEM") || name.eq_ignore_ascii_case("UTC") {
            return Some(Self::Utc);
        }
        let (sign, rest) = match name.as_bytes().first()? {
            b'+' => (1, &name[1..]),
            b'-' => (-1, &name[1..]),
            _ => return named(name).map(Self::Named),
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |s: &str| if s.len() <= 2 { s.parse::<u8>().ok() } else { None };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let seconds = sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60);
        let legal = minutes < 60 && (-(13 * 3600 + 59 * 60)..=14 * 3600).contains(&seconds);
        legal.then_some(Self::Fixed(seconds))
    }

    /// As `@@time_zone` shows it; UTC is called SYSTEM.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Utc => "SYSTEM".to_owned(),
            Self::Fixed(seconds) => {
                let (sign, abs) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
                format!("{sign}{:02}:{:02}", abs / 3600, abs / 60 % 60)
            }
            Self::Named(zone) => zone.name().to_owned(),
        }
    }

    /// Seconds east of UTC at an instant given in microseconds since 1970 UTC.
    #[must_use]
    pub fn offset_seconds(self, unix_micros: i64) -> i32 {
        match self {
            Self::Utc => 0,
            Self::Fixed(seconds) => seconds,
            Self::Named(zone) => named_offset(zone, unix_micros),
        }
    }

    /// A stored TIMESTAMP as the session sees it; a zero date stays.
    #[must_use]
    pub fn to_local(self, utc: DateTime) -> DateTime {
        let Some(micros) = utc.to_unix_micros() else { return utc };
        let offset = i64::from(self.offset_seconds(micros)) * SECOND;
        DateTime::from_unix_micros(micros + offset).unwrap_or(utc)
    }

    /// A session's TIMESTAMP as it is stored; a zero date stays. Of a local time that occurs twice the first is
    /// meant; one that is left out when clocks go forward is the moment when they do (manual 5.1.15).
    #[must_use]
    pub fn to_utc(self, local: DateTime) -> DateTime {
        let Some(micros) = local.to_unix_micros() else { return local };
        let utc = match self {
            Self::Named(zone) => named_to_utc(zone, micros),
            _ => micros - i64::from(self.offset_seconds(micros)) * SECOND,
        };
        DateTime::from_unix_micros(utc).unwrap_or(local)
    }
}

/// A zone by its name in any case.
fn named(name: &str) -> Option<chrono_tz::Tz> {
    let exact = name.parse().ok();
    exact.or_else(|| {
        chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(name))
    })
}

fn named_offset(zone: chrono_tz::Tz, unix_micros: i64) -> i32 {
    use chrono::{Offset, TimeZone as _};
    match chrono::DateTime::from_timestamp_micros(unix_micros) {
        Some(utc) => zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc(),
        None => 0,
    }
}

/// Microseconds since 1970 UTC of a local time, given as if it were UTC.
fn named_to_utc(zone: chrono_tz::Tz, local: i64) -> i64 {
    let back = |offset: i32| local - i64::from(offset) * SECOND;
    let fits = |offset: i32| named_offset(zone, back(offset)) == offset;
    // Offsets around the time: before and after any change of that day.
    let (before, after) = (named_offset(zone, local - DAY), named_offset(zone, local + DAY));
    match (fits(before), fits(after)) {
        (true, true) => back(before).min(back(after)),
        (true, false) => back(before),
        (false, true) => back(after),
        (false, false) => {
            // Left out: look for the moment of the change.
            let (mut low, mut high) = ((local - DAY) / SECOND, (local + DAY) / SECOND);
            while high - low > 1 {
                let middle = low.midpoint(high);
                if named_offset(zone, middle * SECOND) == before {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            high * SECOND
        }
    }
}

/// Which dates with zero parts or impossible days a `sql_mode` lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateRules {
    mode: SqlMode,
}

impl From<SqlMode> for DateRules {
    fn from(mode: SqlMode) -> Self {
        Self { mode }
    }
}

impl DateRules {
    /// Zero parts are welcome; impossible days are not.
    pub const FUZZY: Self = Self { mode: SqlMode::NONE };

    /// Whether a date may be stored or computed with.
    #[must_use]
    pub fn allow(self, date: Date) -> bool {
        if date.is_zero() {
            return !self.mode.contains(SqlMode::NO_ZERO_DATE);
        }
        if date.month > 12 || date.day > 31 || date.year > 9999 {
            return false;
        }
        if date.month == 0 || date.day == 0 {
            return !self.mode.contains(SqlMode::NO_ZERO_IN_DATE);
        }
        self.mode.contains(SqlMode::ALLOW_INVALID_DATES) || date.day <= days_in_month(date.year, date.month)
    }
}

/// How surplus fraction digits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FractionRule {
    /// Rounded half up.
    Round,
    /// Cut off (`TIME_TRUNCATE_FRACTIONAL`).
    Truncate,
}

impl From<SqlMode> for FractionRule {
    fn from(mode: SqlMode) -> Self {
        if mode.contains(SqlMode::TIME_TRUNCATE_FRACTIONAL) { Self::Truncate } else { Self::Round }
    }
}

/// Microseconds of one unit of the last of `fsp` fraction digits.
fn fraction_unit(fsp: u8) -> i64 {
    const UNITS: [i64; 7] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    UNITS[usize::from(fsp.min(6))]
}

impl Time {
    /// A duration, cut to MySQL's range; the flag says whether it was in range.
    #[must_use]
    pub fn clamped(micros: i64) -> (Self, bool) {
        let kept = micros.clamp(-TIME_MAX, TIME_MAX);
        (Self { micros: kept }, kept == micros)
    }

    /// With `fsp` fraction digits.
    #[must_use]
    pub fn with_fraction(self, fsp: u8, rule: FractionRule) -> Self {
        let unit = fraction_unit(fsp);
        let half = if rule == FractionRule::Round { unit / 2 } else { 0 };
        let magnitude = (self.micros.abs() + half) / unit * unit;
        Self::clamped(magnitude * self.micros.signum()).0
    }

    /// `[-]hhmmss` as a number, without the fraction.
    #[must_use]
    pub fn to_number(self) -> i64 {
        let seconds = self.micros.abs() / SECOND;
        let n = seconds / 3600 * 10_000 + seconds / 60 % 60 * 100 + seconds % 60;
        n * self.micros.signum()
    }

    /// Six bytes, as an integer, that order as the durations do.
    #[must_use]
    pub fn pack(self) -> u64 {
        u64::try_from(self.micros + (1 << 47)).unwrap_or(0)
    }

    /// What [`Time::pack`] packed; `None` when out of range.
    #[must_use]
    pub fn unpack(packed: u64) -> Option<Self> {
        let micros = i64::try_from(packed).ok()? - (1 << 47);
        let (time, in_range) = Self::clamped(micros);
        in_range.then_some(time)
    }
}

impl Date {
    /// The date if its parts are within the calendar (no zero parts).
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let date = Self { year, month, day };
        date.is_calendar().then_some(date)
    }

    /// Whether this is 0000-00-00.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Whether month and day are real.
    #[must_use]
    pub fn is_calendar(self) -> bool {
        self.year <= 9999
            && (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
    }

    /// `yyyymmdd` as a number.
    #[must_use]
    pub fn to_number(self) -> i64 {
        i64::from(self.year) * 10_000 + i64::from(self.month) * 100 + i64::from(self.day)
    }

    /// 23 bits that order as the dates do.
    #[must_use]
    pub fn pack(self) -> u32 {
        u32::from(self.year) << 9 | u32::from(self.month) << 5 | u32::from(self.day)
    }

    /// What [`Date::pack`] packed; `None` when a part is out of range.
    #[must_use]
    pub fn unpack(packed: u32) -> Option<Self> {
        let date = Self {
            year: u16::try_from(packed >> 9).ok()?,
            month: u8::try_from(packed >> 5 & 15).ok()?,
            day: u8::try_from(packed & 31).ok()?,
        };
        (date.year <= 9999 && date.month <= 12).then_some(date)
    }
}

impl DateTime {
    /// Whether this is the zero date at midnight.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// The time of day.
    #[must_use]
    pub fn time(self) -> Time {
        Time { micros: i64::try_from(self.micros).unwrap_or(0) }
    }

    /// With `fsp` fraction digits; a carry may change the date. `None` beyond the year 9999.
    #[must_use]
    pub fn with_fraction(self, fsp: u8, rule: FractionRule) -> Option<Self> {
        let unit = u64::try_from(fraction_unit(fsp)).unwrap_or(1);
        let half = if rule == FractionRule::Round { unit / 2 } else { 0 };
        let micros = (self.micros + half) / unit * unit;
        let day = u64::try_from(DAY).unwrap_or(u64::MAX);
        if micros < day {
            return Some(Self { micros, ..self });
        }
        let date = match self.date.to_days() {
            Some(days) => Date::from_days(days + 1)?,
            None => return None,
        };
        Some(Self { date, micros: micros - day })
    }

    /// `yyyymmddhhmmss` as a number, without the fraction.
    #[must_use]
    pub fn to_number(self) -> i64 {
        self.date.to_number() * 1_000_000 + self.time().to_number()
    }

    /// 60 bits that order as the moments do.
    #[must_use]
    pub fn pack(self) -> u64 {
        u64::from(self.date.pack()) << 37 | self.micros
    }

    /// What [`DateTime::pack`] packed; `None` when a part is out of range.
    #[must_use]
    pub fn unpack(packed: u64) -> Option<Self> {
        let micros = packed & ((1 << 37) - 1);
        let date = Date::unpack(u32::try_from(packed >> 37).ok()?)?;
        (micros < 86_400_000_000).then_some(Self { date, micros })
    }

    /// Microseconds since 1970-01-01, taking the moment as UTC; `None` with zero parts.
    #[must_use]
    pub fn to_unix_micros(self) -> Option<i64> {
        let days = self.date.to_days()? - Date::UNIX_EPOCH_DAYS;
        Some(days * DAY + i64::try_from(self.micros).ok()?)
    }

    /// The moment in UTC; `None` outside the years 0 to 9999.
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        let date = Date::from_days(micros.div_euclid(DAY) + Date::UNIX_EPOCH_DAYS)?;
        Some(Self { date, micros: u64::try_from(micros.rem_euclid(DAY)).ok()? })
    }

    /// The moment `micros` later; `None` outside the years 0 to 9999 or with zero parts.
    #[must_use]
    pub fn add_micros(self, micros: i64) -> Option<Self> {
        Self::from_unix_micros(self.to_unix_micros()?.checked_add(micros)?)
    }
}

/// The range of TIMESTAMP in UTC, in seconds since 1970: 1 to 2038-01-19 03:14:07.
#[must_use]
pub fn is_timestamp_range(unix_micros: i64) -> bool {
    (SECOND..(1_i64 << 31) * SECOND).contains(&unix_micros)
}
