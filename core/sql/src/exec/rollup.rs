//! GROUP BY … WITH ROLLUP: groups of all keys, then of all but the last, and so on up to one of everything.
//!
//! Rows come in the order of their keys, each group of fewer keys after those that it sums up, as in MySQL.

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::aggregate::{Group, new_group};
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::row_set::RowSet;
use crate::exec::subquery;
use crate::plan::node::AggregateNode;

/// The operator.
pub(crate) struct RollupOp<'a> {
    node: &'a AggregateNode,
    input: Operator<'a>,
    rows: Option<(Rows, usize)>,
}

/// Groups of the first keys.
struct Level<'a> {
    keys: RowSet<'a>,
    groups: Vec<Option<Group>>,
}

impl<'a> RollupOp<'a> {
    pub(crate) fn new(node: &'a AggregateNode, width: usize) -> Self {
        Self { node, input: Operator::open(&node.input, width, None), rows: None }
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        if self.rows.is_none() {
            let levels = self.read(ctx).await?;
            self.rows = Some((self.put_in_order(levels, ctx)?, 0));
        }
        let Some((rows, given)) = &mut self.rows else { return Ok(None) };
        let mut out = Rows::new(rows.width);
        for number in *given..(*given + BATCH_ROWS).min(rows.count) {
            out.push(rows.row(number));
        }
        *given += out.count;
        Ok((out.count > 0).then_some(out))
    }

    async fn read(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Vec<Level<'a>>> {
        let node = self.node;
        let mut levels: Vec<Level<'a>> = (0..=node.keys.len())
            .map(|count| Level { keys: RowSet::new(&node.key_types[..count]), groups: Vec::new() })
            .collect();
        let mut key = Vec::with_capacity(node.keys.len());
        while let Some(rows) = self.input.next(ctx).await? {
            for number in 0..rows.count {
                let row = rows.row(number);
                for apply in &node.applies {
                    subquery::run(apply, row, ctx).await?;
                }
                key.clear();
                for expr in &node.keys {
                    key.push(expr.eval(row, &mut ctx.eval)?);
                }
                for level in &mut levels {
                    let (at, new) = level.keys.insert(&key);
                    if new {
                        ctx.memory.charge_values(&key)?;
                        level.groups.push(Some(new_group(node, row, ctx)?));
                    }
                    if let Some(Some(group)) = level.groups.get_mut(at) {
                        group.update(node, row, ctx)?;
                    }
                }
            }
        }
        Ok(levels)
    }

    fn put_in_order(&self, mut levels: Vec<Level<'a>>, ctx: &mut ExecContext<'a>) -> SqlResult<Rows> {
        let node = self.node;
        let count = node.keys.len();
        let mut out = Rows::new(count + node.aggregates.len() + node.carried.len());
        let Some(finest) = levels.pop() else { return Ok(out) };
        let mut order: Vec<usize> = (0..finest.groups.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (finest.keys.key(*a), finest.keys.key(*b));
            let orders = node.key_types.iter().zip(a.iter().zip(b)).map(|(ty, (x, y))| ty.compare(x, y));
            orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        let mut groups = finest.groups;
        let mut before: Option<Vec<Value>> = None;
        for number in order {
            let key = finest.keys.key(number).to_vec();
            if let Some(before) = &before {
                let pairs = before.iter().zip(&key).zip(&node.key_types);
                let same = pairs.take_while(|((a, b), ty)| ty.equal(a, b)).count();
                for level in (same + 1..count).rev() {
                    self.sum_up(level, before, &mut levels, &mut out, ctx)?;
                }
            }
            if let Some(group) = groups[number].take() {
                self.put(count, &key, group, &mut out, ctx)?;
            }
            before = Some(key);
        }
        if let Some(before) = before {
            for level in (0..count).rev() {
                self.sum_up(level, &before, &mut levels, &mut out, ctx)?;
            }
        }
        Ok(out)
    }

    /// The group of the first `level` keys.
    fn sum_up(
        &self,
        level: usize,
        key: &[Value],
        levels: &mut [Level<'a>],
        out: &mut Rows,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        let Some(groups) = levels.get_mut(level) else { return Ok(()) };
        let (at, _) = groups.keys.insert(key);
        match groups.groups.get_mut(at).and_then(Option::take) {
            Some(group) => self.put(level, key, group, out, ctx),
            None => Ok(()),
        }
    }

    fn put(
        &self,
        level: usize,
        key: &[Value],
        group: Group,
        out: &mut Rows,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        let node = self.node;
        out.values.extend_from_slice(&key[..level]);
        out.values.resize(out.values.len() + node.keys.len() - level, Value::Null);
        let start = out.values.len();
        group.finish(node, &mut out.values, ctx)?;
        for (number, keys) in node.grouping.iter().enumerate() {
            if let Some(keys) = keys {
                let bits = keys.iter().fold(0, |bits, key| bits << 1 | i64::from(*key >= level));
                out.values[start + number] = Value::Int(bits);
            }
        }
        out.count += 1;
        Ok(())
    }
}
