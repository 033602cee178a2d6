//! Arguments of DISTINCT aggregates for which there is no memory: they are put into files with their group, and taken
//! in when all rows have been read, those that are equal once.

use std::sync::LazyLock;

use aquifer_types::{DataType, SqlResult, TypeKind, Value};

use crate::exec::ExecContext;
use crate::exec::aggregate::Group;
use crate::exec::memory::bytes_of;
use crate::exec::row_set::RowSet;
use crate::exec::spill::{Aside, Spilled};
use crate::expr::aggregate::Aggregate;
use crate::plan::SortType;
use crate::plan::node::AggregateNode;

/// Columns of a row that was put aside: group, aggregate, what tells the arguments apart, the first argument.
const WIDTH: usize = 4;
/// Those that are its key.
const KEY: usize = 3;

/// Types of the key's columns.
static KEY_TYPES: LazyLock<[SortType; KEY]> = LazyLock::new(|| {
    [TypeKind::BigInt, TypeKind::BigInt, TypeKind::VarBinary].map(|kind| SortType::of(&DataType::of(kind)))
});

/// Arguments that are put aside while groups are read.
pub(crate) struct Deferred(Aside<'static>);

impl Deferred {
    /// Puts new arguments aside, if groups that keep `held` bytes have to.
    pub(crate) fn open_if_full(
        node: &AggregateNode,
        held: usize,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Option<Self>> {
        if !node.aggregates.iter().any(Aggregate::may_defer) {
            return Ok(None);
        }
        let mut aside = Aside::new(&*KEY_TYPES);
        aside.open_if_full(held, WIDTH, ctx)?;
        Ok(aside.is_open().then_some(Self(aside)))
    }

    /// What went into files so far.
    pub(crate) fn spilled(&self) -> Spilled {
        self.0.spilled()
    }

    /// Takes a row into a group, but for arguments that are new.
    pub(crate) async fn update(
        &mut self,
        (number, group): (usize, &mut Group),
        node: &AggregateNode,
        row: &[Value],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        group.update_if(node, row, ctx, |aggregate| !aggregate.may_defer())?;
        for (place, aggregate) in node.aggregates.iter().enumerate() {
            if node.same_sums[place] < place || !aggregate.may_defer() {
                continue;
            }
            let accumulator = group.accumulator(place);
            if let Some((key, value)) = accumulator.update_or_defer(aggregate, row, &mut ctx.eval)? {
                let row =
                    [Value::UInt(number as u64), Value::UInt(place as u64), Value::Bytes(key.into()), value];
                self.0.push(&row[..KEY], &[&row], ctx).await?;
            }
        }
        Ok(())
    }

    /// Takes in what was put aside.
    pub(crate) async fn finish(
        &mut self,
        node: &AggregateNode,
        groups: &mut [Group],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        let aggregates: Vec<Aggregate> = node.aggregates.iter().map(Aggregate::of_values).collect();
        while let Some(mut rows) = self.0.next(ctx).await? {
            let mut seen = RowSet::new(&*KEY_TYPES);
            let mut held = 0;
            while let Some(rows) = rows.batch(ctx).await? {
                for row in rows.values.chunks_exact(WIDTH) {
                    let key = &row[..KEY];
                    if self.0.is_open() {
                        if seen.find(key).is_none() {
                            self.0.push(key, &[row], ctx).await?;
                        }
                    } else if seen.insert(key).1 {
                        let bytes = bytes_of(key);
                        ctx.memory.charge(bytes)?;
                        held += bytes;
                        take_in(&aggregates, groups, row, ctx)?;
                        self.0.open_if_full(held, WIDTH, ctx)?;
                    }
                }
            }
            ctx.memory.release(held);
        }
        Ok(())
    }
}

fn take_in(
    aggregates: &[Aggregate],
    groups: &mut [Group],
    row: &[Value],
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    let [Value::UInt(group), Value::UInt(place), _, value] = row else { return Ok(()) };
    let position = |number: &u64| usize::try_from(*number).unwrap_or(usize::MAX);
    let (group, place) = (groups.get_mut(position(group)), position(place));
    match (group, aggregates.get(place)) {
        (Some(group), Some(aggregate)) => {
            group.accumulator(place).take_later(aggregate, value, &mut ctx.eval)
        }
        _ => Ok(()),
    }
}
