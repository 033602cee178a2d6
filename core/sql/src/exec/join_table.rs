//! The inner side of a join in memory: of each row only the columns that the inner side fills, found by key.

use std::ops::Range;

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::hash::KeyHashing;
use crate::exec::join_spill::key_types;
use crate::exec::memory::bytes_of;
use crate::exec::operator::{Operator, Rows};
use crate::exec::row_set::RowSet;
use crate::exec::spill::{Partitions, StreamReader};
use crate::plan::node::{JoinMethod, JoinNode};
use crate::temporary_space::SpillEvent;

/// End of a chain.
const NONE: u32 = u32::MAX;

/// Inner rows that are kept.
pub(crate) struct JoinTable<'a> {
    rows: Rows,
    keys: Option<Keys<'a>>,
    /// Bytes that it was charged for.
    held: usize,
}

/// The inner side after it has been read.
pub(crate) enum Inner<'a> {
    Memory(JoinTable<'a>),
    /// In files, each row after its key.
    Files(Partitions, KeyHashing),
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
    fn new(node: &'a JoinNode) -> Self {
        let width = slots(node).map(|slots| slots.len()).sum();
        let keys = match &node.method {
            JoinMethod::Hash(_, types) => {
                Some(Keys { set: RowSet::new(types), ends: Vec::new(), next: Vec::new() })
            }
            _ => None,
        };
        Self { rows: Rows::new(width), keys, held: 0 }
    }

    /// Bytes that it was charged for.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Reads the inner side.
    pub(crate) async fn read(
        node: &'a JoinNode,
        mut inner: Operator<'a>,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Inner<'a>> {
        let mut table = Self::new(node);
        let pairs = match &node.method {
            JoinMethod::Hash(pairs, _) => &pairs[..],
            _ => &[],
        };
        let mut files: Option<(Partitions, KeyHashing)> = None;
        let mut key = Vec::with_capacity(pairs.len());
        while let Some(batch) = inner.next(ctx).await? {
            let before = table.rows.values.len();
            'rows: for number in 0..batch.count {
                let row = batch.row(number);
                if table.keys.is_some() {
                    key.clear();
                    for (_, expr) in pairs {
                        let value = expr.eval(row, &mut ctx.eval)?;
                        if value.is_null() {
                            continue 'rows;
                        }
                        key.push(value);
                    }
                }
                if let Some((files, _)) = &mut files {
                    let mut parts: Vec<&[Value]> = vec![&key];
                    parts.extend(slots(node).map(|slots| &row[slots.clone()]));
                    files.push(&key, key_types(node), &parts, ctx).await?;
                    continue;
                }
                if let Some(keys) = &mut table.keys {
                    keys.add(&key);
                }
                slots(node).for_each(|slots| table.rows.values.extend_from_slice(&row[slots.clone()]));
                table.rows.count += 1;
            }
            let bytes = bytes_of(&table.rows.values[before..]);
            ctx.memory.charge(bytes)?;
            table.held += bytes;
            if files.is_none() && ctx.must_spill(table.held)? {
                files = Some(std::mem::replace(&mut table, Self::new(node)).move_to_files(node, ctx).await?);
            }
        }
        Ok(match files {
            Some((files, hashing)) => Inner::Files(files, hashing),
            None => Inner::Memory(table),
        })
    }

    /// Puts the rows into files. Those of one key stay as they came.
    async fn move_to_files(
        self,
        node: &'a JoinNode,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<(Partitions, KeyHashing)> {
        ctx.count_spill(SpillEvent::Operator);
        let hashing = KeyHashing::new();
        let types = key_types(node);
        let mut files = Partitions::new(types.len() + self.rows.width, &hashing, 0, ctx)?;
        let keys = self.keys.as_ref().map_or(usize::from(self.rows.count > 0), |keys| keys.ends.len());
        for number in 0..keys {
            let (key, mut matches) = match &self.keys {
                Some(keys) => (keys.set.key(number), Matches::Chain(keys.ends[number].0)),
                None => (&[][..], Matches::All(0)),
            };
            while let Some(row) = self.next(&mut matches) {
                files.push(key, types, &[key, row], ctx).await?;
            }
        }
        ctx.memory.release(self.held);
        Ok((files, hashing))
    }

    /// Takes rows from a file, each after its key, as many as may be in memory and at least one.
    pub(crate) async fn load(
        node: &'a JoinNode,
        rows: &mut StreamReader,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Self> {
        let mut table = Self::new(node);
        let keys = key_types(node).len();
        let mut row = Vec::new();
        while table.held <= ctx.spill.memory && rows.prepare(ctx).await? {
            row.clear();
            rows.take(&mut row)?;
            let bytes = bytes_of(&row[keys..]);
            ctx.memory.charge(bytes)?;
            table.held += bytes;
            if let Some(all) = &mut table.keys {
                all.add(&row[..keys]);
            }
            table.rows.values.extend(row.drain(keys..));
            table.rows.count += 1;
        }
        Ok(table)
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

/// Where the columns that are kept are in a row of the block.
fn slots(node: &JoinNode) -> impl Iterator<Item = &Range<usize>> {
    std::iter::once(&node.inner_slots).chain(&node.more_inner_slots)
}

/// Copies kept columns into a row of the block.
pub(crate) fn place(row: &mut [Value], kept: &[Value], slots: &Range<usize>, more: &[Range<usize>]) {
    let mut from = 0;
    for slots in std::iter::once(slots).chain(more) {
        row[slots.clone()].clone_from_slice(&kept[from..from + slots.len()]);
        from += slots.len();
    }
}
