//! A node whose data is a `BTreeMap`: one version of each row, no locks between transactions.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aquifer_catalog::Catalog;
use aquifer_session::node::{BeginOptions, Committed, Interrupt, LocalFuture, Node, NodeTxn};
use aquifer_sql::txn::{Cursor, Direction, LockMode, LockWait, Locked, ReadMode, Savepoint, Txn};
use aquifer_types::{IndexId, Lsn, Maybe, SqlError, SqlResult, TableId};
use bytes::Bytes;

type Rows = BTreeMap<Bytes, Bytes>;

/// What transactions share.
pub struct Store {
    rows: RefCell<Rows>,
    catalog: RefCell<Arc<Catalog>>,
    lsn: Cell<u64>,
    next_id: Cell<u32>,
    counters: RefCell<BTreeMap<TableId, u64>>,
}

/// The node.
pub struct MemoryNode {
    pub store: Rc<Store>,
    pub reader: Cell<bool>,
    /// The next commit fails with this.
    pub commit_error: Rc<RefCell<Option<SqlError>>>,
}

impl MemoryNode {
    pub fn new() -> Rc<Self> {
        let store = Store {
            rows: RefCell::default(),
            catalog: RefCell::new(Arc::new(Catalog::empty())),
            lsn: Cell::new(0),
            next_id: Cell::new(1024),
            counters: RefCell::default(),
        };
        Rc::new(Self { store: Rc::new(store), reader: Cell::new(false), commit_error: Rc::default() })
    }
}

impl Node for MemoryNode {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.store.catalog.borrow())
    }

    fn begin(&self, options: BeginOptions) -> Rc<dyn NodeTxn> {
        Rc::new(MemoryTxn {
            store: Rc::clone(&self.store),
            reader: self.reader.get(),
            options,
            commit_error: Rc::clone(&self.commit_error),
            snapshot: RefCell::new(self.store.rows.borrow().clone()),
            writes: RefCell::default(),
        })
    }

    fn visible_lsn(&self) -> Lsn {
        Lsn(self.store.lsn.get())
    }

    fn wait_visible(&self, lsn: Lsn, _: Duration) -> LocalFuture<'_, bool> {
        let visible = self.store.lsn.get() >= lsn.0;
        Box::pin(async move { visible })
    }

    fn status(&self) -> Vec<(String, String)> {
        vec![("Aquifer_role".to_owned(), "test".to_owned())]
    }

    fn is_reader(&self) -> bool {
        self.reader.get()
    }

    fn sleep<'a>(&'a self, _: Duration, _: &'a Interrupt) -> LocalFuture<'a, ()> {
        Box::pin(async {})
    }
}

struct MemoryTxn {
    store: Rc<Store>,
    reader: bool,
    options: BeginOptions,
    commit_error: Rc<RefCell<Option<SqlError>>>,
    snapshot: RefCell<Rows>,
    writes: RefCell<Vec<(Bytes, Option<Bytes>)>>,
}

impl MemoryTxn {
    fn view(&self, mode: ReadMode) -> Rows {
        let mut rows = match mode {
            ReadMode::Snapshot => self.snapshot.borrow().clone(),
            ReadMode::Latest => self.store.rows.borrow().clone(),
        };
        for (key, value) in self.writes.borrow().iter() {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        rows
    }

    fn id(&self) -> u32 {
        let id = self.store.next_id.get();
        self.store.next_id.set(id + 1);
        id
    }
}

struct MemoryCursor(std::vec::IntoIter<(Bytes, Bytes)>);

impl Cursor for MemoryCursor {
    fn next_batch<'a>(
        &'a mut self,
        out: &'a mut Vec<(Bytes, Bytes)>,
        limit: usize,
    ) -> Maybe<'a, SqlResult<()>> {
        out.extend(self.0.by_ref().take(limit));
        Maybe::Ready(Ok(()))
    }
}

