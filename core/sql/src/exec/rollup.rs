//! GROUP BY … WITH ROLLUP: groups of all keys, then of all but the last, and so on up to one of everything.
//!
//! Rows come in the order of their keys, each group of fewer keys after those that it sums up, as in MySQL.

use std::cmp::Ordering;

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::aggregate::{Group, new_group};
use crate::exec::operator::{BATCH_ROWS, Operator, Rows};
use crate::exec::row_set::RowSet;
use crate::exec::spill::{Sorted, Sorter, Spilled};
use crate::exec::subquery;
use crate::plan::SortType;
use crate::plan::node::{AggregateNode, SortKey};

/// The operator. Rows of groups of all keys that were not met before the memory was full are sorted with the help of
/// files. Groups of fewer keys that are in memory take them in all the same; what is not in memory at any level is summed
/// up as it comes, because rows of one group come together.
pub(crate) struct RollupOp<'a> {
    node: &'a AggregateNode,
    input: Operator<'a>,
    state: Option<Ordered<'a>>,
    spilled: Spilled,
}

/// Groups of the first keys.
struct Level<'a> {
    keys: RowSet<'a>,
    groups: Vec<Option<Group>>,
}

/// All groups, which are given in the order of their keys.
struct Ordered<'a> {
    /// By number of keys.
    levels: Vec<Level<'a>>,
    /// Groups of all keys in memory, in order.
    order: std::iter::Peekable<std::vec::IntoIter<usize>>,
    /// Rows in order, each after its key; and those read ahead, from this one on.
    sorted: Option<Sorted>,
    ahead: Rows,
    at: usize,
    /// Groups that rows of `sorted` have opened, by number of keys.
    open: Vec<Option<Group>>,
    /// The key of the last group of all keys, and its number when it is in memory.
    before: Option<(Vec<Value>, Option<usize>)>,
    ended: bool,
}

/// What comes next.
enum Next {
    Memory(usize),
    File,
    End,
}

fn compare(types: &[SortType], a: &[Value], b: &[Value]) -> Ordering {
    let orders = types.iter().zip(a.iter().zip(b)).map(|(ty, (x, y))| ty.compare(x, y));
    orders.fold(Ordering::Equal, Ordering::then)
}

impl<'a> RollupOp<'a> {
    pub(crate) fn new(node: &'a AggregateNode, width: usize) -> Self {
        let input = Operator::open(&node.input, width, None);
        Self { node, input, state: None, spilled: Spilled::default() }
    }

    /// What went into files.
    pub(crate) fn spilled(&self) -> Spilled {
        self.spilled
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        let state = match &mut self.state {
            Some(state) => state,
            None => {
                let state = self.read(ctx).await?;
                self.state.insert(state)
            }
        };
        let node = self.node;
        let mut out = Rows::new(node.keys.len() + node.aggregates.len() + node.carried.len());
        while out.count < BATCH_ROWS && !state.ended {
            state.give(node, &mut out, ctx).await?;
        }
        Ok(out.not_empty())
    }

    async fn read(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Ordered<'a>> {
        let node = self.node;
        let count = node.keys.len();
        let mut levels: Vec<Level<'a>> = (0..=count)
            .map(|count| Level { keys: RowSet::new(&node.key_types[..count]), groups: Vec::new() })
            .collect();
        let mut sorter: Option<Sorter> = None;
        let mut held = 0;
        let mut key = Vec::with_capacity(count);
        while let Some(rows) = self.input.next(ctx).await? {
            let mut aside = Rows::new(count + rows.width);
            for number in 0..rows.count {
                let row = rows.row(number);
                for apply in &node.applies {
                    subquery::run(apply, row, ctx).await?;
                }
                key.clear();
                for expr in &node.keys {
                    key.push(expr.eval(row, &mut ctx.eval)?);
                }
                if sorter.is_some() && levels[count].keys.find(&key).is_none() {
                    take_in_above(&mut levels[..count], &key, node, row, ctx)?;
                    aside.values.extend_from_slice(&key);
                    aside.push(row);
                    continue;
                }
                let before = ctx.memory.used();
                for level in &mut levels {
                    level.take_in(&key, node, row, ctx)?;
                }
                held += ctx.memory.used().saturating_sub(before);
                if sorter.is_none() && ctx.must_spill(held)? {
                    sorter = Some(Sorter::new(self.sort_keys(), usize::MAX));
                }
            }
            if let Some(sorter) = sorter.as_mut().filter(|_| aside.count > 0) {
                sorter.push(aside, ctx).await?;
            }
        }
        let sorted = match &mut sorter {
            Some(sorter) => Some(sorter.finish(0, ctx).await?),
            None => None,
        };
        self.spilled = sorter.map_or_else(Spilled::default, |sorter| sorter.spilled());
        let finest = &levels[count].keys;
        let mut order: Vec<usize> = (0..levels[count].groups.len()).collect();
        order.sort_by(|a, b| compare(&node.key_types, finest.key(*a), finest.key(*b)));
        Ok(Ordered {
            levels,
            order: order.into_iter().peekable(),
            sorted,
            ahead: Rows::default(),
            at: 0,
            open: (0..=count).map(|_| None).collect(),
            before: None,
            ended: false,
        })
    }

