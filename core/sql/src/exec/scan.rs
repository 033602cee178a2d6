//! Reading stored tables.

use std::collections::VecDeque;
use std::ops::Range;

use aquifer_types::key::{KeyDecoder, KeyEncoder};
use aquifer_types::row::{self, RowView};
use aquifer_types::temporal::TimeZone;
use aquifer_types::{SqlResult, Value};
use bytes::Bytes;

use crate::exec::keys::{KeyRange, ranges};
use crate::exec::{ExecContext, LockedRanges, LockingReads};
use crate::expr::EvalContext;
use crate::plan::node::{LockSpec, Needed, Scan, WaitSpec};
use crate::plan::table_info::TableInfo;
use crate::result::StoredColumn;
use crate::txn::{Cursor, Direction, LockMode, LockWait, Locked, ReadMode};

/// Entries asked of a cursor at once: few at first, because many scans end early.
const FIRST_BATCH: usize = 32;
/// At first when one row is wanted.
const FEW: usize = 4;
/// Later ones.
const BATCH: usize = 512;

/// A row or, of a covering index, its entry.
pub(crate) enum Found {
    Row { key: Bytes, row: Bytes },
    Entry { key: Bytes, value: Bytes },
}

/// A scan under way.
pub(crate) struct TableScan<'a> {
    scan: &'a Scan,
    ranges: VecDeque<KeyRange>,
    cursor: Option<Box<dyn Cursor + 'a>>,
    buffer: Vec<(Bytes, Bytes)>,
    at: usize,
    asked: usize,
    lock: Option<LockSpec>,
}

impl<'a> TableScan<'a> {
    /// Starts a scan; `row` holds the values of tables before it.
    pub(crate) fn open(scan: &'a Scan, row: &[Value], ctx: &mut ExecContext<'a>) -> SqlResult<Self> {
        let shared = LockSpec { mode: LockMode::Shared, wait: WaitSpec::Timeout };
        let lock = scan.lock.or((ctx.locking_reads == LockingReads::Shared).then_some(shared));
        let mut ranges = VecDeque::from(ranges(scan, row, &mut ctx.eval)?);
        if scan.direction == Direction::Backward {
            ranges.make_contiguous().reverse();
        }
        let asked = if scan.first { FEW } else { FIRST_BATCH };
        Ok(Self { scan, ranges, cursor: None, buffer: Vec::new(), at: 0, asked, lock })
    }

    /// Whether rows are locked as they are read.
    pub(crate) fn locks(&self) -> bool {
        self.lock.is_some()
    }

    /// Entries that are here already and are the rows themselves: those of a table that is read without locks.
    pub(crate) fn rows_here(&self) -> &[(Bytes, Bytes)] {
        let whole_rows = self.scan.access.index == 0 && self.lock.is_none();
        if whole_rows { &self.buffer[self.at..] } else { &[] }
    }

    /// Goes on behind that many of them.
    pub(crate) fn skip(&mut self, rows: usize) {
        self.at += rows;
    }

    fn mode(&self) -> ReadMode {
        if self.lock.is_some() { ReadMode::Latest } else { ReadMode::Snapshot }
    }

    /// The next row. A locked row is its newest version, which the caller must test again.
    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Found>> {
        loop {
            let found = match self.next_entry(ctx).await? {
                None => return Ok(None),
                Some(entry) => self.resolve(entry, ctx).await?,
            };
            if let Some(found) = found {
                return Ok(Some(found));
            }
        }
    }

