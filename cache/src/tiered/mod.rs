//! The block source that reads go through: block cache, disk cache, store.
//!
//! What a load does, once for all who wait for the same bytes:
//!
//! 1. Ask the disk cache. Bytes that it brings are verified there and decoded here; if they do not
//!    decode, the disk cache forgets them and the load goes on as if they had not been there.
//! 2. Fetch the range from the store, verify and decode. If that fails, read once more: the fault may
//!    have been on the way. If it fails again the object is corrupt, and the error names it.
//! 3. Put the block into the block cache and offer its stored bytes to the disk cache.
//!
//! A scan announces what it will want next; those blocks are fetched together, see [`read_ahead`].
//!
//! Index and filter of a table travel the same way, but stay with their table instead of the block
//! cache.

mod admit;
mod read_ahead;

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use aquifer_lsm::{Block, BlockHandle, BlockSource, LoadFuture, Loaded, Need, ReadError, Table, object_name};
use aquifer_objstore::{Store, StoreErrorKind, StoreResult};
use aquifer_types::{ReadCounts, SstId};
use bytes::Bytes;

use crate::block::{Access, BlockCache, BlockKey};
use crate::counters::{SourceCounters, bump, bump_by, read};
use crate::disk::DiskCache;
use crate::flight::{Boarding, Flights};
use crate::hedge::HedgeCounters;
use read_ahead::ReadAheads;

/// A ranged read in progress; may be awaited on any executor.
pub type RangeFuture = Pin<Box<dyn Future<Output = StoreResult<Bytes>> + Send>>;

/// The one thing that the caches need of a store.
pub trait RangeReader: Send + Sync {
    /// Bytes `range` of an object, named by its key; shorter where the object ends first.
    fn read_range(&self, object: String, range: Range<u64>) -> RangeFuture;

    /// How many requests were sent twice because they were slow.
    fn hedges(&self) -> HedgeCounters {
        HedgeCounters::default()
    }
}

impl RangeReader for Store {
    fn read_range(&self, object: String, range: Range<u64>) -> RangeFuture {
        Box::pin(self.get_range(&object, range))
    }
}

/// What a flight brings to all its waiters.
#[derive(Clone)]
enum Cargo {
    Block(Block),
    Meta(Bytes),
}

type Landed = Result<Cargo, ReadError>;

#[derive(Default)]
struct Counts {
    disk_loads: AtomicU64,
    store_fetches: AtomicU64,
    store_bytes: AtomicU64,
    joins: AtomicU64,
    store_corrupt: AtomicU64,
    errors: AtomicU64,
    read_aheads: AtomicU64,
}

struct Inner {
    store: Arc<dyn RangeReader>,
    blocks: Arc<BlockCache<Block>>,
    disk: Option<Arc<DiskCache>>,
    flights: Arc<Flights<Landed>>,
    ahead: ReadAheads,
    counts: Counts,
}

/// The tiers as one source of blocks. A handle: clones share everything.
#[derive(Clone)]
pub struct TieredSource {
    inner: Arc<Inner>,
    access: Access,
}

impl TieredSource {
    /// A source over these tiers, for point access.
    #[must_use]
    pub fn new(
        store: Arc<dyn RangeReader>,
        blocks: Arc<BlockCache<Block>>,
        disk: Option<Arc<DiskCache>>,
    ) -> Self {
        let flights = Arc::new(Flights::new());
        let (ahead, counts) = (ReadAheads::default(), Counts::default());
        let inner = Inner { store, blocks, disk, flights, ahead, counts };
        Self { inner: Arc::new(inner), access: Access::Point }
    }

    /// The same source for a scan: what it reads does not displace what others need.
    #[must_use]
    pub fn for_scan(&self) -> Self {
        Self { inner: self.inner.clone(), access: Access::Scan }
    }

    /// The block cache behind it.
    #[must_use]
    pub fn blocks(&self) -> &Arc<BlockCache<Block>> {
        &self.inner.blocks
    }

