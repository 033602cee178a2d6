//! A transaction of a session that has temporary tables.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aquifer_catalog::Catalog;
use aquifer_types::{IndexId, Lsn, Maybe, SqlError, SqlResult, TableId};
use bytes::Bytes;

use super::TemporaryTables;
use crate::txn::{Cursor, Direction, LockMode, LockWait, Locked, MakeEntries, ReadMode, Savepoint, Txn};

/// The node's transaction and the session's temporary tables as one, for one statement.
pub struct TemporaryTxn<'t> {
    inner: &'t dyn Txn,
    tables: &'t TemporaryTables,
    /// Savepoints of both; a [`Savepoint`] of this transaction is a position here.
    marks: RefCell<Vec<(Savepoint, usize)>>,
}

impl<'t> TemporaryTxn<'t> {
    /// Both as one.
    #[must_use]
    pub fn new(inner: &'t dyn Txn, tables: &'t TemporaryTables) -> Self {
        Self { inner, tables, marks: RefCell::default() }
    }
}

fn is_temporary(key: &[u8]) -> bool {
    IndexId::of_key(key).is_some_and(IndexId::is_temporary)
}

struct TemporaryCursor<'t> {
    tables: &'t TemporaryTables,
    range: Range<Bytes>,
    direction: Direction,
}

impl Cursor for TemporaryCursor<'_> {
    fn next_batch<'a>(
        &'a mut self,
        out: &'a mut Vec<(Bytes, Bytes)>,
        limit: usize,
    ) -> Maybe<'a, SqlResult<()>> {
        self.tables.next_batch(&mut self.range, self.direction, limit, out);
        Maybe::Ready(Ok(()))
    }
}

