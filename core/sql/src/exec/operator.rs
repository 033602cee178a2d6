//! Operators: each gives batches of rows made from those of the operators below.

use std::future::Future;
use std::pin::Pin;

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::aggregate::AggregateOp;
use crate::exec::difference::DifferenceOp;
use crate::exec::join::JoinOp;
use crate::exec::json_table;
use crate::exec::limit::LimitOp;
use crate::exec::profile::{Measure, counted};
use crate::exec::recursive::RecursiveOp;
use crate::exec::rollup::RollupOp;
pub(crate) use crate::exec::rows::Rows;
use crate::exec::rows::take;
use crate::exec::scan::{Found, TableScan, decode_entry, decode_passing, decode_row, passes};
use crate::exec::sort::{DistinctOp, SortOp};
use crate::exec::sources::{DerivedOp, virtual_rows, work_rows};
use crate::exec::spill::Spilled;
use crate::exec::subquery;
use crate::exec::window::WindowOp;
use crate::expr::Expr;
use crate::plan::JsonTablePlan;
use crate::plan::node::{Apply, Node, Scan, VirtualScan};

/// A future on the session's executor.
pub(crate) type LocalFuture<'b, T> = Pin<Box<dyn Future<Output = T> + 'b>>;

/// Rows in a batch, about.
pub(crate) const BATCH_ROWS: usize = 256;

/// An operator at work.
pub(crate) struct Operator<'a> {
    node: &'a Node,
    /// Whether rows have been asked for.
    started: bool,
    pub state: State<'a>,
}

