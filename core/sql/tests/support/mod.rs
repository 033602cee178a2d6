//! A node in memory for tests: one session, one ordered map, undo by a log of old values.
#![allow(dead_code)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aquifer_catalog::Catalog;
use aquifer_sql::exec::SpillPlace;
use aquifer_sql::expr::{BindContext, Environment, EvalContext, SessionFacts, UserVariables};
use aquifer_sql::plan::{SystemVariables, param_type};
use aquifer_sql::statistics::sample;
use aquifer_sql::temporary::{TemporaryMemory, TemporaryTables, TemporaryTxn};
use aquifer_sql::temporary_space::{SpillEvent, TemporaryFile, TemporarySpace};
use aquifer_sql::txn::{Cursor, Direction, LockMode, LockWait, Locked, ReadMode, Savepoint, Txn};
use aquifer_sql::{
    Batch, ExecContext, NoVirtualTables, Outcome, ParseOptions, Plan, PlanEnv, Sample, Samples, Statistics,
    execute, parse, prepare,
};
use aquifer_types::row::{self, RowView};
use aquifer_types::{DataType, IndexId, Lsn, Maybe, SqlError, SqlResult, TableId, TypeKind, Value};
use bytes::Bytes;

/// Runs a future that never waits for anything.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a test future waited"),
    }
}

/// All data of the node.
#[derive(Default)]
pub struct MemoryTxn {
    data: RefCell<BTreeMap<Bytes, Bytes>>,
    undo: RefCell<Vec<(Bytes, Option<Bytes>)>>,
    catalog: RefCell<Arc<Catalog>>,
    counters: RefCell<HashMap<TableId, u64>>,
    next_id: Cell<u32>,
    lsn: Cell<u64>,
    pub gets: Cell<u64>,
    pub scanned: Cell<u64>,
    /// Whether the planner may count keys.
    pub counts: Cell<bool>,
    pub samples: Samples,
}

/// Counts exactly, when it may.
impl Statistics for MemoryTxn {
    fn keys_in(&self, range: Range<&[u8]>) -> Option<u64> {
        let range = Bytes::copy_from_slice(range.start)..Bytes::copy_from_slice(range.end);
        self.counts.get().then(|| self.data.borrow().range(range).count() as u64)
    }

    fn cuts(&self, range: Range<&[u8]>, count: usize) -> Vec<Bytes> {
        let range = Bytes::copy_from_slice(range.start)..Bytes::copy_from_slice(range.end);
        let data = self.data.borrow();
        let keys = data.range(range.clone()).count();
        data.range(range).map(|(key, _)| key.clone()).step_by(keys.div_ceil(count).max(1)).skip(1).collect()
    }

    fn sample(&self, index: IndexId) -> Option<Arc<Sample>> {
        self.samples.of(index)
    }
}

struct MemoryCursor<'a> {
    txn: &'a MemoryTxn,
    range: Range<Bytes>,
    direction: Direction,
}

impl Cursor for MemoryCursor<'_> {
    fn next_batch<'a>(
        &'a mut self,
        out: &'a mut Vec<(Bytes, Bytes)>,
        limit: usize,
    ) -> Maybe<'a, SqlResult<()>> {
        let data = self.txn.data.borrow();
        if self.range.start >= self.range.end {
            return Maybe::Ready(Ok(()));
        }
        let before = out.len();
        let entries = data.range(self.range.clone());
        let copy = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        match self.direction {
            Direction::Forward => out.extend(entries.take(limit).map(copy)),
            Direction::Backward => out.extend(entries.rev().take(limit).map(copy)),
        }
        self.txn.scanned.set(self.txn.scanned.get() + (out.len() - before) as u64);
        if let Some((key, _)) = out.last().filter(|_| out.len() > before) {
            match self.direction {
                Direction::Forward => self.range.start = [key, &[0][..]].concat().into(),
                Direction::Backward => self.range.end = key.clone(),
            }
        } else {
            self.range.start = self.range.end.clone();
        }
        Maybe::Ready(Ok(()))
    }
}

impl MemoryTxn {
    fn set(&self, key: Bytes, value: Option<Bytes>) {
        let mut data = self.data.borrow_mut();
        let old = match value {
            Some(value) => data.insert(key.clone(), value),
            None => data.remove(&key),
        };
        self.undo.borrow_mut().push((key, old));
    }

