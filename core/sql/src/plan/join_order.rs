//! The order of joins, and how each finds its rows.
//!
//! Inner joins are one list, from which the cheapest next table is taken again and again, given what is bound
//! before it; the right side of a left join comes when all tables of its left side are there. A table with an
//! index on what is bound is looked up for each outer row; else an equality makes a hash join; else its rows
//! are kept and tested one by one.

use std::ops::Range;
use std::sync::Arc;

use aquifer_types::SqlResult;

use crate::ast::JoinKind;
use crate::expr::{CompareOp, Expr};
use crate::plan::access::{Request, choose};
use crate::plan::assemble::mentions;
use crate::plan::from::{Source, Tree};
use crate::plan::node::{Apply, JoinMethod, JoinNode, JoinType, LockSpec, Node, Scan, VirtualScan};
use crate::plan::scope::ScopeTable;
use crate::plan::sort_type::SortType;

/// Something to be joined: a table or the right side of a left join.
struct Item {
    tree: Tree,
    /// ON of a left join with its subqueries; `None` for an inner join.
    left: Option<(Vec<Expr>, Vec<Apply>)>,
    /// Tables that must come before.
    requires: Vec<usize>,
    tables: Vec<usize>,
}

/// What join planning needs to know.
pub(crate) struct FromPlanner<'p> {
    pub tables: &'p [ScopeTable],
    pub sources: &'p [Source],
    /// Whether each slot is read by any expression of the block.
    pub used: &'p [bool],
    /// How rows of each table are locked.
    pub locks: &'p [Option<LockSpec>],
    /// Wanted order when there is one table: column positions with DESC.
    pub order: &'p [(usize, bool)],
    pub limited: bool,
    pub straight: bool,
    /// Where keys of the rows of tables go; tables beyond the end need none.
    pub key_slots: &'p [Option<usize>],
}

/// A planned FROM.
pub(crate) struct FromPlan {
    pub node: Node,
    /// Whether rows come in the wanted order.
    pub ordered: bool,
}

