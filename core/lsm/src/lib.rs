//! The storage tree: memtable, tables, manifest, compaction picking, and reads over all of it.

pub mod block;
pub mod error;
pub mod source;
pub mod table;

pub use block::Block;
pub use error::{ReadError, object_name};
pub use source::{BlockHandle, BlockSource, LoadFuture, Loaded, Need, Step};
pub use table::{Table, TableInfo};
