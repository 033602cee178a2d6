//! What a session needs of the node that it is connected to.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use aquifer_catalog::{Catalog, Table};
use aquifer_sql::temporary_space::TemporarySpace;
use aquifer_sql::txn::{Savepoint, Txn};
use aquifer_sql::virtual_tables::TableSize;
use aquifer_sql::virtual_tables::locks::LockReport;
use aquifer_sql::{NoStatistics, Sample, Statistics};
use aquifer_types::{IndexId, Lsn, SqlError, SqlResult, TableId, Xid};

use crate::progress::Progress;

/// Makes, on a thread of the bulk lane, a transaction that reads what another one reads. It ends with error
/// 1317 once the flag is set, or when that other one's interrupt is.
pub type MakeReader = Box<dyn FnOnce(Arc<AtomicBool>) -> Rc<dyn Txn> + Send>;

/// Makes the future of a job of the bulk lane, on the thread that runs it.
pub type BulkJob = Box<dyn FnOnce() -> LocalFuture<'static, ()> + Send>;

/// A future on the session's executor.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Microseconds since 1970-01-01 UTC by the machine's clock.
pub(crate) fn system_micros() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// 64 random bits, not for secrets.
pub(crate) fn system_random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// How a transaction is to behave.
#[derive(Clone, Debug)]
pub struct BeginOptions {
    /// READ ONLY: writes fail with 1792.
    pub read_only: bool,
    /// The connection, for KILL and for reports.
    pub connection_id: u64,
    /// Name of the isolation level, for reports.
    pub isolation: &'static str,
    /// Shared with whoever may kill the statement.
    pub interrupt: Arc<Interrupt>,
    /// Tables that the session has locked by LOCK TABLES … WRITE: this transaction uses them nevertheless.
    pub locked_tables: Rc<[TableId]>,
}

/// Set by KILL, by a closing node, or by `max_execution_time`; read by running statements.
#[derive(Debug, Default)]
pub struct Interrupt {
    /// 0: run on; 1: KILL QUERY; 2: KILL CONNECTION or shutdown; 3: execution time exceeded.
    pub state: AtomicU8,
    /// How far the statement is, where it tells.
    pub progress: Progress,
    /// The statement, while it waits.
    waiting: Mutex<Option<Waker>>,
}

impl Interrupt {
    /// Whether it is set; otherwise the task of `cx` is woken when it is. One task at a time.
    pub fn poll_set(&self, cx: &Context<'_>) -> bool {
        if self.is_set() {
            return true;
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        // Whoever set it in between may have found no waker.
        self.is_set()
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.state.load(Ordering::Acquire) != 0
    }

    /// Wakes the statement that waits; to be called after the state was set.
    pub fn wake(&self) {
        let waker = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Outcome of a commit.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// The transaction's LSN; the last visible one when it had no writes.
    pub lsn: Lsn,
}

/// One node's engine, as its sessions on one executor see it.
pub trait Node {
    /// The newest visible catalog; cheap.
    fn catalog(&self) -> Arc<Catalog>;

    /// Version of [`Node::catalog`]; asked for on every statement.
    fn catalog_version(&self) -> Lsn {
        self.catalog().version()
    }

    /// Starts a transaction with a snapshot of what is visible now; cheap, does nothing remote.
    fn begin(&self, options: BeginOptions) -> Rc<dyn NodeTxn>;

    /// The newest LSN that reads on this node see.
    fn visible_lsn(&self) -> Lsn;

    /// Waits until `lsn` is visible here; `false` when `timeout` passed first.
    fn wait_visible(&self, lsn: Lsn, timeout: Duration) -> LocalFuture<'_, bool>;

    /// Called before a statement outside of a transaction. `Some`: what the node holds may be older than it
    /// should be; the statement waits for this first.
    fn freshen(&self) -> Option<LocalFuture<'_, ()>> {
        None
    }

    /// Name and value of what the node itself knows, for SHOW GLOBAL STATUS and
    /// SHOW GLOBAL VARIABLES (`read_only`, `port`, `server_uuid`, `aquifer_*`, …).
    fn status(&self) -> Vec<(String, String)>;

    /// What the node's requests to the object store have cost, for SHOW AQUIFER STORAGE COST.
    fn storage_cost(&self) -> Vec<StorageCost> {
        Vec::new()
    }

    /// Whether this node is a reader (`@@read_only` and `@@super_read_only` are ON).
    fn is_reader(&self) -> bool;

    /// Sleeps without blocking the executor; ends early when `interrupt` is set. Waits tick in at
    /// most 10 ms steps or are woken.
    fn sleep<'a>(&'a self, duration: Duration, interrupt: &'a Interrupt) -> LocalFuture<'a, ()>;

    /// Microseconds since 1970-01-01 UTC. A simulation gives its own time.
    fn now_micros(&self) -> i64 {
        system_micros()
    }

    /// 64 random bits, not for secrets.
    fn random(&self) -> u64 {
        system_random()
    }

    /// Runs work that takes milliseconds (hashing a password); a node does it on another thread.
    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> LocalFuture<'_, ()> {
        work();
        Box::pin(std::future::ready(()))
    }

