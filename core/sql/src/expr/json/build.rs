//! Functions that make documents: JSON_ARRAY, JSON_OBJECT, JSON_QUOTE, JSON_MERGE_*, JSON_PRETTY.

use aquifer_types::json::{Json, merge_patch, merge_preserve};
use aquifer_types::{Collation, SqlError, SqlResult, Value};

use super::super::context::{BindContext, EvalContext};
use super::super::function::{FunctionDef, MANY, def, text, text_value};
use super::super::infer::{Family, any_nullable, family, string_of, text_length, typed};
use super::super::ir::{Call, Coercibility, Expr, ExprType};
use super::{document, json_type, name_of, output, part};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("json_array", 0, MANY, |_, _| Ok(json_type(false)), eval_array),
    def("json_object", 0, MANY, infer_object, eval_object),
    def("json_quote", 1, 1, infer_quote, eval_quote),
    def("json_pretty", 1, 1, infer_text, eval_pretty),
    def("json_merge_patch", 2, MANY, infer_json, |c, r, x| merge(c, r, x, Merge::Patch)),
    def("json_merge_preserve", 2, MANY, infer_json, |c, r, x| merge(c, r, x, Merge::Preserve)),
    def("json_merge", 2, MANY, infer_json, eval_merge_deprecated),
];

/// Text of a document.
pub(super) fn infer_text(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(typed(string_of(u32::MAX, Collation::UTF8MB4_BIN), any_nullable(args), Coercibility::IMPLICIT))
}

fn infer_json(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(json_type(any_nullable(args)))
}

fn infer_object(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    if args.len() % 2 == 1 {
        let text = "Incorrect parameter count in the call to native function 'json_object'";
        return Err(SqlError::new(1582, text));
    }
    Ok(json_type(false))
}

fn infer_quote(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    if !matches!(family(args[0].data_type()), Family::String | Family::Null) {
        return Err(SqlError::new(3064, "Incorrect type for argument 1 in function json_quote."));
    }
    let length = text_length(args[0].data_type()).saturating_mul(6).saturating_add(2);
    Ok(typed(string_of(length, Collation::UTF8MB4_BIN), args[0].nullable(), Coercibility::IMPLICIT))
}

fn eval_array(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let items: SqlResult<Vec<Json>> = (0..call.args.len()).map(|i| part(call, i, row, ctx)).collect();
    output(&Json::Array(items?))
}

/// The name of a member; NULL is error 3158.
pub(crate) fn member_name(json: Json) -> SqlResult<String> {
    match json {
        Json::Null => Err(SqlError::new(3158, "JSON documents may not contain NULL member names.")),
        Json::String(name) => Ok(name),
        other => Ok(String::from_utf8_lossy(&other.to_text()).into_owned()),
    }
}

fn eval_object(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let mut members = Vec::with_capacity(call.args.len() / 2);
    for i in (0..call.args.len()).step_by(2) {
        let name = match text(call, i, row, ctx)? {
            Some(_) => member_name(part(call, i, row, ctx)?)?,
            None => member_name(Json::Null)?,
        };
        members.push((name, part(call, i + 1, row, ctx)?));
    }
    output(&Json::object(members))
}

fn eval_quote(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    match text(call, 0, row, ctx)? {
        Some(text) => {
            let quoted = Json::String(String::from_utf8_lossy(&text).into_owned()).to_text();
            Ok(text_value(quoted))
        }
        None => Ok(Value::Null),
    }
}

fn eval_pretty(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    Ok(document(call, 0, row, ctx)?.map_or(Value::Null, |json| text_value(json.to_pretty())))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    Patch,
    Preserve,
}

/// A NULL makes the result NULL; a patch that is no object makes the NULLs before it irrelevant.
fn merge(call: &Call, row: &[Value], ctx: &mut EvalContext, how: Merge) -> SqlResult<Value> {
    let mut merged = document(call, 0, row, ctx)?;
    for i in 1..call.args.len() {
        let next = document(call, i, row, ctx)?;
        merged = match (how, merged, next) {
            (_, _, None) => None,
            (Merge::Patch, _, Some(next)) if !matches!(next, Json::Object(_)) => Some(next),
            (_, None, _) => None,
            (Merge::Patch, Some(a), Some(b)) => Some(merge_patch(a, b)),
            (Merge::Preserve, Some(a), Some(b)) => Some(merge_preserve(a, b)),
        };
    }
    merged.map_or(Ok(Value::Null), |json| output(&json))
}

fn eval_merge_deprecated(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    if ctx.warnings.entries().iter().all(|w| w.code != 1287) {
        let text = format!(
            "'{}' is deprecated and will be removed in a future release. Please use \
             JSON_MERGE_PRESERVE/JSON_MERGE_PATCH instead",
            name_of(call).to_ascii_uppercase()
        );
        ctx.warn(1287, text);
    }
    merge(call, row, ctx, Merge::Preserve)
}
