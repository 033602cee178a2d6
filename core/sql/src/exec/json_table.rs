//! JSON_TABLE at work: the rows of one document.

use aquifer_types::convert::{StoreContext, Strictness, store};
use aquifer_types::json::Json;
use aquifer_types::{DataType, SqlError, SqlResult, TypeKind, Value, Warnings};

use crate::exec::ExecContext;
use crate::exec::operator::Rows;
use crate::exec::scan::passes;
use crate::expr::{Expr, json_document};
use crate::plan::{JsonColumnPlan, JsonTablePlan, Missing};

/// Rows of the document that `document` gives over `base`, placed at `offset` of it.
pub(crate) fn rows(
    (document, plan): (&Expr, &JsonTablePlan),
    offset: usize,
    filter: &[Expr],
    base: &mut [Value],
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Option<Rows>> {
    let value = document.eval(base, &mut ctx.eval)?;
    let Some(json) = json_document(&value, document.data_type(), 1, "json_table")? else { return Ok(None) };
    let mut out = Rows::new(base.len());
    let mut row = vec![Value::Null; plan.width];
    let mut found = Vec::new();
    for (number, part) in plan.path.seek(&json).into_iter().enumerate() {
        fill(&plan.columns, part, number + 1, &mut row, &mut found, ctx)?;
    }
    for values in found {
        ctx.memory.charge_values(&values)?;
        base[offset..offset + plan.width].clone_from_slice(&values);
        if passes(filter, base, &mut ctx.eval)? {
            out.push(base);
        }
    }
    Ok((out.count > 0).then_some(out))
}

/// Rows for one match of a path: its columns with those of each nested path in turn; once with NULLs when the
/// nested paths find nothing.
fn fill(
    columns: &[JsonColumnPlan],
    json: &Json,
    ordinal: usize,
    row: &mut Vec<Value>,
    out: &mut Vec<Vec<Value>>,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    for column in columns {
        match column {
            JsonColumnPlan::Ordinality(slot) => row[*slot] = Value::UInt(ordinal as u64),
            JsonColumnPlan::Exists { slot, path, ty } => {
                let exists = Json::Int(i64::from(!path.seek(json).is_empty()));
                row[*slot] = to_column(&exists, ty, ctx)?.unwrap_or(Value::Null);
            }
            JsonColumnPlan::Value { slot, .. } => row[*slot] = column_value(column, json, ctx)?,
            JsonColumnPlan::Nested(_, inner) => clear(inner, row),
        }
    }
    let before = out.len();
    for column in columns {
        if let JsonColumnPlan::Nested(path, inner) = column {
            for (number, part) in path.seek(json).into_iter().enumerate() {
                fill(inner, part, number + 1, row, out, ctx)?;
            }
            clear(inner, row);
        }
    }
    if out.len() == before {
        out.push(row.clone());
    }
    Ok(())
}

fn clear(columns: &[JsonColumnPlan], row: &mut [Value]) {
    for column in columns {
        match column {
            JsonColumnPlan::Ordinality(slot)
            | JsonColumnPlan::Exists { slot, .. }
            | JsonColumnPlan::Value { slot, .. } => row[*slot] = Value::Null,
            JsonColumnPlan::Nested(_, inner) => clear(inner, row),
        }
    }
}

fn column_value(column: &JsonColumnPlan, json: &Json, ctx: &mut ExecContext<'_>) -> SqlResult<Value> {
    let JsonColumnPlan::Value { path, ty, name, on_empty, on_error, .. } = column else {
        return Ok(Value::Null);
    };
    let found = path.seek(json);
    let (missing, error) = match found.as_slice() {
        [] => {
            let text = format!("Missing value for JSON_TABLE column '{name}'");
            (on_empty, SqlError::new(3665, text))
        }
        [only] => match to_column(only, ty, ctx)? {
            Some(value) => return Ok(value),
            None if matches!(only, Json::Array(_) | Json::Object(_)) => {
                let text =
                    format!("Can't store an array or an object in the scalar column '{name}' of JSON_TABLE");
                (on_error, SqlError::new(3666, text))
            }
            None => {
                let text = format!("Value is out of range for JSON_TABLE's column '{name}'");
                (on_error, SqlError::new(3667, text))
            }
        },
        many if ty.kind == TypeKind::Json => {
            let all = Json::Array(many.iter().map(|item| (*item).clone()).collect());
            return Ok(Value::Bytes(all.to_text().into()));
        }
        _ => {
            let text =
                format!("Can't store an array or an object in the scalar column '{name}' of JSON_TABLE");
            (on_error, SqlError::new(3666, text))
        }
    };
    match missing {
        Missing::Null => Ok(Value::Null),
        Missing::Error => Err(error),
        Missing::Default(text) => match aquifer_types::json::parse(text) {
            Ok(json) => Ok(to_column(&json, ty, ctx)?.unwrap_or(Value::Null)),
            Err(_) => Ok(Value::Null),
        },
    }
}

/// A value in a column's type; `None` when it does not fit.
fn to_column(json: &Json, ty: &DataType, ctx: &mut ExecContext<'_>) -> SqlResult<Option<Value>> {
    if ty.kind == TypeKind::Json {
        return Ok(Some(Value::Bytes(json.to_text().into())));
    }
    let (value, from) = match json {
        Json::Null => return Ok(Some(Value::Null)),
        Json::Bool(b) => (Value::Int(i64::from(*b)), DataType::of(TypeKind::BigInt)),
        Json::Int(n) => (Value::Int(*n), DataType::of(TypeKind::BigInt)),
        Json::UInt(n) => (Value::UInt(*n), DataType::bigint_unsigned()),
        Json::Double(x) => (Value::Double(*x), DataType::of(TypeKind::Double)),
        Json::Decimal(d) => (
            Value::Decimal(*d),
            DataType { length: 65, decimals: d.scale(), ..DataType::of(TypeKind::Decimal) },
        ),
        Json::String(s) => {
            let bytes = bytes::Bytes::copy_from_slice(s.as_bytes());
            (Value::Bytes(bytes), DataType::of(TypeKind::LongText))
        }
        Json::Array(_) | Json::Object(_) => return Ok(None),
    };
    let mut warnings = Warnings::with_capacity(0);
    let mut store_context = StoreContext {
        strictness: Strictness::Strict,
        sql_mode: ctx.eval.sql_mode,
        time_zone: ctx.eval.time_zone,
        column: "",
        row_number: 1,
        warnings: &mut warnings,
    };
    Ok(store(value, &from, ty, &mut store_context).ok())
}
