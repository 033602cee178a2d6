//! Whether a statement that changes tables reads one of them in a subquery (error 1093, manual 15.2.17).
//!
//! Derived tables and common tables are exempt: their rows are computed before anything is changed.

use crate::ast::{AstExpr, JoinCondition, Query, QueryBody, Select, SelectItem, TableName, TableRef};

/// A target that a subquery of the expressions, or of ON, names.
pub(super) fn find_target<'e>(
    exprs: impl Iterator<Item = &'e AstExpr>,
    from: &'e TableRef,
    is_target: &dyn Fn(&TableName) -> bool,
) -> Option<&'e TableName> {
    let mut finder = Finder { is_target, found: None };
    exprs.for_each(|expr| finder.expr(expr));
    finder.conditions(from);
    finder.found
}

struct Finder<'e, 'f> {
    is_target: &'f dyn Fn(&TableName) -> bool,
    found: Option<&'e TableName>,
}

impl<'e> Finder<'e, '_> {
    fn expr(&mut self, expr: &'e AstExpr) {
        match expr {
            AstExpr::Subquery(query)
            | AstExpr::Exists(query, _)
            | AstExpr::InSubquery(_, query, _)
            | AstExpr::Quantified(_, _, _, query) => self.query(query),
            _ => {}
        }
        expr.for_each_child(&mut |child| self.expr(child));
    }

    fn query(&mut self, query: &'e Query) {
        self.body(&query.body);
        query.order.iter().for_each(|item| self.expr(&item.expr));
    }

    fn body(&mut self, body: &'e QueryBody) {
        match body {
            QueryBody::Select(select) => self.select(select),
            QueryBody::Values(rows) => rows.iter().flatten().for_each(|expr| self.expr(expr)),
            QueryBody::Nested(query) => self.query(query),
            QueryBody::Set { left, right, .. } => {
                self.body(left);
                self.body(right);
            }
        }
    }

    fn select(&mut self, select: &'e Select) {
        for item in &select.items {
            if let SelectItem::Expr { expr, .. } = item {
                self.expr(expr);
            }
        }
        if let Some(from) = &select.from {
            self.tables(from);
            self.conditions(from);
        }
        let conditions = select.filter.iter().chain(&select.group).chain(&select.having);
        conditions.for_each(|expr| self.expr(expr));
    }

    /// Tables of a subquery's FROM.
    fn tables(&mut self, from: &'e TableRef) {
        match from {
            TableRef::Table { name, .. } if (self.is_target)(name) => self.found = Some(name),
            TableRef::Join(join) => {
                self.tables(&join.left);
                self.tables(&join.right);
            }
            TableRef::Table { .. } | TableRef::Derived { .. } | TableRef::JsonTable(_) => {}
        }
    }

    /// Subqueries of ON.
    fn conditions(&mut self, from: &'e TableRef) {
        if let TableRef::Join(join) = from {
            self.conditions(&join.left);
            self.conditions(&join.right);
            if let JoinCondition::On(condition) = &join.condition {
                self.expr(condition);
            }
        }
    }
}
