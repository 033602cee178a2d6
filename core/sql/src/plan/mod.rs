//! From statements to plans: names are resolved, types inferred, access paths and joins chosen.
//!
//! Binding and planning are one pass over a query block ([`select`]): FROM gives a row of all its tables' columns,
//! expressions are bound to positions in it, then operators are put together ([`node`]). Nothing here reads
//! data; a plan depends on the catalog, the settings in [`PlanEnv`] and the kinds of parameters alone.

mod access;
mod access_or;
mod assemble;
mod before_group;
mod bind_call;
mod bind_expr;
mod bind_subquery;
pub(crate) mod binder;
mod change_join;
mod change_view;
mod common;
mod compact;
mod constants;
mod cost;
mod defaults;
mod disjunction;
mod dml;
mod explain;
mod explain_block;
mod explain_json;
mod explain_measures;
mod explain_table;
mod explain_tree;
mod fast;
pub(crate) mod foreign;
mod from;
mod generated;
mod group;
mod join_order;
mod join_search;
mod json_table;
mod keyed;
mod merge;
pub(crate) mod node;
mod output;
mod query;
mod recursive;
mod rules;
pub(crate) mod scope;
mod select;
mod semi_join;
mod sort_type;
pub(crate) mod table_info;
mod targets_in_subqueries;
mod temporary;
mod usage;
mod view;
mod window;

use std::cell::RefCell;
use std::sync::Arc;

use aquifer_catalog::Catalog;
use aquifer_types::{DataType, Lsn, SqlError, SqlResult, TableId, TypeKind, Value};

use crate::ast::{AstExpr, ExplainTarget, IntoTarget, SelectItem, Statement, VariableScope};
use crate::expr::{BindContext, EvalContext, UserVariables};
use crate::result::ResultColumn;
use crate::statistics::Statistics;
use crate::virtual_table::VirtualTables;
pub(crate) use access::{has_volatile, is_integer};
pub(crate) use bind_expr::{is_text, literal_expr};
use binder::Binder;
pub(crate) use change_join::{DeleteJoinPlan, DeleteTarget, KeyedJoin, UpdateJoinPlan, UpdateTarget};
pub(crate) use change_view::{CheckOption, is_updatable};
pub(crate) use defaults::{DefaultPlan, zero_value};
pub(crate) use dml::{AssignmentPlan, ConflictPlan, DeletePlan, InsertPlan, InsertSource, UpdatePlan};
pub(crate) use explain_tree::tree;
pub(crate) use fast::{FastPlan, scan_of};
pub(crate) use json_table::{JsonColumnPlan, JsonTablePlan, Missing};
use node::{Apply, QueryPlan};
pub(crate) use rules::RowRules;
pub(crate) use sort_type::SortType;
pub use usage::{ColumnUse, UseKind, WithinView};

/// The session's system variables, for `@@name`.
pub trait SystemVariables {
    /// Value and type.
    ///
    /// # Errors
    /// 1193 for an unknown name, 1238 for a scope it does not have.
    fn get(&self, scope: VariableScope, name: &str) -> SqlResult<(Value, DataType)>;
}

/// What planning depends on.
pub struct PlanEnv<'a> {
    /// The catalog.
    pub catalog: &'a Arc<Catalog>,
    /// Settings; `database` is the current one.
    pub bind: &'a BindContext,
    /// `@@name`.
    pub variables: &'a dyn SystemVariables,
    /// `@name`, for their types.
    pub user_variables: &'a UserVariables,
    /// Virtual tables.
    pub virtual_tables: &'a dyn VirtualTables,
    /// Types of parameters as given at execution ([`param_type`]); parameters beyond its end, as at
    /// PREPARE, are taken as text.
    pub param_types: &'a [DataType],
    /// What is known about the data.
    pub statistics: &'a dyn Statistics,
    /// The context of the execution that the plan is made for, so that estimates are made with its parameters.
    pub first: Option<&'a RefCell<EvalContext>>,
}

