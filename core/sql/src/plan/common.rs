//! Common tables: each is bound once, and computed once for the statement when it may be read more than once.

use std::sync::Arc;

use aquifer_types::SqlResult;

use crate::ast::{AstExpr, JoinCondition, Query, QueryBody, Select, SelectItem, TableRef};
use crate::plan::binder::{Binder, OutColumn};
use crate::plan::from::{Source, Tree, push_merged};
use crate::plan::node::QueryPlan;
use crate::plan::recursive::push_work;
use crate::plan::scope::{Scope, same_name};

/// A common table that is bound already.
#[derive(Clone)]
pub(crate) struct BoundCommon {
    pub plan: Arc<QueryPlan>,
    pub columns: Arc<[OutColumn]>,
    /// Where its rows are kept, if they are.
    pub kept: Option<usize>,
}

impl Binder<'_> {
    /// A reference to a common table, by its number among those in scope.
    pub(crate) fn common_table(
        &mut self,
        number: usize,
        alias: Option<&str>,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        let definition = self.common[number].clone();
        let alias = alias.unwrap_or(&definition.table.name);
        if let Some(work) = &definition.work {
            return push_work(work, alias, scope, sources);
        }
        let names = &definition.table.columns;
        if let Some(bound) = &definition.bound {
            return self.push_derived(bound, alias, names, scope, sources);
        }
        let once = definition.references <= 1 && scope.parent.is_none();
        if !definition.recursive && once && self.merges_derived() {
            let hidden = self.common.split_off(definition.visible);
            let merged = self.merge(&definition.table.query, None, scope, sources);
            self.common.truncate(definition.visible);
            self.common.extend(hidden);
            if let Some(merged) = merged? {
                return push_merged(merged, alias, names, scope);
            }
        }
        let parent = definition.depth.and_then(|depth| scope.around(depth));
        let was_correlated = parent.is_some_and(|parent| parent.correlated.replace(false));
        let bound = if definition.recursive {
            self.recursive(&definition, parent)?
        } else {
            let hidden = self.common.split_off(definition.visible);
            let bound = self.query(&definition.table.query, parent);
            self.common.truncate(definition.visible);
            self.common.extend(hidden);
            bound?
        };
        let correlated = parent.is_some_and(|parent| parent.correlated.get());
        if let Some(parent) = parent {
            parent.correlated.set(correlated || was_correlated);
            if correlated {
                scope.correlate_up_to(parent.depth());
            }
        }
        // Within a recursive part a common table may change from one iteration to the next.
        // One that takes something from a block outside is computed anew for each of its rows.
        let fixed = !correlated && self.common.iter().all(|common| common.work.is_none());
        let read_again = definition.references > 1 || scope.parent.is_some();
        let kept = (fixed && read_again).then(|| self.allocate_slot());
        let bound = BoundCommon { plan: Arc::new(bound.plan), columns: bound.columns.into(), kept };
        if fixed {
            self.common[number].bound = Some(bound.clone());
        }
        self.push_derived(&bound, alias, names, scope, sources)
    }
}

/// How often a query names a table, subqueries and common tables included.
pub(crate) fn references(query: &Query, name: &str) -> usize {
    let with = query.with.iter().flat_map(|with| &with.tables).map(|table| references(&table.query, name));
    let order = query.order.iter().map(|item| in_expr(&item.expr, name));
    with.sum::<usize>() + in_body(&query.body, name) + order.sum::<usize>()
}

fn in_body(body: &QueryBody, name: &str) -> usize {
    match body {
        QueryBody::Select(select) => in_select(select, name),
        QueryBody::Values(rows) => rows.iter().flatten().map(|expr| in_expr(expr, name)).sum(),
        QueryBody::Nested(query) => references(query, name),
        QueryBody::Set { left, right, .. } => in_body(left, name) + in_body(right, name),
    }
}

fn in_select(select: &Select, name: &str) -> usize {
    let items = select.items.iter().map(|item| match item {
        SelectItem::Expr { expr, .. } => in_expr(expr, name),
        SelectItem::Wildcard(_) => 0,
    });
    let conditions = select.filter.iter().chain(&select.group).chain(&select.having);
    let from = select.from.as_ref().map_or(0, |from| in_table(from, name));
    items.sum::<usize>() + conditions.map(|expr| in_expr(expr, name)).sum::<usize>() + from
}

fn in_table(table: &TableRef, name: &str) -> usize {
    match table {
        TableRef::Table { name: found, .. } => {
            usize::from(found.schema.is_none() && same_name(&found.name, name))
        }
        TableRef::Derived { query, .. } => references(query, name),
        TableRef::JsonTable(table) => in_expr(&table.document, name),
        TableRef::Join(join) => {
            let on = match &join.condition {
                JoinCondition::On(expr) => in_expr(expr, name),
                _ => 0,
            };
            in_table(&join.left, name) + in_table(&join.right, name) + on
        }
    }
}

fn in_expr(expr: &AstExpr, name: &str) -> usize {
    let mut count = match expr {
        AstExpr::Subquery(query)
        | AstExpr::Exists(query, _)
        | AstExpr::InSubquery(_, query, _)
        | AstExpr::Quantified(_, _, _, query) => references(query, name),
        _ => 0,
    };
    expr.for_each_child(&mut |child| count += in_expr(child, name));
    count
}
