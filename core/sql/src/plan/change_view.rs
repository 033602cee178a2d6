//! Changes through views (manual 27.5.3): what a change of a view's column changes, and WITH CHECK OPTION (27.5.4).
//!
//! A view is merged into FROM of the statement, whose tables are then those that are changed; a column of the view that
//! is one of theirs can be assigned to. INSERT asks for more: that all columns of the view are, each of another one,
//! and that the view is updatable as a whole.

use std::sync::Arc;

use aquifer_catalog::{Table, ViewAlgorithm, ViewCheck};
use aquifer_types::{SqlError, SqlResult, Value};

use crate::ast::{AstExpr, CreateView, JoinKind, Select, SelectItem, TableName, TableRef};
use crate::expr::Expr;
use crate::plan::binder::{Binder, not_updatable_column};
use crate::plan::from::{Source, Tree, scope_table};
use crate::plan::merge::mergeable;
use crate::plan::node::Apply;
use crate::plan::scope::{Found, MergedTable, Scope, ScopeColumn, ScopeTable};
use crate::plan::table_info::TableInfo;
use crate::plan::targets_in_subqueries::find_target;
use crate::plan::view::{DEPTH_MAX, view_query};

/// What rows that are changed through a view must satisfy.
pub(crate) struct CheckOption {
    /// The view that the statement names, with its database.
    pub view: String,
    /// Subqueries of the conditions.
    pub applies: Vec<Apply>,
    pub conditions: Vec<Expr>,
    /// Where columns of the changed table begin in the row that the conditions are over.
    pub offset: usize,
    /// Slots of that row.
    pub width: usize,
}

impl CheckOption {
    /// The row that the conditions are over, of which only the changed table's columns are known.
    pub(crate) fn row(&self, changed: &[Value]) -> Vec<Value> {
        let mut row = vec![Value::Null; self.width];
        row[self.offset..self.offset + changed.len()].clone_from_slice(changed);
        row
    }
}

/// Where an INSERT puts its rows.
pub(super) struct InsertTarget {
    pub info: Arc<TableInfo>,
    /// The table or view as names see it, over the columns of the table.
    pub scope: Scope<'static>,
    /// The view with its database, if it is one.
    pub view: Option<String>,
    pub check: Option<CheckOption>,
}

impl InsertTarget {
    /// The column of the table that a column of its name is.
    pub(super) fn position(&self, column: usize) -> Option<usize> {
        match self.scope.expr_at(0, column) {
            Expr::Column { index, .. } => Some(index),
            _ => None,
        }
    }

    /// Adds the row that would have been inserted after the one that is there: as `alias`, with `names` for the columns
    /// that are given, and hidden from names without a qualifier.
    pub(super) fn push_new_row(&mut self, alias: &str, names: &[String], given: &[usize]) -> SqlResult<()> {
        let offset = self.scope.width;
        let entry = self.scope.entry(0);
        let (schema, mut columns) = (entry.schema.clone(), entry.columns.to_vec());
        columns.iter_mut().for_each(|column| column.merged = true);
        for (name, position) in names.iter().zip(given) {
            columns[*position].merged =
                entry.columns.iter().any(|known| super::scope::same_name(&known.name, name));
            columns[*position].name = Arc::from(name.as_str());
        }
        let shifted = |(column, known): (usize, &ScopeColumn)| {
            let slot = offset + self.position(column).unwrap_or(0);
            crate::expr::column(slot, known.data_type.clone(), known.nullable)
        };
        let exprs = columns.iter().enumerate().map(shifted).collect();
        let number = self.scope.push_unnamed(scope_table(&self.info, None));
        let (alias, tables) = (Arc::from(alias), number..number + 1);
        let new = MergedTable { alias, schema, columns, exprs, tables, view: None, reads: None };
        self.scope.push_merged(new)
    }
}

fn qualified(table: &Table) -> String {
    format!("{}.{}", table.schema, table.name)
}

/// Error 1288.
pub(super) fn not_updatable(alias: &str, verb: &str) -> SqlError {
    SqlError::new(1288, format!("The target table {alias} of the {verb} is not updatable"))
}

fn not_insertable(view: &Table) -> SqlError {
    let text = format!("The target table {} of the INSERT is not insertable-into", view.name);
    SqlError::new(1471, text)
}

/// Error 1393.
pub(super) fn several_tables(view: &Table) -> SqlError {
    let view = qualified(view);
    SqlError::new(1393, format!("Can not modify more than one base table through a join view '{view}'"))
}

/// Error 1395.
pub(super) fn no_delete(view: &Table) -> SqlError {
    SqlError::new(1395, format!("Can not delete from join view '{}'", qualified(view)))
}

/// The slot that an assignment to a column changes.
///
/// # Errors
/// 1348 when the column is computed.
pub(super) fn assigned_slot(found: &Found<'_>) -> SqlResult<usize> {
    match &found.expr {
        Expr::Column { index, .. } => Ok(*index),
        _ => Err(not_updatable_column(&found.column.name)),
    }
}

