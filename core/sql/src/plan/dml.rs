//! INSERT, REPLACE, UPDATE, DELETE.

use std::cell::RefCell;
use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlResult};

use crate::ast::{
    Assignment, AstExpr, Delete, Insert, InsertMode, InsertRows, OnConflict, OrderItem, TableRef, Update,
};
use crate::expr::Expr;
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::Binder;
use crate::plan::change_join::Bound;
use crate::plan::change_view::{CheckOption, InsertTarget, assigned_slot, no_delete, not_updatable};
use crate::plan::foreign::ForeignKeys;
use crate::plan::from::{Source, conjuncts};
use crate::plan::join_order::FromPlanner;
use crate::plan::node::{Apply, LockSpec, Node, QueryPlan, Scan, WaitSpec};
use crate::plan::rules::RowRules;
use crate::plan::scope::{MergedTable, Scope, ScopeColumn, ScopeTable, same_name, unknown_column};
use crate::plan::sort_type::SortType;
use crate::plan::table_info::TableInfo;
use crate::plan::usage::UseKind;
use crate::plan::{DefaultPlan, PlanKind};
use crate::txn::LockMode;

/// Rows of an INSERT.
pub(crate) enum InsertSource {
    /// For each row its expressions; `None` is DEFAULT.
    Values(Vec<Vec<Option<Expr>>>),
    Query {
        plan: Box<QueryPlan>,
        types: Vec<DataType>,
        /// Whether it may read what the statement writes: all of it is read before any is written then.
        reads_target: bool,
    },
}

/// column = expression.
pub(crate) struct AssignmentPlan {
    pub column: usize,
    /// `None` is DEFAULT.
    pub value: Option<Expr>,
}

/// What is done about a duplicate key.
pub(crate) enum ConflictPlan {
    Error,
    Ignore,
    Replace,
    /// Assignments over the old row followed by the new one, then ON UPDATE columns.
    Update(Vec<AssignmentPlan>, Vec<(usize, Expr)>),
}

impl ConflictPlan {
    /// Whether new rows may be evaluated before those ahead of them are inserted: nothing that happens to a row in the
    /// way sees user variables or another passing state.
    pub(crate) fn is_order_free(&self) -> bool {
        match self {
            Self::Error | Self::Ignore | Self::Replace => true,
            Self::Update(assignments, _) => {
                let mut values = assignments.iter().filter_map(|assignment| assignment.value.as_ref());
                values.all(|value| value.all(&mut |part| !part.is_volatile()))
            }
        }
    }
}

/// INSERT and REPLACE.
pub(crate) struct InsertPlan {
    pub table: Arc<TableInfo>,
    /// Columns that the source gives, in its order.
    pub columns: Vec<usize>,
    pub source: InsertSource,
    pub applies: Vec<Apply>,
    pub defaults: Vec<DefaultPlan>,
    pub conflict: ConflictPlan,
    pub ignore: bool,
    /// Position of the AUTO_INCREMENT column.
    pub auto_increment: Option<usize>,
    pub rules: RowRules,
    pub check: Option<CheckOption>,
}

impl InsertPlan {
    /// Whether it is a REPLACE.
    pub(crate) fn is_replace(&self) -> bool {
        matches!(self.conflict, ConflictPlan::Replace)
    }
}

/// UPDATE of one table.
pub(crate) struct UpdatePlan {
    pub scan: Scan,
    pub applies: Vec<Apply>,
    pub late: Vec<Expr>,
    pub assignments: Vec<AssignmentPlan>,
    pub defaults: Vec<DefaultPlan>,
    pub on_update: Vec<(usize, Expr)>,
    pub order: Vec<(Expr, SortType, bool)>,
    /// Subqueries of the order.
    pub order_applies: Vec<Apply>,
    pub limit: Option<Expr>,
    pub ignore: bool,
    pub rules: RowRules,
    pub check: Option<CheckOption>,
}

/// DELETE from one table.
pub(crate) struct DeletePlan {
    pub scan: Scan,
    pub applies: Vec<Apply>,
    pub late: Vec<Expr>,
    pub order: Vec<(Expr, SortType, bool)>,
    /// Subqueries of the order.
    pub order_applies: Vec<Apply>,
    pub limit: Option<Expr>,
    pub ignore: bool,
    pub foreign: Option<ForeignKeys>,
}

/// Rows to be changed: how they are found.
struct Target {
    scan: Scan,
    applies: Vec<Apply>,
    late: Vec<Expr>,
    order: Vec<(Expr, SortType, bool)>,
    order_applies: Vec<Apply>,
    limit: Option<Expr>,
}

