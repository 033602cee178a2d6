//! `x IN (SELECT c …)` in WHERE as a join with the distinct rows of the subquery, so that the subquery may come first and
//! its rows be looked up in the table that x is of, instead of that table being read as a whole (manual 10.2.2.1).
//!
//! The join gives what the test gives: where a condition of WHERE is NULL the row is left out, as where it is false; of
//! distinct rows at most one is equal to x, when equality is that by which they are told apart ([`SortType::hashable`]);
//! and NULL is equal to none. How the rows are joined is decided by cost, like the order of all joins, and one way is what
//! the test would do: to keep the rows in a hash table. Not done where the order of an index lets a LIMIT, MIN or MAX
//! end early, nor in a block that runs for each row of another, because a test keeps its rows over all runs.

use std::sync::Arc;

use aquifer_types::SqlResult;

use crate::ast::{JoinKind, Select};
use crate::expr::{self, BinaryOp, CompareOp, Expr};
use crate::plan::access::has_volatile;
use crate::plan::assemble::{mentions, min_max_order};
use crate::plan::binder::Binder;
use crate::plan::from::{Source, Tree};
use crate::plan::join_search::EXHAUSTIVE_MAX;
use crate::plan::node::{Apply, ApplyKind, Node, QueryPlan};
use crate::plan::output;
use crate::plan::query::Around;
use crate::plan::scope::{Scope, ScopeColumn, ScopeTable};
use crate::plan::select::Block;
use crate::plan::sort_type::SortType;

/// Whether subqueries of a block may be joined to its tables.
pub(super) fn may_join_subqueries(
    select: &Select,
    around: Around<'_>,
    block: &Block,
    scope: &Scope<'_>,
) -> bool {
    let repeated = scope.correlated.get() || scope.parent.is_some_and(|parent| parent.correlated.get());
    let ends_early = scope.tables.len() == 1
        && (around.limit.is_some()
            || min_max_order(select, &block.aggregates, &block.groups, scope).is_some());
    !repeated && !ends_early && !select.straight_join && around.locking.is_none()
}

impl Binder<'_> {
    /// Joins the subqueries of the block's WHERE that can be joined to its tables.
    pub(super) fn join_subqueries(
        &self,
        mut tree: Tree,
        block: &mut Block,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        if self.common.iter().any(|common| common.work.is_some()) {
            return Ok(tree);
        }
        let mut at = 0;
        while at < block.conditions.len() && scope.tables.len() < EXHAUSTIVE_MAX {
            let Some(apply) = take_joinable(&block.conditions[at], &mut block.where_applies) else {
                at += 1;
                continue;
            };
            let number = self.join_subquery(apply, at, block, scope, sources)?;
            let (left, right) = (Box::new(tree), Box::new(Tree::Leaf(number)));
            tree = Tree::Join { left, right, kind: JoinKind::Inner, on: Vec::new(), applies: Vec::new() };
        }
        Ok(tree)
    }

    /// Puts equalities with the columns of a subquery, which becomes a table of the scope, in place of a condition.
    fn join_subquery(
        &self,
        apply: Apply,
        condition: usize,
        block: &mut Block,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<usize> {
        let Apply { id, query, kind, .. } = apply;
        let ApplyKind::Compare { operands, hash: Some(hash), .. } = kind else { return Ok(0) };
        let name: Arc<str> = Arc::from(format!("<subquery{}>", id + 2));
        let number = scope.push_unnamed(columns_of(&name, &hash.columns));
        let offset = scope.tables[number].offset;
        let mut equal = Vec::with_capacity(operands.len());
        for (place, (operand, ty)) in operands.into_iter().zip(&hash.columns).enumerate() {
            let column = Expr::Column { index: offset + place, ty: ty.clone() };
            equal.push(expr::binary(BinaryOp::Compare(CompareOp::Eq), operand, column, self.env.bind)?);
        }
        block.conditions.splice(condition..=condition, equal);
        let keys = hash.columns.iter().map(|ty| SortType::of(&ty.data_type)).collect();
        let QueryPlan { node, width, row_width } = query;
        let node = Node::Distinct { input: Box::new(node), visible: width, keys };
        sources.push(Source::Subquery(Arc::new(QueryPlan { node, width, row_width })));
        Ok(number)
    }
}

/// Takes out the subquery whose result a condition is, if it can be joined.
fn take_joinable(condition: &Expr, applies: &mut Vec<Apply>) -> Option<Apply> {
    let Expr::Param { index, .. } = condition else { return None };
    let at = applies.iter().position(|apply| apply.result == *index)?;
    let apply = &applies[at];
    let ApplyKind::Compare { operands, hash: Some(_), .. } = &apply.kind else { return None };
    let results: Vec<usize> = applies.iter().map(|apply| apply.result).collect();
    let plain = |operand: &Expr| {
        !operand.columns().is_empty() && !mentions(operand, &results) && !has_volatile(operand)
    };
    let joinable = !apply.correlated && apply.determined && operands.iter().all(plain);
    joinable.then(|| applies.remove(at))
}

/// A subquery's columns as a table.
fn columns_of(name: &Arc<str>, types: &[expr::ExprType]) -> ScopeTable {
    let column = |ty: &expr::ExprType| ScopeColumn {
        name: Arc::from(""),
        data_type: ty.data_type.clone(),
        nullable: ty.nullable,
        invisible: false,
        merged: false,
        flags: output::flags_of_type(&ty.data_type, ty.nullable),
        org_name: Arc::from(""),
        org_table: name.clone(),
        schema: Arc::from(""),
    };
    let columns = types.iter().map(column).collect();
    ScopeTable { alias: name.clone(), schema: Arc::from(""), offset: 0, columns, info: None, reads: None }
}
