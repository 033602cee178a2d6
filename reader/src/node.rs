//! The reader as the sessions of one executor see it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aquifer_catalog::{Catalog, Table};
use aquifer_session::node::{BeginOptions, BulkJob, Interrupt, LocalFuture, Node, NodeTxn, StorageCost};
use aquifer_shard::engine::Engine;
use aquifer_shard::executor;
use aquifer_shard::lane::{BulkLane, JobClass};
use aquifer_shard::local::Local;
use aquifer_shard::status;
use aquifer_sql::temporary_space::TemporarySpace;
use aquifer_sql::virtual_tables::TableSize;
use aquifer_sql::{Sample, Statistics};
use aquifer_types::{IndexId, Lsn, SqlResult};

use crate::pace::Bell;
use crate::tailer::Lag;
use crate::txn::{ReadTxn, read_only};

/// What the executors of a reader share.
pub struct ReaderShared {
    /// Storage.
    pub engine: Arc<Engine>,
    /// How far behind the writer it is.
    pub lag: Lag,
    /// Where long statements run.
    pub lane: BulkLane,
    /// Wakes the tailer.
    pub bell: Arc<Bell>,
}

/// One executor's part of the reader.
pub struct ReaderPart {
    /// The executor's messages.
    pub local: Rc<Local>,
    shared: Arc<ReaderShared>,
}

impl std::ops::Deref for ReaderPart {
    type Target = ReaderShared;

    fn deref(&self) -> &ReaderShared {
        &self.shared
    }
}

impl ReaderPart {
    /// The part of one executor.
    #[must_use]
    pub fn new(local: Rc<Local>, shared: Arc<ReaderShared>) -> Rc<Self> {
        Rc::new(Self { local, shared })
    }
}

/// How long a statement waits for the tailer to ask the store.
const FRESHEN_PATIENCE: Duration = Duration::from_secs(2);

/// A statement that waits for an LSN keeps the tailer awake this often.
const ATTENTION: Duration = Duration::from_secs(5);

impl ReaderNode {
    async fn wait_attentively(&self, lsn: Lsn, timeout: Duration) -> bool {
        let mut left = timeout;
        loop {
            self.0.bell.note_activity();
            let slice = left.min(ATTENTION);
            if status::wait_visible(&self.0.local, lsn, slice).await {
                return true;
            }
            left -= slice;
            if left.is_zero() {
                return false;
            }
        }
    }
}

/// The reader as a session's node.
pub struct ReaderNode(pub Rc<ReaderPart>);

impl Node for ReaderNode {
    fn catalog(&self) -> Arc<Catalog> {
        self.0.engine.catalog()
    }

    fn begin(&self, options: BeginOptions) -> Rc<dyn NodeTxn> {
        ReadTxn::new(Rc::clone(&self.0), options)
    }

    fn visible_lsn(&self) -> Lsn {
        self.0.engine.views.visible()
    }

    fn wait_visible(&self, lsn: Lsn, timeout: Duration) -> LocalFuture<'_, bool> {
        Box::pin(self.wait_attentively(lsn, timeout))
    }

    fn freshen(&self) -> Option<LocalFuture<'_, ()>> {
        let asked = self.0.bell.statement()?;
        Some(Box::pin(async {
            // A store that does not answer in time is away: what is here is served.
            let _ = executor::timeout(FRESHEN_PATIENCE, asked).await;
        }))
    }

    fn status(&self) -> Vec<(String, String)> {
        let mut rows = status::engine_status(&self.0.engine);
        rows.extend(self.0.lag.status());
        rows
    }

    fn storage_cost(&self) -> Vec<StorageCost> {
        status::storage_cost(&self.0.engine, self.0.engine.state().manifest().object_bytes())
    }

    fn optimize<'a>(
        &'a self,
        _table: &'a Table,
        _interrupt: &'a Interrupt,
    ) -> LocalFuture<'a, SqlResult<()>> {
        Box::pin(std::future::ready(Err(read_only())))
    }

    fn is_reader(&self) -> bool {
        true
    }

    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> LocalFuture<'_, ()> {
        status::offload(&self.0.lane, work)
    }

    fn has_bulk_lane(&self) -> bool {
        true
    }

    fn spawn_bulk(&self, job: BulkJob) -> Result<(), BulkJob> {
        self.0.lane.spawn_detached(JobClass::Statement, job)
    }

    fn temporary_space(&self) -> Option<Arc<dyn TemporarySpace>> {
        self.0.engine.temporary.clone().map(|files| files as Arc<dyn TemporarySpace>)
    }

    fn statistics(&self) -> &dyn Statistics {
        &*self.0.engine
    }

    fn keep_sample(&self, index: IndexId, sample: Arc<Sample>) {
        self.0.engine.samples.set(index, sample);
    }

    fn table_size(&self, table: &Table) -> TableSize {
        status::table_size(&self.0.engine, table)
    }

    fn sleep<'a>(&'a self, duration: Duration, interrupt: &'a Interrupt) -> LocalFuture<'a, ()> {
        Box::pin(status::sleep(duration, interrupt))
    }
}