impl Binder<'_> {
    pub(crate) fn insert(&mut self, insert: &Insert) -> SqlResult<InsertPlan> {
        let mut target = self.insert_target(&insert.table, insert.columns.as_deref())?;
        let info = Arc::clone(&target.info);
        let given = insert_columns(insert, target.scope.entry(0).columns)?;
        let columns: Vec<usize> = given.iter().filter_map(|column| target.position(*column)).collect();
        self.note_changes(&target.scope, &columns, UseKind::Insert, insert.columns.is_none());
        if insert.mode == InsertMode::Replace {
            self.note_deletes(&target.scope, 0);
        }
        // MariaDB's dumps hold values of generated columns and set a mode that is not strict: they are computed
        // anyway, as MariaDB does.
        if self.env.bind.sql_mode.is_strict() {
            check_generated(insert, &info, &columns)?;
        }
        let mut applies = Vec::new();
        let source = match &insert.rows {
            InsertRows::Values(rows) => {
                InsertSource::Values(self.insert_values(rows, &columns, &target.scope, &mut applies)?)
            }
            InsertRows::Query(query) => {
                let others = std::mem::take(&mut self.tables);
                let bound = self.query(query, None)?;
                // REPLACE may delete from other tables too.
                let reads_target = self.tables.contains(&info.table.id) || insert.mode == InsertMode::Replace;
                self.tables.extend(others);
                if bound.columns.len() != columns.len() {
                    return Err(column_count(1));
                }
                let types = bound.columns.iter().map(|column| column.ty.data_type.clone()).collect();
                InsertSource::Query { plan: Box::new(bound.plan), types, reads_target }
            }
        };
        let conflict = match (&insert.on_conflict, insert.mode) {
            (_, InsertMode::Replace) => ConflictPlan::Replace,
            (OnConflict::Error, _) => ConflictPlan::Error,
            (OnConflict::Ignore, _) => ConflictPlan::Ignore,
            (OnConflict::Update(assignments), _) => {
                let row = insert.row_alias.as_ref().map(|(alias, names)| (&**alias, &**names));
                let assignments =
                    self.conflict_update(assignments, (row, &given), &mut target, &mut applies)?;
                let on_update = self.on_update(&info, &assignments)?;
                ConflictPlan::Update(assignments, on_update)
            }
        };
        let mut defaults = self.defaults(&info)?;
        if let Some(view) = &target.view {
            for (column, default) in defaults.iter_mut().enumerate() {
                if matches!(default, DefaultPlan::Missing) && !columns.contains(&column) {
                    *default = DefaultPlan::MissingInView(Arc::from(view.as_str()));
                }
            }
        }
        let auto_increment = info.table.columns.iter().position(|column| column.auto_increment);
        let rules = self.rules(&info)?;
        Ok(InsertPlan {
            rules,
            check: target.check,
            table: info,
            columns,
            source,
            applies,
            defaults,
            conflict,
            ignore: insert.ignore,
            auto_increment,
        })
    }

    fn insert_values(
        &mut self,
        rows: &[Vec<AstExpr>],
        columns: &[usize],
        scope: &Scope<'_>,
        applies: &mut Vec<Apply>,
    ) -> SqlResult<Vec<Vec<Option<Expr>>>> {
        let mut out = Vec::with_capacity(rows.len());
        for (number, row) in rows.iter().enumerate() {
            if row.len() != columns.len() && !row.is_empty()
                || row.is_empty() && !columns.is_empty() && rows.len() > 1
            {
                return Err(column_count(number + 1));
            }
            let mut bound = Vec::with_capacity(row.len());
            for value in row {
                let mut cx = ExprContext::plain("field list", applies);
                bound.push(match value {
                    AstExpr::Default => None,
                    value => Some(self.expr(value, scope, &mut cx)?),
                });
            }
            out.push(bound);
        }
        Ok(out)
    }

    /// ON DUPLICATE KEY UPDATE: over the old row, then the new one (VALUES() or the row's alias, with names for the
    /// columns that are given).
    fn conflict_update(
        &mut self,
        assignments: &[Assignment],
        (row, given): (Option<(&str, &[String])>, &[usize]),
        target: &mut InsertTarget,
        applies: &mut Vec<Apply>,
    ) -> SqlResult<Vec<AssignmentPlan>> {
        let (alias, names) = row.unwrap_or(("", &[]));
        target.push_new_row(alias, names, given)?;
        let InsertTarget { info, scope, .. } = target;
        let width = info.width();
        let mut out = Vec::new();
        for assignment in assignments {
            let entry = scope.entry(0);
            let named = entry.columns.iter().position(|c| same_name(&c.name, &assignment.column.name));
            let Some(Expr::Column { index: column, .. }) = named.map(|column| scope.expr_at(0, column))
            else {
                return Err(unknown_column(&assignment.column, "field list"));
            };
            if is_generated(info, column, &assignment.value)? {
                continue;
            }
            let mut cx = ExprContext { new_row: Some(width), ..ExprContext::plain("field list", applies) };
            let value = match &assignment.value {
                AstExpr::Default => None,
                value => Some(self.expr(value, scope, &mut cx)?),
            };
            out.push(AssignmentPlan { column, value });
        }
        let assigned: Vec<usize> = out.iter().map(|assignment| assignment.column).collect();
        self.note_changes(scope, &assigned, UseKind::Update, false);
        Ok(out)
    }

    pub(crate) fn plain_table(&self, info: &TableInfo) -> ScopeTable {
        let columns = info.table.columns.iter().map(|column| super::scope::ScopeColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            nullable: column.nullable,
            invisible: false,
            merged: false,
            flags: crate::result::ColumnFlags::default(),
            org_name: column.name.clone(),
            org_table: info.table.name.clone(),
            schema: info.table.schema.clone(),
        });
        ScopeTable {
            alias: info.table.name.clone(),
            schema: info.table.schema.clone(),
            offset: 0,
            columns: columns.collect(),
            info: None,
            reads: None,
        }
    }

    fn target(
        &mut self,
        Bound { scope, sources, tree }: Bound,
        verb: &str,
        filter: Option<&AstExpr>,
        order: &[OrderItem],
        limit: Option<&AstExpr>,
    ) -> SqlResult<(Target, Scope<'static>)> {
        self.refuse_entry(&scope, 0, verb)?;
        if !matches!(sources.first(), Some(Source::Stored { .. })) {
            return Err(not_updatable(scope.entry(0).alias, verb));
        }
        let mut applies = Vec::new();
        let mut conditions = Vec::new();
        if let Some(filter) = filter {
            let mut cx = ExprContext::plain("where clause", &mut applies);
            let bound = self.expr(filter, &scope, &mut cx)?;
            conjuncts(bound, &mut conditions);
            self.use_generated(&scope, &mut conditions)?;
        }
        scope.pending.take().join_clause(&mut conditions, &mut applies);
        let results: Vec<usize> = applies.iter().map(|apply| apply.result).collect();
        let (late, mut conditions): (Vec<Expr>, Vec<Expr>) =
            conditions.into_iter().partition(|c| super::assemble::mentions(c, &results));
        let mut bound_order = Vec::new();
        let mut order_applies = Vec::new();
        for item in order {
            let mut cx = ExprContext::plain("order clause", &mut order_applies);
            let expr = self.expr(&item.expr, &scope, &mut cx)?;
            let ty = SortType::of(expr.data_type());
            bound_order.push((expr, ty, item.descending));
        }
        let columns: Option<Vec<(usize, bool)>> = bound_order
            .iter()
            .map(|(expr, _, descending)| match expr {
                Expr::Column { index, .. } => Some((*index, *descending)),
                _ => None,
            })
            .collect();
        let scan_order = columns.unwrap_or_default();
        let lock = LockSpec { mode: LockMode::Exclusive, wait: WaitSpec::Timeout };
        self.locks = true;
        let knowledge = self.knowledge();
        let planner = FromPlanner {
            tables: &scope.tables,
            sources: &sources,
            used: &vec![true; scope.width],
            locks: &[Some(lock)],
            order: &scan_order,
            limited: limit.is_some(),
            first_rows: false,
            straight: false,
            key_slots: &[],
            knowledge: &knowledge,
            pushed: RefCell::default(),
        };
        let plan = planner.plan(tree, &mut conditions)?;
        let Node::Scan(mut scan) = plan.node else {
            return Err(SqlError::not_supported("UPDATE or DELETE of this table"));
        };
        scan.filter.extend(conditions);
        if plan.ordered && !scan_order.is_empty() {
            bound_order.clear();
        }
        let limit = limit.map(|value| self.limit_value(value)).transpose()?;
        Ok((Target { scan: *scan, applies, late, order: bound_order, order_applies, limit }, scope))
    }

    /// UPDATE of one table or of a join, which a view may be.
    pub(crate) fn update_statement(&mut self, update: &Update) -> SqlResult<PlanKind> {
        self.is_changing = true;
        let bound = self.bound_from(&update.table)?;
        if matches!(update.table, TableRef::Join(_)) || bound.scope.tables.len() > 1 {
            return Ok(PlanKind::UpdateJoin(Box::new(self.update_join(update, bound)?)));
        }
        Ok(PlanKind::Update(Box::new(self.update(update, bound)?)))
    }

    /// DELETE from one table or from tables of a join.
    pub(crate) fn delete_statement(&mut self, delete: &Delete) -> SqlResult<PlanKind> {
        self.is_changing = true;
        let bound = self.bound_from(&delete.from)?;
        if !delete.targets.is_empty() {
            return Ok(PlanKind::DeleteJoin(Box::new(self.delete_join(delete, bound)?)));
        }
        Ok(PlanKind::Delete(Box::new(self.delete(delete, bound)?)))
    }

    fn update(&mut self, update: &Update, bound: Bound) -> SqlResult<UpdatePlan> {
        let filter = update.filter.as_ref();
        let limit = update.limit.as_ref();
        let (target, scope) = self.target(bound, "UPDATE", filter, &update.order, limit)?;
        let info = Arc::clone(&target.scan.table);
        let mut assignments = Vec::new();
        let mut applies = target.applies;
        for assignment in &update.assignments {
            let Some(found) = scope.find_target(&assignment.column, "field list")? else {
                return Err(unknown_column(&assignment.column, "field list"));
            };
            let column = assigned_slot(&found)?;
            if is_generated(&info, column, &assignment.value)? {
                continue;
            }
            let mut cx = ExprContext::plain("field list", &mut applies);
            let value = match &assignment.value {
                AstExpr::Default => None,
                value => Some(self.expr(value, &scope, &mut cx)?),
            };
            assignments.push(AssignmentPlan { column, value });
        }
        let assigned: Vec<usize> = assignments.iter().map(|assignment| assignment.column).collect();
        self.note_changes(&scope, &assigned, UseKind::Update, false);
        let on_update = self.on_update(&info, &assignments)?;
        Ok(UpdatePlan {
            rules: self.rules(&info)?,
            check: self.check_of(&scope, 0, 0)?,
            defaults: self.defaults(&info)?,
            scan: target.scan,
            applies,
            late: target.late,
            assignments,
            on_update,
            order: target.order,
            order_applies: target.order_applies,
            limit: target.limit,
            ignore: update.ignore,
        })
    }

    fn delete(&mut self, delete: &Delete, bound: Bound) -> SqlResult<DeletePlan> {
        if let (Some(MergedTable { view: Some(view), .. }), true) =
            (bound.scope.merged_at(0), bound.scope.tables.len() > 1)
        {
            return Err(no_delete(view));
        }
        let filter = delete.filter.as_ref();
        let limit = delete.limit.as_ref();
        let (target, scope) = self.target(bound, "DELETE", filter, &delete.order, limit)?;
        self.note_deletes(&scope, 0);
        let info = Arc::clone(&target.scan.table);
        Ok(DeletePlan {
            ignore: delete.ignore,
            foreign: self.foreign_keys(&info)?,
            scan: target.scan,
            applies: target.applies,
            late: target.late,
            order: target.order,
            order_applies: target.order_applies,
            limit: target.limit,
        })
    }
}

