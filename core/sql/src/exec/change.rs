//! UPDATE and DELETE.
//!
//! The rows to change are found and locked first, then changed, so that a statement never meets a row that it
//! has changed itself.

use std::cmp::Ordering;

use aquifer_types::convert::{Strictness, is_identical};
use aquifer_types::{SqlResult, Value};
use bytes::Bytes;

use crate::exec::convert;
use crate::exec::limit::limit_numbers;
use crate::exec::scan::{Found, TableScan, decode_row, passes};
use crate::exec::subquery;
use crate::exec::write;
use crate::exec::{AffectedRows, ExecContext, ForeignKeyChecks, foreign, rules};
use crate::expr::Expr;
use crate::plan::foreign::ForeignKeys;
use crate::plan::node::{Apply, LimitNode, Scan};
use crate::plan::table_info::TableInfo;
use crate::plan::{AssignmentPlan, DefaultPlan, DeletePlan, RowRules, SortType, UpdatePlan};
use crate::result::Done;

/// A row to change: its key and its values as the session sees them.
struct Target {
    key: Bytes,
    row: Vec<Value>,
}

/// How rows are found.
struct Search<'a> {
    scan: &'a Scan,
    applies: &'a [Apply],
    late: &'a [Expr],
    order: &'a [(Expr, SortType, bool)],
    order_applies: &'a [Apply],
    limit: Option<&'a Expr>,
}

async fn targets<'a>(search: Search<'a>, ctx: &mut ExecContext<'a>) -> SqlResult<Vec<Target>> {
    let limit = match search.limit {
        Some(count) => limit_numbers(&LimitNode { offset: None, count: Some(count.clone()) }, ctx)?.1,
        None => u64::MAX,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let info = &search.scan.table;
    let mut scan = TableScan::open(search.scan, &[], ctx)?;
    ctx.subqueries.begin_search();
    while let Some(entry) = scan.next(ctx).await? {
        let (Found::Row { key, row: stored } | Found::Entry { key, value: stored }) = entry;
        let mut row = vec![Value::Null; info.width()];
        decode_row(info, &stored, info.all_columns(), &mut row, ctx.eval.time_zone)?;
        if !passes(&search.scan.filter, &row, &mut ctx.eval)? {
            continue;
        }
        if !search.late.is_empty() {
            for apply in search.applies {
                subquery::run(apply, &row, ctx).await?;
            }
            if !passes(search.late, &row, &mut ctx.eval)? {
                continue;
            }
        }
        found.push(Target { key, row });
        if search.order.is_empty() && found.len() >= limit {
            break;
        }
    }
    if !search.order.is_empty() {
        order(&mut found, (search.order, search.order_applies), ctx).await?;
        found.truncate(limit);
    }
    ctx.subqueries.end_search();
    Ok(found)
}

async fn order<'a>(
    found: &mut Vec<Target>,
    (keys, applies): (&[(Expr, SortType, bool)], &'a [Apply]),
    ctx: &mut ExecContext<'a>,
) -> SqlResult<()> {
    let mut keyed = Vec::with_capacity(found.len());
    for target in found.drain(..) {
        for apply in applies {
            subquery::run(apply, &target.row, ctx).await?;
        }
        let values: Vec<Value> = keys
            .iter()
            .map(|(expr, _, _)| expr.eval(&target.row, &mut ctx.eval))
            .collect::<SqlResult<_>>()?;
        keyed.push((values, target));
    }
    keyed.sort_by(|(a, _), (b, _)| {
        for (number, (_, ty, descending)) in keys.iter().enumerate() {
            let order = ty.compare(&a[number], &b[number]);
            let order = if *descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    });
    found.extend(keyed.into_iter().map(|(_, target)| target));
    Ok(())
}

pub(crate) async fn update<'a>(plan: &'a UpdatePlan, ctx: &mut ExecContext<'a>) -> SqlResult<Done> {
    let search = Search {
        scan: &plan.scan,
        applies: &plan.applies,
        late: &plan.late,
        order: &plan.order,
        order_applies: &plan.order_applies,
        limit: plan.limit.as_ref(),
    };
    let targets = targets(search, ctx).await?;
    let info = &plan.scan.table;
    let strictness = convert::strictness(plan.ignore, &ctx.eval);
    let matched = targets.len() as u64;
    let mut changed = 0_u64;
    for (number, target) in targets.into_iter().enumerate() {
        ctx.eval.row_number = number as u64 + 1;
        if number % 256 == 255 {
            ctx.txn.check_interrupted()?;
        }
        changed += u64::from(update_row(plan, info, &target, strictness, ctx).await?);
        ctx.make_room().await?;
    }
    Ok(updated(matched, changed, ctx))
}

