//! Parts of conditions and of arguments that are the same for all rows of an execution, computed once before it.
//!
//! The text protocol makes parameters of literals, so `DATE '1998-12-01' - INTERVAL 90 DAY` is arithmetic that no plan can
//! do in advance. Such a part gets a parameter of its own, which is set when the execution begins. Only in queries, because a
//! statement that changes rows decides by row what is an error; and only what cannot fail, because there may be no row.

use crate::expr::{Expr, ExprType};
use crate::plan::binder::Binder;

/// Parameters with what they are set to.
pub(crate) type Constants = Vec<(usize, Expr)>;

impl Binder<'_> {
    /// Takes the constant parts out of an expression.
    pub(crate) fn hoist(&mut self, expr: &mut Expr) {
        if !self.hoists {
            return;
        }
        let whole = std::mem::replace(expr, crate::expr::null_literal());
        *expr = self.hoisted(whole);
    }

    fn hoisted(&mut self, expr: Expr) -> Expr {
        if expr.is_safe_arithmetic() && self.is_fixed(&expr) {
            let ty: ExprType = expr.expr_type().clone();
            let known = self.constants.iter().find(|(_, known)| *known == expr).map(|(slot, _)| *slot);
            let index = known.unwrap_or_else(|| {
                let slot = self.allocate_slot();
                self.constants.push((slot, expr));
                slot
            });
            return Expr::Param { index, ty };
        }
        expr.map_args(&mut |arg| self.hoisted(arg))
    }

    /// Whether nothing in it but parameters of the user, literals, and functions of them.
    fn is_fixed(&self, expr: &Expr) -> bool {
        expr.all(&mut |node| match node {
            Expr::Column { .. } => false,
            Expr::Param { index, .. } => *index < self.parameters,
            Expr::Literal { .. } => true,
            Expr::Call(_) => node.is_safe_arithmetic() || node.is_safe_operand(),
        })
    }
}
