//! What both roles answer alike: status values, waiting for an LSN, sleeping.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use aquifer_catalog::Table;
use aquifer_lsm::range_size;
use aquifer_objstore::Operation;
use aquifer_session::node::{Interrupt, LocalFuture, StorageCost};
use aquifer_sql::Statistics;
use aquifer_sql::virtual_tables::TableSize;
use aquifer_types::key::{KeyEncoder, successor};
use aquifer_types::{Lsn, SqlError, SqlResult, TableId};
use futures_channel::oneshot;

use crate::engine::Engine;
use crate::error::NodeError;
use crate::executor;
use crate::lane::{BulkLane, JobClass, MakeJob};
use crate::local::Local;

/// Waits until `lsn` is visible; `false` when `timeout` passed first.
pub async fn wait_visible(local: &Rc<Local>, lsn: Lsn, timeout: Duration) -> bool {
    if local.homes().views().visible() >= lsn {
        return true;
    }
    let reached = local.until_visible(lsn);
    matches!(executor::timeout(timeout, reached).await, Ok(Ok(()))) || local.homes().views().visible() >= lsn
}

/// Whether a transaction whose view, if it has one, is at `view` may read a table by its present definition. `Some`:
/// when that LSN is visible.
///
/// # Errors
/// 1412 when the table got an index after the view was opened.
pub fn check_definition(engine: &Engine, table: TableId, view: Option<Lsn>) -> SqlResult<Option<Lsn>> {
    // The common case, at the first use of a table in each transaction: nothing was defined since.
    if view.unwrap_or_else(|| engine.views.visible()) >= engine.catalog_version() {
        return Ok(None);
    }
    let since = engine.catalog().readable_since(table);
    match view {
        Some(view) if view < since => {
            Err(SqlError::new(1412, "Table definition has changed, please retry transaction"))
        }
        None if engine.views.visible() < since => Ok(Some(since)),
        _ => Ok(None),
    }
}

/// Sleeps, but not on when interrupted.
pub async fn sleep(duration: Duration, interrupt: &Interrupt) {
    let interrupted = std::future::poll_fn(|cx| match interrupt.poll_set(cx) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    });
    let _ = executor::timeout(duration, interrupted).await;
}

/// How a wait ended that can be interrupted.
#[derive(Debug)]
pub enum Waited<T> {
    /// The answer came.
    Answer(T),
    /// Whoever was to answer is gone.
    Closed,
    /// The time was up.
    TimeOut,
    /// The statement was killed or has used up its time.
    Interrupted,
}

/// Waits for an answer; costs nothing while it waits.
pub async fn wait_for<T>(
    answer: &mut oneshot::Receiver<T>,
    timeout: Duration,
    interrupt: &Interrupt,
) -> Waited<T> {
    let either = std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = Pin::new(&mut *answer).poll(cx) {
            return Poll::Ready(answer.map_or(Waited::Closed, Waited::Answer));
        }
        if interrupt.poll_set(cx) { Poll::Ready(Waited::Interrupted) } else { Poll::Pending }
    });
    executor::timeout(timeout, either).await.unwrap_or(Waited::TimeOut)
}

/// What an interrupt's state means for a running statement.
///
/// # Errors
/// 3024 or 1317 when it is set.
pub fn check_interrupted(state: u8) -> SqlResult<()> {
    match state {
        0 => Ok(()),
        3 => Err(SqlError::new(
            3024,
            "Query execution was interrupted, maximum statement execution time exceeded",
        )),
        _ => Err(SqlError::new(1317, "Query execution was interrupted")),
    }
}

/// Runs work of milliseconds on the bulk lane; when that takes none, here.
pub fn offload(lane: &BulkLane, work: Box<dyn FnOnce() + Send>) -> LocalFuture<'_, ()> {
    let (done, ended) = oneshot::channel();
    let job: MakeJob = Box::new(move || {
        Box::pin(async move {
            work();
            let _ = done.send(());
        })
    });
    let refused = lane.spawn_detached(JobClass::Statement, job).err();
    Box::pin(async move {
        match refused {
            Some(job) => job().await,
            // An error means that the work has panicked, which has been reported.
            None => drop(ended.await),
        }
    })
}

/// About how large a table is.
#[must_use]
pub fn table_size(engine: &Arc<Engine>, table: &Table) -> TableSize {
    let state = engine.state();
    let mut size = TableSize::default();
    for (position, index) in table.indexes.iter().enumerate() {
        let start = KeyEncoder::new(index.id).finish();
        let end = successor(&start);
        let found = range_size(&state, &start..&end);
        if position == 0 {
            size.rows = engine.keys_in(&start..&end).unwrap_or(found.keys);
            size.data_bytes = found.bytes;
        } else {
            size.index_bytes += found.bytes;
        }
    }
    size
}

/// Names and values for SHOW GLOBAL STATUS.
#[must_use]
pub fn engine_status(engine: &Arc<Engine>) -> Vec<(String, String)> {
    let state = engine.state();
    let requests = engine.store.meter().snapshot();
    let manifest = state.manifest();
    let tables = manifest.tables().count();
    let row = |name: &str, value: String| (format!("Aquifer_{name}"), value);
    let mut rows = vec![
        row("visible_lsn", engine.views.visible().to_string()),
        row("checkpoint_lsn", manifest.checkpoint_lsn().to_string()),
        row("server_uuid", engine.cluster_uuid.clone()),
        row("branch", engine.branch.to_string()),
        row("memtable_bytes", state.active().approximate_bytes().to_string()),
        row("frozen_memtable_bytes", engine.frozen_bytes().to_string()),
        row("sst_count", tables.to_string()),
        row("sst_bytes", manifest.object_bytes().to_string()),
        row("store_dollars", format!("{:.6}", requests.dollars())),
    ];
    for operation in Operation::ALL {
        let (counts, name) = (requests.of(operation), operation.name());
        rows.push(row(&format!("store_{name}_requests"), counts.requests.to_string()));
        rows.push(row(&format!("store_{name}_bytes"), counts.bytes.to_string()));
        rows.push(row(&format!("store_{name}_errors"), counts.errors.to_string()));
        rows.push(row(&format!("store_{name}_retries"), counts.retries.to_string()));
    }
    rows.extend(crate::cache_status::cache_status(engine));
    rows.extend(engine.temporary.iter().flat_map(|files| files.status()));
    rows
}

/// The lines of SHOW AQUIFER STORAGE COST.
#[must_use]
pub fn storage_cost(engine: &Arc<Engine>, stored_bytes: u64) -> Vec<StorageCost> {
    let bill = engine.store.meter().bill(stored_bytes);
    let line = |line: aquifer_objstore::CostLine| StorageCost {
        kind: line.kind.to_owned(),
        requests: line.requests,
        bytes: line.bytes,
        dollars: line.dollars,
        dollars_a_month: line.dollars_a_month,
    };
    bill.into_iter().map(line).collect()
}

/// Tells whoever runs the process that a node cannot go on.
#[derive(Clone)]
pub struct OnFatal(Arc<dyn Fn(NodeError) + Send + Sync>);

impl OnFatal {
    /// Calls `tell` with the reason.
    pub fn new(tell: impl Fn(NodeError) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// The node cannot go on.
    pub fn tell(&self, error: NodeError) {
        (self.0)(error);
    }
}
