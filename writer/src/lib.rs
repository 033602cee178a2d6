//! The writer role: gives transactions their order, makes them durable, publishes them, and keeps the tables
//! in shape.
//!
//! | module | owns |
//! |---|---|
//! | [`recovery`], [`start`] | taking a branch over, starting and stopping |
//! | [`sequencer`] | LSNs, group commit, dispatch to the executors |
//! | [`publisher`], [`rescue`] | the chain; what happens when another writer takes it |
//! | [`outbox`] | what waits on the local disk while the store is away |
//! | [`maintenance`], [`build`], [`optimizing`] | flush and compaction; OPTIMIZE TABLE |
//! | [`load`], [`failures`] | indexes that are filled beside the write set, and what ends such a build |
//! | [`admission`] | holding commits back while these are behind |
//! | [`collection`] | deleting what nothing can reach |
//! | [`txn`], [`node`], [`counters`] | transactions as sessions see them |
//!
//! It knows nothing of readers: they read what it publishes.

pub mod admission;
pub mod build;
pub mod collection;
pub mod counters;
pub mod failures;
pub mod load;
pub mod maintenance;
pub mod node;
mod opening;
pub mod optimizing;
pub mod outbox;
pub mod prepared;
pub mod publisher;
pub mod recovery;
pub mod rescue;
pub mod sequencer;
pub mod settings;
pub mod spill;
pub mod start;
pub mod txn;

#[cfg(test)]
mod counters_test;

pub use opening::StartFacts;
pub use settings::WriterSettings;
pub use start::Writer;
