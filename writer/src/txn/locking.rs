//! How a transaction locks keys, ranges and tables, and how it waits.
//!
//! A wait hangs on its answer, on one deadline of the ticker and on the connection's interrupt; nothing is polled,
//! so a session that waits costs no CPU.

use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aquifer_shard::event;
use aquifer_shard::homes::{LockOutcome, Patience};
use aquifer_shard::reads::{self, Fill};
use aquifer_shard::status::{self, Waited, wait_for};
use aquifer_sql::txn::{LockMode, LockWait, Locked, Txn};
use aquifer_txn::{LockStrength, ViewGuard, Who};
use aquifer_types::{Lsn, Maybe, SqlError, SqlResult, TableId, TxnId};
use bytes::Bytes;
use futures_channel::oneshot;

use super::{WriteTxn, closed};

impl WriteTxn {
    /// Locks a key, after whoever has locked a range around it or has it in a layer.
    pub(super) fn lock_key(
        &self,
        key: Bytes,
        mode: LockMode,
        wait: LockWait,
    ) -> Maybe<'_, SqlResult<Locked>> {
        let is_in_range =
            mode == LockMode::Exclusive && self.ranges_over(std::slice::from_ref(&key)).is_some();
        if !is_in_range && matches!(self.layer_owner(&key), Maybe::Ready(None)) {
            return self.lock_row(key, mode, wait);
        }
        Maybe::wait(async move {
            loop {
                let ranges =
                    self.ranges_over(std::slice::from_ref(&key)).filter(|_| mode == LockMode::Exclusive);
                let owners = match ranges {
                    Some((_, owners)) => owners,
                    None => match self.layer_owner(&key).await {
                        Some(owner) => vec![owner],
                        None => return self.lock_row(key, mode, wait).await,
                    },
                };
                match self.wait_for_ranges(&key, &owners, wait).await {
                    Err(_) if wait == LockWait::Skip => return Ok(Locked::Skipped),
                    other => other?,
                }
            }
        })
    }

    fn lock_row(&self, key: Bytes, mode: LockMode, wait: LockWait) -> Maybe<'_, SqlResult<Locked>> {
        let strength = match mode {
            LockMode::Shared => LockStrength::Shared,
            LockMode::Exclusive => LockStrength::Exclusive,
        };
        self.note_lock(&key, mode);
        let weight = self.weight.get();
        match self.part.local.lock(self.id, &key, strength, patience(wait), weight) {
            Ok(outcome) => match self.judge(outcome, wait) {
                Err(error) => Maybe::Ready(Err(error)),
                Ok(Some(skipped)) => Maybe::Ready(Ok(skipped)),
                Ok(None) => self.read_locked(key, wait),
            },
            Err(answer) => Maybe::wait(self.lock_slow(key, wait, answer)),
        }
    }

    /// Noted before it is asked for, so that the end releases it whatever the answer is.
    pub(super) fn note_lock(&self, key: &Bytes, mode: LockMode) {
        let home = self.part.local.homes().home_of(key);
        self.locks.borrow_mut()[home].push(key.clone());
        self.weight.set(self.weight.get() + 1);
        self.begin_running();
        let mut held = self.held.borrow_mut();
        held.note_lock();
        if mode == LockMode::Exclusive {
            held.note_exclusive(key);
        }
    }

    /// Locks a table's AUTO_INCREMENT values.
    pub(super) fn lock_values_of(
        &self,
        table: TableId,
        mode: LockMode,
        wait: Duration,
    ) -> Maybe<'_, SqlResult<()>> {
        let key = values_lock_key(table);
        if self.values.borrow().contains(&key) {
            return Maybe::Ready(Ok(()));
        }
        Maybe::wait(async move {
            self.lock_key(key.clone(), mode, LockWait::Timeout(wait)).await?;
            self.values.borrow_mut().push(key);
            Ok(())
        })
    }

    /// Gives up a lock that protects nothing which the transaction has read or written.
    pub(super) fn unlock(&self, key: &Bytes) {
        let homes = self.part.local.homes();
        let mut released = vec![Vec::new(); homes.count()];
        let home = homes.home_of(key);
        self.locks.borrow_mut()[home].retain(|locked| locked != key);
        self.held.borrow_mut().forget(key);
        released[home].push(key.clone());
        self.part.local.release(self.id, released.into_boxed_slice());
    }

    /// From now on whoever wants a range waits for what this transaction does in it.
    pub(super) fn begin_running(&self) {
        if !self.running.replace(true) {
            self.held.borrow_mut().who = Who {
                connection: self.options.connection_id,
                started_unix_s: i64::try_from(event::wall_micros() / 1_000_000).unwrap_or(i64::MAX),
                isolation: self.options.isolation,
            };
            self.part.local.begin_running(self.id, &self.held);
        }
    }

    /// The newest version of a key that has just been locked.
    pub(super) fn read_locked(&self, key: Bytes, wait: LockWait) -> Maybe<'_, SqlResult<Locked>> {
        if let Some(own) = self.held.borrow().writes.get(&key) {
            return Maybe::Ready(Ok(Locked::Row(own.clone())));
        }
        self.read_newest.set(true);
        let ready = match self.layer_owner(&key) {
            Maybe::Ready(None) => match self.read_newest_of(&key) {
                Maybe::Ready(row) => Some(row),
                Maybe::Wait(_) => None,
            },
            _ => None,
        };
        match ready {
            Some(row) => Maybe::Ready(row.map(Locked::Row)),
            None => Maybe::wait(self.read_locked_slow(key, wait)),
        }
    }

    /// A lock was granted because it had been handed to a layer meanwhile: its transaction is waited for all the same.
    async fn read_locked_slow(&self, key: Bytes, wait: LockWait) -> SqlResult<Locked> {
        while let Some(owner) = self.layer_owner(&key).await {
            match self.wait_for_ranges(&key, &[owner], wait).await {
                Err(_) if wait == LockWait::Skip => return Ok(Locked::Skipped),
                other => other?,
            }
        }
        self.read_newest_of(&key).await.map(Locked::Row)
    }

    /// The newest version of a key that is not in memory as an own write.
    fn read_newest_of<'a>(&'a self, key: &'a [u8]) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        let stored = move || self.read(key, Lsn::MAX, Fill::Nothing);
        match self.spilled() {
            Some(spilled) => reads::get_spilled_or(&self.part.engine, spilled, key, stored),
            None => stored(),
        }
    }

    async fn lock_slow(
        &self,
        key: Bytes,
        wait: LockWait,
        mut answer: oneshot::Receiver<LockOutcome>,
    ) -> SqlResult<Locked> {
        let outcome = match wait {
            LockWait::Timeout(timeout) => match self.await_outcome(&mut answer, timeout).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    self.part.local.cancel_lock(self.id, &key);
                    return Err(error);
                }
            },
            LockWait::NoWait | LockWait::Skip => answer.await.unwrap_or(LockOutcome::Busy),
        };
        match self.judge(outcome, wait)? {
            Some(skipped) => Ok(skipped),
            None => self.read_locked(key, wait).await,
        }
    }

    /// `Some`: the row is skipped; `None`: the lock is held.
    fn judge(&self, outcome: LockOutcome, wait: LockWait) -> SqlResult<Option<Locked>> {
        match (outcome, wait) {
            (LockOutcome::Granted, _) => Ok(None),
            (LockOutcome::Busy, LockWait::Skip) => Ok(Some(Locked::Skipped)),
            (LockOutcome::Busy, _) => Err(lock_busy()),
            (LockOutcome::Deadlock, _) => {
                self.end_without_commit();
                Err(SqlError::new(1213, "Deadlock found when trying to get lock; try restarting transaction"))
            }
        }
    }

    async fn await_outcome(
        &self,
        answer: &mut oneshot::Receiver<LockOutcome>,
        timeout: Duration,
    ) -> SqlResult<LockOutcome> {
        match wait_for(answer, timeout, &self.options.interrupt).await {
            Waited::Answer(outcome) => Ok(outcome),
            Waited::Closed => Ok(LockOutcome::Deadlock),
            Waited::TimeOut => Err(lock_wait_timeout()),
            Waited::Interrupted => Err(self.interrupted()),
        }
    }

    fn interrupted(&self) -> SqlError {
        let interrupted = || SqlError::new(1317, "Query execution was interrupted");
        self.check_interrupted().err().unwrap_or_else(interrupted)
    }

    // ---- ranges ----------------------------------------------------------------------------------

    /// The first of `keys` that somebody else has locked a range around, and who.
    pub(super) fn ranges_over<'k>(&self, keys: &'k [Bytes]) -> Option<(&'k Bytes, Vec<TxnId>)> {
        let local = &self.part.local;
        if !local.has_ranges() {
            return None;
        }
        keys.iter().find_map(|key| {
            let owners = local.range_owners(self.id, key);
            (!owners.is_empty()).then_some((key, owners))
        })
    }

    /// Waits until one of the owners is gone; the caller looks again.
    pub(super) async fn wait_for_ranges(
        &self,
        key: &[u8],
        owners: &[TxnId],
        wait: LockWait,
    ) -> SqlResult<()> {
        let LockWait::Timeout(timeout) = wait else { return Err(lock_busy()) };
        let weight = self.weight.get();
        let (reply_to, mut answer) = self.part.local.wait_for_ranges(self.id, owners, key, weight);
        match self.await_outcome(&mut answer, timeout).await {
            Ok(outcome) => self.judge(outcome, wait).map(drop),
            Err(error) => {
                self.part.local.cancel_wait(self.id, reply_to);
                Err(error)
            }
        }
    }

    pub(super) async fn lock_range_slow(&self, range: Range<Bytes>, wait: LockWait) -> SqlResult<()> {
        self.asked_ranges.set(true);
        let weight = self.weight.get();
        let (reply_to, mut answer) = self.part.local.lock_range(self.id, &range, patience(wait), weight);
        let outcome = match wait {
            LockWait::Timeout(timeout) => self.await_outcome(&mut answer, timeout).await,
            LockWait::NoWait | LockWait::Skip => Ok(answer.await.unwrap_or(LockOutcome::Busy)),
        };
        match outcome {
            Ok(LockOutcome::Granted) => {
                self.ranges.borrow_mut().add(range);
                Ok(())
            }
            Ok(other) => self.judge(other, wait).map(drop),
            Err(error) => {
                self.part.local.cancel_range(self.id, reply_to);
                Err(error)
            }
        }
    }

    // ---- tables ----------------------------------------------------------------------------------

    pub(super) async fn use_table_slow(
        &self,
        table: TableId,
        free: oneshot::Receiver<()>,
        wait: Duration,
    ) -> SqlResult<()> {
        let mut free = free;
        let deadline = Instant::now() + wait;
        loop {
            self.await_free(&mut free, deadline).await?;
            match self.part.local.enter_table(table, self.id) {
                Ok(()) => {
                    self.tables.borrow_mut().push(table);
                    return self.check_definition(table).await;
                }
                Err(again) => free = again,
            }
        }
    }

    /// Whether what the transaction sees fits the table's definition, which cannot change while it uses the table.
    pub(super) fn check_definition(&self, table: TableId) -> Maybe<'_, SqlResult<()>> {
        let view = self.view.borrow().as_ref().map(ViewGuard::lsn);
        match status::check_definition(&self.part.engine, table, view) {
            Ok(None) => Maybe::Ready(Ok(())),
            Ok(Some(lsn)) => {
                Maybe::wait(async move { self.part.local.until_visible(lsn).await.map_err(|_| closed()) })
            }
            Err(error) => Maybe::Ready(Err(error)),
        }
    }

    async fn await_free(&self, free: &mut oneshot::Receiver<()>, deadline: Instant) -> SqlResult<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        match wait_for(free, left, &self.options.interrupt).await {
            Waited::Answer(()) | Waited::Closed => Ok(()),
            Waited::TimeOut => Err(lock_wait_timeout()),
            Waited::Interrupted => Err(self.interrupted()),
        }
    }

    /// First the table's name as a row lock, so that only one transaction puts up fences; then a fence on
    /// every executor.
    pub(super) async fn lock_table_slow(&self, table: TableId, wait: Duration) -> SqlResult<()> {
        let deadline = Instant::now() + wait;
        let key = table_lock_key(table);
        self.lock_key(key, LockMode::Exclusive, LockWait::Timeout(wait)).await?;
        self.fence_others(table, deadline).await
    }

    /// Waits until no other transaction uses the table, whose name is locked, and keeps new ones out.
    pub(super) async fn fence_others(&self, table: TableId, deadline: Instant) -> SqlResult<()> {
        self.leave_table(table);
        self.fenced.borrow_mut().push(table);
        for mut free in self.part.fence(table, self.id) {
            self.await_free(&mut free, deadline).await?;
        }
        Ok(())
    }

    /// Whether the table is locked against others, by this transaction or by its session.
    pub(super) fn has_locked(&self, table: TableId) -> bool {
        self.options.locked_tables.contains(&table) || self.fenced.borrow().contains(&table)
    }

    fn leave_table(&self, table: TableId) {
        let mut tables = self.tables.borrow_mut();
        if let Some(at) = tables.iter().position(|used| *used == table) {
            tables.swap_remove(at);
            drop(tables);
            Rc::clone(&self.part.local).release_tables(&[table]);
        }
    }
}

fn patience(wait: LockWait) -> Patience {
    match wait {
        LockWait::Timeout(_) => Patience::Wait,
        LockWait::NoWait | LockWait::Skip => Patience::None,
    }
}

fn lock_busy() -> SqlError {
    SqlError::new(
        3572,
        "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.",
    )
}

fn lock_wait_timeout() -> SqlError {
    SqlError::new(1205, "Lock wait timeout exceeded; try restarting transaction")
}

/// A key that no row has, in the system's index 0.
pub(super) fn table_lock_key(table: TableId) -> Bytes {
    [[0; 4], table.0.to_be_bytes()].concat().into()
}

/// Another such key: of the table's AUTO_INCREMENT values.
fn values_lock_key(table: TableId) -> Bytes {
    [&[0; 4], &table.0.to_be_bytes()[..], b"n"].concat().into()
}
