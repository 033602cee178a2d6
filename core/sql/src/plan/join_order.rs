//! The order of joins, and how each finds its rows.
//!
//! Inner joins are one list, which is ordered by cost ([`crate::plan::join_search`]); the right side of a left join
//! comes when all tables of its left side are there. A table with an index on what is bound is looked up for each outer
//! row, or an equality makes a hash join, whichever costs less; else its rows are kept and tested one by one.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use aquifer_types::SqlResult;

use crate::ast::JoinKind;
use crate::expr::{CompareOp, Expr};
use crate::plan::access::{Choice, Request, choose, possible_keys};
use crate::plan::assemble::mentions;
use crate::plan::cost::Knowledge;
use crate::plan::from::{Source, Tree};
use crate::plan::join_search::{How, Search, Step, bit};
use crate::plan::node::{Apply, JoinMethod, JoinNode, JoinType, LockSpec, Needed, Node, Scan, VirtualScan};
use crate::plan::scope::ScopeTable;
use crate::plan::sort_type::SortType;

/// Something to be joined: a table or the right side of a left join.
pub(super) struct Item {
    pub tree: Tree,
    /// ON of a left join with its subqueries; `None` for an inner join.
    pub left: Option<(Vec<Expr>, Vec<Apply>)>,
    /// Tables that must come before.
    pub requires: Vec<usize>,
    pub tables: Vec<usize>,
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
    /// Whether the first rows are enough (LIMIT without sorting and grouping), which favours looking rows up.
    pub first_rows: bool,
    pub straight: bool,
    /// Where keys of the rows of tables go; tables beyond the end need none.
    pub key_slots: &'p [Option<usize>],
    /// What is known of the tables.
    pub knowledge: &'p Knowledge<'p>,
    /// Conditions of WHERE over one table with subqueries that run once; taken when the table is read.
    pub pushed: RefCell<Vec<Pushed>>,
}

