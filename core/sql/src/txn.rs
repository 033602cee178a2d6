//! What a statement needs of the transaction that it runs in.
//!
//! The writer and the reader node implement [`Txn`]; this crate only calls it. Keys and values are those
//! of `aquifer_types::key` and `aquifer_types::row`; a scan yields them in key order.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aquifer_catalog::Catalog;
use aquifer_types::key::KeyEncoder;
use aquifer_types::{IndexId, Lsn, Maybe, SqlError, SqlResult, TableId, Value};
use bytes::Bytes;

use crate::temporary::TemporaryTables;

/// Which versions a read sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// The transaction's snapshot plus its own writes.
    Snapshot,
    /// The newest committed version plus its own writes: UPDATE, DELETE and locking reads.
    Latest,
}

/// Direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// Strength of a row lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// FOR SHARE.
    Shared,
    /// FOR UPDATE, UPDATE, DELETE, INSERT.
    Exclusive,
}

/// What to do when a row is locked by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWait {
    /// Wait up to the timeout, then error 1205.
    Timeout(Duration),
    /// Error 3572 at once.
    NoWait,
    /// Answer [`Locked::Skipped`] at once.
    Skip,
}

/// Outcome of locking a row.
#[derive(Clone, Debug)]
pub enum Locked {
    /// The lock is held; the newest committed (or own) version, or `None` where there is no row.
    Row(Option<Bytes>),
    /// Only with [`LockWait::Skip`]: another transaction holds the lock.
    Skipped,
}

/// A point inside a transaction to which its writes can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Savepoint(pub usize);

/// Keys and values in key order. Entries are `(key, value)`; tombstones are not shown.
pub trait Cursor {
    /// Appends up to `limit` entries to `out`; appends nothing only at the end of the range.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable` from storage, `Interrupted` when the statement was killed.
    fn next_batch<'a>(
        &'a mut self,
        out: &'a mut Vec<(Bytes, Bytes)>,
        limit: usize,
    ) -> Maybe<'a, SqlResult<()>>;
}

/// Memory that [`MakeEntries`] uses again for each row.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) key: KeyEncoder,
    pub(crate) values: Vec<Value>,
}

/// Makes the entries of new indexes from rows, on whatever thread they are built.
pub trait MakeEntries: Send + Sync {
    /// Gives `put` the keys and values of the entries of the row `value` under `key`.
    ///
    /// # Errors
    /// When the row cannot be understood or a value does not fit into a key.
    fn entries(
        &self,
        key: &Bytes,
        value: &Bytes,
        scratch: &mut Scratch,
        put: &mut dyn FnMut(&[u8], &[u8]),
    ) -> SqlResult<()>;

    /// The key of the row whose entry in a unique index has this value.
    ///
    /// # Errors
    /// `Corrupt` when there can be none.
    fn row_of(&self, entry_value: &[u8]) -> SqlResult<Bytes>;

    /// Error 1062 about the entry under `entry_key` of the row `value`.
    fn duplicate(&self, entry_key: &[u8], value: &Bytes) -> SqlError;

    /// Whether two rows may have one key, and must not.
    fn has_unique(&self) -> bool;

    /// Whether the entries are the rows in another form, with theirs.
    fn copies_rows(&self) -> bool {
        false
    }
}

/// A running transaction. Not `Send`: it lives on the executor of its session.
pub trait Txn {
    /// The catalog that statements of this transaction are bound against.
    fn catalog(&self) -> Arc<Catalog>;

    /// Version of [`Txn::catalog`]; cheap.
    fn catalog_version(&self) -> Lsn {
        self.catalog().version()
    }

    /// The temporary tables of the session, where it may have some.
    fn temporary(&self) -> Option<&TemporaryTables> {
        None
    }

    /// The LSN of the snapshot; under READ COMMITTED the session renews it before each statement.
    fn view_lsn(&self) -> Lsn;

    /// Takes a new snapshot of what is visible now (READ COMMITTED, at the start of a statement).
    fn renew_view(&self);

    /// Whether writes are refused (a reader node or a READ ONLY transaction) and with which error:
    /// `Err` is what to tell the client.
    ///
    /// # Errors
    /// 1290 on a reader, 1792 in a READ ONLY transaction.
    fn check_writable(&self) -> SqlResult<()>;