impl Binder<'_> {
    /// The view that a name means.
    pub(super) fn view_named(&self, name: &TableName) -> SqlResult<Option<Arc<Table>>> {
        let table = self.table_named(self.schema_of(name)?, &name.name);
        Ok(table.filter(|table| table.view.is_some()).cloned())
    }

    /// [`is_updatable`] in the catalog of the statement.
    pub(super) fn is_updatable(&self, view: &Table) -> bool {
        is_updatable(view, &|schema, name| self.table_named(schema, name).cloned())
    }

    /// Error 1368 for WITH CHECK OPTION on a view through which nothing can be changed.
    pub(super) fn refuse_check_option(&self, create: &CreateView) -> SqlResult<()> {
        let database = self.env.bind.database.as_deref().unwrap_or_default();
        let find = |schema: &str, name: &str| self.table_named(schema, name).cloned();
        let merges = create.algorithm != ViewAlgorithm::TempTable;
        let select = mergeable(&create.query).filter(|_| merges);
        if create.check_option == ViewCheck::None
            || select.is_some_and(|select| updatable_select(select, database, &find, 0))
        {
            return Ok(());
        }
        let schema = self.schema_of(&create.name)?;
        let text = format!("CHECK OPTION on non-updatable view '{schema}.{}'", create.name.name);
        Err(SqlError::new(1368, text))
    }

    /// Error 1288 when rows of an entry of FROM cannot be changed.
    /// Of a view of several tables those that are tables can be changed.
    pub(super) fn refuse_entry(&self, scope: &Scope<'_>, entry: usize, verb: &str) -> SqlResult<()> {
        let Some(merged) = scope.merged_at(entry) else { return Ok(()) };
        let changeable = |view: &Arc<Table>| scope.tables_of(entry).len() > 1 || self.is_updatable(view);
        if merged.view.as_ref().is_some_and(changeable) {
            return Ok(());
        }
        Err(not_updatable(&merged.alias, verb))
    }

    /// What changes of an entry of FROM must satisfy; its first table's columns begin at the same slot there.
    pub(super) fn check_of(
        &mut self,
        scope: &Scope<'_>,
        entry: usize,
        slot: usize,
    ) -> SqlResult<Option<CheckOption>> {
        let Some(view) = scope.merged_at(entry).and_then(|merged| merged.view.as_ref()) else {
            return Ok(None);
        };
        let first = scope.tables_of(entry).start;
        let mut own = Scope::new(None);
        own.width = scope.tables[first].offset;
        let (tree, _) = self.view_alone(view, &mut own)?;
        Ok(check_option(view, tree, &own, (slot, scope.width)))
    }

    /// Binds a view alone.
    fn view_alone(&mut self, view: &Arc<Table>, scope: &mut Scope<'_>) -> SqlResult<(Tree, Vec<Source>)> {
        let mut sources = Vec::new();
        let Some(definition) = &view.view else { return Err(not_insertable(view)) };
        let tree = self.view_table(view, definition, None, scope, &mut sources)?;
        Ok((tree, sources))
    }

    /// Where an INSERT with these columns puts its rows.
    ///
    /// # Errors
    /// 1471, 1394 and 1393 for views.
    pub(super) fn insert_target(
        &mut self,
        name: &TableName,
        columns: Option<&[String]>,
    ) -> SqlResult<InsertTarget> {
        let Some(view) = self.view_named(name)? else {
            let info = self.stored_table(name)?;
            let mut scope = Scope::new(None);
            let reads = self.reads_of_stored(&info);
            scope.push(ScopeTable { reads, ..scope_table(&info, None) })?;
            return Ok(InsertTarget { info, scope, view: None, check: None });
        };
        let mut whole = Scope::new(None);
        let (tree, sources) = self.view_alone(&view, &mut whole)?;
        let Some(merged) = whole.merged_at(0).filter(|_| self.is_updatable(&view)) else {
            return Err(not_insertable(&view));
        };
        let slots = unique_slots(merged).ok_or_else(|| not_insertable(&view))?;
        if columns.is_none() && whole.tables.len() > 1 {
            let text = format!("Can not insert into join view '{}' without fields list", qualified(&view));
            return Err(SqlError::new(1394, text));
        }
        let mut target = None;
        for (column, slot) in merged.columns.iter().zip(&slots) {
            let is_given =
                |names: &[String]| names.iter().any(|name| super::scope::same_name(name, &column.name));
            if columns.is_none_or(is_given) {
                let table = whole.table_of(*slot);
                if *target.get_or_insert(table) != table {
                    return Err(several_tables(&view));
                }
            }
        }
        let number = target.flatten().unwrap_or(0);
        let Some(Source::Stored { info, .. }) = sources.get(number) else {
            return Err(not_insertable(&view));
        };
        let info = Arc::clone(info);
        let offset = whole.tables[number].offset;
        let mut scope = Scope::new(None);
        let reads = whole.tables[number].reads.clone();
        scope.push_unnamed(ScopeTable { reads, ..scope_table(&info, None) });
        let own = (offset, info.width());
        scope.push_merged(columns_of_table(merged, own))?;
        // The views that the view is made of have no names here.
        let inner = whole.merged.iter().filter(|inner| {
            !std::ptr::eq(*inner, merged) && inner.view.is_some() && inner.tables.contains(&number)
        });
        scope.merged.extend(inner.map(|inner| columns_of_table(inner, own)));
        let check = check_option(&view, tree, &whole, (offset, whole.width));
        Ok(InsertTarget { info, scope, view: Some(qualified(&view)), check })
    }
}

