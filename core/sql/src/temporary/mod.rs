//! Temporary tables of a session: their definitions and their rows (ADR 0132).
//!
//! Rows and index entries are in ordered maps in memory, one for each index, under the keys that stored tables
//! have too; nothing of them reaches the commit log or the store. Every change notes what it replaced until the
//! transaction ends, so that it can be undone with the transaction's other writes. Definitions are not undone.
//! Only the session itself sees any of it, so there are no locks and no versions.
//!
//! Statements meet temporary tables through [`TemporaryTxn`], which sends keys of temporary indexes here and all
//! others to the node's transaction.

mod memory;
#[cfg(test)]
mod store_test;
mod txn;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use aquifer_catalog::{Catalog, Table};
use aquifer_types::{IndexId, SqlError, SqlResult, TEMPORARY_ID_MIN, TableId};
use bytes::Bytes;

use crate::txn::Direction;
use memory::Share;
pub use memory::{SESSION_BYTES_MAX, TemporaryMemory};
pub use txn::TemporaryTxn;

/// What an entry of a map or of the undo log costs beside its bytes, about.
const ENTRY_BYTES: usize = 64;

/// The temporary tables of one session.
#[derive(Debug)]
pub struct TemporaryTables {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    tables: Arc<[Arc<Table>]>,
    rows: HashMap<IndexId, BTreeMap<Bytes, Bytes>>,
    /// Names of the tables of indexes, also of those that are not defined yet.
    names: HashMap<IndexId, Arc<str>>,
    /// The next AUTO_INCREMENT values, and those of hidden keys.
    counters: HashMap<TableId, u64>,
    /// What each change replaced, oldest first.
    undo: Vec<(Bytes, Option<Bytes>)>,
    undo_bytes: usize,
    share: Share,
    next_id: u32,
    /// How often definitions have changed.
    generation: u64,
}

impl TemporaryTables {
    /// No tables yet; their rows will be kept in `memory`.
    #[must_use]
    pub fn new(memory: Arc<TemporaryMemory>) -> Self {
        let state = State {
            tables: Arc::from([]),
            rows: HashMap::new(),
            names: HashMap::new(),
            counters: HashMap::new(),
            undo: Vec::new(),
            undo_bytes: 0,
            share: Share::new(memory),
            next_id: TEMPORARY_ID_MIN,
            generation: 0,
        };
        Self { state: RefCell::new(state) }
    }

    /// Whether there is no table, and nothing that could be undone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.state.borrow();
        state.tables.is_empty() && state.undo.is_empty()
    }

    /// A catalog as this session sees it.
    #[must_use]
    pub fn over(&self, catalog: &Catalog) -> Arc<Catalog> {
        Arc::new(catalog.with_temporary(Arc::clone(&self.state.borrow().tables)))
    }

    /// Another number whenever a definition has changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.state.borrow().generation
    }

    /// Whether a temporary table has these names.
    #[must_use]
    pub fn contains(&self, schema: &str, name: &str) -> bool {
        let state = self.state.borrow();
        state.tables.iter().any(|table| *table.name == *name && *table.schema == *schema)
    }

    /// A new number for a table.
    ///
    /// # Errors
    /// 1105 after a billion of them.
    pub fn allocate_table_id(&self) -> SqlResult<TableId> {
        self.state.borrow_mut().allocate().map(TableId)
    }

    /// A new number for an index of the table `table`.
    ///
    /// # Errors
    /// As [`TemporaryTables::allocate_table_id`].
    pub fn allocate_index_id(&self, table: &str) -> SqlResult<IndexId> {
        let mut state = self.state.borrow_mut();
        let id = IndexId(state.allocate()?);
        state.names.insert(id, Arc::from(table));
        state.rows.insert(id, BTreeMap::new());
        Ok(id)
    }

    /// Makes a table known, in place of the one with its number. Rows of indexes that it no longer has are gone.
    pub fn put_table(&self, table: Table) {
        let mut state = self.state.borrow_mut();
        let mut tables: Vec<Arc<Table>> = state.tables.to_vec();
        tables.retain(|known| known.id != table.id);
        tables.push(Arc::new(table));
        state.define(tables.into());
    }

    /// Forgets a table with its rows.
    pub fn drop_table(&self, id: TableId) {
        let mut state = self.state.borrow_mut();
        let tables: Vec<Arc<Table>> = state.tables.iter().filter(|known| known.id != id).cloned().collect();
        state.counters.remove(&id);
        state.define(tables.into());
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        let state = self.state.borrow();
        state.rows.get(&IndexId::of_key(key)?)?.get(key).cloned()
    }

    /// Sets or removes the value of a key.
    ///
    /// # Errors
    /// 1114 when the memory is used up.
    pub fn set(&self, key: Bytes, value: Option<Bytes>) -> SqlResult<()> {
        self.state.borrow_mut().set(key, value)
    }

    /// Appends up to `limit` entries of a range of one index and takes them off the range.
    pub fn next_batch(
        &self,
        range: &mut Range<Bytes>,
        direction: Direction,
        limit: usize,
        out: &mut Vec<(Bytes, Bytes)>,
    ) {
        let state = self.state.borrow();
        let rows = IndexId::of_key(&range.start).and_then(|index| state.rows.get(&index));
        let Some(rows) = rows.filter(|_| range.start < range.end) else { return };
        let before = out.len();
        let entries = rows.range(range.clone());
        let copy = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        match direction {
            Direction::Forward => out.extend(entries.take(limit).map(copy)),
            Direction::Backward => out.extend(entries.rev().take(limit).map(copy)),
        }
        match (out.last().filter(|_| out.len() > before), direction) {
            (Some((key, _)), Direction::Forward) => range.start = [key, &[0][..]].concat().into(),
            (Some((key, _)), Direction::Backward) => range.end = key.clone(),
            (None, _) => range.start = range.end.clone(),
        }
    }

    /// Rows of a table stay even if the transaction is rolled back: those that CREATE … SELECT has filled it with.
    pub fn keep_rows(&self, table: &Table) {
        let mut state = self.state.borrow_mut();
        let own = |key: &[u8]| {
            IndexId::of_key(key).is_some_and(|id| table.indexes.iter().any(|index| index.id == id))
        };
        // Nothing of another table was changed since the first of them.
        let mut freed = 0;
        while let Some((key, replaced)) = state.undo.pop_if(|(key, _)| own(key)) {
            freed += noted_bytes(&key, replaced.as_ref());
        }
        state.undo_bytes = state.undo_bytes.saturating_sub(freed);
        state.share.give_back(freed);
    }

    /// The present end of what can be undone.
    #[must_use]
    pub fn point(&self) -> usize {
        self.state.borrow().undo.len()
    }

    /// Undoes changes of rows after `point`.
    pub fn undo_to(&self, point: usize) {
        self.state.borrow_mut().undo_to(point);
    }

    /// The transaction has been committed: its changes stay.
    pub fn forget_undo(&self) {
        let mut state = self.state.borrow_mut();
        state.undo = Vec::new();
        let bytes = std::mem::take(&mut state.undo_bytes);
        state.share.give_back(bytes);
        state.forget_undefined();
    }

    /// Takes `count` values of a counter that are at least `at_least` and gives the first.
    ///
    /// # Errors
    /// 1467 at the end of the numbers.
    pub fn reserve(&self, table: TableId, count: u64, at_least: u64) -> SqlResult<u64> {
        let mut state = self.state.borrow_mut();
        let next = state.counters.entry(table).or_insert(1);
        let first = (*next).max(at_least);
        let after = first.checked_add(count);
        *next = after
            .ok_or_else(|| SqlError::new(1467, "Failed to read auto-increment value from storage engine"))?;
        Ok(first)
    }

    /// Later values of a counter are larger than this one.
    pub fn observe(&self, table: TableId, value: u64) {
        let mut state = self.state.borrow_mut();
        let next = state.counters.entry(table).or_insert(1);
        *next = (*next).max(value.saturating_add(1));
    }

    /// The next value of a counter.
    #[must_use]
    pub fn next_value(&self, table: TableId) -> Option<u64> {
        self.state.borrow().counters.get(&table).copied()
    }
}

