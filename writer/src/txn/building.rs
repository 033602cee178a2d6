//! Indexes that are filled, and rows that are written anew, while others write (ADRs 0148, 0166 and 0168).

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aquifer_catalog::{Catalog, rows};
use aquifer_lsm::range_size;
use aquifer_session::node::{BeginOptions, NodeTxn};
use aquifer_session::progress::Activity;
use aquifer_shard::event;
use aquifer_shard::executor;
use aquifer_shard::lane::{JobClass, yield_if_needed};
use aquifer_sql::txn::{Cursor, Direction, LockMode, LockWait, MakeEntries, ReadMode, Scratch, Txn};
use aquifer_types::{IndexId, Lsn, SqlError, SqlResult, TableId};
use bytes::Bytes;

use super::locking::table_lock_key;
use super::{WriteTxn, closed};
use crate::failures::Watched;
use crate::load::Load;
use crate::node::WriterPart;

/// Rows read at once.
const BATCH: usize = 512;

/// How long taking indexes out of a definition waits for other DDL on the table. After that the next start does it.
const PATIENCE: Duration = Duration::from_secs(600);

/// Indexes whose definition is committed, and which nobody may read yet.
#[derive(Debug)]
pub(super) struct Unfinished {
    table: TableId,
    watched: Watched,
}

impl WriteTxn {
    pub(super) async fn publish_definition(&self, table: TableId, indexes: Vec<IndexId>) -> SqlResult<()> {
        // This transaction's own use of the table comes before others are let in, and the table's lock stays: no other
        // DDL may come between.
        self.part.local.enter_table(table, self.id).map_err(|_| closed())?;
        self.tables.borrow_mut().push(table);
        let kept = table_lock_key(table);
        let home = self.part.local.homes().home_of(&kept);
        let mut locks = self.take_locks();
        locks[home].retain(|key| *key != kept);
        self.locks.borrow_mut()[home].push(kept);
        let watched = self.part.loads.get().ok_or_else(closed)?.failures().watch(indexes);
        self.unfinished.replace(Some(Unfinished { table, watched }));
        if let Err(error) = self.submit_writes(locks, None).await {
            self.part.local.release(self.id, self.take_locks());
            self.end_common();
            return Err(error);
        }
        self.held.borrow_mut().clear();
        self.view.replace(None);
        if self.running.replace(false) {
            self.part.local.end_running(self.id);
        }
        self.unfence_all();
        self.ended.set(false);
        Ok(())
    }

    pub(super) async fn build_entries(
        &self,
        range: Range<Bytes>,
        entries: Arc<dyn MakeEntries>,
    ) -> SqlResult<Lsn> {
        let loads = self.part.loads.get().ok_or_else(closed)?;
        let lsn = self.view_lsn();
        let make_reader = self.reader().ok_or_else(closed)?;
        let mut load = Load::new(loads, lsn);
        if entries.has_unique() {
            load.find_repeats();
        }
        let interrupt = Arc::clone(&self.options.interrupt);
        let rows = range_size(&self.part.engine.state(), &range.start..&range.end).keys;
        let told = Arc::clone(&interrupt);
        let activity = if entries.copies_rows() { Activity::CopyingRows } else { Activity::BuildingIndex };
        let _shown = told.progress.begin(activity, rows);
        let given_up = GivenUp(Arc::default());
        let flag = Arc::clone(&given_up.0);
        let (repeats, all_entries) = (Arc::clone(load.repeats()), Arc::clone(&entries));
        let (failures, indexes) = (Arc::clone(loads.failures()), self.unfinished_indexes());
        let job = loads.lane().spawn_as(JobClass::Statement, move || async move {
            let reader = make_reader(flag);
            let mut cursor = reader.scan(range, Direction::Forward, ReadMode::Snapshot);
            let (mut batch, mut scratch) = (Vec::new(), Scratch::default());
            loop {
                batch.clear();
                cursor.next_batch(&mut batch, BATCH).await?;
                if batch.is_empty() {
                    return Ok::<_, SqlError>(load);
                }
                reader.check_interrupted()?;
                failures.check(&indexes)?;
                for (key, value) in &batch {
                    entries.entries(key, value, &mut scratch, &mut |key, value| load.add(key, value))?;
                }
                interrupt.progress.advance(batch.len() as u64);
                if load.is_full() {
                    load.spill().await?;
                }
                yield_if_needed().await;
            }
        });
        let built = async { Ok(job.await.map_err(|_| closed())??.install().await?) }.await;
        if let Some((key, value)) = repeats.get()
            && let Some(row) = self.get(&all_entries.row_of(value)?, ReadMode::Snapshot).await?
        {
            return Err(all_entries.duplicate(key, &row));
        }
        built.map(|()| lsn)
    }

