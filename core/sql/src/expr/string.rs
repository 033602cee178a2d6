//! String functions: the usual ones. Positions count characters from 1.

use aquifer_types::collation::Charset;
use aquifer_types::{Collation, SqlResult, TypeKind, Value};
use bytes::Bytes;

use super::coerce;
use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, MANY, def, int, text, text_value};
use super::infer::{
    any_nullable, int_type, number, string_of, text_length, typed, unify_compared, unify_texts,
};
use super::ir::{Call, Coercibility, Expr, ExprType, TrimSide};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("concat", 1, MANY, infer_concat, eval_concat),
    def("concat_ws", 2, MANY, infer_concat, eval_concat_ws),
    def("substring", 2, 3, |a, b| infer_part(a, 2, b), eval_substring),
    def("left", 2, 2, |a, b| infer_part(a, 1, b), |c, r, x| take(c, r, x, End::Left)),
    def("right", 2, 2, |a, b| infer_part(a, 1, b), |c, r, x| take(c, r, x, End::Right)),
    def("lpad", 3, 3, infer_pad, |c, r, x| pad(c, r, x, End::Left)),
    def("rpad", 3, 3, infer_pad, |c, r, x| pad(c, r, x, End::Right)),
    def("ltrim", 1, 1, infer_first, |c, r, x| eval_trim(TrimSide::Leading, c, r, x)),
    def("rtrim", 1, 1, infer_first, |c, r, x| eval_trim(TrimSide::Trailing, c, r, x)),
    def("replace", 3, 3, infer_replace, eval_replace),
    def("locate", 2, 3, infer_search, |c, r, x| locate(c, r, x, 1, 0)),
    def("instr", 2, 2, infer_search, |c, r, x| locate(c, r, x, 0, 1)),
    def("upper", 1, 1, infer_first, |c, r, x| map_text(c, r, x, |col, t| col.to_upper(t))),
    def("lower", 1, 1, infer_first, |c, r, x| map_text(c, r, x, |col, t| col.to_lower(t))),
    def("reverse", 1, 1, infer_first, eval_reverse),
    def("length", 1, 1, infer_length, |c, r, x| measure(c, r, x, |_, t| t.len())),
    def("bit_length", 1, 1, infer_length, |c, r, x| measure(c, r, x, |_, t| t.len() * 8)),
    def("char_length", 1, 1, infer_length, |c, r, x| measure(c, r, x, Charset::char_count)),
    def("repeat", 2, 2, infer_repeat, eval_repeat),
    def("space", 1, 1, infer_space, eval_space),
    def("insert", 4, 4, infer_insert, eval_insert),
    def("substring_index", 3, 3, infer_replace_like_first, eval_substring_index),
];

enum End {
    Left,
    Right,
}

/// Collation of the call's result, which is that of its texts.
pub(crate) fn collation(call: &Call) -> Collation {
    call.ty.data_type.collation
}

fn charset(call: &Call) -> Charset {
    collation(call).charset()
}

fn infer_concat(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = args.iter().fold(0_u32, |sum, a| sum.saturating_add(text_length(a.data_type())));
    let (collation, strength) = unify_texts(args, "concat", bind)?;
    Ok(typed(string_of(length, collation), any_nullable(args), strength.min(Coercibility::LITERAL)))
}

