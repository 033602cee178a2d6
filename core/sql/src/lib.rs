//! Placeholder.

pub mod expr;
pub mod txn;