    /// Ends a transaction: the catalog follows its rows.
    pub fn commit(&self) {
        let changed = self.undo.borrow().iter().any(|(key, _)| Catalog::is_catalog_key(key));
        self.undo.borrow_mut().clear();
        if changed {
            self.lsn.set(self.lsn.get() + 1);
            let rows: Vec<_> = self.data.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            let rows = rows.into_iter().filter(|(key, _)| Catalog::is_catalog_key(key));
            *self.catalog.borrow_mut() = Arc::new(Catalog::from_rows(Lsn(self.lsn.get()), rows).unwrap());
        }
    }

    /// Undoes everything since the last commit.
    pub fn rollback(&self) {
        self.rollback_to(Savepoint(0));
    }

    /// All keys and values.
    pub fn dump(&self) -> Vec<(Bytes, Bytes)> {
        self.data.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

impl Txn for MemoryTxn {
    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.borrow().clone()
    }
    fn view_lsn(&self) -> Lsn {
        Lsn(self.lsn.get())
    }
    fn renew_view(&self) {}
    fn check_writable(&self) -> SqlResult<()> {
        Ok(())
    }
    fn get<'a>(&'a self, key: &'a [u8], _: ReadMode) -> Maybe<'a, SqlResult<Option<Bytes>>> {
        self.gets.set(self.gets.get() + 1);
        Maybe::Ready(Ok(self.data.borrow().get(key).cloned()))
    }
    fn scan(&self, range: Range<Bytes>, direction: Direction, _: ReadMode) -> Box<dyn Cursor + '_> {
        Box::new(MemoryCursor { txn: self, range, direction })
    }
    fn lock<'a>(&'a self, key: &'a [u8], _: LockMode, _: LockWait) -> Maybe<'a, SqlResult<Locked>> {
        Maybe::Ready(Ok(Locked::Row(self.data.borrow().get(key).cloned())))
    }
    fn put(&self, key: Bytes, value: Bytes) -> SqlResult<()> {
        self.set(key, Some(value));
        Ok(())
    }
    fn delete(&self, key: Bytes) -> SqlResult<()> {
        self.set(key, None);
        Ok(())
    }
    fn savepoint(&self) -> Savepoint {
        Savepoint(self.undo.borrow().len())
    }
    fn rollback_to(&self, savepoint: Savepoint) {
        let undone = self.undo.borrow_mut().split_off(savepoint.0);
        let mut data = self.data.borrow_mut();
        for (key, old) in undone.into_iter().rev() {
            match old {
                Some(old) => data.insert(key, old),
                None => data.remove(&key),
            };
        }
    }
    fn has_writes(&self) -> bool {
        !self.undo.borrow().is_empty()
    }
    fn reserve_auto_increment(&self, table: TableId, count: u64, at_least: u64) -> Maybe<'_, SqlResult<u64>> {
        let mut counters = self.counters.borrow_mut();
        let next = counters.entry(table).or_insert(1);
        let first = (*next).max(at_least);
        *next = first + count;
        Maybe::Ready(Ok(first))
    }
    fn observe_auto_increment(&self, table: TableId, value: u64) -> Maybe<'_, SqlResult<()>> {
        let mut counters = self.counters.borrow_mut();
        let next = counters.entry(table).or_insert(1);
        *next = (*next).max(value.saturating_add(1));
        Maybe::Ready(Ok(()))
    }
    fn allocate_table_id(&self) -> Maybe<'_, SqlResult<TableId>> {
        self.next_id.set(self.next_id.get() + 1);
        Maybe::Ready(Ok(TableId(2000 + self.next_id.get())))
    }
    fn allocate_index_id(&self) -> Maybe<'_, SqlResult<IndexId>> {
        self.next_id.set(self.next_id.get() + 1);
        Maybe::Ready(Ok(IndexId(2000 + self.next_id.get())))
    }
    fn use_table(&self, _: TableId, _: Duration) -> Maybe<'_, SqlResult<()>> {
        Maybe::Ready(Ok(()))
    }
    fn lock_table(&self, _: TableId, _: Duration) -> Maybe<'_, SqlResult<()>> {
        Maybe::Ready(Ok(()))
    }
    fn check_interrupted(&self) -> SqlResult<()> {
        Ok(())
    }
}

