//! UPDATE and DELETE of rows of a join.
//!
//! Steps: (1) all rows of the join are read and locked, new values are computed from them, and of each row to be
//! changed the first occurrence counts; (2) the rows are changed, those of one occurrence after the other. A row
//! is read again before it is changed, because foreign keys or another name of its table may have changed it.

use std::collections::HashSet;

use aquifer_types::convert::{Strictness, is_identical};
use aquifer_types::{SqlResult, Value};
use bytes::Bytes;

use crate::exec::change::{self, write_with_rules};
use crate::exec::operator::{Operator, Rows};
use crate::exec::{ExecContext, convert, foreign, rules, subquery, write};
use crate::plan::{DeleteJoinPlan, DeleteTarget, KeyedJoin, UpdateJoinPlan, UpdateTarget};
use crate::result::Done;

/// Rows of a join as they come.
struct JoinRows<'a> {
    operator: Operator<'a>,
    width: usize,
}

impl<'a> JoinRows<'a> {
    fn open(join: &'a KeyedJoin) -> Self {
        Self { operator: Operator::open(&join.node, join.row_width, None), width: join.row_width }
    }

    async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        let rows = self.operator.next(ctx).await?;
        debug_assert!(rows.as_ref().is_none_or(|rows| rows.width == self.width));
        Ok(rows)
    }
}

/// The key in a row of the join; `None` where an outer join has no row.
fn key_at(row: &[Value], slot: usize) -> Option<Bytes> {
    match row.get(slot) {
        Some(Value::Bytes(key)) => Some(key.clone()),
        _ => None,
    }
}

/// Keys that have been met, by the place of the target.
struct Seen(Vec<HashSet<Bytes>>);

impl Seen {
    fn new(targets: usize) -> Self {
        Self(vec![HashSet::new(); targets])
    }

    fn is_new(&mut self, place: usize, key: &Bytes) -> bool {
        self.0[place].insert(key.clone())
    }
}

/// A row to change and what its assigned columns become.
struct Change {
    place: usize,
    key: Bytes,
    values: Vec<Value>,
}

pub(crate) async fn update<'a>(plan: &'a UpdateJoinPlan, ctx: &mut ExecContext<'a>) -> SqlResult<Done> {
    let strictness = convert::strictness(plan.ignore, &ctx.eval);
    let changes = collect(plan, strictness, ctx).await?;
    let matched = changes.len() as u64;
    let mut changed = 0_u64;
    for (number, change) in changes.into_iter().enumerate() {
        ctx.eval.row_number = number as u64 + 1;
        if number % 256 == 255 {
            ctx.txn.check_interrupted()?;
        }
        let target = &plan.targets[change.place];
        changed += u64::from(update_row(target, &change, (plan.ignore, strictness), ctx).await?);
        ctx.make_room().await?;
    }
    Ok(change::updated(matched, changed, ctx))
}

async fn collect<'a>(
    plan: &'a UpdateJoinPlan,
    strictness: Strictness,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Vec<Change>> {
    let mut input = JoinRows::open(&plan.join);
    let mut seen = Seen::new(plan.targets.len());
    let mut changes = Vec::new();
    ctx.subqueries.begin_search();
    while let Some(rows) = input.next(ctx).await? {
        for number in 0..rows.count {
            let row = rows.row(number);
            let mut computed = false;
            for (place, target) in plan.targets.iter().enumerate() {
                let Some(key) = key_at(row, target.key_slot).filter(|key| seen.is_new(place, key)) else {
                    continue;
                };
                if !std::mem::replace(&mut computed, true) {
                    for apply in &plan.applies {
                        subquery::run(apply, row, ctx).await?;
                    }
                }
                ctx.eval.row_number = changes.len() as u64 + 1;
                let values = new_values(target, row, strictness, ctx)?;
                if let Err(error) = check_option(target, (row, &values), strictness, ctx).await {
                    if plan.ignore && rules::is_ignorable(&error) {
                        ctx.eval.warnings.demote(&error);
                        continue;
                    }
                    return Err(error);
                }
                ctx.memory.charge_kept(&values)?;
                changes.push(Change { place, key, values });
            }
        }
    }
    ctx.subqueries.end_search();
    Ok(changes)
}