/// What a plan does.
pub(crate) enum PlanKind {
    /// Gives rows.
    Query { plan: Box<QueryPlan>, fast: Option<FastPlan>, into: Vec<String>, calc_found_rows: bool },
    /// INSERT, REPLACE.
    Insert(Box<InsertPlan>),
    /// UPDATE.
    Update(Box<UpdatePlan>),
    /// DELETE.
    Delete(Box<DeletePlan>),
    /// UPDATE of a join.
    UpdateJoin(Box<UpdateJoinPlan>),
    /// DELETE from tables of a join.
    DeleteJoin(Box<DeleteJoinPlan>),
    /// DO: the query's rows are thrown away.
    Do(Box<QueryPlan>),
    /// Changes the catalog; bound when it is executed, under locks.
    Ddl(Box<DdlPlan>),
    /// EXPLAIN ANALYZE: the query runs, its rows are thrown away, and the answer is what its operators did.
    Analyze(Box<QueryPlan>),
    /// EXPLAIN: rows that are already known.
    Explain(Vec<Vec<Value>>),
}

impl PlanKind {
    /// Whether wrong values are warnings: IGNORE, and statements that change no rows.
    pub(crate) fn ignores(&self) -> bool {
        match self {
            Self::Insert(insert) => insert.ignore,
            Self::Update(update) => update.ignore,
            Self::UpdateJoin(update) => update.ignore,
            Self::Delete(_) | Self::DeleteJoin(_) => false,
            Self::Query { .. } | Self::Do(_) | Self::Ddl(_) => true,
            Self::Explain(_) | Self::Analyze(_) => true,
        }
    }
}

/// DDL: bound when it is executed, under locks, but for the query of CREATE TABLE … SELECT.
pub(crate) struct DdlPlan {
    pub statement: Statement,
    pub query: Option<binder::BoundQuery>,
}

/// An immutable, parameterised plan.
pub struct Plan {
    pub(crate) kind: PlanKind,
    /// Uncorrelated subqueries, in the order in which they run.
    pub(crate) init: Vec<Apply>,
    /// Parameters that are set before anything else, and to what.
    pub(crate) constants: constants::Constants,
    /// Parameters of the user and of subqueries.
    pub(crate) slots: usize,
    /// Stored tables that it uses.
    pub(crate) tables: Vec<TableId>,
    /// What DDL needs to bind its expressions with.
    pub(crate) bind: BindContext,
    columns: Option<Arc<[ResultColumn]>>,
    parameters: usize,
    reusable: bool,
    read_only: bool,
    repeatable: bool,
    follows_statistics: bool,
    changes_only_temporary: bool,
    uses: Box<[ColumnUse]>,
    catalog: Lsn,
}

impl Plan {
    /// Columns of its result set; `None` when it gives none.
    #[must_use]
    pub fn columns(&self) -> Option<&Arc<[ResultColumn]>> {
        self.columns.as_ref()
    }

    /// Number of parameters that an execution must give.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Whether it may be executed again later; otherwise it holds values of variables and must be made
    /// anew each time.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Whether it only reads: no locks, no writes.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether an execution that was given up may be done anew on another thread: a query of stored tables
    /// that only reads, and in which nothing depends on how often it is evaluated.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// Whether statistics had a say in it, so that it should be made anew when they may have changed.
    #[must_use]
    pub fn follows_statistics(&self) -> bool {
        self.follows_statistics
    }

    /// Whether it names a temporary table of the session that it was made for.
    #[must_use]
    pub fn uses_temporary(&self) -> bool {
        self.tables.iter().any(|table| table.is_temporary())
    }

    /// Names of the database and of itself of each table or view that an UPDATE of a join changes.
    pub fn joined_targets(&self) -> impl Iterator<Item = (&str, &str)> {
        let targets = match &self.kind {
            PlanKind::UpdateJoin(update) => &*update.targets,
            _ => &[],
        };
        let changed = targets.iter().filter(|target| !target.info.table.id.is_temporary());
        changed.map(|target| (&*target.named.schema, &*target.named.name))
    }

    /// Which columns of which tables it reads and changes; the tables of DDL itself are not among them.
    #[must_use]
    pub fn uses(&self) -> &[ColumnUse] {
        &self.uses
    }