impl FromPlanner<'_> {
    /// Plans a tree with the conditions of WHERE that are not subqueries. Conditions left over are returned
    /// by draining `conditions`.
    pub(crate) fn plan(&self, tree: Tree, conditions: &mut Vec<Expr>) -> SqlResult<FromPlan> {
        let mut flat = Flat { straight: self.straight, ..Flat::default() };
        flatten(tree, &mut flat, conditions);
        let Flat { mut items, late, applies, straight } = flat;
        self.add_requirements(&mut items);
        let mut bound = vec![false; self.tables.len()];
        let mut node: Option<Node> = None;
        let mut ordered = false;
        while !items.is_empty() {
            let number = self.pick(&items, &bound, conditions, straight);
            let item = items.remove(number);
            node = Some(match node {
                None => {
                    let alone = items.is_empty();
                    let (first, in_order) = self.first(item.tree, conditions, &mut bound, alone)?;
                    ordered = in_order;
                    first
                }
                Some(outer) => self.join(outer, item, conditions, &mut bound)?,
            });
        }
        let mut node = node.unwrap_or(Node::Unit);
        if !late.is_empty() {
            node = Node::Filter { input: Box::new(node), applies, conditions: late };
        }
        Ok(FromPlan { node, ordered })
    }

    /// Lateral tables come after those of this tree that they refer to.
    fn add_requirements(&self, items: &mut [Item]) {
        let all: Vec<usize> = items.iter().flat_map(|item| item.tables.iter().copied()).collect();
        for item in items {
            for table in &item.tables {
                let outside = |t: &&usize| all.contains(t) && !item.tables.contains(t);
                item.requires.extend(self.sources[*table].requires().iter().filter(outside));
            }
        }
    }

    /// Whether any of some tables refers to a row of tables outside of them.
    fn is_lateral(&self, tables: &[usize]) -> bool {
        tables.iter().any(|table| self.sources[*table].requires().iter().any(|t| !tables.contains(t)))
    }

    /// The next item: the cheapest of those whose requirements are met.
    fn pick(&self, items: &[Item], bound: &[bool], conditions: &[Expr], straight: bool) -> usize {
        let ready = |item: &Item| item.requires.iter().all(|table| bound[*table]);
        if straight || items.len() == 1 {
            return items.iter().position(ready).unwrap_or(0);
        }
        let mut best = (0, f64::MAX);
        for (number, item) in items.iter().enumerate() {
            if !ready(item) {
                continue;
            }
            let cost = match (&item.tree, &item.left) {
                (Tree::Leaf(table), left) => {
                    let on: &[Expr] = left.as_ref().map_or(conditions, |(on, _)| on);
                    self.leaf_cost(*table, on, bound)
                }
                _ => 1e7,
            };
            // A left join can wait: it never makes rows fewer.
            let cost = if item.left.is_some() { cost + 1e6 } else { cost };
            if cost < best.1 {
                best = (number, cost);
            }
        }
        best.0
    }

    fn leaf_cost(&self, table: usize, conditions: &[Expr], bound: &[bool]) -> f64 {
        match &self.sources[table] {
            Source::Stored { info, use_index, ignore_index } => {
                let refs = self.applicable(conditions, table, bound);
                let needed = self.needed(table);
                choose(&Request {
                    info,
                    offset: self.tables[table].offset,
                    conditions: &refs,
                    bound: &|slot| self.slot_bound(slot, bound),
                    order: &[],
                    needed: &needed,
                    use_index: use_index.as_deref(),
                    ignore_index,
                    limited: false,
                })
                .cost
            }
            Source::Virtual(_) => 2000.0,
            Source::Derived(..) | Source::Lateral { .. } | Source::JsonTable { .. } => 1500.0,
            Source::Work(_) => 100.0,
        }
    }

    fn slot_bound(&self, slot: usize, bound: &[bool]) -> bool {
        self.tables
            .iter()
            .position(|t| slot >= t.offset && slot < t.offset + t.columns.len())
            .is_some_and(|table| bound[table])
    }

    /// Conditions over one table and those bound before it.
    fn applicable<'c>(&self, conditions: &'c [Expr], table: usize, bound: &[bool]) -> Vec<&'c Expr> {
        let range = self.slots(table);
        conditions
            .iter()
            .filter(|c| c.columns().iter().all(|slot| range.contains(slot) || self.slot_bound(*slot, bound)))
            .collect()
    }

    fn slots(&self, table: usize) -> Range<usize> {
        let table = &self.tables[table];
        table.offset..table.offset + table.columns.len()
    }

    fn needed(&self, table: usize) -> Vec<usize> {
        let range = self.slots(table);
        range.clone().filter(|slot| self.used[*slot]).map(|slot| slot - range.start).collect()
    }

    /// Takes out conditions whose columns are all bound.
    fn take_bound(&self, conditions: &mut Vec<Expr>, bound: &[bool]) -> Vec<Expr> {
        let (taken, rest) = std::mem::take(conditions)
            .into_iter()
            .partition(|c: &Expr| c.columns().iter().all(|slot| self.slot_bound(*slot, bound)));
        *conditions = rest;
        taken
    }

    fn first(
        &self,
        tree: Tree,
        conditions: &mut Vec<Expr>,
        bound: &mut [bool],
        alone: bool,
    ) -> SqlResult<(Node, bool)> {
        let Tree::Leaf(table) = tree else {
            let mut inner = Vec::new();
            let mut tables = Vec::new();
            leaves(&tree, &mut tables);
            let plan = self.plan(tree, &mut inner)?;
            tables.iter().for_each(|table| bound[*table] = true);
            conditions.extend(inner);
            return Ok((plan.node, false));
        };
        let before = bound.to_vec();
        bound[table] = true;
        let filter = self.take_bound(conditions, bound);
        let order = if alone { self.order } else { &[] };
        let (node, ordered, _) = self.leaf(table, filter, &before, order);
        Ok((node, ordered && alone))
    }

    /// A scan of one table; also says whether it is in order and whether it refers to outer rows.
    fn leaf(
        &self,
        table: usize,
        filter: Vec<Expr>,
        bound: &[bool],
        order: &[(usize, bool)],
    ) -> (Node, bool, bool) {
        let scope = &self.tables[table];
        match &self.sources[table] {
            Source::Stored { info, use_index, ignore_index } => {
                let refs: Vec<&Expr> = filter.iter().collect();
                let needed = self.needed(table);
                let choice = choose(&Request {
                    info,
                    offset: scope.offset,
                    conditions: &refs,
                    bound: &|slot| self.slot_bound(slot, bound),
                    order,
                    needed: &needed,
                    use_index: use_index.as_deref(),
                    ignore_index,
                    limited: self.limited,
                });
                let mut number = 0;
                let implied = &choice.implied;
                let mut filter = filter;
                filter.retain(|_| {
                    number += 1;
                    !implied.contains(&(number - 1))
                });
                let lock = self.locks[table];
                let scan = Scan {
                    table: Arc::clone(info),
                    offset: scope.offset,
                    needed,
                    access: choice.access,
                    direction: choice.direction,
                    lock,
                    filter,
                    covering: choice.covering && lock.is_none(),
                    key_slot: self.key_slots.get(table).copied().flatten(),
                    alias: scope.alias.clone(),
                    rows: choice.rows,
                };
                (Node::Scan(Box::new(scan)), choice.ordered, choice.uses_outer)
            }
            Source::Virtual(table) => {
                let equals = virtual_equals(&filter, scope.offset, table.columns.len());
                let scan = VirtualScan {
                    table: Arc::clone(table),
                    offset: scope.offset,
                    equals,
                    filter,
                    alias: scope.alias.clone(),
                };
                (Node::Virtual(Box::new(scan)), order.is_empty(), false)
            }
            Source::Derived(query, kept) => {
                let (query, kept) = (Arc::clone(query), *kept);
                let outer = Vec::new();
                let name = scope.alias.clone();
                let node = Node::Derived { query, kept, outer, offset: scope.offset, filter, name };
                (node, order.is_empty(), false)
            }
            Source::Lateral { query, outer, .. } => {
                let (query, outer) = (Arc::clone(query), outer.clone());
                let name = scope.alias.clone();
                let node = Node::Derived { query, kept: None, outer, offset: scope.offset, filter, name };
                (node, order.is_empty(), false)
            }
            Source::JsonTable { document, plan, .. } => {
                let node = Node::JsonTable {
                    document: document.clone(),
                    plan: Arc::clone(plan),
                    offset: scope.offset,
                    filter,
                    name: scope.alias.clone(),
                };
                (node, order.is_empty(), false)
            }
            Source::Work(id) => {
                let width = scope.columns.len();
                let name = scope.alias.clone();
                let node = Node::Work { id: *id, offset: scope.offset, width, filter, name };
                (node, order.is_empty(), false)
            }
        }
    }

    fn join(
        &self,
        outer: Node,
        item: Item,
        conditions: &mut Vec<Expr>,
        bound: &mut [bool],
    ) -> SqlResult<Node> {
        let before = bound.to_vec();
        item.tables.iter().for_each(|table| bound[*table] = true);
        let (kind, mut on, applies) = match item.left {
            Some((on, applies)) => (JoinType::Left, on, applies),
            None => (JoinType::Inner, self.take_bound(conditions, bound), Vec::new()),
        };
        let ranges: Vec<Range<usize>> = item.tables.iter().map(|table| self.slots(*table)).collect();
        let item_tables = item.tables.clone();
        let inside =
            |expr: &Expr| expr.columns().iter().all(|slot| ranges.iter().any(|range| range.contains(slot)));
        let mut method = self.is_lateral(&item.tables).then_some(JoinMethod::Lookup);
        let mut inner = None;
        if let Tree::Leaf(table) = item.tree
            && matches!(self.sources[table], Source::Stored { .. })
            && applies.is_empty()
        {
            let refs = self.applicable(&on, table, &before);
            if refs.len() == on.len() {
                let (node, _, uses_outer) = self.leaf(table, on.clone(), &before, &[]);
                if uses_outer {
                    inner = Some(node);
                    method = Some(JoinMethod::Lookup);
                    on.clear();
                }
            }
        }
        let inner = match inner {
            Some(inner) => inner,
            None => {
                let (mut own, rest): (Vec<Expr>, Vec<Expr>) =
                    on.into_iter().partition(|c| !c.columns().is_empty() && inside(c));
                on = rest;
                let nothing = vec![false; bound.len()];
                match item.tree {
                    Tree::Leaf(table) => self.leaf(table, own, &nothing, &[]).0,
                    tree => {
                        let plan = self.plan(tree, &mut own)?;
                        filtered(plan.node, own)
                    }
                }
            }
        };
        let method = method.unwrap_or_else(|| hash_method(&mut on, &inside));
        let keys = item_tables.iter().filter_map(|table| self.key_slots.get(*table).copied().flatten());
        let mut ranges = ranges.into_iter().chain(keys.map(|slot| slot..slot + 1));
        let inner_slots = ranges.next().unwrap_or(0..0);
        let join = JoinNode {
            outer,
            inner,
            inner_slots,
            more_inner_slots: ranges.collect(),
            kind,
            method,
            on,
            applies,
        };
        let node = Node::Join(Box::new(join));
        let rest = if kind == JoinType::Left { self.take_bound(conditions, bound) } else { Vec::new() };
        Ok(filtered(node, rest))
    }
}

