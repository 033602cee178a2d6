//! Rows of a subquery that are compared with operands: IN, ANY, ALL.

use aquifer_types::{SqlResult, Value};

use crate::exec::operator::Rows;
use crate::exec::row_set::RowSet;
use crate::expr::EvalContext;
use crate::plan::node::{Apply, ApplyKind};

/// Rows of a subquery: all, or those of one key.
pub(crate) struct Kept<'a> {
    rows: Rows,
    /// The rows without NULL, when hashing decides equality.
    keys: Option<RowSet<'a>>,
    has_null: bool,
}

impl<'a> Kept<'a> {
    /// No rows yet.
    pub(crate) fn new(apply: &'a Apply) -> Self {
        let (width, hash) = match &apply.kind {
            ApplyKind::Compare { row_slots, hash, .. } => (row_slots.len(), hash.as_ref()),
            _ => (0, None),
        };
        Self { rows: Rows::new(width), keys: hash.map(|hash| RowSet::new(&hash.types)), has_null: false }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: &[Value]) {
        let has_null = row.iter().any(Value::is_null);
        self.has_null |= has_null;
        if let Some(keys) = &mut self.keys
            && !has_null
            && !keys.insert(row).1
        {
            // One of equal rows is enough for a comparison by equality.
            return;
        }
        self.rows.push(row);
    }

    /// Three-valued ANY or ALL.
    pub(crate) fn compare(
        &self,
        apply: &Apply,
        values: &[Value],
        eval: &mut EvalContext,
    ) -> SqlResult<Value> {
        let ApplyKind::Compare { operand_slots, row_slots, test, all, .. } = &apply.kind else {
            return Ok(Value::Null);
        };
        if self.rows.count == 0 {
            return Ok(Value::Int(i64::from(*all)));
        }
        if let Some(keys) = &self.keys
            && !values.iter().any(Value::is_null)
        {
            if keys.find(values).is_some() {
                return Ok(Value::Int(1));
            }
            if !self.has_null {
                return Ok(Value::Int(0));
            }
        }
        for (slot, value) in operand_slots.iter().zip(values) {
            eval.params[*slot] = value.clone();
        }
        let decisive = !*all;
        let mut unknown = false;
        for number in 0..self.rows.count {
            for (slot, value) in row_slots.iter().zip(self.rows.row(number)) {
                eval.params[*slot] = value.clone();
            }
            match test.eval(&[], eval)? {
                Value::Null => unknown = true,
                Value::Int(0) | Value::UInt(0) if decisive => {}
                Value::Int(0) | Value::UInt(0) => return Ok(Value::Int(0)),
                _ if decisive => return Ok(Value::Int(1)),
                _ => {}
            }
        }
        Ok(if unknown { Value::Null } else { Value::Int(i64::from(*all)) })
    }
}
