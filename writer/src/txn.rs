//! A transaction on the writer: a view, a write set, and the row locks it holds at their homes.
//!
//! A transaction lives on the executor of its session. Its locks are released by their homes: after a commit
//! when the new versions are in the memtable, otherwise when it ends without one. A key is noted as locked
//! before it is asked for, so that whatever the answer is and whenever it comes, the end releases it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aquifer_catalog::Catalog;
use aquifer_format::{DeltaFlags, encode_delta};
use aquifer_session::node::{BeginOptions, Committed, LocalFuture, MakeReader, NodeTxn};
use aquifer_shard::event;
use aquifer_shard::executor;
use aquifer_shard::homes::{LockOutcome, Patience};
use aquifer_shard::reads::{self, Fill, Overlay, Scan};
use aquifer_shard::snapshot::Snapshot;
use aquifer_sql::txn::{Cursor, Direction, LockMode, LockWait, Locked, ReadMode, Savepoint, Txn};
use aquifer_txn::{LockStrength, ViewGuard, WriteSet, WriteSetPoint};
use aquifer_types::{ErrorKind, IndexId, Lsn, Maybe, SqlError, SqlResult, TableId, TxnId};
use bytes::Bytes;
use futures_channel::oneshot;

use crate::counters::{Counter, CounterId, Taken};
use crate::node::WriterPart;
use crate::sequencer::CommitRequest;

/// How long a waiting statement may sleep before it looks whether it was killed.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

/// With more writes a transaction's long queries stay on its executor, because they would be copied.
const SHARED_WRITES_MAX: usize = 10_000;

/// A transaction may not write more than this; larger ones are the business of spilled write sets.
const WRITE_BYTES_MAX: usize = 32 << 20;

