//! Correlated subqueries whose results for all outer rows are computed at once ([`crate::plan::keyed`]).

use std::rc::Rc;

use aquifer_types::{SqlResult, Value};

use crate::exec::kept::Kept;
use crate::exec::operator::Operator;
use crate::exec::row_set::RowSet;
use crate::exec::subquery::{SubqueryCache, compared};
use crate::exec::{ExecContext, LockingReads};
use crate::plan::node::{Apply, ApplyKind, Keyed};

/// Bytes beyond which results are not kept; the subquery then goes on running for single rows.
const TABLE_BYTES_MAX: usize = 64 << 20;

/// How far a subquery is.
pub(crate) enum KeyedState<'a> {
    /// Runs for single rows so far.
    Runs(u64),
    Table(Rc<KeyedTable<'a>>),
    /// It could not be computed at once: too many rows, or an error that no single row may meet.
    Never,
}

/// Results by key.
pub(crate) struct KeyedTable<'a> {
    keys: RowSet<'a>,
    results: Results<'a>,
    /// What a scalar subquery gives for a key that is not there, once that is known.
    empty: std::cell::OnceCell<Value>,
}

/// What there is for each key.
enum Results<'a> {
    /// That it is there: EXISTS.
    Nothing,
    /// A value: an aggregate.
    Values(Vec<Value>),
    /// Rows to compare with: IN, ANY, ALL.
    Rows(Vec<Kept<'a>>),
}

/// What is known of the result for an outer row.
pub(crate) enum Looked {
    Found(Value),
    /// The key is not there, and what follows from that has to be found out by a run.
    Missing,
    /// It is time to compute all results.
    Due,
    Unknown,
}

/// Looks for the result of a subquery whose parameters are set.
pub(crate) fn look<'a>(
    apply: &'a Apply,
    keyed: &Keyed,
    row: &[Value],
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Looked> {
    // Reads that lock should lock what single rows need.
    if !ctx.subqueries.remembers || ctx.locking_reads != LockingReads::Plain {
        return Ok(Looked::Unknown);
    }
    let table = match ctx.subqueries.keyed.entry(apply.id).or_insert(KeyedState::Runs(0)) {
        KeyedState::Never => return Ok(Looked::Unknown),
        KeyedState::Runs(runs) if *runs < keyed.runs => {
            *runs += 1;
            return Ok(Looked::Unknown);
        }
        KeyedState::Runs(_) => return Ok(Looked::Due),
        KeyedState::Table(table) => Rc::clone(table),
    };
    let mut key = Vec::with_capacity(keyed.keys.len());
    for expr in &keyed.keys {
        key.push(expr.eval(&[], &mut ctx.eval)?);
    }
    let found = if key.iter().any(Value::is_null) { None } else { table.keys.find(&key) };
    Ok(match (&table.results, found) {
        (Results::Nothing, found) => Looked::Found(Value::Int(i64::from(found.is_some()))),
        (Results::Values(values), Some(number)) => Looked::Found(values[number].clone()),
        (Results::Values(_), None) => table.empty.get().cloned().map_or(Looked::Missing, Looked::Found),
        (Results::Rows(rows), Some(number)) => Looked::Found(compared(apply, row, &rows[number], ctx)?),
        (Results::Rows(_), None) => Looked::Found(compared(apply, row, &Kept::new(apply), ctx)?),
    })
}

impl SubqueryCache<'_> {
    /// Keeps what a run has given for a key that is not there: it is the same for all of them.
    pub(crate) fn keep_empty(&mut self, id: usize, result: &Value) {
        if let Some(KeyedState::Table(table)) = self.keyed.get(&id) {
            table.empty.get_or_init(|| result.clone());
        }
    }
}

/// Computes all results, unless they are too many.
pub(crate) async fn read<'a>(apply: &'a Apply, keyed: &'a Keyed, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
    let before = ctx.memory.used();
    let result = fill(apply, keyed, ctx).await;
    let kept = ctx.memory.used().saturating_sub(before);
    ctx.memory.release(kept);
    let state = match result {
        Ok(Some(table)) => {
            // The rows around may give back what they have charged, but not this.
            ctx.memory.keep(kept)?;
            KeyedState::Table(Rc::new(table))
        }
        Ok(None) => KeyedState::Never,
        Err(error) if ctx.budget.is_spent() => return Err(error),
        Err(_) => {
            ctx.txn.check_interrupted()?;
            KeyedState::Never
        }
    };
    ctx.subqueries.keyed.insert(apply.id, state);
    Ok(())
}

async fn fill<'a>(
    apply: &'a Apply,
    keyed: &'a Keyed,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Option<KeyedTable<'a>>> {
    let mut operator = Operator::open(&keyed.query.node, keyed.query.row_width, None);
    let mut keys = RowSet::new(&keyed.types);
    let mut results = match &apply.kind {
        ApplyKind::Exists => Results::Nothing,
        ApplyKind::Scalar => Results::Values(Vec::new()),
        ApplyKind::Compare { .. } => Results::Rows(Vec::new()),
    };
    let before = ctx.memory.used();
    while let Some(rows) = operator.next(ctx).await? {
        for number in 0..rows.count {
            let row = &rows.row(number)[..keyed.query.width];
            let (key, values) = row.split_at(keyed.types.len());
            if key.iter().any(Value::is_null) {
                continue;
            }
            let (number, new) = keys.insert(key);
            match &mut results {
                Results::Values(all) if new => all.extend(values.first().cloned()),
                Results::Rows(all) => {
                    if new {
                        ctx.memory.charge(size_of::<Kept<'_>>())?;
                        all.push(Kept::new(apply));
                    }
                    ctx.memory.charge_values(values)?;
                    all[number].push(values);
                }
                _ => {}
            }
            if new {
                ctx.memory.charge_values(row)?;
            }
        }
        if ctx.memory.used().saturating_sub(before) > TABLE_BYTES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(KeyedTable { keys, results, empty: std::cell::OnceCell::new() }))
}
