//! Window functions at work: all rows are read, and for each window sorted by partition and order; then its calls
//! are computed partition by partition. When the rows are too many they are sorted in files
//! ([`crate::exec::window_spill`]).

use aquifer_types::{SqlError, SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::memory::bytes_of;
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::sort::compare_keys;
use crate::exec::spill::Spilled;
use crate::exec::window_frame::{Frames, Peers};
use crate::exec::window_spill::SpilledWindows;
use crate::expr::window::{WindowFunction, WindowKind, adapt};
use crate::plan::node::{SortKey, WindowCallNode, WindowGroup, WindowNode};

/// The operator.
pub(crate) struct WindowOp<'a> {
    node: &'a WindowNode,
    input: Operator<'a>,
    done: Option<WindowRows<'a>>,
}

/// Rows with the results of all calls.
enum WindowRows<'a> {
    /// With the order in which the last window left them.
    Memory(Rows, std::vec::IntoIter<usize>),
    Files(Box<SpilledWindows<'a>>),
}

/// One partition: numbers of its rows in order.
pub(crate) struct Partition<'p> {
    pub rows: &'p Rows,
    pub order: &'p [usize],
}

impl Partition<'_> {
    pub(crate) fn row(&self, position: usize) -> &[Value] {
        self.rows.row(self.order[position])
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}

impl<'a> WindowOp<'a> {
    pub(crate) fn new(node: &'a WindowNode, input: Operator<'a>) -> Self {
        Self { node, input, done: None }
    }

    /// What went into files.
    pub(crate) fn spilled(&self) -> Spilled {
        match &self.done {
            Some(WindowRows::Files(files)) => files.spilled(),
            _ => Spilled::default(),
        }
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        let done = match &mut self.done {
            Some(done) => done,
            None => {
                let done = self.compute(ctx).await?;
                self.done.insert(done)
            }
        };
        let (rows, order) = match done {
            WindowRows::Memory(rows, order) => (rows, order),
            WindowRows::Files(files) => return Box::pin(files.next(ctx)).await,
        };
        let mut out = Rows::new(rows.width);
        for number in order.by_ref().take(BATCH_ROWS) {
            out.push(rows.row(number));
        }
        Ok((out.count > 0).then_some(out))
    }

    async fn compute(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<WindowRows<'a>> {
        let results = self.node.results;
        let mut rows = Rows::default();
        let mut held = 0;
        while let Some(batch) = self.input.next(ctx).await? {
            if rows.width == 0 {
                rows = Rows::new(batch.width + results);
            }
            append(&mut rows, &batch, results);
            let bytes = bytes_of(&batch.values);
            ctx.memory.charge(bytes)?;
            held += bytes;
            if ctx.must_spill(held)? {
                ctx.memory.release(held);
                let files = Box::pin(SpilledWindows::open(self.node, rows, &mut self.input, ctx)).await?;
                return Ok(WindowRows::Files(Box::new(files)));
            }
        }
        let mut order: Vec<usize> = (0..rows.count).collect();
        for group in &self.node.groups {
            let keys: Vec<&SortKey> = group.partition.iter().chain(&group.order).collect();
            order.sort_by(|a, b| compare_keys(rows.row(*a), rows.row(*b), keys.iter().copied()));
            let mut from = 0;
            while from < order.len() {
                ctx.txn.check_interrupted()?;
                let head = rows.row(order[from]);
                let same = |n: &usize| compare_keys(head, rows.row(*n), group.partition.iter()).is_eq();
                let length = order[from..].partition_point(same);
                fill_partition(group, results, &mut rows, &order[from..from + length], ctx)?;
                from += length;
            }
        }
        Ok(WindowRows::Memory(rows, order.into_iter()))
    }
}

/// Adds rows with room for their results.
pub(crate) fn append(rows: &mut Rows, batch: &Rows, results: usize) {
    for number in 0..batch.count {
        rows.values.extend_from_slice(batch.row(number));
        rows.values.resize(rows.values.len() + results, Value::Null);
        rows.count += 1;
    }
}

/// Computes the calls of a group for a partition, and puts their results into its rows.
pub(crate) fn fill_partition(
    group: &WindowGroup,
    results: usize,
    rows: &mut Rows,
    order: &[usize],
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    let first = rows.width.saturating_sub(results);
    let values = partition_values(group, &Partition { rows, order }, ctx)?;
    for (call, values) in group.calls.iter().zip(values) {
        for (number, value) in order.iter().zip(values) {
            rows.values[number * rows.width + first + call.output] = value;
        }
    }
    Ok(())
}

/// Values of each call of a group for each row of a partition.
fn partition_values(
    group: &WindowGroup,
    part: &Partition<'_>,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Vec<Vec<Value>>> {
    let peers = Peers::new(part, &group.order);
    group.calls.iter().map(|call| call_values(call, group, part, &peers, ctx)).collect()
}

