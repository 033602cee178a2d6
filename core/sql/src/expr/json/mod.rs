//! JSON functions (manual 12.18). Documents are trees of [`aquifer_types::json`] while a function works on them
//! and normalised text between functions.
//!
//! An argument that must be a document may be a JSON value or a text, which is parsed (3141 if it is none); an
//! argument that becomes a value within a document is one string if it is a text.

mod build;
mod edit;
mod read;
mod value;

use aquifer_types::collation::Charset;
use aquifer_types::json::{DEPTH_MAX, Json, Path, from_sql, parse, parse_stored};
use aquifer_types::{Collation, DataType, SqlError, SqlResult, TypeKind, Value};

use super::coerce;
use super::context::EvalContext;
use super::eval::eval_ref;
use super::function::FunctionDef;
use super::infer::{Family, family, typed};
use super::ir::{Call, Coercibility, Expr, ExprType};

pub(crate) use value::{Otherwise, json_value};

/// All tables of JSON functions.
pub(crate) const FUNCTIONS: &[&[FunctionDef]] =
    &[build::FUNCTIONS, edit::FUNCTIONS, read::FUNCTIONS, value::FUNCTIONS];

/// The type JSON.
pub(crate) fn json_type(nullable: bool) -> ExprType {
    typed(DataType::of(TypeKind::Json), nullable, Coercibility::IMPLICIT)
}

/// The function's name as messages show it.
fn name_of(call: &Call) -> &'static str {
    match &call.op {
        super::ir::Op::Function(def) => def.name,
        _ => "json",
    }
}

/// A tree as a value; 3157 when it is nested too deeply.
pub(crate) fn output(json: &Json) -> SqlResult<Value> {
    if json.depth() > DEPTH_MAX + 1 {
        return Err(too_deep());
    }
    Ok(Value::Bytes(json.to_text().into()))
}

fn too_deep() -> SqlError {
    SqlError::new(3157, "The JSON document exceeds the maximum depth.")
}

/// Whether an expression is a condition, which becomes `true` or `false` within a document.
fn is_condition(e: &Expr) -> bool {
    let ty = e.data_type();
    !matches!(e, Expr::Column { .. }) && ty.kind == TypeKind::BigInt && ty.length == 1 && !ty.unsigned
}

/// A value of an expression as part of a document.
pub(crate) fn element(e: &Expr, value: &Value) -> SqlResult<Json> {
    match value {
        Value::Int(n) if is_condition(e) => Ok(Json::Bool(*n != 0)),
        _ => from_sql(value, e.data_type()).map_err(|_| too_deep()),
    }
}

/// Argument `i` as part of a document; SQL NULL is `null`.
fn part(call: &Call, i: usize, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Json> {
    let Some(arg) = call.args.get(i) else { return Ok(Json::Null) };
    let value = eval_ref(arg, row, ctx)?;
    element(arg, &value)
}

/// A text or JSON value as a document; `argument` counts from 1.
pub(crate) fn document_of(
    value: &Value,
    ty: &DataType,
    argument: usize,
    name: &str,
) -> SqlResult<Option<Json>> {
    if value.is_null() {
        return Ok(None);
    }
    let text = coerce::text(value, ty);
    let invalid = |at: aquifer_types::json::NotJson| {
        let (what, position) = (at.what, at.position);
        let text = format!(
            "Invalid JSON text in argument {argument} to function {name}: \"{what}\" at position {position}."
        );
        SqlError::new(3141, text)
    };
    if ty.kind == TypeKind::Json {
        return parse_stored(&text).map(Some).map_err(invalid);
    }
    if family(ty) != Family::String || matches!(ty.kind, TypeKind::Enum | TypeKind::Set) {
        let text = format!(
            "Invalid data type for JSON data in argument {argument} to function {name}; a JSON string or JSON type \
             is required."
        );
        return Err(SqlError::new(3146, text));
    }
    if ty.collation == Collation::BINARY {
        let text = "Cannot create a JSON value from a string with CHARACTER SET 'binary'.";
        return Err(SqlError::new(3144, text));
    }
    let text = ty.collation.charset().convert(Charset::Utf8mb4, &text).bytes;
    parse(&text).map(Some).map_err(invalid)
}

/// Argument `i` as a document; `None` for NULL.
fn document(call: &Call, i: usize, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<Json>> {
    let Some(arg) = call.args.get(i) else { return Ok(None) };
    let value = eval_ref(arg, row, ctx)?;
    document_of(&value, arg.data_type(), i + 1, name_of(call))
}

/// A text as a path.
pub(crate) fn path_of(text: &[u8]) -> SqlResult<Path> {
    let text = String::from_utf8_lossy(text);
    Path::parse(&text).map_err(|at| {
        let position = at.position;
        let text =
            format!("Invalid JSON path expression. The error is around character position {position}.");
        SqlError::new(3143, text)
    })
}

/// A path written in a statement.
///
/// # Errors
/// 3143.
pub(crate) fn json_path(text: &str) -> SqlResult<Path> {
    path_of(text.as_bytes())
}

/// Argument `i` as a path; `None` for NULL.
fn path(call: &Call, i: usize, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<Path>> {
    match super::function::text(call, i, row, ctx)? {
        Some(text) => path_of(&text).map(Some),
        None => Ok(None),
    }
}

/// As [`path`], without wildcards and ranges.
fn single_path(call: &Call, i: usize, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<Path>> {
    let found = path(call, i, row, ctx)?;
    if found.as_ref().is_some_and(Path::is_multiple) {
        let text =
            "In this situation, path expressions may not contain the * and ** tokens or an array range.";
        return Err(SqlError::new(3149, text));
    }
    Ok(found)
}

/// `one` or `all`; `None` for NULL. `true` is one.
fn one_or_all(call: &Call, i: usize, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<bool>> {
    let Some(text) = super::function::text(call, i, row, ctx)? else { return Ok(None) };
    if text.eq_ignore_ascii_case(b"one") {
        return Ok(Some(true));
    }
    if text.eq_ignore_ascii_case(b"all") {
        return Ok(Some(false));
    }
    let name = name_of(call);
    let text = format!("The oneOrAll argument to {name} may take these values: 'one' or 'all'.");
    Err(SqlError::new(3154, text))
}
