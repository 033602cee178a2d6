//! Rows and their index entries on their way into the transaction.
//!
//! The row's key and those of its unique entries are locked before anything is written, in the order of the
//! indexes. An entry of an index that is not unique, or that holds a NULL, ends with the primary key and is
//! written blind. The value of a unique index's entry is the primary key's part after the index id.
//!
//! While a table is written anew (ADR 0168), what a row becomes, with its index entries, is written with the row's own
//! entries, as entries of its shadow.

use aquifer_types::key::KeyEncoder;
use aquifer_types::temporal::TimeZone;
use aquifer_types::{SqlError, SqlResult, Value, Warnings};
use bytes::Bytes;

use crate::exec::ExecContext;
use crate::exec::conversion::Conversion;
use crate::plan::table_info::TableInfo;
use crate::result::StoredColumn;
use crate::txn::{LockMode, LockWait, Locked, ReadMode};

/// Bytes of an index id at the start of a key.
const INDEX_ID_BYTES: usize = 4;

/// An index entry of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub index: usize,
    pub key: Bytes,
    pub value: Bytes,
    /// Whether no other row may have this key.
    pub unique: bool,
    /// Whether it belongs to the table's shadow, and `index` is one of that.
    pub shadow: bool,
}

impl Entry {
    /// Whether it is not known yet if another row has the key: the index is being built (ADR 0166).
    fn is_building(&self, info: &TableInfo) -> bool {
        self.shadow || info.indexes[self.index].is_building
    }
}

/// A row that stands in the way.
pub(crate) struct Duplicate {
    pub index: usize,
    /// Key of the row that is there.
    pub primary: Bytes,
}

/// Values as they are stored: TIMESTAMP in UTC.
pub(crate) fn to_stored(info: &TableInfo, row: &[Value], zone: TimeZone) -> Vec<Value> {
    row.iter()
        .zip(&info.timestamps)
        .map(|(value, timestamp)| match value {
            Value::DateTime(local) if *timestamp => Value::DateTime(zone.to_utc(*local)),
            other => other.clone(),
        })
        .collect()
}

/// The bytes of a row of stored values.
pub(crate) fn encode_row(info: &TableInfo, stored: &[Value]) -> SqlResult<Bytes> {
    let newest = info.newest();
    let mut out = Vec::with_capacity(64 + stored.len() * 16);
    let in_order =
        newest.columns.iter().enumerate().all(|(i, c)| matches!(c, StoredColumn::At(at) if *at == i));
    if in_order && newest.layout.len() == stored.len() {
        newest.layout.encode(stored, &mut out)?;
    } else {
        let mut values = vec![Value::Null; newest.layout.len()];
        for (column, value) in newest.columns.iter().zip(stored) {
            if let StoredColumn::At(at) = column {
                values[*at] = value.clone();
            }
        }
        newest.layout.encode(&values, &mut out)?;
    }
    Ok(out.into())
}

/// Entries of all secondary indexes for a row of stored values, then those of the table's shadow. Of that there are
/// none if it cannot hold the row: writing the table anew then ends.
pub(crate) fn entries(
    info: &TableInfo,
    stored: &[Value],
    primary: &[u8],
    ctx: &ExecContext<'_>,
) -> SqlResult<Vec<Entry>> {
    let mut out = Vec::with_capacity(info.indexes.len() - 1);
    for index in 1..info.indexes.len() {
        out.push(entry(info, index, stored, primary)?);
    }
    if let Some(shadow) = &info.shadow {
        match shadow_entries(shadow, stored, primary, (1, &mut Warnings::default())) {
            Ok(entries) => out.extend(entries),
            Err(error) => ctx.txn.fail_build(shadow.to.indexes[0].id, error),
        }
    }
    Ok(out)
}

/// What a row becomes in its table's shadow: the row, and the entries of all secondary indexes there.
pub(crate) fn shadow_entries(
    shadow: &Conversion,
    stored: &[Value],
    primary: &[u8],
    (row_number, warnings): (u64, &mut Warnings),
) -> SqlResult<Vec<Entry>> {
    let info = &shadow.to;
    let new = shadow.convert(stored, row_number, warnings)?;
    let key = shadow.key(&new, primary)?;
    let value = encode_row(info, &new)?;
    let mut out = Vec::with_capacity(info.indexes.len());
    out.push(Entry { index: 0, key: key.clone(), value, unique: false, shadow: true });
    for index in 1..info.indexes.len() {
        out.push(Entry { shadow: true, ..entry(info, index, &new, &key)? });
    }
    Ok(out)
}