    /// OPTIMIZE TABLE: brings what the node stores of a table up to now together. Others may go on using the table.
    ///
    /// # Errors
    /// 1290 on a reader, 1317 when `interrupt` is set.
    fn optimize<'a>(&'a self, table: &'a Table, interrupt: &'a Interrupt) -> LocalFuture<'a, SqlResult<()>> {
        let _ = (table, interrupt);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether [`Node::spawn_bulk`] takes jobs.
    fn has_bulk_lane(&self) -> bool {
        false
    }

    /// Runs a long statement where no client waits for it.
    ///
    /// # Errors
    /// Gives the job back when there is no such place, or it is full.
    fn spawn_bulk(&self, job: BulkJob) -> Result<(), BulkJob> {
        Err(job)
    }

    /// Where statements put what does not fit into their memory; `None`: they fail then. Asked for once a host.
    fn temporary_space(&self) -> Option<Arc<dyn TemporarySpace>> {
        None
    }

    /// Estimated size of a table, for `information_schema` and SHOW TABLE STATUS.
    fn table_size(&self, table: &Table) -> TableSize {
        let _ = table;
        TableSize::default()
    }

    /// What plans are made by.
    fn statistics(&self) -> &dyn Statistics {
        &NoStatistics
    }

    /// Keeps what was sampled of an index (ANALYZE TABLE).
    fn keep_sample(&self, index: IndexId, sample: Arc<Sample>) {
        let _ = (index, sample);
    }

    /// The next AUTO_INCREMENT value of a table, when the node knows it.
    fn auto_increment(&self, table: &Table) -> Option<u64> {
        let _ = table;
        None
    }

    /// Transactions that XA has prepared, in no order.
    fn prepared(&self) -> Vec<Xid> {
        Vec::new()
    }

    /// Whether there is one of this name.
    fn has_prepared(&self, xid: &Xid) -> bool {
        let _ = xid;
        false
    }

    /// Commits a prepared transaction, whoever prepared it. `None`: there is none, or somebody else is ending it.
    fn commit_prepared<'a>(&'a self, xid: &'a Xid) -> LocalFuture<'a, SqlResult<Option<Committed>>> {
        let _ = xid;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Rolls a prepared transaction back; whether there was one that nobody else was ending.
    fn rollback_prepared<'a>(&'a self, xid: &'a Xid) -> LocalFuture<'a, SqlResult<bool>> {
        let _ = xid;
        Box::pin(std::future::ready(Ok(false)))
    }

    /// Transactions, locks and waits now; a reader node has none.
    fn lock_report(&self) -> LocalFuture<'_, LockReport> {
        Box::pin(std::future::ready(LockReport::default()))
    }

    /// A line for the event log: something an operator may want to know.
    fn log_event(&self, line: &str) {
        let _ = line;
    }
}

/// A line of SHOW AQUIFER STORAGE COST; `None` is NULL.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageCost {
    /// Which requests, or storage, or all.
    pub kind: String,
    /// How many since the node was started.
    pub requests: Option<u64>,
    /// Bytes sent, received or stored.
    pub bytes: Option<u64>,
    /// Dollars since the node was started.
    pub dollars: Option<f64>,
    /// Dollars a month at the present rate.
    pub dollars_a_month: f64,
}

/// A transaction with its ends. Dropping it without an end rolls back.
pub trait NodeTxn: Txn {
    /// As the statements see it.
    fn as_txn(&self) -> &dyn Txn;

    /// Makes the writes durable and visible; returns when both hold. Locks are released.
    ///
    /// # Errors
    /// 1213, `Fenced`, `Unavailable`: nothing was committed.
    fn commit(self: Rc<Self>) -> LocalFuture<'static, SqlResult<Committed>>;

    /// Whether [`NodeTxn::reader`] can be had, and cheaply: not with many writes.
    fn has_reader(&self) -> bool {
        false
    }

    /// Reads this transaction's snapshot, with its writes so far, from another thread. The view stays open
    /// for it. `None` when [`NodeTxn::has_reader`] says no.
    fn reader(&self) -> Option<MakeReader> {
        None
    }

    /// Makes the transaction one of the node's prepared ones: durable, with its locks, until [`Node::commit_prepared`] or
    /// [`Node::rollback_prepared`].
    ///
    /// # Errors
    /// As a commit; the transaction is rolled back then.
    fn prepare(self: Rc<Self>, xid: Xid) -> LocalFuture<'static, SqlResult<()>> {
        let _ = xid;
        self.rollback();
        Box::pin(std::future::ready(Err(SqlError::not_supported("XA PREPARE here"))))
    }

    /// Which savepoints may be returned to by later statements, instead of those told before.
    fn keep_savepoints(&self, kept: Vec<Savepoint>) {
        let _ = kept;
    }

    /// Forgets the writes and releases the locks.
    fn rollback(self: Rc<Self>);
}
