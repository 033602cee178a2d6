//! The inner side of a join in memory: of each row only the columns that the inner side fills, found by key.

use std::ops::Range;

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::operator::{Operator, Rows};
use crate::exec::row_set::RowSet;
use crate::plan::node::{JoinMethod, JoinNode};

/// End of a chain.
const NONE: u32 = u32::MAX;

/// Inner rows that are kept.
pub(crate) struct JoinTable<'a> {
    rows: Rows,
    keys: Option<Keys<'a>>,
}

/// Rows with the same key are chained in the order in which they came.
struct Keys<'a> {
    set: RowSet<'a>,
    /// First and last row of each key.
    ends: Vec<(u32, u32)>,
    next: Vec<u32>,
}

/// The rows that match an outer row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Matches {
    /// All from this one on.
    All(usize),
    /// A chain from this one on.
    Chain(u32),
}

impl<'a> JoinTable<'a> {
    /// Reads the inner side.
    pub(crate) async fn read(
        node: &'a JoinNode,
        mut inner: Operator<'a>,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Self> {
        let slots = || std::iter::once(&node.inner_slots).chain(&node.more_inner_slots);
        let mut rows = Rows::new(slots().map(ExactSizeIterator::len).sum());
        let (pairs, mut keys) = match &node.method {
            JoinMethod::Hash(pairs, types) => {
                let keys = Keys { set: RowSet::new(types), ends: Vec::new(), next: Vec::new() };
                (&pairs[..], Some(keys))
            }
            _ => (&[][..], None),
        };
        let mut key = Vec::with_capacity(pairs.len());
        while let Some(batch) = inner.next(ctx).await? {
            let before = rows.values.len();
            'rows: for number in 0..batch.count {
                let row = batch.row(number);
                if let Some(keys) = &mut keys {
                    key.clear();
                    for (_, expr) in pairs {
                        let value = expr.eval(row, &mut ctx.eval)?;
                        if value.is_null() {
                            continue 'rows;
                        }
                        key.push(value);
                    }
                    keys.add(&key);
                }
                slots().for_each(|slots| rows.values.extend_from_slice(&row[slots.clone()]));
                rows.count += 1;
            }
            ctx.memory.charge_values(&rows.values[before..])?;
        }
        Ok(Self { rows, keys })
    }

    /// The matches of a key; of all rows, when there are no keys.
    pub(crate) fn matches(&self, key: &[Value]) -> Matches {
        match &self.keys {
            None => Matches::All(0),
            Some(keys) => Matches::Chain(keys.set.find(key).map_or(NONE, |number| keys.ends[number].0)),
        }
    }

    /// The next match.
    pub(crate) fn next(&self, matches: &mut Matches) -> Option<&[Value]> {
        match matches {
            Matches::All(number) => {
                *number += 1;
                (*number <= self.rows.count).then(|| self.rows.row(*number - 1))
            }
            Matches::Chain(NONE) => None,
            Matches::Chain(number) => {
                let row = *number as usize;
                *number = self.keys.as_ref().map_or(NONE, |keys| keys.next[row]);
                Some(self.rows.row(row))
            }
        }
    }
}

impl Keys<'_> {
    /// Adds the next row. At most `u32::MAX - 1` rows.
    fn add(&mut self, key: &[Value]) {
        let row = u32::try_from(self.next.len()).unwrap_or(NONE);
        self.next.push(NONE);
        let (number, new) = self.set.insert(key);
        if new {
            self.ends.push((row, row));
            return;
        }
        let last = std::mem::replace(&mut self.ends[number].1, row);
        self.next[last as usize] = row;
    }
}

/// Copies kept columns into a row of the block.
pub(crate) fn place(row: &mut [Value], kept: &[Value], slots: &Range<usize>, more: &[Range<usize>]) {
    let mut from = 0;
    for slots in std::iter::once(slots).chain(more) {
        row[slots.clone()].clone_from_slice(&kept[from..from + slots.len()]);
        from += slots.len();
    }
}
