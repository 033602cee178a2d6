//! Plans at work.
//!
//! Operators pull batches of rows from those below ([`operator`]); scans read through [`crate::txn::Txn`], whose
//! answers are nearly always there already. Statements that change rows take a savepoint first and go back to
//! it when they fail, so that each is all or nothing.

mod aggregate;
mod budget;
mod change;
mod change_join;
pub(crate) mod conversion;
mod convert;
mod ddl;
mod deferred;
mod difference;
mod foreign;
mod hash;
mod insert;
mod join;
mod join_spill;
mod join_table;
mod json_table;
mod kept;
mod keyed;
mod keys;
mod limit;
mod memory;
mod numbering;
mod operator;
mod profile;
mod recursive;
mod rollup;
mod row_set;
mod rows;
mod rules;
mod scan;
mod sort;
mod sources;
mod spill;
mod stream;
mod subquery;
mod window;
mod window_frame;
mod window_spill;
mod write;

use std::time::Duration;

use aquifer_types::{SqlError, SqlResult, Value};

use crate::expr::EvalContext;
use crate::plan::{Plan, PlanKind};
use crate::result::{Done, Outcome};
use crate::txn::{Savepoint, Txn};
use crate::virtual_table::VirtualTables;
pub use budget::{Budget, MOVE_ROWS};
pub(crate) use ddl::column_type;
pub(crate) use keys::{spans, whole};
pub use memory::{MemoryBudget, STATEMENT_MEMORY_MAX};
pub use numbering::{NumberingRules, ValueLocks};
use operator::Operator;
pub(crate) use profile::{Measure, Profile};
pub(crate) use spill::Spilled;
pub use spill::{SPILL_MEMORY, Spill, SpillPlace};
pub use stream::RowStream;

/// What UPDATE counts (CLIENT_FOUND_ROWS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffectedRows {
    /// Rows that got other values.
    Changed,
    /// Rows that satisfied the condition.
    Found,
}

/// Whether plain SELECTs lock what they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockingReads {
    /// Consistent reads.
    Plain,
    /// As FOR SHARE.
    Shared,
}

/// Whether foreign keys are obeyed (`foreign_key_checks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeyChecks {
    /// They are.
    On,
    /// Rows may break them, and no actions are carried out.
    Off,
}

/// What locking reads, UPDATE and DELETE lock beside rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedRanges {
    /// Nothing: rows that they would find may come (READ COMMITTED).
    None,
    /// The ranges of keys that they read.
    Read,
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
    /// `lock_wait_timeout`: of DDL, and of statements that wait for it.
    pub ddl_wait: Duration,
    /// What UPDATE counts.
    pub affected: AffectedRows,
    /// Whether plain SELECTs lock what they read (SERIALIZABLE without autocommit).
    pub locking_reads: LockingReads,
    /// How long it may run where it is.
    pub budget: Budget,
    /// What the statement may keep in memory.
    pub memory: MemoryBudget,
    /// Where and when it goes on in temporary files.
    pub spill: Spill,
    /// What the statement returns to when it fails.
    statement: Option<Savepoint>,
    /// Rows of recursive common tables while they grow.
    pub(crate) work: recursive::WorkTables,
    /// In LOAD DATA: rows that executions before this one have inserted for the same statement.
    pub loaded: Option<u64>,
    /// What the session says about AUTO_INCREMENT values.
    pub numbering: NumberingRules,
    /// Whether foreign keys are obeyed.
    pub foreign_key_checks: ForeignKeyChecks,
    /// Whether locking reads lock the ranges that they read.
    pub locked_ranges: LockedRanges,
    /// Results of uncorrelated IN subqueries of this execution.
    pub(crate) subqueries: subquery::SubqueryCache<'a>,
    /// Set with error 1412 when the plan was made for definitions that are not the present ones. Nothing was done;
    /// the statement is to be planned again.
    pub is_outdated: bool,
    /// What operators have done so far, under EXPLAIN ANALYZE.
    pub(crate) profile: Option<Box<Profile>>,
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
            budget: Budget::endless(),
            memory: MemoryBudget::default(),
            spill: Spill::default(),
            statement: None,
            work: recursive::WorkTables::default(),
            loaded: None,
            numbering: NumberingRules::default(),
            foreign_key_checks: ForeignKeyChecks::On,
            locked_ranges: LockedRanges::None,
            subqueries: subquery::SubqueryCache::default(),
            is_outdated: false,
            profile: None,
        }
    }
}

/// Runs a plan. A statement that changes rows is complete, or has undone its writes, on return; a query
/// runs as its rows are taken.
///
/// # Errors
/// Those of the statement.
pub async fn execute<'a>(plan: &'a Plan, ctx: &mut ExecContext<'a>) -> SqlResult<Outcome<'a>> {
    use_tables(plan, ctx).await?;
    execute_again(plan, ctx).await
}