/// Time stands still at 2024-01-02 03:04:05 UTC.
pub struct FixedEnvironment(Cell<u64>);

impl Environment for FixedEnvironment {
    fn now_micros(&self) -> i64 {
        1_704_164_645_000_000
    }
    fn random(&self) -> u64 {
        self.0.set(self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        self.0.get()
    }
}

struct NoVariables;

impl SystemVariables for NoVariables {
    fn get(&self, _: aquifer_sql::ast::VariableScope, name: &str) -> SqlResult<(Value, DataType)> {
        match name {
            "autocommit" => Ok((Value::Int(1), DataType::of(TypeKind::BigInt))),
            _ => Err(SqlError::new(1193, format!("Unknown system variable '{name}'"))),
        }
    }
}

/// Rows of text with column names, or what was done.
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub done: Option<aquifer_sql::Done>,
    pub warnings: Vec<(u16, String)>,
}

/// Temporary files in the system's directory for them.
#[derive(Default)]
pub struct FileSpace {
    pub files: AtomicUsize,
    pub operators: AtomicUsize,
    pub merge_passes: AtomicUsize,
    /// How many blocks may be written before the disk is full.
    pub blocks_max: Option<usize>,
    pub blocks: Arc<AtomicUsize>,
}

struct SpaceFile {
    file: std::fs::File,
    blocks_max: Option<usize>,
    blocks: Arc<AtomicUsize>,
}

impl TemporarySpace for FileSpace {
    fn create(&self) -> SqlResult<Box<dyn TemporaryFile>> {
        self.files.fetch_add(1, Ordering::Relaxed);
        let file = tempfile::tempfile().map_err(|error| SqlError::new(1004, error.to_string()))?;
        Ok(Box::new(SpaceFile { file, blocks_max: self.blocks_max, blocks: Arc::clone(&self.blocks) }))
    }

