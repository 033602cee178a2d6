//! Temporal values as text.

use std::fmt;

use super::SECOND;
use crate::value::{Date, DateTime, Time};

fn put_two(n: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + n / 10 % 10, b'0' + n % 10]);
}

/// Two digits of a number below 100.
fn put_part(n: i64, out: &mut Vec<u8>) {
    put_two(u8::try_from(n).unwrap_or(0), out);
}

fn put_fraction(micros: i64, fsp: u8, out: &mut Vec<u8>) {
    if fsp == 0 {
        return;
    }
    out.push(b'.');
    let mut unit = 100_000;
    for _ in 0..fsp.min(6) {
        out.push(b'0' + u8::try_from(micros / unit % 10).unwrap_or(0));
        unit /= 10;
    }
}

impl Date {
    /// Appends `yyyy-mm-dd`.
    pub fn write(self, out: &mut Vec<u8>) {
        put_part(i64::from(self.year / 100), out);
        put_part(i64::from(self.year % 100), out);
        out.push(b'-');
        put_two(self.month, out);
        out.push(b'-');
        put_two(self.day, out);
    }
}

impl Time {
    /// Appends `[-]hh:mm:ss` with `fsp` fraction digits, cut off; hours may have three digits.
    pub fn write(self, fsp: u8, out: &mut Vec<u8>) {
        if self.micros < 0 {
            out.push(b'-');
        }
        let micros = self.micros.abs();
        let seconds = micros / SECOND;
        let hours = seconds / 3600;
        if hours >= 100 {
            out.push(b'0' + u8::try_from(hours / 100 % 10).unwrap_or(0));
        }
        put_part(hours % 100, out);
        out.push(b':');
        put_part(seconds / 60 % 60, out);
        out.push(b':');
        put_part(seconds % 60, out);
        put_fraction(micros % SECOND, fsp, out);
    }
}

impl DateTime {
    /// Appends `yyyy-mm-dd hh:mm:ss` with `fsp` fraction digits, cut off.
    pub fn write(self, fsp: u8, out: &mut Vec<u8>) {
        self.date.write(out);
        out.push(b' ');
        self.time().write(fsp, out);
    }
}

fn show(f: &mut fmt::Formatter<'_>, write: impl FnOnce(&mut Vec<u8>)) -> fmt::Result {
    let mut out = Vec::with_capacity(32);
    write(&mut out);
    f.write_str(&String::from_utf8_lossy(&out))
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, |out| self.write(out))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, |out| self.write(if self.micros % SECOND == 0 { 0 } else { 6 }, out))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.time().micros % SECOND == 0;
        show(f, |out| self.write(if whole { 0 } else { 6 }, out))
    }
}
