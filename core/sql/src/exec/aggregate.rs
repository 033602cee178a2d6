//! GROUP BY.

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::deferred::Deferred;
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::row_set::RowSet;
use crate::exec::spill::{Aside, Spilled, StreamReader};
use crate::exec::subquery;
use crate::expr::aggregate::{Accumulator, Aggregate};
use crate::plan::node::AggregateNode;

/// Grouping at work: reads all input, then gives the groups in the order in which they were met. Rows of groups that
/// were not met before the memory was full are put aside, and grouped when these have been given.
pub(crate) struct AggregateOp<'a> {
    node: &'a AggregateNode,
    input: Operator<'a>,
    keys: RowSet<'a>,
    groups: Option<std::vec::IntoIter<Group>>,
    given: usize,
    /// Bytes that the groups were charged for.
    held: usize,
    aside: Aside<'a>,
    /// The rows put aside that are grouped now, each after its key.
    again: Option<StreamReader>,
    /// What went into files for DISTINCT aggregates.
    deferred: Spilled,
}

/// The state of one group.
pub(crate) struct Group {
    accumulators: Vec<Accumulator>,
    carried: Vec<Value>,
}

/// A group that begins with this row.
pub(crate) fn new_group(node: &AggregateNode, row: &[Value], ctx: &mut ExecContext<'_>) -> SqlResult<Group> {
    let accumulators = node.aggregates.iter().map(|aggregate| aggregate.accumulator()).collect();
    let carried = node.carried.iter().map(|expr| expr.eval(row, &mut ctx.eval)).collect::<SqlResult<_>>()?;
    ctx.memory.charge(size_of::<Accumulator>() * node.aggregates.len() + size_of::<Group>())?;
    Ok(Group { accumulators, carried })
}

impl Group {
    /// Takes in a row.
    pub(crate) fn update(
        &mut self,
        node: &AggregateNode,
        row: &[Value],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        self.update_if(node, row, ctx, |_| true)
    }

    /// The state of one aggregate.
    pub(crate) fn accumulator(&mut self, place: usize) -> &mut Accumulator {
        &mut self.accumulators[place]
    }

    /// Takes in a row for some of the aggregates.
    #[inline]
    pub(crate) fn update_if(
        &mut self,
        node: &AggregateNode,
        row: &[Value],
        ctx: &mut ExecContext<'_>,
        wanted: impl Fn(&Aggregate) -> bool,
    ) -> SqlResult<()> {
        let each = self.accumulators.iter_mut().zip(&node.aggregates).enumerate();
        for (number, (accumulator, aggregate)) in each {
            if node.same_sums[number] < number || !wanted(aggregate) {
                continue;
            }
            let before = if aggregate.keeps_rows() { accumulator.memory_bytes() } else { 0 };
            accumulator.update(aggregate, row, &mut ctx.eval)?;
            if aggregate.keeps_rows() {
                ctx.memory.charge(accumulator.memory_bytes().saturating_sub(before))?;
            }
        }
        Ok(())
    }

    /// Appends results of the aggregates and the carried values.
    pub(crate) fn finish(
        self,
        node: &AggregateNode,
        out: &mut Vec<Value>,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        let mut accumulators: Vec<Option<Accumulator>> = self.accumulators.into_iter().map(Some).collect();
        for (number, aggregate) in node.aggregates.iter().enumerate() {
            let source = node.same_sums[number];
            let wanted_again = node.same_sums[number + 1..].contains(&source);
            let place = &mut accumulators[source];
            let accumulator = if wanted_again { place.clone() } else { place.take() };
            let accumulator = accumulator.unwrap_or_else(|| aggregate.accumulator());
            out.push(accumulator.finish(aggregate, &mut ctx.eval)?);
        }
        out.extend(self.carried);
        Ok(())
    }
}

impl<'a> AggregateOp<'a> {
    pub(crate) fn new(node: &'a AggregateNode, width: usize) -> Self {
        Self {
            node,
            input: Operator::open(&node.input, width, None),
            keys: RowSet::new(&node.key_types),
            groups: None,
            given: 0,
            held: 0,
            aside: Aside::new(&node.key_types),
            again: None,
            deferred: Spilled::default(),
        }
    }

