//! New indexes of large tables, filled while others write (ADR 0148).

use std::sync::Arc;

use aquifer_catalog::{IndexKind, IndexState, Table};
use aquifer_types::key::successor;
use aquifer_types::{IndexId, SqlResult};
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
}

/// Whether `table` is `old` with more plain indexes, and they can be filled beside writes.
pub(super) fn is_possible(old: &Table, table: &Table, ctx: &ExecContext<'_>) -> bool {
    let is_old = |id: IndexId| old.indexes.iter().any(|index| index.id == id);
    let mut without = table.clone();
    without.indexes.retain(|index| is_old(index.id));
    ctx.txn.can_build()
        && !table.id.is_temporary()
        && without == *old
        && table.indexes.iter().all(|index| is_old(index.id) || index.kind == IndexKind::Plain)
}

/// Fills the indexes at `added`; on return `table` says from when on they can be read, and is to be saved.
pub(super) async fn build(table: &mut Table, added: &[usize], ctx: &ExecContext<'_>) -> SqlResult<()> {
    let mark = |table: &mut Table, state| added.iter().for_each(|at| table.indexes[*at].state = state);
    mark(table, IndexState::Building);
    save(table, ctx).await?;
    let indexes = added.iter().map(|at| table.indexes[*at].id).collect();
    ctx.txn.publish(table.id, indexes).await?;
    let info = TableInfo::new(&Arc::new(table.clone()))?;
    let prefix = info.indexes[0].id.0.to_be_bytes();
    let rows = Bytes::copy_from_slice(&prefix)..successor(&prefix);
    let since = ctx.txn.build(rows, Arc::new(Entries { info, added: added.to_vec() })).await?;
    mark(table, IndexState::Complete(since));
    Ok(())
}