/// A node with conditions over it, if there are any.
pub(crate) fn filtered(node: Node, conditions: Vec<Expr>) -> Node {
    if conditions.is_empty() {
        return node;
    }
    Node::Filter { input: Box::new(node), applies: Vec::new(), conditions }
}

/// A tree whose inner joins are one list.
#[derive(Default)]
struct Flat {
    items: Vec<Item>,
    /// Conditions of ON with subqueries: tested when all tables are joined.
    late: Vec<Expr>,
    applies: Vec<Apply>,
    /// STRAIGHT_JOIN: the order is the user's.
    straight: bool,
}

fn flatten(tree: Tree, flat: &mut Flat, conditions: &mut Vec<Expr>) {
    match tree {
        Tree::Leaf(number) => {
            flat.items.push(Item {
                tree: Tree::Leaf(number),
                left: None,
                requires: Vec::new(),
                tables: vec![number],
            });
        }
        Tree::Join { left, right, kind: JoinKind::Left, on, applies } => {
            flatten(*left, flat, conditions);
            let requires = flat.items.iter().flat_map(|item| item.tables.iter().copied()).collect();
            let mut tables = Vec::new();
            leaves(&right, &mut tables);
            flat.items.push(Item { tree: *right, left: Some((on, applies)), requires, tables });
        }
        Tree::Join { left, right, kind, on, applies } => {
            flat.straight |= kind == JoinKind::Straight;
            flatten(*left, flat, conditions);
            flatten(*right, flat, conditions);
            let results: Vec<usize> = applies.iter().map(|apply| apply.result).collect();
            let (late, plain): (Vec<Expr>, Vec<Expr>) = on.into_iter().partition(|c| mentions(c, &results));
            conditions.extend(plain);
            flat.late.extend(late);
            flat.applies.extend(applies);
        }
    }
}

