//! A transaction on the writer: a view, a write set, and the locks it holds. How it locks is in [`locking`].
//!
//! A transaction lives on the executor of its session. Its locks are released by their homes: after a commit
//! when the new versions are in the memtable, otherwise when it ends without one. A key is noted as locked
//! before it is asked for, so that whatever the answer is and whenever it comes, the end releases it.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aquifer_catalog::Catalog;
use aquifer_session::node::{BeginOptions, Committed, LocalFuture, MakeReader, NodeTxn};
use aquifer_shard::executor;
use aquifer_shard::reads::{self, Fill, Overlay, Own};
use aquifer_shard::snapshot::Snapshot;
use aquifer_sql::txn::{
    Cursor, Direction, LockMode, LockWait, Locked, MakeEntries, ReadMode, Savepoint, Txn,
};
use aquifer_txn::{Held, HeldRanges, KeyHasher, ViewGuard, WriteSetPoint};
use aquifer_types::{ErrorKind, IndexId, Lsn, Maybe, SqlError, SqlResult, TableId, TxnId, Xid};
use bytes::Bytes;

use crate::build::Written;
use crate::counters::{CounterId, Taken};
use crate::load::Load;
use crate::node::WriterPart;
use crate::spill::Spill;
use crate::txn::building::Unfinished;
use crate::txn::counting::shared_id;
use crate::txn::later::LaterScan;

pub(crate) mod building;
mod counting;
mod ends;
mod later;
mod loading;
mod lock_group;
mod locking;
mod spilling;

/// With more writes a transaction's long queries stay on its executor, because they would be copied.
const SHARED_WRITES_MAX: usize = 10_000;

/// A transaction may not have more than this in memory: what cannot be spilled ends here.
const WRITE_BYTES_MAX: usize = 40 << 20;

/// See the module.
pub struct WriteTxn {
    part: Rc<WriterPart>,
    id: TxnId,
    options: BeginOptions,
    view: RefCell<Option<ViewGuard>>,
    /// Its writes and exclusive locks; its executor looks at them when somebody wants a range.
    held: Rc<RefCell<Held>>,
    /// Whether the executor knows `held`.
    running: Cell<bool>,
    locks: RefCell<Box<[Vec<Bytes>]>>,
    /// What [`Txn::lock_group`] has locked last.
    group: RefCell<HashSet<Bytes, KeyHasher>>,
    /// Tables whose AUTO_INCREMENT values it has locked: the locks' keys.
    values: RefCell<Vec<Bytes>>,
    /// Rows of indexes that nobody else can read, beyond what the write set holds of them.
    load: RefCell<Option<Load>>,
    /// Writes that are in memory no more.
    spill: RefCell<Option<Spill>>,
    /// Tables that go when the transaction has ended.
    leftover: RefCell<Vec<Written>>,
    /// Savepoints that later statements may return to.
    kept: RefCell<Vec<Savepoint>>,
    /// Index ids that it was given and has not committed.
    given: RefCell<Vec<IndexId>>,
    /// Indexes that go if this transaction does not finish them.
    unfinished: RefCell<Option<Unfinished>>,
    ranges: RefCell<HeldRanges>,
    /// Whether a range was asked for, granted or not.
    asked_ranges: Cell<bool>,
    /// Whether it may have read versions that are not visible yet, as who locks a row does: then its view must
    /// not be older than they are, and it does not end before they are visible.
    read_newest: Cell<bool>,
    /// How much it has done: what it loses as a deadlock's victim.
    weight: Cell<u64>,
    tables: RefCell<Vec<TableId>>,
    fenced: RefCell<Vec<TableId>>,
    ended: Cell<bool>,
}

impl WriteTxn {
    /// A transaction on the executor of `part`.
    #[must_use]
    pub fn new(part: Rc<WriterPart>, options: BeginOptions) -> Rc<Self> {
        let id = part.local.homes().next_txn();
        let homes = part.local.homes().count();
        Rc::new(Self {
            part,
            id,
            options,
            view: RefCell::default(),
            held: Rc::default(),
            running: Cell::new(false),
            load: RefCell::default(),
            spill: RefCell::default(),
            leftover: RefCell::default(),
            kept: RefCell::default(),
            given: RefCell::default(),
            unfinished: RefCell::default(),
            ranges: RefCell::default(),
            asked_ranges: Cell::new(false),
            read_newest: Cell::new(false),
            weight: Cell::new(0),
            locks: RefCell::new(vec![Vec::new(); homes].into_boxed_slice()),
            group: RefCell::default(),
            values: RefCell::default(),
            tables: RefCell::default(),
            fenced: RefCell::default(),
            ended: Cell::new(false),
        })
    }

