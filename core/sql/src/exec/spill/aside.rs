//! Rows whose keys were not met while there was memory for them. They are put aside, divided by the hash of their
//! keys, and taken up again partition by partition.

use aquifer_types::{SqlResult, Value};

use super::partition::{LEVELS_MAX, Partitions};
use super::{Spilled, Stream, StreamReader};
use crate::exec::ExecContext;
use crate::exec::hash::KeyHashing;
use crate::plan::SortType;
use crate::temporary_space::SpillEvent;

/// The rows put aside by one operator.
pub(crate) struct Aside<'a> {
    types: &'a [SortType],
    hashing: Option<KeyHashing>,
    /// Where rows go now, once the memory is full.
    open: Option<Partitions>,
    /// Partitions that wait, each with how often its rows have been divided.
    waiting: Vec<(Stream, u32)>,
    /// How often the rows that the operator takes in now have been divided.
    level: u32,
    spilled: Spilled,
}

impl<'a> Aside<'a> {
    pub(crate) fn new(types: &'a [SortType]) -> Self {
        Self { types, hashing: None, open: None, waiting: Vec::new(), level: 0, spilled: Spilled::default() }
    }

    /// What went into files so far.
    pub(crate) fn spilled(&self) -> Spilled {
        self.spilled
    }

    /// Whether rows with new keys are put aside.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Puts rows with new keys aside from now on, if an operator that keeps `held` bytes has to. Rows that cannot be
    /// divided any more stay in memory.
    pub(crate) fn open_if_full(
        &mut self,
        held: usize,
        width: usize,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        if self.open.is_none() && self.level < LEVELS_MAX && ctx.must_spill(held)? {
            if self.spilled.parts == 0 {
                ctx.count_spill(SpillEvent::Operator);
            }
            let hashing = self.hashing.get_or_insert_with(KeyHashing::new);
            self.open = Some(Partitions::new(width, hashing, self.level, ctx)?);
        }
        Ok(())
    }

    /// Puts a row aside, given in parts; must be open.
    pub(crate) async fn push(
        &mut self,
        key: &[Value],
        row: &[&[Value]],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        match &mut self.open {
            Some(partitions) => partitions.push(key, self.types, row, ctx).await,
            None => Ok(()),
        }
    }

    /// The next partition, when all rows of the one before have been taken in and given; `None` when nothing is left.
    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'_>) -> SqlResult<Option<StreamReader>> {
        if let Some(partitions) = self.open.take() {
            for stream in partitions.finish(ctx).await? {
                if stream.rows > 0 {
                    self.spilled.bytes += stream.bytes();
                    self.spilled.parts += 1;
                    self.waiting.push((stream, self.level + 1));
                }
            }
        }
        Ok(self.waiting.pop().map(|(stream, level)| {
            self.level = level;
            StreamReader::new(stream)
        }))
    }
}