    /// The next entry of the index that is read.
    async fn next_entry(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<(Bytes, Option<Bytes>)>> {
        loop {
            if self.at < self.buffer.len() {
                let (key, value) = std::mem::take(&mut self.buffer[self.at]);
                self.at += 1;
                return Ok(Some((key, Some(value))));
            }
            if let Some(cursor) = &mut self.cursor {
                self.buffer.clear();
                self.at = 0;
                cursor.next_batch(&mut self.buffer, self.asked).await?;
                self.asked = BATCH;
                if ctx.budget.touch(self.buffer.len()) {
                    ctx.pause().await?;
                }
                if self.buffer.is_empty() {
                    self.cursor = None;
                }
                continue;
            }
            match self.ranges.pop_front() {
                None => return Ok(None),
                Some(KeyRange::Point(key)) => {
                    if ctx.budget.touch(1) {
                        ctx.pause().await?;
                    }
                    self.lock_entry(&key, ctx).await?;
                    return Ok(Some((key, None)));
                }
                Some(KeyRange::Span(range)) => {
                    let range = self.lock_span(range, ctx).await?;
                    self.cursor = Some(ctx.txn.scan(range, self.scan.direction, self.mode()));
                }
            }
        }
    }

    /// The lock of a scan that locks ranges. Skipping locked rows means not to mind what is missing.
    fn range_lock(&self, ctx: &ExecContext<'a>) -> Option<LockSpec> {
        let wanted = ctx.locked_ranges == LockedRanges::Read;
        self.lock.filter(|lock| wanted && lock.wait != WaitSpec::Skip)
    }

    /// Locks an entry of a unique index, so that nobody adds it while it is absent.
    async fn lock_entry(&self, key: &[u8], ctx: &ExecContext<'a>) -> SqlResult<()> {
        if self.scan.access.index != 0
            && let Some(lock) = self.range_lock(ctx)
        {
            ctx.txn.lock(key, lock.mode, wait_of(lock, ctx)).await?;
        }
        Ok(())
    }

    /// Locks a span that is about to be read and returns it. Of a long one only the beginning, because many scans
    /// end early; the rest comes as the next range.
    async fn lock_span(&mut self, range: Range<Bytes>, ctx: &ExecContext<'a>) -> SqlResult<Range<Bytes>> {
        let Some(lock) = self.range_lock(ctx) else { return Ok(range) };
        let mut first = Vec::new();
        if self.asked != BATCH {
            ctx.txn
                .scan(range.clone(), self.scan.direction, ReadMode::Latest)
                .next_batch(&mut first, FIRST_BATCH)
                .await?;
        }
        let (span, rest) = match first.pop() {
            Some((key, _)) if first.len() + 1 == FIRST_BATCH => match self.scan.direction {
                Direction::Forward => {
                    let after = Bytes::from([&key[..], &[0]].concat());
                    (range.start..after.clone(), after..range.end)
                }
                Direction::Backward => (key.clone()..range.end, range.start..key),
            },
            _ => (range, Bytes::new()..Bytes::new()),
        };
        if rest.start < rest.end {
            self.ranges.push_front(KeyRange::Span(rest));
        }
        ctx.txn.lock_range(span.clone(), wait_of(lock, ctx)).await?;
        Ok(span)
    }

    /// From an index entry to the row, locked if need be; `None` when there is none.
    async fn resolve(
        &mut self,
        entry: (Bytes, Option<Bytes>),
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Option<Found>> {
        let (key, value) = entry;
        if self.scan.access.index == 0 {
            return self.row(key, value, ctx).await;
        }
        let value = match value {
            Some(value) => value,
            None => match ctx.txn.get(&key, self.mode()).await? {
                Some(value) => value,
                None => return Ok(None),
            },
        };
        if self.scan.covering && self.lock.is_none() {
            return Ok(Some(Found::Entry { key, value }));
        }
        let primary = primary_of_entry(&self.scan.table, self.scan.access.index, &key, &value)?;
        self.row(primary, None, ctx).await
    }

    async fn row(
        &mut self,
        key: Bytes,
        value: Option<Bytes>,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Option<Found>> {
        let Some(lock) = self.lock else {
            let row = match value {
                Some(row) => Some(row),
                None => ctx.txn.get(&key, ReadMode::Snapshot).await?,
            };
            return Ok(row.map(|row| Found::Row { key, row }));
        };
        // A row that does not qualify as it stands is not locked.
        if let Some(row) = &value
            && !qualifies(self.scan, row, ctx)?
        {
            return Ok(None);
        }
        match ctx.txn.lock(&key, lock.mode, wait_of(lock, ctx)).await? {
            Locked::Row(Some(row)) => Ok(Some(Found::Row { key, row })),
            Locked::Row(None) | Locked::Skipped => Ok(None),
        }
    }
}

fn wait_of(lock: LockSpec, ctx: &ExecContext<'_>) -> LockWait {
    match lock.wait {
        WaitSpec::Timeout => LockWait::Timeout(ctx.lock_wait),
        WaitSpec::NoWait => LockWait::NoWait,
        WaitSpec::Skip => LockWait::Skip,
    }
}

/// Whether a stored row satisfies the scan's own conditions, when they refer to no other table.
fn qualifies(scan: &Scan, stored: &Bytes, ctx: &mut ExecContext<'_>) -> SqlResult<bool> {
    let own = scan.offset..scan.offset + scan.width;
    let alone = scan.filter.iter().all(|c| c.columns().iter().all(|slot| own.contains(slot)));
    if scan.filter.is_empty() || !alone {
        return Ok(true);
    }
    let mut row = vec![Value::Null; own.end];
    decode_row(&scan.table, stored, scan.needed.iter().copied(), &mut row[own], ctx.eval.time_zone)?;
    passes(&scan.filter, &row, &mut ctx.eval)
}

/// Whether a row satisfies all conditions.
pub(crate) fn passes(
    conditions: &[crate::expr::Expr],
    row: &[Value],
    eval: &mut EvalContext,
) -> SqlResult<bool> {
    for condition in conditions {
        if !condition.eval_filter(row, eval)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The key of the row that an entry of a secondary index belongs to.
pub(crate) fn primary_of_entry(info: &TableInfo, index: usize, key: &[u8], value: &[u8]) -> SqlResult<Bytes> {
    let mut encoder = KeyEncoder::new(info.indexes[0].id);
    if value.is_empty() {
        let mut decoder = KeyDecoder::new(key)?;
        for column in &info.indexes[index].keys {
            decoder.skip(column)?;
        }
        encoder.push_encoded(decoder.rest());
    } else {
        encoder.push_encoded(value);
    }
    Ok(encoder.finish())
}

/// Decodes the wanted columns of a stored row into the table's part of a row.
pub(crate) fn decode_row(
    info: &TableInfo,
    stored: &Bytes,
    needed: impl IntoIterator<Item = Needed>,
    out: &mut [Value],
    zone: TimeZone,
) -> SqlResult<()> {
    let layout = info.layout(row::schema_version(stored)?)?;
    let view = RowView::new(stored, &layout.layout)?;
    for Needed { column, place } in needed {
        let value = match &layout.columns[column] {
            StoredColumn::At(position) => view.column(*position)?,
            StoredColumn::Constant(value) => value.clone(),
        };
        out[place] = if info.timestamps[column] { to_local(value, zone) } else { value };
    }
    Ok(())
}

/// Decodes a stored row into the table's part of `row`, as far as the conditions of the scan hold; whether all do.
pub(crate) fn decode_passing(
    scan: &Scan,
    stored: &Bytes,
    row: &mut [Value],
    eval: &mut EvalContext,
) -> SqlResult<bool> {
    let info = &scan.table;
    let layout = info.layout(row::schema_version(stored)?)?;
    let view = RowView::new(stored, &layout.layout)?;
    let zone = eval.time_zone;
    let decode = |needed: &[Needed], row: &mut [Value]| -> SqlResult<()> {
        for Needed { column, place } in needed {
            let value = match &layout.columns[*column] {
                StoredColumn::At(position) => view.column(*position)?,
                StoredColumn::Constant(value) => value.clone(),
            };
            row[scan.offset + place] = if info.timestamps[*column] { to_local(value, zone) } else { value };
        }
        Ok(())
    };
    let mut done = 0;
    for (condition, upto) in scan.filter.iter().zip(&scan.steps) {
        decode(&scan.needed[done..*upto], row)?;
        done = *upto;
        if !condition.eval_filter(row, eval)? {
            return Ok(false);
        }
    }
    decode(&scan.needed[done..], row)?;
    Ok(true)
}

/// A TIMESTAMP as the session sees it.
fn to_local(value: Value, zone: TimeZone) -> Value {
    match value {
        Value::DateTime(utc) => Value::DateTime(zone.to_local(utc)),
        other => other,
    }
}

/// Decodes the wanted columns from an entry of a covering index.
pub(crate) fn decode_entry(
    scan: &Scan,
    key: &[u8],
    value: &[u8],
    out: &mut [Value],
    zone: TimeZone,
) -> SqlResult<()> {
    let info = &scan.table;
    let index = &info.indexes[scan.access.index];
    let place = |column: usize| scan.needed.iter().find(|needed| needed.column == column);
    let mut set = |needed: &Needed, value: Value| {
        out[needed.place] = if info.timestamps[needed.column] { to_local(value, zone) } else { value };
    };
    let mut decoder = KeyDecoder::new(key)?;
    for (column, part) in index.columns.iter().zip(&index.keys) {
        match place(*column).filter(|_| part.prefix_length.is_none() && part.is_reversible()) {
            Some(needed) => set(needed, decoder.decode(part)?),
            None => decoder.skip(part)?,
        }
    }
    let primary = primary_of_entry(info, scan.access.index, key, value)?;
    let mut decoder = KeyDecoder::new(&primary)?;
    for (column, part) in info.indexes[0].columns.iter().zip(&info.indexes[0].keys) {
        match place(*column).filter(|_| part.prefix_length.is_none() && part.is_reversible()) {
            Some(needed) => set(needed, decoder.decode(part)?),
            None => decoder.skip(part)?,
        }
    }
    Ok(())
}
