//! Tests of expressions.
#![allow(clippy::unwrap_used)]

mod aggregate_test;
mod context_test;
mod golden_test;
pub mod text;
mod type_test;