    /// The table that is being changed beside writes.
    fn unfinished_table(&self) -> SqlResult<TableId> {
        let none = || SqlError::bug("nothing is being built");
        self.unfinished.borrow().as_ref().map(|unfinished| unfinished.table).ok_or_else(none)
    }

    fn unfinished_indexes(&self) -> Vec<IndexId> {
        let unfinished = self.unfinished.borrow();
        unfinished.as_ref().map_or_else(Vec::new, |unfinished| unfinished.watched.indexes().to_vec())
    }

    /// Whether a writer has noted that what is being built cannot be finished.
    fn check_unfinished(&self) -> SqlResult<()> {
        self.unfinished.borrow().as_ref().map_or(Ok(()), |unfinished| unfinished.watched.check())
    }

    /// See [`Txn::settle_build`].
    pub(super) async fn settle_entries(
        &self,
        indexes: Vec<Range<Bytes>>,
        entries: Arc<dyn MakeEntries>,
        deadline: Instant,
    ) -> SqlResult<Lsn> {
        let table = self.unfinished_table()?;
        let before = self.reader().ok_or_else(closed)?;
        // Who has not seen the tables has ended then.
        self.fence_others(table, deadline).await?;
        let newest = self.part.local.homes().newest_applied();
        self.part.local.until_visible(newest).await.map_err(|_| closed())?;
        self.view.replace(None);
        let (lsn, after) = (self.view_lsn(), self.reader().ok_or_else(closed)?);
        self.part.local.enter_table(table, self.id).map_err(|_| closed())?;
        self.tables.borrow_mut().push(table);
        self.unfence_all();
        self.check_unfinished()?;

        let given_up = GivenUp(Arc::default());
        let flag = Arc::clone(&given_up.0);
        let lane = self.part.loads.get().ok_or_else(closed)?.lane();
        let job = lane.spawn_as(JobClass::Statement, move || async move {
            let (before, after) = (before(Arc::clone(&flag)), after(flag));
            for range in indexes {
                compare(&*before, &*after, range, &*entries).await?;
            }
            Ok::<_, SqlError>(())
        });
        job.await.map_err(|_| closed())??;
        self.fence_others(table, deadline).await?;
        self.check_unfinished()?;
        Ok(lsn)
    }

    pub(super) fn unfence_all(&self) {
        for table in self.fenced.take() {
            self.part.unfence(table, self.id);
        }
    }

    /// After the end of a transaction that did not finish its indexes.
    pub(super) fn give_up_building(&self) {
        let Some(Unfinished { table, watched }) = self.unfinished.take() else { return };
        let part = Rc::clone(&self.part);
        drop(executor::spawn(async move {
            if let Err(error) = forget(&part, table, watched.indexes()).await {
                event::warn(&format!(
                    "an index that was not finished stays in its table's definition, unread, until the next start: {error}"
                ));
            }
        }));
    }
}

