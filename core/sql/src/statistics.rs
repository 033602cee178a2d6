//! What the planner knows about data: how many keys there are in a range, and how many rows share one value.
//!
//! Counts of keys come from what the node has in memory anyway (summaries and indexes of tables, memtables) and are as
//! good as it is. How many rows share a value has to be sampled ([`sample`], by ANALYZE TABLE) and is kept as a ratio,
//! so that it stays true while a table grows. Both are asked when a plan is made, never when it is executed.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aquifer_catalog::{IndexKind, Table};
use aquifer_types::key::{KeyColumn, KeyDecoder, KeyEncoder, successor};
use aquifer_types::row::{RowView, schema_version};
use aquifer_types::{IndexId, SqlResult};
use bytes::Bytes;

use crate::plan::table_info::TableInfo;
use crate::result::StoredColumn;
use crate::txn::{Direction, ReadMode, Txn};

/// What a node knows about its data.
pub trait Statistics {
    /// About how many keys there are with `range.start ≤ key < range.end`; `None` when nothing is known. Reads no
    /// block.
    fn keys_in(&self, range: Range<&[u8]>) -> Option<u64> {
        let _ = range;
        None
    }

    /// As [`Statistics::keys_in`], where an entry is known to have so many bytes.
    fn keys_of_size(&self, range: Range<&[u8]>, entry_bytes: f64) -> Option<u64> {
        let _ = entry_bytes;
        self.keys_in(range)
    }

    /// At most about `count` keys that cut a range into parts of about the same size; none when nothing is known.
    fn cuts(&self, range: Range<&[u8]>, count: usize) -> Vec<Bytes> {
        let _ = (range, count);
        Vec::new()
    }

    /// What was sampled of an index; `None` when nothing was.
    fn sample(&self, index: IndexId) -> Option<Arc<Sample>> {
        let _ = index;
        None
    }
}

/// What is known of an index from reading parts of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Rows that share a value of the first column, of the first two, and so on.
    pub rows_per_value: Vec<f64>,
    /// Bytes of an entry's key and value.
    pub entry_bytes: f64,
    /// Of the index that holds the rows: about how many values each column has, in the table's order.
    pub column_values: Vec<f64>,
}

/// Knows nothing: plans are made by rules of thumb.
pub struct NoStatistics;

impl Statistics for NoStatistics {}

/// What was sampled since the node was started.
#[derive(Debug, Default)]
pub struct Samples(RwLock<HashMap<IndexId, Arc<Sample>>>);

impl Samples {
    /// As [`Statistics::sample`].
    #[must_use]
    pub fn of(&self, index: IndexId) -> Option<Arc<Sample>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&index).cloned()
    }

    /// Replaces what is known of an index.
    pub fn set(&self, index: IndexId, sample: Arc<Sample>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(index, sample);
    }
}

/// Entries up to which an index is read as a whole.
const WHOLE_MAX: u64 = 20_000;
/// Places of a larger index that are read, and entries at each.
const PLACES: usize = 64;
const PLACE_ENTRIES: usize = 256;

/// Changes within the places that say how often values change.
const CHANGES_MIN: u64 = 8;

/// Reads samples of every index of a table.
///
/// # Errors
/// Those of reading.
pub async fn sample(
    txn: &dyn Txn,
    table: &Arc<Table>,
    statistics: &dyn Statistics,
) -> SqlResult<Vec<(IndexId, Arc<Sample>)>> {
    let info = TableInfo::new(table)?;
    let mut out = Vec::with_capacity(info.indexes.len());
    for index in &info.indexes {
        let start = KeyEncoder::new(index.id).finish();
        let end = successor(&start);
        let keys = statistics.keys_in(&start..&end);
        let parts = index.columns.len().min(index.keys.len());
        let mut counter = Counter::new(&index.keys[..parts]);
        let mut columns = (index.id == info.indexes[0].id).then(|| Columns::new(&info));
        let mut places = vec![start.clone()];
        if keys.is_some_and(|keys| keys > WHOLE_MAX) {
            places.extend(statistics.cuts(&start..&end, PLACES));
        }
        let each = if places.len() > 1 { PLACE_ENTRIES } else { usize::MAX };
        for (number, place) in places.iter().enumerate() {
            let next = places.get(number + 1).unwrap_or(&end);
            read_place(txn, place.clone()..next.clone(), each, (&mut counter, columns.as_mut())).await?;
        }
        #[allow(clippy::cast_precision_loss)]
        let entry_bytes = counter.bytes as f64 / counter.entries.max(1) as f64;
        let keys = statistics.keys_of_size(&start..&end, entry_bytes).unwrap_or(counter.entries);
        let mut rows_per_value = counter.rows_per_value(keys, places.len());
        let unique = matches!(index.kind, IndexKind::Primary | IndexKind::Unique | IndexKind::Hidden);
        if let (true, Some(last)) = (unique, rows_per_value.last_mut()) {
            *last = 1.0;
        }
        let column_values = columns.map(|columns| columns.values(keys));
        if counter.entries > 0 {
            let column_values = column_values.unwrap_or_default();
            out.push((index.id, Arc::new(Sample { rows_per_value, entry_bytes, column_values })));
        }
    }
    Ok(out)
}

