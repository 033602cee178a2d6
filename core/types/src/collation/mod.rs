//! Collations.
