//! Threads and what connects them: executors, mailboxes with doorbells, lanes, and accepting clients.

pub mod affinity;
pub mod boot;
mod bound;
pub mod chain;
pub mod doorbell;
pub mod engine;
pub mod error;
pub mod event;
pub mod executor;
pub mod homes;
pub mod hot_set;
pub mod lane;
pub mod listen;
pub mod local;
pub mod queue;
pub mod random;
pub mod reads;
mod runtime;
pub mod serve;
pub mod sizes;
pub mod snapshot;
mod socket;
pub mod status;
pub mod stop;
pub mod tables;
pub mod ticker;
