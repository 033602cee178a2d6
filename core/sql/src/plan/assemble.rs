//! One SELECT from its bound parts to operators: FROM and WHERE, grouping, HAVING, window functions, the select
//! list, DISTINCT, ORDER BY and LIMIT.

use std::cell::RefCell;

use aquifer_types::{SqlError, SqlMode, SqlResult};

use crate::ast::{AstExpr, JoinKind, Select, SelectItem};
use crate::expr::aggregate::Aggregate;
use crate::expr::{self, Expr};
use crate::plan::before_group::EarlyResult;
use crate::plan::bind_expr::AGGREGATE_BASE;
use crate::plan::binder::{Binder, BoundQuery, OutColumn};
use crate::plan::compact::{compact, visit_exprs};
use crate::plan::disjunction::implied;
use crate::plan::from::{From, Tree};
use crate::plan::group::{Grouping, determined, grouped};
use crate::plan::join_order::{FromPlanner, Pushed, filtered};
use crate::plan::node::{AggregateNode, Apply, LimitNode, LockSpec, Node, QueryPlan, SortKey};
use crate::plan::query::finish_rows;
use crate::plan::scope::Scope;
use crate::plan::select::Block;
use crate::plan::sort_type::SortType;
use crate::plan::window::{WINDOW_BASE, WindowCall, apply_early, window_node};
use crate::result::ColumnFlags;

/// What is computed above FROM and WHERE.
struct Upper {
    output: Vec<Expr>,
    having: Vec<Expr>,
    order: Vec<(Expr, bool)>,
    applies: Vec<Apply>,
    windows: Vec<WindowCall>,
}

impl Upper {
    /// Every expression over the row of the block.
    fn users(&mut self) -> Vec<&mut Expr> {
        let order = self.order.iter_mut().map(|(expr, _)| expr);
        let windows = self.windows.iter_mut().flat_map(WindowCall::exprs_mut);
        self.output.iter_mut().chain(&mut self.having).chain(order).chain(windows).collect()
    }

    /// Takes out the subqueries that need no window function.
    fn take_early(&mut self) -> Vec<Apply> {
        let (late, early) = std::mem::take(&mut self.applies).into_iter().partition(|apply| {
            let mut found = false;
            mark_apply(apply, &mut |e| found |= e.columns().iter().any(|index| *index >= WINDOW_BASE));
            found
        });
        self.applies = late;
        early
    }
}

/// What of FROM and WHERE the upper part needs to know.
struct Lower {
    node: Node,
    /// Whether rows come in the wanted order.
    ordered: bool,
    /// Slots whose value the keys of GROUP BY determine.
    determined: Vec<bool>,
}

