//! SQL: parse, bind, plan, execute.
//!
//! The way of a statement: [`normalise::normalise`] (text protocol only) looks for a cached plan;
//! [`parse::parse`] makes a [`ast::Statement`]; [`plan::prepare`] resolves names, infers types and chooses
//! access paths into an immutable [`plan::Plan`]; [`exec::execute`] runs it against a [`txn::Txn`] and gives
//! an [`result::Outcome`]. Statements about the session (SET, SHOW, transactions, accounts) are only parsed
//! here.
//!
//! Invariants: a plan holds no state of an execution and may be shared by threads; evaluation of an
//! expression never waits; whatever is parsed but cannot be done as MySQL does it is error 1235 by name.
//! What this crate does not know: sockets, threads, storage, the wire protocol.

pub mod ast;
pub mod exec;
pub mod expr;
pub mod load;
pub mod normalise;
pub mod parse;
pub mod plan;
pub mod plan_key;
pub mod result;
pub mod statistics;
pub mod temporary;
pub mod temporary_space;
pub mod txn;
pub mod virtual_table;
#[path = "virtual_tables/mod.rs"]
pub mod virtual_tables;

pub use exec::{
    AffectedRows, Budget, ExecContext, ForeignKeyChecks, NumberingRules, RowStream, ValueLocks, execute,
    execute_again,
};
pub use normalise::{Normalised, normalise};
pub use parse::{ParseOptions, Parsed, parse};
pub use plan::{ColumnUse, Plan, PlanEnv, SystemVariables, UseKind, WithinView, prepare};
pub use plan_key::PlanKey;
pub use result::{Batch, ColumnFlags, Done, Outcome, ResultColumn, StoredBatch};
pub use statistics::{NoStatistics, Sample, Samples, Statistics};
pub use virtual_table::{NoVirtualTables, VirtualColumn, VirtualTable, VirtualTables};
