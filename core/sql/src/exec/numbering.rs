//! AUTO_INCREMENT values of the rows that a statement inserts.

use aquifer_types::{DataType, SqlError, SqlMode, SqlResult, TypeKind, Value};

use crate::exec::ExecContext;
use crate::plan::table_info::TableInfo;
use crate::txn::LockMode;

/// When a statement keeps others from taking values between its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueLocks {
    /// `innodb_autoinc_lock_mode` 0: always.
    Traditional,
    /// 1: when it is not known beforehand how many values it needs.
    Consecutive,
    /// 2: never.
    #[default]
    Interleaved,
}

/// What a session says about AUTO_INCREMENT values.
#[derive(Clone, Copy, Debug)]
pub struct NumberingRules {
    /// `auto_increment_increment`, at least 1: what is between two values.
    pub increment: u64,
    /// `auto_increment_offset`: all values are this and a multiple of the increment.
    pub offset: u64,
    /// Which locks there are.
    pub locks: ValueLocks,
}

impl Default for NumberingRules {
    fn default() -> Self {
        Self { increment: 1, offset: 1, locks: ValueLocks::default() }
    }
}

impl NumberingRules {
    /// The least value that the rules allow and that is not below `first`.
    fn align(&self, first: u64) -> u64 {
        let beyond =
            (first % self.increment + self.increment - self.offset % self.increment) % self.increment;
        if beyond == 0 { first } else { first.saturating_add(self.increment - beyond) }
    }
}

/// The values of one statement.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    /// Whether the statement does not know how many values it needs.
    is_bulk: bool,
    /// The next value, and how many there are.
    next: u64,
    left: u64,
    /// The first generated value of a row that was inserted.
    first: Option<u64>,
    /// The last value that a row brought or had.
    last_given: u64,
}

/// The value of a row's AUTO_INCREMENT column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Generated(u64),
    Given(u64),
}

impl Numbering {
    /// Of a statement that has taken no value yet.
    pub(crate) fn new(is_bulk: bool) -> Self {
        Self { is_bulk, ..Self::default() }
    }

    /// Gives column `column` of a row its value. `ahead` rows are left with this one, as far as is known.
    ///
    /// # Errors
    /// 1467 when there are no values left, and those of locks.
    pub(crate) async fn number(
        &mut self,
        info: &TableInfo,
        (row, column): (&mut [Value], usize),
        ahead: u64,
        ctx: &ExecContext<'_>,
    ) -> SqlResult<Number> {
        let zero_is_value = ctx.eval.sql_mode.contains(SqlMode::NO_AUTO_VALUE_ON_ZERO);
        if let Some(value) = explicit(&row[column], zero_is_value) {
            if value > 0 {
                ctx.txn.observe_auto_increment(info.table.id, value).await?;
            }
            return Ok(Number::Given(value));
        }
        if self.left == 0 {
            self.reserve(info, ahead, ctx).await?;
        }
        let value = self.next;
        self.next = self.next.saturating_add(ctx.numbering.increment);
        self.left -= 1;
        row[column] = as_column(value, &info.table.columns[column].data_type)?;
        Ok(Number::Generated(value))
    }

    /// A row has been inserted.
    pub(crate) fn inserted(&mut self, number: Option<Number>) {
        if let Some(Number::Generated(value)) = number {
            self.first.get_or_insert(value);
        }
    }

    /// A row is about to be inserted, or another has been changed instead, with a value of its own.
    pub(crate) fn given(&mut self, number: Option<Number>) {
        if let Some(Number::Given(value)) = number {
            self.last_given = value;
        }
    }

    /// LAST_INSERT_ID() from now on, if it changes.
    pub(crate) fn first(&self) -> Option<u64> {
        self.first
    }

    /// What the client is told.
    pub(crate) fn insert_id(&self) -> u64 {
        self.first.unwrap_or(self.last_given)
    }

    async fn reserve(&mut self, info: &TableInfo, ahead: u64, ctx: &ExecContext<'_>) -> SqlResult<()> {
        let table = info.table.id;
        let forced = ctx.eval.session.insert_id.take();
        if forced > 0 {
            ctx.txn.observe_auto_increment(table, forced).await?;
            (self.next, self.left) = (forced, 1);
            return Ok(());
        }
        let rules = &ctx.numbering;
        let holds_on = self.is_bulk || rules.locks == ValueLocks::Traditional;
        if rules.locks != ValueLocks::Interleaved {
            let mode = if holds_on { LockMode::Exclusive } else { LockMode::Shared };
            ctx.txn.lock_values(table, mode, ctx.lock_wait).await?;
        }
        let at_least = info.table.options.auto_increment.max(1);
        let count = ahead.saturating_mul(rules.increment);
        let first = ctx.txn.reserve_auto_increment(table, count, at_least).await;
        if !holds_on {
            ctx.txn.release_values();
        }
        self.next = rules.align(first?);
        self.left = ahead;
        if rules.increment > 1 {
            // The next statement begins an increment after the last value, whatever its own offset.
            let before_next = self.next.saturating_add(count - 1);
            ctx.txn.observe_auto_increment(table, before_next).await?;
        }
        Ok(())
    }
}

/// The value that a row brings itself.
pub(crate) fn explicit(value: &Value, zero_is_value: bool) -> Option<u64> {
    match value {
        Value::Int(0) | Value::UInt(0) if !zero_is_value => None,
        Value::Int(n) => Some(u64::try_from(*n).unwrap_or(0)),
        Value::UInt(n) => Some(*n),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Value::Float(f) => Some(*f as u64),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Value::Double(f) => Some(*f as u64),
        _ => None,
    }
}

fn as_column(value: u64, data_type: &DataType) -> SqlResult<Value> {
    Ok(match data_type.kind {
        _ if value > column_max(data_type) => {
            return Err(SqlError::new(1467, "Failed to read auto-increment value from storage engine"));
        }
        #[allow(clippy::cast_precision_loss)]
        TypeKind::Float => Value::Float(value as f32),
        #[allow(clippy::cast_precision_loss)]
        TypeKind::Double => Value::Double(value as f64),
        _ if data_type.unsigned => Value::UInt(value),
        _ => Value::Int(i64::try_from(value).unwrap_or(i64::MAX)),
    })
}

/// The largest value of an integer column.
fn column_max(data_type: &DataType) -> u64 {
    let bits = match data_type.kind {
        TypeKind::TinyInt => 8,
        TypeKind::SmallInt => 16,
        TypeKind::MediumInt => 24,
        TypeKind::Int => 32,
        _ => 64,
    };
    let all = u64::MAX >> (64 - bits);
    if data_type.unsigned { all } else { all >> 1 }
}
