//! What plans are expected to cost, in units of reading one row of a scan. The relations are those of rows in memory, as
//! EXPLAIN ANALYZE shows them: about 0.25 µs for a row of a scan, 1.5 µs for a row by its key, 4 µs to begin a scan.

use std::cell::{Cell, RefCell};

use crate::exec::{spans, whole};
use crate::expr::{EvalContext, Expr};
use crate::plan::node::{JoinMethod, JoinType, Node, RangeSpec};
use crate::plan::table_info::{IndexInfo, TableInfo};
use crate::statistics::Statistics;

/// Assumed rows of a table without statistics.
pub(crate) const TABLE_ROWS: f64 = 10_000.0;
/// Reading one entry by its key.
pub(crate) const GET: f64 = 5.0;
/// Beginning to read at a key.
pub(crate) const SEEK: f64 = 14.0;
/// Beginning to look up a table for one row of another.
pub(crate) const LOOKUP: f64 = 2.0;
/// A row into a hash table.
pub(crate) const BUILD: f64 = 2.0;
/// A row that looks into a hash table.
pub(crate) const PROBE: f64 = 0.7;
/// A pair of rows that is tested.
pub(crate) const PAIR: f64 = 0.4;
/// Rows of an IN list or of equal values that are fewer than this are not told apart by the boundaries of blocks.
const FINE_ROWS: f64 = 500.0;

/// Rows and cost that are expected of an operator with all below it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    pub rows: f64,
    pub cost: f64,
}

/// What is known of tables while one statement is planned.
pub(crate) struct Knowledge<'a> {
    pub statistics: &'a dyn Statistics,
    /// The context of the execution that the plan is made for, whose parameters estimates are made with.
    pub first: Option<&'a RefCell<EvalContext>>,
    /// Whether statistics were asked: then the plan is made anew now and then.
    pub asked: &'a Cell<bool>,
    /// Whether the plan is made to be explained, with what it does not use.
    pub explains: bool,
}

impl Knowledge<'_> {
    /// Rows of a table; `None` without statistics.
    pub(crate) fn rows(&self, info: &TableInfo) -> Option<f64> {
        self.asked.set(true);
        *info.rows.get_or_init(|| {
            if info.table.id.is_temporary() {
                return None;
            }
            self.keys_in(&[whole(&info.indexes[0])])
        })
    }

    /// Rows with one value of the first columns of an index, if that is known.
    pub(crate) fn rows_per_value(&self, info: &TableInfo, index: usize, parts: usize) -> Option<f64> {
        let sample = self.statistics.sample(info.indexes[index].id)?;
        sample.rows_per_value.get(parts.checked_sub(1)?).copied()
    }

    /// How many values a column has: exactly that of a unique index, or what was sampled.
    pub(crate) fn values_of(&self, info: &TableInfo, column: usize) -> Option<f64> {
        let rows = self.rows(info)?;
        let begins = |index: &IndexInfo| index.columns.first() == Some(&column);
        if let Some(number) = info.indexes.iter().position(begins) {
            let index = &info.indexes[number];
            let each = if index.is_unique() && index.columns.len() == 1 {
                1.0
            } else {
                self.rows_per_value(info, number, 1).unwrap_or(10.0)
            };
            return Some(rows / each);
        }
        let sample = self.statistics.sample(info.indexes[0].id)?;
        let values = &sample.column_values;
        values.get(column).copied().filter(|_| values.len() == info.width())
    }

    /// Keys in ranges that are known already.
    pub(crate) fn rows_in(
        &self,
        info: &TableInfo,
        index: usize,
        ranges: &[RangeSpec],
        point: bool,
    ) -> Option<f64> {
        self.asked.set(true);
        let first = self.first?;
        if info.table.id.is_temporary() || !ranges.iter().all(|range| self.is_known(range, first)) {
            return None;
        }
        let bounded =
            ranges.iter().any(|range| range.low.is_some() || range.high.is_some() || range.like.is_some());
        let equal = ranges.first().map_or(0, |range| range.equal.len());
        let found = spans(&info.indexes[index], ranges, point, &mut first.borrow_mut())?;
        let rows = self.keys_in(&found)?;
        #[allow(clippy::cast_precision_loss)]
        let count = found.len() as f64;
        match self.rows_per_value(info, index, equal) {
            Some(each) if !bounded && rows < FINE_ROWS * count => Some(rows.min(each * count)),
            _ => Some(rows),
        }
    }

    fn keys_in(&self, ranges: &[std::ops::Range<bytes::Bytes>]) -> Option<f64> {
        let mut sum = 0;
        for range in ranges {
            sum += self.statistics.keys_in(&range.start..&range.end)?;
        }
        #[allow(clippy::cast_precision_loss)]
        Some((sum as f64).max(1.0))
    }

    /// Whether the ends of a range have values before the execution begins.
    fn is_known(&self, range: &RangeSpec, first: &RefCell<EvalContext>) -> bool {
        let given = first.borrow().params.len();
        let known = |expr: &Expr| {
            expr.all(&mut |node| match node {
                Expr::Column { .. } => false,
                Expr::Param { index, .. } => *index < given,
                Expr::Literal { .. } => true,
                Expr::Call(_) => !node.is_volatile(),
            })
        };
        range.equal.iter().all(known)
            && range.low.iter().chain(&range.high).all(|bound| known(&bound.value))
            && range.like.iter().all(known)
    }
}

