//! New indexes of large tables, and rows in another form, written while others write (ADR 0148, ADR 0168).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aquifer_catalog::{Catalog, Column, IndexKind, IndexState, Rebuild, Table};
use aquifer_types::key::{KeyColumn, index_of, keys_of};
use aquifer_types::temporal::TimeZone;
use aquifer_types::{ErrorKind, IndexId, SqlError, SqlResult, TypeKind, Value, Warnings};
use bytes::Bytes;

use super::save;
use crate::exec::conversion::Conversion;
use crate::exec::scan::decode_row;
use crate::exec::{ExecContext, write};
use crate::plan::foreign::names;
use crate::plan::node::Needed;
use crate::plan::table_info::TableInfo;
use crate::txn::{MakeEntries, Scratch};

/// Rows that are read with the table locked; a larger table is read beside writes.
pub(super) const LOCKED_ROWS_MAX: u64 = 20_000;

struct Entries {
    info: TableInfo,
    /// Positions of the new indexes.
    added: Vec<usize>,
    /// Their columns.
    columns: Vec<usize>,
}

impl Entries {
    fn new(info: TableInfo, added: Vec<usize>) -> Self {
        let mut columns: Vec<usize> = added.iter().flat_map(|at| info.indexes[*at].columns.clone()).collect();
        columns.sort_unstable();
        columns.dedup();
        Self { info, added, columns }
    }
}

impl MakeEntries for Entries {
    fn entries(
        &self,
        key: &Bytes,
        value: &Bytes,
        scratch: &mut Scratch,
        put: &mut dyn FnMut(&[u8], &[u8]),
    ) -> SqlResult<()> {
        let needed = self.columns.iter().map(|column| Needed { column: *column, place: *column });
        scratch.values.resize(self.info.width(), Value::Null);
        decode_row(&self.info, value, needed, &mut scratch.values, TimeZone::Utc)?;
        for index in &self.added {
            let form = write::entry_form(&self.info, *index, &scratch.values, key, &mut scratch.key)?;
            put(scratch.key.as_slice(), form.value);
        }
        Ok(())
    }

    fn has_unique(&self) -> bool {
        self.added.iter().any(|at| self.info.indexes[*at].kind == IndexKind::Unique)
    }

    fn row_of(&self, entry_value: &[u8]) -> SqlResult<Bytes> {
        Ok(write::row_of(&self.info, entry_value))
    }

    fn duplicate(&self, entry_key: &[u8], value: &Bytes) -> SqlError {
        let stored = write::stored_values(&self.info, value);
        stored.map_or_else(|error| error, |stored| duplicate(&self.info, entry_key, &stored))
    }
}

/// Error 1062 about an entry of the row `stored`.
fn duplicate(info: &TableInfo, entry_key: &[u8], stored: &[Value]) -> SqlError {
    let id = index_of(entry_key).ok();
    match info.indexes.iter().position(|index| Some(index.id) == id) {
        Some(index) => write::duplicate_error(info, index, stored),
        None => SqlError::with_kind(1105, ErrorKind::Bug, "an entry is in no index of its table"),
    }
}

/// Makes what rows become in the shadow of their table.
struct Shadows {
    info: TableInfo,
    rows: AtomicU64,
    warnings: Mutex<Warnings>,
}

impl Shadows {
    fn shadow(&self) -> SqlResult<&Conversion> {
        self.info.shadow.as_deref().ok_or_else(|| SqlError::bug("a table without a shadow is written anew"))
    }

    fn converted(&self, value: &Bytes) -> SqlResult<(&TableInfo, Vec<Value>)> {
        let shadow = self.shadow()?;
        let stored = write::stored_values(&self.info, value)?;
        Ok((&shadow.to, shadow.convert(&stored, 1, &mut Warnings::default())?))
    }
}

impl MakeEntries for Shadows {
    fn entries(
        &self,
        key: &Bytes,
        value: &Bytes,
        _: &mut Scratch,
        put: &mut dyn FnMut(&[u8], &[u8]),
    ) -> SqlResult<()> {
        let stored = write::stored_values(&self.info, value)?;
        let number = self.rows.fetch_add(1, Ordering::Relaxed) + 1;
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let made = write::shadow_entries(self.shadow()?, &stored, key, (number, &mut warnings))?;
        made.iter().for_each(|entry| put(&entry.key, &entry.value));
        Ok(())
    }