impl Binder<'_> {
    pub(super) fn assemble(
        &mut self,
        select: &Select,
        block: Block,
        from: Option<From>,
        scope: &Scope<'_>,
        locks: &[Option<LockSpec>],
        limit: Option<LimitNode>,
    ) -> SqlResult<BoundQuery> {
        let used = used_slots(&block, from.as_ref(), scope.width);
        let grouping = !block.groups.is_empty() || !block.aggregates.is_empty();
        let Block { items, where_applies, mut conditions, post_applies, groups, having, order, .. } = block;
        if scope.tables.len() > 1 {
            let results: Vec<usize> = where_applies.iter().map(|apply| apply.result).collect();
            conditions.extend(implied(&conditions, &results, &|slot| scope.table_of(slot), self.env.bind)?);
        }
        let edge = if having.is_empty() && !select.rollup {
            min_max_order(select, &block.aggregates, &groups, scope)
        } else {
            None
        };
        let scan_order: Vec<(usize, bool)> = match &edge {
            Some(edge) => vec![*edge],
            None if grouping || select.distinct => Vec::new(),
            None => plain_order(&order).unwrap_or_default(),
        };
        let (tree, sources) = from.map_or_else(|| (None, Vec::new()), |from| (Some(from.tree), from.sources));
        let knowledge = self.knowledge();
        let planner = FromPlanner {
            tables: &scope.tables,
            sources: &sources,
            used: &used,
            locks,
            order: if scope.tables.len() == 1 { &scan_order } else { &[] },
            limited: limit.is_some() || edge.is_some(),
            first_rows: limit.is_some() && order.is_empty() && !grouping && !select.distinct,
            straight: select.straight_join,
            key_slots: &[],
            knowledge: &knowledge,
            pushed: RefCell::default(),
        };
        let lower = lower_part(&planner, tree, (conditions, where_applies), &groups, scope)?;
        let output: Vec<Expr> = items.iter().map(|(expr, _)| expr.clone()).collect();
        let mut columns: Vec<OutColumn> = items.into_iter().map(|(_, column)| column).collect();
        if select.rollup {
            for column in &mut columns {
                column.ty.nullable = true;
                column.flags.0 &= !ColumnFlags::NOT_NULL;
            }
        }
        let in_order = lower.ordered && !grouping && block.windows.is_empty();
        let mut upper = Upper { output, having, order, applies: post_applies, windows: block.windows };
        let (mut node, mut width) = (lower.node, scope.width);
        if grouping {
            if let Some(edge) = edge.filter(|_| lower.ordered) {
                node = edge_scan(node, edge, scope);
            }
            let applies = block.aggregate_applies;
            let grouping = Grouping {
                groups: &groups,
                aggregates: block.aggregates.len(),
                carried: Vec::new(),
                strict: self.env.bind.sql_mode.contains(SqlMode::ONLY_FULL_GROUP_BY),
                rollup: select.rollup,
                determined: &lower.determined,
                early: &EarlyResult::all(&applies),
                scope,
            };
            (node, width) = group_node((node, applies), grouping, block.aggregates, &mut upper)?;
        }
        let slots = {
            let mut late = std::mem::take(&mut upper.applies);
            let mut above = if grouping { Vec::new() } else { upper.users() };
            if !grouping {
                late.iter_mut().for_each(|apply| above.extend(apply_exprs(apply)));
            }
            let slots = compact(&mut node, &mut above, scope.width);
            visit_exprs(&mut node, &mut |expr| self.hoist(expr));
            upper.applies = late;
            slots
        };
        if !grouping {
            width = slots.len();
        }
        (node, width) = having_node(node, width, &mut upper);
        if !upper.windows.is_empty() {
            let early = upper.take_early();
            (node, width) = apply_early(node, width, early, &mut upper.users());
            let calls = std::mem::take(&mut upper.windows);
            let mut late: Vec<Apply> = std::mem::take(&mut upper.applies);
            let mut users = upper.users();
            late.iter_mut().for_each(|apply| users.extend(apply_exprs(apply)));
            (node, _) = window_node(node, width, calls, &mut users);
            upper.applies = late;
        }
        self.finish_block(select, node, upper, in_order, (columns, scope, &slots), limit)
    }

    /// The select list, DISTINCT, ORDER BY and LIMIT.
    fn finish_block(
        &self,
        select: &Select,
        node: Node,
        upper: Upper,
        in_order: bool,
        (columns, scope, slots): (Vec<OutColumn>, &Scope<'_>, &[usize]),
        limit: Option<LimitNode>,
    ) -> SqlResult<BoundQuery> {
        let Upper { mut output, order, applies, .. } = upper;
        let visible = output.len();
        let mut keys = Vec::new();
        for (number, (expr, descending)) in order.into_iter().enumerate().filter(|_| !in_order) {
            if expr.is_constant() && !mentions_any_param(&expr, self.env.param_types.len()) {
                continue;
            }
            let column = match output.iter().position(|known| *known == expr) {
                Some(column) => column,
                None => {
                    if select.distinct && self.env.bind.sql_mode.contains(SqlMode::ONLY_FULL_GROUP_BY) {
                        return Err(not_selected(number + 1, &expr, scope, slots));
                    }
                    output.push(expr.clone());
                    output.len() - 1
                }
            };
            keys.push(SortKey { column, ty: SortType::of(expr.data_type()), descending });
        }
        let width = output.len();
        let distinct_types: Vec<SortType> =
            output[..visible].iter().map(|expr| SortType::shown(expr.data_type())).collect();
        let mut node = Node::Project { input: Box::new(node), applies, exprs: output };
        if select.distinct {
            node = Node::Distinct { input: Box::new(node), visible, keys: distinct_types };
        }
        node = finish_rows(node, keys, limit);
        if width > visible {
            node = Node::Cut { input: Box::new(node), width: visible };
        }
        Ok(BoundQuery { plan: QueryPlan { node, width: visible, row_width: slots.len() }, columns })
    }
}

