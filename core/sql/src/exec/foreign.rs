//! Foreign keys at work.
//!
//! A child's change looks for its parent after the row is written, so that a row may be its own parent, and locks
//! what it found shared: the parent's row, or its entry in a unique index. Whoever deletes the parent or changes
//! its key holds the same lock exclusively before looking for children, so one of the two sees the other.
//! A parent's change is written first, too; then each foreign key's action is carried out on the newest
//! children, level by level.

use std::future::Future;
use std::pin::Pin;

use aquifer_catalog::ReferentialAction;
use aquifer_types::convert::{Strictness, is_identical};
use aquifer_types::key::{KeyEncoder, successor};
use aquifer_types::temporal::TimeZone;
use aquifer_types::{SqlError, SqlResult, TableId, Value};
use bytes::Bytes;

use crate::exec::ExecContext;
use crate::exec::change::write_changed;
use crate::exec::rules;
use crate::exec::scan::primary_of_entry;
use crate::exec::write;
use crate::plan::foreign::{ChildLink, ForeignKeys, ParentLink, TableLinks};
use crate::plan::table_info::TableInfo;
use crate::txn::{Direction, LockMode, LockWait, Locked, ReadMode};

/// Levels of cascades, as InnoDB limits them.
const DEPTH_MAX: usize = 15;

/// What a recursive step gives.
type Step<'f> = Pin<Box<dyn Future<Output = SqlResult<()>> + 'f>>;

/// A child row: its key and its stored values.
type Child = (Bytes, Vec<Value>);

/// Looks for the parents of a row that was written. `old` is what the row was before; `except` the foreign key
/// whose action wrote it.
///
/// # Errors
/// 1452 when one is missing.
pub(crate) async fn check_parents(
    links: &TableLinks,
    new: &[Value],
    old: Option<&[Value]>,
    except: Option<&str>,
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    for link in &links.parents {
        let same = old.is_some_and(|old| link.columns.iter().all(|c| is_identical(&old[*c], &new[*c])));
        let null = link.columns.iter().any(|column| new[*column].is_null());
        if same || null || except == Some(&*link.name) {
            continue;
        }
        if !parent_exists(link, new, ctx).await? {
            let text =
                format!("Cannot add or update a child row: a foreign key constraint fails ({})", link.text);
            return Err(SqlError::new(1452, text));
        }
    }
    Ok(())
}

async fn parent_exists(link: &ParentLink, row: &[Value], ctx: &ExecContext<'_>) -> SqlResult<bool> {
    let Some((info, index)) = &link.parent else { return Ok(false) };
    let definition = &info.indexes[*index];
    let mut encoder = KeyEncoder::new(definition.id);
    for (column, key) in link.columns.iter().zip(&definition.keys) {
        encoder.push(key, &row[*column])?;
    }
    let prefix = encoder.finish();
    if definition.is_unique() && link.columns.len() == definition.keys.len() {
        return Ok(lock(&prefix, LockMode::Shared, ctx).await?.is_some());
    }
    let found = matching(info, *index, &prefix, LockMode::Shared, 1, ctx).await?;
    Ok(!found.is_empty())
}

async fn lock(key: &[u8], mode: LockMode, ctx: &ExecContext<'_>) -> SqlResult<Option<Bytes>> {
    match ctx.txn.lock(key, mode, LockWait::Timeout(ctx.lock_wait)).await? {
        Locked::Row(row) => Ok(row),
        Locked::Skipped => Ok(None),
    }
}