    fn read_lsn(&self, mode: ReadMode) -> Lsn {
        match mode {
            ReadMode::Snapshot => self.view_lsn(),
            ReadMode::Latest => Lsn::MAX,
        }
    }

    fn read<'a>(&'a self, key: &'a [u8], at: Lsn, fill: Fill) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        let engine = &self.part.engine;
        reads::get(engine, || self.loading(key).unwrap_or_else(|| engine.state()), key, at, fill)
    }

    /// A key that this transaction has not written.
    fn get_stored<'a>(&'a self, key: &'a [u8], mode: ReadMode) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        if mode == ReadMode::Snapshot
            && let Some(newest) = self.unsettled_view()
        {
            return Maybe::wait(async move {
                self.settle(newest).await?;
                self.read(key, self.view_lsn(), Fill::Rows).await
            });
        }
        let fill = if mode == ReadMode::Snapshot { Fill::Rows } else { Fill::Nothing };
        self.read(key, self.read_lsn(mode), fill)
    }
}

impl Txn for WriteTxn {
    fn catalog(&self) -> Arc<Catalog> {
        self.part.engine.catalog()
    }

    fn catalog_version(&self) -> Lsn {
        self.part.engine.catalog_version()
    }

    fn view_lsn(&self) -> Lsn {
        let mut view = self.view.borrow_mut();
        let open = || {
            let local = &self.part.local;
            let at_least = if self.read_newest.get() { local.homes().settled() } else { Lsn(0) };
            self.part.engine.views.open_ahead(local.index(), at_least)
        };
        view.get_or_insert_with(open).lsn()
    }

    fn renew_view(&self) {
        self.view.replace(None);
    }

    fn check_writable(&self) -> SqlResult<()> {
        if self.options.read_only {
            return Err(SqlError::new(1792, "Cannot execute statement in a READ ONLY transaction."));
        }
        Ok(())
    }

