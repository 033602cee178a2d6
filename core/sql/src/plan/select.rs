//! One SELECT: its steps from FROM to LIMIT.

use std::sync::Arc;

use aquifer_types::{SqlError, SqlMode, SqlResult};

use crate::ast::{AstExpr, ColumnRef, Literal, OrderItem, Select, SelectItem, TableName};
use crate::expr::aggregate::Aggregate;
use crate::expr::{self, Expr};
use crate::plan::bind_expr::{AGGREGATE_BASE, ExprContext};
use crate::plan::binder::{Binder, BoundQuery, OutColumn};
use crate::plan::from::{From, Tree, conjuncts};
use crate::plan::group::{Grouping, grouped};
use crate::plan::join_order::{FromPlanner, filtered};
use crate::plan::node::{AggregateNode, Apply, Node, QueryPlan, SortKey};
use crate::plan::query::{Around, computed, finish_rows};
use crate::plan::scope::{Scope, matches_table};
use crate::plan::sort_type::SortType;

/// A block after names are resolved.
struct Block {
    items: Vec<(Expr, OutColumn)>,
    where_applies: Vec<Apply>,
    conditions: Vec<Expr>,
    post_applies: Vec<Apply>,
    groups: Vec<Expr>,
    having: Vec<Expr>,
    /// Order: expression, descending.
    order: Vec<(Expr, bool)>,
    aggregates: Vec<Aggregate>,
    aggregate_applies: Vec<Apply>,
}

impl<'a> Binder<'a> {
    pub(crate) fn select(
        &mut self,
        select: &Select,
        around: Around<'_>,
        parent: Option<&Scope<'_>>,
    ) -> SqlResult<BoundQuery> {
        if select.rollup {
            return Err(SqlError::not_supported("WITH ROLLUP"));
        }
        if select.calc_found_rows && around.limit.is_some() {
            self.calc_found_rows = true;
        }
        let mut scope = Scope::new(parent);
        let mut sources = Vec::new();
        let tree = match &select.from {
            Some(from) => Some(self.from(from, &mut scope, &mut sources)?),
            None => None,
        };
        let block = self.block(select, around.order, &scope)?;
        let lock = self.lock_spec(around.locking);
        let of = around.locking.map_or(&[][..], |locking| &locking.of);
        for name in of {
            if !scope.tables.iter().any(|table| *table.alias == **name) {
                return Err(SqlError::new(
                    3568,
                    format!("Unresolved table name `{name}` in locking clause."),
                ));
            }
        }
        let locks: Vec<_> = scope
            .tables
            .iter()
            .map(|table| lock.filter(|_| of.is_empty() || of.iter().any(|name| *table.alias == **name)))
            .collect();
        let limit = around.limit.map(|limit| self.limit(limit)).transpose()?;
        let from = tree.map(|tree| From { tree, sources });
        self.assemble(select, block, from, &scope, &locks, limit)
    }

    fn block(&mut self, select: &Select, order: &[OrderItem], scope: &Scope<'_>) -> SqlResult<Block> {
        let mut where_applies = Vec::new();
        let mut conditions = Vec::new();
        if let Some(filter) = &select.filter {
            let mut cx = ExprContext::plain("where clause", &mut where_applies);
            let bound = self.expr(filter, scope, &mut cx)?;
            conjuncts(bound, &mut conditions);
        }
        let mut aggregates = Vec::new();
        let mut post_applies = Vec::new();
        let items = self.items(&select.items, scope, &mut aggregates, &mut post_applies)?;
        let aliases: Vec<(String, Expr)> =
            items.iter().map(|(expr, column)| (column.name.to_string(), expr.clone())).collect();
        let mut aggregate_applies = Vec::new();
        let mut groups = Vec::new();
        for item in &select.group {
            groups.push(self.group_item(item, scope, &items, &aliases, &mut aggregate_applies)?);
        }
        let mut having = Vec::new();
        if let Some(filter) = &select.having {
            let mut cx = ExprContext {
                aggregates: Some(&mut aggregates),
                aliases: &aliases,
                ..ExprContext::plain("having clause", &mut post_applies)
            };
            let bound = self.expr(filter, scope, &mut cx)?;
            conjuncts(bound, &mut having);
        }
        let mut bound_order = Vec::new();
        for item in order {
            let mut cx = ExprContext {
                aggregates: Some(&mut aggregates),
                aliases: &aliases,
                alias_first: true,
                ..ExprContext::plain("order clause", &mut post_applies)
            };
            let expr = match position(&item.expr, items.len(), "order clause")? {
                Some(index) => items[index].0.clone(),
                None => self.expr(&item.expr, scope, &mut cx)?,
            };
            bound_order.push((expr, item.descending));
        }
        Ok(Block {
            items,
            where_applies,
            conditions,
            post_applies,
            groups,
            having,
            order: bound_order,
            aggregates,
            aggregate_applies,
        })
    }

