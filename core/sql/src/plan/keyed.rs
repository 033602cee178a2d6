//! Correlated subqueries computed for all outer rows at once: EXISTS, IN, ANY and ALL, and one aggregate without GROUP BY.
//!
//! `(SELECT AVG(a) FROM t WHERE t.k = outer.k AND …)` is, for every k, a row of `SELECT k, AVG(a) FROM t WHERE … GROUP
//! BY k`; `EXISTS (SELECT … WHERE t.k = outer.k AND …)` asks whether k is in `SELECT k FROM t WHERE …`; and `x IN (SELECT c
//! … WHERE t.k = outer.k AND …)` compares with the rows of k in `SELECT k, c FROM t WHERE …`. This second query
//! is planned beside the first when all that the subquery takes from outside are such equalities, and when hashing
//! decides them ([`SortType::hashable`]). How many outer rows there will be is seen only when they come: the subquery runs
//! for single rows until that has cost what the second query is expected to cost, which is then run once and looked up
//! in. So no more is spent than about twice the cheaper of both.

use aquifer_types::TypeKind;

use crate::ast::{Query, QueryBody, Select};
use crate::expr::aggregate::Aggregate;
use crate::expr::{CompareOp, Expr};
use crate::plan::access::has_volatile;
use crate::plan::assemble::{mark_apply, mentions};
use crate::plan::binder::{Binder, BoundSubquery};
use crate::plan::cost::{BUILD, LOOKUP, estimate};
use crate::plan::from::From;
use crate::plan::join_search::BUILD_ROWS_MAX;
use crate::plan::node::Keyed;
use crate::plan::query::{Around, computed};
use crate::plan::scope::Scope;
use crate::plan::select::Block;
use crate::plan::sort_type::SortType;

/// What is asked of a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyedKind {
    Exists,
    /// The value of an aggregate.
    Aggregate,
    /// Rows to compare with.
    Rows,
}

/// An equality between the subquery's row and the outer one.
struct Pair {
    inner: Expr,
    /// Over parameters set from the outer row.
    outer: Expr,
}

impl Binder<'_> {
    /// Plans a subquery for all outer rows at once, if that can be done; `sub` is what it is for one, and `init` the
    /// number of subqueries that depend on nothing before it was bound.
    pub(super) fn keyed(
        &mut self,
        query: &Query,
        scope: &Scope<'_>,
        sub: &BoundSubquery,
        kind: KeyedKind,
        init: usize,
    ) -> Option<Keyed> {
        let select = plain_select(query)?;
        let free = !self.is_keying && sub.correlated && sub.determined;
        if !free || self.init.len() != init {
            return None;
        }
        self.is_keying = true;
        let wrapper = Scope::new(Some(scope));
        let keyed = self.keyed_block(select, &wrapper, sub, kind);
        self.is_keying = false;
        keyed
    }

    fn keyed_block(
        &mut self,
        select: &Select,
        wrapper: &Scope<'_>,
        sub: &BoundSubquery,
        kind: KeyedKind,
    ) -> Option<Keyed> {
        let mut scope = Scope::new(Some(wrapper));
        let mut sources = Vec::new();
        let tree = self.from(select.from.as_ref()?, &mut scope, &mut sources).ok()?;
        if wrapper.correlated.get() {
            return None;
        }
        let mut block = self.block(select, Around::default(), &scope).ok()?;
        scope.pending.take().join_clause(&mut block.conditions, &mut block.where_applies);
        let outer = wrapper.outer.take();
        // The parameters under which the subquery's other plan gets the same columns.
        let same = |(slot, column): &(usize, Expr)| {
            sub.outer.iter().find(|(_, known)| known == column).map(|(other, _)| (*slot, *other))
        };
        let numbers: Vec<(usize, usize)> = outer.iter().map(same).collect::<Option<_>>()?;
        let slots: Vec<usize> = outer.iter().map(|(slot, _)| *slot).collect();
        let pairs = take_pairs(&mut block, &slots, kind)?;
        let types: Vec<SortType> = pairs.iter().map(|pair| SortType::of(pair.inner.data_type())).collect();
        let mut keys = Vec::with_capacity(pairs.len());
        let mut items = Vec::with_capacity(pairs.len() + 1);
        for Pair { inner, outer: key } in pairs {
            keys.push(renamed(key, &numbers));
            if kind == KeyedKind::Aggregate {
                block.groups.push(inner.clone());
            }
            let column = computed("", inner.expr_type().clone());
            items.push((inner, column));
        }
        let value = std::mem::replace(&mut block.items, items);
        if kind != KeyedKind::Exists {
            block.items.extend(value);
        }
        let locks = vec![None; scope.tables.len()];
        let from = Some(From { tree, sources });
        let query = self.assemble(select, block, from, &scope, &locks, None).ok()?.plan;
        let expected = estimate(&query.node);
        let once = expected.cost + expected.rows * BUILD;
        let runs = (once / (estimate(&sub.plan.node).cost + LOOKUP)).ceil();
        // Casting saturates.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let runs = runs as u64;
        (expected.rows < BUILD_ROWS_MAX).then_some(Keyed { query, keys, types, runs })
    }
}