impl Txn for MemoryTxn {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.store.catalog.borrow())
    }

    fn view_lsn(&self) -> Lsn {
        Lsn(self.store.lsn.get())
    }

    fn renew_view(&self) {
        *self.snapshot.borrow_mut() = self.store.rows.borrow().clone();
    }

    fn check_writable(&self) -> SqlResult<()> {
        if self.reader {
            return Err(SqlError::new(1290, "read-only"));
        }
        if self.options.read_only {
            return Err(SqlError::new(1792, "Cannot execute statement in a READ ONLY transaction."));
        }
        Ok(())
    }

    fn get<'a>(&'a self, key: &'a [u8], mode: ReadMode) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        Maybe::Ready(Ok(self.view(mode).get(key).cloned()))
    }

    fn scan(&self, range: Range<Bytes>, direction: Direction, mode: ReadMode) -> Box<dyn Cursor + '_> {
        let rows = self.view(mode);
        let mut entries: Vec<(Bytes, Bytes)> =
            rows.into_iter().filter(|(key, _)| *key >= range.start && *key < range.end).collect();
        if direction == Direction::Backward {
            entries.reverse();
        }
        Box::new(MemoryCursor(entries.into_iter()))
    }

    fn lock<'a>(&'a self, key: &'a [u8], _: LockMode, _: LockWait) -> Maybe<'a, SqlResult<Locked>> {
        Maybe::Ready(Ok(Locked::Row(self.view(ReadMode::Latest).get(key).cloned())))
    }

    fn put(&self, key: Bytes, value: Bytes) -> SqlResult<()> {
        self.writes.borrow_mut().push((key, Some(value)));
        Ok(())
    }

    fn delete(&self, key: Bytes) -> SqlResult<()> {
        self.writes.borrow_mut().push((key, None));
        Ok(())
    }

    fn savepoint(&self) -> Savepoint {
        Savepoint(self.writes.borrow().len())
    }

    fn rollback_to(&self, savepoint: Savepoint) {
        self.writes.borrow_mut().truncate(savepoint.0);
    }

    fn has_writes(&self) -> bool {
        !self.writes.borrow().is_empty()
    }

    fn reserve_auto_increment(&self, table: TableId, count: u64, at_least: u64) -> Maybe<'_, SqlResult<u64>> {
        let mut counters = self.store.counters.borrow_mut();
        let next = counters.entry(table).or_insert(1);
        let first = (*next).max(at_least);
        *next = first + count;
        Maybe::Ready(Ok(first))
    }

    fn observe_auto_increment(&self, table: TableId, value: u64) -> Maybe<'_, SqlResult<()>> {
        let mut counters = self.store.counters.borrow_mut();
        let next = counters.entry(table).or_insert(1);
        *next = (*next).max(value + 1);
        Maybe::Ready(Ok(()))
    }

    fn allocate_table_id(&self) -> Maybe<'_, SqlResult<TableId>> {
        Maybe::Ready(Ok(TableId(self.id())))
    }

    fn allocate_index_id(&self) -> Maybe<'_, SqlResult<IndexId>> {
        Maybe::Ready(Ok(IndexId(self.id())))
    }

    fn use_table(&self, _: TableId, _: Duration) -> Maybe<'_, SqlResult<()>> {
        Maybe::Ready(Ok(()))
    }

    fn lock_table(&self, _: TableId, _: Duration) -> Maybe<'_, SqlResult<()>> {
        Maybe::Ready(Ok(()))
    }

    fn check_interrupted(&self) -> SqlResult<()> {
        match self.options.interrupt.state.load(std::sync::atomic::Ordering::Relaxed) {
            0 => Ok(()),
            3 => Err(SqlError::new(
                3024,
                "Query execution was interrupted, maximum statement execution time exceeded",
            )),
            _ => Err(SqlError::new(1317, "Query execution was interrupted")),
        }
    }
}

impl NodeTxn for MemoryTxn {
    fn as_txn(&self) -> &dyn Txn {
        self
    }

    fn commit(self: Rc<Self>) -> LocalFuture<'static, SqlResult<Committed>> {
        Box::pin(async move {
            if let Some(error) = self.commit_error.borrow_mut().take() {
                return Err(error);
            }
            let writes = std::mem::take(&mut *self.writes.borrow_mut());
            let lsn = Lsn(self.store.lsn.get() + 1);
            self.store.lsn.set(lsn.0);
            let changed = writes.iter().any(|(key, _)| Catalog::is_catalog_key(key));
            if changed {
                let next = self.store.catalog.borrow().apply(lsn, writes.clone())?;
                *self.store.catalog.borrow_mut() = Arc::new(next);
            }
            let mut rows = self.store.rows.borrow_mut();
            for (key, value) in writes {
                match value {
                    Some(value) => rows.insert(key, value),
                    None => rows.remove(&key),
                };
            }
            Ok(Committed { lsn })
        })
    }

    fn rollback(self: Rc<Self>) {
        self.writes.borrow_mut().clear();
    }
}