pub(crate) fn leaves(tree: &Tree, out: &mut Vec<usize>) {
    match tree {
        Tree::Leaf(number) => out.push(*number),
        Tree::Join { left, right, .. } => {
            leaves(left, out);
            leaves(right, out);
        }
    }
}

/// A hash join when some equality has one side in each input; else a buffered one.
fn hash_method(on: &mut Vec<Expr>, inside: &dyn Fn(&Expr) -> bool) -> JoinMethod {
    let mut pairs = Vec::new();
    let mut types = Vec::new();
    let has_columns = |expr: &Expr| !expr.columns().is_empty();
    on.retain(|condition| {
        let Some((CompareOp::Eq, left, right)) = condition.as_comparison() else { return true };
        if !SortType::hashable(left.data_type(), right.data_type()) {
            return true;
        }
        let touches = |expr: &Expr| {
            expr.columns()
                .iter()
                .any(|slot| inside(&Expr::Column { index: *slot, ty: expr.expr_type().clone() }))
        };
        let pair = if has_columns(left) && inside(left) && !touches(right) {
            (right.clone(), left.clone())
        } else if has_columns(right) && inside(right) && !touches(left) {
            (left.clone(), right.clone())
        } else {
            return true;
        };
        types.push(SortType::of(pair.0.data_type()));
        pairs.push(pair);
        false
    });
    if pairs.is_empty() { JoinMethod::Buffer } else { JoinMethod::Hash(pairs, types) }
}

/// Equalities with constants, as hints for a virtual table.
fn virtual_equals(filter: &[Expr], offset: usize, width: usize) -> Vec<(usize, Expr)> {
    let mut equals = Vec::new();
    for condition in filter {
        let Some((CompareOp::Eq, left, right)) = condition.as_comparison() else { continue };
        for (column, value) in [(left, right), (right, left)] {
            if let Expr::Column { index, .. } = column
                && value.columns().is_empty()
                && *index >= offset
                && *index < offset + width
            {
                equals.push((*index - offset, value.clone()));
            }
        }
    }
    equals
}