/// Error 3065: DISTINCT leaves no single value to order by.
fn not_selected(number: usize, expr: &Expr, scope: &Scope<'_>, slots: &[usize]) -> SqlError {
    let slot = expr.columns().first().and_then(|slot| slots.get(*slot).copied());
    let name = slot.and_then(|slot| scope.slot_name(slot));
    let text = format!(
        "Expression #{number} of ORDER BY clause is not in SELECT list, references column '{}' which is not in SELECT \
         list; this is incompatible with DISTINCT",
        name.unwrap_or_default()
    );
    SqlError::new(3065, text)
}

/// FROM and WHERE.
fn lower_part(
    planner: &FromPlanner<'_>,
    tree: Option<Tree>,
    (mut conditions, where_applies): (Vec<Expr>, Vec<Apply>),
    groups: &[Expr],
    scope: &Scope<'_>,
) -> SqlResult<Lower> {
    let mut late = Vec::new();
    let determined =
        if groups.is_empty() { Vec::new() } else { determined(groups, &conditions, tree.as_ref(), scope) };
    if !where_applies.is_empty() {
        let results: Vec<usize> = where_applies.iter().map(|apply| apply.result).collect();
        (late, conditions) = conditions.into_iter().partition(|c| mentions(c, &results));
    }
    let where_applies = match &tree {
        Some(tree) => push_late(planner, tree, &mut late, where_applies, scope),
        None => where_applies,
    };
    let (mut node, ordered) = match tree {
        None => (Node::Unit, false),
        Some(tree) => {
            let plan = planner.plan(tree, &mut conditions)?;
            (plan.node, plan.ordered && !planner.order.is_empty())
        }
    };
    node = filtered(node, conditions);
    node = late_filters(node, where_applies, late);
    Ok(Lower { node, ordered, determined })
}

/// Hands the conditions over one table whose subqueries run once to that table, where it is no part of an outer join; what is
/// left stays in `late`, and its subqueries are given back.
fn push_late(
    planner: &FromPlanner<'_>,
    tree: &Tree,
    late: &mut Vec<Expr>,
    mut applies: Vec<Apply>,
    scope: &Scope<'_>,
) -> Vec<Apply> {
    let mut plain = Vec::new();
    inner_leaves(tree, &mut plain);
    if plain.len() < 2 {
        return applies;
    }
    late.retain(|condition| {
        let (own, others) = needed_applies(condition, std::mem::take(&mut applies));
        let mut tables: Vec<Option<usize>> = Vec::new();
        let mut add = |expr: &Expr| tables.extend(expr.columns().iter().map(|slot| scope.table_of(*slot)));
        add(condition);
        own.iter().for_each(|apply| mark_apply(apply, &mut add));
        tables.dedup();
        match &tables[..] {
            [Some(table)] if plain.contains(table) && own.iter().all(|apply| !apply.correlated) => {
                let pushed = Pushed { table: *table, condition: condition.clone(), applies: own };
                planner.pushed.borrow_mut().push(pushed);
                applies = others;
                false
            }
            _ => {
                applies = own.into_iter().chain(others).collect();
                true
            }
        }
    });
    applies
}

/// Tables that are joined by inner joins alone.
fn inner_leaves(tree: &Tree, out: &mut Vec<usize>) {
    match tree {
        Tree::Leaf(table) => out.push(*table),
        Tree::Join { left, kind: JoinKind::Left, .. } => inner_leaves(left, out),
        Tree::Join { left, right, .. } => {
            inner_leaves(left, out);
            inner_leaves(right, out);
        }
    }
}

/// Conditions with subqueries, each by itself, so that a row that fails one costs no further subquery: first those that
/// run once for all rows.
fn late_filters(mut node: Node, mut applies: Vec<Apply>, mut late: Vec<Expr>) -> Node {
    late.sort_by_key(|condition| {
        applies.iter().any(|apply| apply.correlated && mentions(condition, &[apply.result]))
    });
    for condition in late {
        let (own, others) = needed_applies(&condition, applies);
        applies = others;
        node = Node::Filter { input: Box::new(node), applies: own, conditions: vec![condition] };
    }
    node
}

