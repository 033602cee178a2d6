//! The catalog: databases, tables, accounts and persisted variables, as rows of system tables in the same key
//! space as the data.
//!
//! A [`Catalog`] is an immutable snapshot that is built from those rows ([`Catalog::from_rows`]) and carried
//! forward by changed rows ([`Catalog::apply`]); nodes share it behind an `Arc`. Changes are functions in
//! [`rows`] that return writes; the SQL layer puts them through a transaction, so DDL is atomic and a
//! checkpoint holds the whole database. What this crate does not know: SQL text, transactions, and the rows
//! of users' tables. The stored form is documented in `core/docs/formats/catalog.md`.

pub mod account;
mod account_row;
pub mod model;
mod proto;
pub mod rights;
mod roles;
mod row_parts;
pub mod rows;
mod snapshot;

pub use account::{Account, AccountId, ColumnGrant, DatabaseGrant, Privileges, RoleGrant, TableGrant};
pub use model::{
    Check, Column, ColumnDefault, ColumnId, Database, DatabaseId, ForeignKey, Generated, Index, IndexKind,
    IndexPart, IndexState, Layout, Rebuild, ReferentialAction, StoredColumn, Table, TableOptions, View,
    ViewAlgorithm, ViewCheck,
};
pub use rights::Rights;
pub use rows::{SYSTEM_RANGE_END, SYSTEM_RANGE_START, Write};
pub use snapshot::Catalog;
