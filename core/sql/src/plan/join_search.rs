//! The order of joins by cost: every order of a few tables (dynamic programming over sets of tables, each joined to all
//! before it), or always the cheapest next one when there are many.
//!
//! What a step costs depends on what is bound before it only through the conditions that it then can use, so scans are
//! costed once for each set of neighbours. Estimates decide between orders and methods, never what a query answers.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::expr::{CompareOp, Expr};
use crate::plan::cost::{BUILD, Estimate, LOOKUP, PAIR, PROBE, TABLE_ROWS, estimate, guess, guess_one};
use crate::plan::from::{Source, Tree};
use crate::plan::join_order::{FromPlanner, Item, leaves};
use crate::plan::sort_type::SortType;

/// Tables up to which all orders are tried.
pub(super) const EXHAUSTIVE_MAX: usize = 9;
/// A row that a join gives.
const OUTPUT: f64 = 0.3;
/// The share of rows that is assumed to satisfy a condition with a subquery.
const PUSHED_SHARE: f64 = 0.3;
/// Rows that are looked up when only the first ones are wanted.
const FIRST_ROWS: f64 = 100.0;
/// Rows in a hash table that are too many to keep.
pub(super) const BUILD_ROWS_MAX: f64 = 2_000_000.0;
/// What is added when they are.
const TOO_MANY: f64 = 1e12;

/// How a table is joined to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is read for each row before it.
    Lookup,
    /// It is read once and kept, in a hash table if there is an equality.
    Keep,
    /// What is before it is kept in a hash table, into which its rows look.
    Flipped,
}

/// One step: an item by its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub item: usize,
    pub how: How,
    /// Rows expected after it.
    pub rows: f64,
}

/// The best way to join a set of items.
#[derive(Clone)]
struct Best {
    expected: Estimate,
    steps: Vec<Step>,
}

/// A scan for each row before it.
#[derive(Clone, Copy)]
struct Looked {
    uses_outer: bool,
    kept: f64,
    cost: f64,
}

pub(super) struct Search<'s> {
    planner: &'s FromPlanner<'s>,
    items: &'s [Item],
    conditions: &'s [Expr],
    /// Tables of each condition as a set.
    condition_tables: Vec<u64>,
    /// Tables of each item.
    tables: Vec<u64>,
    /// Of each item alone: rows and cost.
    alone: Vec<Estimate>,
    looked: RefCell<HashMap<(usize, u64), Looked>>,
}

impl<'s> Search<'s> {
    pub(super) fn new(planner: &'s FromPlanner<'s>, items: &'s [Item], conditions: &'s [Expr]) -> Self {
        let set = |tables: &[usize]| tables.iter().fold(0, |set, table| set | bit(*table));
        let mut search = Self {
            planner,
            items,
            conditions,
            condition_tables: conditions.iter().map(|condition| planner.tables_of(condition)).collect(),
            tables: items.iter().map(|item| set(&item.tables)).collect(),
            alone: Vec::new(),
            looked: RefCell::default(),
        };
        search.alone =
            (0..items.len()).map(|item| search.with_pushed(item, search.read_alone(item))).collect();
        search
    }

    /// The steps in order.
    pub(super) fn order(&self) -> Vec<Step> {
        if self.items.len() > EXHAUSTIVE_MAX { self.greedy() } else { self.exhaustive() }
    }

    fn exhaustive(&self) -> Vec<Step> {
        let all = (1_usize << self.items.len()) - 1;
        let mut best: Vec<Option<Best>> = vec![None; all + 1];
        for set in 0..all {
            let before = match &best[set] {
                None if set > 0 => continue,
                found => found.clone().unwrap_or_else(|| self.nothing()),
            };
            for item in 0..self.items.len() {
                if set & (1 << item) != 0 {
                    continue;
                }
                let Some(next) = self.add(&before, item) else { continue };
                let place = &mut best[set | (1 << item)];
                if place.as_ref().is_none_or(|known| next.expected.cost < known.expected.cost) {
                    *place = Some(next);
                }
            }
        }
        best.pop().flatten().map_or_else(|| self.greedy(), |best| best.steps)
    }

    fn greedy(&self) -> Vec<Step> {
        let mut best = self.nothing();
        while best.steps.len() < self.items.len() {
            let is_new = |item: &usize| best.steps.iter().all(|step| step.item != *item);
            let each = (0..self.items.len()).filter(is_new).filter_map(|item| self.add(&best, item));
            let weight = |best: &Best| best.expected.cost + best.expected.rows;
            let Some(next) = each.reduce(|a, b| if weight(&b) < weight(&a) { b } else { a }) else { break };
            best = next;
        }
        best.steps
    }