/// As [`execute`], in a transaction that has begun to execute the plan and still uses its tables.
///
/// # Errors
/// Those of the statement.
pub async fn execute_again<'a>(plan: &'a Plan, ctx: &mut ExecContext<'a>) -> SqlResult<Outcome<'a>> {
    if ctx.eval.params.len() < plan.slots {
        ctx.eval.params.resize(plan.slots, Value::Null);
    }
    for (slot, expr) in &plan.constants {
        ctx.eval.params[*slot] = expr.eval(&[], &mut ctx.eval)?;
    }
    if let PlanKind::Query { plan: query, fast: Some(fast), .. } = &plan.kind
        && plan.init.is_empty()
        && ctx.locking_reads == LockingReads::Plain
        && let Some(stream) = RowStream::stored(query, fast, ctx)?
        && let Some(columns) = plan.columns()
    {
        return Ok(Outcome::Rows { columns: columns.clone(), stream });
    }
    let only_reads = matches!(
        plan.kind,
        PlanKind::Query { .. } | PlanKind::Do(_) | PlanKind::Explain(_) | PlanKind::Analyze(_)
    );
    if matches!(plan.kind, PlanKind::Analyze(_)) {
        ctx.profile = Some(Box::default());
    }
    ctx.subqueries.remembers = plan.is_read_only();
    if !only_reads && !plan.changes_only_temporary() {
        ctx.txn.check_writable()?;
    }
    for apply in &plan.init {
        subquery::run(apply, &[], ctx).await?;
    }
    run(plan, ctx).await
}

/// No definition changes from here on. One that changed between planning and this, such as that of a table for which
/// the statement has waited, would be executed as it was.
async fn use_tables(plan: &Plan, ctx: &mut ExecContext<'_>) -> SqlResult<()> {
    for table in &plan.tables {
        ctx.txn.use_table(*table, ctx.ddl_wait).await?;
    }
    let planned = plan.catalog_version();
    if ctx.txn.catalog_version() != planned && ctx.txn.catalog().changed_since(planned, &plan.tables) {
        ctx.is_outdated = true;
        return Err(SqlError::new(1412, "Table definition has changed, please retry transaction"));
    }
    Ok(())
}

async fn run<'a>(plan: &'a Plan, ctx: &mut ExecContext<'a>) -> SqlResult<Outcome<'a>> {
    let done = match &plan.kind {
        PlanKind::Query { plan: query, into, calc_found_rows, .. } => {
            let operator = Operator::open(&query.node, query.row_width, None);
            if into.is_empty() {
                let stream = RowStream::operator(operator, query.width, *calc_found_rows);
                let columns = plan.columns().cloned().unwrap_or_default();
                return Ok(Outcome::Rows { columns, stream });
            }
            stream::into_variables(operator, &query.node, into, ctx).await?
        }
        PlanKind::Do(query) => {
            let mut operator = Operator::open(&query.node, query.row_width, None);
            while operator.next(ctx).await?.is_some() {}
            Done::default()
        }
        PlanKind::Explain(rows) => {
            let columns = plan.columns().cloned().unwrap_or_default();
            let stream = RowStream::rows(rows.clone(), columns.len());
            return Ok(Outcome::Rows { columns, stream });
        }
        PlanKind::Analyze(query) => {
            let mut operator = Operator::open(&query.node, query.row_width, None);
            while operator.next(ctx).await?.is_some() {}
            let text = crate::plan::tree(query, &plan.init, &plan.constants, ctx.profile.take().as_deref());
            return Ok(Outcome::Rows {
                columns: plan.columns().cloned().unwrap_or_default(),
                stream: RowStream::rows(vec![vec![Value::Bytes(text.into())]], 1),
            });
        }
        changes => {
            // In strict mode wrong input to any expression of a change is an error, those of WHERE included.
            ctx.eval.strictness = convert::strictness(changes.ignores(), &ctx.eval);
            ctx.txn.make_room(None).await?;
            let savepoint = ctx.txn.savepoint();
            ctx.statement = Some(savepoint);
            let result = match changes {
                PlanKind::Insert(insert) => insert::execute(insert, ctx).await,
                PlanKind::Update(update) => change::update(update, ctx).await,
                PlanKind::Delete(delete) => change::delete(delete, ctx).await,
                PlanKind::UpdateJoin(update) => change_join::update(update, ctx).await,
                PlanKind::DeleteJoin(delete) => change_join::delete(delete, ctx).await,
                PlanKind::Ddl(ddl) => ddl::execute(ddl, plan, ctx).await,
                _ => Ok(Done::default()),
            };
            match result {
                Ok(done) => done,
                Err(error) => {
                    ctx.txn.rollback_to(savepoint);
                    return Err(error);
                }
            }
        }
    };
    Ok(Outcome::Done(done))
}
