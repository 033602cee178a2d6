//! The storage tree: memtable, tables, manifest, compaction picking, and reads over all of it.
//!
//! * Writing: [`Memtable`] takes committed writes; [`Rewrite`] turns frozen memtables into tables and tables
//!   into better ones; [`Manifest`] says which tables are live; [`compaction::pick`] says what to rewrite.
//! * Reading: [`get`] and [`Cursor`] over a [`ReadState`]. They are synchronous while all blocks are in
//!   memory and otherwise ask for what they [`Need`]; the `_async` forms load it from a [`BlockSource`].
//!
//! A key has versions, one for each transaction that wrote it, named by that transaction's LSN. Everything
//! here is ordered by user key ascending, then LSN descending.
//!
//! Does no I/O, owns no thread, knows neither the chain nor the meaning of keys and values.

pub mod anatomy;
pub mod block;
pub mod builder;
mod codec;
pub mod compaction;
pub mod cursor;
pub mod dead;
pub mod error;
pub mod estimate;
pub mod manifest;
pub mod memtable;
mod merge;
pub mod pressure;
pub mod reachability;
pub mod read_state;
pub mod retention;
pub mod rewrite;
mod run_walk;
pub mod settle;
pub mod sorted;
mod source;
pub mod subcompaction;
pub mod table;
pub mod verify;
mod walk;

pub use anatomy::{Anatomy, BlockAnatomy, anatomy};
pub use block::Block;
pub use builder::{BuildError, BuiltTable, TableBuilder, TableOptions};
pub use compaction::{
    CompactionJob, CompactionPolicy, JobKind, is_flush_worth_its_bytes, pick, pick_idle, pick_space,
};
pub use cursor::Cursor;
pub use dead::{DeadKeys, DeadRange, pick_dead};
pub use error::{ReadError, object_name};
pub use estimate::{RangeSize, cuts, range_size};
pub use manifest::{Manifest, ManifestError, Run};
pub use memtable::{MemCursor, MemEntry, Memtable};
pub use pressure::{Backlog, Pressure};
pub use read_state::{Found, PointRead, ReadState, get, get_async};
pub use retention::{Elsewhere, Retention, Tombstones};
pub use rewrite::{NoBlocks, Repeats, Rewrite, RewriteCounts, RewriteOptions, RewriteStep};
pub use settle::{Settling, pick_settling};
pub use sorted::{SortBuffer, Sorted};
pub use source::{BlockHandle, BlockSource, LoadFuture, Loaded, Need, Step};
pub use table::{Located, Table, TableInfo};
pub use walk::{Direction, KeyRange};
