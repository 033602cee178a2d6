//! Joins whose inner rows do not fit into memory (Grace hash join): both sides are divided by the hash of the key, and
//! the partitions are joined one after another.
//!
//! A partition whose inner rows are still too many is divided again. When that does not help, because one key has them all
//! or because the join has no key, its inner rows are taken into memory in parts, and its outer rows are read again for
//! each part. An outer row is known to have no match only after the last one.

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::hash::KeyHashing;
use crate::exec::join_table::JoinTable;
use crate::exec::operator::{Operator, Rows};
use crate::exec::spill::{LEVELS_MAX, Partitions, Spilled, Stream, StreamReader};
use crate::plan::SortType;
use crate::plan::node::{JoinMethod, JoinNode, JoinType};

/// Both sides of a join in files.
pub(crate) struct SpilledJoin<'a> {
    node: &'a JoinNode,
    hashing: KeyHashing,
    waiting: Vec<Pair>,
    current: Option<Current>,
    spilled: Spilled,
}

/// Rows of both sides whose keys have the same bits of their hashes.
struct Pair {
    /// Inner rows: the key, then the columns that are kept.
    inner: Stream,
    outer: Stream,
    /// How often the rows have been divided.
    level: u32,
    /// Whether it may help to divide them again.
    divisible: bool,
}

/// The pair that is being joined.
struct Current {
    inner: StreamReader,
    outer: StreamReader,
    /// The number of the batch's first outer row, and of that after its last.
    batch: std::ops::Range<usize>,
    /// Which outer rows have met a match, when it takes several parts of the inner rows to know.
    matched: Option<Vec<bool>>,
}

/// The types of a join's keys.
pub(crate) fn key_types(node: &JoinNode) -> &[SortType] {
    match &node.method {
        JoinMethod::Hash(_, types) => types,
        _ => &[],
    }
}

impl<'a> SpilledJoin<'a> {
    /// Puts the outer rows into files too: `first` and those that follow.
    pub(crate) async fn open(
        node: &'a JoinNode,
        (inner, hashing): (Partitions, KeyHashing),
        first: Rows,
        outer: &mut Operator<'a>,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Self> {
        let inner = inner.finish(ctx).await?;
        let mut divided = Partitions::new(first.width, &hashing, 0, ctx)?;
        let mut batch = Some(first);
        while let Some(rows) = batch {
            divide_outer(node, &rows, &mut divided, ctx).await?;
            batch = outer.next(ctx).await?;
        }
        let outer = divided.finish(ctx).await?;
        let mut join =
            Self { node, hashing, waiting: Vec::new(), current: None, spilled: Spilled::default() };
        join.add(inner, outer, 1, usize::MAX);
        Ok(join)
    }

    /// What went into files so far.
    pub(crate) fn spilled(&self) -> Spilled {
        self.spilled
    }

    /// Lets pairs wait that come from `rows` inner rows.
    fn add(&mut self, inner: Vec<Stream>, outer: Vec<Stream>, level: u32, rows: usize) {
        for (inner, outer) in inner.into_iter().zip(outer) {
            self.spilled.bytes += inner.bytes() + outer.bytes();
            self.spilled.parts += usize::from(inner.rows > 0);
            if outer.rows == 0 || inner.rows == 0 && self.node.kind == JoinType::Inner {
                continue;
            }
            let divisible = inner.rows < rows && level < LEVELS_MAX && !key_types(self.node).is_empty();
            self.waiting.push(Pair { inner, outer, level, divisible });
        }
    }

    /// The next outer rows, with the inner rows that they may match in `table`.
    pub(crate) async fn next(
        &mut self,
        table: &mut Option<JoinTable<'a>>,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Option<Rows>> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(rows) = current.outer.batch(ctx).await? {
                    current.batch = current.batch.end..current.batch.end + rows.count;
                    return Ok(Some(rows));
                }
                if let Some(done) = table.take() {
                    ctx.memory.release(done.held());
                }
                if current.inner.left() == 0 {
                    ctx.memory.release(current.matched.as_ref().map_or(0, Vec::len));
                    self.current = None;
                    continue;
                }
                *table = Some(JoinTable::load(self.node, &mut current.inner, ctx).await?);
                current.outer.rewind();
                current.batch = 0..0;
                continue;
            }
            let Some(pair) = self.waiting.pop() else { return Ok(None) };
            if pair.divisible && pair.inner.memory > ctx.spill.memory {
                self.divide(pair, ctx).await?;
                continue;
            }
            let mut inner = StreamReader::new(pair.inner);
            *table = Some(JoinTable::load(self.node, &mut inner, ctx).await?);
            let in_parts = inner.left() > 0 && self.node.kind == JoinType::Left;
            let matched = in_parts.then(|| vec![false; pair.outer.rows]);
            ctx.memory.charge(matched.as_ref().map_or(0, Vec::len))?;
            self.current =
                Some(Current { inner, outer: StreamReader::new(pair.outer), batch: 0..0, matched });
        }
    }

    /// Notes whether an outer row of the present batch has met a match; whether it is known now to have none.
    pub(crate) fn is_unmatched(&mut self, number: usize, matched: bool) -> bool {
        let Some(current) = &mut self.current else { return !matched };
        let Some(all) = &mut current.matched else { return !matched };
        let Some(before) = all.get_mut(current.batch.start + number) else { return !matched };
        *before |= matched;
        !*before && current.inner.left() == 0
    }

    async fn divide(&mut self, pair: Pair, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        let types = key_types(self.node);
        let count = pair.inner.rows;
        let mut inner = Partitions::new(pair.inner.width, &self.hashing, pair.level, ctx)?;
        let mut outer = Partitions::new(pair.outer.width, &self.hashing, pair.level, ctx)?;
        let mut reader = StreamReader::new(pair.inner);
        while let Some(rows) = reader.batch(ctx).await? {
            for number in 0..rows.count {
                let row = rows.row(number);
                inner.push(&row[..types.len()], types, &[row], ctx).await?;
            }
        }
        let mut reader = StreamReader::new(pair.outer);
        while let Some(rows) = reader.batch(ctx).await? {
            divide_outer(self.node, &rows, &mut outer, ctx).await?;
        }
        let (inner, outer) = (inner.finish(ctx).await?, outer.finish(ctx).await?);
        self.add(inner, outer, pair.level + 1, count);
        Ok(())
    }
}

/// Puts outer rows into the partitions of their keys, without those that cannot be in the result.
async fn divide_outer(
    node: &JoinNode,
    rows: &Rows,
    partitions: &mut Partitions,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    let mut key = Vec::new();
    for number in 0..rows.count {
        let row = rows.row(number);
        key.clear();
        if let JoinMethod::Hash(pairs, _) = &node.method {
            for (expr, _) in pairs {
                key.push(expr.eval(row, &mut ctx.eval)?);
            }
        }
        if node.kind == JoinType::Left || !key.iter().any(Value::is_null) {
            partitions.push(&key, key_types(node), &[row], ctx).await?;
        }
    }
    Ok(())
}
