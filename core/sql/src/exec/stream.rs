//! Results as the session takes them.

use aquifer_types::{SqlError, SqlResult, Value};
use bytes::Bytes;

use crate::exec::ExecContext;
use crate::exec::limit::limit_numbers;
use crate::exec::operator::{Operator, Rows, State};
use crate::exec::scan::{Found, TableScan};
use crate::plan::FastPlan;
use crate::plan::node::{Node, QueryPlan};
use crate::result::{Batch, Done, StoredBatch};

/// Stored rows in a batch.
const STORED_BATCH: usize = 256;

/// Rows of a result, computed as they are asked for.
pub struct RowStream<'a> {
    source: StreamSource<'a>,
    /// Rows given so far, for FOUND_ROWS().
    given: u64,
}

enum StreamSource<'a> {
    Operator { operator: Operator<'a>, width: usize, calc_found_rows: bool },
    Stored { scan: TableScan<'a>, fast: &'a FastPlan, skip: u64, left: u64 },
    Rows { rows: Option<Vec<Vec<Value>>>, width: usize },
}

impl<'a> RowStream<'a> {
    pub(crate) fn operator(operator: Operator<'a>, width: usize, calc_found_rows: bool) -> Self {
        Self { source: StreamSource::Operator { operator, width, calc_found_rows }, given: 0 }
    }

    pub(crate) fn rows(rows: Vec<Vec<Value>>, width: usize) -> Self {
        Self { source: StreamSource::Rows { rows: Some(rows), width }, given: 0 }
    }

    /// A stream of stored rows; `None` when the plan is not of that kind.
    pub(crate) fn stored(
        query: &'a QueryPlan,
        fast: &'a FastPlan,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<Option<Self>> {
        let Some(scan) = crate::plan::scan_of(&query.node) else { return Ok(None) };
        let (skip, left) = match &fast.limit {
            Some(limit) => limit_numbers(limit, ctx)?,
            None => (0, u64::MAX),
        };
        let scan = TableScan::open(scan, &[], ctx)?;
        Ok(Some(Self { source: StreamSource::Stored { scan, fast, skip, left }, given: 0 }))
    }

    /// The next rows, at least one; `None` at the end, when `SessionFacts::found_rows` has been set. Pass the
    /// context of [`super::execute`].
    ///
    /// # Errors
    /// Those of evaluation, storage and interruption.
    pub async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Batch>> {
        let batch = match &mut self.source {
            StreamSource::Operator { operator, width, .. } => {
                let width = *width;
                operator.next(ctx).await?.map(|rows| Batch::Values { width, values: rows.values })
            }
            StreamSource::Rows { rows, width } => rows
                .take()
                .filter(|rows| !rows.is_empty())
                .map(|rows| Batch::Values { width: *width, values: rows.into_iter().flatten().collect() }),
            StreamSource::Stored { scan, fast, skip, left } => {
                let rows = stored_rows(scan, skip, left, ctx).await?;
                (!rows.is_empty()).then(|| Batch::Stored(StoredBatch { rows, layouts: fast.layouts.clone() }))
            }
        };
        match &batch {
            Some(batch) => self.given += batch.len() as u64,
            None => self.finish(ctx).await?,
        }
        Ok(batch)
    }

    /// Sets FOUND_ROWS(); under SQL_CALC_FOUND_ROWS counts the rows beyond LIMIT.
    async fn finish(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        let mut found = self.given;
        if let StreamSource::Operator { operator, calc_found_rows: true, .. } = &mut self.source {
            found = remaining(operator, found, ctx).await?;
        }
        ctx.eval.session.found_rows.set(found);
        Ok(())
    }
}

/// Rows that a query would have given without LIMIT.
async fn remaining<'a>(operator: &mut Operator<'a>, given: u64, ctx: &mut ExecContext<'a>) -> SqlResult<u64> {
    let mut node = operator;
    loop {
        match &mut node.state {
            State::Cut { input, .. } => node = &mut **input,
            State::Limit(limit) => return limit.count_all(ctx).await,
            State::Sort(sort) => return Ok(sort.count_all(ctx).await?.max(given)),
            _ => return Ok(given),
        }
    }
}

async fn stored_rows<'a>(
    scan: &mut TableScan<'a>,
    skip: &mut u64,
    left: &mut u64,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Vec<Bytes>> {
    let mut rows = Vec::new();
    while *left > 0 && rows.len() < STORED_BATCH {
        match scan.next(ctx).await? {
            None => break,
            Some(Found::Row { row, .. }) => {
                if *skip > 0 {
                    *skip -= 1;
                } else {
                    *left -= 1;
                    rows.push(row);
                }
            }
            Some(Found::Entry { .. }) => return Err(SqlError::new(1105, "covering scan in a stored result")),
        }
    }
    Ok(rows)
}

/// SELECT … INTO @a, @b.
pub(crate) async fn into_variables<'a>(
    mut operator: Operator<'a>,
    node: &Node,
    names: &[String],
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Done> {
    let mut row: Option<Vec<Value>> = None;
    while let Some(rows) = operator.next(ctx).await? {
        let Rows { count, .. } = rows;
        if count > 1 || row.is_some() {
            return Err(SqlError::new(1172, "Result consisted of more than one row"));
        }
        row = Some(rows.values);
    }
    let Some(row) = row else {
        ctx.eval.warnings.warn(1329, "No data - zero rows fetched, selected, or processed");
        return Ok(Done::default());
    };
    let types = crate::plan::output_types(node);
    for ((name, value), data_type) in names.iter().zip(row).zip(types) {
        ctx.eval.user_variables.borrow_mut().set(name, value, data_type);
    }
    Ok(Done { affected: 1, ..Done::default() })
}