    fn has_unique(&self) -> bool {
        self.info
            .table
            .rebuild
            .iter()
            .flat_map(|rebuild| &rebuild.table.indexes)
            .any(|index| index.kind == IndexKind::Unique)
    }

    fn row_of(&self, entry_value: &[u8]) -> SqlResult<Bytes> {
        self.shadow()?.old_key(&self.info, entry_value)
    }

    fn duplicate(&self, entry_key: &[u8], value: &Bytes) -> SqlError {
        self.converted(value).map_or_else(|error| error, |(info, stored)| duplicate(info, entry_key, &stored))
    }

    fn copies_rows(&self) -> bool {
        true
    }
}

/// Whether `table` is `old` with more secondary indexes, and they can be filled beside writes.
pub(super) fn is_possible(old: &Table, table: &Table, ctx: &ExecContext<'_>) -> bool {
    let is_old = |id: IndexId| old.indexes.iter().any(|index| index.id == id);
    let mut without = table.clone();
    without.indexes.retain(|index| is_old(index.id));
    ctx.txn.can_build()
        && !table.id.is_temporary()
        && without == *old
        && table
            .indexes
            .iter()
            .all(|index| is_old(index.id) || matches!(index.kind, IndexKind::Plain | IndexKind::Unique))
}

/// Fills the indexes at `added`; on return `table` says from when on they can be read, and is to be saved.
pub(super) async fn build(table: &mut Table, added: &[usize], ctx: &ExecContext<'_>) -> SqlResult<()> {
    let mark = |table: &mut Table, state| added.iter().for_each(|at| table.indexes[*at].state = state);
    mark(table, IndexState::Building);
    save(table, ctx).await?;
    let indexes = added.iter().map(|at| table.indexes[*at].id).collect();
    ctx.txn.publish(table.id, indexes).await?;
    let info = TableInfo::new(&Arc::new(table.clone()))?;
    let unique: Vec<_> = added
        .iter()
        .filter(|at| table.indexes[**at].kind == IndexKind::Unique)
        .map(|at| keys_of(table.indexes[*at].id))
        .collect();
    let rows = keys_of(info.indexes[0].id);
    let entries: Arc<dyn MakeEntries> = Arc::new(Entries::new(info, added.to_vec()));
    let mut since = ctx.txn.build(rows, Arc::clone(&entries)).await?;
    if !unique.is_empty() {
        since = ctx.txn.settle_build(unique, entries, ctx.ddl_wait).await?;
    }
    mark(table, IndexState::Complete(since));
    Ok(())
}

/// Whether the rows of `old` can be written as those of `table` beside writes.
pub(super) fn can_rebuild(old: &Table, table: &Table, ctx: &ExecContext<'_>) -> SqlResult<bool> {
    let is_generated = |table: &Table| table.columns.iter().any(|column| column.generated.is_some());
    let numbered = |table: &Table| -> Option<_> {
        table.columns.iter().find(|column| column.auto_increment).map(|column| column.id)
    };
    Ok(ctx.txn.can_build()
        && !table.id.is_temporary()
        && !is_generated(old)
        && !is_generated(table)
        && numbered(old) == numbered(table)
        && keeps_foreign_keys(old, table, &ctx.txn.catalog())
        && has_same_key(old, table)?)
}

/// Whether the foreign keys of a table and those to it find in both definitions what they find in the old one.
fn keeps_foreign_keys(old: &Table, table: &Table, catalog: &Catalog) -> bool {
    let is_same = |column: &Column| {
        table
            .columns
            .iter()
            .any(|new| new.id == column.id && new.name == column.name && new.data_type == column.data_type)
    };
    let own = old
        .foreign_keys
        .iter()
        .flat_map(|key| &key.columns)
        .all(|id| old.columns.iter().find(|column| column.id == *id).is_some_and(is_same));
    let children = catalog.children(&old.schema, &old.name).flat_map(|child| &child.foreign_keys);
    let mut parents = children.filter(|key| names(key, old)).flat_map(|key| &key.parent_columns);
    old.foreign_keys == table.foreign_keys
        && own
        && parents.all(|name| old.column_position(name).is_some_and(|at| is_same(&old.columns[at])))
}