/// See the module.
pub struct WriteTxn {
    part: Rc<WriterPart>,
    id: TxnId,
    options: BeginOptions,
    view: RefCell<Option<ViewGuard>>,
    writes: RefCell<WriteSet>,
    locks: RefCell<Box<[Vec<Bytes>]>>,
    /// Requests of [`Txn::lock_ahead`] that nobody has asked for yet.
    ahead: RefCell<HashMap<Bytes, oneshot::Receiver<LockOutcome>>>,
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
            writes: RefCell::default(),
            locks: RefCell::new(vec![Vec::new(); homes].into_boxed_slice()),
            ahead: RefCell::default(),
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
        reads::get(engine, || engine.state(), key, at, fill)
    }

    // ---- row locks -------------------------------------------------------------------------------

    async fn lock_slow(
        &self,
        key: Bytes,
        wait: LockWait,
        answer: oneshot::Receiver<LockOutcome>,
    ) -> SqlResult<Locked> {
        let outcome = match wait {
            LockWait::Timeout(timeout) => self.await_lock(&key, answer, timeout).await?,
            LockWait::NoWait | LockWait::Skip => answer.await.unwrap_or(LockOutcome::Busy),
        };
        match self.judge(outcome, wait)? {
            Some(skipped) => Ok(skipped),
            None => Ok(Locked::Row(self.get(&key, ReadMode::Latest).await?)),
        }
    }

    /// `Some`: the row is skipped; `None`: the lock is held.
    fn judge(&self, outcome: LockOutcome, wait: LockWait) -> SqlResult<Option<Locked>> {
        match (outcome, wait) {
            (LockOutcome::Granted, _) => Ok(None),
            (LockOutcome::Busy, LockWait::Skip) => Ok(Some(Locked::Skipped)),
            (LockOutcome::Busy, _) => Err(SqlError::new(
                3572,
                "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.",
            )),
            (LockOutcome::Deadlock, _) => {
                self.end_without_commit();
                Err(SqlError::new(1213, "Deadlock found when trying to get lock; try restarting transaction"))
            }
        }
    }

    async fn await_lock(
        &self,
        key: &Bytes,
        mut answer: oneshot::Receiver<LockOutcome>,
        timeout: Duration,
    ) -> SqlResult<LockOutcome> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Ok(outcome) = executor::timeout(left.min(INTERRUPT_POLL), &mut answer).await {
                return Ok(outcome.unwrap_or(LockOutcome::Deadlock));
            }
            let failed = match self.check_interrupted() {
                Err(error) => Some(error),
                Ok(()) if Instant::now() >= deadline => Some(lock_wait_timeout()),
                Ok(()) => None,
            };
            if let Some(error) = failed {
                self.part.local.cancel_lock(self.id, key);
                return Err(error);
            }
        }
    }

    fn note_lock(&self, key: &Bytes) {
        let home = self.part.local.homes().home_of(key);
        self.locks.borrow_mut()[home].push(key.clone());
    }

    // ---- ends ------------------------------------------------------------------------------------

    /// Gives everything up; safe to call again.
    fn end_without_commit(&self) {
        if self.ended.replace(true) {
            return;
        }
        self.writes.replace(WriteSet::default());
        let locks = self.take_locks();
        self.part.local.release(self.id, locks);
        self.end_common();
    }

    fn take_locks(&self) -> Box<[Vec<Bytes>]> {
        self.ahead.take();
        let homes = self.part.local.homes().count();
        self.locks.replace(vec![Vec::new(); homes].into_boxed_slice())
    }

    fn end_common(&self) {
        self.view.replace(None);
        let tables = self.tables.take();
        if !tables.is_empty() {
            self.part.local.release_tables(&tables);
        }
        for table in self.fenced.take() {
            self.part.unfence(table, self.id);
        }
    }

    async fn commit_writes(&self) -> SqlResult<Committed> {
        let bytes = self.writes.borrow().bytes();
        self.part.check_backlog(bytes).await?;
        let delta = {
            let writes = self.writes.borrow();
            let pairs = writes.iter().map(|(key, value)| (key.as_ref(), value.as_deref()));
            encode_delta(pairs, DeltaFlags::NONE, event::wall_micros())
                .map_err(|error| SqlError::with_kind(1105, error.kind(), error.to_string()))?
        };
        let (reply_to, answer) = self.part.local.expect_commit();
        let request = CommitRequest { delta, txn: self.id, reply_to, locks: self.take_locks() };
        // From here on the locks belong to the commit: its homes release them.
        self.ended.set(true);
        if let Err((request, error)) = self.part.submit(request).await {
            self.part.local.forget_commit(reply_to.ticket);
            self.part.local.release(self.id, request.locks);
            self.end_common();
            return Err(error);
        }
        let answer = answer.await;
        self.end_common();
        match answer {
            Ok(Ok(lsn)) => Ok(Committed { lsn }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(SqlError::with_kind(1053, ErrorKind::Unavailable, "Server shutdown in progress")),
        }
    }

    // ---- counters --------------------------------------------------------------------------------

    async fn reserve(&self, id: CounterId, count: u64, at_least: u64) -> SqlResult<u64> {
        let counter = self.counter(id).await?;
        loop {
            match counter.take(count, at_least)? {
                Taken::Value(first) => return Ok(first),
                Taken::Extend(end) => self.part.extend_counter(&counter, end).await?,
            }
        }
    }

    async fn counter(&self, id: CounterId) -> SqlResult<Arc<Counter>> {
        if let Some(counter) = self.part.counters.find(id) {
            return Ok(counter);
        }
        let key = id.key();
        let stored = self.read(&key, Lsn::MAX, Fill::Nothing).await?;
        self.part.counters.loaded(id, stored.as_deref())
    }

    async fn observe(&self, id: CounterId, value: u64) -> SqlResult<()> {
        let counter = self.counter(id).await?;
        while let Some(end) = counter.observe(value) {
            self.part.extend_counter(&counter, end).await?;
        }
        Ok(())
    }
}

fn lock_wait_timeout() -> SqlError {
    SqlError::new(1205, "Lock wait timeout exceeded; try restarting transaction")
}

impl Txn for WriteTxn {
    fn catalog(&self) -> Arc<Catalog> {
        self.part.engine.catalog()
    }

    fn view_lsn(&self) -> Lsn {
        let mut view = self.view.borrow_mut();
        view.get_or_insert_with(|| self.part.engine.views.open(self.part.local.index())).lsn()
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
        if let Some(own) = self.writes.borrow().get(key) {
            return Maybe::Ready(Ok(own.clone()));
        }
        let fill = if mode == ReadMode::Snapshot { Fill::Rows } else { Fill::Nothing };
        self.read(key, self.read_lsn(mode), fill)
    }