/// The entry of one secondary index.
pub(crate) fn entry(info: &TableInfo, index: usize, stored: &[Value], primary: &[u8]) -> SqlResult<Entry> {
    let mut key = KeyEncoder::new(info.indexes[index].id);
    let EntryForm { value, unique } = entry_form(info, index, stored, primary, &mut key)?;
    let value = Bytes::copy_from_slice(value);
    Ok(Entry { index, key: key.finish(), value, unique, shadow: false })
}

/// What an [`Entry`] is besides its key.
pub(crate) struct EntryForm<'p> {
    pub value: &'p [u8],
    pub unique: bool,
}

/// As [`entry`], with the key written to `encoder`.
pub(crate) fn entry_form<'p>(
    info: &TableInfo,
    index: usize,
    stored: &[Value],
    primary: &'p [u8],
    encoder: &mut KeyEncoder,
) -> SqlResult<EntryForm<'p>> {
    let definition = &info.indexes[index];
    let suffix = after_index(primary);
    encoder.reset(definition.id);
    let mut has_null = false;
    for (column, key) in definition.columns.iter().zip(&definition.keys) {
        has_null |= stored[*column].is_null();
        encoder.push(key, &stored[*column])?;
    }
    let is_unique_index = definition.kind == aquifer_catalog::IndexKind::Unique;
    let unique = is_unique_index && !has_null;
    if !unique {
        encoder.push_encoded(suffix);
    }
    Ok(EntryForm { value: if is_unique_index { suffix } else { &[] }, unique })
}

/// The part of a key after the index id.
pub(crate) fn after_index(key: &[u8]) -> &[u8] {
    &key[INDEX_ID_BYTES..]
}

/// The key of the row whose entry in a unique index has this value.
pub(crate) fn row_of(info: &TableInfo, entry_value: &[u8]) -> Bytes {
    let mut encoder = KeyEncoder::new(info.indexes[0].id);
    encoder.push_encoded(entry_value);
    encoder.finish()
}

/// Locks a key exclusively and gives its newest version.
pub(crate) async fn lock(key: &[u8], ctx: &ExecContext<'_>) -> SqlResult<Option<Bytes>> {
    match ctx.txn.lock(key, LockMode::Exclusive, LockWait::Timeout(ctx.lock_wait)).await? {
        Locked::Row(row) => Ok(row),
        Locked::Skipped => Ok(None),
    }
}

/// Locks a unique index's entry of the row `stored`, which is about to be deleted.
pub(crate) async fn lock_entry(
    info: &TableInfo,
    entry: &Entry,
    stored: &[Value],
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    let found = lock(&entry.key, ctx).await?;
    if entry.is_building(info) && found.is_some_and(|value| value != entry.value) {
        fail_build(info, entry, stored, ctx);
    }
    Ok(())
}

/// The row `stored` and another have one key in an index that is being built.
fn fail_build(info: &TableInfo, entry: &Entry, stored: &[Value], ctx: &ExecContext<'_>) {
    let of = |info: &TableInfo, stored: &[Value]| {
        (info.indexes[entry.index].id, duplicate_error(info, entry.index, stored))
    };
    let failed = match info.shadow.as_ref().filter(|_| entry.shadow) {
        None => Ok(of(info, stored)),
        Some(shadow) => shadow.convert(stored, 1, &mut Warnings::default()).map(|row| of(&shadow.to, &row)),
    };
    // What cannot be converted was noted when its entries were made.
    if let Ok((index, error)) = failed {
        ctx.txn.fail_build(index, error);
    }
}

/// Locks what a new row with these entries and values needs, and looks for rows in its way. `old` is what it has now.
pub(crate) async fn claim(
    info: &TableInfo,
    (primary, entries): (&Bytes, &[Entry]),
    stored: &[Value],
    old: Option<(&Bytes, &[Entry])>,
    ctx: &ExecContext<'_>,
) -> SqlResult<Option<Duplicate>> {
    let same_key = old.is_some_and(|(key, _)| key == primary);
    if !same_key && lock(primary, ctx).await?.is_some() {
        return Ok(Some(Duplicate { index: 0, primary: primary.clone() }));
    }
    for entry in entries.iter().filter(|entry| entry.unique) {
        let own = old.and_then(|(_, old)| old.iter().find(|known| known.key == entry.key));
        let building = entry.is_building(info);
        if own.is_some() && !building {
            continue;
        }
        if let Some(value) = lock(&entry.key, ctx).await? {
            if building {
                if own.is_none_or(|own| own.value != value) {
                    fail_build(info, entry, stored, ctx);
                }
                continue;
            }
            return Ok(Some(Duplicate { index: entry.index, primary: row_of(info, &value) }));
        }
    }
    Ok(None)
}