/// What is expected of a node, for EXPLAIN and for what is planned above it.
pub(crate) fn estimate(node: &Node) -> Estimate {
    match node {
        Node::Unit | Node::Values { .. } => Estimate { rows: 1.0, cost: 0.0 },
        Node::Scan(scan) => Estimate { rows: scan.kept, cost: scan.cost },
        Node::Virtual(_) => Estimate { rows: 100.0, cost: 2000.0 },
        Node::JsonTable { .. } => Estimate { rows: 10.0, cost: 10.0 },
        Node::Work { .. } => Estimate { rows: 100.0, cost: 100.0 },
        Node::Derived { query, filter, .. } => {
            let inner = estimate(&query.node);
            Estimate { rows: inner.rows * guess(filter), cost: inner.cost + inner.rows * 0.2 }
        }
        Node::Recursive(recursive) => {
            let seed = estimate(&recursive.seed);
            Estimate { rows: seed.rows * 10.0, cost: seed.cost * 10.0 }
        }
        Node::Join(join) => join_estimate(join),
        Node::Filter { input, conditions, .. } => {
            let below = estimate(input);
            Estimate { rows: below.rows * guess(conditions), cost: below.cost + below.rows * 0.1 }
        }
        Node::Extend { input, .. } | Node::Project { input, .. } | Node::Cut { input, .. } => estimate(input),
        Node::Window(window) => sorted(estimate(&window.input)),
        Node::Aggregate(aggregate) => {
            let below = estimate(&aggregate.input);
            let rows = if aggregate.keys.is_empty() { 1.0 } else { (below.rows * 0.1).max(1.0) };
            Estimate { rows, cost: below.cost + below.rows * 0.5 }
        }
        Node::Distinct { input, .. } => {
            let below = estimate(input);
            Estimate { rows: (below.rows * 0.5).max(1.0), cost: below.cost + below.rows * 0.5 }
        }
        Node::Sort { input, limit, .. } => limited(sorted(estimate(input)), limit.as_ref()),
        Node::Limit { input, limit } => limited(estimate(input), Some(limit)),
        Node::Union(parts) => parts.iter().map(estimate).fold(Estimate::default(), |all, part| Estimate {
            rows: all.rows + part.rows,
            cost: all.cost + part.cost,
        }),
        Node::SetDifference { left, right, .. } => {
            let (left, right) = (estimate(left), estimate(right));
            Estimate { rows: left.rows * 0.5, cost: left.cost + right.cost + left.rows + right.rows }
        }
    }
}

fn join_estimate(join: &crate::plan::node::JoinNode) -> Estimate {
    let (outer, inner) = (estimate(&join.outer), estimate(&join.inner));
    let cost = match join.method {
        JoinMethod::Lookup => outer.cost + outer.rows * (LOOKUP + inner.cost),
        JoinMethod::Buffer => outer.cost + inner.cost + outer.rows * inner.rows * PAIR,
        JoinMethod::Hash(..) => outer.cost + inner.cost + inner.rows * BUILD + outer.rows * PROBE,
    };
    let pairs = outer.rows * inner.rows;
    let rows = join.rows.unwrap_or(match join.method {
        JoinMethod::Hash(..) => outer.rows.max(inner.rows),
        _ => pairs,
    });
    Estimate { rows: if join.kind == JoinType::Left { rows.max(outer.rows) } else { rows }, cost }
}

fn sorted(below: Estimate) -> Estimate {
    Estimate { cost: below.cost + below.rows * below.rows.max(2.0).log2() * 0.1, ..below }
}

fn limited(below: Estimate, limit: Option<&crate::plan::node::LimitNode>) -> Estimate {
    let number = |expr: &Option<Expr>| match expr {
        Some(Expr::Literal { value: aquifer_types::Value::UInt(n), .. }) => {
            f64::from(u32::try_from(*n).ok()?).into()
        }
        Some(Expr::Literal { value: aquifer_types::Value::Int(n), .. }) => {
            f64::from(i32::try_from(*n).ok()?).into()
        }
        _ => None,
    };
    match limit.and_then(|limit| number(&limit.count)) {
        Some(count) => Estimate { rows: below.rows.min(count), ..below },
        None => below,
    }
}

/// The share of rows that satisfy conditions of which nothing is known.
pub(crate) fn guess(conditions: &[Expr]) -> f64 {
    conditions.iter().map(guess_one).product()
}

/// As [`guess`], of one condition: the shares of MySQL's condition filtering (manual 8.2.1.13).
pub(crate) fn guess_one(condition: &Expr) -> f64 {
    use crate::expr::CompareOp;
    if let Some((left, right)) = condition.as_and() {
        return guess_one(left) * guess_one(right);
    }
    if let Some((left, right)) = condition.as_or() {
        let (left, right) = (guess_one(left), guess_one(right));
        return left + right - left * right;
    }
    if let Some((op, ..)) = condition.as_comparison() {
        return match op {
            CompareOp::Eq | CompareOp::NullSafeEq => 0.1,
            CompareOp::Ne => 0.9,
            _ => 0.3333,
        };
    }
    if let Some((_, members)) = condition.as_in_list() {
        #[allow(clippy::cast_precision_loss)]
        return (0.1 * members.len() as f64).min(0.5);
    }
    if condition.as_between().is_some() || condition.as_like().is_some() {
        return 0.1111;
    }
    if condition.as_is_null().is_some() {
        return 0.1;
    }
    0.9
}
