//! The reader role: follows a branch's chain and serves consistent snapshots of it.
//!
//! A reader opens the newest checkpoint, reads the links after it, and then probes for the next link, fast
//! while there is traffic and ever more slowly while there is none and nobody asks ([`pace`]). It applies each link as a whole and
//! makes it visible in LSN order. It writes nothing to the store, and knows nothing of the writer but its
//! links.

pub mod node;
pub mod pace;
pub mod start;
pub mod tailer;
pub mod txn;

pub use node::{ReaderNode, ReaderPart, ReaderShared};
pub use start::Reader;
pub use tailer::{Lag, TailOptions, Tailer, open};