fn size_of(key: &Bytes, value: &Bytes) -> usize {
    key.len() + value.len() + ENTRY_BYTES
}

/// What an entry of the undo log costs.
fn noted_bytes(key: &Bytes, replaced: Option<&Bytes>) -> usize {
    key.len() + ENTRY_BYTES + replaced.map_or(0, |old| size_of(key, old))
}

impl State {
    fn allocate(&mut self) -> SqlResult<u32> {
        let id = self.next_id;
        if id >= TEMPORARY_ID_MIN * 2 - 1 {
            return Err(SqlError::new(1105, "there are no numbers for temporary tables left"));
        }
        self.next_id += 1;
        Ok(id)
    }

    fn define(&mut self, tables: Arc<[Arc<Table>]>) {
        self.tables = tables;
        self.generation += 1;
        self.forget_undefined();
    }

    /// Forgets the rows of indexes that no table has.
    fn forget_undefined(&mut self) {
        let defined: usize = self.tables.iter().map(|table| table.indexes.len()).sum();
        if self.rows.len() == defined {
            return;
        }
        let known: Vec<IndexId> =
            self.tables.iter().flat_map(|table| &table.indexes).map(|index| index.id).collect();
        let mut freed = 0;
        self.rows.retain(|id, rows| {
            let stays = known.contains(id);
            if !stays {
                freed += rows.iter().map(|(key, value)| size_of(key, value)).sum::<usize>();
            }
            stays
        });
        self.names.retain(|id, _| known.contains(id));
        self.share.give_back(freed);
    }

    fn set(&mut self, key: Bytes, value: Option<Bytes>) -> SqlResult<()> {
        let Some(index) = IndexId::of_key(&key) else { return Ok(()) };
        let new = value.as_ref().map_or(0, |value| size_of(&key, value));
        // What is replaced stays in the undo log.
        let noted = key.len() + ENTRY_BYTES;
        if !self.share.take(new + noted) {
            let name = self.names.get(&index).map_or("", |name| name);
            return Err(SqlError::new(1114, format!("The table '{name}' is full")));
        }
        self.undo_bytes += noted;
        let rows = self.rows.entry(index).or_default();
        let replaced = match value {
            Some(value) => rows.insert(key.clone(), value),
            None => rows.remove(&key),
        };
        if let Some(old) = &replaced {
            self.undo_bytes += size_of(&key, old);
        }
        self.undo.push((key, replaced));
        Ok(())
    }

    fn undo_to(&mut self, point: usize) {
        let mut freed = 0;
        while self.undo.len() > point {
            let Some((key, replaced)) = self.undo.pop() else { break };
            let noted = noted_bytes(&key, replaced.as_ref());
            self.undo_bytes = self.undo_bytes.saturating_sub(noted);
            freed += key.len() + ENTRY_BYTES;
            let rows = IndexId::of_key(&key).and_then(|index| self.rows.get_mut(&index));
            let Some(rows) = rows else {
                freed += replaced.as_ref().map_or(0, |old| size_of(&key, old));
                continue;
            };
            let undone = match replaced {
                Some(old) => rows.insert(key.clone(), old),
                None => rows.remove(&key),
            };
            freed += undone.as_ref().map_or(0, |value| size_of(&key, value));
        }
        self.share.give_back(freed);
    }
}
