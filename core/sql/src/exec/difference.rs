//! INTERSECT and EXCEPT.
//!
//! The right side is counted in memory. When it is too much, both sides are divided by the hash of their rows into
//! partitions, which are done one after another; one that is still too much is error 3170.

use std::collections::{HashMap, HashSet};

use aquifer_types::{DataType, SqlResult, TypeKind, Value};

use crate::exec::ExecContext;
use crate::exec::hash::KeyHashing;
use crate::exec::operator::{Operator, Rows};
use crate::exec::spill::{Partitions, Spilled, Stream, StreamReader};
use crate::plan::SortType;
use crate::temporary_space::SpillEvent;

/// The operator.
pub(crate) struct DifferenceOp<'a> {
    left: Operator<'a>,
    right: Operator<'a>,
    keep_common: bool,
    all: bool,
    keys: &'a [SortType],
    /// Whether the right side has been read.
    started: bool,
    /// How often each row occurs on the right side, or on that of the present partition.
    counts: HashMap<Vec<u8>, u64>,
    seen: HashSet<Vec<u8>>,
    /// Bytes that `counts` and `seen` were charged for.
    held: usize,
    /// Left and right sides of partitions that wait.
    waiting: Vec<(Stream, Stream)>,
    /// The left side of the present partition, once rows are in files.
    present: Option<StreamReader>,
    spilled: Spilled,
}

/// Bytes that tell rows apart.
fn row_key(row: &[Value], keys: &[SortType]) -> Vec<u8> {
    let mut out = Vec::new();
    for (value, ty) in row.iter().zip(keys) {
        ty.encode(value, &mut out);
    }
    out
}

impl<'a> DifferenceOp<'a> {
    pub(crate) fn new(
        (left, right): (Operator<'a>, Operator<'a>),
        keep_common: bool,
        all: bool,
        keys: &'a [SortType],
    ) -> Self {
        Self {
            left,
            right,
            keep_common,
            all,
            keys,
            started: false,
            counts: HashMap::new(),
            seen: HashSet::new(),
            held: 0,
            waiting: Vec::new(),
            present: None,
            spilled: Spilled::default(),
        }
    }

    /// What went into files.
    pub(crate) fn spilled(&self) -> Spilled {
        self.spilled
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        if !std::mem::replace(&mut self.started, true) {
            self.read_right(ctx).await?;
        }
        loop {
            let (rows, in_files) = match &mut self.present {
                Some(present) => (present.batch(ctx).await?, true),
                None => (self.left.next(ctx).await?, false),
            };
            let Some(rows) = rows else {
                if in_files && Box::pin(self.next_partition(ctx)).await? {
                    continue;
                }
                return Ok(None);
            };
            let mut out = Rows::new(rows.width - usize::from(in_files));
            for number in 0..rows.count {
                let (key, row) = match rows.row(number) {
                    [Value::Bytes(key), row @ ..] if in_files => (key.to_vec(), row),
                    row => (row_key(row, self.keys), row),
                };
                if self.keeps(key, ctx)? {
                    out.push(row);
                }
            }
            if out.count > 0 {
                return Ok(Some(out));
            }
        }
    }

    /// Whether a row of the left side is in the result.
    fn keeps(&mut self, key: Vec<u8>, ctx: &mut ExecContext<'_>) -> SqlResult<bool> {
        let common = match self.counts.get_mut(&key) {
            Some(count) if *count > 0 => {
                if self.all {
                    *count -= 1;
                }
                true
            }
            _ => false,
        };
        if common != self.keep_common {
            return Ok(false);
        }
        let bytes = key.len() + size_of::<Vec<u8>>();
        if self.all || !self.seen.insert(key) {
            return Ok(self.all);
        }
        self.held += bytes;
        ctx.memory.charge(bytes)?;
        Ok(true)
    }

    /// Notes rows of the right side.
    fn count(&mut self, key: Vec<u8>, times: u64, ctx: &mut ExecContext<'_>) -> SqlResult<()> {
        let bytes = key.len() + size_of::<Vec<u8>>();
        self.held += bytes;
        *self.counts.entry(key).or_default() += times;
        ctx.memory.charge(bytes)
    }

    async fn read_right(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        while let Some(rows) = self.right.next(ctx).await? {
            for number in 0..rows.count {
                self.count(row_key(rows.row(number), self.keys), 1, ctx)?;
            }
            if ctx.must_spill(self.held)? {
                return Box::pin(self.divide(ctx)).await;
            }
        }
        Ok(())
    }

    /// Puts both sides into files: each row after its key, on the right side a key with its count.
    async fn divide(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        ctx.count_spill(SpillEvent::Operator);
        let hashing = KeyHashing::new();
        let types = [SortType::of(&DataType::of(TypeKind::VarBinary))];
        let mut right = Partitions::new(2, &hashing, 0, ctx)?;
        for (key, times) in std::mem::take(&mut self.counts) {
            let row = [Value::Bytes(key.into()), Value::UInt(times)];
            right.push(&row[..1], &types, &[&row], ctx).await?;
        }
        ctx.memory.release(std::mem::take(&mut self.held));
        while let Some(rows) = self.right.next(ctx).await? {
            for number in 0..rows.count {
                let row = [Value::Bytes(row_key(rows.row(number), self.keys).into()), Value::UInt(1)];
                right.push(&row[..1], &types, &[&row], ctx).await?;
            }
        }
        let right = right.finish(ctx).await?;
        let mut left: Option<Partitions> = None;
        while let Some(rows) = self.left.next(ctx).await? {
            let left = match &mut left {
                Some(left) => left,
                None => left.insert(Partitions::new(1 + rows.width, &hashing, 0, ctx)?),
            };
            for number in 0..rows.count {
                let key = [Value::Bytes(row_key(rows.row(number), self.keys).into())];
                left.push(&key, &types, &[&key, rows.row(number)], ctx).await?;
            }
        }
        if let Some(left) = left {
            self.waiting = left.finish(ctx).await?.into_iter().zip(right).collect();
        }
        for (left, right) in &self.waiting {
            self.spilled.bytes += left.bytes() + right.bytes();
            self.spilled.parts += usize::from(left.rows > 0);
        }
        self.next_partition(ctx).await?;
        Ok(())
    }

    /// Goes to the next partition with rows on the left side; whether there is one.
    async fn next_partition(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<bool> {
        ctx.memory.release(std::mem::take(&mut self.held));
        self.counts.clear();
        self.seen.clear();
        while let Some((left, right)) = self.waiting.pop() {
            if left.rows == 0 {
                continue;
            }
            let mut right = StreamReader::new(right);
            while let Some(rows) = right.batch(ctx).await? {
                for number in 0..rows.count {
                    if let [Value::Bytes(key), Value::UInt(times)] = rows.row(number) {
                        self.count(key.to_vec(), *times, ctx)?;
                    }
                }
            }
            self.present = Some(StreamReader::new(left));
            return Ok(true);
        }
        Ok(false)
    }
}
