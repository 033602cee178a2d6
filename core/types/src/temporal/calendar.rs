//! Calendar arithmetic on the proleptic Gregorian calendar. Day numbers are those of TO_DAYS: day 366 is
//! 0001-01-01.

use crate::value::Date;

/// Days before 0000-03-01 in MySQL's numbering.
const MARCH_YEAR_ZERO: i64 = 61 - 1;

/// Whether a year has 366 days. Year 0 is no leap year, as MySQL has it.
#[must_use]
pub fn is_leap_year(year: u16) -> bool {
    year != 0 && year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days of a month, 31 for a month out of range.
#[must_use]
pub fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// How WEEK counts (manual 12.7, modes 0 to 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekMode(pub u8);

impl WeekMode {
    const fn monday_first(self) -> bool {
        self.0 & 1 != 0
    }

    /// Weeks 1 to 53 instead of 0 to 53.
    const fn counts_year(self) -> bool {
        self.0 & 2 != 0
    }

    /// Week 1 is the first with its first day in the year, not the first with four days.
    const fn first_weekday(self) -> bool {
        // The bit is inverted for weeks that begin on Monday.
        (self.0 & 4 != 0) == self.monday_first()
    }

    /// The mode that YEARWEEK uses: week 0 belongs to the year before.
    #[must_use]
    pub const fn with_year(self) -> Self {
        Self(self.0 | 2)
    }
}

impl Date {
    /// TO_DAYS('1970-01-01').
    pub const UNIX_EPOCH_DAYS: i64 = 719_528;

    /// TO_DAYS; `None` when a part is zero or impossible.
    #[must_use]
    pub fn to_days(self) -> Option<i64> {
        self.is_calendar().then(|| self.day_number())
    }

    fn day_number(self) -> i64 {
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
        let leap_days = y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
        let number = y * 365 + leap_days + (m * 153 + 2) / 5 + i64::from(self.day) + MARCH_YEAR_ZERO - 1;
        // MySQL takes year 0 as a common year, which moves its first two months by one day.
        if year == 0 && month <= 2 { number + 1 } else { number }
    }

    /// FROM_DAYS; `None` outside the years 0 to 9999.
    #[must_use]
    pub fn from_days(days: i64) -> Option<Self> {
        let days = if days < MARCH_YEAR_ZERO { days - 1 } else { days };
        let since_march = days - MARCH_YEAR_ZERO;
        let era = since_march.div_euclid(146_097);
        let day_of_era = since_march.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let year = u16::try_from(year).ok().filter(|y| *y <= 9999)?;
        Some(Self { year, month: u8::try_from(month).ok()?, day: u8::try_from(day).ok()? })
    }

    /// 0 for Monday to 6 for Sunday.
    #[must_use]
    pub fn weekday(self) -> Option<u8> {
        u8::try_from((self.to_days()? + 5).rem_euclid(7)).ok()
    }

    /// 1 to 366.
    #[must_use]
    pub fn day_of_year(self) -> Option<u16> {
        let first = Self { month: 1, day: 1, ..self };
        u16::try_from(self.to_days()? - first.to_days()? + 1).ok()
    }

    /// The same day `months` later, or the last day of that month; `None` outside the years 0 to 9999
    /// or with zero parts.
    #[must_use]
    pub fn add_months(self, months: i64) -> Option<Self> {
        if !self.is_calendar() {
            return None;
        }
        let total = (i64::from(self.year) * 12 + i64::from(self.month) - 1).checked_add(months)?;
        let year = u16::try_from(total.div_euclid(12)).ok().filter(|y| *y <= 9999)?;
        let month = u8::try_from(total.rem_euclid(12) + 1).ok()?;
        Some(Self { year, month, day: self.day.min(days_in_month(year, month)) })
    }

    /// The last day of the month; `None` when the month is zero.
    #[must_use]
    pub fn last_day(self) -> Option<Self> {
        let legal = (1..=12).contains(&self.month) && self.day <= 31;
        legal.then(|| Self { day: days_in_month(self.year, self.month), ..self })
    }

    /// Year and number of the week (WEEK, YEARWEEK); `None` with zero parts.
    #[must_use]
    pub fn week(self, mode: WeekMode) -> Option<(u16, u8)> {
        let day_number = self.to_days()?;
        let mut year = self.year;
        let january_first = Self { year, month: 1, day: 1 };
        let mut first = january_first.to_days()?;
        let weekday_of = |days: i64| {
            let shift = if mode.monday_first() { 5 } else { 6 };
            (days + shift).rem_euclid(7)
        };
        let mut weekday = weekday_of(first);
        let mut counts_year = mode.counts_year();
        let skips_first =
            |weekday: i64| (mode.first_weekday() && weekday != 0) || (!mode.first_weekday() && weekday >= 4);
        if self.month == 1 && i64::from(self.day) <= 7 - weekday {
            if !counts_year && skips_first(weekday) {
                return Some((year, 0));
            }
            if skips_first(weekday) {
                counts_year = true;
                year = year.checked_sub(1)?;
                let days = if is_leap_year(year) { 366 } else { 365 };
                first -= days;
                weekday = (weekday + 53 * 7 - days).rem_euclid(7);
            }
        }
        let days = if skips_first(weekday) {
            day_number - (first + (7 - weekday))
        } else {
            day_number - (first - weekday)
        };
        if counts_year && days >= 52 * 7 {
            let year_days = if is_leap_year(year) { 366 } else { 365 };
            weekday = (weekday + year_days) % 7;
            if !skips_first(weekday) {
                return Some((year + 1, 1));
            }
        }
        Some((year, u8::try_from(days / 7 + 1).ok()?))
    }
}
