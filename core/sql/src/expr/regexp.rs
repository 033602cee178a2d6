//! REGEXP_LIKE and its kin.

use aquifer_types::{Collation, SqlError, SqlResult, Value};
use bytes::Bytes;

use super::build::bool_type;
use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, def, text, text_value};
use super::infer::{any_nullable, string_of, text_length, typed, unify_compared, unify_texts};
use super::ir::{Call, Coercibility, Expr, ExprType};
use super::regex_match::with_regex;

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("regexp_like", 2, 3, infer_regexp, eval_regexp_like),
    def("regexp_replace", 3, 3, infer_regexp_text, eval_regexp_replace),
    def("regexp_substr", 2, 2, infer_regexp_text, eval_regexp_substr),
    def("regexp_instr", 2, 2, infer_regexp, eval_regexp_instr),
];

fn infer_regexp(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    unify_compared(args, "regexp_like", bind)?;
    Ok(bool_type(any_nullable(args)))
}

fn infer_regexp_text(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = text_length(args[0].data_type());
    let (collation, strength) = unify_texts(args, "regexp_replace", bind)?;
    unify_compared(args, "regexp_replace", bind)?;
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

/// Text and pattern of a regular expression function; `None` when one is NULL.
fn text_and_pattern(
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Option<(Bytes, Bytes, Collation)>> {
    let c = call.args[0].data_type().collation;
    Ok(text(call, 0, row, ctx)?.zip(text(call, 1, row, ctx)?).map(|(t, p)| (t, p, c)))
}

fn eval_regexp_like(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let flags = match call.args.len() {
        3 => match text(call, 2, row, ctx)? {
            Some(flags) => flags,
            None => return Ok(Value::Null),
        },
        _ => Bytes::new(),
    };
    let Some((t, pattern, c)) = text_and_pattern(call, row, ctx)? else {
        return Ok(Value::Null);
    };
    let matched = with_regex(c, &pattern, &flags, |regex| regex.is_match(&t))?;
    Ok(super::eval::truth_value(Some(matched)))
}

fn eval_regexp_replace(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some((t, pattern, c)), Some(new)) = (text_and_pattern(call, row, ctx)?, text(call, 2, row, ctx)?)
    else {
        return Ok(Value::Null);
    };
    // `$1` names a group as `${1}` does, whatever follows it.
    let template = group_names(&new)
        .ok_or_else(|| SqlError::new(3686, "Index out of bounds in regular expression search."))?;
    let replaced = with_regex(c, &pattern, b"", |regex| regex.replace_all(&t, &template[..]).into_owned())?;
    Ok(text_value(replaced))
}

fn group_names(template: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(template.len());
    let mut bytes = template.iter().peekable();
    while let Some(b) = bytes.next() {
        match b {
            b'$' => {
                let digit = bytes.next().filter(|d| d.is_ascii_digit())?;
                out.extend_from_slice(&[b'$', b'{', *digit, b'}']);
            }
            b'\\' => out.extend(bytes.next()),
            other => out.push(*other),
        }
    }
    Some(out)
}

fn eval_regexp_substr(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some((t, pattern, c)) = text_and_pattern(call, row, ctx)? else {
        return Ok(Value::Null);
    };
    let found = with_regex(c, &pattern, b"", |regex| regex.find(&t).map(|m| m.range()))?;
    Ok(found.map_or(Value::Null, |range| Value::Bytes(t.slice(range))))
}

fn eval_regexp_instr(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some((t, pattern, c)) = text_and_pattern(call, row, ctx)? else {
        return Ok(Value::Null);
    };
    let found = with_regex(c, &pattern, b"", |regex| regex.find(&t).map(|m| m.start()))?;
    let position = found.map_or(0, |at| c.charset().char_count(&t[..at]) + 1);
    Ok(Value::Int(i64::try_from(position).unwrap_or(0)))
}
