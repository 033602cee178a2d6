//! Where blocks come from: the contract between reads (this crate) and the caches (their crate).
//!
//! A read runs synchronously over what is in memory. When a block or a table's index and filter are not
//! there it stops with a [`Need`]; the caller awaits [`BlockSource::load`] and hands the [`Loaded`] back
//! to the read, which keeps it. So a read goes on even when a cache evicts at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use aquifer_format::sst::BlockHandle;

use crate::block::Block;
use crate::error::ReadError;
use crate::table::Table;

/// Answers from memory, or loads.
pub trait BlockSource {
    /// A data block, if it is in memory. Must not block or wait; called on the hot path.
    fn try_block(&self, table: &Arc<Table>, handle: BlockHandle) -> Option<Block>;

    /// Fetches what a read needs.
    ///
    /// * [`Need::Meta`]: read [`Table::meta_range`] of the object, give it to [`Table::install_meta`],
    ///   answer [`Loaded::Meta`]. Many may load the same table at once; the first one wins.
    /// * [`Need::Block`]: read [`BlockHandle::range`] of the object, give it to
    ///   [`Table::decode_block`], answer [`Loaded::Block`].
    ///
    /// # Errors
    /// `Corrupt` when the bytes fail verification (after bypassing the caches once), `Unavailable`
    /// when they cannot be fetched.
    fn load<'a>(&'a self, need: Need) -> LoadFuture<'a>;

    /// Told before a [`Self::load`] of one table's index and filter: those of these tables will be wanted too.
    /// Starting to load them is up to the implementation; the default does nothing.
    fn metas_ahead(&self, tables: &[Arc<Table>]) {
        let _ = tables;
    }

    /// Told before a [`Self::load`] of a block by a scan that goes on: it will probably want these blocks
    /// of the table next, in this order; they follow each other in the object. Loading them in one request
    /// with the needed one, or in the background, is up to the implementation; the default does nothing.
    fn read_ahead(&self, table: &Arc<Table>, blocks: &[BlockHandle]) {
        let _ = (table, blocks);
    }
}

/// What [`BlockSource::load`] returns. Not `Send`: it lives on the executor of its statement.
pub type LoadFuture<'a> = Pin<Box<dyn Future<Output = Result<Loaded, ReadError>> + 'a>>;

/// What a read cannot go on without.
#[derive(Clone, Debug)]
pub enum Need {
    /// A table's index and filter.
    Meta(Arc<Table>),
    /// A data block.
    Block(Arc<Table>, BlockHandle),
}

/// What was loaded for a [`Need`].
#[derive(Clone, Debug)]
pub enum Loaded {
    /// The table has its index and filter now.
    Meta,
    /// The block.
    Block(Block),
}

/// Progress of a synchronous read.
#[derive(Debug)]
pub enum Step<T> {
    /// The answer.
    Done(T),
    /// Load this, hand it in, and call again.
    Need(Need),
}