    fn nothing(&self) -> Best {
        Best { expected: Estimate::default(), steps: Vec::new() }
    }

    /// The cheapest way to join an item to what is there; `None` when it has to come later.
    fn add(&self, before: &Best, item: usize) -> Option<Best> {
        let bound = before.steps.iter().fold(0, |set, step| set | self.tables[step.item]);
        if self.items[item].requires.iter().any(|table| bound & bit(*table) == 0) {
            return None;
        }
        let (expected, how) = if before.steps.is_empty() {
            (self.alone[item], How::Keep)
        } else {
            self.joined(before.expected, bound, item)
        };
        let mut steps = before.steps.clone();
        steps.push(Step { item, how, rows: expected.rows });
        Some(Best { expected, steps })
    }

    fn joined(&self, before: Estimate, bound: u64, number: usize) -> (Estimate, How) {
        let (item, alone) = (&self.items[number], self.alone[number]);
        let conditions = self.between(bound, number);
        let looked = self.look_up(bound, number).filter(|looked| looked.uses_outer);
        let matches = match looked {
            Some(looked) => looked.kept,
            None => alone.rows * conditions.iter().map(|c| self.share(c, number)).product::<f64>(),
        };
        // Rows of a subquery are distinct, so that at most one matches.
        let matches =
            if self.is_subquery(number) && !conditions.is_empty() { matches.min(1.0) } else { matches };
        let rows = before.rows * if item.left.is_some() { matches.max(1.0) } else { matches };
        let rows = rows.max(0.01);
        let hashes = conditions.iter().any(|condition| self.is_hashable(condition, number));
        let too_many = |rows: f64| if rows > BUILD_ROWS_MAX { TOO_MANY } else { 0.0 };
        let mut best = if self.planner.is_lateral(&item.tables) {
            (before.rows * (alone.cost + LOOKUP), How::Lookup)
        } else if hashes {
            let keep = alone.rows * BUILD + before.rows * PROBE + too_many(alone.rows);
            (alone.cost + keep, How::Keep)
        } else {
            (alone.cost + alone.rows + before.rows * alone.rows * PAIR, How::Keep)
        };
        if hashes && item.left.is_none() && self.planner.may_flip() {
            let flipped = alone.cost + before.rows * BUILD + alone.rows * PROBE + too_many(before.rows);
            if flipped < best.0 {
                best = (flipped, How::Flipped);
            }
        }
        if let Some(looked) = looked {
            let begun = if self.planner.first_rows { before.rows.min(FIRST_ROWS) } else { before.rows };
            let cost = begun * (LOOKUP + looked.cost);
            if cost < best.0 {
                best = (cost, How::Lookup);
            }
        }
        (Estimate { rows, cost: before.cost + best.0 + rows * OUTPUT }, best.1)
    }

    fn is_subquery(&self, number: usize) -> bool {
        let source = |table: &usize| &self.planner.sources[*table];
        matches!(&self.items[number].tree, Tree::Leaf(table) if matches!(source(table), Source::Subquery(_)))
    }

