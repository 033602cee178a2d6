//! Correlated subqueries whose results for all outer rows are computed at once ([`crate::plan::keyed`]).

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::operator::Operator;
use crate::exec::row_set::RowSet;
use crate::exec::subquery::SubqueryCache;
use crate::plan::node::{Apply, ApplyKind, Keyed};

/// Bytes beyond which results are not kept; the subquery then goes on running for single rows.
const TABLE_BYTES_MAX: usize = 64 << 20;

/// How far a subquery is.
pub(crate) enum KeyedState<'a> {
    /// Runs for single rows so far.
    Runs(u64),
    Table(KeyedTable<'a>),
    /// It could not be computed at once: too many rows, or an error that no single row may meet.
    Never,
}

/// Results by key.
pub(crate) struct KeyedTable<'a> {
    keys: RowSet<'a>,
    /// Of a scalar subquery, one to a key.
    values: Vec<Value>,
    /// What it gives for a key that is not there, once that is known.
    empty: Option<Value>,
}

/// What is known of the result for an outer row.
pub(crate) enum Looked {
    Found(Value),
    /// The key is not there, and what follows from that has to be found out by a run.
    Missing,
    Unknown,
}

/// Looks for the result of a subquery whose parameters are set; computes it for all rows when it is time to.
pub(crate) async fn look<'a>(
    apply: &'a Apply,
    keyed: &'a Keyed,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Looked> {
    let state = ctx.subqueries.keyed.entry(apply.id).or_insert(KeyedState::Runs(0));
    match state {
        KeyedState::Never => return Ok(Looked::Unknown),
        KeyedState::Runs(runs) if *runs < keyed.runs => {
            *runs += 1;
            return Ok(Looked::Unknown);
        }
        KeyedState::Runs(_) => {
            let state = match read(keyed, ctx).await? {
                Some(table) => KeyedState::Table(table),
                None => KeyedState::Never,
            };
            ctx.subqueries.keyed.insert(apply.id, state);
        }
        KeyedState::Table(_) => {}
    }
    let Some(KeyedState::Table(table)) = ctx.subqueries.keyed.get(&apply.id) else {
        return Ok(Looked::Unknown);
    };
    let mut key = Vec::with_capacity(keyed.keys.len());
    for expr in &keyed.keys {
        key.push(expr.eval(&[], &mut ctx.eval)?);
    }
    let found = if key.iter().any(Value::is_null) { None } else { table.keys.find(&key) };
    Ok(match (&apply.kind, found) {
        (ApplyKind::Exists, found) => Looked::Found(Value::Int(i64::from(found.is_some()))),
        (_, Some(number)) => Looked::Found(table.values[number].clone()),
        (_, None) => table.empty.clone().map_or(Looked::Missing, Looked::Found),
    })
}

impl SubqueryCache<'_> {
    /// Keeps what a run has given for a key that is not there: it is the same for all of them.
    pub(crate) fn keep_empty(&mut self, id: usize, result: &Value) {
        if let Some(KeyedState::Table(table)) = self.keyed.get_mut(&id) {
            table.empty = Some(result.clone());
        }
    }
}

/// Computes all results; `None` when that is not to be tried again.
async fn read<'a>(keyed: &'a Keyed, ctx: &mut ExecContext<'a>) -> SqlResult<Option<KeyedTable<'a>>> {
    let before = ctx.memory.used();
    let result = fill(keyed, ctx).await;
    let kept = ctx.memory.used().saturating_sub(before);
    match result {
        Ok(Some(table)) => {
            // The rows around may give back what they have charged, but not this.
            ctx.memory.release(kept);
            ctx.memory.keep(kept)?;
            return Ok(Some(table));
        }
        Ok(None) => {}
        Err(error) if ctx.budget.is_spent() => return Err(error),
        Err(_) => ctx.txn.check_interrupted()?,
    }
    ctx.memory.release(kept);
    Ok(None)
}

async fn fill<'a>(keyed: &'a Keyed, ctx: &mut ExecContext<'a>) -> SqlResult<Option<KeyedTable<'a>>> {
    let mut operator = Operator::open(&keyed.query.node, keyed.query.row_width, None);
    let mut table = KeyedTable { keys: RowSet::new(&keyed.types), values: Vec::new(), empty: None };
    let before = ctx.memory.used();
    while let Some(rows) = operator.next(ctx).await? {
        for number in 0..rows.count {
            let (key, value) = rows.row(number).split_at(keyed.types.len());
            if key.iter().any(Value::is_null) {
                continue;
            }
            if table.keys.insert(key).1 {
                ctx.memory.charge_values(&rows.row(number)[..keyed.query.width])?;
                table.values.extend(value.first().cloned());
            }
        }
        if ctx.memory.used().saturating_sub(before) > TABLE_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(table))
}