    fn group_item(
        &mut self,
        item: &AstExpr,
        scope: &Scope<'_>,
        items: &[(Expr, OutColumn)],
        aliases: &[(String, Expr)],
        applies: &mut Vec<Apply>,
    ) -> SqlResult<Expr> {
        let expr = match position(item, items.len(), "group statement")? {
            Some(index) => items[index].0.clone(),
            None => {
                let mut cx = ExprContext { aliases, ..ExprContext::plain("group statement", applies) };
                self.expr(item, scope, &mut cx)?
            }
        };
        let mut aggregate = false;
        expr.walk(&mut |node| {
            aggregate |= matches!(node, Expr::Column { index, .. } if *index >= AGGREGATE_BASE)
        });
        if aggregate {
            return Err(SqlError::new(1056, "Can't group on an aggregate"));
        }
        Ok(expr)
    }

    fn items(
        &mut self,
        items: &[SelectItem],
        scope: &Scope<'_>,
        aggregates: &mut Vec<Aggregate>,
        applies: &mut Vec<Apply>,
    ) -> SqlResult<Vec<(Expr, OutColumn)>> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::Wildcard(table) => wildcard(table.as_ref(), scope, &mut out)?,
                SelectItem::Expr { expr: ast, alias, text } => {
                    let mut cx = ExprContext {
                        aggregates: Some(aggregates),
                        ..ExprContext::plain("field list", applies)
                    };
                    let bound = self.expr(ast, scope, &mut cx)?;
                    let column = out_column(&bound, ast, alias.as_deref(), text, scope);
                    out.push((bound, column));
                }
            }
        }
        Ok(out)
    }

    fn assemble(
        &mut self,
        select: &Select,
        block: Block,
        from: Option<From>,
        scope: &Scope<'_>,
        locks: &[Option<super::node::LockSpec>],
        limit: Option<super::node::LimitNode>,
    ) -> SqlResult<BoundQuery> {
        let used = used_slots(&block, from.as_ref().map(|from| &from.tree), scope.width);
        let grouping = !block.groups.is_empty() || !block.aggregates.is_empty();
        let Block {
            items,
            where_applies,
            mut conditions,
            post_applies,
            groups,
            having,
            order,
            aggregates,
            aggregate_applies,
        } = block;
        let mut late = Vec::new();
        if !where_applies.is_empty() {
            let results: Vec<usize> = where_applies.iter().map(|apply| apply.result).collect();
            let (with, without): (Vec<Expr>, Vec<Expr>) =
                conditions.into_iter().partition(|c| mentions(c, &results));
            late = with;
            conditions = without;
        }
        let edge = if having.is_empty() { min_max_order(select, &aggregates, &groups, scope) } else { None };
        let scan_order: Vec<(usize, bool)> = match (&edge, grouping || select.distinct) {
            (Some(edge), _) => vec![*edge],
            (None, true) => Vec::new(),
            (None, false) => plain_order(&order).unwrap_or_default(),
        };
        let (mut node, ordered) = match from {
            None => (Node::Unit, false),
            Some(from) => {
                let single = from.sources.len() == 1;
                let planner = FromPlanner {
                    tables: &scope.tables,
                    sources: &from.sources,
                    used: &used,
                    locks,
                    order: if single { &scan_order } else { &[] },
                    limited: limit.is_some() || edge.is_some(),
                    straight: select.straight_join,
                };
                let plan = planner.plan(from.tree, &mut conditions)?;
                (plan.node, plan.ordered && single && !scan_order.is_empty())
            }
        };
        node = filtered(node, conditions);
        if !late.is_empty() {
            node = Node::Filter { input: Box::new(node), applies: where_applies, conditions: late };
        }
        let mut output: Vec<Expr> = items.iter().map(|(expr, _)| expr.clone()).collect();
        let columns: Vec<OutColumn> = items.into_iter().map(|(_, column)| column).collect();
        let mut order = order;
        let mut having = having;
        let mut post_applies = post_applies;
        let mut in_order = ordered && !grouping;
        if grouping {
            if let Some(limited) = edge.filter(|_| ordered) {
                node = edge_scan(node, limited, scope);
            }
            let full = self.env.bind.sql_mode.contains(SqlMode::ONLY_FULL_GROUP_BY);
            let mut grouping = Grouping {
                groups: &groups,
                aggregates: aggregates.len(),
                carried: Vec::new(),
                strict: full,
                scope,
            };
            grouped(&mut grouping, &mut output, &mut having, &mut order, &mut post_applies)?;
            let carried = grouping.carried;
            let key_types = groups.iter().map(|group| SortType::of(group.data_type())).collect();
            node = Node::Aggregate(Box::new(AggregateNode {
                input: node,
                applies: aggregate_applies,
                always_one: groups.is_empty(),
                keys: groups,
                key_types,
                aggregates,
                carried,
            }));
            in_order = false;
        }
        if !having.is_empty() {
            let results: Vec<usize> = post_applies.iter().map(|apply| apply.result).collect();
            let needs = having.iter().any(|condition| mentions(condition, &results));
            let applies = if needs { std::mem::take(&mut post_applies) } else { Vec::new() };
            let repeats =
                needs && output.iter().chain(order.iter().map(|(e, _)| e)).any(|e| mentions(e, &results));
            if repeats {
                return Err(SqlError::not_supported("one subquery in HAVING and in the select list"));
            }
            node = Node::Filter { input: Box::new(node), applies, conditions: having };
        }
        let visible = output.len();
        let mut keys = Vec::new();
        if !in_order {
            for (expr, descending) in order {
                if expr.is_constant() && !mentions_any_param(&expr, self.env.param_types.len()) {
                    continue;
                }
                let column = match output.iter().position(|known| *known == expr) {
                    Some(column) => column,
                    None => {
                        if select.distinct && self.env.bind.sql_mode.contains(SqlMode::ONLY_FULL_GROUP_BY) {
                            return Err(SqlError::new(
                                3065,
                                "Expression #1 of ORDER BY clause is not in SELECT list, references column which is \
                                 not in SELECT list; this is incompatible with DISTINCT",
                            ));
                        }
                        output.push(expr.clone());
                        output.len() - 1
                    }
                };
                keys.push(SortKey { column, ty: SortType::of(expr.data_type()), descending });
            }
        }
        let width = output.len();
        let distinct_types: Vec<SortType> =
            output[..visible].iter().map(|expr| SortType::of(expr.data_type())).collect();
        node = Node::Project { input: Box::new(node), applies: post_applies, exprs: output };
        if select.distinct {
            node = Node::Distinct { input: Box::new(node), visible, keys: distinct_types };
        }
        node = finish_rows(node, keys, limit);
        if width > visible {
            node = Node::Cut { input: Box::new(node), width: visible };
        }
        Ok(BoundQuery { plan: QueryPlan { node, width: visible, row_width: scope.width }, columns })
    }
}

