//! The storage of a recovered branch, before any thread of the writer runs.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use aquifer_cache::TieredSource;
use aquifer_catalog::{Account, Privileges, rows};
use aquifer_commitlog::{Log, LogIndex, Wait};
use aquifer_format::{DeltaFlags, GroupBuilder, GroupView, encode_delta, sst_key};
use aquifer_lsm::Manifest;
use aquifer_shard::boot::{self, NodeOptions};
use aquifer_shard::chain::ChainState;
use aquifer_shard::dead::DeadIndexes;
use aquifer_shard::engine::{Engine, EngineParts};
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::replay::Memtables;
use aquifer_shard::temporary_files::TemporaryFiles;
use aquifer_txn::Views;
use aquifer_types::key::successor;
use aquifer_types::{ErrorKind, Lsn};
use aquifer_wire::{AuthPlugin, Credential};
use bytes::Bytes;

use crate::counters::{self, CounterId};
use crate::outbox::{FoundEdit, OutboxDir};
use crate::recovery::Recovery;

/// What a start found, for whoever tells the operator.
#[derive(Clone, Debug)]
pub struct StartFacts {
    /// The store was empty: a new database was made.
    pub is_new: bool,
    /// The last committed LSN.
    pub last_lsn: Lsn,
    /// The epoch that this writer sealed the chain with.
    pub epoch: aquifer_types::Epoch,
}

/// The part of the start that decides whether there will be a writer.
pub(crate) struct Opened {
    pub engine: Arc<Engine>,
    pub recovery: Sealed,
    pub facts: StartFacts,
}

/// What recovery leaves to the threads.
pub(crate) struct Sealed {
    pub chain: ChainState,
    pub log: Log,
    pub outbox: Arc<OutboxDir>,
    pub edits: Vec<FoundEdit>,
    pub unpublished: Vec<(GroupView, LogIndex)>,
    pub kept: VecDeque<(Lsn, LogIndex)>,
}

/// The storage of a recovered branch, with a first account if it is new.
pub(crate) fn open_engine(
    options: &NodeOptions,
    store: aquifer_objstore::Store,
    cluster_uuid: String,
    recovery: Recovery,
    root_password: &[u8],
) -> NodeResult<Opened> {
    let Recovery { chain, mut log, memtables, manifest, outbox, edits, .. } = recovery;
    let (mut unpublished, mut kept, mut last_lsn) = (recovery.unpublished, recovery.kept, recovery.last_lsn);
    let is_new = last_lsn == Lsn(0);
    if is_new {
        let (group, index) = commit_first_account(&mut log, root_password)?;
        for (lsn, delta) in group.iter() {
            for (key, value) in delta.slices() {
                memtables.active.insert(key, lsn, value)?;
            }
        }
        last_lsn = group.last_lsn();
        kept.push_back((last_lsn, index));
        unpublished.push((group, index));
    }
    for id in edits.iter().flat_map(|edit| &edit.tables) {
        store.waiting().insert(&sst_key("", *id), outbox.table_path(*id));
    }
    let caches = boot::open_caches(options, &store, last_lsn);
    let catalog = boot::load_catalog(&manifest, &memtables, &caches.source, last_lsn)?;
    let given = given_indexes(&manifest, &memtables, &caches.source, last_lsn)?;
    let dead = DeadIndexes::at_start(&catalog, given, event::wall_micros());
    let facts = StartFacts { is_new, last_lsn, epoch: log.term() };
    let views = Views::new(boot::executor_count(options), last_lsn);
    let engine = Engine::new(EngineParts {
        store,
        branch: chain.next.branch.clone(),
        cluster_uuid,
        source: caches.source,
        rows: caches.rows,
        views,
        manifest,
        memtables,
        catalog,
        dead,
        temporary: TemporaryFiles::open(&options.local),
    });
    Ok(Opened {
        engine,
        recovery: Sealed { chain, log, outbox: Arc::new(outbox), edits, unpublished, kept },
        facts,
    })
}

/// The ids that indexes of users' tables may have.
fn given_indexes(
    manifest: &Manifest,
    memtables: &Memtables,
    source: &TieredSource,
    lsn: Lsn,
) -> NodeResult<Range<u32>> {
    let key = CounterId::Indexes.key();
    let range = key.clone()..successor(&key);
    let rows = boot::read_range(manifest, memtables, source, (range, lsn))?;
    let given = counters::given_indexes(rows.first().map(|(_, value)| &**value));
    given.map_err(|error| NodeError::new(error.kind(), error.to_string()))
}

/// Commits `root@localhost` as the first transaction of a new database.
fn commit_first_account(log: &mut Log, password: &[u8]) -> NodeResult<(GroupView, LogIndex)> {
    let plugin = AuthPlugin::CachingSha2;
    let credential = Credential::from_password(plugin, password)
        .map_err(|error| NodeError::new(ErrorKind::Bug, error.to_string()))?;
    let mut root = Account::new("root", "localhost", plugin.name(), credential.to_authentication_string());
    root.global = Privileges::ALL;
    root.grant_option = true;
    let writes = rows::put_account(&root);
    let pairs = writes.iter().map(|(key, value): &(Bytes, Option<Bytes>)| (key.as_ref(), value.as_deref()));
    let mut group = GroupBuilder::new(Lsn(1), log.term());
    group.push(encode_delta(pairs, DeltaFlags::NONE, event::wall_micros())?);
    let failed = |error| NodeError::new(ErrorKind::Unavailable, format!("the commit log: {error}"));
    log.propose(group.finish()?).map_err(failed)?;
    loop {
        let committed = log.poll(Wait::Forever).map_err(failed)?;
        if let Some(entry) = committed.into_iter().next() {
            return Ok((GroupView::parse(entry.data)?, entry.index));
        }
    }
}