/// What an UPDATE of either kind answers.
pub(crate) fn updated(matched: u64, changed: u64, ctx: &ExecContext<'_>) -> Done {
    let warnings = ctx.eval.warnings.total();
    Done {
        affected: if ctx.affected == AffectedRows::Found { matched } else { changed },
        last_insert_id: 0,
        info: format!("Rows matched: {matched}  Changed: {changed}  Warnings: {warnings}"),
    }
}

/// Changes one row; whether it got other values.
async fn update_row<'a>(
    plan: &'a UpdatePlan,
    info: &TableInfo,
    target: &Target,
    strictness: Strictness,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<bool> {
    let fresh;
    let target = if plan.rules.foreign.is_some() {
        // An action of a row before may have changed or deleted this one.
        let Some((_, stored)) = write::read_row(info, &target.key, ctx).await? else { return Ok(false) };
        let row = foreign::to_session(info, &stored, ctx.eval.time_zone);
        fresh = Target { key: target.key.clone(), row };
        &fresh
    } else {
        target
    };
    for apply in &plan.applies {
        subquery::run(apply, &target.row, ctx).await?;
    }
    let mut row = target.row.clone();
    for assignment in &plan.assignments {
        assign(info, assignment, &plan.defaults, &mut row, strictness, ctx)?;
    }
    if !row.iter().zip(&target.row).any(|(a, b)| !is_identical(a, b)) {
        return Ok(false);
    }
    for (column, expr) in &plan.on_update {
        let value = expr.eval(&row, &mut ctx.eval)?;
        row[*column] = convert::store(info, *column, value, expr.data_type(), strictness, &mut ctx.eval)?;
    }
    let savepoint = ctx.txn.savepoint();
    let completed = match rules::complete(info, &plan.rules, &mut row, strictness, ctx) {
        Ok(()) => rules::check_option(plan.check.as_ref(), &row, ctx).await,
        Err(error) => Err(error),
    };
    let written = match completed {
        Ok(()) => write_with_rules(info, &plan.rules, &target.key, (&target.row, &row), ctx).await,
        Err(error) => Err(error),
    };
    rules::unless_ignored(written, plan.ignore, savepoint, ctx)
}

/// The foreign keys around a table, unless they are not obeyed.
pub(crate) fn foreign_keys<'p>(rules: &'p RowRules, ctx: &ExecContext<'_>) -> Option<&'p ForeignKeys> {
    rules.foreign.as_ref().filter(|_| ctx.foreign_key_checks == ForeignKeyChecks::On)
}

/// As [`write_changed`], and what foreign keys ask for.
pub(crate) async fn write_with_rules<'a>(
    info: &TableInfo,
    rules: &RowRules,
    key: &Bytes,
    (old, new): (&[Value], &[Value]),
    ctx: &mut ExecContext<'a>,
) -> SqlResult<()> {
    write_changed(info, key, old, new, ctx).await?;
    let Some(keys) = foreign_keys(rules, ctx) else { return Ok(()) };
    let zone = ctx.eval.time_zone;
    let stored = (write::to_stored(info, old, zone), write::to_stored(info, new, zone));
    foreign::changed(keys, info.table.id, stored, None, 1, ctx).await
}

