//! A branch's tree of tables as of its newest link, with names for its keys.

use std::sync::Arc;

use aquifer_cache::{BlockCache, BlockCacheConfig, TieredSource};
use aquifer_lsm::Manifest;
use aquifer_objstore::block_on;
use aquifer_shard::boot;
use aquifer_shard::error::NodeResult;
use aquifer_types::{BranchName, LinkSeq, Lsn};

use super::Context;
use super::keys::Keys;

/// Memory for the blocks of the catalog.
const BLOCKS_BYTES: usize = 8 << 20;

/// See the module.
pub struct Tree {
    /// The branch.
    pub branch: BranchName,
    /// The newest link.
    pub link: LinkSeq,
    /// The last transaction in it.
    pub last_lsn: Lsn,
    /// The tables.
    pub manifest: Manifest,
    /// Names for keys; none when the catalog cannot be read.
    pub keys: Keys,
}

impl Tree {
    /// Reads a branch. A catalog that cannot be read costs the names only: damage is what one inspects.
    ///
    /// # Errors
    /// `Corrupt` naming the object; what the store fails with.
    pub fn open(context: &Context<'_>) -> NodeResult<Self> {
        let opened = block_on(aquifer_reader::tailer::open(&context.store, &context.branch))?;
        let chain = opened.chain;
        let last_lsn = chain.last_lsn();
        let blocks = Arc::new(BlockCache::new(&BlockCacheConfig::with_bytes(BLOCKS_BYTES)));
        let source = TieredSource::new(Arc::new(context.store.clone()), blocks, None);
        let catalog = boot::load_catalog(&chain.manifest, &opened.memtables, &source, last_lsn);
        let keys = catalog.map(|catalog| Keys::of(&catalog)).unwrap_or_default();
        let link = chain.last_seq();
        Ok(Self { branch: context.branch.clone(), link, last_lsn, manifest: chain.manifest, keys })
    }
}
