//! What a statement may keep in memory at a time.
//!
//! Operators that keep rows (sorts, groups, hash joins, windows, DISTINCT, subqueries) charge for them. Most go on in
//! temporary files when they have kept much ([`super::spill`]); beyond the limit the statement fails with error 3170
//! instead of taking the node's memory. What is kept for one row of an
//! outer operator (a correlated subquery, the inner side of a join) is given back when that row is done; all else
//! when the statement ends.

use aquifer_types::{SqlError, SqlResult, Value};

/// Bytes a statement may keep unless it is told otherwise.
pub const STATEMENT_MEMORY_MAX: usize = 512 << 20;

/// The budget of one execution.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    /// What operators hold.
    used: usize,
    /// What stays until the statement ends, whatever operator it was charged by.
    kept: usize,
    max: usize,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(STATEMENT_MEMORY_MAX)
    }
}

impl MemoryBudget {
    /// A budget of `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { used: 0, kept: 0, max }
    }

    /// Bytes that operators hold.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Takes bytes from the budget.
    ///
    /// # Errors
    /// 3170 when it is used up.
    pub fn charge(&mut self, bytes: usize) -> SqlResult<()> {
        self.used = self.used.saturating_add(bytes);
        self.check()
    }

    /// Takes bytes that stay until the statement ends.
    ///
    /// # Errors
    /// As [`MemoryBudget::charge`].
    pub(crate) fn keep(&mut self, bytes: usize) -> SqlResult<()> {
        self.kept = self.kept.saturating_add(bytes);
        self.check()
    }

    fn check(&self) -> SqlResult<()> {
        if self.used.saturating_add(self.kept) > self.max {
            let text = format!(
                "Memory capacity of {} bytes for 'statement' exceeded. The statement keeps too many rows in memory.",
                self.max
            );
            return Err(SqlError::new(3170, text));
        }
        Ok(())
    }

    /// Whether so much is used that operators should keep no more than they must.
    pub(crate) fn is_half_used(&self) -> bool {
        self.used.saturating_add(self.kept) > self.max / 2
    }

    /// Gives bytes back.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Gives back what was to stay.
    pub(crate) fn release_kept(&mut self, bytes: usize) {
        self.kept = self.kept.saturating_sub(bytes);
    }

    /// Takes what values occupy.
    ///
    /// # Errors
    /// As [`MemoryBudget::charge`].
    pub(crate) fn charge_values(&mut self, values: &[Value]) -> SqlResult<()> {
        self.charge(bytes_of(values))
    }

    /// Takes what values occupy that stay until the statement ends.
    ///
    /// # Errors
    /// As [`MemoryBudget::charge`].
    pub(crate) fn charge_kept(&mut self, values: &[Value]) -> SqlResult<()> {
        self.keep(bytes_of(values))
    }
}

/// What values occupy.
pub(crate) fn bytes_of(values: &[Value]) -> usize {
    let text = |value: &Value| match value {
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    size_of_val(values) + values.iter().map(text).sum::<usize>()
}