/// What kind of operator, and how far it is.
pub(crate) enum State<'a> {
    /// Gives its rows once.
    Ready(Option<Rows>),
    Scan {
        scan: &'a Scan,
        base: Vec<Value>,
        state: Option<TableScan<'a>>,
        started: bool,
    },
    Virtual {
        scan: &'a VirtualScan,
        base: Vec<Value>,
        done: bool,
    },
    Derived(Box<DerivedOp<'a>>),
    JsonTable {
        document: &'a Expr,
        plan: &'a JsonTablePlan,
        offset: usize,
        filter: &'a [Expr],
        base: Vec<Value>,
        done: bool,
    },
    Recursive(Box<RecursiveOp<'a>>),
    Work {
        id: usize,
        slots: std::ops::Range<usize>,
        filter: &'a [Expr],
        base: Vec<Value>,
        done: bool,
    },
    Join(Box<JoinOp<'a>>),
    Filter {
        input: Box<Operator<'a>>,
        applies: &'a [Apply],
        conditions: &'a [Expr],
    },
    Extend {
        input: Box<Operator<'a>>,
        width: usize,
        applies: &'a [Apply],
        exprs: &'a [Expr],
    },
    Window(Box<WindowOp<'a>>),
    Aggregate(Box<AggregateOp<'a>>),
    Rollup(Box<RollupOp<'a>>),
    Project {
        input: Box<Operator<'a>>,
        applies: &'a [Apply],
        exprs: &'a [Expr],
    },
    Distinct(Box<DistinctOp<'a>>),
    Sort(Box<SortOp<'a>>),
    Limit(Box<LimitOp<'a>>),
    Cut {
        input: Box<Operator<'a>>,
        width: usize,
    },
    Union {
        parts: Vec<Operator<'a>>,
        at: usize,
    },
    Difference(Box<DifferenceOp<'a>>),
    Values {
        rows: &'a [Vec<Expr>],
        width: usize,
        applies: &'a [Apply],
        done: bool,
    },
}

impl<'a> Operator<'a> {
    /// Opens a node. `width` is that of the block's rows below aggregation; `outer` the row that lookups of a
    /// join refer to.
    pub(crate) fn open(node: &'a Node, width: usize, outer: Option<&[Value]>) -> Self {
        let base = || outer.map_or_else(|| vec![Value::Null; width], <[Value]>::to_vec);
        let below = |node: &'a Node| Box::new(Self::open(node, width, outer));
        let state = match node {
            Node::Unit => State::Ready(Some(Rows { width, count: 1, values: base() })),
            Node::Scan(scan) => State::Scan { scan, base: base(), state: None, started: false },
            Node::Virtual(scan) => State::Virtual { scan, base: base(), done: false },
            Node::JsonTable { document, plan, offset, filter, .. } => {
                State::JsonTable { document, plan, offset: *offset, filter, base: base(), done: false }
            }
            Node::Recursive(node) => State::Recursive(Box::new(RecursiveOp::new(node))),
            Node::Work { id, offset, width, filter, .. } => {
                State::Work { id: *id, slots: *offset..*offset + width, filter, base: base(), done: false }
            }
            Node::Derived { query, kept, outer, offset, filter, .. } => State::Derived(Box::new(DerivedOp {
                query,
                kept: kept.map(|id| (id, 0)),
                file: None,
                spilled: Spilled::default(),
                input: Self::open(&query.node, query.row_width, None),
                outer,
                offset: *offset,
                filter,
                base: base(),
            })),
            Node::Join(join) => State::Join(Box::new(JoinOp::new(join, width, outer))),
            Node::Filter { input, applies, conditions } => {
                State::Filter { input: below(input), applies, conditions }
            }
            Node::Extend { input, width, applies, exprs } => {
                State::Extend { input: below(input), width: *width, applies, exprs }
            }
            Node::Window(node) => State::Window(Box::new(WindowOp::new(node, *below(&node.input)))),
            Node::Aggregate(node) if node.rollup => State::Rollup(Box::new(RollupOp::new(node, width))),
            Node::Aggregate(node) => State::Aggregate(Box::new(AggregateOp::new(node, width))),
            Node::Project { input, applies, exprs } => State::Project { input: below(input), applies, exprs },
            Node::Distinct { input, visible, keys } => {
                State::Distinct(Box::new(DistinctOp::new(*below(input), *visible, keys)))
            }
            Node::Sort { input, keys, limit } => {
                State::Sort(Box::new(SortOp::new(*below(input), keys, limit.as_ref())))
            }
            Node::Limit { input, limit } => State::Limit(Box::new(LimitOp::new(*below(input), limit))),
            Node::Cut { input, width } => State::Cut { input: below(input), width: *width },
            Node::Union(parts) => {
                State::Union { parts: parts.iter().map(|part| *below(part)).collect(), at: 0 }
            }
            Node::SetDifference { left, right, keep_common, all, keys } => State::Difference(Box::new(
                DifferenceOp::new((*below(left), *below(right)), *keep_common, *all, keys),
            )),
            Node::Values { rows, width, applies } => {
                State::Values { rows, width: *width, applies, done: false }
            }
        };
        Self { node, started: false, state }
    }

    /// The next rows, at least one; `None` at the end.
    pub(crate) fn next<'b>(
        &'b mut self,
        ctx: &'b mut ExecContext<'a>,
    ) -> LocalFuture<'b, SqlResult<Option<Rows>>>
    where
        'a: 'b,
    {
        Box::pin(async move {
            let rows = match &ctx.profile {
                None => self.state.produce(ctx).await?,
                Some(_) => self.measured(ctx).await?,
            };
            if let Some(rows) = &rows
                && ctx.budget.touch(rows.count)
            {
                ctx.pause().await?;
            }
            Ok(rows)
        })
    }

    /// As [`State::produce`], for EXPLAIN ANALYZE.
    async fn measured(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        let before = ctx.eval.environment.now_micros();
        let spilled = self.state.spilled();
        let (rows, reads) = counted(self.state.produce(ctx)).await;
        let rows = rows?;
        let micros = ctx.eval.environment.now_micros().saturating_sub(before);
        let first = !std::mem::replace(&mut self.started, true);
        if let Some(profile) = &mut ctx.profile {
            let all_micros = u64::try_from(micros).unwrap_or(0);
            let rows = rows.as_ref().map_or(0, |rows| rows.count as u64);
            profile.add_spilled(self.node, spilled, self.state.spilled());
            profile.add(self.node, first, Measure { rows, all_micros, reads, ..Measure::default() });
        }
        Ok(rows)
    }
}

impl<'a> State<'a> {
    /// What the operator itself has put into temporary files.
    fn spilled(&self) -> Spilled {
        match self {
            Self::Aggregate(aggregate) => aggregate.spilled(),
            Self::Derived(derived) => derived.spilled,
            Self::Distinct(distinct) => distinct.spilled(),
            Self::Join(join) => join.spilled(),
            Self::Rollup(rollup) => rollup.spilled(),
            Self::Sort(sort) => sort.spilled(),
            Self::Window(window) => window.spilled(),
            Self::Difference(difference) => difference.spilled(),
            _ => Spilled::default(),
        }
    }

    async fn produce(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        match self {
            Self::Ready(rows) => Ok(rows.take()),
            Self::Scan { scan, base, state, started } => {
                if !*started {
                    *started = true;
                    *state = Some(TableScan::open(scan, base, ctx)?);
                }
                match state {
                    Some(state) => scan_batch(scan, base, state, ctx).await,
                    None => Ok(None),
                }
            }
            Self::Virtual { scan, base, done } => virtual_rows(scan, base, done, ctx),
            Self::Derived(derived) => derived.next(ctx).await,
            Self::JsonTable { document, plan, offset, filter, base, done } => {
                if std::mem::replace(done, true) {
                    return Ok(None);
                }
                json_table::rows((document, plan), *offset, filter, base, ctx)
            }
            Self::Recursive(recursive) => recursive.next(ctx).await,
            Self::Work { id, slots, filter, base, done } => {
                if std::mem::replace(done, true) {
                    return Ok(None);
                }
                work_rows(*id, slots.clone(), filter, base, ctx)
            }
            Self::Join(join) => join.next(ctx).await,
            Self::Filter { input, applies, conditions } => loop {
                let Some(rows) = input.next(ctx).await? else { return Ok(None) };
                if let Some(rows) = filter_rows(rows, applies, conditions, ctx).await? {
                    return Ok(Some(rows));
                }
            },
            Self::Extend { input, width, applies, exprs } => match input.next(ctx).await? {
                Some(rows) => extend(&rows, *width, applies, exprs, ctx).await.map(Some),
                None => Ok(None),
            },
            Self::Window(window) => window.next(ctx).await,
            Self::Rollup(rollup) => rollup.next(ctx).await,
            Self::Aggregate(aggregate) => aggregate.next(ctx).await,
            Self::Project { input, applies, exprs } => {
                let Some(mut rows) = input.next(ctx).await? else { return Ok(None) };
                match distinct_columns(exprs).filter(|_| applies.is_empty()) {
                    Some(columns) => Ok(Some(move_columns(&mut rows, &columns))),
                    None => project(&rows, applies, exprs, ctx).await.map(Some),
                }
            }
            Self::Distinct(distinct) => distinct.next(ctx).await,
            Self::Sort(sort) => sort.next(ctx).await,
            Self::Limit(limit) => limit.next(ctx).await,
            Self::Cut { input, width } => Ok(input.next(ctx).await?.map(|rows| cut(&rows, *width))),
            Self::Union { parts, at } => {
                while let Some(part) = parts.get_mut(*at) {
                    if let Some(rows) = part.next(ctx).await? {
                        return Ok(Some(rows));
                    }
                    *at += 1;
                }
                Ok(None)
            }
            Self::Difference(difference) => difference.next(ctx).await,
            Self::Values { rows, width, applies, done } => {
                if std::mem::replace(done, true) {
                    return Ok(None);
                }
                for apply in *applies {
                    subquery::run(apply, &[], ctx).await?;
                }
                let mut out = Rows::new(*width);
                for row in *rows {
                    for expr in row {
                        out.values.push(expr.eval(&[], &mut ctx.eval)?);
                    }
                    out.count += 1;
                }
                Ok(out.not_empty())
            }
        }
    }
}

async fn scan_batch<'a>(
    scan: &'a Scan,
    base: &mut [Value],
    state: &mut TableScan<'a>,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Option<Rows>> {
    let mut out = Rows::new(base.len());
    let place = scan.offset..scan.offset + scan.width;
    // Rows that are locked come one by one, so that a LIMIT above locks none in vain.
    let most = if state.locks() || scan.first { 1 } else { BATCH_ROWS };
    let stepwise = scan.steps.len() == scan.filter.len() && scan.key_slot.is_none();
    while out.count < most {
        if stepwise && !state.rows_here().is_empty() {
            let mut tested = 0;
            for (_, row) in state.rows_here() {
                tested += 1;
                if decode_passing(scan, row, base, &mut ctx.eval)? {
                    out.push_moving(base, place.clone());
                    if out.count == most {
                        break;
                    }
                }
            }
            state.skip(tested);
            continue;
        }
        let Some(found) = state.next(ctx).await? else { break };
        if let (true, Found::Row { row, .. }) = (stepwise, &found) {
            if decode_passing(scan, row, base, &mut ctx.eval)? {
                out.push_moving(base, place.clone());
            }
            continue;
        }
        let zone = ctx.eval.time_zone;
        match &found {
            Found::Row { row, .. } => {
                let needed = scan.needed.iter().copied();
                decode_row(&scan.table, row, needed, &mut base[place.clone()], zone)?
            }
            Found::Entry { key, value } => decode_entry(scan, key, value, &mut base[place.clone()], zone)?,
        }
        if let (Some(slot), Found::Row { key, .. }) = (scan.key_slot, &found) {
            base[slot] = Value::Bytes(key.clone());
        }
        if passes(&scan.filter, base, &mut ctx.eval)? {
            out.push_moving(base, place.clone());
        }
    }
    Ok(out.not_empty())
}

/// Rows that satisfy conditions, whose subqueries are run for each.
pub(crate) async fn filter_rows<'a>(
    rows: Rows,
    applies: &'a [Apply],
    conditions: &'a [Expr],
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Option<Rows>> {
    let mut out = Rows::new(rows.width);
    for number in 0..rows.count {
        let row = rows.row(number);
        for apply in applies {
            subquery::run(apply, row, ctx).await?;
        }
        if passes(conditions, row, &mut ctx.eval)? {
            out.push(row);
        }
    }
    Ok(out.not_empty())
}

/// Positions, when the expressions are columns and each another one.
fn distinct_columns(exprs: &[Expr]) -> Option<Vec<usize>> {
    let mut columns: Vec<usize> = Vec::with_capacity(exprs.len());
    for expr in exprs {
        match expr {
            Expr::Column { index, .. } if !columns.contains(index) => columns.push(*index),
            _ => return None,
        }
    }
    Some(columns)
}

/// A projection that moves values instead of copying them.
fn move_columns(rows: &mut Rows, columns: &[usize]) -> Rows {
    let mut out = Rows::new(columns.len());
    out.count = rows.count;
    out.values.reserve(rows.count * columns.len());
    if rows.width > 0 {
        for row in rows.values.chunks_exact_mut(rows.width) {
            out.values.extend(columns.iter().map(|column| row.get_mut(*column).map_or(Value::Null, take)));
        }
    }
    out
}

async fn project<'a>(
    rows: &Rows,
    applies: &'a [Apply],
    exprs: &'a [Expr],
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Rows> {
    let mut out = Rows::new(exprs.len());
    out.values.reserve(rows.count * exprs.len());
    for number in 0..rows.count {
        let row = rows.row(number);
        for apply in applies {
            subquery::run(apply, row, ctx).await?;
        }
        for expr in exprs {
            out.values.push(expr.eval(row, &mut ctx.eval)?);
        }
        out.count += 1;
    }
    Ok(out)
}

/// The first columns of rows with computed ones after them.
async fn extend<'a>(
    rows: &Rows,
    width: usize,
    applies: &'a [Apply],
    exprs: &'a [Expr],
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Rows> {
    let mut out = Rows::new(width + exprs.len());
    out.values.reserve(rows.count * out.width);
    for number in 0..rows.count {
        let row = rows.row(number);
        for apply in applies {
            subquery::run(apply, row, ctx).await?;
        }
        out.values.extend_from_slice(&row[..width]);
        for expr in exprs {
            out.values.push(expr.eval(row, &mut ctx.eval)?);
        }
        out.count += 1;
    }
    Ok(out)
}

fn cut(rows: &Rows, width: usize) -> Rows {
    let mut out = Rows::new(width);
    for number in 0..rows.count {
        out.push(&rows.row(number)[..width]);
    }
    out
}
