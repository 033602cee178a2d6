//! The commit log: a Raft group's log in segment files, with one durable write a group of
//! transactions.
//!
//! A [`Log`] is driven by one thread, the log thread, which sleeps in [`Log::poll`] and nowhere else:
//!
//! 1. [`Log::propose`] makes one Raft entry of a group of transactions and starts its durable write.
//!    Up to `in_flight_max` writes overlap.
//! 2. [`Log::poll`] enters the device once: writes are started, completions taken, the [`Waker`] heard.
//!    Completions are told to Raft in the order of the writes, whatever order they arrive in.
//! 3. What Raft then says is committed is returned, in order. Only that may be acknowledged.
//! 4. [`Log::truncate_prefix`] frees segments whose entries are published and flushed.
//!
//! Layers: [`codec`] knows bytes, `recovery` decides what a log on disk means, `core` is Raft as a pure
//! step function over `storage`, `segments` keeps the files, [`device`] does the I/O. What this crate
//! does not know: what an entry means, and (yet) how to reach other members; a group has one.
//!
//! Invariants: an entry is returned only after the write that holds it is durable; a block that a
//! durable write has touched is never written again while its segment lives; a log that cannot be
//! read where it was durable is an error that names the place, never a shorter log. Every error for
//! which [`LogError::is_fatal`] holds means that the owner must stop.

mod api;
mod buffer;
pub mod codec;
mod core;
pub mod device;
mod error;
mod log;
mod recovery;
mod segments;
mod stats;
mod storage;
mod waker;

pub use api::{Committed, DeviceKind, DirectIo, LogIndex, LogOptions, Recovered, Wait};
pub use buffer::Buffer;
pub use error::LogError;
pub use log::Log;
pub use stats::LogStats;
pub use waker::Waker;
