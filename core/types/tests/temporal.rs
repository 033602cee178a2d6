//! Dates, times, zones.
#![allow(clippy::unwrap_used)]

use aquifer_types::temporal::{
    DateRules, FractionRule, TimeZone, WeekMode, number_to_datetime, number_to_time, parse_datetime,
    parse_time,
};
use aquifer_types::{Date, DateTime, SqlMode, Time};
use proptest::prelude::*;

fn date(year: u16, month: u8, day: u8) -> Date {
    Date { year, month, day }
}

fn moment(text: &str) -> String {
    parse_datetime(text.as_bytes()).map_or("none".to_owned(), |p| p.value.to_string())
}

fn time(text: &str) -> String {
    parse_time(text.as_bytes()).map_or("none".to_owned(), |p| p.value.to_string())
}

#[test]
fn datetime_literals_in_every_form() {
    for text in [
        "2012-12-31 11:30:45",
        "2012^12^31 11+30+45",
        "2012/12/31 11*30*45",
        "2012@12@31 11^30^45",
        "2012-12-31T11:30:45",
        "20121231113045",
        "121231113045",
        "12-12-31 11:30:45",
        " 2012-12-31 11:30:45 ",
        "20121231T113045",
    ] {
        assert_eq!(moment(text), "2012-12-31 11:30:45", "{text}");
    }
    assert_eq!(moment("2012-12-31"), "2012-12-31 00:00:00");
    assert_eq!(moment("20121231"), "2012-12-31 00:00:00");
    assert_eq!(moment("121231"), "2012-12-31 00:00:00");
    assert_eq!(moment("70-1-2"), "1970-01-02 00:00:00");
    assert_eq!(moment("69-1-2"), "2069-01-02 00:00:00");
    assert_eq!(moment("2012-1-1 1:2"), "2012-01-01 01:02:00");
    assert_eq!(moment("0000-00-00"), "0000-00-00 00:00:00");
    assert_eq!(moment("2012-12-31 23:59:59.9999999"), "2013-01-01 00:00:00");
    assert_eq!(moment("2012-12-31 11:30:45.1234567"), "2012-12-31 11:30:45.123457");
    for text in ["", "abc", "2012", "2012-13-01", "2012-12-32", "2012-12-31 24:00:00", "2012-12"] {
        assert_eq!(moment(text), "none", "{text}");
    }
    assert!(parse_datetime(b"2012-12-31x").unwrap().truncated);
    assert_eq!(parse_datetime(b"2012-12-31 10:00:00+05:30").unwrap().offset, Some(19_800));
}

#[test]
fn time_literals_in_every_form() {
    assert_eq!(time("11:12"), "11:12:00");
    assert_eq!(time("1112"), "00:11:12");
    assert_eq!(time("12"), "00:00:12");
    assert_eq!(time("101112.5"), "10:11:12.500000");
    assert_eq!(time("1 10:11:12"), "34:11:12");
    assert_eq!(time("-10:11:12"), "-10:11:12");
    assert_eq!(time("2012-12-31 10:11:12"), "10:11:12");
    assert_eq!(time("850:00:00"), "838:59:59");
    assert_eq!(time("10:60:00"), "none");
    assert!(!parse_time(b"850:00:00").unwrap().in_range);
    assert_eq!(number_to_time(-101_112).unwrap().value.to_string(), "-10:11:12");
}

#[test]
fn numbers_are_dates_by_their_length() {
    let show = |n: i64| number_to_datetime(n).map_or("none".to_owned(), |p| p.value.to_string());
    assert_eq!(show(20_121_231), "2012-12-31 00:00:00");
    assert_eq!(show(121_231), "2012-12-31 00:00:00");
    assert_eq!(show(991_231), "1999-12-31 00:00:00");
    assert_eq!(show(20_121_231_101_112), "2012-12-31 10:11:12");
    assert_eq!(show(121_231_101_112), "2012-12-31 10:11:12");
    assert_eq!(show(0), "0000-00-00 00:00:00");
    assert_eq!(show(-1), "none");
    assert_eq!(show(20_121_331), "none");
}

#[test]
fn calendar_agrees_with_mysql_around_year_zero() {
    assert_eq!(date(0, 1, 1).to_days(), Some(1));
    assert_eq!(date(0, 2, 28).to_days(), Some(59));
    assert_eq!(date(0, 3, 1).to_days(), Some(60));
    assert_eq!(date(1, 1, 1).to_days(), Some(366));
    assert_eq!(date(1970, 1, 1).to_days(), Some(Date::UNIX_EPOCH_DAYS));
    assert_eq!(date(9999, 12, 31).to_days(), Some(3_652_424));
    assert_eq!(Date::from_days(3_652_425), None);
    assert_eq!(date(2024, 2, 30).to_days(), None);
}

#[test]
fn months_clamp_to_the_last_day() {
    assert_eq!(date(2024, 1, 31).add_months(1), Some(date(2024, 2, 29)));
    assert_eq!(date(2024, 3, 31).add_months(-1), Some(date(2024, 2, 29)));
    assert_eq!(date(2024, 2, 29).add_months(12), Some(date(2025, 2, 28)));
    assert_eq!(date(9999, 12, 1).add_months(1), None);
}

#[test]
fn weeks_follow_the_mode() {
    let day = date(2000, 1, 1);
    let weeks: Vec<(u16, u8)> = (0..8).map(|m| day.week(WeekMode(m)).unwrap()).collect();
    assert_eq!(
        weeks,
        [(2000, 0), (2000, 0), (1999, 52), (1999, 52), (2000, 0), (2000, 0), (1999, 52), (1999, 52)]
    );
    assert_eq!(date(2008, 12, 31).week(WeekMode(1)), Some((2008, 53)));
}

