//! A writer's publishing half without executors and log: what outbox and collection are tested with.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;

use aquifer_cache::{BlockCache, BlockCacheConfig, RowCache, RowCacheConfig, TieredSource};
use aquifer_catalog::Catalog;
use aquifer_commitlog::{Committed, LogIndex};
use aquifer_format::sst::Compression;
use aquifer_format::{DeltaFlags, GroupBuilder, GroupView, ManifestEdit, SstMeta, encode_delta};
use aquifer_lsm::{BuiltTable, TableBuilder, TableOptions};
use aquifer_objstore::{DirStore, FaultStore, Retry, Store, block_on};
use aquifer_shard::chain::{ChainState, GroupSink};
use aquifer_shard::dead::DeadIndexes;
use aquifer_shard::engine::{Engine, EngineParts};
use aquifer_shard::error::NodeResult;
use aquifer_shard::replay::Memtables;
use aquifer_shard::ticker::Ticker;
use aquifer_txn::Views;
use aquifer_types::{BranchName, Epoch, Lsn, SstId};
use aquifer_writer::outbox::{Metas, Origin, Outbox, OutboxDir};
use aquifer_writer::publisher::{Ended, Publisher, PublisherOptions, PublisherParts, ReadLog};

pub const LOG_ID: u128 = 0xabc;
const QUICK: Retry =
    Retry { attempts_max: 2, backoff_first_ms: 1, backoff_max_ms: 1, attempt_timeout_ms: 5_000 };

/// When all tables were made: an edit with one that was made long ago is followed by a checkpoint.
static MADE_AT: LazyLock<u64> = LazyLock::new(aquifer_shard::event::wall_micros);

pub struct Rig {
    pub faults: FaultStore,
    pub store: Store,
    pub engine: Arc<Engine>,
    pub dir: Arc<OutboxDir>,
    pub publisher: Publisher,
    pub outbox: Outbox,
    pub log: Arc<Vec<Committed>>,
    pub chain: ChainState,
}

impl Rig {
    /// A writer of a new store, with a commit log that holds `groups`.
    pub fn new(base: &Path, groups: &[GroupView]) -> Self {
        Self::on(base, "outbox", groups, ChainState::empty(&BranchName::main()))
    }

    /// A writer that goes on from a chain.
    pub fn on(base: &Path, outbox_name: &str, groups: &[GroupView], chain: ChainState) -> Self {
        let faults =
            FaultStore::new(Arc::new(DirStore::open(&base.join("store"), Default::default()).unwrap()));
        let store = Store::with_backend(Arc::new(faults.clone()), QUICK).unwrap();
        let blocks = BlockCache::new(&BlockCacheConfig::with_bytes(1 << 20));
        let source = TieredSource::new(Arc::new(store.clone()), Arc::new(blocks), None);
        let engine = Engine::new(EngineParts {
            store: store.clone(),
            branch: BranchName::main(),
            cluster_uuid: String::new(),
            source: Arc::new(source),
            rows: Arc::new(RowCache::new(RowCacheConfig::with_bytes(1 << 20), Lsn(0))),
            views: Views::new(1, Lsn(0)),
            manifest: chain.manifest.clone(),
            memtables: Memtables::default(),
            catalog: Arc::new(Catalog::from_rows(Lsn(0), Vec::new()).unwrap()),
            dead: DeadIndexes::default(),
            temporary: None,
        });
        let (dir, found, dropped) = OutboxDir::open(&base.join(outbox_name), LOG_ID).unwrap();
        assert!(found.is_empty() && dropped == 0);
        let (dir, publisher) = (Arc::new(dir), Publisher::new(chain.last_lsn()));
        let ticker = Ticker::start().unwrap();
        let outbox = Outbox::new(Arc::clone(&engine), publisher.clone(), ticker, Arc::clone(&dir));
        let entry = |(at, group): (usize, &GroupView)| Committed {
            index: LogIndex(at as u64 + 1),
            term: Epoch(0),
            data: group.bytes().clone(),
        };
        let log = Arc::new(groups.iter().enumerate().map(entry).collect());
        Self { faults, store, engine, dir, publisher, outbox, log, chain }
    }

    pub fn run(&self) -> JoinHandle<Ended> {
        let (publisher, store, dir) = (self.publisher.clone(), self.store.clone(), Arc::clone(&self.dir));
        let (log, chain) = (Arc::clone(&self.log), self.chain.clone());
        std::thread::spawn(move || {
            let options = PublisherOptions { interval: Duration::ZERO, checkpoint_links: 1000 };
            let read_log: ReadLog = Box::new(move |from, _| {
                Ok(log.iter().filter(|entry| entry.index >= from).take(2).cloned().collect())
            });
            let parts = PublisherParts {
                store: &store,
                state: chain,
                options: &options,
                outbox: &dir,
                read_log: &read_log,
            };
            publisher.run(parts, |_| {})
        })
    }

    pub fn flush(&self, table: &BuiltTable, checkpoint: u64, run: u64) {
        let id = table.info.id;
        block_on(self.outbox.table(id, table.object.clone(), Origin::Flush)).unwrap();
        let meta = SstMeta { run, ..SstMeta::from(&table.info) };
        let edit = ManifestEdit {
            added: vec![meta],
            checkpoint_lsn: Some(checkpoint),
            next_run: Some(run + 1),
            ..ManifestEdit::default()
        };
        block_on(self.outbox.edit(edit, Metas::new(), Origin::Flush)).unwrap();
    }

    pub fn tables_in_force(&self) -> usize {
        self.engine.state().manifest().tables().count()
    }
}

pub fn group(lsn: u64, value_bytes: usize) -> GroupView {
    let value = vec![7; value_bytes];
    let write = [(b"\x00\x00\x10\x00key".as_slice(), Some(value.as_slice()))];
    let mut builder = GroupBuilder::new(Lsn(lsn), Epoch(0));
    builder.push(encode_delta(write, DeltaFlags::NONE, 1).unwrap());
    GroupView::parse(builder.finish().unwrap()).unwrap()
}

pub fn table(id: u128, lsn: u64) -> BuiltTable {
    let mut builder = TableBuilder::new(TableOptions::new(SstId(id), Compression::None, *MADE_AT));
    builder.add(b"\x00\x00\x10\x00key", Lsn(lsn), Some(b"value")).unwrap();
    builder.finish().unwrap()
}

/// Counts the LSNs that a chain holds and is not told twice.
#[derive(Default)]
pub struct Count(pub Vec<u64>);

impl GroupSink for Count {
    fn group(&mut self, group: &GroupView, skip_through: Lsn) -> NodeResult<()> {
        self.0.extend(group.iter().map(|(lsn, _)| lsn.0).filter(|lsn| *lsn > skip_through.0));
        Ok(())
    }
}