/// `*` and `t.*`.
fn wildcard(name: Option<&TableName>, scope: &Scope<'_>, out: &mut Vec<(Expr, OutColumn)>) -> SqlResult<()> {
    let before = out.len();
    let mut matched = false;
    for table in &scope.tables {
        if let Some(name) = name {
            let reference = ColumnRef {
                schema: name.schema.clone(),
                table: Some(name.name.clone()),
                name: String::new(),
            };
            if !matches_table(table, &reference) {
                continue;
            }
        }
        matched = true;
        for (position, column) in table.columns.iter().enumerate() {
            if column.invisible || name.is_none() && column.merged {
                continue;
            }
            let expr = expr::column(table.offset + position, column.data_type.clone(), column.nullable);
            out.push((expr.clone(), table_column(&expr, table, position, &column.name)));
        }
    }
    match name {
        Some(name) if !matched => Err(SqlError::new(1051, format!("Unknown table '{}'", name.name))),
        None if out.len() == before => Err(SqlError::new(1096, "No tables used")),
        _ => Ok(()),
    }
}

/// A result column that shows a table's column.
fn table_column(
    expr: &Expr,
    table: &super::scope::ScopeTable,
    position: usize,
    name: &Arc<str>,
) -> OutColumn {
    let column = &table.columns[position];
    OutColumn {
        name: name.clone(),
        ty: expr.expr_type().clone(),
        schema: column.schema.clone(),
        table: table.alias.clone(),
        org_table: column.org_table.clone(),
        org_name: column.org_name.clone(),
        flags: column.flags,
    }
}

/// The result column of a select item.
fn out_column(bound: &Expr, ast: &AstExpr, alias: Option<&str>, text: &str, scope: &Scope<'_>) -> OutColumn {
    let name: Arc<str> = match (alias, ast) {
        (Some(alias), _) => Arc::from(alias),
        (None, AstExpr::Column(column)) => Arc::from(column.name.as_str()),
        (None, _) => Arc::from(text),
    };
    if let (AstExpr::Column(_), Expr::Column { index, .. }) = (ast, bound)
        && let Some(number) = scope.table_of(*index)
    {
        let table = &scope.tables[number];
        let position = index - table.offset;
        let name = if alias.is_some() { name } else { table.columns[position].name.clone() };
        return table_column(bound, table, position, &name);
    }
    computed(&name, bound.expr_type().clone())
}