    /// What went into files.
    pub(crate) fn spilled(&self) -> Spilled {
        let mut spilled = self.aside.spilled();
        spilled.bytes += self.deferred.bytes;
        spilled.parts += self.deferred.parts;
        spilled
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        if self.groups.is_none() {
            let groups = self.read(ctx).await?;
            self.groups = Some(groups.into_iter());
        }
        let node = self.node;
        let mut out = Rows::new(node.keys.len() + node.aggregates.len() + node.carried.len());
        loop {
            let Some(groups) = &mut self.groups else { return Ok(None) };
            for group in groups.by_ref().take(BATCH_ROWS) {
                if !node.keys.is_empty() {
                    out.values.extend_from_slice(self.keys.key(self.given));
                }
                self.given += 1;
                group.finish(node, &mut out.values, ctx)?;
                out.count += 1;
            }
            if out.count > 0 {
                return Ok(Some(out));
            }
            if !self.read_again(ctx).await? {
                return Ok(None);
            }
        }
    }

    /// Groups the next rows that were put aside; whether there were any.
    async fn read_again(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<bool> {
        ctx.memory.release(std::mem::take(&mut self.held));
        self.again = Box::pin(self.aside.next(ctx)).await?;
        if self.again.is_none() {
            return Ok(false);
        }
        self.keys = RowSet::new(&self.node.key_types);
        self.given = 0;
        self.groups = Some(self.read(ctx).await?.into_iter());
        Ok(true)
    }

    async fn read(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Vec<Group>> {
        let node = self.node;
        let mut groups: Vec<Group> = Vec::new();
        let mut deferred: Option<Deferred> = None;
        let mut key = Vec::with_capacity(node.keys.len());
        let mut last = None;
        let keys_before = if self.again.is_some() { node.keys.len() } else { 0 };
        loop {
            let rows = match &mut self.again {
                None => self.input.next(ctx).await?,
                Some(again) => again.batch(ctx).await?,
            };
            let Some(rows) = rows else { break };
            for number in 0..rows.count {
                let (known, row) = rows.row(number).split_at(keys_before);
                for apply in &node.applies {
                    subquery::run(apply, row, ctx).await?;
                }
                let before = ctx.memory.used();
                let mut group = 0;
                if !node.keys.is_empty() {
                    key.clear();
                    if known.is_empty() {
                        for expr in &node.keys {
                            key.push(expr.eval(row, &mut ctx.eval)?);
                        }
                    } else {
                        key.extend_from_slice(known);
                    }
                    let Some(found) = self.group_of(&key, last) else {
                        self.aside.push(&key, &[&key, row], ctx).await?;
                        continue;
                    };
                    group = found;
                }
                last = Some(group);
                if group == groups.len() {
                    ctx.memory.charge_values(&key)?;
                    groups.push(new_group(node, row, ctx)?);
                }
                match &mut deferred {
                    None => groups[group].update(node, row, ctx)?,
                    Some(deferred) => {
                        deferred.update((group, &mut groups[group]), node, row, ctx).await?;
                    }
                }
                let grown = ctx.memory.used().saturating_sub(before);
                if grown > 0 {
                    self.held += grown;
                    if deferred.is_none() {
                        deferred = Deferred::open_if_full(node, self.held, ctx)?;
                    }
                    if !node.keys.is_empty() {
                        self.aside.open_if_full(self.held, node.keys.len() + row.len(), ctx)?;
                    }
                }
            }
        }
        if let Some(mut deferred) = deferred {
            Box::pin(deferred.finish(node, &mut groups, ctx)).await?;
            self.deferred.bytes += deferred.spilled().bytes;
            self.deferred.parts += deferred.spilled().parts;
        }
        if groups.is_empty() && node.always_one {
            groups.push(group_of_nothing(node));
        }
        Ok(groups)
    }

    /// The number of a key's group; `None` when its rows are put aside.
    #[inline]
    fn group_of(&mut self, key: &[Value], last: Option<usize>) -> Option<usize> {
        // Rows of one group often come together: in the order of an index, or out of a join.
        match last.filter(|last| self.keys.is(*last, key)) {
            Some(last) => Some(last),
            None if self.aside.is_open() => self.keys.find(key),
            None => Some(self.keys.insert(key).0),
        }
    }
}

/// The group that there is without GROUP BY, even when no row comes.
fn group_of_nothing(node: &AggregateNode) -> Group {
    let accumulators = node.aggregates.iter().map(|aggregate| aggregate.accumulator()).collect();
    Group { accumulators, carried: vec![Value::Null; node.carried.len()] }
}