impl Txn for TemporaryTxn<'_> {
    fn catalog(&self) -> Arc<Catalog> {
        self.tables.over(&self.inner.catalog())
    }

    fn catalog_version(&self) -> Lsn {
        self.inner.catalog_version()
    }

    fn view_lsn(&self) -> Lsn {
        self.inner.view_lsn()
    }

    fn renew_view(&self) {
        self.inner.renew_view();
    }

    fn temporary(&self) -> Option<&TemporaryTables> {
        Some(self.tables)
    }

    fn check_writable(&self) -> SqlResult<()> {
        self.inner.check_writable()
    }

    fn get<'a>(&'a self, key: &'a [u8], mode: ReadMode) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        if is_temporary(key) {
            return Maybe::Ready(Ok(self.tables.get(key)));
        }
        self.inner.get(key, mode)
    }

    fn scan(&self, range: Range<Bytes>, direction: Direction, mode: ReadMode) -> Box<dyn Cursor + '_> {
        if is_temporary(&range.start) {
            return Box::new(TemporaryCursor { tables: self.tables, range, direction });
        }
        self.inner.scan(range, direction, mode)
    }

    fn lock<'a>(&'a self, key: &'a [u8], mode: LockMode, wait: LockWait) -> Maybe<'a, SqlResult<Locked>> {
        if is_temporary(key) {
            return Maybe::Ready(Ok(Locked::Row(self.tables.get(key))));
        }
        self.inner.lock(key, mode, wait)
    }

    fn lock_group(&self, mut keys: Vec<Bytes>) -> Maybe<'_, ()> {
        keys.retain(|key| !is_temporary(key));
        self.inner.lock_group(keys)
    }

    fn lock_values(&self, table: TableId, mode: LockMode, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        if table.is_temporary() {
            return Maybe::Ready(Ok(()));
        }
        self.inner.lock_values(table, mode, wait)
    }

    fn release_values(&self) {
        self.inner.release_values();
    }

    fn lock_range(&self, range: Range<Bytes>, wait: LockWait) -> Maybe<'_, SqlResult<()>> {
        if is_temporary(&range.start) {
            return Maybe::Ready(Ok(()));
        }
        self.inner.lock_range(range, wait)
    }

    fn has_ranges_of_others(&self) -> bool {
        self.inner.has_ranges_of_others()
    }

    fn enter_ranges<'a>(&'a self, keys: &'a [Bytes], wait: LockWait) -> Maybe<'a, SqlResult<()>> {
        // The keys are those of one row.
        if keys.first().is_some_and(|key| is_temporary(key)) {
            return Maybe::Ready(Ok(()));
        }
        self.inner.enter_ranges(keys, wait)
    }

    fn has_view(&self) -> bool {
        self.inner.has_view()
    }

    fn put_new(&self, key: Bytes, value: Bytes, unique: bool) -> Maybe<'_, SqlResult<bool>> {
        if !is_temporary(&key) {
            return self.inner.put_new(key, value, unique);
        }
        if unique && self.tables.get(&key).is_some() {
            return Maybe::Ready(Ok(false));
        }
        Maybe::Ready(self.tables.set(key, Some(value)).map(|()| true))
    }

    fn can_build(&self) -> bool {
        self.inner.can_build()
    }

    fn publish(&self, table: TableId, indexes: Vec<IndexId>) -> Maybe<'_, SqlResult<()>> {
        self.inner.publish(table, indexes)
    }

    fn build(&self, rows: Range<Bytes>, entries: Arc<dyn MakeEntries>) -> Maybe<'_, SqlResult<Lsn>> {
        self.inner.build(rows, entries)
    }

    fn settle_build(
        &self,
        indexes: Vec<Range<Bytes>>,
        entries: Arc<dyn MakeEntries>,
        wait: Duration,
    ) -> Maybe<'_, SqlResult<Lsn>> {
        self.inner.settle_build(indexes, entries, wait)
    }

    fn fail_build(&self, index: IndexId, error: SqlError) {
        self.inner.fail_build(index, error);
    }

    fn put(&self, key: Bytes, value: Bytes) -> SqlResult<()> {
        if is_temporary(&key) {
            return self.tables.set(key, Some(value));
        }
        self.inner.put(key, value)
    }

    fn delete(&self, key: Bytes) -> SqlResult<()> {
        if is_temporary(&key) {
            return self.tables.set(key, None);
        }
        self.inner.delete(key)
    }

    fn make_room(&self, statement: Option<Savepoint>) -> Maybe<'_, SqlResult<()>> {
        let inner = |savepoint: Savepoint| self.marks.borrow().get(savepoint.0).map(|(inner, _)| *inner);
        self.inner.make_room(statement.and_then(inner))
    }

    fn savepoint(&self) -> Savepoint {
        let mark = (self.inner.savepoint(), self.tables.point());
        let mut marks = self.marks.borrow_mut();
        if marks.last() != Some(&mark) {
            marks.push(mark);
        }
        Savepoint(marks.len() - 1)
    }

    fn rollback_to(&self, savepoint: Savepoint) {
        let mut marks = self.marks.borrow_mut();
        let Some((inner, point)) = marks.get(savepoint.0).copied() else { return };
        marks.truncate(savepoint.0 + 1);
        self.inner.rollback_to(inner);
        self.tables.undo_to(point);
    }

    fn has_writes(&self) -> bool {
        self.inner.has_writes()
    }

    fn reserve_auto_increment(&self, table: TableId, count: u64, at_least: u64) -> Maybe<'_, SqlResult<u64>> {
        if table.is_temporary() {
            return Maybe::Ready(self.tables.reserve(table, count, at_least));
        }
        self.inner.reserve_auto_increment(table, count, at_least)
    }

    fn observe_auto_increment(&self, table: TableId, value: u64) -> Maybe<'_, SqlResult<()>> {
        if table.is_temporary() {
            self.tables.observe(table, value);
            return Maybe::Ready(Ok(()));
        }
        self.inner.observe_auto_increment(table, value)
    }

    fn allocate_table_id(&self) -> Maybe<'_, SqlResult<TableId>> {
        self.inner.allocate_table_id()
    }

    fn allocate_index_id(&self) -> Maybe<'_, SqlResult<IndexId>> {
        self.inner.allocate_index_id()
    }

    fn use_table(&self, table: TableId, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        if table.is_temporary() {
            return Maybe::Ready(Ok(()));
        }
        self.inner.use_table(table, wait)
    }

    fn lock_table(&self, table: TableId, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        if table.is_temporary() {
            return Maybe::Ready(Ok(()));
        }
        self.inner.lock_table(table, wait)
    }

    fn give_way(&self) -> Maybe<'_, ()> {
        self.inner.give_way()
    }

    fn check_interrupted(&self) -> SqlResult<()> {
        self.inner.check_interrupted()
    }
}
