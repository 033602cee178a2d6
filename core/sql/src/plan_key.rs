//! What a plan was made for; the session keeps plans by it.

use aquifer_types::{Collation, Lsn, Value};

/// All that a plan depends on, borrowed for a look-up.
#[derive(Clone, Copy, Debug)]
pub struct PlanKey<'a> {
    /// Normalised or whole text of the statement.
    pub text: &'a [u8],
    /// The current database.
    pub database: &'a str,
    /// `SqlMode::bits`.
    pub sql_mode: u32,
    /// `collation_connection`.
    pub collation: Collation,
    /// The parameters, of which only [`crate::plan::param_code`] counts.
    pub params: &'a [Value],
    /// `Catalog::version`.
    pub catalog: Lsn,
}
