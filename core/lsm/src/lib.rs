//! The storage tree: memtable, tables, manifest, compaction picking, and reads over all of it.

pub mod block;
pub mod builder;
mod codec;
pub mod cursor;
pub mod error;
pub mod manifest;
pub mod memtable;
mod merge;
pub mod read_state;
mod run_walk;
pub mod source;
pub mod table;
pub mod verify;
mod walk;

pub use block::Block;
pub use builder::{BuildError, BuiltTable, TableBuilder, TableOptions};
pub use cursor::Cursor;
pub use error::{ReadError, object_name};
pub use manifest::{Manifest, ManifestError, Run};
pub use memtable::{MemCursor, MemEntry, Memtable};
pub use read_state::{Found, PointRead, ReadState, get, get_async};
pub use source::{BlockHandle, BlockSource, LoadFuture, Loaded, Need, Step};
pub use table::{Located, Table, TableInfo};
pub use walk::{Direction, KeyRange};
