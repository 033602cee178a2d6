//! String functions: codes, lists, formats, number systems.

use aquifer_types::number::write_u64;
use aquifer_types::{Collation, SqlResult, TypeKind, Value};
use bytes::Bytes;

use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, MANY, bits, decimal, def, double, int, text, text_value, value};
use super::infer::{
    Family, Numeric, any_nullable, family, int_type, number, numeric, string_of, text_length, typed,
    unify_compared, unify_texts,
};
use super::ir::{Call, Coercibility, Expr, ExprType};
use super::string::infer_first;

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("hex", 1, 1, infer_hex, eval_hex),
    def("unhex", 1, 1, infer_unhex, eval_unhex),
    def("ascii", 1, 1, infer_code, first_byte),
    def("ord", 1, 1, infer_code, eval_ord),
    def("char", 1, MANY, infer_char, eval_char),
    def("field", 2, MANY, infer_field, eval_field),
    def("elt", 2, MANY, infer_elt, eval_elt),
    def("find_in_set", 2, 2, infer_find_in_set, eval_find_in_set),
    def("make_set", 2, MANY, infer_elt, eval_make_set),
    def("export_set", 3, 5, infer_export_set, eval_export_set),
    def("strcmp", 2, 2, infer_strcmp, eval_strcmp),
    def("quote", 1, 1, infer_quote, eval_quote),
    def(
        "format",
        2,
        3,
        |_, b| Ok(typed(string_of(64, b.collation), true, Coercibility::LITERAL)),
        eval_format,
    ),
    def("to_base64", 1, 1, infer_base64, eval_to_base64),
    def("from_base64", 1, 1, infer_unhex, eval_from_base64),
    def("soundex", 1, 1, infer_first, eval_soundex),
    def("bin", 1, 1, infer_radix, |c, r, x| radix(c, r, x, 2)),
    def("oct", 1, 1, infer_radix, |c, r, x| radix(c, r, x, 8)),
    def("conv", 3, 3, infer_radix, eval_conv),
];

fn text_type(length: u32, bind: &BindContext) -> ExprType {
    typed(string_of(length, bind.collation), true, Coercibility::LITERAL)
}

fn infer_hex(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let bytes =
        text_length(args[0].data_type()).saturating_mul(args[0].data_type().collation.charset().maxlen());
    Ok(text_type(bytes.saturating_mul(2).max(16), bind))
}

fn infer_unhex(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(typed(string_of(text_length(args[0].data_type()), Collation::BINARY), true, Coercibility::LITERAL))
}

fn infer_code(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(int_type(21), any_nullable(args)))
}

fn infer_char(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let length = u32::try_from(args.len() * 4).unwrap_or(u32::MAX);
    Ok(typed(string_of(length, Collation::BINARY), true, Coercibility::LITERAL))
}

fn infer_field(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let texts = args.iter().all(|a| family(a.data_type()) == Family::String);
    if texts {
        unify_compared(args, "field", bind)?;
    }
    Ok(number(int_type(3), false))
}

fn infer_elt(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let length = args[1..].iter().fold(0_u32, |sum, a| sum.saturating_add(text_length(a.data_type()) + 1));
    let (collation, strength) = unify_texts(&mut args[1..], "elt", bind)?;
    Ok(typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL)))
}

fn infer_export_set(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let part = args[1..].iter().map(|a| text_length(a.data_type())).max().unwrap_or(1);
    let last = args.len().min(4);
    let (collation, strength) = unify_texts(&mut args[1..last], "export_set", bind)?;
    let ty = string_of(part.saturating_mul(128), collation);
    Ok(typed(ty, true, strength.min(Coercibility::LITERAL)))
}

fn infer_find_in_set(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    unify_compared(args, "find_in_set", bind)?;
    Ok(number(int_type(3), any_nullable(args)))
}

fn infer_strcmp(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    unify_compared(args, "strcmp", bind)?;
    Ok(number(int_type(2), any_nullable(args)))
}

fn infer_quote(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let mut ty = infer_first(args, bind)?;
    ty.data_type.length = ty.data_type.length.saturating_mul(2).saturating_add(2);
    ty.nullable = false;
    Ok(ty)
}

fn infer_base64(args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    Ok(text_type(text_length(args[0].data_type()).saturating_mul(2).saturating_add(4), bind))
}

fn infer_radix(_args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    Ok(text_type(64, bind))
}

fn to_hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}

fn eval_hex(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let ty = call.args[0].data_type();
    let given = value(call, 0, row, ctx)?;
    match given {
        Value::Null => Ok(Value::Null),
        Value::Bytes(b) => Ok(text_value(to_hex(&b))),
        Value::UInt(_) if ty.members.is_some() => Ok(text_value(to_hex(&super::coerce::text(&given, ty)))),
        other
            if numeric(ty) == Numeric::Double
                || !matches!(other, Value::Date(_) | Value::Time(_) | Value::DateTime(_)) =>
        {
            let n = super::coerce::bits64(&other, ty, ctx)?;
            Ok(text_value(format!("{n:X}")))
        }
        other => Ok(text_value(to_hex(&super::coerce::text(&other, ty)))),
    }
}