async fn read_place(
    txn: &dyn Txn,
    range: Range<Bytes>,
    entries: usize,
    (counter, mut columns): (&mut Counter<'_>, Option<&mut Columns<'_>>),
) -> SqlResult<()> {
    let mut cursor = txn.scan(range, Direction::Forward, ReadMode::Snapshot);
    let mut batch = Vec::new();
    let mut left = entries;
    counter.begin();
    while left > 0 {
        batch.clear();
        cursor.next_batch(&mut batch, left.min(PLACE_ENTRIES)).await?;
        if batch.is_empty() {
            break;
        }
        left = left.saturating_sub(batch.len());
        for (key, value) in &batch {
            counter.add(key)?;
            counter.bytes += (key.len() + value.len()) as u64;
            if let Some(columns) = &mut columns {
                columns.add(value)?;
            }
        }
        txn.check_interrupted()?;
        txn.give_way().await;
    }
    Ok(())
}

/// Counts the values of each column among the rows that are read.
struct Columns<'t> {
    info: &'t TableInfo,
    rows: u64,
    /// How often each value was met, by its hash.
    seen: Vec<HashMap<u64, u32>>,
    hashing: RandomState,
}

impl<'t> Columns<'t> {
    fn new(info: &'t TableInfo) -> Self {
        Self { info, rows: 0, seen: vec![HashMap::new(); info.width()], hashing: RandomState::new() }
    }

    fn add(&mut self, row: &Bytes) -> SqlResult<()> {
        let stored = self.info.layout(schema_version(row)?)?;
        let view = RowView::new(row, &stored.layout)?;
        for (source, seen) in stored.columns.iter().zip(&mut self.seen) {
            if let StoredColumn::At(position) = source {
                *seen.entry(self.hashing.hash_one(view.column_raw(*position)?)).or_default() += 1;
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Values of each column in `all` rows: those met more than once are nearly all there are of their kind, those met
    /// once stand for others (Charikar and others, "Towards estimation error guarantees for distinct values", 2000).
    #[allow(clippy::cast_precision_loss)]
    fn values(&self, all: u64) -> Vec<f64> {
        let scale = (all.max(self.rows) as f64 / self.rows.max(1) as f64).sqrt();
        let each = self.seen.iter();
        each.map(|seen| {
            let once = seen.values().filter(|count| **count == 1).count() as f64;
            ((seen.len() as f64 - once) + scale * once).max(1.0)
        })
        .collect()
    }
}

/// Counts how often the value of each prefix changes from one entry to the next.
struct Counter<'k> {
    keys: &'k [KeyColumn],
    last: Vec<u8>,
    /// Whether the entry before is the one before in the index.
    adjacent: bool,
    entries: u64,
    bytes: u64,
    /// Pairs of neighbours.
    pairs: u64,
    /// Of those, in how many each prefix differs.
    changes: Vec<u64>,
    /// Changes between places, too.
    seen: Vec<u64>,
}

impl<'k> Counter<'k> {
    fn new(keys: &'k [KeyColumn]) -> Self {
        let none = vec![0; keys.len()];
        Self {
            keys,
            last: Vec::new(),
            adjacent: false,
            entries: 0,
            bytes: 0,
            pairs: 0,
            changes: none.clone(),
            seen: none,
        }
    }

    fn begin(&mut self) {
        self.adjacent = false;
    }

    fn add(&mut self, key: &[u8]) -> SqlResult<()> {
        let mut decoder = KeyDecoder::new(key)?;
        let common = key.iter().zip(&self.last).take_while(|(a, b)| a == b).count();
        self.pairs += u64::from(self.adjacent);
        for (number, column) in self.keys.iter().enumerate() {
            decoder.skip(column)?;
            let end = key.len() - decoder.rest().len();
            if end > common || self.entries == 0 {
                self.seen[number] += 1;
                self.changes[number] += u64::from(self.adjacent);
            }
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.adjacent = true;
        self.entries += 1;
        Ok(())
    }

    /// The ratios in an index of `rows` entries. A value that changes rarely within the places that were read has few
    /// values in all, and those were seen; else the places stand for the whole.
    #[allow(clippy::cast_precision_loss)]
    fn rows_per_value(&self, rows: u64, places: usize) -> Vec<f64> {
        let rows = rows.max(1) as f64;
        let each = self.changes.iter().zip(&self.seen);
        each.map(|(changes, seen)| {
            let seen = (*seen).max(1) as f64;
            let values = if places > 1 && *changes >= CHANGES_MIN {
                (rows * *changes as f64 / self.pairs.max(1) as f64).max(seen)
            } else {
                seen
            };
            (rows / values).max(1.0)
        })
        .collect()
    }
}
