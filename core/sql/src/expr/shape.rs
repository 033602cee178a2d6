//! Looking at expressions and rewriting them: what the planner needs.

use aquifer_types::TypeKind;

use super::domain::own_domain;
use super::ir::{BinaryOp, CastTarget, CompareDomain, CompareOp, Expr, Negation, Op};

impl Expr {
    /// Whether the value is the same for every row of one execution: no column, nothing volatile.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.all(&mut |e| match e {
            Self::Column { .. } => false,
            Self::Call(call) => !call.op.is_volatile(),
            _ => true,
        })
    }

    /// Whether the value is the same for every execution: may be folded when the plan is made.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.all(&mut |e| match e {
            Self::Column { .. } | Self::Param { .. } => false,
            Self::Literal { .. } => true,
            Self::Call(call) => call.op.is_immutable(),
        })
    }

    /// Whether `test` holds for this node and all below it.
    pub fn all(&self, test: &mut dyn FnMut(&Self) -> bool) -> bool {
        if !test(self) {
            return false;
        }
        match self {
            Self::Call(call) => call.args.iter().all(|a| a.all(test)),
            _ => true,
        }
    }

    /// Calls `visit` on this node, then on all below it.
    pub fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        if let Self::Call(call) = self {
            call.args.iter().for_each(|a| a.walk(visit));
        }
    }

    /// Positions of the columns used, ascending, each once.
    #[must_use]
    pub fn columns(&self) -> Vec<usize> {
        let mut found = Vec::new();
        self.walk(&mut |e| {
            if let Self::Column { index, .. } = e {
                found.push(*index);
            }
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Replaces every column position by what `map` says.
    pub fn map_columns(&mut self, map: &mut dyn FnMut(usize) -> usize) {
        match self {
            Self::Column { index, .. } => *index = map(*index),
            Self::Call(call) => call.args.iter_mut().for_each(|a| a.map_columns(map)),
            _ => {}
        }
    }

    /// Rebuilds the tree from the leaves up: `f` gets each node after its arguments were rewritten.
    /// The replacement must have the type of what it replaces.
    #[must_use]
    pub fn rewrite(self, f: &mut dyn FnMut(Self) -> Self) -> Self {
        let node = match self {
            Self::Call(mut call) => {
                let args = std::mem::take(&mut call.args);
                call.args = args.into_iter().map(|a| a.rewrite(f)).collect();
                Self::Call(call)
            }
            leaf => leaf,
        };
        f(node)
    }

    /// Rebuilds the outermost operator with other arguments of the same types.
    pub(crate) fn map_args(self, f: &mut dyn FnMut(Self) -> Self) -> Self {
        match self {
            Self::Call(mut call) => {
                let args = std::mem::take(&mut call.args);
                call.args = args.into_iter().map(f).collect();
                Self::Call(call)
            }
            leaf => leaf,
        }
    }

    /// Whether the outermost operator computes a date or a DECIMAL: work that is worth doing once and that fails for no
    /// operands, so that it may be done although no row would have needed it.
    pub(crate) fn is_safe_arithmetic(&self) -> bool {
        let Self::Call(call) = self else { return false };
        match call.op {
            Op::AddInterval(..) => true,
            Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul) => {
                call.ty.data_type.kind == TypeKind::Decimal
            }
            _ => false,
        }
    }

    /// Whether the outermost operator is a function of nothing, as NOW() is, or makes a date of its operand.
    pub(crate) fn is_safe_operand(&self) -> bool {
        let Self::Call(call) = self else { return true };
        match call.op {
            Op::Function(_) => call.args.is_empty() && !self.is_volatile(),
            Op::Cast(CastTarget::Date | CastTarget::DateTime(_)) => true,
            _ => false,
        }
    }

    /// Arguments of the outermost operator; none for a leaf.
    #[must_use]
    pub fn args(&self) -> &[Self] {
        match self {
            Self::Call(call) => &call.args,
            _ => &[],
        }
    }

    /// The two sides if this is a conjunction.
    #[must_use]
    pub fn as_and(&self) -> Option<(&Self, &Self)> {
        match self {
            Self::Call(call) if matches!(call.op, Op::And) => Some((&call.args[0], &call.args[1])),
            _ => None,
        }
    }

    /// The two sides if this is a disjunction.
    #[must_use]
    pub fn as_or(&self) -> Option<(&Self, &Self)> {
        match self {
            Self::Call(call) if matches!(call.op, Op::Or) => Some((&call.args[0], &call.args[1])),
            _ => None,
        }
    }

    /// Operator and sides if this is a comparison.
    #[must_use]
    pub fn as_comparison(&self) -> Option<(CompareOp, &Self, &Self)> {
        match self {
            Self::Call(call) => match call.op {
                Op::Compare(op, _) => Some((op, &call.args[0], &call.args[1])),
                _ => None,
            },
            _ => None,
        }
    }

    /// Operand and members if this is `a IN (b, …)`, not negated.
    #[must_use]
    pub fn as_in_list(&self) -> Option<(&Self, &[Self])> {
        match self {
            Self::Call(call) if matches!(call.op, Op::In(Negation::Plain, _)) => call.args.split_first(),
            _ => None,
        }
    }

    /// Operand, low and high if this is `a BETWEEN b AND c`, not negated.
    #[must_use]
    pub fn as_between(&self) -> Option<(&Self, &Self, &Self)> {
        match self {
            Self::Call(call) if matches!(call.op, Op::Between(Negation::Plain, ..)) => {
                Some((&call.args[0], &call.args[1], &call.args[2]))
            }
            _ => None,
        }
    }

    /// The operand if this is `a IS NULL`, not negated.
    #[must_use]
    pub fn as_is_null(&self) -> Option<&Self> {
        match self {
            Self::Call(call) if matches!(call.op, Op::IsNull(Negation::Plain)) => Some(&call.args[0]),
            _ => None,
        }
    }

    /// Value, pattern and escape if this is `a LIKE b`, not negated.
    #[must_use]
    pub fn as_like(&self) -> Option<(&Self, &Self, &Self)> {
        match self {
            Self::Call(call) if matches!(call.op, Op::Like(Negation::Plain, _)) => {
                Some((&call.args[0], &call.args[1], &call.args[2]))
            }
            _ => None,
        }
    }

    /// The lower-case name if this is a function of the function table.
    #[must_use]
    pub fn as_function(&self) -> Option<(&'static str, &[Self])> {
        match self {
            Self::Call(call) => match call.op {
                Op::Function(def) => Some((def.name, &call.args)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether an index lookup may replace this comparison: the sides were compared in the domain of
    /// `column`'s own type, so that key order and comparison agree. `column` is one of the sides; for
    /// BETWEEN and IN every member is compared so.
    #[must_use]
    pub fn compares_in_domain_of(&self, column: &Self) -> bool {
        let own = own_domain(column.data_type());
        match self {
            Self::Call(call) => match &call.op {
                Op::Compare(_, d) => *d == own,
                Op::Between(_, a, b) => *a == own && *b == own,
                Op::In(_, all) => all.iter().all(|d| *d == own),
                Op::Like(_, c) => CompareDomain::String(*c) == own,
                Op::IsNull(_) => true,
                _ => false,
            },
            _ => false,
        }
    }
}
