//! A transaction on a reader: a view, and the read state that was current when it began.
//!
//! The writer decides what flush and compaction drop, and does not know of this node's views. So a
//! transaction keeps the whole read state it began with: the tables in it are not deleted while anybody may
//! need them, and the memtables live as long as the state does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aquifer_catalog::Catalog;
use aquifer_lsm::ReadState;
use aquifer_session::node::{BeginOptions, Committed, LocalFuture, MakeReader, NodeTxn};
use aquifer_shard::executor;
use aquifer_shard::reads::{self, Fill, Own, Scan};
use aquifer_shard::snapshot::Snapshot;
use aquifer_shard::status;
use aquifer_sql::txn::{Cursor, Direction, LockMode, LockWait, Locked, ReadMode, Savepoint, Txn};
use aquifer_txn::ViewGuard;
use aquifer_types::{IndexId, Lsn, Maybe, SqlError, SqlResult, TableId};
use bytes::Bytes;

use crate::node::ReaderPart;

/// See the module.
pub struct ReadTxn {
    part: Rc<ReaderPart>,
    options: BeginOptions,
    view: RefCell<Option<(ViewGuard, Arc<ReadState>)>>,
}

impl ReadTxn {
    /// A transaction on the executor of `part`.
    #[must_use]
    pub fn new(part: Rc<ReaderPart>, options: BeginOptions) -> Rc<Self> {
        Rc::new(Self { part, options, view: RefCell::default() })
    }

    /// A view and the state that was current when it was taken: the state did not change around it.
    fn open_view(&self) -> (ViewGuard, Arc<ReadState>) {
        let engine = &self.part.engine;
        let mut state = engine.state();
        loop {
            let view = engine.views.open(self.part.local.index());
            let now = engine.state();
            if Arc::ptr_eq(&state, &now) {
                return (view, state);
            }
            state = now;
        }
    }

    fn state(&self) -> Arc<ReadState> {
        let mut view = self.view.borrow_mut();
        Arc::clone(&view.get_or_insert_with(|| self.open_view()).1)
    }
}

/// Error 1290, as MySQL tells it of a server that is read-only.
#[must_use]
pub fn read_only() -> SqlError {
    SqlError::new(
        1290,
        "The MySQL server is running with the --read-only option so it cannot execute this statement",
    )
}

fn refused<T>() -> Maybe<'static, SqlResult<T>> {
    Maybe::Ready(Err(read_only()))
}

impl Txn for ReadTxn {
    fn catalog(&self) -> Arc<Catalog> {
        self.part.engine.catalog()
    }

    fn catalog_version(&self) -> Lsn {
        self.part.engine.catalog_version()
    }

    fn view_lsn(&self) -> Lsn {
        self.view.borrow_mut().get_or_insert_with(|| self.open_view()).0.lsn()
    }

    fn renew_view(&self) {
        self.view.replace(None);
    }

    fn check_writable(&self) -> SqlResult<()> {
        Err(read_only())
    }

    /// Nobody locks anything here, so the newest version and the snapshot's are the same question.
    fn get<'a>(&'a self, key: &'a [u8], _mode: ReadMode) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        let at = self.view_lsn();
        reads::get(&self.part.engine, || self.state(), key, at, Fill::Rows)
    }

    fn scan(&self, range: Range<Bytes>, direction: Direction, _mode: ReadMode) -> Box<dyn Cursor + '_> {
        let at = self.view_lsn();
        Box::new(Scan::new(&self.part.engine, &self.state(), range, direction, at, Own::default()))
    }

    fn lock<'a>(&'a self, _key: &'a [u8], _mode: LockMode, _wait: LockWait) -> Maybe<'a, SqlResult<Locked>> {
        refused()
    }

    fn put(&self, _key: Bytes, _value: Bytes) -> SqlResult<()> {
        Err(read_only())
    }

    fn delete(&self, _key: Bytes) -> SqlResult<()> {
        Err(read_only())
    }

    fn savepoint(&self) -> Savepoint {
        Savepoint(0)
    }

    fn rollback_to(&self, _savepoint: Savepoint) {}

    fn has_writes(&self) -> bool {
        false
    }

    fn reserve_auto_increment(
        &self,
        _table: TableId,
        _count: u64,
        _at_least: u64,
    ) -> Maybe<'_, SqlResult<u64>> {
        refused()
    }

    fn observe_auto_increment(&self, _table: TableId, _value: u64) -> Maybe<'_, SqlResult<()>> {
        refused()
    }

    fn allocate_table_id(&self) -> Maybe<'_, SqlResult<TableId>> {
        refused()
    }

    fn allocate_index_id(&self) -> Maybe<'_, SqlResult<IndexId>> {
        refused()
    }

    fn use_table(&self, table: TableId, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        let view = self.view.borrow().as_ref().map(|(view, _)| view.lsn());
        match status::check_definition(&self.part.engine, table, view) {
            Ok(None) => Maybe::Ready(Ok(())),
            Ok(Some(lsn)) => Maybe::wait(async move {
                status::wait_visible(&self.part.local, lsn, wait).await;
                Ok(())
            }),
            Err(error) => Maybe::Ready(Err(error)),
        }
    }

    fn lock_table(&self, _table: TableId, _wait: Duration) -> Maybe<'_, SqlResult<()>> {
        refused()
    }

    fn give_way(&self) -> Maybe<'_, ()> {
        Maybe::wait(executor::yield_now())
    }

    fn check_interrupted(&self) -> SqlResult<()> {
        status::check_interrupted(self.options.interrupt.state.load(Ordering::Relaxed))
    }
}

impl NodeTxn for ReadTxn {
    fn has_reader(&self) -> bool {
        true
    }

    fn reader(&self) -> Option<MakeReader> {
        let state = self.state();
        let view = self.view.borrow().as_ref()?.0.share();
        let snapshot = Snapshot {
            engine: Arc::clone(&self.part.engine),
            catalog: self.catalog(),
            view,
            state,
            writes: BTreeMap::new(),
            spilled: None,
            interrupt: Arc::clone(&self.options.interrupt),
        };
        Some(snapshot.into_reader())
    }

    fn as_txn(&self) -> &dyn Txn {
        self
    }

    fn commit(self: Rc<Self>) -> LocalFuture<'static, SqlResult<Committed>> {
        self.view.replace(None);
        let lsn = self.part.engine.views.visible();
        Box::pin(async move { Ok(Committed { lsn }) })
    }

    fn rollback(self: Rc<Self>) {
        self.view.replace(None);
    }
}