/// Whether an assignment is `generated column = DEFAULT`, which does nothing.
///
/// # Errors
/// 3105 for another value of a generated column.
pub(crate) fn is_generated(info: &TableInfo, column: usize, value: &AstExpr) -> SqlResult<bool> {
    let column = &info.table.columns[column];
    match (&column.generated, value) {
        (None, _) => Ok(false),
        (Some(_), AstExpr::Default) => Ok(true),
        (Some(_), _) => Err(generated_value(info, &column.name)),
    }
}

fn generated_value(info: &TableInfo, column: &str) -> SqlError {
    let table = &info.table.name;
    let text =
        format!("The value specified for generated column '{column}' in table '{table}' is not allowed.");
    SqlError::new(3105, text)
}

/// Generated columns of an INSERT may only be given as DEFAULT.
fn check_generated(insert: &Insert, info: &TableInfo, columns: &[usize]) -> SqlResult<()> {
    for (number, column) in columns.iter().enumerate() {
        let column = &info.table.columns[*column];
        let given = match &insert.rows {
            InsertRows::Values(rows) => {
                rows.iter().any(|row| row.get(number).is_some_and(|value| *value != AstExpr::Default))
            }
            InsertRows::Query(_) => true,
        };
        if given && column.generated.is_some() {
            return Err(generated_value(info, &column.name));
        }
    }
    Ok(())
}

/// The columns that an INSERT names, by their places among those that it may name.
fn insert_columns(insert: &Insert, known: &[ScopeColumn]) -> SqlResult<Vec<usize>> {
    let Some(names) = &insert.columns else {
        let visible = known.iter().enumerate().filter(|(_, column)| !column.invisible);
        let all: Vec<usize> = visible.map(|(position, _)| position).collect();
        let empty = matches!(&insert.rows, InsertRows::Values(rows) if rows.iter().all(Vec::is_empty));
        return Ok(if empty { Vec::new() } else { all });
    };
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let Some(position) = known.iter().position(|column| same_name(&column.name, name)) else {
            return Err(SqlError::new(1054, format!("Unknown column '{name}' in 'field list'")));
        };
        if columns.contains(&position) {
            return Err(SqlError::new(1110, format!("Column '{name}' specified twice")));
        }
        columns.push(position);
    }
    Ok(columns)
}

fn column_count(row: usize) -> SqlError {
    SqlError::new(1136, format!("Column count doesn't match value count at row {row}"))
}
