//! Expressions: their form, their types and their evaluation, with MySQL's semantics.
//!
//! The binder builds expressions only through the constructors of this module, which infer types as
//! MySQL shows them in result set metadata. Evaluation is synchronous and does no I/O: the executor runs
//! subqueries and puts their results into extra columns or parameters before it evaluates.

pub mod aggregate;
mod build;
mod context;
mod domain;
mod eval;
mod function;
mod ir;

pub use build::{
    add_interval, between, binary, bool_literal, case, cast, collate, column, convert_using,
    date_literal, decimal_literal, double_literal, extract, function, hex_literal, in_list,
    int_literal, is_null, is_truth, like, literal, null_literal, param, regexp, row_compare,
    row_in_list, set_user_variable, string_literal, timestamp_add, timestamp_diff, trim,
    uint_literal, unary, user_variable,
};
pub use context::{BindContext, Environment, EvalContext, SessionFacts, UserVariables};
pub use ir::{
    BinaryOp, Call, CastTarget, Coercibility, CompareOp, Expr, ExprType, IntervalSign,
    IntervalUnit, Negation, TrimSide, Truth, UnaryOp,
};