/// The slots behind the columns of a view; `None` when one is computed or two are the same.
fn unique_slots(merged: &MergedTable) -> Option<Vec<usize>> {
    let mut slots = Vec::with_capacity(merged.exprs.len());
    for expr in &merged.exprs {
        match expr {
            Expr::Column { index, .. } if !slots.contains(index) => slots.push(*index),
            _ => return None,
        }
    }
    Some(slots)
}

/// The columns of a view that are of one table, over a row of that.
fn columns_of_table(merged: &MergedTable, (offset, width): (usize, usize)) -> MergedTable {
    let columns = merged.columns.iter().zip(&merged.exprs).filter_map(|(column, expr)| match expr {
        Expr::Column { index, .. } if (offset..offset + width).contains(index) => {
            let expr = crate::expr::column(index - offset, column.data_type.clone(), column.nullable);
            Some((column.clone(), expr))
        }
        _ => None,
    });
    let (columns, exprs): (Vec<ScopeColumn>, Vec<Expr>) = columns.unzip();
    let (alias, schema) = (merged.alias.clone(), merged.schema.clone());
    let (view, reads) = (merged.view.clone(), merged.reads.clone());
    MergedTable { alias, schema, columns, exprs, tables: 0..1, view, reads }
}

/// What a view's changes must satisfy, as its merging has left it.
fn check_option(
    view: &Table,
    tree: Tree,
    scope: &Scope<'_>,
    (offset, width): (usize, usize),
) -> Option<CheckOption> {
    let pending = scope.pending.take();
    if pending.checks.is_empty() {
        return None;
    }
    let mut applies = Vec::new();
    take_applies(tree, &mut applies);
    applies.extend(pending.applies);
    Some(CheckOption { view: qualified(view), applies, conditions: pending.checks, offset, width })
}

fn take_applies(tree: Tree, out: &mut Vec<Apply>) {
    if let Tree::Join { left, right, applies, .. } = tree {
        take_applies(*left, out);
        take_applies(*right, out);
        out.extend(applies);
    }
}

/// Whether a view's definition lets changes through: it is merged, of base tables and such views alone, without outer
/// joins, and if it is of one table no subquery reads that.
pub(crate) fn is_updatable(view: &Table, find: &dyn Fn(&str, &str) -> Option<Arc<Table>>) -> bool {
    updatable_within(view, find, 0)
}

fn updatable_within(table: &Table, find: &dyn Fn(&str, &str) -> Option<Arc<Table>>, depth: usize) -> bool {
    let Some(view) = &table.view else { return true };
    if view.algorithm == ViewAlgorithm::TempTable || depth >= DEPTH_MAX {
        return false;
    }
    let Ok(query) = view_query(table, view) else { return false };
    mergeable(&query).is_some_and(|select| updatable_select(select, &view.database, find, depth + 1))
}

fn updatable_select(
    select: &Select,
    database: &str,
    find: &dyn Fn(&str, &str) -> Option<Arc<Table>>,
    depth: usize,
) -> bool {
    let Some(from) = &select.from else { return false };
    let mut tables = Vec::new();
    if !inner_tables(from, &mut tables) {
        return false;
    }
    let schema = |name: &TableName| name.schema.clone().unwrap_or_else(|| database.to_owned());
    let changeable = |name: &&TableName| {
        let found = find(&schema(name), &name.name);
        found.is_some_and(|table| updatable_within(&table, find, depth))
    };
    let reads = |table: &TableName| {
        let is_target = |name: &TableName| schema(name) == schema(table) && name.name == table.name;
        let items = select.items.iter().filter_map(|item| match item {
            SelectItem::Expr { expr, .. } => Some(expr),
            SelectItem::Wildcard(_) => None,
        });
        let exprs: Vec<&AstExpr> = items.chain(&select.filter).collect();
        find_target(exprs.into_iter(), from, &is_target).is_some()
    };
    let reads_itself = matches!(&tables[..], [table] if reads(table));
    tables.iter().all(changeable) && !reads_itself
}

/// The tables of inner joins; whether there is nothing else.
fn inner_tables<'f>(from: &'f TableRef, out: &mut Vec<&'f TableName>) -> bool {
    match from {
        TableRef::Table { name, .. } => {
            out.push(name);
            true
        }
        TableRef::Join(join) => {
            let outer = matches!(join.kind, JoinKind::Left | JoinKind::Right);
            !outer && inner_tables(&join.left, out) && inner_tables(&join.right, out)
        }
        TableRef::Derived { .. } | TableRef::JsonTable(_) => false,
    }
}