    fn get<'a>(&'a self, key: &'a [u8], mode: ReadMode) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        if let Some(own) = self.held.borrow().writes.get(key) {
            return Maybe::Ready(Ok(own.clone()));
        }
        match self.spilled() {
            Some(spilled) => {
                let stored = move || self.get_stored(key, mode);
                reads::get_spilled_or(&self.part.engine, spilled, key, stored)
            }
            None => self.get_stored(key, mode),
        }
    }

    fn scan(&self, range: Range<Bytes>, direction: Direction, mode: ReadMode) -> Box<dyn Cursor + '_> {
        let held = self.held.borrow();
        let writes = &held.writes;
        let own = || writes.range(&range).map(|(key, write)| (key.clone(), write.clone()));
        let overlay: Overlay = match direction {
            _ if writes.is_empty() => Overlay::new(),
            Direction::Forward => own().collect(),
            Direction::Backward => own().rev().collect(),
        };
        let own = Own { overlay, spilled: self.spilled() };
        let unsettled = match mode {
            ReadMode::Snapshot => self.unsettled_view(),
            ReadMode::Latest => self.unsettled(),
        };
        match unsettled {
            Some(newest) => Box::new(LaterScan::new(self, newest, (range, direction, mode, own))),
            None => Box::new(self.scan_now(range, direction, mode, own)),
        }
    }

    fn lock<'a>(&'a self, key: &'a [u8], mode: LockMode, wait: LockWait) -> Maybe<'a, SqlResult<Locked>> {
        let group = self.group.borrow();
        if let Some(key) = group.get(key).cloned() {
            drop(group);
            return self.read_locked(key, wait);
        }
        drop(group);
        self.lock_key(Bytes::copy_from_slice(key), mode, wait)
    }

    fn lock_range(&self, range: Range<Bytes>, wait: LockWait) -> Maybe<'_, SqlResult<()>> {
        if range.start >= range.end || self.ranges.borrow().contains(&range) {
            return Maybe::Ready(Ok(()));
        }
        Maybe::wait(self.lock_range_slow(range, wait))
    }

    fn has_view(&self) -> bool {
        self.view.borrow().is_some()
    }

    fn has_ranges_of_others(&self) -> bool {
        self.part.local.has_ranges()
    }

    fn enter_ranges<'a>(&'a self, keys: &'a [Bytes], wait: LockWait) -> Maybe<'a, SqlResult<()>> {
        if self.ranges_over(keys).is_none() {
            return Maybe::Ready(Ok(()));
        }
        Maybe::wait(async move {
            while let Some((key, owners)) = self.ranges_over(keys) {
                self.wait_for_ranges(key, &owners, wait).await?;
            }
            Ok(())
        })
    }

    fn lock_group(&self, keys: Vec<Bytes>) -> Maybe<'_, ()> {
        self.group.borrow_mut().clear();
        if !self.pays_together(&keys) {
            return Maybe::Ready(());
        }
        Maybe::wait(self.lock_together(keys))
    }

    fn lock_values(&self, table: TableId, mode: LockMode, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        self.lock_values_of(table, mode, wait)
    }

    fn release_values(&self) {
        self.values.take().iter().for_each(|key| self.unlock(key));
    }

    fn put(&self, key: Bytes, value: Bytes) -> SqlResult<()> {
        self.write(key, Some(value))
    }

    fn put_new(&self, key: Bytes, value: Bytes, unique: bool) -> Maybe<'_, SqlResult<bool>> {
        self.put_new_row(key, value, unique)
    }

    fn can_build(&self) -> bool {
        self.options.locked_tables.is_empty() && self.part.loads.get().is_some()
    }

    fn publish(&self, table: TableId, indexes: Vec<IndexId>) -> Maybe<'_, SqlResult<()>> {
        Maybe::wait(self.publish_definition(table, indexes))
    }

    fn build(&self, rows: Range<Bytes>, entries: Arc<dyn MakeEntries>) -> Maybe<'_, SqlResult<Lsn>> {
        Maybe::wait(self.build_entries(rows, entries))
    }

    fn settle_build(
        &self,
        indexes: Vec<Range<Bytes>>,
        entries: Arc<dyn MakeEntries>,
        wait: Duration,
    ) -> Maybe<'_, SqlResult<Lsn>> {
        Maybe::wait(self.settle_entries(indexes, entries, Instant::now() + wait))
    }

    fn fail_build(&self, index: IndexId, error: SqlError) {
        if let Some(loads) = self.part.loads.get() {
            loads.failures().note(index, error);
        }
    }

    fn delete(&self, key: Bytes) -> SqlResult<()> {
        self.write(key, None)
    }

    fn savepoint(&self) -> Savepoint {
        Savepoint(self.held.borrow().writes.point().index())
    }

    fn rollback_to(&self, savepoint: Savepoint) {
        let point = WriteSetPoint::from_index(savepoint.0);
        self.undo_spilled(point);
        self.held.borrow_mut().writes.undo_to(point);
        // A load is all of one statement, which began after any savepoint that there can be.
        self.load.take();
    }

    fn has_writes(&self) -> bool {
        !self.held.borrow().writes.is_empty() || self.spilled().is_some()
    }

    fn make_room(&self, statement: Option<Savepoint>) -> Maybe<'_, SqlResult<()>> {
        if !self.has_to_spill() {
            return Maybe::Ready(Ok(()));
        }
        Maybe::wait(self.spill(statement))
    }

    fn reserve_auto_increment(&self, table: TableId, count: u64, at_least: u64) -> Maybe<'_, SqlResult<u64>> {
        let id = CounterId::AutoIncrement(table);
        if let Some(counter) = self.part.counters.find(id) {
            match counter.take(count, at_least) {
                Ok(Taken::Value(first)) => return Maybe::Ready(Ok(first)),
                Ok(Taken::Extend(_)) => {}
                Err(error) => return Maybe::Ready(Err(error)),
            }
        }
        Maybe::wait(self.reserve(id, count, at_least))
    }

    fn observe_auto_increment(&self, table: TableId, value: u64) -> Maybe<'_, SqlResult<()>> {
        let id = CounterId::AutoIncrement(table);
        match self.part.counters.find(id) {
            Some(counter) if counter.observe(value).is_none() => Maybe::Ready(Ok(())),
            _ => Maybe::wait(self.observe(id, value)),
        }
    }

    fn allocate_table_id(&self) -> Maybe<'_, SqlResult<TableId>> {
        Maybe::wait(async {
            let id = self.reserve(CounterId::Tables, 1, 1).await?;
            shared_id(id).map(TableId).ok_or_else(|| SqlError::new(1105, "there are no table ids left"))
        })
    }

    fn allocate_index_id(&self) -> Maybe<'_, SqlResult<IndexId>> {
        Maybe::wait(async {
            let id = self.reserve(CounterId::Indexes, 1, 1).await?;
            let none_left = || SqlError::new(1105, "there are no index ids left");
            let id = shared_id(id).map(IndexId).ok_or_else(none_left)?;
            self.given.borrow_mut().push(id);
            Ok(id)
        })
    }

    fn use_table(&self, table: TableId, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        if let Some(newest) = self.unsettled_view() {
            return Maybe::wait(async move {
                self.settle(newest).await?;
                self.use_table(table, wait).await
            });
        }
        if self.tables.borrow().contains(&table) {
            return self.check_definition(table);
        }
        if self.has_locked(table) {
            return Maybe::Ready(Ok(()));
        }
        match self.part.local.enter_table(table, self.id) {
            Ok(()) => {
                self.tables.borrow_mut().push(table);
                self.check_definition(table)
            }
            Err(free) => Maybe::wait(self.use_table_slow(table, free, wait)),
        }
    }

    fn lock_table(&self, table: TableId, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        if self.has_locked(table) {
            return Maybe::Ready(Ok(()));
        }
        Maybe::wait(self.lock_table_slow(table, wait))
    }

    fn give_way(&self) -> Maybe<'_, ()> {
        Maybe::wait(executor::yield_now())
    }

    fn check_interrupted(&self) -> SqlResult<()> {
        aquifer_shard::status::check_interrupted(self.options.interrupt.state.load(Ordering::Relaxed))
    }
}

