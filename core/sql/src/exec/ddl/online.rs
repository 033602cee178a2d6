//! New indexes of large tables, filled while others write (ADR 0148).

use std::ops::Range;
use std::sync::Arc;

use aquifer_catalog::{IndexKind, IndexState, Table};
use aquifer_types::key::successor;
use aquifer_types::{ErrorKind, IndexId, SqlError, SqlResult};
use bytes::Bytes;

use super::save;
use crate::exec::{ExecContext, write};
use crate::plan::table_info::TableInfo;
use crate::txn::MakeEntries;

/// Rows that are read with the table locked; a larger table is read beside writes.
pub(super) const LOCKED_ROWS_MAX: u64 = 20_000;

struct Entries {
    info: TableInfo,
    /// Positions of the new indexes.
    added: Vec<usize>,
}

impl MakeEntries for Entries {
    fn entries(&self, key: &Bytes, value: &Bytes, out: &mut Vec<(Bytes, Bytes)>) -> SqlResult<()> {
        let stored = write::stored_values(&self.info, value)?;
        for index in &self.added {
            let entry = write::entry(&self.info, *index, &stored, key)?;
            out.push((entry.key, entry.value));
        }
        Ok(())
    }

    fn row_of(&self, entry_value: &[u8]) -> Bytes {
        write::row_of(&self.info, entry_value)
    }

    fn duplicate(&self, entry_key: &[u8], value: &Bytes) -> SqlError {
        let index =
            self.info.indexes.iter().position(|index| entry_key.starts_with(&index.id.0.to_be_bytes()));
        match (index, write::stored_values(&self.info, value)) {
            (Some(index), Ok(stored)) => write::duplicate_error(&self.info, index, &stored),
            (_, Err(error)) => error,
            (None, Ok(_)) => {
                SqlError::with_kind(1105, ErrorKind::Bug, "an entry is in no index of its table")
            }
        }
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
    let entries: Arc<dyn MakeEntries> = Arc::new(Entries { info, added: added.to_vec() });
    let mut since = ctx.txn.build(rows, Arc::clone(&entries)).await?;
    if !unique.is_empty() {
        since = ctx.txn.settle_build(table.id, unique, entries, ctx.ddl_wait).await?;
    }
    mark(table, IndexState::Complete(since));
    Ok(())
}

/// All keys of an index.
fn keys_of(index: IndexId) -> Range<Bytes> {
    let prefix = index.0.to_be_bytes();
    Bytes::copy_from_slice(&prefix)..successor(&prefix)
}
