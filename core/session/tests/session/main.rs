//! Sessions over a node in memory, driven by a client that speaks the protocol byte by byte.

mod allocations;
mod client;
mod commands;
mod files;
mod login;
mod memory_node;
mod prepared;
mod scripts;
mod show;
mod transactions;
mod users;
mod variables;
mod waiting;
