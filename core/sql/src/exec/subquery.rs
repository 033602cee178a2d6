//! Subqueries.

/// Results of uncorrelated subqueries.
#[derive(Default)]
pub(crate) struct SubqueryCache(());