    /// The disk cache behind it.
    #[must_use]
    pub fn disk(&self) -> Option<&Arc<DiskCache>> {
        self.inner.disk.as_ref()
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> SourceCounters {
        let counts = &self.inner.counts;
        SourceCounters {
            disk_loads: read(&counts.disk_loads),
            store_fetches: read(&counts.store_fetches),
            store_bytes: read(&counts.store_bytes),
            joins: read(&counts.joins),
            store_corrupt: read(&counts.store_corrupt),
            errors: read(&counts.errors),
            read_aheads: read(&counts.read_aheads),
            hedges: self.inner.store.hedges(),
        }
    }

    async fn load_block(&self, table: Arc<Table>, handle: BlockHandle) -> Result<Loaded, ReadError> {
        let key = key_of(&table, handle);
        let (inner, access) = (self.inner.clone(), self.access);
        let boarding = self.inner.flights.board(
            key,
            || self.inner.blocks.peek(key).map(|block| Ok(Cargo::Block(block))),
            || inner.fetch_block(table.clone(), handle, access),
        );
        match self.ride(boarding).await? {
            Cargo::Block(block) => Ok(Loaded::Block(block)),
            Cargo::Meta(_) => Err(ReadError::corrupt(table.id(), "a data block where the index should be")),
        }
    }

    async fn load_meta(&self, table: Arc<Table>) -> Result<Loaded, ReadError> {
        if table.has_meta() {
            return Ok(Loaded::Meta);
        }
        let key = BlockKey { sst: table.id(), offset: table.meta_range().start };
        let inner = self.inner.clone();
        let boarding = self.inner.flights.board(key, || None, || inner.fetch_meta(table.clone()));
        match self.ride(boarding).await? {
            // The table of the flight that was joined may be another instance of the same one.
            Cargo::Meta(stored) => table.install_meta(stored).map(|()| Loaded::Meta),
            Cargo::Block(_) => Err(ReadError::corrupt(table.id(), "an index where a data block should be")),
        }
    }

    async fn ride(&self, boarding: Boarding<Landed>) -> Landed {
        let landed = match boarding {
            Boarding::Landed(value) => value,
            Boarding::Started(flight) => flight.await,
            Boarding::Joined(flight) => {
                bump(&self.inner.counts.joins);
                flight.await
            }
        };
        landed.inspect_err(|_| bump(&self.inner.counts.errors))
    }
}

impl BlockSource for TieredSource {
    fn try_block(&self, table: &Arc<Table>, handle: BlockHandle) -> Option<Block> {
        let block = self.inner.blocks.get(key_of(table, handle), self.access);
        if block.is_some() {
            ReadCounts::note(|counts| counts.blocks += 1);
        }
        block
    }

    fn load<'a>(&'a self, need: Need) -> LoadFuture<'a> {
        match need {
            Need::Meta(table) => Box::pin(self.load_meta(table)),
            Need::Block(table, handle) => Box::pin(self.load_block(table, handle)),
        }
    }

    fn metas_ahead(&self, tables: &[Arc<Table>]) {
        self.start_metas(tables);
    }

    fn read_ahead(&self, table: &Arc<Table>, blocks: &[BlockHandle]) {
        self.start_read_ahead(table, blocks);
    }
}

impl Inner {
    async fn fetch_block(self: Arc<Self>, table: Arc<Table>, handle: BlockHandle, access: Access) -> Landed {
        let key = key_of(&table, handle);
        let decode = |stored: Bytes| table.decode_block(handle, stored);
        let block = self.fetch(key, handle.range(), access, decode).await?;
        self.blocks.insert(key, block.clone(), block.resident_bytes(), access);
        Ok(Cargo::Block(block))
    }

    async fn fetch_meta(self: Arc<Self>, table: Arc<Table>) -> Landed {
        let range = table.meta_range();
        let key = BlockKey { sst: table.id(), offset: range.start };
        let install = |stored: Bytes| table.install_meta(stored.clone()).map(|()| stored);
        self.fetch(key, range, Access::Point, install).await.map(Cargo::Meta)
    }

    /// Steps 1 to 3 for one range, with `decode` as the judge of its bytes.
    async fn fetch<T>(
        &self,
        key: BlockKey,
        range: Range<u64>,
        access: Access,
        decode: impl Fn(Bytes) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        if let Some(disk) = &self.disk
            && let Some(stored) = disk.get(key).await
        {
            if let Ok(decoded) = decode(stored) {
                bump(&self.counts.disk_loads);
                ReadCounts::note(|counts| counts.disk += 1);
                return Ok(decoded);
            }
            disk.forget(key);
        }
        let first = self.fetch_from_store(key.sst, &range).await?;
        let (stored, decoded) = match decode(first.clone()) {
            Ok(decoded) => (first, decoded),
            Err(_) => {
                bump(&self.counts.store_corrupt);
                let again = self.fetch_from_store(key.sst, &range).await?;
                let decoded = decode(again.clone())?;
                (again, decoded)
            }
        };
        self.offer(key, stored, access);
        Ok(decoded)
    }

    async fn fetch_from_store(&self, sst: SstId, range: &Range<u64>) -> Result<Bytes, ReadError> {
        let object = object_name(sst);
        bump(&self.counts.store_fetches);
        ReadCounts::note(|counts| counts.store += 1);
        let bytes =
            self.store.read_range(object.clone(), range.clone()).await.map_err(|error| {
                match error.kind() {
                    StoreErrorKind::NotFound => ReadError::Missing { object },
                    StoreErrorKind::Invalid => ReadError::corrupt(sst, error.to_string()),
                    _ => ReadError::unavailable(sst, error.to_string()),
                }
            })?;
        bump_by(&self.counts.store_bytes, bytes.len());
        Ok(bytes)
    }

    fn offer(&self, key: BlockKey, stored: Bytes, access: Access) {
        if let Some(disk) = &self.disk
            && access == Access::Point
        {
            disk.offer(key, stored);
        }
    }
}

fn key_of(table: &Table, handle: BlockHandle) -> BlockKey {
    BlockKey { sst: table.id(), offset: handle.offset }
}
