//! Expressions: their form, their types and their evaluation, with MySQL's semantics.
//!
//! The binder builds expressions only through the constructors of this module, which infer types as
//! MySQL shows them in result set metadata. Evaluation is synchronous and does no I/O: the executor runs
//! subqueries and puts their results into extra columns or parameters before it evaluates.

pub mod aggregate;
mod aggregate_json;
mod aggregate_texts;
mod aggregate_type;
mod arith;
mod build;
mod build_more;
mod cast;
mod coerce;
mod compare;
mod context;
mod control;
mod crypt;
mod domain;
mod eval;
mod format_date;
mod function;
mod hash;
mod infer;
mod info;
mod interval;
mod ir;
pub(crate) mod json;
mod math;
mod misc;
mod net;
mod regex_match;
mod regexp;
mod shape;
pub(crate) mod show;
mod string;
mod string_more;
mod sum;
mod temporal;
mod temporal_more;
pub mod window;

pub use build::{
    binary, bool_literal, column, decimal_literal, double_literal, hex_literal, int_literal, is_null,
    is_truth, literal, null_literal, param, set_user_variable, string_literal, uint_literal, unary,
    user_variable,
};
pub use build_more::{
    add_interval, between, case, cast, collate, convert_using, date_literal, extract, in_list, like, regexp,
    row_compare, row_in_list, timestamp_add, timestamp_diff, trim,
};
pub use compare::{sort_order, write_group_key};
pub use context::{BindContext, Environment, EvalContext, SessionFacts, UserVariables};
pub use function::{function, is_special};
pub use ir::{
    BinaryOp, Call, CastTarget, Coercibility, CompareOp, Expr, ExprType, IntervalSign, IntervalUnit,
    Negation, TrimSide, Truth, UnaryOp,
};
pub(crate) use json::{Otherwise, document_of as json_document, json_path, json_value};

#[cfg(test)]
mod test;