/// Makes sure that no row of an index's keys at one snapshot has a key at a later one that is another row's there.
async fn compare(
    before: &dyn Txn,
    after: &dyn Txn,
    range: Range<Bytes>,
    entries: &dyn MakeEntries,
) -> SqlResult<()> {
    let mut old = before.scan(range.clone(), Direction::Forward, ReadMode::Snapshot);
    let mut new = LookAhead::over(after.scan(range, Direction::Forward, ReadMode::Snapshot));
    let (mut olds, mut scratch) = (Vec::new(), Scratch::default());
    loop {
        olds.clear();
        old.next_batch(&mut olds, BATCH).await?;
        if olds.is_empty() {
            return Ok(());
        }
        after.check_interrupted()?;
        for (key, value) in &olds {
            if new.seek(key).await?.is_some_and(|(other, owner)| other == key && owner == value) {
                continue;
            }
            let row = entries.row_of(value)?;
            let Some(stored) = after.get(&row, ReadMode::Snapshot).await? else { continue };
            let mut is_still_there = false;
            entries.entries(&row, &stored, &mut scratch, &mut |other, _| is_still_there |= other == key)?;
            if is_still_there {
                return Err(entries.duplicate(key, &stored));
            }
        }
        yield_if_needed().await;
    }
}

/// Entries of a cursor, passed over in the order of their keys.
struct LookAhead<'c> {
    cursor: Box<dyn Cursor + 'c>,
    batch: Vec<(Bytes, Bytes)>,
    at: usize,
}

impl<'c> LookAhead<'c> {
    fn over(cursor: Box<dyn Cursor + 'c>) -> Self {
        Self { cursor, batch: Vec::new(), at: 0 }
    }

    /// The first entry that is not before `key`.
    async fn seek(&mut self, key: &Bytes) -> SqlResult<Option<&(Bytes, Bytes)>> {
        loop {
            self.at += self.batch[self.at..].partition_point(|(other, _)| other < key);
            if self.at < self.batch.len() {
                return Ok(self.batch.get(self.at));
            }
            self.at = 0;
            self.batch.clear();
            self.cursor.next_batch(&mut self.batch, BATCH).await?;
            if self.batch.is_empty() {
                return Ok(None);
            }
        }
    }
}

/// Ends the job when whoever waits for it goes away.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// At the start of a writer: indexes that another one has not finished go.
pub(crate) async fn forget_all(part: &Rc<WriterPart>) {
    let catalog: Arc<Catalog> = part.engine.catalog();
    let unfinished: Vec<(TableId, Vec<_>)> =
        catalog.stored_tables().map(|table| (table.id, table.unfinished_ids().collect())).collect();
    for (table, indexes) in unfinished.into_iter().filter(|(_, indexes)| !indexes.is_empty()) {
        match forget(part, table, &indexes).await {
            Ok(()) => event::info(
                "what was being built of a table when the last writer ended is not there any more",
            ),
            Err(error) => {
                event::warn(&format!("what is not finished of a table stays in its definition: {error}"))
            }
        }
    }
}

/// Takes indexes, or what the table was to become, out of its definition.
async fn forget(part: &Rc<WriterPart>, table: TableId, indexes: &[IndexId]) -> SqlResult<()> {
    let txn = WriteTxn::new(
        Rc::clone(part),
        BeginOptions {
            read_only: false,
            connection_id: 0,
            isolation: "READ COMMITTED",
            interrupt: Arc::default(),
            locked_tables: Rc::new([]),
        },
    );
    let wait = LockWait::Timeout(PATIENCE);
    txn.lock(&table_lock_key(table), LockMode::Exclusive, wait).await?;
    let Some(known) = part.engine.catalog().table_by_id(table).cloned() else { return Ok(()) };
    let key = rows::table_key(known.database, table);
    txn.lock(&key, LockMode::Exclusive, wait).await?;
    if let Some(value) = txn.get(&key, ReadMode::Latest).await? {
        let mut newest = rows::decode_table(&value)?;
        newest.indexes.retain(|index| !(index.is_building() && indexes.contains(&index.id)));
        newest.rebuild.take_if(|rebuild| indexes.contains(&rebuild.table.primary().id));
        for (key, value) in rows::put_table(&newest) {
            match value {
                Some(value) => txn.put(key, value)?,
                None => txn.delete(key)?,
            }
        }
    }
    txn.commit().await.map(drop)
}