/// The text type of the first argument.
pub(crate) fn infer_first(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = text_length(args[0].data_type());
    let (collation, strength) = unify_texts(&mut args[..1], "string", bind)?;
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

/// The text type of the first argument, no longer than argument `at` says if that is constant.
fn infer_part(args: &mut [Expr], at: usize, bind: &BindContext) -> SqlResult<ExprType> {
    let wanted = args.get(at).map_or(u32::MAX, literal_length);
    let length = text_length(args[0].data_type()).min(wanted);
    let (collation, strength) = unify_texts(&mut args[..1], "substring", bind)?;
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

fn infer_replace_like_first(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = text_length(args[0].data_type());
    let (collation, strength) = unify_texts(&mut args[..2], "substring_index", bind)?;
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

fn infer_pad(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = literal_length(&args[1]);
    let mut texts = vec![args[0].clone(), args[2].clone()];
    let (collation, strength) = unify_texts(&mut texts, "lpad", bind)?;
    args[2] = texts.swap_remove(1);
    args[0] = texts.swap_remove(0);
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

/// A length given as a constant; the longest text otherwise.
fn literal_length(e: &Expr) -> u32 {
    match e {
        Expr::Literal { value: Value::Int(n), .. } => u32::try_from((*n).max(0)).unwrap_or(u32::MAX),
        _ => u32::MAX,
    }
}

fn infer_replace(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = text_length(args[0].data_type());
    let grown = length.saturating_mul(text_length(args[2].data_type()).max(1));
    let (collation, strength) = unify_texts(args, "replace", bind)?;
    Ok(typed(string_of(grown, collation), any_nullable(args), strength.min(Coercibility::LITERAL)))
}

fn infer_search(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    unify_compared(&mut args[..2], "locate", bind)?;
    Ok(number(int_type(11), any_nullable(args)))
}

fn infer_length(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(int_type(10), any_nullable(args)))
}

fn infer_repeat(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = text_length(args[0].data_type()).saturating_mul(literal_length(&args[1]));
    let (collation, strength) = unify_texts(&mut args[..1], "repeat", bind)?;
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

fn infer_space(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    Ok(typed(string_of(literal_length(&args[0]), bind.collation), true, Coercibility::LITERAL))
}

fn infer_insert(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = text_length(args[0].data_type()).saturating_add(text_length(args[3].data_type()));
    let mut texts = vec![args[0].clone(), args[3].clone()];
    let (collation, strength) = unify_texts(&mut texts, "insert", bind)?;
    args[3] = texts.swap_remove(1);
    args[0] = texts.swap_remove(0);
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

/// The text unless it is longer than a packet may be; then NULL with warning 1301.
pub(crate) fn limited(call_name: &str, length: u64, ctx: &mut EvalContext) -> bool {
    let fits = length <= ctx.max_allowed_packet;
    if !fits {
        let max = ctx.max_allowed_packet;
        ctx.warn(
            1301,
            format!("Result of {call_name}() was larger than max_allowed_packet ({max}) - truncated"),
        );
    }
    fits
}

fn eval_concat(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let mut out = Vec::new();
    for i in 0..call.args.len() {
        match text(call, i, row, ctx)? {
            Some(t) => out.extend_from_slice(&t),
            None => return Ok(Value::Null),
        }
    }
    if limited("concat", out.len() as u64, ctx) { Ok(text_value(out)) } else { Ok(Value::Null) }
}

fn eval_concat_ws(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(separator) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let mut out = Vec::new();
    let mut first = true;
    for i in 1..call.args.len() {
        if let Some(t) = text(call, i, row, ctx)? {
            if !first {
                out.extend_from_slice(&separator);
            }
            out.extend_from_slice(&t);
            first = false;
        }
    }
    if limited("concat_ws", out.len() as u64, ctx) { Ok(text_value(out)) } else { Ok(Value::Null) }
}

/// `length` characters from the 0-based `start`.
fn slice_chars(set: Charset, text: &Bytes, start: usize, length: usize) -> Bytes {
    let from = set.char_offset(text, start);
    let to = from + set.char_offset(&text[from..], length);
    text.slice(from..to)
}

fn to_count(n: i64) -> usize {
    usize::try_from(n.max(0)).unwrap_or(usize::MAX)
}

fn eval_substring(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(position)) = (text(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let length = match call.args.len() {
        2 => usize::MAX,
        _ => match int(call, 2, row, ctx)? {
            Some(n) => to_count(n),
            None => return Ok(Value::Null),
        },
    };
    let set = charset(call);
    let start = match position {
        0 => return Ok(text_value(Bytes::new())),
        1.. => to_count(position - 1),
        _ => match set
            .char_count(&t)
            .checked_sub(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX))
        {
            Some(start) => start,
            None => return Ok(text_value(Bytes::new())),
        },
    };
    Ok(Value::Bytes(slice_chars(set, &t, start, length)))
}

fn take(call: &Call, row: &[Value], ctx: &mut EvalContext, end: End) -> SqlResult<Value> {
    let (Some(t), Some(n)) = (text(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let (set, n) = (charset(call), to_count(n));
    Ok(Value::Bytes(match end {
        End::Left => slice_chars(set, &t, 0, n),
        End::Right => {
            let start = set.char_count(&t).saturating_sub(n);
            slice_chars(set, &t, start, usize::MAX)
        }
    }))
}

fn pad(call: &Call, row: &[Value], ctx: &mut EvalContext, end: End) -> SqlResult<Value> {
    let (Some(t), Some(n), Some(filler)) =
        (text(call, 0, row, ctx)?, int(call, 1, row, ctx)?, text(call, 2, row, ctx)?)
    else {
        return Ok(Value::Null);
    };
    if n < 0 {
        return Ok(Value::Null);
    }
    let (set, wanted) = (charset(call), to_count(n));
    let has = set.char_count(&t);
    if has >= wanted {
        return Ok(Value::Bytes(slice_chars(set, &t, 0, wanted)));
    }
    if filler.is_empty() {
        return Ok(text_value(Bytes::new()));
    }
    if !limited("lpad", (wanted as u64).saturating_mul(u64::from(set.maxlen())), ctx) {
        return Ok(Value::Null);
    }
    let missing = wanted - has;
    let filler_chars = set.char_count(&filler).max(1);
    let mut padding = filler.repeat(missing / filler_chars);
    padding.extend_from_slice(&slice_chars(set, &filler, 0, missing % filler_chars));
    Ok(match end {
        End::Left => {
            padding.extend_from_slice(&t);
            text_value(padding)
        }
        End::Right => text_value([&t[..], &padding].concat()),
    })
}

/// TRIM, LTRIM and RTRIM: argument 0 less argument 1 (a space) at its ends.
pub(crate) fn eval_trim(
    side: TrimSide,
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let what = match call.args.len() {
        1 => Bytes::from_static(b" "),
        _ => match text(call, 1, row, ctx)? {
            Some(what) => what,
            None => return Ok(Value::Null),
        },
    };
    if what.is_empty() {
        return Ok(Value::Bytes(t));
    }
    let (mut from, mut to) = (0, t.len());
    if side != TrimSide::Trailing {
        while t[from..to].starts_with(&what) {
            from += what.len();
        }
    }
    if side != TrimSide::Leading {
        while t[from..to].ends_with(&what) {
            to -= what.len();
        }
    }
    Ok(Value::Bytes(t.slice(from..to)))
}

/// Where `needle` begins in `hay`, comparing bytes, at character borders of UTF-8 by its nature.
pub(crate) fn find_bytes(hay: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    if needle.is_empty() {
        return Some(from);
    }
    let first = needle[0];
    let last = hay.len().checked_sub(needle.len())?;
    (from..=last).find(|at| hay[*at] == first && hay[*at..].starts_with(needle))
}

fn eval_replace(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(from), Some(to)) =
        (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?, text(call, 2, row, ctx)?)
    else {
        return Ok(Value::Null);
    };
    if from.is_empty() {
        return Ok(Value::Bytes(t));
    }
    let mut out = Vec::with_capacity(t.len());
    let mut at = 0;
    while let Some(found) = find_bytes(&t, &from, at) {
        out.extend_from_slice(&t[at..found]);
        out.extend_from_slice(&to);
        at = found + from.len();
        if out.len() as u64 > ctx.max_allowed_packet {
            limited("replace", out.len() as u64, ctx);
            return Ok(Value::Null);
        }
    }
    out.extend_from_slice(&t[at..]);
    Ok(text_value(out))
}

/// LOCATE and INSTR: compares characters under the arguments' collation.
fn locate(call: &Call, row: &[Value], ctx: &mut EvalContext, hay: usize, needle: usize) -> SqlResult<Value> {
    let (Some(h), Some(n)) = (text(call, hay, row, ctx)?, text(call, needle, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let start = match call.args.len() {
        3 => match int(call, 2, row, ctx)? {
            Some(p) => p,
            None => return Ok(Value::Null),
        },
        _ => 1,
    };
    if start < 1 {
        return Ok(Value::Int(0));
    }
    let collation = call.args[0].data_type().collation;
    let position = find_chars(collation, &h, &n, to_count(start - 1));
    Ok(Value::Int(position.map_or(0, |p| i64::try_from(p + 1).unwrap_or(i64::MAX))))
}

/// 0-based character position of `needle` in `hay` from the character `start` on. As MySQL does it, a match has
/// as many bytes as what is looked for: `a` is not found in `ä`, though they are equal.
pub(crate) fn find_chars(collation: Collation, hay: &[u8], needle: &[u8], start: usize) -> Option<usize> {
    let set = collation.charset();
    let hay_chars: Vec<&[u8]> = set.chars(hay).collect();
    let needle_chars: Vec<&[u8]> = set.chars(needle).collect();
    let last = hay_chars.len().checked_sub(needle_chars.len())?;
    let matches = |at: &usize| {
        let there = &hay_chars[*at..*at + needle_chars.len()];
        there.iter().map(|char| char.len()).sum::<usize>() == needle.len()
            && there.iter().zip(&needle_chars).all(|(a, b)| collation.chars_equal(a, b))
    };
    (start..=last).find(matches)
}

fn map_text(
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
    map: fn(Collation, &[u8]) -> Vec<u8>,
) -> SqlResult<Value> {
    Ok(text(call, 0, row, ctx)?.map_or(Value::Null, |t| text_value(map(collation(call), &t))))
}

fn eval_reverse(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let chars: Vec<&[u8]> = charset(call).chars(&t).collect();
    Ok(text_value(chars.into_iter().rev().flatten().copied().collect::<Vec<u8>>()))
}

fn measure(
    call: &Call,
    row: &[Value],
    ctx: &mut EvalContext,
    size: fn(Charset, &[u8]) -> usize,
) -> SqlResult<Value> {
    let arg = &call.args[0];
    let value = super::eval::eval_ref(arg, row, ctx)?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let ty = arg.data_type();
    let set = match ty.kind {
        TypeKind::Enum | TypeKind::Set | TypeKind::Json => Charset::Utf8mb4,
        _ => ty.collation.charset(),
    };
    let length = size(set, &coerce::text(&value, ty));
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn eval_repeat(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(n)) = (text(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let n = to_count(n);
    if !limited("repeat", (t.len() as u64).saturating_mul(n as u64), ctx) {
        return Ok(Value::Null);
    }
    Ok(text_value(t.repeat(n)))
}

fn eval_space(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(n) = int(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let n = to_count(n);
    if !limited("space", n as u64, ctx) {
        return Ok(Value::Null);
    }
    Ok(text_value(vec![b' '; n]))
}

fn eval_insert(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(position)) = (text(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let (Some(length), Some(new)) = (int(call, 2, row, ctx)?, text(call, 3, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let set = charset(call);
    let count = set.char_count(&t);
    if position < 1 || to_count(position) > count {
        return Ok(Value::Bytes(t));
    }
    let start = to_count(position - 1);
    let removed = if length < 0 { count - start } else { to_count(length).min(count - start) };
    let (from, to) = (set.char_offset(&t, start), set.char_offset(&t, start + removed));
    Ok(text_value([&t[..from], &new, &t[to..]].concat()))
}

fn eval_substring_index(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(separator), Some(count)) =
        (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?, int(call, 2, row, ctx)?)
    else {
        return Ok(Value::Null);
    };
    if count == 0 || separator.is_empty() || t.is_empty() {
        return Ok(text_value(Bytes::new()));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(position) = find_bytes(&t, &separator, at) {
        found.push(position);
        at = position + separator.len();
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted > found.len() {
        return Ok(Value::Bytes(t));
    }
    Ok(Value::Bytes(if count > 0 {
        t.slice(..found[wanted - 1])
    } else {
        t.slice(found[found.len() - wanted] + separator.len()..)
    }))
}