fn call_values(
    call: &WindowCallNode,
    group: &WindowGroup,
    part: &Partition<'_>,
    peers: &Peers,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Vec<Value>> {
    let n = part.len();
    let function = &call.function;
    Ok(match &function.kind {
        WindowKind::RowNumber => (1..=n).map(count).collect(),
        WindowKind::Rank => (0..n).map(|i| count(peers.start(i) + 1)).collect(),
        WindowKind::DenseRank => (0..n).map(|i| count(peers.number(i) + 1)).collect(),
        WindowKind::PercentRank => (0..n).map(|i| ratio(peers.start(i), n.saturating_sub(1))).collect(),
        WindowKind::CumeDist => (0..n).map(|i| ratio(peers.end(i), n)).collect(),
        WindowKind::Ntile => ntile(function, n, ctx)?,
        WindowKind::Lag => shifted(function, part, ctx, Shift::Back)?,
        WindowKind::Lead => shifted(function, part, ctx, Shift::Ahead)?,
        WindowKind::FirstValue | WindowKind::LastValue | WindowKind::NthValue => {
            let mut frames = Frames::new(&call.frame, group, part, peers, ctx)?;
            framed_values(function, part, &mut frames, ctx)?
        }
        WindowKind::Aggregate(_) => {
            let mut frames = Frames::new(&call.frame, group, part, peers, ctx)?;
            aggregate_values(function, part, &mut frames, ctx)?
        }
    })
}

fn count(n: usize) -> Value {
    Value::UInt(n as u64)
}

#[allow(clippy::cast_precision_loss)] // the nearest double is what is wanted
fn ratio(a: usize, b: usize) -> Value {
    Value::Double(if b == 0 { 0.0 } else { a as f64 / b as f64 })
}

/// A constant argument as a whole number of at least `least`; `None` for NULL.
fn whole(
    function: &WindowFunction,
    argument: usize,
    least: usize,
    name: &str,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Option<usize>> {
    let Some(expr) = function.args.get(argument) else { return Ok(Some(least.max(1))) };
    let number = match expr.eval(&[], &mut ctx.eval)? {
        Value::Null => return Ok(None),
        Value::Int(n) => usize::try_from(n).ok(),
        Value::UInt(n) => usize::try_from(n).ok(),
        _ => None,
    };
    match number.filter(|n| *n >= least) {
        Some(n) => Ok(Some(n)),
        None => Err(SqlError::new(1210, format!("Incorrect arguments to {name}"))),
    }
}

fn ntile(function: &WindowFunction, n: usize, ctx: &mut ExecContext<'_>) -> SqlResult<Vec<Value>> {
    let Some(tiles) = whole(function, 0, 1, "ntile", ctx)? else { return Ok(vec![Value::Null; n]) };
    let (size, larger) = (n / tiles, n % tiles);
    let boundary = larger * (size + 1);
    let tile = |i: usize| {
        if i < boundary { i / (size + 1) } else { larger + (i - boundary) / size.max(1) }
    };
    Ok((0..n).map(|i| count(tile(i) + 1)).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shift {
    Back,
    Ahead,
}

fn shifted(
    function: &WindowFunction,
    part: &Partition<'_>,
    ctx: &mut ExecContext<'_>,
    shift: Shift,
) -> SqlResult<Vec<Value>> {
    let n = part.len();
    let name = if shift == Shift::Back { "lag" } else { "lead" };
    let Some(distance) = whole(function, 1, 0, name, ctx)? else {
        return Err(SqlError::new(1210, format!("Incorrect arguments to {name}")));
    };
    let to = &function.ty.data_type;
    let mut out = Vec::with_capacity(n);
    for i in 0..n {
        let at = match shift {
            Shift::Back => i.checked_sub(distance),
            Shift::Ahead => i.checked_add(distance).filter(|at| *at < n),
        };
        let (expr, row) = match (at, function.args.get(2)) {
            (Some(at), _) => (&function.args[0], part.row(at)),
            (None, Some(default)) => (default, part.row(i)),
            (None, None) => {
                out.push(Value::Null);
                continue;
            }
        };
        let value = expr.eval(row, &mut ctx.eval)?;
        out.push(adapt(value, expr.data_type(), to, &mut ctx.eval)?);
    }
    Ok(out)
}

fn framed_values(
    function: &WindowFunction,
    part: &Partition<'_>,
    frames: &mut Frames<'_>,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Vec<Value>> {
    let nth = match function.kind {
        WindowKind::NthValue => match whole(function, 1, 1, "nth_value", ctx)? {
            Some(n) => n,
            None => return Err(SqlError::new(1210, "Incorrect arguments to nth_value")),
        },
        _ => 1,
    };
    let mut out = Vec::with_capacity(part.len());
    for i in 0..part.len() {
        let frame = frames.of(i, ctx)?;
        let at = match function.kind {
            WindowKind::LastValue => frame.end.checked_sub(1),
            _ => frame.start.checked_add(nth - 1),
        };
        out.push(match at.filter(|at| frame.contains(at)) {
            Some(at) => function.args[0].eval(part.row(at), &mut ctx.eval)?,
            None => Value::Null,
        });
    }
    Ok(out)
}

/// An aggregate over each row's frame. A frame that only grows at its end goes on where the one before it
/// stopped; any other is computed anew.
fn aggregate_values(
    function: &WindowFunction,
    part: &Partition<'_>,
    frames: &mut Frames<'_>,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Vec<Value>> {
    let WindowKind::Aggregate(aggregate) = &function.kind else { return Ok(Vec::new()) };
    let mut out: Vec<Value> = Vec::with_capacity(part.len());
    let mut state = aggregate.accumulator();
    let mut covered = 0..0;
    for i in 0..part.len() {
        let frame = frames.of(i, ctx)?;
        if i > 0 && frame == covered {
            out.push(out[i - 1].clone());
            continue;
        }
        if frame.start != covered.start || frame.end < covered.end {
            ctx.txn.check_interrupted()?;
            state = aggregate.accumulator();
            covered = frame.start..frame.start;
        }
        for at in covered.end..frame.end {
            state.update(aggregate, part.row(at), &mut ctx.eval)?;
        }
        covered = frame;
        out.push(state.clone().finish(aggregate, &mut ctx.eval)?);
    }
    Ok(out)
}