/// The subqueries that a condition needs, those that others of them need included, in their order; and the rest.
fn needed_applies(condition: &Expr, applies: Vec<Apply>) -> (Vec<Apply>, Vec<Apply>) {
    let mut needed: Vec<bool> = applies.iter().map(|apply| mentions(condition, &[apply.result])).collect();
    // What a subquery needs comes before it.
    for number in (0..applies.len()).rev() {
        if needed[number] {
            for before in 0..number {
                let result = [applies[before].result];
                mark_apply(&applies[number], &mut |expr| needed[before] |= mentions(expr, &result));
            }
        }
    }
    let mut needed = needed.into_iter();
    applies.into_iter().partition(|_| needed.next() == Some(true))
}

/// Grouping; everything above is rewritten to its rows, whose width is given.
fn group_node(
    (node, applies): (Node, Vec<Apply>),
    mut grouping: Grouping<'_>,
    aggregates: Vec<Aggregate>,
    upper: &mut Upper,
) -> SqlResult<(Node, usize)> {
    let asked = aggregates.iter().map(|aggregate| grouping.keys_of(aggregate)).collect::<SqlResult<_>>()?;
    let mut windows: Vec<&mut Expr> = upper.windows.iter_mut().flat_map(WindowCall::exprs_mut).collect();
    grouped(
        &mut grouping,
        &mut upper.output,
        &mut upper.having,
        &mut upper.order,
        &mut upper.applies,
        &mut windows,
    )?;
    let keys = grouping.groups.to_vec();
    let key_types = keys.iter().map(|group| SortType::shown(group.data_type())).collect();
    let width = keys.len() + aggregates.len() + grouping.carried.len();
    let same = |aggregate: &Aggregate| aggregates.iter().position(|first| first.sums_as(aggregate));
    let same_sums =
        aggregates.iter().enumerate().map(|(number, each)| same(each).unwrap_or(number)).collect();
    let node = Node::Aggregate(Box::new(AggregateNode {
        same_sums,
        input: node,
        rollup: grouping.rollup,
        grouping: asked,
        applies,
        always_one: keys.is_empty(),
        keys,
        key_types,
        aggregates,
        carried: grouping.carried,
    }));
    Ok((node, width))
}

/// HAVING; its subqueries are computed for each row and stay usable above it.
fn having_node(node: Node, width: usize, upper: &mut Upper) -> (Node, usize) {
    if upper.having.is_empty() {
        return (node, width);
    }
    let results: Vec<usize> = upper.applies.iter().map(|apply| apply.result).collect();
    let (mut node, mut width) = (node, width);
    if upper.having.iter().any(|condition| mentions(condition, &results)) {
        let early = upper.take_early();
        (node, width) = apply_early(node, width, early, &mut upper.users());
    }
    let conditions = std::mem::take(&mut upper.having);
    (Node::Filter { input: Box::new(node), applies: Vec::new(), conditions }, width)
}

fn apply_exprs(apply: &mut Apply) -> Vec<&mut Expr> {
    let mut exprs: Vec<&mut Expr> = apply.outer.iter_mut().map(|(_, expr)| expr).collect();
    if let super::node::ApplyKind::Compare { operands, .. } = &mut apply.kind {
        exprs.extend(operands);
    }
    exprs
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
pub(super) fn min_max_order(
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
fn used_slots(block: &Block, from: Option<&From>, width: usize) -> Vec<bool> {
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
    block.windows.iter().flat_map(WindowCall::exprs).for_each(&mut mark);
    let applies = block.where_applies.iter().chain(&block.post_applies).chain(&block.aggregate_applies);
    applies.for_each(|apply| mark_apply(apply, &mut mark));
    if let Some(from) = from {
        mark_tree(&from.tree, &mut mark);
        from.sources.iter().flat_map(|source| source.outer_exprs()).for_each(&mut mark);
    }
    used
}

pub(super) fn mark_apply(apply: &Apply, mark: &mut dyn FnMut(&Expr)) {
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
