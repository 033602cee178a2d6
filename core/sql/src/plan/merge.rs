//! Merging: the tables of a view or derived table stand in the block around it instead of it, so that conditions on
//! its columns find indexes and its joins are ordered with those around it (manual 10.2.2.4).
//!
//! 1. Its FROM is bound in the scope of the block, which shows it no other names ([`Scope::names`] is set aside), so
//!    that its tables get places in the row of the block.
//! 2. Its select list becomes the expressions behind the columns of a [`MergedTable`], its only name from then on.
//! 3. Its conditions are [`Pending`]: the next outer join of which it is the inner side takes them into its ON, else
//!    the block takes them into its WHERE. Its ORDER BY is the block's if that reads nothing else and has none.
//!
//! What an outer join does not match must be NULL in all columns: what is computed of an inner side becomes CASE WHEN a
//! column of it that is never NULL is not THEN it END, and without such a column there is no merging. Expressions that
//! give another value each time are not merged either, because a name may stand in several places.

use aquifer_catalog::{View, ViewCheck};
use aquifer_types::{SqlError, SqlResult};

use crate::ast::{AstExpr, JoinKind, Query, QueryBody, Select, SelectItem, TableRef};
use crate::expr::{self, Expr, Negation, aggregate};
use crate::plan::access::has_volatile;
use crate::plan::binder::{Binder, OutColumn};
use crate::plan::from::{Source, Tree};
use crate::plan::node::Apply;
use crate::plan::query::Around;
use crate::plan::scope::{Named, Scope};

/// Tables of one block, at most (the limit of MySQL); beyond it nothing is merged.
const TABLES_MAX: usize = 61;

/// What merged queries leave to the block.
#[derive(Default)]
pub(crate) struct Pending {
    pub conditions: Vec<Expr>,
    /// Subqueries of the conditions.
    pub applies: Vec<Apply>,
    /// What changes through the views must satisfy (WITH CHECK OPTION).
    pub checks: Vec<Expr>,
    /// Order: expression, descending.
    pub order: Vec<(Expr, bool)>,
}

impl Pending {
    /// Puts the conditions, with their subqueries, among those of a clause.
    pub(crate) fn join_clause(self, conditions: &mut Vec<Expr>, applies: &mut Vec<Apply>) {
        conditions.splice(0..0, self.conditions);
        applies.splice(0..0, self.applies);
    }
}

/// A merged query that has no name yet.
pub(super) struct Merged {
    pub tree: Tree,
    pub items: Vec<(Expr, OutColumn)>,
    pub tables: std::ops::Range<usize>,
}

/// FROM, the select list, and what is pending of a query that is being merged.
type Body = (Tree, Vec<(Expr, OutColumn)>, Pending);

/// A scope as it was before a query was merged into it.
struct Before {
    names: Vec<Named>,
    star: Vec<(usize, usize)>,
    pending: Pending,
    tables: usize,
    merged: usize,
    width: usize,
    init: usize,
    /// Which common tables were bound.
    bound: Vec<bool>,
}