#[test]
fn fractions_round_or_truncate() {
    let at = parse_datetime(b"2012-12-31 23:59:59.999600").unwrap().value;
    assert_eq!(at.with_fraction(3, FractionRule::Round).unwrap().to_string(), "2013-01-01 00:00:00");
    assert_eq!(
        at.with_fraction(3, FractionRule::Truncate).unwrap().to_string(),
        "2012-12-31 23:59:59.999000"
    );
    let t = Time { micros: -1_500_000 };
    assert_eq!(t.with_fraction(0, FractionRule::Round).to_string(), "-00:00:02");
}

#[test]
fn rules_follow_the_sql_mode() {
    let strict = DateRules::from(SqlMode::default());
    assert!(
        !strict.allow(Date::default()) && !strict.allow(date(2024, 0, 1)) && !strict.allow(date(2024, 2, 30))
    );
    let loose = DateRules::from(SqlMode::NONE);
    assert!(loose.allow(Date::default()) && loose.allow(date(2024, 0, 1)) && !loose.allow(date(2024, 2, 30)));
    assert!(DateRules::from(SqlMode::ALLOW_INVALID_DATES).allow(date(2024, 2, 31)));
}

#[test]
fn zones_are_offsets() {
    assert_eq!(TimeZone::parse("+05:30"), Some(TimeZone::Fixed(19_800)));
    assert_eq!(TimeZone::parse("-13:59").map(TimeZone::name), Some("-13:59".to_owned()));
    assert_eq!(TimeZone::parse("system"), Some(TimeZone::Utc));
    for wrong in ["+14:01", "-14:00", "5:00", "+5", "Mars/North"] {
        assert_eq!(TimeZone::parse(wrong), None, "{wrong}");
    }
    let zone = TimeZone::Fixed(-3600);
    let utc = parse_datetime(b"2024-01-01 00:30:00").unwrap().value;
    assert_eq!(zone.to_local(utc).to_string(), "2023-12-31 23:30:00");
    assert_eq!(zone.to_utc(zone.to_local(utc)), utc);
    assert_eq!(zone.to_local(DateTime::default()), DateTime::default());
}

proptest! {
    #[test]
    fn days_round_trip(days in 1_i64..3_652_424) {
        let date = Date::from_days(days).unwrap();
        prop_assert!(date.is_calendar());
        prop_assert_eq!(date.to_days(), Some(days));
        prop_assert_eq!(Date::unpack(date.pack()), Some(date));
        prop_assert!(Date::from_days(days + 1).is_none_or(|next| next > date));
    }

    #[test]
    fn packed_values_order_and_round_trip(a in 0_i64..253_402_300_800_000_000, b in 0_i64..253_402_300_800_000_000) {
        let (x, y) = (DateTime::from_unix_micros(a).unwrap(), DateTime::from_unix_micros(b).unwrap());
        prop_assert_eq!(x.pack().cmp(&y.pack()), a.cmp(&b));
        prop_assert_eq!(DateTime::unpack(x.pack()), Some(x));
        prop_assert_eq!(x.to_unix_micros(), Some(a));
        let t = Time { micros: a % 3_020_399_000_000 - 1_500_000_000_000 };
        prop_assert_eq!(Time::unpack(t.pack()), Some(t));
    }

    #[test]
    fn parsers_never_panic(text in "[ -~]{0,24}") {
        let _ = parse_datetime(text.as_bytes());
        let _ = parse_time(text.as_bytes());
    }

    #[test]
    fn text_reads_back(micros in 0_i64..253_402_300_800_000_000) {
        let at = DateTime::from_unix_micros(micros).unwrap();
        prop_assert_eq!(parse_datetime(at.to_string().as_bytes()).unwrap().value, at);
        let t = Time { micros: micros % 3_020_399_000_000 };
        prop_assert_eq!(parse_time(t.to_string().as_bytes()).unwrap().value, t);
    }
}

#[test]
fn named_zones_follow_their_rules() {
    let berlin = TimeZone::parse("europe/berlin").unwrap();
    assert_eq!(berlin.name(), "Europe/Berlin");
    let moment = |text: &str| parse_datetime(text.as_bytes()).unwrap().value;
    for (utc, local) in [
        ("2024-01-01 11:00:00", "2024-01-01 12:00:00"),
        ("2024-07-01 10:00:00", "2024-07-01 12:00:00"),
        ("2024-03-31 00:59:59", "2024-03-31 01:59:59"),
        ("2024-03-31 01:00:00", "2024-03-31 03:00:00"),
        ("2024-10-27 01:00:00", "2024-10-27 02:00:00"),
    ] {
        assert_eq!(berlin.to_local(moment(utc)), moment(local), "{utc}");
    }
    // Left out: the moment of the change. Twice: the first.
    assert_eq!(berlin.to_utc(moment("2024-03-31 02:30:00")), moment("2024-03-31 01:00:00"));
    assert_eq!(berlin.to_utc(moment("2024-10-27 02:30:00")), moment("2024-10-27 00:30:00"));
    assert_eq!(berlin.to_utc(moment("2024-07-01 12:00:00")), moment("2024-07-01 10:00:00"));
    assert_eq!(berlin.to_utc(DateTime::default()), DateTime::default());
}
