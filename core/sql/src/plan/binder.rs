//! What binding a statement accumulates.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use aquifer_catalog::{Catalog, Table};
use aquifer_types::{DataType, SqlError, SqlResult, TableId, TypeKind};

use crate::ast::{ColumnRef, Query, TableName};
use crate::expr::{self, Expr, ExprType};
use crate::plan::PlanEnv;
use crate::plan::bind_expr::ExprContext;
use crate::plan::constants::Constants;
use crate::plan::cost::Knowledge;
use crate::plan::node::{Apply, ApplyKind, Keyed, QueryPlan};
use crate::plan::scope::{CommonTableDef, Scope, unknown_column};
use crate::plan::table_info::TableInfo;
use crate::plan::usage::{ColumnUse, Reads, WithinView};
use crate::result::ColumnFlags;

/// A column that a query gives.
#[derive(Clone)]
pub(crate) struct OutColumn {
    pub name: Arc<str>,
    pub ty: ExprType,
    pub schema: Arc<str>,
    pub table: Arc<str>,
    pub org_table: Arc<str>,
    pub org_name: Arc<str>,
    pub flags: ColumnFlags,
}

/// A bound query.
pub(crate) struct BoundQuery {
    pub plan: QueryPlan,
    pub columns: Vec<OutColumn>,
}

/// A bound subquery with what it takes from outside.
pub(crate) struct BoundSubquery {
    pub plan: QueryPlan,
    pub columns: Vec<OutColumn>,
    pub outer: Vec<(usize, Expr)>,
    pub correlated: bool,
    /// Whether the same values from outside give the same rows.
    pub determined: bool,
    pub keyed: Option<Keyed>,
}