/// A literal number in ORDER BY or GROUP BY is the position of a select item.
fn position(ast: &AstExpr, items: usize, clause: &str) -> SqlResult<Option<usize>> {
    let AstExpr::Literal(Literal::UInt(position)) = ast else { return Ok(None) };
    let index = usize::try_from(*position).ok().and_then(|p| p.checked_sub(1)).filter(|index| *index < items);
    match index {
        Some(index) => Ok(Some(index)),
        None => Err(SqlError::new(1054, format!("Unknown column '{position}' in '{clause}'"))),
    }
}

/// Whether an expression uses one of these parameters.
pub(crate) fn mentions(expr: &Expr, slots: &[usize]) -> bool {
    let mut found = false;
    expr.walk(&mut |node| found |= matches!(node, Expr::Param { index, .. } if slots.contains(index)));
    found
}

/// Whether an expression uses a parameter that is not the user's.
fn mentions_any_param(expr: &Expr, user: usize) -> bool {
    let mut found = false;
    expr.walk(&mut |node| found |= matches!(node, Expr::Param { index, .. } if *index >= user));
    found
}

/// ORDER BY as column positions, when it is columns only.
fn plain_order(order: &[(Expr, bool)]) -> Option<Vec<(usize, bool)>> {
    order
        .iter()
        .map(|(expr, descending)| match expr {
            Expr::Column { index, .. } if *index < AGGREGATE_BASE => Some((*index, *descending)),
            _ => None,
        })
        .collect()
}

/// For a lone MIN or MAX of a column: the order that brings the value first.
fn min_max_order(
    select: &Select,
    aggregates: &[Aggregate],
    groups: &[Expr],
    scope: &Scope<'_>,
) -> Option<(usize, bool)> {
    let ([aggregate], true, 1) = (aggregates, groups.is_empty(), scope.tables.len()) else { return None };
    let [SelectItem::Expr { expr: AstExpr::Function(call), .. }] = &*select.items else { return None };
    let max = match call.name.as_str() {
        "MAX" => true,
        "MIN" => false,
        _ => return None,
    };
    match &*aggregate.args {
        [Expr::Column { index, .. }] => Some((*index, max)),
        _ => None,
    }
}

/// Only the first row whose value is not NULL.
fn edge_scan(node: Node, edge: (usize, bool), scope: &Scope<'_>) -> Node {
    let table = &scope.tables[0];
    let column = &table.columns[edge.0 - table.offset];
    let value = expr::column(edge.0, column.data_type.clone(), column.nullable);
    let node = if column.nullable {
        filtered(node, vec![expr::is_null(value, expr::Negation::Negated)])
    } else {
        node
    };
    let limit = super::node::LimitNode { offset: None, count: Some(expr::int_literal(1)) };
    Node::Limit { input: Box::new(node), limit }
}

/// Which slots of the row any expression reads.
fn used_slots(block: &Block, tree: Option<&Tree>, width: usize) -> Vec<bool> {
    let mut used = vec![false; width];
    let mut mark = |expr: &Expr| {
        for index in expr.columns() {
            if let Some(slot) = used.get_mut(index) {
                *slot = true;
            }
        }
    };
    block.items.iter().for_each(|(expr, _)| mark(expr));
    block.conditions.iter().chain(&block.groups).chain(&block.having).for_each(&mut mark);
    block.order.iter().for_each(|(expr, _)| mark(expr));
    for aggregate in &block.aggregates {
        aggregate.args.iter().for_each(&mut mark);
        aggregate.order_by.iter().for_each(|(expr, _)| mark(expr));
    }
    let applies = block.where_applies.iter().chain(&block.post_applies).chain(&block.aggregate_applies);
    applies.for_each(|apply| mark_apply(apply, &mut mark));
    if let Some(tree) = tree {
        mark_tree(tree, &mut mark);
    }
    used
}

fn mark_apply(apply: &Apply, mark: &mut dyn FnMut(&Expr)) {
    apply.outer.iter().for_each(|(_, expr)| mark(expr));
    if let super::node::ApplyKind::Compare { operands, .. } = &apply.kind {
        operands.iter().for_each(mark);
    }
}

fn mark_tree(tree: &Tree, mark: &mut dyn FnMut(&Expr)) {
    if let Tree::Join { left, right, on, applies, .. } = tree {
        on.iter().for_each(&mut *mark);
        applies.iter().for_each(|apply| mark_apply(apply, mark));
        mark_tree(left, mark);
        mark_tree(right, mark);
    }
}
