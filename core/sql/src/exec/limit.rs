//! LIMIT and OFFSET.

use aquifer_types::{SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::operator::{Operator, Rows};
use crate::expr::Expr;
use crate::plan::node::LimitNode;

/// LIMIT at work.
pub(crate) struct LimitOp<'a> {
    input: Operator<'a>,
    limit: &'a LimitNode,
    /// Rows still to skip and to give; `None` before the first row.
    left: Option<(u64, u64)>,
    /// Rows that came in.
    seen: u64,
}

/// OFFSET and LIMIT as numbers.
pub(crate) fn limit_numbers(limit: &LimitNode, ctx: &mut ExecContext<'_>) -> SqlResult<(u64, u64)> {
    let mut number = |expr: &Option<Expr>, otherwise: u64| match expr {
        None => Ok(otherwise),
        Some(expr) => match expr.eval(&[], &mut ctx.eval)? {
            Value::UInt(n) => Ok(n),
            Value::Int(n) => u64::try_from(n).map_err(|_| wrong_limit()),
            _ => Err(wrong_limit()),
        },
    };
    Ok((number(&limit.offset, 0)?, number(&limit.count, u64::MAX)?))
}

fn wrong_limit() -> aquifer_types::SqlError {
    aquifer_types::SqlError::new(1210, "Incorrect arguments to LIMIT")
}

impl<'a> LimitOp<'a> {
    pub(crate) fn new(input: Operator<'a>, limit: &'a LimitNode) -> Self {
        Self { input, limit, left: None, seen: 0 }
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        let (mut skip, mut left) = match self.left {
            Some(numbers) => numbers,
            None => limit_numbers(self.limit, ctx)?,
        };
        while left > 0 {
            let Some(rows) = self.input.next(ctx).await? else { break };
            let count = rows.count as u64;
            self.seen += count;
            if skip >= count {
                skip -= count;
                continue;
            }
            let mut out = Rows::new(rows.width);
            for number in 0..rows.count {
                if skip > 0 {
                    skip -= 1;
                } else if left > 0 {
                    left -= 1;
                    out.push(rows.row(number));
                }
            }
            self.left = Some((skip, left));
            return Ok(Some(out));
        }
        self.left = Some((skip, 0));
        Ok(None)
    }

    /// Rows that there would have been without LIMIT: reads the rest.
    pub(crate) async fn count_all(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<u64> {
        while let Some(rows) = self.input.next(ctx).await? {
            self.seen += rows.count as u64;
        }
        Ok(self.seen)
    }
}
