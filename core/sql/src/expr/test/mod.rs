//! Tests of expressions.

mod aggregate_test;
mod context_test;
mod golden_test;
pub mod text;
mod type_test;
