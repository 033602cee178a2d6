//! Values on their way into columns.

use aquifer_types::convert::{self, Strictness};
use aquifer_types::{DataType, SqlError, SqlResult, TypeKind, Value};

use crate::expr::EvalContext;
use crate::plan::table_info::TableInfo;
use crate::plan::{DefaultPlan, zero_value};

/// Whether wrong values are errors: strict mode without IGNORE.
pub(crate) fn strictness(ignore: bool, eval: &EvalContext) -> Strictness {
    if eval.sql_mode.is_strict() && !ignore { Strictness::Strict } else { Strictness::Lenient }
}

/// Converts a value to a column's type. NULL is not checked.
pub(crate) fn store(
    info: &TableInfo,
    column: usize,
    value: Value,
    from: &DataType,
    strictness: Strictness,
    eval: &mut EvalContext,
) -> SqlResult<Value> {
    let definition = &info.table.columns[column];
    let mut ctx = convert::StoreContext {
        strictness,
        sql_mode: eval.sql_mode,
        time_zone: eval.time_zone,
        column: &definition.name,
        row_number: eval.row_number,
        warnings: &mut eval.warnings,
    };
    convert::store(value, from, &definition.data_type, &mut ctx)
}

/// Error 1048, or the type's zero with a warning.
pub(crate) fn not_null(
    info: &TableInfo,
    column: usize,
    value: Value,
    strictness: Strictness,
    eval: &mut EvalContext,
) -> SqlResult<Value> {
    let definition = &info.table.columns[column];
    if !value.is_null() || definition.nullable {
        return Ok(value);
    }
    let text = format!("Column '{}' cannot be null", definition.name);
    if strictness == Strictness::Strict {
        return Err(SqlError::new(1048, text));
    }
    eval.warnings.warn(1048, text);
    Ok(zero_value(&definition.data_type))
}

/// The value of a column that is not given.
pub(crate) fn default(
    info: &TableInfo,
    column: usize,
    plan: &DefaultPlan,
    row: &[Value],
    strictness: Strictness,
    eval: &mut EvalContext,
) -> SqlResult<Value> {
    match plan {
        DefaultPlan::Value(value) => Ok(value.clone()),
        DefaultPlan::AutoIncrement => Ok(Value::Null),
        DefaultPlan::Expr(expr) => {
            let value = expr.eval(row, eval)?;
            store(info, column, value, expr.data_type(), strictness, eval)
        }
        DefaultPlan::Missing | DefaultPlan::MissingInView(_) => {
            let definition = &info.table.columns[column];
            let (code, text) = match plan {
                DefaultPlan::MissingInView(view) => {
                    (1423, format!("Field of view '{view}' underlying table doesn't have a default value"))
                }
                _ => (1364, format!("Field '{}' doesn't have a default value", definition.name)),
            };
            let implied = definition.data_type.kind == TypeKind::Enum;
            if strictness == Strictness::Strict && !implied {
                return Err(SqlError::new(code, text));
            }
            if !implied {
                eval.warnings.warn(code, text);
            }
            Ok(zero_value(&definition.data_type))
        }
    }
}
