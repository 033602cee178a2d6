//! Rows divided by the hash of their keys.

use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use aquifer_types::{SqlResult, Value};

use super::{SpillFile, Stream, StreamWriter};
use crate::exec::ExecContext;
use crate::exec::hash::KeyHashing;
use crate::plan::SortType;

/// Partitions that rows are divided into at a time.
const FANOUT: usize = 16;
/// Bits of a hash that this takes.
const FANOUT_BITS: u32 = FANOUT.ilog2();
/// How often rows can be divided: then all bits of the hash have been used.
pub(crate) const LEVELS_MAX: u32 = u64::BITS / FANOUT_BITS;

/// Partitions that are being written.
pub(crate) struct Partitions {
    writers: Vec<StreamWriter>,
    hashing: KeyHashing,
    /// How often the rows have been divided before.
    level: u32,
}

impl Partitions {
    /// Partitions of rows that have been divided `level` times by the same hashing.
    pub(crate) fn new(
        width: usize,
        hashing: &KeyHashing,
        level: u32,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Self> {
        let file: Rc<SpillFile> = ctx.spill_file()?;
        let writers = (0..FANOUT).map(|_| StreamWriter::new(&file, width, ctx)).collect();
        Ok(Self { writers, hashing: hashing.clone(), level })
    }

    fn number(&self, key: &[Value], types: &[SortType]) -> usize {
        let mut state = self.hashing.build_hasher();
        for (value, ty) in key.iter().zip(types) {
            ty.hash(value, &mut state);
        }
        let shifted = state.finish() >> (self.level * FANOUT_BITS).min(u64::BITS - FANOUT_BITS);
        usize::try_from(shifted % FANOUT as u64).unwrap_or(0)
    }

    /// Adds a row, given in parts, to the partition of its key.
    pub(crate) async fn push(
        &mut self,
        key: &[Value],
        types: &[SortType],
        row: &[&[Value]],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<()> {
        let number = self.number(key, types);
        self.writers[number].push(row, ctx).await
    }

    /// The partitions, all [`FANOUT`] of them.
    pub(crate) async fn finish(self, ctx: &mut ExecContext<'_>) -> SqlResult<Vec<Stream>> {
        let mut streams = Vec::with_capacity(FANOUT);
        for writer in self.writers {
            streams.push(writer.finish(ctx).await?);
        }
        Ok(streams)
    }
}
