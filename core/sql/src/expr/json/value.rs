//! From JSON to SQL values: JSON_UNQUOTE and JSON_VALUE.

use aquifer_types::json::{Json, scalar_text};
use aquifer_types::{Collation, SqlError, SqlResult, TypeKind, Value};

use super::super::context::{BindContext, EvalContext};
use super::super::eval::eval_ref;
use super::super::function::{self, FunctionDef, def, text_value};
use super::super::infer::{Family, family, string_of, text_length, typed};
use super::super::ir::{Call, CastTarget, Coercibility, Expr, ExprType};
use super::{document, document_of, element, json_type, name_of, output, single_path};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("json_unquote", 1, 1, infer_unquote, eval_unquote),
    // Document, path, what to do without a value, what to do with one that is no scalar, their defaults.
    def("json_value", 2, 6, |_, _| Ok(json_type(true)), eval_scalar),
];

fn infer_unquote(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let ty = args[0].data_type();
    if !matches!(family(ty), Family::String | Family::Null) {
        return Err(SqlError::new(3064, "Incorrect type for argument 1 in function json_unquote."));
    }
    let length = text_length(ty);
    Ok(typed(string_of(length, Collation::UTF8MB4_BIN), args[0].nullable(), Coercibility::IMPLICIT))
}

fn eval_unquote(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let arg = &call.args[0];
    let value = eval_ref(arg, row, ctx)?;
    let Value::Bytes(text) = &*value else {
        let text = function::text(call, 0, row, ctx)?;
        return Ok(text.map_or(Value::Null, text_value));
    };
    if arg.data_type().kind == TypeKind::Json {
        return Ok(Value::Bytes(scalar_text(text)));
    }
    let quoted = text.len() > 1 && text.starts_with(b"\"") && text.ends_with(b"\"");
    if !quoted {
        return Ok(Value::Bytes(text.clone()));
    }
    match document_of(&value, arg.data_type(), 1, name_of(call))? {
        Some(Json::String(s)) => Ok(text_value(s.into_bytes())),
        _ => Ok(Value::Bytes(text.clone())),
    }
}

/// What JSON_VALUE does when there is no value, or no scalar.
#[derive(Clone)]
pub(crate) enum Otherwise {
    Null,
    Error,
    Default(Expr),
}

impl Otherwise {
    fn code(&self) -> i64 {
        match self {
            Self::Null => 0,
            Self::Error => 1,
            Self::Default(_) => 2,
        }
    }

    fn into_expr(self) -> Expr {
        match self {
            Self::Default(expr) => expr,
            _ => super::super::build::null_literal(),
        }
    }
}

/// `JSON_VALUE(document, path [RETURNING target] [… ON EMPTY] [… ON ERROR])`; without a target a text of up to
/// 512 characters.
///
/// # Errors
/// Those of the CAST.
pub(crate) fn json_value(
    document: Expr,
    path: Expr,
    target: Option<CastTarget>,
    (empty, error): (Otherwise, Otherwise),
    bind: &BindContext,
) -> SqlResult<Expr> {
    use super::super::build::int_literal;
    let codes = (int_literal(empty.code()), int_literal(error.code()));
    let args = vec![document, path, codes.0, codes.1, empty.into_expr(), error.into_expr()];
    let found = function::function("json_value", args, bind)?;
    let target = target.unwrap_or(CastTarget::Char(Some(512), Collation::UTF8MB4_0900_AI_CI));
    let plain = match &target {
        CastTarget::Json => return Ok(found),
        CastTarget::Char(..) | CastTarget::Binary(_) => {
            function::function("json_unquote", vec![found], bind)?
        }
        _ => found,
    };
    super::super::build_more::cast(plain, target, bind)
}

fn eval_scalar(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(json) = document(call, 0, row, ctx)? else { return Ok(Value::Null) };
    let Some(path) = single_path(call, 1, row, ctx)? else { return Ok(Value::Null) };
    let found = path.seek(&json).first().copied();
    let (at, missing) = match found {
        Some(Json::Null) => return Ok(Value::Null),
        Some(Json::Array(_) | Json::Object(_)) => (3, false),
        Some(scalar) => return output(scalar),
        None => (2, true),
    };
    match function::int(call, at, row, ctx)?.unwrap_or(0) {
        1 if missing => Err(SqlError::new(3966, "No value was found by 'json_value' on the specified path.")),
        1 => Err(SqlError::new(3967, "More than one value was found by 'json_value' on the specified path.")),
        2 => {
            let arg = &call.args[at + 2];
            let value = eval_ref(arg, row, ctx)?;
            if value.is_null() { Ok(Value::Null) } else { output(&element(arg, &value)?) }
        }
        _ => Ok(Value::Null),
    }
}
