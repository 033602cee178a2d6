//! One client connection: commands, variables, users, prepared statements, transaction control and
//! warnings.
//!
//! A [`Session`] is a state machine without a socket: its owner hands it the bytes that the client sent
//! and gives away the bytes that it answers. Everything that the sessions of one executor share is in a
//! [`SessionHost`]; everything that the sessions of one node share is in a [`SessionRegistry`].
//!
//! Invariants:
//! * commands of one connection run one after the other, in the order in which they came;
//! * a session without a running command and without a transaction holds a few KiB;
//! * nothing here blocks a thread: what waits goes through [`node::Node`] or `sql::Txn`.
//!
//! What this crate deliberately does not know: sockets, threads, storage.

mod access;
mod accounts;
mod admin;
mod binary_literals;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod binary_literals_test;
mod bulk;
mod classify;
mod command;
mod direct;
mod engine_status;
mod explain;
mod facts;
mod fields;
mod grant_lines;
mod grants;
mod host;
mod identity;
mod load;
mod login;
pub mod node;
mod outcome;
mod outfile;
pub mod output;
mod prepared;
pub mod progress;
mod query;
pub mod registry;
mod requirements;
mod roles;
mod rows;
mod run;
mod server_file;
pub mod session;
mod set;
mod show;
mod state;
mod statement;
mod status;
mod table_locks;
mod temporary;
mod transaction;
pub mod variables;
mod waiting;
mod xa;

pub(crate) use aquifer_sql::virtual_tables::charset;

pub use output::{Output, PeerInfo, SessionFlow};
pub use registry::{ConnectionEntry, SessionRegistry, SessionSettings};
pub use session::{Session, SessionHost};

/// What `@@version` and the greeting say unless configured otherwise.
pub const VERSION: &str = "8.0.34-aquifer";