/// A condition that is tested as soon as its table's row is there.
pub(crate) struct Pushed {
    pub table: usize,
    pub condition: Expr,
    pub applies: Vec<Apply>,
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
        let steps = self.steps(&items, conditions, straight);
        let alone = items.len() == 1;
        let mut items: Vec<Option<Item>> = items.into_iter().map(Some).collect();
        let mut bound = vec![false; self.tables.len()];
        let mut node: Option<Node> = None;
        let mut ordered = false;
        for step in steps {
            let Some(item) = items[step.item].take() else { continue };
            node = Some(match node {
                None => {
                    let (first, in_order) = self.first(item.tree, conditions, &mut bound, alone)?;
                    ordered = in_order;
                    first
                }
                Some(outer) => self.join(outer, item, step, conditions, &mut bound)?,
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
    pub(super) fn is_lateral(&self, tables: &[usize]) -> bool {
        tables.iter().any(|table| self.sources[*table].requires().iter().any(|t| !tables.contains(t)))
    }

    /// The order of the items: the user's, or the cheapest.
    fn steps(&self, items: &[Item], conditions: &[Expr], straight: bool) -> Vec<Step> {
        let lookup = |item: usize| Step { item, how: How::Lookup, rows: 0.0 };
        if straight || items.len() == 1 {
            return (0..items.len()).map(lookup).collect();
        }
        let order = Search::new(self, items, conditions).order();
        if order.len() == items.len() { order } else { (0..items.len()).map(lookup).collect() }
    }

    /// Whether what is joined may be the inner side of the next join: not when rows are locked as they are met.
    pub(super) fn may_flip(&self) -> bool {
        self.key_slots.is_empty() && self.locks.iter().all(Option::is_none)
    }

    /// The tables of an expression as a set.
    pub(super) fn tables_of(&self, expr: &Expr) -> u64 {
        let table = |slot: &usize| {
            self.tables.iter().position(|t| (t.offset..t.offset + t.columns.len()).contains(slot))
        };
        expr.columns().iter().filter_map(table).fold(0, |set, table| set | bit(table))
    }

    /// How many values a column has, as far as an index tells.
    pub(super) fn values_of(&self, expr: &Expr) -> Option<f64> {
        let Expr::Column { index: slot, .. } = expr else { return None };
        let table = self.tables.iter().position(|t| (t.offset..t.offset + t.columns.len()).contains(slot))?;
        let Source::Stored { info, .. } = &self.sources[table] else { return None };
        self.knowledge.values_of(info, slot - self.tables[table].offset)
    }

    /// How a stored table would be read; `None` for others.
    pub(super) fn choice(
        &self,
        table: usize,
        conditions: &[Expr],
        bound: &dyn Fn(usize) -> bool,
        order: &[(usize, bool)],
    ) -> Option<Choice> {
        let Source::Stored { info, use_index, ignore_index } = &self.sources[table] else { return None };
        let flags: Vec<bool> = (0..self.tables.len()).map(bound).collect();
        let refs = self.applicable(conditions, table, &flags);
        let needed = self.needed(table);
        Some(choose(&Request {
            info,
            offset: self.tables[table].offset,
            conditions: &refs,
            bound: &|slot| self.slot_bound(slot, &flags),
            order,
            needed: &needed,
            use_index: use_index.as_deref(),
            ignore_index,
            limited: self.limited,
            knowledge: self.knowledge,
        }))
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
        Ok((self.with_pushed(node, table), ordered && alone))
    }

    /// The conditions that wait for a table, over its rows.
    fn with_pushed(&self, mut node: Node, table: usize) -> Node {
        let mut pushed = self.pushed.borrow_mut();
        while let Some(at) = pushed.iter().position(|each| each.table == table) {
            let Pushed { condition, applies, .. } = pushed.remove(at);
            node = Node::Filter { input: Box::new(node), applies, conditions: vec![condition] };
        }
        node
    }

    /// How many conditions wait for a table.
    pub(super) fn pushed_to(&self, table: usize) -> usize {
        self.pushed.borrow().iter().filter(|each| each.table == table).count()
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
                let needed = self.needed(table);
                let refs: Vec<&Expr> = filter.iter().collect();
                let request = Request {
                    info,
                    offset: scope.offset,
                    conditions: &refs,
                    bound: &|slot| self.slot_bound(slot, bound),
                    order,
                    needed: &needed,
                    use_index: use_index.as_deref(),
                    ignore_index,
                    limited: self.limited,
                    knowledge: self.knowledge,
                };
                let (choice, possible) = (choose(&request), possible_keys(&request));
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
                    possible,
                    needed: needed.into_iter().map(|column| Needed { column, place: column }).collect(),
                    steps: Vec::new(),
                    width: info.width(),
                    access: choice.access,
                    direction: choice.direction,
                    lock,
                    filter,
                    covering: choice.covering && lock.is_none(),
                    key_slot: self.key_slots.get(table).copied().flatten(),
                    alias: scope.alias.clone(),
                    first: false,
                    rows: choice.rows,
                    kept: choice.kept,
                    cost: choice.cost,
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
            source
            @ (Source::Derived(query, _) | Source::Subquery(query) | Source::Lateral { query, .. }) => {
                let (kept, outer) = match source {
                    Source::Derived(_, kept) => (*kept, Vec::new()),
                    Source::Lateral { outer, .. } => (None, outer.clone()),
                    _ => (None, Vec::new()),
                };
                let is_subquery = matches!(source, Source::Subquery(_));
                let (query, offset, name) = (Arc::clone(query), scope.offset, scope.alias.clone());
                let columns = scope.columns.iter().map(|column| column.name.clone()).collect();
                let node = Node::Derived { query, is_subquery, kept, outer, offset, filter, name, columns };
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
        step: Step,
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
            && step.how == How::Lookup
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
        let inner = match (&item_tables[..], kind) {
            ([table], JoinType::Inner) => self.with_pushed(inner, *table),
            _ => inner,
        };
        let method = method.unwrap_or_else(|| hash_method(&mut on, &inside));
        if let (JoinMethod::Hash(pairs, types), How::Flipped, JoinType::Inner) = (&method, step.how, kind) {
            let pairs = pairs.iter().map(|(outer, inner)| (inner.clone(), outer.clone())).collect();
            let before: Vec<usize> = (0..before.len()).filter(|table| before[*table]).collect();
            let mut slots = before.iter().map(|table| self.slots(*table));
            let join = JoinNode {
                outer: inner,
                inner: outer,
                inner_slots: slots.next().unwrap_or(0..0),
                more_inner_slots: slots.collect(),
                kind,
                method: JoinMethod::Hash(pairs, types.clone()),
                on,
                applies,
                rows: Some(step.rows),
            };
            return Ok(Node::Join(Box::new(join)));
        }
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
            rows: (step.rows > 0.0).then_some(step.rows),
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
