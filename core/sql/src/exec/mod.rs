//! Plans at work.

mod subquery;

use std::sync::Arc;
use std::time::Duration;

use aquifer_types::SqlResult;

use crate::expr::EvalContext;
use crate::plan::Plan;
use crate::result::{Batch, Outcome};
use crate::txn::Txn;
use crate::virtual_table::VirtualTables;

/// What UPDATE counts (CLIENT_FOUND_ROWS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffectedRows {
    /// Rows that got other values.
    Changed,
    /// Rows that satisfied the condition.
    Found,
}

/// One execution of a statement. Parameters are in `eval.params`; warnings are collected in
/// `eval.warnings`.
pub struct ExecContext<'a> {
    /// The transaction.
    pub txn: &'a dyn Txn,
    /// State of the evaluator.
    pub eval: EvalContext,
    /// Virtual tables.
    pub virtual_tables: &'a dyn VirtualTables,
    /// `innodb_lock_wait_timeout`.
    pub lock_wait: Duration,
    /// `lock_wait_timeout`, of DDL.
    pub ddl_wait: Duration,
    /// What UPDATE counts.
    pub affected: AffectedRows,
    /// Whether plain SELECTs lock what they read (SERIALIZABLE without autocommit).
    pub locking_reads: LockingReads,
    /// Results of uncorrelated IN subqueries of this execution.
    pub(crate) subqueries: subquery::SubqueryCache,
}

impl<'a> ExecContext<'a> {
    /// A context with MySQL's defaults for everything but what is given.
    #[must_use]
    pub fn new(txn: &'a dyn Txn, eval: EvalContext, virtual_tables: &'a dyn VirtualTables) -> Self {
        Self {
            txn,
            eval,
            virtual_tables,
            lock_wait: Duration::from_secs(50),
            ddl_wait: Duration::from_secs(31_536_000),
            affected: AffectedRows::Changed,
            locking_reads: LockingReads::Plain,
            subqueries: subquery::SubqueryCache::default(),
        }
    }
}

/// Whether plain SELECTs lock what they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockingReads {
    /// Consistent reads.
    Plain,
    /// As FOR SHARE.
    Shared,
}

/// Rows of a result, computed as they are asked for.
pub struct RowStream<'a>(std::marker::PhantomData<&'a ()>);

impl<'a> RowStream<'a> {
    /// The next rows, at least one; `None` at the end. Pass the context of [`execute`].
    ///
    /// # Errors
    /// Those of evaluation, storage and interruption.
    pub async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Batch>> {
        let _ = ctx;
        Ok(None)
    }
}

/// Runs a plan. A statement that changes rows is complete, or has undone its writes, on return; a query
/// runs as its rows are taken.
///
/// # Errors
/// Those of the statement.
pub async fn execute<'a>(plan: &'a Plan, ctx: &mut ExecContext<'a>) -> SqlResult<Outcome<'a>> {
    let _: (&Plan, Option<Arc<()>>) = (plan, None);
    let _ = ctx;
    todo!()
}