impl Binder<'_> {
    /// Merges a query into a block; `None`, with the scope as it was, if that cannot be done.
    pub(super) fn merge(
        &mut self,
        query: &Query,
        view: Option<&View>,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Option<Merged>> {
        let Some(select) = mergeable(query) else { return Ok(None) };
        let own = select.from.as_ref().map_or(0, table_count);
        let place = std::ptr::from_ref(query).addr();
        if scope.tables.len() + own > TABLES_MAX || self.unmerged.contains(&place) {
            return Ok(None);
        }
        let before = Before {
            names: std::mem::take(&mut scope.names),
            star: std::mem::take(&mut scope.star),
            pending: scope.pending.take(),
            tables: scope.tables.len(),
            merged: scope.merged.len(),
            width: scope.width,
            init: self.init.len(),
            bound: self.common.iter().map(|common| common.bound.is_some()).collect(),
        };
        let known = self.common.len();
        if let Some(with) = &query.with {
            self.push_common(with, scope.parent, &|name| crate::plan::common::references(query, name));
        }
        let body = self.merged_body((query, select), view, scope, sources);
        self.common.truncate(known);
        let body = body?;
        scope.names = before.names;
        scope.star = before.star;
        *scope.pending.borrow_mut() = before.pending;
        let body =
            if scope.is_inner_side { self.with_nulls(body, before.width, scope, sources)? } else { body };
        let stable = |(_, items, _): &Body| !items.iter().any(|(expr, _)| has_volatile(expr));
        let Some((tree, items, own)) = body.filter(stable) else {
            scope.tables.truncate(before.tables);
            scope.merged.truncate(before.merged);
            scope.width = before.width;
            sources.truncate(before.tables);
            self.init.truncate(before.init);
            // What was bound meanwhile may need the subqueries that are gone.
            let unbound = self.common.iter_mut().zip(before.bound).filter(|(_, was_bound)| !was_bound);
            unbound.for_each(|(common, _)| common.bound = None);
            if !scope.is_inner_side {
                self.unmerged.insert(place);
            }
            return Ok(None);
        };
        let mut pending = scope.pending.borrow_mut();
        pending.conditions.extend(own.conditions);
        pending.applies.extend(own.applies);
        pending.checks.extend(own.checks);
        pending.order = own.order;
        Ok(Some(Merged { tree, items, tables: before.tables..scope.tables.len() }))
    }

    /// Binds a query that is being merged; `None` when its select list has subqueries that depend on its rows.
    fn merged_body(
        &mut self,
        (query, select): (&Query, &Select),
        view: Option<&View>,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Option<Body>> {
        let tree = match &select.from {
            Some(from) => self.from(from, scope, sources)?,
            None => return Err(SqlError::new(1096, "No tables used")),
        };
        let inner = scope.pending.take();
        let mut block = self.block(select, Around { order: &query.order, ..Around::default() }, scope)?;
        if query.order.is_empty() && scope.names.len() == 1 {
            block.order = inner.order;
        }
        if !block.post_applies.is_empty() {
            return Ok(None);
        }
        let own = block.conditions;
        let checks = match view.map(|view| view.check_option) {
            None | Some(ViewCheck::None) => inner.checks,
            Some(ViewCheck::Local) => [inner.checks, joined(&tree), own.clone()].concat(),
            Some(ViewCheck::Cascaded) => [inner.conditions.clone(), joined(&tree), own.clone()].concat(),
        };
        let pending = Pending {
            conditions: [inner.conditions, own].concat(),
            applies: inner.applies.into_iter().chain(block.where_applies).collect(),
            checks,
            order: block.order,
        };
        Ok(Some((tree, block.items, pending)))
    }

    /// Has all columns be NULL where those of the tables are; `None` if no column tells that.
    fn with_nulls(
        &self,
        body: Option<Body>,
        width: usize,
        scope: &Scope<'_>,
        sources: &[Source],
    ) -> SqlResult<Option<Body>> {
        let Some((tree, mut items, pending)) = body else { return Ok(None) };
        for (expr, _) in &mut items {
            if matches!(expr, Expr::Column { index, .. } if *index >= width) {
                continue;
            }
            let Some(witness) = never_null(&tree, scope, sources) else { return Ok(None) };
            let exists = expr::is_null(witness, Negation::Negated);
            *expr = expr::case(None, vec![(exists, expr.clone())], None, self.env.bind)?;
        }
        Ok(Some((tree, items, pending)))
    }

    /// Whether derived tables and common tables are merged: not where the tables that they read are changed.
    pub(super) fn merges_derived(&self) -> bool {
        !self.is_changing
    }
}

/// A column that is not NULL in any row of a join.
fn never_null(tree: &Tree, scope: &Scope<'_>, sources: &[Source]) -> Option<Expr> {
    match tree {
        Tree::Leaf(number) => {
            let Source::Stored { info, .. } = &sources[*number] else { return None };
            let position = info.table.columns.iter().position(|column| !column.nullable)?;
            let column = &info.table.columns[position];
            Some(expr::column(scope.tables[*number].offset + position, column.data_type.clone(), false))
        }
        Tree::Join { left, kind: JoinKind::Left, .. } => never_null(left, scope, sources),
        Tree::Join { left, right, .. } => {
            never_null(left, scope, sources).or_else(|| never_null(right, scope, sources))
        }
    }
}

/// Conditions of inner joins.
fn joined(tree: &Tree) -> Vec<Expr> {
    match tree {
        Tree::Leaf(_) => Vec::new(),
        Tree::Join { left, right, on, .. } => [joined(left), joined(right), on.clone()].concat(),
    }
}

/// The block of a query of which every row, as it is, is one of its tables' rows.
pub(crate) fn mergeable(query: &Query) -> Option<&Select> {
    let select = match &query.body {
        QueryBody::Select(select) => select,
        QueryBody::Nested(inner) if query.with.is_none() && query.order.is_empty() => {
            return mergeable(inner).filter(|_| is_bare(query));
        }
        _ => return None,
    };
    let ungrouped = select.group.is_empty() && select.having.is_none() && !select.distinct && !select.rollup;
    let plain = !select.calc_found_rows && !select.straight_join && select.windows.is_empty();
    let items = select.items.iter().filter_map(|item| match item {
        SelectItem::Wildcard(_) => None,
        SelectItem::Expr { expr, .. } => Some(expr),
    });
    let exprs = items.chain(query.order.iter().map(|item| &item.expr));
    let whole = is_bare(query) && select.from.is_some() && ungrouped && plain;
    (whole && exprs.into_iter().all(is_of_one_row)).then_some(select)
}

fn is_bare(query: &Query) -> bool {
    query.limit.is_none() && query.locking.is_none() && query.into.is_none()
}

/// Whether an expression needs nothing but one row: no aggregates, window functions, assignments. (Subqueries may, or may
/// not.)
fn is_of_one_row(expr: &AstExpr) -> bool {
    let alone = match expr {
        AstExpr::Function(call) => {
            call.over.is_none() && call.name != "GROUPING" && !aggregate::is_aggregate(&call.name)
        }
        AstExpr::AssignVariable(..) => false,
        _ => true,
    };
    let mut all = alone;
    expr.for_each_child(&mut |child| all &= is_of_one_row(child));
    all
}

fn table_count(from: &TableRef) -> usize {
    match from {
        TableRef::Join(join) => table_count(&join.left) + table_count(&join.right),
        _ => 1,
    }
}