/// What the assigned columns of a table become. All are computed from the row as it was.
fn new_values(
    target: &UpdateTarget,
    row: &[Value],
    strictness: Strictness,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Vec<Value>> {
    let info = &target.info;
    let own = &row[target.offset..target.offset + info.width()];
    let mut values = Vec::with_capacity(target.assignments.len());
    for assignment in &target.assignments {
        let column = assignment.column;
        let value = match &assignment.value {
            Some(expr) => {
                let value = expr.eval(row, &mut ctx.eval)?;
                convert::store(info, column, value, expr.data_type(), strictness, &mut ctx.eval)?
            }
            None => convert::default(info, column, &target.defaults[column], own, strictness, &mut ctx.eval)?,
        };
        values.push(convert::not_null(info, column, value, strictness, &mut ctx.eval)?);
    }
    Ok(values)
}

/// WITH CHECK OPTION of the view through which a table is changed, over a row of the join with the new values.
async fn check_option<'a>(
    target: &'a UpdateTarget,
    (row, values): (&[Value], &[Value]),
    strictness: Strictness,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<()> {
    let Some(check) = &target.check else { return Ok(()) };
    let mut new = row.to_vec();
    let own = &mut new[target.offset..target.offset + target.info.width()];
    for (assignment, value) in target.assignments.iter().zip(values) {
        own[assignment.column] = value.clone();
    }
    if own.iter().zip(&row[target.offset..]).all(|(new, old)| is_identical(new, old)) {
        return Ok(());
    }
    rules::generate(&target.info, &target.rules.generated, own, strictness, ctx)?;
    rules::check_option(Some(check), &new, ctx).await
}

/// Changes one row; whether it got other values.
async fn update_row<'a>(
    target: &'a UpdateTarget,
    change: &Change,
    (ignore, strictness): (bool, Strictness),
    ctx: &mut ExecContext<'a>,
) -> SqlResult<bool> {
    let info = &target.info;
    let Some((_, stored)) = write::read_row(info, &change.key, ctx).await? else { return Ok(false) };
    let old = foreign::to_session(info, &stored, ctx.eval.time_zone);
    let mut row = old.clone();
    for (assignment, value) in target.assignments.iter().zip(&change.values) {
        row[assignment.column] = value.clone();
    }
    if row.iter().zip(&old).all(|(a, b)| is_identical(a, b)) {
        return Ok(false);
    }
    for (column, expr) in &target.on_update {
        let value = expr.eval(&row, &mut ctx.eval)?;
        row[*column] = convert::store(info, *column, value, expr.data_type(), strictness, &mut ctx.eval)?;
    }
    let savepoint = ctx.txn.savepoint();
    let written = match rules::complete(info, &target.rules, &mut row, strictness, ctx) {
        Ok(()) => write_with_rules(info, &target.rules, &change.key, (&old, &row), ctx).await,
        Err(error) => Err(error),
    };
    rules::unless_ignored(written, ignore, savepoint, ctx)
}

pub(crate) async fn delete<'a>(plan: &'a DeleteJoinPlan, ctx: &mut ExecContext<'a>) -> SqlResult<Done> {
    let mut input = JoinRows::open(&plan.join);
    let mut seen = Seen::new(plan.targets.len());
    let mut keys = vec![Vec::new(); plan.targets.len()];
    ctx.subqueries.begin_search();
    while let Some(rows) = input.next(ctx).await? {
        for number in 0..rows.count {
            for (place, target) in plan.targets.iter().enumerate() {
                if let Some(key) = key_at(rows.row(number), target.key_slot)
                    && seen.is_new(place, &key)
                {
                    ctx.memory.charge_kept(&[Value::Bytes(key.clone())])?;
                    keys[place].push(key);
                }
            }
        }
    }
    ctx.subqueries.end_search();
    let mut affected = 0;
    for (target, keys) in plan.targets.iter().zip(keys) {
        for (number, key) in keys.into_iter().enumerate() {
            if number % 256 == 255 {
                ctx.txn.check_interrupted()?;
            }
            affected += u64::from(delete_row(target, &key, plan.ignore, ctx).await?);
            ctx.make_room().await?;
        }
    }
    Ok(Done { affected, ..Done::default() })
}

/// Deletes one row; whether it was there still.
async fn delete_row<'a>(
    target: &'a DeleteTarget,
    key: &Bytes,
    ignore: bool,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<bool> {
    let Some((_, stored)) = write::read_row(&target.info, key, ctx).await? else { return Ok(false) };
    let savepoint = ctx.txn.savepoint();
    let deleted = change::delete_one(target.foreign.as_ref(), &target.info, key, stored, ctx).await;
    rules::unless_ignored(deleted, ignore, savepoint, ctx)
}
