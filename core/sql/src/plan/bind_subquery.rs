//! Subqueries in expressions: their results are parameters (ADR 0071).

use std::borrow::Cow;

use aquifer_types::{DataType, SqlResult, TypeKind};

use crate::ast::{AstExpr, Literal, Quantifier, Query, QueryBody, SelectItem};
use crate::expr::{self, BinaryOp, CompareOp, Expr, UnaryOp};
use crate::plan::bind_expr::{ExprContext, operand_columns};
use crate::plan::binder::Binder;
use crate::plan::keyed::KeyedKind;
use crate::plan::node::{ApplyKind, HashedRows, Node};
use crate::plan::scope::Scope;
use crate::plan::sort_type::SortType;

impl Binder<'_> {
    pub(crate) fn scalar_subquery(
        &mut self,
        query: &Query,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let init = self.init.len();
        let mut sub = self.subquery(query, scope)?;
        let [column] = &*sub.columns else { return Err(operand_columns(1)) };
        let mut ty = column.ty.clone();
        ty.nullable = true;
        sub.keyed = self.keyed(query, scope, &sub, KeyedKind::Aggregate, init);
        let result = self.allocate_slot();
        self.attach(sub, ApplyKind::Scalar, result, cx);
        Ok(Expr::Param { index: result, ty })
    }

    pub(crate) fn exists(
        &mut self,
        query: &Query,
        negated: bool,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let init = self.init.len();
        let query = without_columns(query);
        let mut sub = self.subquery(&query, scope)?;
        sub.keyed = self.keyed(&query, scope, &sub, KeyedKind::Exists, init);
        first_row(&mut sub.plan.node);
        let result = self.allocate_slot();
        self.attach(sub, ApplyKind::Exists, result, cx);
        let value = expr::param(result, DataType { length: 1, ..DataType::of(TypeKind::BigInt) });
        if negated { expr::unary(UnaryOp::Not, value, self.env.bind) } else { Ok(value) }
    }

    pub(crate) fn compare_subquery(
        &mut self,
        value: &AstExpr,
        query: &Query,
        op: CompareOp,
        quantifier: Quantifier,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let operands = match value {
            AstExpr::Row(list) => self.exprs(list, scope, cx)?,
            single => vec![self.expr(single, scope, cx)?],
        };
        let init = self.init.len();
        let mut sub = self.subquery(query, scope)?;
        if sub.columns.len() != operands.len() {
            return Err(operand_columns(operands.len()));
        }
        sub.keyed = self.keyed(query, scope, &sub, KeyedKind::Rows, init);
        let operand_slots: Vec<usize> = operands.iter().map(|_| self.allocate_slot()).collect();
        let row_slots: Vec<usize> = operands.iter().map(|_| self.allocate_slot()).collect();
        let left: Vec<Expr> = operand_slots
            .iter()
            .zip(&operands)
            .map(|(slot, operand)| Expr::Param { index: *slot, ty: operand.expr_type().clone() })
            .collect();
        let right: Vec<Expr> = row_slots
            .iter()
            .zip(&*sub.columns)
            .map(|(slot, column)| Expr::Param { index: *slot, ty: column.ty.clone() })
            .collect();
        let pairs = || left.iter().zip(&right).map(|(a, b)| (a.data_type(), b.data_type()));
        let one_match = op == CompareOp::Eq && quantifier == Quantifier::Any;
        let hash = (one_match && pairs().all(|(a, b)| SortType::hashable(a, b))).then(|| {
            let types = pairs().map(|(a, _)| SortType::of(a)).collect();
            let columns = sub.columns.iter().map(|column| column.ty.clone()).collect();
            Box::new(HashedRows { types, columns })
        });
        let mut pair = left.into_iter().zip(right);
        let test = match (operands.len(), pair.next()) {
            (1, Some((a, b))) => expr::binary(BinaryOp::Compare(op), a, b, self.env.bind)?,
            (_, first) => {
                let (left, right) = first.into_iter().chain(pair).unzip();
                expr::row_compare(op, left, right, self.env.bind)?
            }
        };
        let result = self.allocate_slot();
        let all = quantifier == Quantifier::All;
        let kind = ApplyKind::Compare { operands, operand_slots, row_slots, test, all, hash };
        self.attach(sub, kind, result, cx);
        Ok(expr::param(result, DataType { length: 1, ..DataType::of(TypeKind::BigInt) }))
    }
}

/// The query with 1 instead of `*`: EXISTS asks for no column, and an index may then do without the rows.
fn without_columns(query: &Query) -> Cow<'_, Query> {
    let QueryBody::Select(select) = &query.body else { return Cow::Borrowed(query) };
    if select.from.is_none() || select.distinct || !matches!(&*select.items, [SelectItem::Wildcard(None)]) {
        return Cow::Borrowed(query);
    }
    let one = AstExpr::Literal(Literal::UInt(1));
    let mut select = select.clone();
    select.items = vec![SelectItem::Expr { expr: one, alias: None, text: "1".to_owned() }];
    Cow::Owned(Query { body: QueryBody::Select(select), ..query.clone() })
}

/// Has a lone scan read one row at a time.
fn first_row(node: &mut Node) {
    match node {
        Node::Project { input, .. } | Node::Filter { input, .. } => first_row(input),
        Node::Scan(scan) => scan.first = true,
        _ => {}
    }
}