/// Rows whose entries in an index begin with `prefix`, locked, at most `limit`.
async fn matching(
    info: &TableInfo,
    index: usize,
    prefix: &Bytes,
    mode: LockMode,
    limit: usize,
    ctx: &ExecContext<'_>,
) -> SqlResult<Vec<Child>> {
    let mut found = Vec::new();
    let mut batch = Vec::new();
    let mut cursor = ctx.txn.scan(prefix.clone()..successor(prefix), Direction::Forward, ReadMode::Latest);
    loop {
        batch.clear();
        cursor.next_batch(&mut batch, 256).await?;
        if batch.is_empty() {
            return Ok(found);
        }
        ctx.txn.check_interrupted()?;
        for (key, value) in &batch {
            let primary = if index == 0 { key.clone() } else { primary_of_entry(info, index, key, value)? };
            let Some(row) = lock(&primary, mode, ctx).await? else { continue };
            let stored = write::stored_values(info, &row)?;
            // While the lock was waited for, the row may have changed.
            if index == 0 || write::entry(info, index, &stored, &primary)?.key.starts_with(prefix) {
                found.push((primary, stored));
            }
            if found.len() >= limit {
                return Ok(found);
            }
        }
    }
}

/// The children that refer to a parent's stored values.
async fn children_of(
    keys: &ForeignKeys,
    link: &ChildLink,
    action: ReferentialAction,
    parent: &[Value],
    ctx: &ExecContext<'_>,
) -> SqlResult<Vec<Child>> {
    let Some(child) = keys.table(link.child) else { return Ok(Vec::new()) };
    if link.parent_columns.iter().any(|column| parent[*column].is_null()) {
        return Ok(Vec::new());
    }
    let prefix = child_prefix(&child.info, link, parent)?;
    let (mode, limit) = match action {
        ReferentialAction::Cascade | ReferentialAction::SetNull => (LockMode::Exclusive, usize::MAX),
        _ => (LockMode::Shared, 1),
    };
    matching(&child.info, link.child_index, &prefix, mode, limit, ctx).await
}

/// The stored values of a locked child, unless an action before has deleted it or taken it from its parent.
async fn still_child(
    child: &TableInfo,
    link: &ChildLink,
    key: &Bytes,
    parent: &[Value],
    ctx: &ExecContext<'_>,
) -> SqlResult<Option<Vec<Value>>> {
    let Some((_, stored)) = write::read_row(child, key, ctx).await? else { return Ok(None) };
    let prefix = child_prefix(child, link, parent)?;
    let mut encoder = KeyEncoder::new(child.indexes[link.child_index].id);
    for (column, part) in link.child_columns.iter().zip(&child.indexes[link.child_index].keys) {
        encoder.push(part, &stored[*column])?;
    }
    Ok((encoder.finish() == prefix).then_some(stored))
}

fn child_prefix(child: &TableInfo, link: &ChildLink, parent: &[Value]) -> SqlResult<Bytes> {
    let definition = &child.indexes[link.child_index];
    let mut encoder = KeyEncoder::new(definition.id);
    for (column, key) in link.parent_columns.iter().zip(&definition.keys) {
        encoder.push(key, &parent[*column])?;
    }
    Ok(encoder.finish())
}

fn refused(link: &ChildLink) -> SqlError {
    let text =
        format!("Cannot delete or update a parent row: a foreign key constraint fails ({})", link.text);
    SqlError::new(1451, text)
}

fn too_deep(depth: usize) -> SqlResult<()> {
    if depth <= DEPTH_MAX {
        return Ok(());
    }
    let text = format!("Foreign key cascade delete/update exceeds max depth of {DEPTH_MAX}.");
    Err(SqlError::new(3008, text))
}

/// Carries out ON DELETE for a row that was deleted, given its stored values.
///
/// # Errors
/// 1451 when a child refuses, 3008 when cascades go too deep, and those of writing.
pub(crate) fn removed<'f, 'a: 'f>(
    keys: &'f ForeignKeys,
    table: TableId,
    old: Vec<Value>,
    depth: usize,
    ctx: &'f mut ExecContext<'a>,
) -> Step<'f> {
    Box::pin(async move {
        too_deep(depth)?;
        let Some(links) = keys.table(table) else { return Ok(()) };
        for link in &links.children {
            let Some(child) = keys.table(link.child) else { continue };
            for (key, _) in children_of(keys, link, link.on_delete, &old, ctx).await? {
                let Some(row) = still_child(&child.info, link, &key, &old, ctx).await? else { continue };
                match link.on_delete {
                    ReferentialAction::Cascade => {
                        write::delete_row(&child.info, &key, &row, ctx).await?;
                        removed(keys, link.child, row, depth + 1, ctx).await?;
                    }
                    ReferentialAction::SetNull => {
                        let nulls = vec![Value::Null; link.child_columns.len()];
                        rewrite(keys, link, (key, row), nulls, depth + 1, ctx).await?;
                    }
                    _ => return Err(refused(link)),
                }
            }
        }
        Ok(())
    })
}

