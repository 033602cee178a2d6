//! The three cache tiers of a node, and the block source that reads through them.
//!
//! | tier | holds | keyed by | changed by | survives restart |
//! |---|---|---|---|---|
//! | [`RowCache`] | newest committed rows | full primary key bytes | the row's home core; fills from any thread | no |
//! | [`BlockCache`] | decompressed SST blocks | SST and offset | any thread | no |
//! | [`DiskCache`] | SST blocks as stored | SST and offset | its own writer thread | yes |
//!
//! [`TieredSource`] puts the block and disk cache in front of the object store for `lsm`: one fetch
//! for many waiters, verified before use, healed from the store when the local copy is damaged.
//!
//! Invariants:
//!
//! 1. Each tier keeps its own byte limit ([`CacheConfig`]); no tier borrows from another.
//! 2. A row that the row cache returns at an LSN is the newest version at or below that LSN.
//! 3. No byte from the disk cache is used before its checksum has been verified.
//! 4. Losing any tier, at any moment, loses no data and fails no statement.
//!
//! Deliberately not here: the manifest and the pinned index and filter blocks (see `lsm`), deciding
//! what is hot enough to admit after a compaction (see `writer`), any knowledge of rows' contents.

pub mod block;
pub mod config;
pub mod counters;
pub mod disk;
mod flight;
mod hash;
pub mod hedge;
pub mod hot_set;
pub mod row;
pub mod tiered;

pub use block::{Access, BlockCache, BlockKey};
pub use config::{BlockCacheConfig, CacheConfig, DiskCacheConfig, IoEngine, RowCacheConfig, WriteAdmission};
pub use counters::{BlockCounters, DiskCounters, RowCounters, SourceCounters};
pub use disk::survey::{DiskSurvey, survey};
pub use disk::{DiskCache, DiskState};
pub use hedge::{HedgeCounters, HedgedReader, Pauses};
pub use row::{FillOutcome, HeldFills, RowCache, RowLookup};
pub use tiered::{RangeFuture, RangeReader, TieredSource};
