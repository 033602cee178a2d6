//! Functions that give a changed document.

use aquifer_types::json::{Change, Json, Path, array_append, array_insert, change, remove};
use aquifer_types::{SqlError, SqlResult, Value};

use super::super::context::EvalContext;
use super::super::function::{FunctionDef, MANY, def};
use super::super::ir::{Call, Expr, ExprType, Op};
use super::{document, json_type, output, part, single_path};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def(
        "json_set",
        3,
        MANY,
        |a, _| infer_pairs("json_set", a),
        |c, r, x| edit(c, r, x, &|d, p, v| change(d, p, v, Change::Set)),
    ),
    def(
        "json_insert",
        3,
        MANY,
        |a, _| infer_pairs("json_insert", a),
        |c, r, x| edit(c, r, x, &|d, p, v| change(d, p, v, Change::Insert)),
    ),
    def(
        "json_replace",
        3,
        MANY,
        |a, _| infer_pairs("json_replace", a),
        |c, r, x| edit(c, r, x, &|d, p, v| change(d, p, v, Change::Replace)),
    ),
    def(
        "json_array_append",
        3,
        MANY,
        |a, _| infer_pairs("json_array_append", a),
        |c, r, x| edit(c, r, x, &array_append),
    ),
    def(
        "json_array_insert",
        3,
        MANY,
        |a, _| infer_pairs("json_array_insert", a),
        |c, r, x| edit(c, r, x, &array_insert),
    ),
    def("json_remove", 2, MANY, |_, _| Ok(json_type(true)), eval_remove),
];

fn infer_pairs(name: &str, args: &[Expr]) -> SqlResult<ExprType> {
    if args.len().is_multiple_of(2) {
        let text = format!("Incorrect parameter count in the call to native function '{name}'");
        return Err(SqlError::new(1582, text));
    }
    Ok(json_type(true))
}

type Edit<'e> = &'e dyn Fn(&mut Json, &Path, Json);

/// Applies pairs of path and value from left to right.
fn edit(call: &Call, row: &[Value], ctx: &mut EvalContext, apply: Edit<'_>) -> SqlResult<Value> {
    let Some(mut json) = document(call, 0, row, ctx)? else { return Ok(Value::Null) };
    let inserts = matches!(&call.op, Op::Function(def) if def.name == "json_array_insert");
    for i in (1..call.args.len()).step_by(2) {
        let Some(path) = single_path(call, i, row, ctx)? else { return Ok(Value::Null) };
        if inserts && !path.ends_in_cell() {
            let text = "A path expression is not a path to a cell in an array.";
            return Err(SqlError::new(3165, text));
        }
        let value = part(call, i + 1, row, ctx)?;
        apply(&mut json, &path, value);
    }
    output(&json)
}

fn eval_remove(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(mut json) = document(call, 0, row, ctx)? else { return Ok(Value::Null) };
    for i in 1..call.args.len() {
        let Some(path) = single_path(call, i, row, ctx)? else { return Ok(Value::Null) };
        if path.is_root() {
            return Err(SqlError::new(3153, "The path expression '$' is not allowed in this context."));
        }
        remove(&mut json, &path);
    }
    output(&json)
}