fn closed() -> SqlError {
    SqlError::with_kind(1053, ErrorKind::Unavailable, "Server shutdown in progress")
}

impl WriteTxn {
    fn write(&self, key: Bytes, value: Option<Bytes>) -> SqlResult<()> {
        self.check_writable()?;
        self.begin_running();
        let mut held = self.held.borrow_mut();
        if held.writes.bytes() > WRITE_BYTES_MAX {
            // ER_TRANS_CACHE_FULL: the transaction is larger than what a commit may hold.
            return Err(SqlError::new(
                1197,
                "Multi-statement transaction required more than 'max_binlog_cache_size' bytes of storage; \
                 increase this mysqld variable and try again",
            ));
        }
        held.writes.set(key, value);
        self.weight.set(self.weight.get() + 1);
        Ok(())
    }
}

impl NodeTxn for WriteTxn {
    fn has_reader(&self) -> bool {
        self.held.borrow().writes.len() <= SHARED_WRITES_MAX
    }

    fn reader(&self) -> Option<MakeReader> {
        self.view_lsn();
        let view = self.view.borrow().as_ref()?.share();
        let engine = Arc::clone(&self.part.engine);
        let snapshot = Snapshot {
            state: engine.state(),
            engine,
            catalog: self.catalog(),
            view,
            writes: self.held.borrow().writes.newest().clone(),
            spilled: self.spilled(),
            interrupt: Arc::clone(&self.options.interrupt),
        };
        Some(snapshot.into_reader())
    }

    fn prepare(self: Rc<Self>, xid: Xid) -> LocalFuture<'static, SqlResult<()>> {
        // What it holds is the node's in the end, also when the session goes away before.
        Box::pin(executor::spawn(async move { self.prepare_writes(xid).await }))
    }

    fn keep_savepoints(&self, kept: Vec<Savepoint>) {
        self.kept.replace(kept);
    }

    fn as_txn(&self) -> &dyn Txn {
        self
    }

    fn commit(self: Rc<Self>) -> LocalFuture<'static, SqlResult<Committed>> {
        Box::pin(async move {
            if self.ended.get() {
                return Err(SqlError::new(
                    1213,
                    "Deadlock found when trying to get lock; try restarting transaction",
                ));
            }
            if self.spilled().is_some() {
                // Layers lock until the commit is visible, also when the session goes away before.
                return executor::spawn(async move { self.commit_writes().await }).await;
            }
            if self.has_writes() {
                return self.commit_writes().await;
            }
            let newest = self.read_newest.get().then(|| self.part.local.homes().newest_applied());
            self.end_without_commit();
            if let Some(newest) = newest {
                self.part.local.until_visible(newest).await.map_err(|_| closed())?;
            }
            Ok(Committed { lsn: self.part.engine.views.visible() })
        })
    }

    fn rollback(self: Rc<Self>) {
        self.end_without_commit();
    }
}

impl Drop for WriteTxn {
    fn drop(&mut self) {
        if self.ended.get() {
            // A session that went away while a commit of it was under way.
            self.part.local.release(self.id, self.take_locks());
            self.end_common();
        } else {
            self.end_without_commit();
        }
    }
}
