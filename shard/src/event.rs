//! The event log: lines on standard error for whoever operates a node.
//!
//! `INFO` tells what a person may want to know later, `WARN` what they may want to change, `ERROR` what
//! they must look at.

use std::time::{SystemTime, UNIX_EPOCH};

/// Something that a person may want to know later.
pub fn info(text: &str) {
    line("INFO", text);
}

/// Something that went wrong and was dealt with.
pub fn warn(text: &str) {
    line("WARN", text);
}

/// Something that a person must look at.
pub fn error(text: &str) {
    line("ERROR", text);
}

fn line(level: &str, text: &str) {
    eprintln!("{} {level:5} {text}", timestamp());
}

/// Microseconds since 1970 by the wall clock.
#[must_use]
pub fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn timestamp() -> String {
    utc_text(wall_micros())
}

/// Microseconds since 1970 as `2026-01-31T12:00:00.123Z`.
#[must_use]
pub fn utc_text(micros: u64) -> String {
    let (days, in_day) = (micros / 86_400_000_000, micros % 86_400_000_000);
    let (year, month, day) = civil_from_days(days);
    let seconds = in_day / 1_000_000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = in_day / 1000 % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Days since 1970 as a date of the Gregorian calendar.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}
