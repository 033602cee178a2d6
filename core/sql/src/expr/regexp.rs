//! REGEXP_LIKE and its kin (manual 12.8.2). Positions and occurrences count from 1, positions in characters.

use std::ops::Range;

use aquifer_types::{Collation, SqlError, SqlResult, Value};
use bytes::Bytes;

use super::build::bool_type;
use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, def, int, text, text_value};
use super::infer::{
    any_nullable, int_type, number, string_of, text_length, typed, unify_compared, unify_texts,
};
use super::ir::{Call, Coercibility, Expr, ExprType};
use super::regex_match::with_regex;

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("regexp_like", 2, 3, infer_like, eval_like),
    def("regexp_replace", 3, 6, |a, b| infer_text(a, 3, b), eval_replace),
    def("regexp_substr", 2, 5, |a, b| infer_text(a, 2, b), eval_substr),
    def("regexp_instr", 2, 6, infer_instr, eval_instr),
];

fn infer_like(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    unify_compared(&mut args[..2], "regexp_like", bind)?;
    Ok(bool_type(any_nullable(args)))
}

fn infer_instr(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    unify_compared(&mut args[..2], "regexp_instr", bind)?;
    Ok(number(int_type(21), any_nullable(args)))
}

fn infer_text(args: &mut [Expr], texts: usize, bind: &BindContext) -> SqlResult<ExprType> {
    let length = text_length(args[0].data_type());
    let (collation, strength) = unify_texts(&mut args[..texts], "regexp_replace", bind)?;
    unify_compared(&mut args[..texts], "regexp_replace", bind)?;
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

/// What a search is given besides text and pattern.
struct Search {
    text: Bytes,
    pattern: Bytes,
    collation: Collation,
    /// Byte at which it starts.
    from: usize,
    occurrence: i64,
    flags: Bytes,
}

/// Reads text, pattern, and from argument `at` on position and occurrence, then the flags as the last of
/// `flags_at`; `None` when one is NULL.
fn search(
    call: &Call,
    at: usize,
    flags_at: usize,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Option<Search>> {
    let collation = call.args[0].data_type().collation;
    let (Some(t), Some(pattern)) = (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(None);
    };
    let number = |i: usize, ctx: &mut EvalContext| match call.args.len() > i {
        true => int(call, i, row, ctx),
        false => Ok(Some(1)),
    };
    let (Some(position), Some(occurrence)) = (number(at, ctx)?, number(at + 1, ctx)?) else {
        return Ok(None);
    };
    let flags = match call.args.len() > flags_at {
        true => match text(call, flags_at, row, ctx)? {
            Some(flags) => flags,
            None => return Ok(None),
        },
        false => Bytes::new(),
    };
    let charset = collation.charset();
    let skipped = usize::try_from(position - 1).ok().filter(|n| *n <= charset.char_count(&t));
    let Some(skipped) = skipped else {
        return Err(SqlError::new(3686, "Index out of bounds in regular expression search."));
    };
    let from = charset.char_offset(&t, skipped);
    Ok(Some(Search { text: t, pattern, collation, from, occurrence, flags }))
}

impl Search {
    /// Where the wanted occurrence is, in bytes.
    fn find(&self) -> SqlResult<Option<Range<usize>>> {
        let skip = usize::try_from(self.occurrence - 1).unwrap_or(0);
        with_regex(self.collation, &self.pattern, &self.flags, |regex| {
            let tail = &self.text[self.from..];
            regex.find_iter(tail).nth(skip).map(|m| m.start() + self.from..m.end() + self.from)
        })
    }
}

fn eval_like(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let flags = match call.args.len() {
        3 => match text(call, 2, row, ctx)? {
            Some(flags) => flags,
            None => return Ok(Value::Null),
        },
        _ => Bytes::new(),
    };
    let (Some(t), Some(pattern)) = (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let collation = call.args[0].data_type().collation;
    let matched = with_regex(collation, &pattern, &flags, |regex| regex.is_match(&t))?;
    Ok(super::eval::truth_value(Some(matched)))
}

/// Occurrence 0, the default, is all.
fn eval_replace(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(mut search), Some(new)) = (search(call, 3, 5, row, ctx)?, text(call, 2, row, ctx)?) else {
        return Ok(Value::Null);
    };
    if call.args.len() < 5 {
        search.occurrence = 0;
    }
    // `$1` names a group as `${1}` does, whatever follows it.
    let template = group_names(&new)
        .ok_or_else(|| SqlError::new(3686, "Index out of bounds in regular expression search."))?;
    let replaced = with_regex(search.collation, &search.pattern, &search.flags, |regex| {
        let tail = &search.text[search.from..];
        let mut out = search.text[..search.from].to_vec();
        let mut end = 0;
        for (number, found) in (1_i64..).zip(regex.captures_iter(tail)) {
            let whole = found.get_match().range();
            if search.occurrence > 0 && number != search.occurrence {
                continue;
            }
            out.extend_from_slice(&tail[end..whole.start]);
            found.expand(&template, &mut out);
            end = whole.end;
            if search.occurrence > 0 {
                break;
            }
        }
        out.extend_from_slice(&tail[end..]);
        out
    })?;
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

fn eval_substr(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(search) = search(call, 2, 4, row, ctx)? else { return Ok(Value::Null) };
    Ok(search.find()?.map_or(Value::Null, |range| Value::Bytes(search.text.slice(range))))
}

/// Return option 0 is where the match begins, 1 the position after it.
fn eval_instr(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(search) = search(call, 2, 5, row, ctx)? else { return Ok(Value::Null) };
    let option = match call.args.len() > 4 {
        true => match int(call, 4, row, ctx)? {
            Some(option) => option,
            None => return Ok(Value::Null),
        },
        false => 0,
    };
    if !(0..=1).contains(&option) {
        let text = "Incorrect arguments to regexp_instr: return_option must be 1 or 0.";
        return Err(SqlError::new(1210, text));
    }
    let charset = search.collation.charset();
    let position = search.find()?.map_or(0, |range| {
        let at = if option == 0 { range.start } else { range.end };
        charset.char_count(&search.text[..at]) + 1
    });
    Ok(Value::Int(i64::try_from(position).unwrap_or(0)))
}
