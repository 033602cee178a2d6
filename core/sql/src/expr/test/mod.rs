//! Tests of expressions.

mod aggregate_test;
mod context_test;
mod golden_test;
mod type_test;
pub mod text;