/// Waits until no range that somebody else has locked is around the entries, which no lock of their own protects.
/// Nothing may be awaited between this and their being written.
async fn enter_ranges(entries: impl Iterator<Item = &Entry>, ctx: &ExecContext<'_>) -> SqlResult<()> {
    if !ctx.txn.has_ranges_of_others() {
        return Ok(());
    }
    let keys: Vec<Bytes> = entries.filter(|entry| !entry.unique).map(|entry| entry.key.clone()).collect();
    ctx.txn.enter_ranges(&keys, LockWait::Timeout(ctx.lock_wait)).await
}

/// Writes a row whose keys were claimed.
pub(crate) async fn put_row(
    info: &TableInfo,
    primary: &Bytes,
    stored: &[Value],
    entries: Vec<Entry>,
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    enter_ranges(entries.iter(), ctx).await?;
    ctx.txn.put(primary.clone(), encode_row(info, stored)?)?;
    for entry in entries {
        ctx.txn.put(entry.key, entry.value)?;
    }
    Ok(())
}

/// Whether an index entry of a row that is about to be changed is newer than the transaction's snapshot. It is then
/// written again, because the transaction must find its own row by it.
async fn is_unseen(key: &Bytes, ctx: &ExecContext<'_>) -> SqlResult<bool> {
    Ok(ctx.txn.has_view() && ctx.txn.get(key, ReadMode::Snapshot).await?.is_none())
}

/// Writes a changed row whose new keys were claimed.
pub(crate) async fn replace_row(
    info: &TableInfo,
    (old_key, old_entries): (&Bytes, Vec<Entry>),
    (new_key, new_entries): (&Bytes, Vec<Entry>),
    stored: &[Value],
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    let mut unseen = Vec::new();
    for (old, new) in old_entries.iter().zip(&new_entries) {
        // Nobody reads a shadow.
        unseen.push(!new.shadow && old.key == new.key && is_unseen(&new.key, ctx).await?);
    }
    let moved = old_entries.iter().zip(&new_entries).filter(|(old, new)| old.key != new.key);
    enter_ranges(moved.map(|(_, new)| new), ctx).await?;
    if old_key != new_key {
        ctx.txn.delete(old_key.clone())?;
    }
    ctx.txn.put(new_key.clone(), encode_row(info, stored)?)?;
    for ((old, new), unseen) in old_entries.into_iter().zip(new_entries).zip(unseen) {
        if old.key != new.key {
            ctx.txn.delete(old.key)?;
            ctx.txn.put(new.key, new.value)?;
        } else if old.value != new.value || unseen {
            ctx.txn.put(new.key, new.value)?;
        }
    }
    Ok(())
}

/// Deletes a locked row.
pub(crate) async fn delete_row(
    info: &TableInfo,
    primary: &Bytes,
    stored: &[Value],
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    for entry in entries(info, stored, primary, ctx)? {
        if entry.unique {
            lock_entry(info, &entry, stored, ctx).await?;
        }
        ctx.txn.delete(entry.key)?;
    }
    ctx.txn.delete(primary.clone())
}

/// Error 1062 with the values of the index.
pub(crate) fn duplicate_error(info: &TableInfo, index: usize, row: &[Value]) -> SqlError {
    let definition = &info.indexes[index];
    let mut parts = Vec::new();
    for column in &definition.columns {
        let mut text = Vec::new();
        match &row[*column] {
            Value::Null => text.extend(b"NULL"),
            value => {
                aquifer_types::text::write_text(value, &info.table.columns[*column].data_type, &mut text);
            }
        }
        parts.push(String::from_utf8_lossy(&text).into_owned());
    }
    let text = parts.join("-");
    SqlError::new(1062, format!("Duplicate entry '{text}' for key '{}.{}'", info.table.name, definition.name))
}

/// Reads a row's newest version with its stored values.
pub(crate) async fn read_row(
    info: &TableInfo,
    primary: &[u8],
    ctx: &ExecContext<'_>,
) -> SqlResult<Option<(Bytes, Vec<Value>)>> {
    let Some(row) = ctx.txn.get(primary, ReadMode::Latest).await? else { return Ok(None) };
    let values = stored_values(info, &row)?;
    Ok(Some((row, values)))
}

/// All columns of a stored row, TIMESTAMP in UTC.
pub(crate) fn stored_values(info: &TableInfo, row: &Bytes) -> SqlResult<Vec<Value>> {
    let mut values = vec![Value::Null; info.width()];
    super::scan::decode_row(info, row, info.all_columns(), &mut values, TimeZone::Utc)?;
    Ok(values)
}
