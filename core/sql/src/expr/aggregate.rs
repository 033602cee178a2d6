//! Aggregate functions.

use aquifer_types::{DataType, SqlError, SqlResult, Value};

use super::context::{BindContext, EvalContext};
use super::ir::{Expr, ExprType};

/// One aggregate function call of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Arguments, evaluated by the executor over each input row; none for COUNT(*).
    pub args: Vec<Expr>,
    /// ORDER BY of GROUP_CONCAT: its values follow those of `args`.
    pub order_by: Vec<(Expr, SortOrder)>,
    kind: AggregateKind,
    ty: ExprType,
}

/// Direction of an ORDER BY part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SortOrder {
    Ascending,
    Descending,
}

/// ALL or DISTINCT before the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Duplicates {
    All,
    Distinct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AggregateKind {
    Count,
}

/// Whether `name` (in any case) is an aggregate function.
#[must_use]
pub fn is_aggregate(name: &str) -> bool {
    let _ = name;
    false
}

impl Aggregate {
    /// Binds an aggregate by name; `args` is empty for COUNT(*).
    ///
    /// # Errors
    /// 1582 for a wrong number of arguments, 1235 for one that Aquifer does not have.
    pub fn new(name: &str, duplicates: Duplicates, args: Vec<Expr>, bind: &BindContext) -> SqlResult<Self> {
        let _ = (name, duplicates, args, bind);
        Err(SqlError::not_supported("aggregate"))
    }

    /// ORDER BY and SEPARATOR of GROUP_CONCAT.
    #[must_use]
    pub fn with_order(self, order_by: Vec<(Expr, SortOrder)>, separator: Option<bytes::Bytes>) -> Self {
        let _ = separator;
        Self { order_by, ..self }
    }

    /// The type of the result.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.ty.data_type
    }

    /// The type with nullability and coercibility.
    #[must_use]
    pub fn expr_type(&self) -> &ExprType {
        &self.ty
    }

    /// State for one group.
    #[must_use]
    pub fn accumulator(&self) -> Accumulator {
        let _ = self.kind;
        Accumulator(())
    }
}

/// The state of one aggregate in one group.
#[derive(Clone, Debug)]
pub struct Accumulator(());

impl Accumulator {
    /// Takes in an input row: evaluates the aggregate's arguments over it.
    ///
    /// # Errors
    /// Those of the arguments, and 1690 for sums out of range.
    pub fn update(&mut self, aggregate: &Aggregate, row: &[Value], ctx: &mut EvalContext) -> SqlResult<()> {
        let _ = (aggregate, row, ctx);
        Ok(())
    }

    /// The result.
    ///
    /// # Errors
    /// 1690.
    pub fn finish(self, aggregate: &Aggregate, ctx: &mut EvalContext) -> SqlResult<Value> {
        let _ = (aggregate, ctx);
        Ok(Value::Null)
    }

    /// Bytes held, for the executor's memory budget.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        0
    }
}
