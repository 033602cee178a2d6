//! Queries: blocks, set operations, ORDER BY and LIMIT around them.

use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlResult};

use crate::ast::{AstExpr, Limit, Literal, Locking, OrderItem, Query, QueryBody, SetOperator, WithClause};
use crate::expr::{self, Expr};
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::{Binder, BoundQuery, OutColumn};
use crate::plan::common::references;
use crate::plan::node::{LimitNode, LockSpec, Node, QueryPlan, SortKey, WaitSpec};
use crate::plan::recursive::names_itself;
use crate::plan::scope::{CommonTableDef, Scope, ScopeColumn, ScopeTable};
use crate::plan::sort_type::SortType;
use crate::txn::LockMode;

/// What surrounds a block: its order, limit and locks.
#[derive(Clone, Copy, Default)]
pub(crate) struct Around<'q> {
    pub order: &'q [OrderItem],
    pub limit: Option<&'q Limit>,
    pub locking: Option<&'q Locking>,
}

impl<'a> Binder<'a> {
    /// Binds a query. `parent` is the block around it.
    pub(crate) fn query(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> SqlResult<BoundQuery> {
        let known = self.common.len();
        if let Some(with) = &query.with {
            self.push_common(with, parent, &|name| references(query, name));
        }
        let around =
            Around { order: &query.order, limit: query.limit.as_ref(), locking: query.locking.as_ref() };
        let bound = self.body(&query.body, around, parent);
        self.common.truncate(known);
        bound
    }

    /// Binds what follows a WITH that is not a query's.
    pub(crate) fn with_common<T>(
        &mut self,
        with: Option<&WithClause>,
        bind: impl FnOnce(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let known = self.common.len();
        if let Some(with) = with {
            // As if all were read more than once: then their rows are computed once and kept.
            self.push_common(with, None, &|_| 2);
        }
        let bound = bind(self);
        self.common.truncate(known);
        bound
    }

    /// Puts common tables of a query within `parent` into scope; `used` tells how often one is named, its own query
    /// included.
    pub(super) fn push_common(
        &mut self,
        with: &WithClause,
        parent: Option<&Scope<'_>>,
        used: &dyn Fn(&str) -> usize,
    ) {
        let depth = parent.map(Scope::depth);
        for table in &with.tables {
            let recursive = with.recursive && names_itself(&table.query, &table.name);
            let visible = self.common.len();
            let table = Arc::new(table.clone());
            // What a recursive table reads of itself does not count.
            let own = references(&table.query, &table.name);
            let references = used(&table.name).saturating_sub(own);
            self.common.push(CommonTableDef {
                table,
                visible,
                recursive,
                work: None,
                references,
                depth,
                bound: None,
            });
        }
    }

    pub(crate) fn body(
        &mut self,
        body: &QueryBody,
        around: Around<'_>,
        parent: Option<&Scope<'_>>,
    ) -> SqlResult<BoundQuery> {
        match body {
            QueryBody::Select(select) => self.select(select, around, parent),
            QueryBody::Nested(query) => {
                let plain = around.order.is_empty() && around.limit.is_none();
                let bound = self.query(query, parent)?;
                if plain { Ok(bound) } else { self.order_and_limit(bound, around) }
            }
            QueryBody::Values(rows) => {
                let bound = self.values(rows, parent)?;
                self.order_and_limit(bound, around)
            }
            QueryBody::Set { operator, all, left, right } => {
                let bare = Around { locking: around.locking, ..Around::default() };
                let left = self.body(left, bare, parent)?;
                let right = self.body(right, bare, parent)?;
                let bound = self.set_operation(*operator, *all, left, right)?;
                self.order_and_limit(bound, around)
            }
        }
    }

    fn values(&mut self, rows: &[Vec<AstExpr>], parent: Option<&Scope<'_>>) -> SqlResult<BoundQuery> {
        let scope = Scope::new(None);
        let mut applies = Vec::new();
        let mut bound = Vec::new();
        let scope = Scope { parent, ..scope };
        for row in rows {
            let mut cx = ExprContext::plain("field list", &mut applies);
            let exprs = self.exprs(row, &scope, &mut cx)?;
            if bound.first().is_some_and(|first: &Vec<Expr>| first.len() != exprs.len()) {
                return Err(SqlError::new(
                    1136,
                    format!("Column count doesn't match value count at row {}", bound.len() + 1),
                ));
            }
            bound.push(exprs);
        }
        let width = bound.first().map_or(0, Vec::len);
        let columns = (0..width)
            .map(|i| {
                let exprs: Vec<&Expr> = bound.iter().map(|row| &row[i]).collect();
                computed(&format!("column_{i}"), common_type(&exprs))
            })
            .collect();
        let plan = QueryPlan { node: Node::Values { rows: bound, width, applies }, width, row_width: width };
        Ok(BoundQuery { plan, columns })
    }

    pub(crate) fn set_operation(
        &mut self,
        operator: SetOperator,
        all: bool,
        left: BoundQuery,
        right: BoundQuery,
    ) -> SqlResult<BoundQuery> {
        let width = left.columns.len();
        if right.columns.len() != width {
            return Err(SqlError::new(1222, "The used SELECT statements have a different number of columns"));
        }
        let mut columns = Vec::with_capacity(width);
        for (l, r) in left.columns.iter().zip(&right.columns) {
            let a = Expr::Column { index: 0, ty: l.ty.clone() };
            let b = Expr::Column { index: 0, ty: r.ty.clone() };
            let ty = self.union_type(a, b)?;
            columns.push(computed(&l.name, ty));
        }
        let keys: Vec<SortType> = columns.iter().map(|c| SortType::shown(&c.ty.data_type)).collect();
        // Both sides are opened with one width, which must do for the wider.
        let row_width = left.plan.row_width.max(right.plan.row_width).max(width);
        let left = self.converted(left, &columns)?;
        let right = self.converted(right, &columns)?;
        let node = match operator {
            SetOperator::Union if all => Node::Union(appended(left, right)),
            SetOperator::Union => {
                let parts = match left {
                    Node::Distinct { input, .. } if matches!(*input, Node::Union(_)) => {
                        appended(*input, right)
                    }
                    other => vec![other, right],
                };
                Node::Distinct { input: Box::new(Node::Union(parts)), visible: width, keys }
            }
            SetOperator::Intersect | SetOperator::Except => Node::SetDifference {
                left: Box::new(left),
                right: Box::new(right),
                keep_common: operator == SetOperator::Intersect,
                all,
                keys,
            },
        };
        Ok(BoundQuery { plan: QueryPlan { node, width, row_width }, columns })
    }

    /// The type of a union's column: that of CASE with both.
    fn union_type(&self, a: Expr, b: Expr) -> SqlResult<crate::expr::ExprType> {
        let ty = a.expr_type().clone();
        if ty.data_type == b.expr_type().data_type {
            return Ok(crate::expr::ExprType { nullable: ty.nullable || b.nullable(), ..ty });
        }
        let condition = expr::bool_literal(true);
        Ok(expr::case(None, vec![(condition, a)], Some(b), self.env.bind)?.expr_type().clone())
    }

    /// Rows of a query with values of the given types.
    pub(crate) fn converted(&self, query: BoundQuery, columns: &[OutColumn]) -> SqlResult<Node> {
        let same = query.columns.iter().zip(columns).all(|(a, b)| {
            a.ty.data_type.kind == b.ty.data_type.kind
                && a.ty.data_type.decimals == b.ty.data_type.decimals
                && a.ty.data_type.unsigned == b.ty.data_type.unsigned
        });
        if same {
            return Ok(query.plan.node);
        }
        let mut exprs = Vec::new();
        for (index, (from, to)) in query.columns.iter().zip(columns).enumerate() {
            let column = Expr::Column { index, ty: from.ty.clone() };
            let target = Expr::Literal { value: aquifer_types::Value::Null, ty: to.ty.clone() };
            let converts = from.ty.data_type.kind != to.ty.data_type.kind
                || from.ty.data_type.decimals != to.ty.data_type.decimals;
            exprs.push(if converts {
                expr::case(None, vec![(expr::bool_literal(true), column)], Some(target), self.env.bind)?
            } else {
                column
            });
        }
        Ok(Node::Project { input: Box::new(query.plan.node), applies: Vec::new(), exprs })
    }

    /// ORDER BY and LIMIT over the columns of a query.
    pub(crate) fn order_and_limit(&mut self, bound: BoundQuery, around: Around<'_>) -> SqlResult<BoundQuery> {
        let width = bound.columns.len();
        let mut keys = Vec::new();
        let mut scope = Scope::new(None);
        scope.push(columns_as_table(&bound.columns))?;
        let mut applies = Vec::new();
        let mut exprs = Vec::new();
        for item in around.order {
            let descending = item.descending;
            if let Some(column) = order_column(&item.expr, &bound.columns)? {
                let ty = SortType::of(&bound.columns[column].ty.data_type);
                keys.push(SortKey { column, ty, descending });
                continue;
            }
            let mut cx = ExprContext::plain("order clause", &mut applies);
            let expr = self.expr(&item.expr, &scope, &mut cx)?;
            keys.push(SortKey {
                column: width + exprs.len(),
                ty: SortType::of(expr.data_type()),
                descending,
            });
            exprs.push(expr);
        }
        let limit = around.limit.map(|limit| self.limit(limit)).transpose()?;
        let mut node = bound.plan.node;
        let computed = !exprs.is_empty();
        if computed {
            node = Node::Extend { input: Box::new(node), width, applies, exprs };
        }
        node = finish_rows(node, keys, limit);
        if computed {
            node = Node::Cut { input: Box::new(node), width };
        }
        Ok(BoundQuery {
            plan: QueryPlan { node, width, row_width: bound.plan.row_width },
            columns: bound.columns,
        })
    }

    /// LIMIT and OFFSET.
    pub(crate) fn limit(&mut self, limit: &Limit) -> SqlResult<LimitNode> {
        let offset = limit.offset.as_ref().map(|value| self.limit_value(value)).transpose()?;
        Ok(LimitNode { offset, count: Some(self.limit_value(&limit.count)?) })
    }

    pub(crate) fn limit_value(&mut self, value: &AstExpr) -> SqlResult<Expr> {
        match value {
            AstExpr::Literal(literal @ Literal::UInt(_)) => self.literal(literal),
            AstExpr::Param(index) => Ok(expr::param(*index, DataType::bigint_unsigned())),
            _ => Err(SqlError::new(1210, "Incorrect arguments to LIMIT")),
        }
    }

    /// How a block locks its rows.
    pub(crate) fn lock_spec(&mut self, locking: Option<&Locking>) -> Option<LockSpec> {
        let locking = locking?;
        self.locks = true;
        let mode = if locking.shared { LockMode::Shared } else { LockMode::Exclusive };
        let wait = if locking.nowait {
            WaitSpec::NoWait
        } else if locking.skip_locked {
            WaitSpec::Skip
        } else {
            WaitSpec::Timeout
        };
        Some(LockSpec { mode, wait })
    }
}

/// Parts of a union with one more: a chain of unions is one list.
fn appended(left: Node, right: Node) -> Vec<Node> {
    match left {
        Node::Union(mut parts) => {
            parts.push(right);
            parts
        }
        other => vec![other, right],
    }
}

/// Sorts and limits rows whose keys are columns of theirs.
pub(crate) fn finish_rows(node: Node, keys: Vec<SortKey>, limit: Option<LimitNode>) -> Node {
    if !keys.is_empty() {
        return Node::Sort { input: Box::new(node), keys, limit };
    }
    match limit {
        Some(limit) => Node::Limit { input: Box::new(node), limit },
        None => node,
    }
}

/// A column that is not one of a table.
pub(crate) fn computed(name: &str, ty: crate::expr::ExprType) -> OutColumn {
    let empty: Arc<str> = Arc::from("");
    OutColumn {
        name: Arc::from(name),
        flags: super::output::flags_of_type(&ty.data_type, ty.nullable),
        ty,
        schema: empty.clone(),
        table: empty.clone(),
        org_table: empty.clone(),
        org_name: empty,
    }
}

/// The type that values of several expressions have in one column.
fn common_type(exprs: &[&Expr]) -> crate::expr::ExprType {
    let mut ty = exprs[0].expr_type().clone();
    for other in exprs {
        ty.nullable |= other.nullable();
        if other.data_type().length > ty.data_type.length {
            ty.data_type.length = other.data_type().length;
        }
    }
    ty
}

/// The column that an ORDER BY item of a union names; `None` for an expression.
fn order_column(item: &AstExpr, columns: &[OutColumn]) -> SqlResult<Option<usize>> {
    match item {
        AstExpr::Literal(Literal::UInt(position)) => {
            let index = usize::try_from(*position).ok().and_then(|p| p.checked_sub(1));
            let index = index.filter(|index| *index < columns.len());
            index
                .map(Some)
                .ok_or_else(|| SqlError::new(1054, format!("Unknown column '{position}' in 'order clause'")))
        }
        AstExpr::Column(name) => columns
            .iter()
            .position(|column| super::scope::same_name(&column.name, &name.name))
            .map(Some)
            .ok_or_else(|| super::scope::unknown_column(name, "order clause")),
        _ => Ok(None),
    }
}

/// The columns of a query as a table without a name.
fn columns_as_table(columns: &[OutColumn]) -> ScopeTable {
    let empty: Arc<str> = Arc::from("");
    let columns = columns
        .iter()
        .map(|column| ScopeColumn {
            name: column.name.clone(),
            data_type: column.ty.data_type.clone(),
            nullable: column.ty.nullable,
            invisible: false,
            merged: false,
            flags: column.flags,
            org_name: empty.clone(),
            org_table: empty.clone(),
            schema: empty.clone(),
        })
        .collect();
    ScopeTable { alias: empty.clone(), schema: empty, offset: 0, columns, info: None, reads: None }
}

/// A query that selects only these items.
pub(crate) fn select_of(items: Vec<crate::ast::SelectItem>) -> Query {
    let select = crate::ast::Select {
        distinct: false,
        calc_found_rows: false,
        straight_join: false,
        items,
        from: None,
        filter: None,
        group: Vec::new(),
        rollup: false,
        having: None,
        windows: Vec::new(),
    };
    let body = QueryBody::Select(Box::new(select));
    Query { with: None, body, order: Vec::new(), limit: None, locking: None, into: None }
}