    fn scan(&self, range: Range<Bytes>, direction: Direction, mode: ReadMode) -> Box<dyn Cursor + '_> {
        let at = self.read_lsn(mode);
        let writes = self.writes.borrow();
        let own = || writes.range(&range).map(|(key, write)| (key.clone(), write.clone()));
        let overlay: Overlay = match direction {
            _ if writes.is_empty() => Overlay::new(),
            Direction::Forward => own().collect(),
            Direction::Backward => own().rev().collect(),
        };
        let engine = &self.part.engine;
        Box::new(Scan::new(engine, &engine.state(), range, direction, at, overlay))
    }

    fn lock<'a>(&'a self, key: &'a [u8], mode: LockMode, wait: LockWait) -> Maybe<'a, SqlResult<Locked>> {
        if let Some(locked) = self.lock_asked_ahead(key, mode, wait) {
            return locked;
        }
        let strength = match mode {
            LockMode::Shared => LockStrength::Shared,
            LockMode::Exclusive => LockStrength::Exclusive,
        };
        let patience = match wait {
            LockWait::Timeout(_) => Patience::Wait,
            LockWait::NoWait | LockWait::Skip => Patience::None,
        };
        let key = Bytes::copy_from_slice(key);
        self.note_lock(&key);
        match self.part.local.lock(self.id, &key, strength, patience) {
            Ok(outcome) => match self.judge(outcome, wait) {
                Err(error) => Maybe::Ready(Err(error)),
                Ok(Some(skipped)) => Maybe::Ready(Ok(skipped)),
                Ok(None) => self.read_locked(key),
            },
            Err(answer) => Maybe::wait(self.lock_slow(key, wait, answer)),
        }
    }

    fn lock_ahead(&self, key: &Bytes) {
        let local = &self.part.local;
        if local.homes().home_of(key) == local.index() {
            return;
        }
        self.note_lock(key);
        if let Err(answer) = local.lock(self.id, key, LockStrength::Exclusive, Patience::None) {
            self.ahead.borrow_mut().insert(key.clone(), answer);
        }
    }

    fn put(&self, key: Bytes, value: Bytes) -> SqlResult<()> {
        self.write(key, Some(value))
    }

    fn delete(&self, key: Bytes) -> SqlResult<()> {
        self.write(key, None)
    }

    fn savepoint(&self) -> Savepoint {
        Savepoint(self.writes.borrow().point().index())
    }

    fn rollback_to(&self, savepoint: Savepoint) {
        self.writes.borrow_mut().undo_to(WriteSetPoint::from_index(savepoint.0));
    }

    fn has_writes(&self) -> bool {
        !self.writes.borrow().is_empty()
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
            u32::try_from(id).map(TableId).map_err(|_| SqlError::new(1105, "there are no table ids left"))
        })
    }

    fn allocate_index_id(&self) -> Maybe<'_, SqlResult<IndexId>> {
        Maybe::wait(async {
            let id = self.reserve(CounterId::Indexes, 1, 1).await?;
            u32::try_from(id).map(IndexId).map_err(|_| SqlError::new(1105, "there are no index ids left"))
        })
    }

    fn use_table(&self, table: TableId) -> Maybe<'_, SqlResult<()>> {
        if self.tables.borrow().contains(&table) {
            return Maybe::Ready(Ok(()));
        }
        match self.part.local.enter_table(table, self.id) {
            Ok(()) => {
                self.tables.borrow_mut().push(table);
                Maybe::Ready(Ok(()))
            }
            Err(free) => Maybe::wait(self.use_table_slow(table, free)),
        }
    }

    fn lock_table(&self, table: TableId, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        if self.fenced.borrow().contains(&table) {
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

impl WriteTxn {
    /// A lock that [`Txn::lock_ahead`] has asked for; `None` when it has not.
    fn lock_asked_ahead<'a>(
        &'a self,
        key: &'a [u8],
        mode: LockMode,
        wait: LockWait,
    ) -> Option<Maybe<'a, SqlResult<Locked>>> {
        let mut ahead = self.ahead.borrow_mut();
        if ahead.is_empty() {
            return None;
        }
        let (key, mut answer) = ahead.remove_entry(key)?;
        if answer.try_recv() == Ok(Some(LockOutcome::Granted)) {
            return Some(self.read_locked(key));
        }
        Some(Maybe::wait(async move {
            match answer.await {
                Ok(LockOutcome::Granted) => self.read_locked(key).await,
                // Somebody else has it: wait for it like everybody.
                _ => self.lock(&key, mode, wait).await,
            }
        }))
    }

    /// The newest version of a key that has just been locked.
    fn read_locked(&self, key: Bytes) -> Maybe<'_, SqlResult<Locked>> {
        if let Some(own) = self.writes.borrow().get(&key) {
            return Maybe::Ready(Ok(Locked::Row(own.clone())));
        }
        let ready = match self.read(&key, Lsn::MAX, Fill::Nothing) {
            Maybe::Ready(row) => Some(row),
            Maybe::Wait(_) => None,
        };
        match ready {
            Some(row) => Maybe::Ready(row.map(Locked::Row)),
            None => {
                Maybe::wait(async move { self.read(&key, Lsn::MAX, Fill::Nothing).await.map(Locked::Row) })
            }
        }
    }

    fn write(&self, key: Bytes, value: Option<Bytes>) -> SqlResult<()> {
        self.check_writable()?;
        let mut writes = self.writes.borrow_mut();
        if writes.bytes() > WRITE_BYTES_MAX {
            // ER_TRANS_CACHE_FULL: the transaction is larger than what a commit may hold.
            return Err(SqlError::new(
                1197,
                "Multi-statement transaction required more than 'max_binlog_cache_size' bytes of storage; \
                 increase this mysqld variable and try again",
            ));
        }
        writes.set(key, value);
        Ok(())
    }

    async fn use_table_slow(&self, table: TableId, free: oneshot::Receiver<()>) -> SqlResult<()> {
        let mut free = free;
        let deadline = Instant::now() + self.part.metadata_lock_wait;
        loop {
            while executor::timeout(INTERRUPT_POLL, &mut free).await.is_err() {
                self.check_interrupted()?;
                if Instant::now() >= deadline {
                    return Err(lock_wait_timeout());
                }
            }
            match self.part.local.enter_table(table, self.id) {
                Ok(()) => {
                    self.tables.borrow_mut().push(table);
                    return Ok(());
                }
                Err(again) => free = again,
            }
        }
    }

    /// First the table's name as a row lock, so that only one transaction puts up fences; then a fence on
    /// every executor.
    async fn lock_table_slow(&self, table: TableId, wait: Duration) -> SqlResult<()> {
        let deadline = Instant::now() + wait;
        let key = table_lock_key(table);
        self.lock(&key, LockMode::Exclusive, LockWait::Timeout(wait)).await?;
        self.leave_table(table);
        self.fenced.borrow_mut().push(table);
        for mut free in self.part.fence(table, self.id) {
            while executor::timeout(INTERRUPT_POLL, &mut free).await.is_err() {
                self.check_interrupted()?;
                if Instant::now() >= deadline {
                    return Err(lock_wait_timeout());
                }
            }
        }
        Ok(())
    }

    fn leave_table(&self, table: TableId) {
        let mut tables = self.tables.borrow_mut();
        if let Some(at) = tables.iter().position(|used| *used == table) {
            tables.swap_remove(at);
            drop(tables);
            self.part.local.release_tables(&[table]);
        }
    }
}

/// A key that no row has, in the system's index 0.
fn table_lock_key(table: TableId) -> Bytes {
    [[0; 4], table.0.to_be_bytes()].concat().into()
}

impl NodeTxn for WriteTxn {
    fn has_reader(&self) -> bool {
        self.writes.borrow().len() <= SHARED_WRITES_MAX
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
            writes: self.writes.borrow().newest().clone(),
            interrupt: Arc::clone(&self.options.interrupt),
        };
        Some(snapshot.into_reader())
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
            if self.has_writes() {
                return self.commit_writes().await;
            }
            let lsn = self.part.engine.views.visible();
            self.end_without_commit();
            Ok(Committed { lsn })
        })
    }

    fn rollback(self: Rc<Self>) {
        self.end_without_commit();
    }
}

impl Drop for WriteTxn {
    fn drop(&mut self) {
        if self.ended.get() {
            // A session that went away while its commit was under way.
            self.end_common();
        } else {
            self.end_without_commit();
        }
    }
}