fn hex_digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn eval_unhex(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let digits: Option<Vec<u8>> = t.iter().map(|b| hex_digit(*b)).collect();
    let Some(mut digits) = digits else {
        let shown = String::from_utf8_lossy(&t).into_owned();
        return ctx.null_with(1411, format!("Incorrect string value: '{shown}' for function unhex"));
    };
    if digits.len() % 2 == 1 {
        digits.insert(0, 0);
    }
    Ok(text_value(digits.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect::<Vec<u8>>()))
}

fn first_byte(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let t = text(call, 0, row, ctx)?;
    Ok(t.map_or(Value::Null, |t| Value::Int(t.first().map_or(0, |b| i64::from(*b)))))
}

fn eval_ord(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let len = call.args[0].data_type().collation.charset().char_len(&t);
    Ok(Value::Int(t[..len].iter().fold(0, |n, b| n << 8 | i64::from(*b))))
}

fn eval_char(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let mut out = Vec::new();
    for i in 0..call.args.len() {
        if let Some(n) = bits(call, i, row, ctx)? {
            let bytes = (n & 0xFFFF_FFFF).to_be_bytes();
            let skip = bytes[..7].iter().take_while(|b| **b == 0).count();
            out.extend_from_slice(&bytes[skip..]);
        }
    }
    Ok(text_value(out))
}

fn eval_field(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let wanted = value(call, 0, row, ctx)?;
    if wanted.is_null() {
        return Ok(Value::Int(0));
    }
    let texts = call.args.iter().all(|a| super::infer::family(a.data_type()) == super::infer::Family::String);
    for i in 1..call.args.len() {
        let equal = if texts {
            let (a, b) = (text(call, 0, row, ctx)?, text(call, i, row, ctx)?);
            let c = call.args[0].data_type().collation;
            matches!((a, b), (Some(a), Some(b)) if c.equal(&a, &b))
        } else {
            let (a, b) = (double(call, 0, row, ctx)?, double(call, i, row, ctx)?);
            matches!((a, b), (Some(a), Some(b)) if a.total_cmp(&b).is_eq())
        };
        if equal {
            return Ok(Value::Int(i64::try_from(i).unwrap_or(0)));
        }
    }
    Ok(Value::Int(0))
}

fn eval_elt(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let n = int(call, 0, row, ctx)?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n >= 1);
    match n {
        Some(n) => Ok(text(call, n, row, ctx)?.map_or(Value::Null, Value::Bytes)),
        None => Ok(Value::Null),
    }
}

fn eval_find_in_set(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(wanted), Some(list)) = (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    if list.is_empty() || wanted.contains(&b',') {
        return Ok(Value::Int(0));
    }
    let collation = call.args[0].data_type().collation;
    let at = list.split(|b| *b == b',').position(|part| collation.equal(part, &wanted));
    Ok(Value::Int(at.map_or(0, |i| i64::try_from(i + 1).unwrap_or(0))))
}

fn eval_make_set(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(mask) = bits(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let mut parts = Vec::new();
    for i in (1..call.args.len()).take(64) {
        if mask >> (i - 1) & 1 == 1 {
            parts.extend(text(call, i, row, ctx)?);
        }
    }
    Ok(text_value(parts.join(&b","[..])))
}

fn eval_export_set(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(mask), Some(on), Some(off)) =
        (bits(call, 0, row, ctx)?, text(call, 1, row, ctx)?, text(call, 2, row, ctx)?)
    else {
        return Ok(Value::Null);
    };
    let separator =
        if call.args.len() > 3 { text(call, 3, row, ctx)? } else { Some(Bytes::from_static(b",")) };
    let count = if call.args.len() > 4 { int(call, 4, row, ctx)? } else { Some(64) };
    let (Some(separator), Some(count)) = (separator, count) else {
        return Ok(Value::Null);
    };
    let count = usize::try_from(count).map_or(64, |n| n.min(64));
    let parts: Vec<&[u8]> = (0..count).map(|i| if mask >> i & 1 == 1 { &on[..] } else { &off[..] }).collect();
    Ok(text_value(parts.join(&separator[..])))
}

fn eval_strcmp(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(a), Some(b)) = (text(call, 0, row, ctx)?, text(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let collation = call.args[0].data_type().collation;
    Ok(Value::Int(collation.compare(&a, &b) as i64))
}

fn eval_quote(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(text_value("NULL"));
    };
    let mut out = vec![b'\''];
    for b in &t {
        match b {
            b'\'' | b'\\' => out.extend_from_slice(&[b'\\', *b]),
            0 => out.extend_from_slice(b"\\0"),
            0x1A => out.extend_from_slice(b"\\Z"),
            other => out.push(*other),
        }
    }
    out.push(b'\'');
    Ok(text_value(out))
}