/// The block of a query that is nothing else, of which every row counts.
fn plain_select(query: &Query) -> Option<&Select> {
    let QueryBody::Select(select) = &query.body else { return None };
    let plain = query.with.is_none() && query.limit.is_none() && query.locking.is_none();
    let whole = !select.rollup && !select.calc_found_rows && select.having.is_none();
    (plain && whole && select.group.is_empty() && select.windows.is_empty()).then_some(select)
}

/// Takes the equalities with outer rows out of a block; `None` when there is anything else that depends on them.
fn take_pairs(block: &mut Block, slots: &[usize], kind: KeyedKind) -> Option<Vec<Pair>> {
    let takes = |expr: &Expr| mentions(expr, slots);
    let mut depends = false;
    for apply in &block.where_applies {
        depends |= apply.correlated && !apply.determined;
        mark_apply(apply, &mut |expr| depends |= takes(expr));
    }
    let right_shape = match kind {
        KeyedKind::Exists | KeyedKind::Rows => block.aggregates.is_empty(),
        KeyedKind::Aggregate => {
            let above = |(item, _): &(Expr, _)| item.columns().iter().all(|slot| is_aggregate(*slot));
            !block.aggregates.is_empty()
                && block.aggregates.iter().all(Aggregate::is_free_of_order)
                && block.items.iter().all(above)
        }
    };
    let args = block.aggregates.iter().flat_map(|aggregate| &aggregate.args);
    let mut values = block.items.iter().map(|(item, _)| item).chain(args);
    let others = !block.post_applies.is_empty() || !block.aggregate_applies.is_empty();
    if depends || others || !right_shape || !block.windows.is_empty() || values.any(takes) {
        return None;
    }
    let results: Vec<usize> = block.where_applies.iter().map(|apply| apply.result).collect();
    let mut pairs = Vec::new();
    let mut kept = Vec::new();
    for condition in std::mem::take(&mut block.conditions) {
        if takes(&condition) {
            pairs.push(pair(&condition, slots, &results)?);
        } else {
            kept.push(condition);
        }
    }
    block.conditions = kept;
    (!pairs.is_empty()).then_some(pairs)
}

/// An equality with one side of the subquery's row and the other of the outer one.
fn pair(condition: &Expr, slots: &[usize], results: &[usize]) -> Option<Pair> {
    let (CompareOp::Eq, left, right) = condition.as_comparison()? else { return None };
    let is_inner = |expr: &Expr| !mentions(expr, slots) && !expr.columns().is_empty();
    let (inner, outer) = if is_inner(left) { (left, right) } else { (right, left) };
    let apart = is_inner(inner) && outer.columns().is_empty();
    // Groups of computed decimals are told apart by what is shown of them.
    let exact = inner.data_type().kind != TypeKind::Decimal || matches!(inner, Expr::Column { .. });
    let plain = |expr: &Expr| !mentions(expr, results) && !has_volatile(expr);
    let hashable = SortType::hashable(inner.data_type(), outer.data_type());
    (apart && exact && hashable && plain(inner) && plain(outer))
        .then(|| Pair { inner: inner.clone(), outer: outer.clone() })
}

fn is_aggregate(slot: usize) -> bool {
    use crate::plan::bind_expr::AGGREGATE_BASE;
    use crate::plan::window::WINDOW_BASE;
    (AGGREGATE_BASE..WINDOW_BASE).contains(&slot)
}

/// An expression with other numbers of parameters.
fn renamed(expr: Expr, numbers: &[(usize, usize)]) -> Expr {
    match expr {
        Expr::Param { index, ty } => {
            let new = numbers.iter().find(|(known, _)| *known == index);
            Expr::Param { index: new.map_or(index, |(_, new)| *new), ty }
        }
        expr => expr.map_args(&mut |arg| renamed(arg, numbers)),
    }
}