    /// Conditions that join an item to what is bound.
    fn between(&self, bound: u64, number: usize) -> Vec<&'s Expr> {
        if let Some((on, _)) = &self.items[number].left {
            return on.iter().collect();
        }
        let own = self.tables[number];
        let joins = |tables: u64| tables & own != 0 && tables & bound != 0 && tables & !(own | bound) == 0;
        let each = self.conditions.iter().zip(&self.condition_tables);
        each.filter(|(_, tables)| joins(**tables)).map(|(condition, _)| condition).collect()
    }

    /// The share of pairs that satisfy a condition between an item and others.
    fn share(&self, condition: &Expr, number: usize) -> f64 {
        let Some((CompareOp::Eq, left, right)) = condition.as_comparison() else {
            return guess_one(condition);
        };
        let values = [left, right].into_iter().filter_map(|side| self.planner.values_of(side));
        let most = values.fold(0.0, f64::max);
        if most >= 1.0 { 1.0 / most } else { 1.0 / self.rows_unfiltered(number) }
    }

    fn rows_unfiltered(&self, number: usize) -> f64 {
        match &self.items[number].tree {
            Tree::Leaf(table) => match &self.planner.sources[*table] {
                Source::Stored { info, .. } => {
                    self.planner.knowledge.rows(info).unwrap_or(TABLE_ROWS).max(1.0)
                }
                _ => self.alone[number].rows.max(1.0),
            },
            Tree::Join { .. } => self.alone[number].rows.max(1.0),
        }
    }

    /// Whether a condition is an equality with all of one side in the item and nothing of the other.
    fn is_hashable(&self, condition: &Expr, number: usize) -> bool {
        let Some((CompareOp::Eq, left, right)) = condition.as_comparison() else { return false };
        let own = self.tables[number];
        let (a, b) = (self.planner.tables_of(left), self.planner.tables_of(right));
        let apart =
            |inner: u64, outer: u64| inner != 0 && inner & !own == 0 && outer != 0 && outer & own == 0;
        (apart(a, b) || apart(b, a)) && SortType::hashable(left.data_type(), right.data_type())
    }

    /// A scan of a stored table for each row of what is bound.
    fn look_up(&self, bound: u64, number: usize) -> Option<Looked> {
        let item = &self.items[number];
        let Tree::Leaf(table) = &item.tree else { return None };
        if !matches!(self.planner.sources[*table], Source::Stored { .. }) {
            return None;
        }
        let own: &[Expr] = match &item.left {
            Some((_, applies)) if !applies.is_empty() => return None,
            Some((on, _)) => on,
            None => self.conditions,
        };
        let touching = self.condition_tables.iter().filter(|tables| **tables & bit(*table) != 0);
        let neighbours = match item.left {
            Some(_) => u64::MAX,
            None => touching.fold(0, |all, tables| all | tables),
        };
        let key = (number, bound & neighbours);
        if let Some(known) = self.looked.borrow().get(&key) {
            return Some(*known);
        }
        let choice = self.planner.choice(*table, own, &|table| bound & bit(table) != 0, &[])?;
        let found = Looked { uses_outer: choice.uses_outer, kept: choice.kept, cost: choice.cost };
        self.looked.borrow_mut().insert(key, found);
        Some(found)
    }

    /// An item with the conditions that wait for it.
    fn with_pushed(&self, item: usize, alone: Estimate) -> Estimate {
        let count = self.items[item].tables.iter().map(|table| self.planner.pushed_to(*table)).sum::<usize>();
        let share = PUSHED_SHARE.powi(i32::try_from(count).unwrap_or(1));
        Estimate { rows: alone.rows * share, cost: alone.cost + if count > 0 { alone.rows } else { 0.0 } }
    }

    /// An item with what its own conditions say.
    fn read_alone(&self, number: usize) -> Estimate {
        let item = &self.items[number];
        let on: &[Expr] = item.left.as_ref().map_or(self.conditions, |(on, _)| on);
        let own = self.tables[number];
        let inside = |condition: &&Expr| {
            let tables = self.planner.tables_of(condition);
            tables != 0 && tables & !own == 0
        };
        match &item.tree {
            Tree::Leaf(table) => match &self.planner.sources[*table] {
                Source::Stored { .. } => {
                    let choice = self.planner.choice(*table, on, &|_| false, &[]);
                    choice.map_or(Estimate::default(), |c| Estimate { rows: c.kept, cost: c.cost })
                }
                Source::Virtual(_) => Estimate { rows: 100.0, cost: 2000.0 },
                Source::Derived(query, _) | Source::Subquery(query) | Source::Lateral { query, .. } => {
                    let all = estimate(&query.node);
                    let conditions: Vec<Expr> = on.iter().filter(inside).cloned().collect();
                    Estimate { rows: all.rows * guess(&conditions), cost: all.cost + all.rows * 0.2 }
                }
                Source::JsonTable { .. } => Estimate { rows: 10.0, cost: 10.0 },
                Source::Work(_) => Estimate { rows: 100.0, cost: 100.0 },
            },
            Tree::Join { .. } => {
                let mut tables = Vec::new();
                leaves(&item.tree, &mut tables);
                let rows = |table: &usize| match &self.planner.sources[*table] {
                    Source::Stored { info, .. } => self.planner.knowledge.rows(info).unwrap_or(TABLE_ROWS),
                    _ => 1000.0,
                };
                let most = tables.iter().map(rows).fold(1.0, f64::max);
                Estimate { rows: most, cost: 3.0 * tables.iter().map(rows).sum::<f64>() }
            }
        }
    }
}

/// A table in a set. There are never more than 61 (MySQL's limit); beyond 64 sets say too much, which only makes
/// estimates worse.
pub(super) fn bit(table: usize) -> u64 {
    1 << table.min(63)
}