    fn sort_keys(&self) -> Vec<SortKey> {
        let keys = self.node.key_types.iter().enumerate();
        keys.map(|(column, ty)| SortKey { column, ty: *ty, descending: false }).collect()
    }
}

/// Takes a row that is put aside into the groups of fewer keys that are in memory.
fn take_in_above(
    levels: &mut [Level<'_>],
    key: &[Value],
    node: &AggregateNode,
    row: &[Value],
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    for level in levels {
        if let Some(at) = level.keys.find(key) {
            level.update(at, node, row, ctx)?;
        }
    }
    Ok(())
}

impl Level<'_> {
    /// Takes a row into its group, which may be a new one.
    fn take_in(
        &mut self,
        key: &[Value],
        node: &AggregateNode,
        row: &[Value],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        let (at, new) = self.keys.insert(key);
        if new {
            ctx.memory.charge_values(key)?;
            self.groups.push(Some(new_group(node, row, ctx)?));
        }
        self.update(at, node, row, ctx)
    }

    fn update(
        &mut self,
        at: usize,
        node: &AggregateNode,
        row: &[Value],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        match self.groups.get_mut(at) {
            Some(Some(group)) => group.update(node, row, ctx),
            _ => Ok(()),
        }
    }
}

impl<'a> Ordered<'a> {
    /// Where the group of all keys is that comes next.
    async fn find(&mut self, node: &AggregateNode, ctx: &mut ExecContext<'a>) -> SqlResult<Next> {
        if self.at == self.ahead.count
            && let Some(sorted) = &mut self.sorted
        {
            self.ahead = sorted.next(ctx).await?.unwrap_or_default();
            self.at = 0;
        }
        let in_memory = self.order.peek().copied();
        if self.at == self.ahead.count {
            return Ok(in_memory.map_or(Next::End, Next::Memory));
        }
        let count = node.keys.len();
        Ok(match in_memory {
            Some(number)
                if compare(
                    &node.key_types,
                    self.levels[count].keys.key(number),
                    &self.ahead.row(self.at)[..count],
                )
                .is_lt() =>
            {
                Next::Memory(number)
            }
            _ => Next::File,
        })
    }

    /// Gives the next group of all keys, after those that sum up groups before it; or takes a row in that belongs to it.
    async fn give(
        &mut self,
        node: &'a AggregateNode,
        out: &mut Rows,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        let count = node.keys.len();
        let next = self.find(node, ctx).await?;
        let key = match next {
            Next::Memory(number) => Some(self.levels[count].keys.key(number).to_vec()),
            Next::File => Some(self.ahead.row(self.at)[..count].to_vec()),
            Next::End => None,
        };
        let same = match (&self.before, &key) {
            (Some((before, _)), Some(key)) => {
                let pairs = before.iter().zip(key).zip(&node.key_types);
                pairs.take_while(|((a, b), ty)| ty.equal(a, b)).count()
            }
            _ => 0,
        };
        if let Some((before, number)) = self.before.take() {
            let down_to = if key.is_some() { same + 1 } else { 0 };
            for level in (down_to..=count).rev() {
                let number = number.filter(|_| level == count);
                self.sum_up((level, number), &before, node, out, ctx)?;
            }
        }
        let mut number = None;
        match next {
            Next::Memory(_) => number = self.order.next(),
            Next::File => self.take_row(node, ctx).await?,
            Next::End => self.ended = true,
        }
        self.before = key.map(|key| (key, number));
        Ok(())
    }

    /// Takes a row in at the levels that have no group for it in memory.
    async fn take_row(&mut self, node: &'a AggregateNode, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        let (key, row) = self.ahead.row(self.at).split_at(node.keys.len());
        for apply in &node.applies {
            subquery::run(apply, row, ctx).await?;
        }
        for (level, open) in self.levels.iter().zip(&mut self.open) {
            if level.keys.find(key).is_none() {
                let group = match open {
                    Some(group) => group,
                    None => open.insert(new_group(node, row, ctx)?),
                };
                group.update(node, row, ctx)?;
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Gives the group of the first `level` keys, whose number may be known.
    fn sum_up(
        &mut self,
        (level, number): (usize, Option<usize>),
        key: &[Value],
        node: &AggregateNode,
        out: &mut Rows,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        let group = match self.open[level].take() {
            Some(group) => Some(group),
            None => {
                let Level { keys, groups } = &mut self.levels[level];
                number.or_else(|| keys.find(key)).and_then(|at| groups.get_mut(at)).and_then(Option::take)
            }
        };
        match group {
            Some(group) => put(node, level, key, group, out, ctx),
            None => Ok(()),
        }
    }
}

fn put(
    node: &AggregateNode,
    level: usize,
    key: &[Value],
    group: Group,
    out: &mut Rows,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
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
