//! A SlateDB on a simulated store, as `perf/engine` has a tree on one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aquifer_objstore::{Operation, Retry, SimOptions, SimStore, SimTime, Store};
use bytes::Bytes;
use slatedb::config::{
    CompactionWorkerOptions, CompactorOptions, CompressionCodec, FlushOptions, FlushType,
    ObjectStoreCacheOptions, Settings,
};
use slatedb::db_cache::SplitCache;
use slatedb::db_cache::foyer::{FoyerCache, FoyerCacheOptions};
use slatedb::{Db, SstBlockSize, WriteBatch};

use crate::bridge::Bridge;
use crate::data::{KEY_BYTES, LOGICAL_BYTES, Random, Shuffled, fill_row, row_key};
use crate::{Outcome, cpu};

/// What a reader of a result has to know.
pub const ABOUT: &str = "SlateDB 0.18.0, LZ4, blocks of 16 KiB, memtable of 64 MiB, its defaults otherwise; S3 \
    Standard, simulated in real time.";

/// Transactions of one row that share a write.
const GROUP_ROWS: usize = 16;
/// Memory for index and filter blocks: as much as they need.
const META_BYTES: u64 = 256 << 20;
/// The database is quiet when it has written nothing for so long.
const QUIET: Duration = Duration::from_secs(8);
const SETTLE_PATIENCE: Duration = Duration::from_secs(900);

/// Memory for blocks, and a folder for the cache on disk.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// Block cache.
    pub blocks: u64,
    /// Where parts of objects are kept.
    pub disk: Option<PathBuf>,
}

/// A store that databases are opened on one after the other.
#[derive(Clone)]
pub struct Stored {
    /// The meter.
    pub store: Store,
    bridge: Bridge,
}

/// What a load took.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// CPU of the process for each row.
    pub cpu_us: f64,
    /// Bytes of PUT requests for each byte of rows and keys.
    pub put_ratio: f64,
    /// Rows a second while rows came.
    pub rows_per_second: f64,
}

pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Stored {
    /// An empty store.
    pub fn new(seed: u64) -> Outcome<Self> {
        let sim = SimStore::new(SimOptions { time: SimTime::Real, ..SimOptions::new(seed) });
        let store = Store::with_backend(Arc::new(sim), Retry::default()).map_err(text)?;
        Ok(Self { bridge: Bridge::new(store.clone()), store })
    }

    /// Opens the database.
    pub async fn open(&self, sizes: &Sizes) -> Outcome<Db> {
        let cache = |bytes: u64| {
            let options = FoyerCacheOptions { max_capacity: bytes, ..FoyerCacheOptions::default() };
            Some(Arc::new(FoyerCache::new_with_opts(options)) as Arc<dyn slatedb::db_cache::DbCache>)
        };
        let caches =
            SplitCache::new().with_block_cache(cache(sizes.blocks)).with_meta_cache(cache(META_BYTES));
        let worker = CompactionWorkerOptions {
            compression_codec: Some(CompressionCodec::Lz4),
            ..CompactionWorkerOptions::default()
        };
        let compactor = CompactorOptions { worker: Some(worker), ..CompactorOptions::default() };
        let settings = Settings {
            compression_codec: Some(CompressionCodec::Lz4),
            compactor_options: Some(compactor),
            object_store_cache_options: ObjectStoreCacheOptions {
                root_folder: sizes.disk.clone(),
                // Small parts: a read of a block fetches little more than the block.
                part_size_bytes: 64 << 10,
                ..ObjectStoreCacheOptions::default()
            },
            ..Settings::default()
        };
        let builder = Db::builder("db", Arc::new(self.bridge.clone()) as _)
            .with_settings(settings)
            .with_sst_block_size(SstBlockSize::Block16Kib)
            .with_db_cache(Arc::new(caches.build()), 1);
        builder.build().await.map_err(text)
    }

    /// GET and HEAD requests so far.
    pub fn gets(&self) -> u64 {
        let meter = self.store.meter().snapshot();
        meter.of(Operation::Get).requests + meter.of(Operation::Head).requests
    }

    /// Bytes sent so far.
    pub fn put_bytes(&self) -> u64 {
        self.store.meter().snapshot().of(Operation::Put).bytes
    }

    /// Bytes of all objects.
    pub fn stored_bytes(&self) -> u64 {
        self.bridge.stored_bytes()
    }

    /// Writes `count` rows whose numbers `next` gives, then waits until nothing is written any more.
    pub async fn load(&self, db: &Db, count: u64, seed: u64, mut next: impl FnMut() -> u64) -> Outcome<Load> {
        let (mut random, mut row) = (Random::new(seed), Vec::new());
        let (before, process) = (self.put_bytes(), cpu::micros(cpu::Whose::Process));
        let started = std::time::Instant::now();
        let mut written = 0;
        while written < count {
            let mut batch = WriteBatch::new();
            for _ in 0..GROUP_ROWS {
                fill_row(&mut random, &mut row);
                batch.put(row_key(next()), row.as_slice());
            }
            db.write(batch).await.map_err(text)?;
            written += GROUP_ROWS as u64;
        }
        let rows_per_second = cpu::float(written) / started.elapsed().as_secs_f64();
        // All of it into tables, as the other side does.
        let flush = FlushOptions { flush_type: FlushType::MemTable };
        db.flush_with_options(flush).await.map_err(text)?;
        self.settle().await?;
        Ok(Load {
            cpu_us: cpu::ratio(cpu::micros(cpu::Whose::Process) - process, written),
            put_ratio: cpu::float(self.put_bytes() - before) / cpu::float(written * LOGICAL_BYTES),
            rows_per_second,
        })
    }

    /// Writes every row of a set of `count`, each once.
    pub async fn load_all(&self, db: &Db, count: u64) -> Outcome<Load> {
        let mut order = Shuffled::new(count);
        let whole = count / GROUP_ROWS as u64 * GROUP_ROWS as u64;
        self.load(db, whole, 1, move || order.next().unwrap_or(0)).await
    }

    /// Waits until no large object has been written for some time.
    async fn settle(&self) -> Outcome<()> {
        let (began, mut seen, mut since) =
            (std::time::Instant::now(), self.put_bytes(), std::time::Instant::now());
        while since.elapsed() < QUIET {
            if began.elapsed() > SETTLE_PATIENCE {
                return Err("compaction does not come to an end".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.put_bytes();
            // Manifests and heartbeats go on for ever.
            if now > seen + (1 << 20) {
                (seen, since) = (now, std::time::Instant::now());
            }
        }
        Ok(())
    }
}

/// Reads a row.
pub async fn get(db: &Db, key: &[u8; KEY_BYTES]) -> Outcome<Option<Bytes>> {
    db.get(key).await.map_err(text)
}

/// Reads `rows` rows from the `n`-th on.
pub async fn scan(db: &Db, n: u64, rows: usize) -> Outcome<()> {
    let range = row_key(n).to_vec()..row_key(n + rows as u64).to_vec();
    let mut found = db.scan(range).await.map_err(text)?;
    let mut count = 0;
    while found.next().await.map_err(text)?.is_some() {
        count += 1;
    }
    if count == rows { Ok(()) } else { Err(format!("a scan of {rows} rows found {count}")) }
}
