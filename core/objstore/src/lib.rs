//! The object store: where links, checkpoints and tables live.
//!
//! [`Store`] is the handle that everybody uses. It hands each request to the S3 lane, one thread with a
//! tokio runtime, and can be awaited on any executor. Behind it stands an [`ObjectStore`]: a directory
//! ([`DirStore`]), S3 ([`S3Store`]), a simulation of S3 ([`SimStore`]), or a wrapper for tests ([`FaultStore`]).
//!
//! Invariants:
//! * [`Store::put_if_absent`] is atomic: of any number of callers with different bytes, in any number of
//!   processes, at most one is told [`PutOutcome::Created`] for a key, and the object then holds its bytes
//!   for as long as nobody deletes it. A store that cannot do this is refused by
//!   [`probe_conditional_put`].
//! * When a PUT returns, the object is durable.
//! * Keys are relative to the root of the store (bucket and prefix, or directory).
//!
//! This crate does not know what is stored and caches nothing.

mod block_on;
pub mod dir;
pub mod error;
pub mod fault;
mod lane;
pub mod meter;
pub mod probe;
mod retry;
pub mod s3;
pub mod sim;
mod store;
pub mod traits;
pub mod url;
pub mod waiting;

pub use block_on::block_on;
pub use dir::DirStore;
pub use error::{StoreError, StoreErrorKind, StoreResult};
pub use fault::{Fault, FaultStore};
pub use meter::{CostLine, Meter, MeterSnapshot, Operation, OperationCounts, PriceTable};
pub use probe::probe_conditional_put;
pub use retry::Retry;
pub use s3::{S3Options, S3PathStyle, S3Store};
pub use sim::{SimFault, SimOptions, SimProfile, SimStore, SimTime};
pub use store::{Store, StoreOptions};
pub use traits::{ObjectInfo, ObjectStore, Page, PutOutcome, StoreFuture};
pub use url::StoreUrl;
pub use waiting::WaitingObjects;