/// Whether rows have the same primary keys in both definitions, at most in wider integers.
fn has_same_key(old: &Table, new: &Table) -> SqlResult<bool> {
    let columns =
        |table: &Table| -> Vec<_> { table.primary().parts.iter().map(|part| part.column).collect() };
    let keys = |table: &Table| -> SqlResult<Vec<_>> {
        Ok(TableInfo::new(&Arc::new(table.clone()))?.indexes.swap_remove(0).keys)
    };
    let is_same = |old: &KeyColumn, new: &KeyColumn| {
        let (from, to) = (&old.data_type, &new.data_type);
        let (width, new_width) = (integer_bytes(from.kind), integer_bytes(to.kind));
        let is_wider = width > 0 && width <= new_width && from.unsigned == to.unsigned;
        old.order == new.order
            && old.prefix_length == new.prefix_length
            && old.collation_version == new.collation_version
            && (from == to || is_wider)
    };
    let (old_keys, new_keys) = (keys(old)?, keys(new)?);
    Ok(old.primary().kind == new.primary().kind
        && columns(old) == columns(new)
        && old_keys.iter().zip(&new_keys).all(|(old, new)| is_same(old, new)))
}

/// 0 for what is no integer.
fn integer_bytes(kind: TypeKind) -> u8 {
    match kind {
        TypeKind::TinyInt => 1,
        TypeKind::SmallInt => 2,
        TypeKind::MediumInt => 3,
        TypeKind::Int => 4,
        TypeKind::BigInt => 8,
        _ => 0,
    }
}

/// Writes the rows of `old` as those of `table`, which has other index ids and one layout; how many there are. On
/// return the table is locked, and `table` says from when on it can be read, and is to be saved.
pub(super) async fn rebuild(old: &Table, table: &mut Table, ctx: &mut ExecContext<'_>) -> SqlResult<u64> {
    let (sql_mode, time_zone) = (ctx.eval.sql_mode.bits(), ctx.eval.time_zone.name());
    let rebuild = Rebuild { table: table.clone(), sql_mode, time_zone };
    let marked = Table { rebuild: Some(Box::new(rebuild)), ..old.clone() };
    save(&marked, ctx).await?;
    ctx.txn.publish(table.id, table.index_ids().collect()).await?;
    let info = TableInfo::new(&Arc::new(marked))?;
    let rows = keys_of(info.indexes[0].id);
    let warnings = Mutex::new(Warnings::with_capacity(ctx.eval.warnings.capacity()));
    let shadows = Arc::new(Shadows { info, rows: AtomicU64::new(0), warnings });
    let entries: Arc<dyn MakeEntries> = Arc::clone(&shadows) as _;
    ctx.txn.build(rows, entries).await?;
    let info = TableInfo::new(&Arc::new(table.clone()))?;
    let is_unique = |at: &usize| table.indexes[*at].kind == IndexKind::Unique;
    let added: Vec<usize> = (1..table.indexes.len()).filter(is_unique).collect();
    let unique = added.iter().map(|at| keys_of(table.indexes[*at].id)).collect();
    let entries: Arc<dyn MakeEntries> = Arc::new(Entries::new(info, added));
    let since = ctx.txn.settle_build(unique, entries, ctx.ddl_wait).await?;
    if table.primary().kind == IndexKind::Hidden {
        // Rows keep their numbers, and new ones are to have others.
        let next = ctx.txn.reserve_auto_increment(old.row_counter(), 1, 1).await?;
        ctx.txn.observe_auto_increment(table.row_counter(), next).await?;
    }
    table.indexes.iter_mut().for_each(|index| index.state = IndexState::Complete(since));
    let warnings = shadows.warnings.lock().unwrap_or_else(PoisonError::into_inner);
    ctx.eval.warnings.append(&warnings);
    Ok(shadows.rows.load(Ordering::Relaxed))
}
