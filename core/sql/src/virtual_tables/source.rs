//! From what a virtual table computes its rows, and how it writes values.

use std::sync::Arc;

use aquifer_catalog::{Catalog, Database, Table};
use aquifer_types::{Date, DateTime, Value};
use bytes::Bytes;

use super::ServerFacts;
use crate::virtual_table::VirtualColumn;

/// Input of one scan.
pub struct Source<'a> {
    /// The catalog.
    pub catalog: &'a Arc<Catalog>,
    /// Everything else.
    pub facts: &'a dyn ServerFacts,
    schema: Option<String>,
    table: Option<String>,
}

impl<'a> Source<'a> {
    /// The input of a scan with equality hints on columns.
    #[must_use]
    pub fn new(
        catalog: &'a Arc<Catalog>,
        facts: &'a dyn ServerFacts,
        columns: &[VirtualColumn],
        equals: &[(usize, Value)],
    ) -> Self {
        let hint = |names: &[&str]| {
            equals.iter().find_map(|(at, value)| match (columns.get(*at), value) {
                (Some(column), Value::Bytes(text)) if names.contains(&&*column.name) => {
                    Some(String::from_utf8_lossy(text).into_owned())
                }
                _ => None,
            })
        };
        let schema = hint(&["TABLE_SCHEMA", "SCHEMA_NAME", "CONSTRAINT_SCHEMA"]);
        Self { catalog, facts, schema, table: hint(&["TABLE_NAME"]) }
    }

    /// A source without hints.
    #[must_use]
    pub fn all(catalog: &'a Arc<Catalog>, facts: &'a dyn ServerFacts) -> Self {
        Self { catalog, facts, schema: None, table: None }
    }

    /// A source for one database or one table.
    #[must_use]
    pub fn only(
        catalog: &'a Arc<Catalog>,
        facts: &'a dyn ServerFacts,
        schema: &str,
        table: Option<&str>,
    ) -> Self {
        Self { catalog, facts, schema: Some(schema.to_owned()), table: table.map(str::to_owned) }
    }

    /// Whether a database can satisfy the hints. Looser than the condition: letters of any case match.
    #[must_use]
    pub fn wants_schema(&self, name: &str) -> bool {
        self.schema.as_ref().is_none_or(|wanted| wanted.trim_end().eq_ignore_ascii_case(name))
    }

    /// Whether a table can satisfy the hints.
    #[must_use]
    pub fn wants_table(&self, name: &str) -> bool {
        let same = |wanted: &String| {
            let wanted = wanted.trim_end();
            wanted.eq_ignore_ascii_case(name) || wanted.to_lowercase() == name.to_lowercase()
        };
        self.table.as_ref().is_none_or(same)
    }

    /// Databases of the catalog that the session may see and the hints allow.
    pub fn databases(&self) -> impl Iterator<Item = &'a Arc<Database>> + use<'_, 'a> {
        let visible = |database: &&Arc<Database>| {
            self.wants_schema(&database.name) && self.facts.may_see_database(&database.name)
        };
        self.catalog.databases().filter(visible)
    }

    /// Tables of those databases that the session may see and the hints allow.
    pub fn tables(&self) -> impl Iterator<Item = &'a Arc<Table>> + use<'_, 'a> {
        self.databases()
            .flat_map(|database| self.catalog.tables(database.id))
            .filter(|table| self.wants_table(&table.name) && self.facts.may_see_table(table))
    }
}

/// A text.
pub(crate) fn text(text: &str) -> Value {
    Value::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

/// A text or NULL.
pub(crate) fn maybe_text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, text)
}

/// An unsigned number.
pub(crate) fn uint(number: u64) -> Value {
    Value::UInt(number)
}

/// YES or NO.
pub(crate) fn yes_no(condition: bool) -> Value {
    text(if condition { "YES" } else { "NO" })
}

/// A position or length.
pub(crate) fn size(number: usize) -> Value {
    Value::UInt(u64::try_from(number).unwrap_or(u64::MAX))
}

/// Seconds since 1970 in UTC as DATETIME.
pub(crate) fn datetime(unix_s: i64) -> Value {
    let days = unix_s.div_euclid(86_400);
    let seconds = unix_s.rem_euclid(86_400);
    let micros = u64::try_from(seconds).unwrap_or(0) * 1_000_000;
    civil(days).map_or(Value::Null, |date| Value::DateTime(DateTime { date, micros }))
}

/// The date that is `days` after 1970-01-01, by the proleptic Gregorian calendar: years are counted from
/// March, in eras of 400 years.
fn civil(days: i64) -> Option<Date> {
    let shifted = days.checked_add(719_468)?;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(Date {
        year: u16::try_from(year).ok()?,
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
    })
}
