//! Conversions between types.
use crate::temporal::TimeZone;
use crate::{DataType, SqlMode, SqlResult, Value, Warnings};
/// Whether wrong input is an error or a warning with the nearest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// An error.
    Strict,
    /// A warning (also under IGNORE).
    Lenient,
}
/// For which column and row a value is stored, and under which rules.
#[derive(Debug)]
pub struct StoreContext<'a> {
    /// Strict or not: `sql_mode` together with IGNORE decide.
    pub strictness: Strictness,
    /// For the rules on zero dates and padding.
    pub sql_mode: SqlMode,
    /// For range checks of TIMESTAMP.
    pub time_zone: TimeZone,
    /// Column name for messages.
    pub column: &'a str,
    /// 1-based row number for messages.
    pub row_number: u64,
    /// Where warnings go.
    pub warnings: &'a mut Warnings,
}
/// Converts a value to a column's type as INSERT and UPDATE do. `from` is the type of the expression
/// that it comes from; NULL stays NULL (NOT NULL is the caller's check).
///
/// # Errors
/// 1264, 1265, 1292, 1366, 1406 in strict mode; 3140 for JSON.
pub fn store(value: Value, from: &DataType, to: &DataType, ctx: &mut StoreContext<'_>) -> SqlResult<Value> { let _ = (from, to, ctx); Ok(value) }
/// Whether two values are the same in kind and content (not SQL equality).
#[must_use]
pub fn is_identical(a: &Value, b: &Value) -> bool { let _ = (a, b); false }
