//! A transaction's reads on another thread: what a long query on the bulk lane runs against.
//!
//! It holds the read state that was current while the transaction's view was open, so that whatever flush and
//! compaction do, every version that the view needs is in it.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aquifer_catalog::Catalog;
use aquifer_lsm::ReadState;
use aquifer_session::node::{Interrupt, MakeReader};
use aquifer_sql::txn::{Cursor, Direction, LockMode, LockWait, Locked, ReadMode, Savepoint, Txn};
use aquifer_txn::ViewGuard;
use aquifer_types::{ErrorKind, IndexId, Lsn, Maybe, SqlError, SqlResult, TableId};
use bytes::Bytes;

use crate::engine::Engine;
use crate::lane::yield_if_needed;
use crate::reads::{self, Fill, Overlay, Own, Scan};
use crate::status;

/// What a transaction sees.
pub struct Snapshot {
    /// Storage.
    pub engine: Arc<Engine>,
    /// The catalog of the transaction.
    pub catalog: Arc<Catalog>,
    /// The right to read.
    pub view: ViewGuard,
    /// A state that was current while `view` was open.
    pub state: Arc<ReadState>,
    /// The transaction's own writes.
    pub writes: BTreeMap<Bytes, Option<Bytes>>,
    /// Older ones, which it has spilled.
    pub spilled: Option<Arc<ReadState>>,
    /// That of the session.
    pub interrupt: Arc<Interrupt>,
}

impl Snapshot {
    /// To be called on the thread that reads.
    #[must_use]
    pub fn into_reader(self) -> MakeReader {
        Box::new(move |given_up| Rc::new(SnapshotTxn { snapshot: self, given_up }))
    }
}

struct SnapshotTxn {
    snapshot: Snapshot,
    /// The client is gone.
    given_up: Arc<AtomicBool>,
}

fn refused() -> SqlError {
    SqlError::with_kind(1105, ErrorKind::Bug, "a query on the bulk lane wanted to lock or write")
}

fn refuse<T>() -> Maybe<'static, SqlResult<T>> {
    Maybe::Ready(Err(refused()))
}

impl Txn for SnapshotTxn {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.snapshot.catalog)
    }

    fn view_lsn(&self) -> Lsn {
        self.snapshot.view.lsn()
    }

    fn renew_view(&self) {}

    fn check_writable(&self) -> SqlResult<()> {
        Err(refused())
    }

    fn get<'a>(&'a self, key: &'a [u8], _mode: ReadMode) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        let Snapshot { engine, state, writes, spilled, .. } = &self.snapshot;
        if let Some(own) = writes.get(key) {
            return Maybe::Ready(Ok(own.clone()));
        }
        // What a long query reads is not what others will want next.
        let stored = || reads::get(engine, || Arc::clone(state), key, self.view_lsn(), Fill::Nothing);
        match spilled {
            Some(spilled) => reads::get_spilled_or(engine, Arc::clone(spilled), key, stored),
            None => stored(),
        }
    }

    fn scan(&self, range: Range<Bytes>, direction: Direction, _mode: ReadMode) -> Box<dyn Cursor + '_> {
        let Snapshot { engine, state, writes, spilled, .. } = &self.snapshot;
        let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
        let overlay: Overlay = match direction {
            _ if writes.is_empty() || range.start >= range.end => Overlay::new(),
            Direction::Forward => owned(writes.range::<Bytes, _>(bounds)),
            Direction::Backward => owned(writes.range::<Bytes, _>(bounds).rev()),
        };
        let own = Own { overlay, spilled: spilled.clone() };
        Box::new(Scan::new(engine, state, range, direction, self.view_lsn(), own))
    }

    fn lock<'a>(&'a self, _key: &'a [u8], _mode: LockMode, _wait: LockWait) -> Maybe<'a, SqlResult<Locked>> {
        refuse()
    }

    fn put(&self, _key: Bytes, _value: Bytes) -> SqlResult<()> {
        Err(refused())
    }

    fn delete(&self, _key: Bytes) -> SqlResult<()> {
        Err(refused())
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
        refuse()
    }

    fn observe_auto_increment(&self, _table: TableId, _value: u64) -> Maybe<'_, SqlResult<()>> {
        refuse()
    }

    fn allocate_table_id(&self) -> Maybe<'_, SqlResult<TableId>> {
        refuse()
    }

    fn allocate_index_id(&self) -> Maybe<'_, SqlResult<IndexId>> {
        refuse()
    }

    /// The transaction uses its tables already.
    fn use_table(&self, _table: TableId, _wait: Duration) -> Maybe<'_, SqlResult<()>> {
        Maybe::Ready(Ok(()))
    }

    fn lock_table(&self, _table: TableId, _wait: Duration) -> Maybe<'_, SqlResult<()>> {
        refuse()
    }

    fn give_way(&self) -> Maybe<'_, ()> {
        Maybe::wait(yield_if_needed())
    }

    fn check_interrupted(&self) -> SqlResult<()> {
        if self.given_up.load(Ordering::Acquire) {
            return status::check_interrupted(2);
        }
        status::check_interrupted(self.snapshot.interrupt.state.load(Ordering::Relaxed))
    }
}

fn owned<'w>(writes: impl Iterator<Item = (&'w Bytes, &'w Option<Bytes>)>) -> Overlay {
    writes.map(|(key, write)| (key.clone(), write.clone())).collect()
}