/// column = value, over the row as changed so far.
pub(crate) fn assign(
    info: &TableInfo,
    assignment: &AssignmentPlan,
    defaults: &[DefaultPlan],
    row: &mut [Value],
    strictness: Strictness,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    let column = assignment.column;
    let value = match &assignment.value {
        Some(expr) => {
            let value = expr.eval(row, &mut ctx.eval)?;
            convert::store(info, column, value, expr.data_type(), strictness, &mut ctx.eval)?
        }
        None => convert::default(info, column, &defaults[column], row, strictness, &mut ctx.eval)?,
    };
    row[column] = convert::not_null(info, column, value, strictness, &mut ctx.eval)?;
    Ok(())
}

/// Writes a locked row's new values (both as the session sees them).
pub(crate) async fn write_changed(
    info: &TableInfo,
    key: &Bytes,
    old: &[Value],
    new: &[Value],
    ctx: &ExecContext<'_>,
) -> SqlResult<()> {
    let zone = ctx.eval.time_zone;
    let (old_stored, new_stored) = (write::to_stored(info, old, zone), write::to_stored(info, new, zone));
    let new_key = match info.primary_key(&new_stored)? {
        Some(new_key) => new_key,
        None => key.clone(),
    };
    let old_entries = write::entries(info, &old_stored, key, ctx)?;
    let new_entries = write::entries(info, &new_stored, &new_key, ctx)?;
    let old_side = Some((key, &*old_entries));
    let new_side = (&new_key, &*new_entries);
    if let Some(duplicate) = write::claim(info, new_side, &new_stored, old_side, ctx).await? {
        return Err(write::duplicate_error(info, duplicate.index, new));
    }
    for entry in
        old_entries.iter().filter(|old| old.unique && !new_entries.iter().any(|new| new.key == old.key))
    {
        write::lock_entry(info, entry, &old_stored, ctx).await?;
    }
    write::replace_row(info, (key, old_entries), (&new_key, new_entries), &new_stored, ctx).await
}

pub(crate) async fn delete<'a>(plan: &'a DeletePlan, ctx: &mut ExecContext<'a>) -> SqlResult<Done> {
    let search = Search {
        scan: &plan.scan,
        applies: &plan.applies,
        late: &plan.late,
        order: &plan.order,
        order_applies: &plan.order_applies,
        limit: plan.limit.as_ref(),
    };
    let targets = targets(search, ctx).await?;
    let info = &plan.scan.table;
    let mut affected = 0;
    for (number, target) in targets.into_iter().enumerate() {
        if number % 256 == 255 {
            ctx.txn.check_interrupted()?;
        }
        let stored = write::to_stored(info, &target.row, ctx.eval.time_zone);
        let stored = if plan.foreign.is_some() {
            // An action of a row before may have changed or deleted this one.
            let Some((_, stored)) = write::read_row(info, &target.key, ctx).await? else { continue };
            stored
        } else {
            stored
        };
        let savepoint = ctx.txn.savepoint();
        let deleted = delete_one(plan.foreign.as_ref(), info, &target.key, stored, ctx).await;
        affected += u64::from(rules::unless_ignored(deleted, plan.ignore, savepoint, ctx)?);
        ctx.make_room().await?;
    }
    Ok(Done { affected, ..Done::default() })
}

/// Deletes one locked row, and what foreign keys ask for.
pub(crate) async fn delete_one<'a>(
    keys: Option<&'a ForeignKeys>,
    info: &TableInfo,
    key: &Bytes,
    stored: Vec<Value>,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<()> {
    write::delete_row(info, key, &stored, ctx).await?;
    match keys.filter(|_| ctx.foreign_key_checks == ForeignKeyChecks::On) {
        Some(keys) => foreign::removed(keys, info.table.id, stored, 1, ctx).await,
        None => Ok(()),
    }
}