    /// Whether it defines, changes or drops something, rather than rows.
    #[must_use]
    pub fn is_definition(&self) -> bool {
        matches!(self.kind, PlanKind::Ddl(_))
    }

    /// Whether nothing but temporary tables is changed: allowed on nodes and in transactions that only read.
    #[must_use]
    pub fn changes_only_temporary(&self) -> bool {
        self.changes_only_temporary
    }

    /// Version of the catalog that it was made for.
    #[must_use]
    pub fn catalog_version(&self) -> Lsn {
        self.catalog
    }
}

/// The type a parameter is planned with when it has this value.
#[must_use]
pub fn param_type(value: &Value) -> DataType {
    match value {
        Value::UInt(_) => DataType::bigint_unsigned(),
        Value::Bytes(bytes) => DataType::varchar(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
        Value::Decimal(decimal) => {
            let mut data_type = DataType::of(TypeKind::Decimal);
            data_type.decimals = decimal.scale();
            data_type.length = u32::from(decimal.integer_digits()) + u32::from(decimal.scale());
            data_type
        }
        Value::Time(_) | Value::DateTime(_) => DataType { decimals: 6, ..DataType::of(param_kind(value)) },
        _ => DataType::of(param_kind(value)),
    }
}

/// The kind of [`param_type`].
#[must_use]
pub fn param_kind(value: &Value) -> TypeKind {
    match value {
        Value::Null => TypeKind::Null,
        Value::Int(_) | Value::UInt(_) => TypeKind::BigInt,
        Value::Float(_) => TypeKind::Float,
        Value::Double(_) => TypeKind::Double,
        Value::Decimal(_) => TypeKind::Decimal,
        Value::Bytes(_) => TypeKind::VarChar,
        Value::Date(_) => TypeKind::Date,
        Value::Time(_) => TypeKind::Time,
        Value::DateTime(_) => TypeKind::DateTime,
    }
}

/// What tells parameters apart in the key of a plan.
pub fn param_code(value: &Value) -> u16 {
    match value {
        Value::UInt(_) => 200,
        Value::Decimal(decimal) => 256 + u16::from(decimal.scale()),
        other => param_kind(other) as u16,
    }
}

/// Plans a statement for which [`Statement::is_planned`] holds. Does not execute anything.
///
/// # Errors
/// Those of name resolution and typing: 1046, 1049, 1052, 1054, 1066, 1146, 1235, ….
pub fn prepare(statement: &Statement, parameters: usize, env: &PlanEnv<'_>) -> SqlResult<Arc<Plan>> {
    let mut binder = Binder::new(env, parameters);
    let (kind, columns) = binder.statement(statement)?;
    let writes = !matches!(
        kind,
        PlanKind::Query { .. } | PlanKind::Do(_) | PlanKind::Explain(_) | PlanKind::Analyze(_)
    );
    let gives_rows = match &kind {
        PlanKind::Query { into, .. } => into.is_empty(),
        kind => matches!(kind, PlanKind::Analyze(_)),
    };
    let repeatable = gives_rows && binder.repeatable && !binder.locks;
    let changes_only_temporary = temporary::changes_only_temporary(&kind, env);
    Ok(Arc::new(Plan {
        changes_only_temporary,
        uses: binder.uses(),
        kind,
        slots: binder.slots(),
        tables: binder.tables,
        init: binder.init,
        constants: binder.constants,
        bind: env.bind.clone(),
        columns,
        parameters,
        reusable: binder.reusable,
        read_only: !writes && !binder.locks,
        repeatable,
        follows_statistics: binder.asked.get(),
        catalog: env.catalog.version(),
    }))
}

/// A kind of plan and the columns of its result set.
type Planned = (PlanKind, Option<Arc<[ResultColumn]>>);

impl Binder<'_> {
    fn statement(&mut self, statement: &Statement) -> SqlResult<Planned> {
        match statement {
            Statement::Query(query) => {
                self.hoists = true;
                let bound = self.query(query, None)?;
                let into = match &query.into {
                    None => Vec::new(),
                    Some(IntoTarget::Variables(names)) => {
                        if names.len() != bound.columns.len() {
                            return Err(SqlError::new(
                                1222,
                                "The used SELECT statements have a different number of columns",
                            ));
                        }
                        self.reusable = false;
                        names.clone()
                    }
                    Some(IntoTarget::File(_)) => {
                        return Err(SqlError::not_supported("SELECT ... INTO OUTFILE here"));
                    }
                };
                let columns: Arc<[ResultColumn]> = bound.columns.iter().map(output::result_column).collect();
                let fast = if into.is_empty() && !self.calc_found_rows {
                    fast::plan(&bound.plan.node)
                } else {
                    None
                };
                let result = into.is_empty().then(|| Arc::clone(&columns));
                let calc_found_rows = self.calc_found_rows;
                if !into.is_empty() {
                    return Ok((
                        PlanKind::Query { plan: Box::new(bound.plan), fast, into, calc_found_rows },
                        None,
                    ));
                }
                Ok((PlanKind::Query { plan: Box::new(bound.plan), fast, into, calc_found_rows }, result))
            }
            Statement::Insert(insert) => Ok((PlanKind::Insert(Box::new(self.insert(insert)?)), None)),
            Statement::Update(update) => {
                Ok((self.with_common(update.with.as_ref(), |b| b.update_statement(update))?, None))
            }
            Statement::Delete(delete) => {
                Ok((self.with_common(delete.with.as_ref(), |b| b.delete_statement(delete))?, None))
            }
            Statement::Do(exprs) => {
                let items = exprs
                    .iter()
                    .map(|expr: &AstExpr| SelectItem::Expr {
                        expr: expr.clone(),
                        alias: None,
                        text: String::new(),
                    })
                    .collect();
                let bound = self.query(&query::select_of(items), None)?;
                Ok((PlanKind::Do(Box::new(bound.plan)), None))
            }
            Statement::Explain(explain) => match &explain.target {
                ExplainTarget::Statement(inner) => {
                    self.explains = true;
                    let (kind, _) = self.statement(inner)?;
                    if explain.analyze {
                        return explain_tree::analyze(kind, explain);
                    }
                    let (columns, rows) = explain::explain(&kind, &self.init, &self.constants, explain)?;
                    self.init.clear();
                    self.constants.clear();
                    Ok((PlanKind::Explain(rows), Some(columns)))
                }
                ExplainTarget::Table(..) | ExplainTarget::Connection(_) => {
                    Err(SqlError::not_supported("DESCRIBE"))
                }
            },
            Statement::Unsupported(what) => Err(SqlError::not_supported(what)),
            ddl => {
                self.reusable = false;
                let query = match ddl {
                    Statement::CreateTable(create) => create.query.as_deref(),
                    Statement::CreateView(create) => Some(&*create.query),
                    _ => None,
                };
                let query = query.map(|query| self.query(query, None)).transpose()?;
                if let Statement::CreateView(create) = ddl {
                    self.refuse_temporary()?;
                    self.refuse_check_option(create)?;
                }
                Ok((PlanKind::Ddl(Box::new(DdlPlan { statement: ddl.clone(), query })), None))
            }
        }
    }
}

/// Whether bounds of one type are exact for keys of another: both integers.
pub(crate) fn is_exact_pair(value: &DataType, key: &DataType) -> bool {
    is_integer(value) && is_integer(key)
}

/// Types of the columns that a query's outermost projection computes.
pub(crate) fn output_types(node: &node::Node) -> Vec<DataType> {
    match node {
        node::Node::Project { exprs, .. } => exprs.iter().map(|expr| expr.data_type().clone()).collect(),
        node::Node::Cut { input, .. }
        | node::Node::Limit { input, .. }
        | node::Node::Sort { input, .. }
        | node::Node::Distinct { input, .. } => output_types(input),
        node::Node::Union(parts) => parts.first().map(output_types).unwrap_or_default(),
        node::Node::SetDifference { left, .. } => output_types(left),
        node::Node::Values { rows, .. } => {
            rows.first().map(|row| row.iter().map(|e| e.data_type().clone()).collect()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}
