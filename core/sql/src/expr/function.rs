//! The table of functions.

use aquifer_types::{SqlResult, Value};

use super::context::{BindContext, EvalContext};
use super::ir::{Call, Expr, ExprType};

/// On what the result of a function depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stability {
    /// Its arguments alone.
    Immutable,
    /// Also the session or the statement: constant within one execution.
    Statement,
    /// Each call may differ.
    Volatile,
}

/// One function.
pub struct FunctionDef {
    pub(crate) name: &'static str,
    pub(crate) args_min: usize,
    pub(crate) args_max: usize,
    pub(crate) stability: Stability,
    pub(crate) infer: fn(&mut Vec<Expr>, &BindContext) -> SqlResult<ExprType>,
    pub(crate) eval: fn(&Call, &[Value], &mut EvalContext) -> SqlResult<Value>,
}

impl std::fmt::Debug for FunctionDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