    fn count(&self, event: SpillEvent) {
        let counter = match event {
            SpillEvent::Operator => &self.operators,
            SpillEvent::MergePass => &self.merge_passes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl TemporaryFile for SpaceFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> SqlResult<()> {
        if self.blocks_max.is_some_and(|most| self.blocks.fetch_add(1, Ordering::Relaxed) >= most) {
            return Err(SqlError::new(1021, "Disk full (the test's)"));
        }
        self.file.write_all_at(bytes, offset).map_err(|error| SqlError::new(1026, error.to_string()))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> SqlResult<()> {
        self.file.read_exact_at(buffer, offset).map_err(|error| SqlError::new(1024, error.to_string()))
    }
}

/// One session over a [`MemoryTxn`].
pub struct TestSession {
    /// Where statements spill, and beyond how many bytes.
    pub spill: Option<(Arc<FileSpace>, usize)>,
    pub txn: MemoryTxn,
    pub temporary: TemporaryTables,
    pub bind: BindContext,
    facts: Rc<SessionFacts>,
    variables: Rc<RefCell<UserVariables>>,
    environment: Rc<FixedEnvironment>,
}

impl TestSession {
    /// A session in a new database `test`.
    pub fn new() -> Self {
        let session = Self {
            spill: None,
            txn: MemoryTxn::default(),
            temporary: TemporaryTables::new(TemporaryMemory::new(64 << 20)),
            bind: BindContext { database: Some("test".to_owned()), ..BindContext::default() },
            facts: Rc::new(SessionFacts { database: Some("test".to_owned()), ..SessionFacts::default() }),
            variables: Rc::default(),
            environment: Rc::new(FixedEnvironment(Cell::new(1))),
        };
        session.run("CREATE DATABASE test").unwrap();
        session
    }

    /// Plans a statement.
    pub fn plan(&self, sql: &str, params: &[Value]) -> SqlResult<Arc<Plan>> {
        let parsed = parse(sql, ParseOptions { sql_mode: self.bind.sql_mode })?;
        let statement = parsed.statement.ok_or_else(|| SqlError::new(1065, "Query was empty"))?;
        let catalog = self.temporary.over(&self.txn.catalog());
        let types: Vec<DataType> = params.iter().map(param_type).collect();
        let variables = self.variables.borrow();
        let first = RefCell::new(self.context(params).eval);
        let env = PlanEnv {
            catalog: &catalog,
            bind: &self.bind,
            variables: &NoVariables,
            user_variables: &variables,
            virtual_tables: &NoVirtualTables,
            param_types: &types,
            statistics: &self.txn,
            first: Some(&first),
        };
        prepare(&statement, parsed.parameters, &env)
    }

    pub fn context(&self, params: &[Value]) -> ExecContext<'_> {
        self.context_of(&self.txn, params)
    }

    fn context_of<'c>(&'c self, txn: &'c dyn Txn, params: &[Value]) -> ExecContext<'c> {
        let mut eval = EvalContext::new(self.environment.clone());
        eval.sql_mode = self.bind.sql_mode;
        eval.params = params.to_vec();
        eval.session = self.facts.clone();
        eval.user_variables = self.variables.clone();
        let mut ctx = ExecContext::new(txn, eval, &NoVirtualTables);
        if let Some((space, memory)) = &self.spill {
            let space = Arc::clone(space);
            ctx.spill.place = Some(Rc::new(SpillPlace { space, offload: None }));
            ctx.spill.memory = *memory;
        }
        ctx
    }

    /// ANALYZE TABLE.
    pub fn analyze(&self, table: &str) {
        self.txn.counts.set(true);
        let catalog = self.txn.catalog();
        let table = catalog.table("test", table).unwrap();
        for (index, found) in block_on(sample(&self.txn, table, &self.txn)).unwrap() {
            self.txn.samples.set(index, found);
        }
    }

    /// Runs one statement and commits, or rolls back.
    pub fn run(&self, sql: &str) -> SqlResult<Answer> {
        self.run_with(sql, &[])
    }

    pub fn run_with(&self, sql: &str, params: &[Value]) -> SqlResult<Answer> {
        let plan = self.plan(sql, params)?;
        self.execute(&plan, params)
    }

    pub fn execute(&self, plan: &Plan, params: &[Value]) -> SqlResult<Answer> {
        let both = TemporaryTxn::new(&self.txn, &self.temporary);
        let mut ctx = self.context_of(&both, params);
        let result = block_on(async {
            match execute(plan, &mut ctx).await? {
                Outcome::Done(done) => Ok((Vec::new(), Vec::new(), Some(done))),
                Outcome::Rows { columns, mut stream } => {
                    let mut rows = Vec::new();
                    while let Some(batch) = stream.next(&mut ctx).await? {
                        text_rows(&batch, &columns, &mut rows)?;
                    }
                    Ok((columns.iter().map(|c| c.name.to_string()).collect(), rows, None))
                }
            }
        });
        match result {
            Ok((columns, rows, done)) => {
                self.txn.commit();
                self.temporary.forget_undo();
                let warnings =
                    ctx.eval.warnings.entries().iter().map(|w| (w.code, w.message.clone())).collect();
                Ok(Answer { columns, rows, done, warnings })
            }
            Err(error) => {
                self.txn.rollback();
                self.temporary.undo_to(0);
                Err(error)
            }
        }
    }
}

/// Rows as text, NULL as `NULL`.
pub fn text_rows(
    batch: &Batch,
    columns: &[aquifer_sql::ResultColumn],
    out: &mut Vec<Vec<String>>,
) -> SqlResult<()> {
    let text = |value: &Value, column: &aquifer_sql::ResultColumn| {
        let mut text = Vec::new();
        if value.is_null() {
            return "NULL".to_owned();
        }
        aquifer_types::text::write_text(value, &column.data_type, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    match batch {
        Batch::Values { width, values } => {
            for row in values.chunks(*width) {
                out.push(row.iter().zip(columns).map(|(value, column)| text(value, column)).collect());
            }
        }
        Batch::Stored(stored) => {
            for row in &stored.rows {
                let layout = stored.layout(row::schema_version(row)?).unwrap();
                let view = RowView::new(row, &layout.layout)?;
                let mut values = Vec::new();
                for (source, column) in layout.columns.iter().zip(columns) {
                    let value = match source {
                        aquifer_sql::result::StoredColumn::At(at) => view.column(*at)?,
                        aquifer_sql::result::StoredColumn::Constant(value) => value.clone(),
                    };
                    values.push(text(&value, column));
                }
                out.push(values);
            }
        }
    }
    Ok(())
}
