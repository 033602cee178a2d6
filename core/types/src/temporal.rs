//! Calendar.
use crate::value::DateTime;
/// A session's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeZone {
    /// UTC; also SYSTEM, because a node runs in UTC.
    Utc,
    /// `+hh:mm`: seconds east of UTC.
    Fixed(i32),
}
#[allow(missing_docs)]
impl TimeZone {
    pub fn parse(name: &str) -> Option<Self> { let _ = name; None }
    /// From UTC to local; zero stays zero.
    pub fn to_local(self, utc: DateTime) -> DateTime { utc }
    pub fn to_utc(self, local: DateTime) -> DateTime { local }
}