fn eval_format(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(n), Some(digits)) = (decimal(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    let scale = i32::try_from(digits.clamp(0, 30)).unwrap_or(0);
    let plain = n.round(scale).to_string();
    let (sign, rest) = plain.strip_prefix('-').map_or(("", plain.as_str()), |r| ("-", r));
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut out = sign.to_owned();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if scale > 0 {
        out.push('.');
        out.push_str(fraction);
    }
    Ok(text_value(out))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn eval_to_base64(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let mut out = Vec::with_capacity(t.len() * 4 / 3 + 4);
    for (i, chunk) in t.chunks(3).enumerate() {
        // Lines have 76 characters.
        if i > 0 && i.is_multiple_of(19) {
            out.push(b'\n');
        }
        let word = chunk.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for k in 0..4 {
            let digit = usize::try_from(word >> (18 - 6 * k) & 63).unwrap_or(0);
            out.push(if k <= chunk.len() { BASE64[digit] } else { b'=' });
        }
    }
    Ok(text_value(out))
}

fn eval_from_base64(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    Ok(decode_base64(&t).map_or(Value::Null, text_value))
}

fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let significant: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let padding = significant.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 || !significant.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(significant.len() / 4 * 3);
    for chunk in significant[..significant.len() - padding].chunks(4) {
        let mut word = 0_u32;
        for b in chunk {
            let digit = BASE64.iter().position(|d| d == b)?;
            word = word << 6 | u32::try_from(digit).ok()?;
        }
        word <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

fn eval_soundex(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let code = |b: u8| match b {
        b'B' | b'F' | b'P' | b'V' => b'1',
        b'C' | b'G' | b'J' | b'K' | b'Q' | b'S' | b'X' | b'Z' => b'2',
        b'D' | b'T' => b'3',
        b'L' => b'4',
        b'M' | b'N' => b'5',
        b'R' => b'6',
        _ => b'0',
    };
    let mut letters = t.iter().filter(|b| b.is_ascii_alphabetic()).map(u8::to_ascii_uppercase);
    let Some(first) = letters.next() else {
        return Ok(text_value(Bytes::new()));
    };
    let mut out = vec![first];
    let mut last = code(first);
    for letter in letters {
        if matches!(letter, b'H' | b'W') {
            continue;
        }
        let c = code(letter);
        if c != last && c != b'0' {
            out.push(c);
        }
        last = c;
    }
    while out.len() < 4 {
        out.push(b'0');
    }
    Ok(text_value(out))
}

fn in_radix(n: u64, base: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = n;
    loop {
        let digit = char::from_digit(u32::try_from(rest % base).unwrap_or(0), 36).unwrap_or('0');
        out.push(digit.to_ascii_uppercase() as u8);
        rest /= base;
        if rest == 0 {
            break;
        }
    }
    out.reverse();
    out
}

/// BIN and OCT: as CONV(x, 10, base), so that a fraction is cut off and not rounded.
fn radix(call: &Call, row: &[Value], ctx: &mut EvalContext, base: u64) -> SqlResult<Value> {
    if call.args[0].data_type().kind == TypeKind::Decimal {
        let digits = text(call, 0, row, ctx)?;
        return Ok(digits.map_or(Value::Null, |t| text_value(in_radix(leading_integer(&t, 10), base))));
    }
    Ok(bits(call, 0, row, ctx)?.map_or(Value::Null, |n| text_value(in_radix(n, base))))
}

/// The integer that a text begins with; a negative one wraps around.
fn leading_integer(text: &[u8], base: u32) -> u64 {
    let negative = text.first() == Some(&b'-');
    let mut n = 0_u64;
    for b in &text[usize::from(negative)..] {
        let Some(digit) = char::from(*b).to_digit(base) else {
            break;
        };
        n = n.saturating_mul(u64::from(base)).saturating_add(u64::from(digit));
    }
    if negative { n.wrapping_neg() } else { n }
}

fn eval_conv(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(from), Some(to)) =
        (text(call, 0, row, ctx)?, int(call, 1, row, ctx)?, int(call, 2, row, ctx)?)
    else {
        return Ok(Value::Null);
    };
    let legal = |base: i64| (2..=36).contains(&base.unsigned_abs());
    if !legal(from) || !legal(to) || t.is_empty() {
        return Ok(Value::Null);
    }
    let n = leading_integer(&t, u32::try_from(from.unsigned_abs()).unwrap_or(10));
    let signed = n.cast_signed();
    let mut out = Vec::new();
    if to < 0 && signed < 0 {
        out.push(b'-');
        out.extend(in_radix(signed.unsigned_abs(), to.unsigned_abs()));
    } else if to == 10 {
        write_u64(n, &mut out);
    } else {
        out = in_radix(n, to.unsigned_abs());
    }
    Ok(text_value(out))
}
