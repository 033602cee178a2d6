//! Threads and what connects them: executors, mailboxes with doorbells, lanes, and accepting clients.

pub mod doorbell;
pub mod executor;
pub mod lane;
pub mod listen;
pub mod queue;
pub mod ticker;
