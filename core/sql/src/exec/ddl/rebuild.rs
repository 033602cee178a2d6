//! Writing all rows of a table anew: for changes of types, of the primary key, and for CREATE TABLE … SELECT.

use std::sync::Arc;

use aquifer_catalog::Table;
use aquifer_types::{DataType, SqlResult, Value};
use bytes::Bytes;

use crate::exec::ExecContext;
use crate::exec::conversion::Conversion;
use crate::exec::convert;
use crate::exec::ddl::all_rows::AllRows;
use crate::exec::operator::Operator;
use crate::exec::rules;
use crate::exec::write;
use crate::plan::binder::BoundQuery;
use crate::plan::table_info::{TableInfo, text_value};
use crate::plan::{RowRules, zero_value};
use crate::result::Done;
use aquifer_catalog::ColumnDefault;

/// Writes rows one after the other into a table that nobody else sees.
struct Filler {
    info: TableInfo,
    number: u64,
    auto_increment: Option<usize>,
}

impl Filler {
    fn new(table: &Arc<Table>) -> SqlResult<Self> {
        let auto_increment = table.columns.iter().position(|column| column.auto_increment);
        Ok(Self { info: TableInfo::new(table)?, number: 0, auto_increment })
    }

    /// Adds a row of values as they are stored.
    async fn add(&mut self, mut stored: Vec<Value>, ctx: &ExecContext<'_>) -> SqlResult<()> {
        let info = &self.info;
        if let Some(column) = self.auto_increment {
            self.fill_number(column, &mut stored, ctx).await?;
        }
        self.number += 1;
        let key: Bytes = match info.primary_key(&stored)? {
            Some(key) => key,
            None => {
                let counter = info.table.row_counter();
                let number = ctx.txn.reserve_auto_increment(counter, 1, 1).await?;
                info.hidden_key(number)?
            }
        };
        let entries = write::entries(info, &stored, &key, ctx)?;
        if !ctx.txn.put_new(key, write::encode_row(info, &stored)?, true).await? {
            return Err(write::duplicate_error(info, 0, &stored));
        }
        for entry in entries {
            if !ctx.txn.put_new(entry.key, entry.value, entry.unique).await? {
                return Err(write::duplicate_error(info, entry.index, &stored));
            }
        }
        Ok(())
    }

    async fn fill_number(&self, column: usize, stored: &mut [Value], ctx: &ExecContext<'_>) -> SqlResult<()> {
        let table = &self.info.table;
        match &stored[column] {
            Value::Int(n) if *n != 0 => {
                ctx.txn.observe_auto_increment(table.id, u64::try_from(*n).unwrap_or(0)).await
            }
            Value::UInt(n) if *n != 0 => ctx.txn.observe_auto_increment(table.id, *n).await,
            _ => {
                let at_least = table.options.auto_increment.max(1);
                let number = ctx.txn.reserve_auto_increment(table.id, 1, at_least).await?;
                stored[column] = if table.columns[column].data_type.unsigned {
                    Value::UInt(number)
                } else {
                    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
                };
                Ok(())
            }
        }
    }
}

/// Fills a table that CREATE TABLE … SELECT made.
pub(super) async fn insert_query<'a>(
    table: Arc<Table>,
    query: &'a BoundQuery,
    ctx: &mut ExecContext<'a>,
) -> SqlResult<Done> {
    let mut filler = Filler::new(&table)?;
    let strictness = convert::strictness(false, &ctx.eval);
    let targets: Vec<Option<usize>> = query.columns.iter().map(|c| table.column_position(&c.name)).collect();
    let types: Vec<DataType> = query.columns.iter().map(|c| c.ty.data_type.clone()).collect();
    let mut operator = Operator::open(&query.plan.node, query.plan.row_width, None);
    while let Some(rows) = operator.next(ctx).await? {
        for number in 0..rows.count {
            let mut row = missing_values(&table)?;
            for ((value, target), from) in rows.row(number).iter().zip(&targets).zip(&types) {
                let Some(column) = target else { continue };
                let value =
                    convert::store(&filler.info, *column, value.clone(), from, strictness, &mut ctx.eval)?;
                row[*column] = convert::not_null(&filler.info, *column, value, strictness, &mut ctx.eval)?;
            }
            let stored = write::to_stored(&filler.info, &row, ctx.eval.time_zone);
            filler.add(stored, ctx).await?;
        }
    }
    let records = filler.number;
    Ok(Done {
        affected: records,
        info: format!("Records: {records}  Duplicates: 0  Warnings: 0"),
        ..Done::default()
    })
}

/// Values of columns that nothing gives.
fn missing_values(table: &Table) -> SqlResult<Vec<Value>> {
    table
        .columns
        .iter()
        .map(|column| match &column.default {
            ColumnDefault::Literal(text) => text_value(text, &column.data_type),
            _ if column.nullable || column.auto_increment => Ok(Value::Null),
            _ => Ok(zero_value(&column.data_type)),
        })
        .collect()
}

/// Copies all rows of `old` into `new`, which has other index ids and one layout.
pub(super) async fn copy(
    old: &Arc<Table>,
    new: &Arc<Table>,
    rules: &RowRules,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<u64> {
    let source = TableInfo::new(old)?;
    let conversion = Conversion::new(old, new, ctx.eval.sql_mode, ctx.eval.time_zone)?;
    let mut filler = Filler::new(new)?;
    let mut all = AllRows::of(&source, ctx.txn);
    while let Some(batch) = all.next().await? {
        for (_, row) in batch {
            ctx.eval.row_number = filler.number + 1;
            let old = write::stored_values(&source, row)?;
            let mut stored = conversion.convert(&old, ctx.eval.row_number, &mut ctx.eval.warnings)?;
            if !rules.generated.is_empty() {
                let mut row = conversion.session_row(&stored);
                rules::generate(&filler.info, &rules.generated, &mut row, conversion.strictness(), ctx)?;
                for (at, value) in row.into_iter().enumerate() {
                    if new.columns[at].generated.is_some() {
                        stored[at] = conversion.utc(value, at);
                    }
                }
            }
            filler.add(stored, ctx).await?;
        }
    }
    Ok(filler.number)
}