/// Carries out ON UPDATE for a row that was changed, and looks for its parents, given its stored values.
///
/// # Errors
/// 1452, and as [`removed`].
pub(crate) fn changed<'f, 'a: 'f>(
    keys: &'f ForeignKeys,
    table: TableId,
    (old, new): (Vec<Value>, Vec<Value>),
    except: Option<&'f str>,
    depth: usize,
    ctx: &'f mut ExecContext<'a>,
) -> Step<'f> {
    Box::pin(async move {
        too_deep(depth)?;
        let Some(links) = keys.table(table) else { return Ok(()) };
        check_parents(links, &new, Some(&old), except, ctx).await?;
        for link in &links.children {
            let same = link.parent_columns.iter().all(|c| is_identical(&old[*c], &new[*c]));
            let Some(child) = keys.table(link.child).filter(|_| !same) else { continue };
            // As in InnoDB, a table that refers to itself is not updated twice by one statement.
            let action = if link.child == table { ReferentialAction::Restrict } else { link.on_update };
            let acts = matches!(action, ReferentialAction::Cascade | ReferentialAction::SetNull);
            let gone = link.parent_columns.iter().any(|column| new[*column].is_null());
            // A key that only looks different (letters of another case) still serves its children.
            if !acts
                && !gone
                && child_prefix(&child.info, link, &old)? == child_prefix(&child.info, link, &new)?
            {
                continue;
            }
            for (key, _) in children_of(keys, link, action, &old, ctx).await? {
                let Some(row) = still_child(&child.info, link, &key, &old, ctx).await? else { continue };
                let values = match action {
                    ReferentialAction::Cascade => {
                        link.parent_columns.iter().map(|column| new[*column].clone()).collect()
                    }
                    ReferentialAction::SetNull => vec![Value::Null; link.child_columns.len()],
                    _ => return Err(refused(link)),
                };
                rewrite(keys, link, (key, row), values, depth + 1, ctx).await?;
            }
        }
        Ok(())
    })
}

/// Gives a child row other values in the columns of a foreign key.
async fn rewrite<'a>(
    keys: &ForeignKeys,
    link: &ChildLink,
    (key, old): Child,
    values: Vec<Value>,
    depth: usize,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<()> {
    let Some(child) = keys.table(link.child) else { return Ok(()) };
    let info = &child.info;
    let zone = ctx.eval.time_zone;
    let before = to_session(info, &old, zone);
    let mut stored = old.clone();
    for (column, value) in link.child_columns.iter().zip(values) {
        stored[*column] = value;
    }
    let mut after = to_session(info, &stored, zone);
    rules::generate(info, &child.generated, &mut after, Strictness::Strict, ctx)?;
    write_changed(info, &key, &before, &after, ctx).await?;
    let new = write::to_stored(info, &after, zone);
    changed(keys, link.child, (old, new), Some(&link.name), depth, ctx).await
}

/// Stored values as the session sees them.
pub(crate) fn to_session(info: &TableInfo, stored: &[Value], zone: TimeZone) -> Vec<Value> {
    let values = stored.iter().zip(&info.timestamps);
    values
        .map(|(value, timestamp)| match value {
            Value::DateTime(utc) if *timestamp => Value::DateTime(zone.to_local(*utc)),
            other => other.clone(),
        })
        .collect()
}
