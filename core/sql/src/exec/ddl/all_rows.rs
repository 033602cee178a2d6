//! All rows of a table, for what DDL does with each of them.

use aquifer_types::SqlResult;
use aquifer_types::key::keys_of;
use bytes::Bytes;

use crate::plan::table_info::TableInfo;
use crate::txn::{Cursor, Direction, ReadMode, Txn};

/// Rows read at once.
const BATCH: usize = 512;

/// The newest versions of a table's rows, in the order of their keys.
pub(super) struct AllRows<'a> {
    txn: &'a dyn Txn,
    cursor: Box<dyn Cursor + 'a>,
    batch: Vec<(Bytes, Bytes)>,
}

/// Whether a table has more rows than so many.
pub(super) async fn are_more_than(rows_max: u64, info: &TableInfo, txn: &dyn Txn) -> SqlResult<bool> {
    let (mut all, mut rows) = (AllRows::of(info, txn), 0);
    while let Some(batch) = all.next().await? {
        rows += batch.len() as u64;
        if rows > rows_max {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<'a> AllRows<'a> {
    pub(super) fn of(info: &TableInfo, txn: &'a dyn Txn) -> Self {
        let range = keys_of(info.indexes[0].id);
        Self { txn, cursor: txn.scan(range, Direction::Forward, ReadMode::Latest), batch: Vec::new() }
    }

    /// The next rows with their keys, at least one; `None` at the end.
    pub(super) async fn next(&mut self) -> SqlResult<Option<&[(Bytes, Bytes)]>> {
        self.batch.clear();
        self.cursor.next_batch(&mut self.batch, BATCH).await?;
        if self.batch.is_empty() {
            return Ok(None);
        }
        self.txn.check_interrupted()?;
        self.txn.give_way().await;
        Ok(Some(&self.batch))
    }
}
