//! Functions that look into documents.

use aquifer_types::collation::like;
use aquifer_types::json::{Json, Path, contains, overlaps, search};
use aquifer_types::{Collation, SqlResult, TypeKind, Value};

use super::super::build::bool_type;
use super::super::context::{BindContext, EvalContext};
use super::super::eval::{eval_ref, truth_value};
use super::super::function::{FunctionDef, MANY, def, text, text_value};
use super::super::infer::{Family, family, int_type, number, string_of, typed};
use super::super::ir::{Call, Coercibility, Expr, ExprType};
use super::{document, document_of, json_type, name_of, one_or_all, output, part, path, single_path};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("json_extract", 2, MANY, |_, _| Ok(json_type(true)), eval_extract),
    def("json_contains", 2, 3, infer_condition, eval_contains),
    def("json_contains_path", 3, MANY, infer_condition, eval_contains_path),
    def("json_overlaps", 2, 2, infer_condition, eval_overlaps),
    def("member of", 2, 2, infer_condition, eval_member_of),
    def("json_length", 1, 2, infer_count, eval_length),
    def("json_depth", 1, 1, infer_count, eval_depth),
    def("json_keys", 1, 2, |_, _| Ok(json_type(true)), eval_keys),
    def("json_type", 1, 1, infer_type, eval_type),
    def("json_valid", 1, 1, infer_condition, eval_valid),
    def("json_search", 3, MANY, |_, _| Ok(json_type(true)), eval_search),
    def("json_storage_size", 1, 1, infer_count, eval_size),
    def("json_storage_free", 1, 1, infer_count, |c, r, x| {
        Ok(document(c, 0, r, x)?.map_or(Value::Null, |_| Value::Int(0)))
    }),
];

fn infer_condition(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(bool_type(true))
}

fn infer_count(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(int_type(10), true))
}

fn infer_type(_args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let _ = bind;
    Ok(typed(string_of(51, Collation::UTF8MB4_BIN), true, Coercibility::IMPLICIT))
}

fn count(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn eval_extract(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(json) = document(call, 0, row, ctx)? else { return Ok(Value::Null) };
    let mut paths: Vec<Path> = Vec::with_capacity(call.args.len() - 1);
    for i in 1..call.args.len() {
        match path(call, i, row, ctx)? {
            Some(path) => paths.push(path),
            None => return Ok(Value::Null),
        }
    }
    let multiple = paths.len() > 1 || paths.iter().any(Path::is_multiple);
    let found: Vec<&Json> = paths.iter().flat_map(|path| path.seek(&json)).collect();
    match found.first() {
        None => Ok(Value::Null),
        Some(only) if !multiple => output(only),
        Some(_) => output(&Json::Array(found.into_iter().cloned().collect())),
    }
}

fn eval_contains(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (target, wanted) = (document(call, 0, row, ctx)?, document(call, 1, row, ctx)?);
    let (Some(target), Some(wanted)) = (target, wanted) else { return Ok(Value::Null) };
    if call.args.len() == 2 {
        return Ok(truth_value(Some(contains(&target, &wanted))));
    }
    let Some(path) = single_path(call, 2, row, ctx)? else { return Ok(Value::Null) };
    Ok(truth_value(path.seek(&target).first().map(|found| contains(found, &wanted))))
}

fn eval_contains_path(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(json) = document(call, 0, row, ctx)? else { return Ok(Value::Null) };
    let Some(one) = one_or_all(call, 1, row, ctx)? else { return Ok(Value::Null) };
    for i in 2..call.args.len() {
        let Some(path) = path(call, i, row, ctx)? else { return Ok(Value::Null) };
        let exists = !path.seek(&json).is_empty();
        if exists == one {
            return Ok(truth_value(Some(one)));
        }
    }
    Ok(truth_value(Some(!one)))
}

fn eval_overlaps(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (a, b) = (document(call, 0, row, ctx)?, document(call, 1, row, ctx)?);
    Ok(truth_value(a.zip(b).map(|(a, b)| overlaps(&a, &b))))
}

fn eval_member_of(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    if eval_ref(&call.args[0], row, ctx)?.is_null() {
        return Ok(Value::Null);
    }
    let wanted = part(call, 0, row, ctx)?;
    let Some(json) = document(call, 1, row, ctx)? else { return Ok(Value::Null) };
    let found = match &json {
        Json::Array(items) => items.iter().any(|item| item.order(&wanted).is_eq()),
        other => other.order(&wanted).is_eq(),
    };
    Ok(truth_value(Some(found)))
}

/// What an optional path in argument 1 finds.
fn within(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<Json>> {
    let Some(json) = document(call, 0, row, ctx)? else { return Ok(None) };
    if call.args.len() == 1 {
        return Ok(Some(json));
    }
    let Some(path) = single_path(call, 1, row, ctx)? else { return Ok(None) };
    Ok(path.seek(&json).first().map(|found| (*found).clone()))
}

fn eval_length(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    Ok(within(call, row, ctx)?.map_or(Value::Null, |json| count(json.length())))
}

fn eval_depth(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    Ok(document(call, 0, row, ctx)?.map_or(Value::Null, |json| count(json.depth())))
}

/// Bytes of the stored text (ADR 0120), not of MySQL's binary form.
fn eval_size(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    Ok(document(call, 0, row, ctx)?.map_or(Value::Null, |json| count(json.to_text().len())))
}

fn eval_keys(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    match within(call, row, ctx)? {
        Some(Json::Object(members)) => {
            output(&Json::Array(members.into_iter().map(|(name, _)| Json::String(name)).collect()))
        }
        _ => Ok(Value::Null),
    }
}

fn eval_type(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    Ok(document(call, 0, row, ctx)?
        .map_or(Value::Null, |json| text_value(bytes::Bytes::from_static(json.type_name().as_bytes()))))
}

/// Whether a text is JSON; numbers and moments are none.
fn eval_valid(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let arg = &call.args[0];
    let value = eval_ref(arg, row, ctx)?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let ty = arg.data_type();
    let valid = ty.kind == TypeKind::Json
        || family(ty) == Family::String && document_of(&value, ty, 1, name_of(call)).is_ok();
    Ok(truth_value(Some(valid)))
}

fn eval_search(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(json) = document(call, 0, row, ctx)? else { return Ok(Value::Null) };
    let Some(one) = one_or_all(call, 1, row, ctx)? else { return Ok(Value::Null) };
    let Some(pattern) = text(call, 2, row, ctx)? else { return Ok(Value::Null) };
    let escape = match text(call, 3, row, ctx)? {
        Some(escape) if !escape.is_empty() => escape,
        _ => bytes::Bytes::from_static(b"\\"),
    };
    let mut paths = Vec::new();
    for i in 4..call.args.len() {
        match path(call, i, row, ctx)? {
            Some(path) => paths.push(path),
            None => return Ok(Value::Null),
        }
    }
    let matches = |s: &[u8]| like(Collation::UTF8MB4_BIN, s, &pattern, Some(&escape));
    let mut found: Vec<Json> = search(&json, &paths, &matches, one).into_iter().map(Json::String).collect();
    match (found.pop(), found.is_empty()) {
        (None, _) => Ok(Value::Null),
        (Some(only), true) => output(&only),
        (Some(last), false) => {
            found.push(last);
            output(&Json::Array(found))
        }
    }
}