    /// One row or index entry by its exact key.
    fn get<'a>(&'a self, key: &'a [u8], mode: ReadMode) -> Maybe<'a, SqlResult<Option<Bytes>>>;

    /// Entries with `range.start ≤ key < range.end`.
    fn scan(&self, range: Range<Bytes>, direction: Direction, mode: ReadMode) -> Box<dyn Cursor + '_>;

    /// Locks a key at its home core until the transaction ends, and reads its newest version.
    /// Locking an absent key keeps others from inserting it.
    ///
    /// # Errors
    /// 1205, 1213 (the whole transaction is then rolled back already), 3572, 1317.
    fn lock<'a>(&'a self, key: &'a [u8], mode: LockMode, wait: LockWait) -> Maybe<'a, SqlResult<Locked>>;

    /// Locks keys exclusively that will be asked for one by one soon, all of them or none: a request to each core
    /// instead of one for each key. Waits for no other transaction, so that what it did makes no difference but to
    /// speed.
    fn lock_group(&self, keys: Vec<Bytes>) -> Maybe<'_, ()> {
        let _ = keys;
        Maybe::Ready(())
    }

    /// Locks a table's AUTO_INCREMENT values, shared or for this transaction alone, until [`Txn::release_values`].
    ///
    /// # Errors
    /// As [`Txn::lock`].
    fn lock_values(&self, table: TableId, mode: LockMode, wait: Duration) -> Maybe<'_, SqlResult<()>> {
        let _ = (table, mode, wait);
        Maybe::Ready(Ok(()))
    }

    /// Gives up all that [`Txn::lock_values`] has locked.
    fn release_values(&self) {}

    /// Locks `range.start ≤ key < range.end` until the transaction ends: nobody else locks a key in it
    /// exclusively or writes one, and what others have written in it is committed or gone. Such locks go
    /// together with each other.
    ///
    /// # Errors
    /// As [`Txn::lock`].
    fn lock_range(&self, range: Range<Bytes>, wait: LockWait) -> Maybe<'_, SqlResult<()>> {
        let _ = (range, wait);
        Maybe::Ready(Ok(()))
    }

    /// Whether [`Txn::enter_ranges`] has anything to do.
    fn has_ranges_of_others(&self) -> bool {
        false
    }

    /// Waits until nobody else has locked a range around any of `keys`, which are about to be written without
    /// being locked. Holds until the caller awaits something else.
    ///
    /// # Errors
    /// As [`Txn::lock`].
    fn enter_ranges<'a>(&'a self, keys: &'a [Bytes], wait: LockWait) -> Maybe<'a, SqlResult<()>> {
        let _ = (keys, wait);
        Maybe::Ready(Ok(()))
    }

    /// Whether the transaction reads from a snapshot that was taken already.
    fn has_view(&self) -> bool {
        false
    }

    /// Adds a write to the transaction. The key must be locked exclusively, unless it belongs to a
    /// non-unique index whose row is.
    ///
    /// # Errors
    /// When a limit on the transaction's size is reached.
    fn put(&self, key: Bytes, value: Bytes) -> SqlResult<()>;

    /// Adds a row or an entry of an index that this transaction defines, which nobody else can read or lock. How many
    /// there are is not limited by memory. `false`, and nothing has changed, when `unique` and the key is there.
    fn put_new(&self, key: Bytes, value: Bytes, unique: bool) -> Maybe<'_, SqlResult<bool>> {
        Maybe::wait(async move {
            if unique && self.get(&key, ReadMode::Latest).await?.is_some() {
                return Ok(false);
            }
            self.put(key, value).map(|()| true)
        })
    }

    /// Whether [`Txn::publish`] and [`Txn::build`] work here.
    fn can_build(&self) -> bool {
        false
    }

    /// Commits what has been written: a definition of `table` in which `indexes` are being built. Others may use the
    /// table then; this transaction goes on with a new snapshot and keeps other DDL away from the table. If it ends
    /// without a commit, the indexes go.
    ///
    /// # Errors
    /// As a commit.
    fn publish(&self, table: TableId, indexes: Vec<IndexId>) -> Maybe<'_, SqlResult<()>> {
        let _ = (table, indexes);
        Maybe::Ready(Err(SqlError::not_supported("an index built beside writes here")))
    }

    /// Writes entries for all rows in `rows` that the snapshot sees, below whatever others write meanwhile; the
    /// snapshot's LSN. Not limited by memory.
    ///
    /// # Errors
    /// `Unavailable` when the store is away, those of `entries`, 1317.
    fn build(&self, rows: Range<Bytes>, entries: Arc<dyn MakeEntries>) -> Maybe<'_, SqlResult<Lsn>> {
        let _ = (rows, entries);
        Maybe::Ready(Err(SqlError::not_supported("an index built beside writes here")))
    }

    /// After [`Txn::build`] with unique indexes, whose keys are in `indexes`: makes sure that no two rows have one key.
    /// On return the table is locked, and the indexes can be read from the LSN that it gives on.
    ///
    /// # Errors
    /// 1062, 1205 after `wait` for the table, 1317, what was noted by [`Txn::fail_build`].
    fn settle_build(
        &self,
        indexes: Vec<Range<Bytes>>,
        entries: Arc<dyn MakeEntries>,
        wait: Duration,
    ) -> Maybe<'_, SqlResult<Lsn>> {
        let _ = (indexes, entries, wait);
        Maybe::Ready(Err(SqlError::not_supported("an index built beside writes here")))
    }

    /// Notes that an index that is being built cannot be finished.
    fn fail_build(&self, index: IndexId, error: SqlError) {
        let _ = (index, error);
    }

    /// Adds a deletion; as [`Txn::put`].
    ///
    /// # Errors
    /// As [`Txn::put`].
    fn delete(&self, key: Bytes) -> SqlResult<()>;

    /// Moves writes out of memory when there are many. Long statements call it after each row, others before they
    /// begin. Of the savepoints made before, only `statement` and those that the session keeps can be returned to after
    /// it.
    ///
    /// # Errors
    /// `Unavailable` when there is no room for them; nothing has changed then.
    fn make_room(&self, statement: Option<Savepoint>) -> Maybe<'_, SqlResult<()>> {
        let _ = statement;
        Maybe::Ready(Ok(()))
    }

    /// Marks the present end of the write set.
    fn savepoint(&self) -> Savepoint;

    /// Undoes the writes after `savepoint`. Locks are kept, as InnoDB keeps them.
    fn rollback_to(&self, savepoint: Savepoint);

    /// Whether there is anything to commit.
    fn has_writes(&self) -> bool;

    /// Reserves `count` consecutive values of a table's AUTO_INCREMENT counter that are at least
    /// `at_least` and returns the first. Never handed out again, not even after a crash.
    fn reserve_auto_increment(&self, table: TableId, count: u64, at_least: u64) -> Maybe<'_, SqlResult<u64>>;

    /// Tells the counter that a value was given explicitly, so that later ones are larger.
    fn observe_auto_increment(&self, table: TableId, value: u64) -> Maybe<'_, SqlResult<()>>;

    /// A new id for a table or an index that no other will ever have.
    fn allocate_table_id(&self) -> Maybe<'_, SqlResult<TableId>>;

    /// As [`Txn::allocate_table_id`].
    fn allocate_index_id(&self) -> Maybe<'_, SqlResult<IndexId>>;

    /// Declares that a statement of this transaction uses a table, so that DDL on it waits until the
    /// transaction ends. Cheap when no DDL is waiting.
    ///
    /// # Errors
    /// 1205 after `wait`.
    fn use_table(&self, table: TableId, wait: Duration) -> Maybe<'_, SqlResult<()>>;

    /// Waits until no other transaction uses the table and keeps new ones out until this transaction
    /// ends (DDL).
    ///
    /// # Errors
    /// 1205 after `wait`.
    fn lock_table(&self, table: TableId, wait: Duration) -> Maybe<'_, SqlResult<()>>;

    /// Lets others run that share the thread; long executions call it now and then.
    fn give_way(&self) -> Maybe<'_, ()> {
        Maybe::Ready(())
    }

    /// Error 1317 or 3024 when the statement was killed or timed out. Long loops call it between
    /// batches.
    ///
    /// # Errors
    /// As said.
    fn check_interrupted(&self) -> SqlResult<()>;
}