/// State of binding one statement.
pub(crate) struct Binder<'a> {
    pub env: &'a PlanEnv<'a>,
    /// Next parameter to hand out; the user's come first.
    next_slot: usize,
    /// Whether nothing was read that may change without the plan's key changing.
    pub reusable: bool,
    /// Whether executing it twice is the same as executing it once, on any thread: no volatile functions, no
    /// assignments, no virtual tables.
    pub repeatable: bool,
    /// Subqueries that depend on nothing, in the order in which they must run.
    pub init: Vec<Apply>,
    next_apply: usize,
    /// Tables that the statement uses.
    pub tables: Vec<TableId>,
    /// Common tables in scope, innermost last.
    pub common: Vec<CommonTableDef>,
    /// Whether rows are locked as they are read.
    pub locks: bool,
    /// SQL_CALC_FOUND_ROWS.
    pub calc_found_rows: bool,
    /// Within a view: the database in which its names are looked up.
    pub database: Option<String>,
    /// Views around.
    pub view_depth: usize,
    /// Number of the user's parameters.
    pub parameters: usize,
    /// Whether constant parts of expressions are computed once ([`crate::plan::constants`]).
    pub hoists: bool,
    /// Those parts.
    pub constants: Constants,
    /// Whether a subquery is being bound for all outer rows at once, within which none is.
    pub is_keying: bool,
    /// Whether rows of tables in FROM are changed.
    pub is_changing: bool,
    /// Queries of views that were named.
    pub views: HashMap<TableId, Arc<Query>>,
    /// Where queries are in memory that were tried to be merged and cannot be.
    pub unmerged: HashSet<usize>,
    /// Whether the plan is made to be explained.
    pub explains: bool,
    /// Whether statistics were asked.
    pub asked: Cell<bool>,
    /// What is read of each table in FROM.
    pub reads: Vec<Rc<Reads>>,
    /// What is changed.
    pub changes: Vec<ColumnUse>,
    /// Within a view: with whose rights its tables are read.
    pub within: Option<Arc<WithinView>>,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(env: &'a PlanEnv<'a>, parameters: usize) -> Self {
        Self {
            env,
            next_slot: parameters,
            reusable: true,
            repeatable: true,
            init: Vec::new(),
            next_apply: 0,
            tables: Vec::new(),
            common: Vec::new(),
            locks: false,
            calc_found_rows: false,
            database: None,
            view_depth: 0,
            parameters,
            hoists: false,
            constants: Constants::new(),
            is_keying: false,
            is_changing: false,
            explains: false,
            views: HashMap::new(),
            unmerged: HashSet::new(),
            asked: Cell::new(false),
            reads: Vec::new(),
            changes: Vec::new(),
            within: None,
        }
    }

    /// What plans are made by.
    pub(crate) fn knowledge(&self) -> Knowledge<'_> {
        Knowledge {
            statistics: self.env.statistics,
            first: self.env.first,
            asked: &self.asked,
            explains: self.explains,
        }
    }

    pub(crate) fn allocate_slot(&mut self) -> usize {
        self.next_slot += 1;
        self.next_slot - 1
    }

    pub(crate) fn slots(&self) -> usize {
        self.next_slot
    }

    /// The name of a table's database.
    pub(crate) fn schema_of<'n>(&'n self, name: &'n TableName) -> SqlResult<&'n str> {
        let current = self.database.as_deref().or(self.env.bind.database.as_deref());
        let known = name.schema.as_deref().or(current);
        known.ok_or_else(|| SqlError::new(1046, "No database selected"))
    }

    /// A table of the catalog; views see no temporary ones.
    pub(crate) fn table_named(&self, schema: &str, name: &str) -> Option<&'a Arc<Table>> {
        let catalog: &'a Catalog = self.env.catalog;
        if self.view_depth > 0 { catalog.stored_table(schema, name) } else { catalog.table(schema, name) }
    }

    /// A stored table by name.
    pub(crate) fn stored_table(&mut self, name: &TableName) -> SqlResult<Arc<TableInfo>> {
        let schema = self.schema_of(name)?;
        let catalog = self.env.catalog;
        let Some(table) = self.table_named(schema, &name.name) else {
            if self.env.virtual_tables.has_schema(schema) {
                return Err(SqlError::new(1044, format!("Access denied for database '{schema}'")));
            }
            if catalog.database(schema).is_none() {
                return Err(SqlError::new(1049, format!("Unknown database '{schema}'")));
            }
            return Err(no_such_table(schema, &name.name));
        };
        if !self.tables.contains(&table.id) {
            self.tables.push(table.id);
        }
        Ok(Arc::new(TableInfo::new(table)?))
    }

    /// Binds a subquery of a block.
    pub(crate) fn subquery(&mut self, query: &Query, scope: &Scope<'_>) -> SqlResult<BoundSubquery> {
        let inner = Scope::new(Some(scope));
        let repeatable = std::mem::replace(&mut self.repeatable, true);
        let bound = self.query(query, Some(&inner))?;
        let outer = inner.outer.take();
        let correlated = inner.correlated.get();
        let fixed = self.common.iter().all(|common| common.work.is_none());
        let determined = self.repeatable && fixed && !inner.distant.get();
        self.repeatable &= repeatable;
        Ok(BoundSubquery {
            plan: bound.plan,
            columns: bound.columns,
            outer,
            correlated,
            determined,
            keyed: None,
        })
    }

    /// Puts a subquery where its result is computed: before the statement when it depends on nothing, else
    /// with the expressions that use it.
    pub(crate) fn attach(
        &mut self,
        sub: BoundSubquery,
        kind: ApplyKind,
        result: usize,
        cx: &mut ExprContext<'_>,
    ) {
        let id = self.next_apply;
        self.next_apply += 1;
        let compares = matches!(kind, ApplyKind::Compare { .. });
        let correlated = sub.correlated;
        let result_type = match (&kind, sub.columns.first()) {
            (ApplyKind::Scalar, Some(column)) => column.ty.data_type.clone(),
            _ => DataType { length: 1, ..DataType::of(TypeKind::BigInt) },
        };
        let determined = sub.determined;
        let (outer, query, keyed) = (sub.outer, sub.plan, sub.keyed);
        let apply = Apply { id, outer, correlated, determined, query, keyed, kind, result, result_type };
        if correlated || compares {
            cx.applies.push(apply);
        } else {
            self.init.push(apply);
        }
    }

    /// VALUES(column): the value that would have been inserted.
    pub(crate) fn new_row_column(
        &mut self,
        name: &ColumnRef,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let Some(offset) = cx.new_row else {
            return Ok(expr::null_literal());
        };
        let seen = (!scope.names.is_empty()).then(|| scope.entry(0));
        let position = seen.as_ref().and_then(|entry| {
            entry.columns.iter().position(|column| super::scope::same_name(&column.name, &name.name))
        });
        match position.map(|position| scope.expr_at(0, position)) {
            Some(Expr::Column { index, ty }) => Ok(expr::column(offset + index, ty.data_type, true)),
            Some(_) => Err(not_updatable_column(&name.name)),
            None => Err(unknown_column(name, cx.clause)),
        }
    }

    /// DEFAULT(column).
    pub(crate) fn default_of(&mut self, name: &ColumnRef, scope: &Scope<'_>) -> SqlResult<Expr> {
        let Some(found) = scope.find(name, "field list")? else {
            return Err(unknown_column(name, "field list"));
        };
        let Expr::Column { index, .. } = found.expr else {
            return Err(SqlError::not_supported("DEFAULT of a derived column"));
        };
        let table = scope.table_of(index).map(|number| &scope.tables[number]);
        let Some((table, info)) = table.and_then(|table| Some((table, table.info.as_ref()?))) else {
            return Err(SqlError::not_supported("DEFAULT of a derived column"));
        };
        let column = &info.table.columns[index - table.offset];
        self.default_expr(column)
    }
}

/// Error 1348.
pub(crate) fn not_updatable_column(name: &str) -> SqlError {
    SqlError::new(1348, format!("Column '{name}' is not updatable"))
}

/// Error 1146.
pub(crate) fn no_such_table(schema: &str, name: &str) -> SqlError {
    SqlError::new(1146, format!("Table '{schema}.{name}' doesn't exist"))
}
