//! Digests, UUIDs and addresses.

use aquifer_types::{Collation, SqlError, SqlResult, Value};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::build::bool_type;
use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, bits, def, int, text, text_value};
use super::infer::{any_nullable, number, string_of, typed, uint_type};
use super::ir::{Call, Coercibility, Expr, ExprType};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("md5", 1, 1, |a, b| hex_type(a, b, 32), |c, r, x| digest(c, r, x, |t| hex(&Md5::digest(t)))),
    def("sha1", 1, 1, |a, b| hex_type(a, b, 40), |c, r, x| digest(c, r, x, |t| hex(&Sha1::digest(t)))),
    def("sha2", 2, 2, |a, b| hex_type(a, b, 128), eval_sha2),
    def("uuid", 0, 0, infer_uuid, eval_uuid).volatile(),
    def("is_uuid", 1, 1, |a, _| Ok(bool_type(any_nullable(a))), eval_is_uuid),
    def("uuid_to_bin", 1, 2, infer_uuid_bytes, eval_uuid_to_bin),
    def("bin_to_uuid", 1, 2, infer_uuid, eval_bin_to_uuid),
    def("inet_aton", 1, 1, |_, _| Ok(number(uint_type(21), true)), eval_inet_aton),
    def("inet_ntoa", 1, 1, |a, b| hex_type(a, b, 31), eval_inet_ntoa),
];

fn hex_type(_args: &mut [Expr], bind: &BindContext, length: u32) -> SqlResult<ExprType> {
    Ok(typed(string_of(length, bind.collation), true, Coercibility::LITERAL))
}

fn infer_uuid(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let ty = string_of(36, Collation::UTF8MB3_GENERAL_CI);
    Ok(typed(ty, !args.is_empty(), Coercibility::LITERAL))
}

fn infer_uuid_bytes(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(typed(string_of(16, Collation::BINARY), true, Coercibility::LITERAL))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn digest(call: &Call, row: &[Value], ctx: &mut EvalContext, make: fn(&[u8]) -> String) -> SqlResult<Value> {
    Ok(text(call, 0, row, ctx)?.map_or(Value::Null, |t| text_value(make(&t))))
}

fn eval_sha2(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let (Some(t), Some(length)) = (text(call, 0, row, ctx)?, int(call, 1, row, ctx)?) else {
        return Ok(Value::Null);
    };
    Ok(match length {
        224 => text_value(hex(&Sha224::digest(&t))),
        0 | 256 => text_value(hex(&Sha256::digest(&t))),
        384 => text_value(hex(&Sha384::digest(&t))),
        512 => text_value(hex(&Sha512::digest(&t))),
        _ => Value::Null,
    })
}

/// A UUID of version 1 in form, as MySQL gives: time first, then random bits for clock and node.
fn eval_uuid(_call: &Call, _row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    // 100 ns since 1582-10-15, with random low digits below a microsecond.
    let random = ctx.environment.random();
    let micros = u64::try_from(ctx.environment.now_micros()).unwrap_or(0);
    let ticks = micros * 10 + 0x01B2_1DD2_1381_4000 + random % 10;
    let (low, mid, high) = (ticks & 0xFFFF_FFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF | 0x1000);
    let clock = ctx.environment.random() & 0x3FFF | 0x8000;
    // The multicast bit says that the node is not a network address.
    let node = random >> 16 & 0xFFFF_FFFF_FFFF | 0x0100_0000_0000;
    Ok(text_value(format!("{low:08x}-{mid:04x}-{high:04x}-{clock:04x}-{node:012x}")))
}

/// The 16 bytes of a UUID with or without dashes and braces.
fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let inner = text.strip_prefix(b"{").and_then(|t| t.strip_suffix(b"}")).unwrap_or(text);
    let dashed = inner.len() == 36 && [8, 13, 18, 23].iter().all(|i| inner[*i] == b'-');
    let digits: Vec<u8> = if dashed {
        inner.iter().enumerate().filter(|(i, _)| ![8, 13, 18, 23].contains(i)).map(|(_, b)| *b).collect()
    } else {
        inner.to_vec()
    };
    if digits.len() != 32 {
        return None;
    }
    let mut out = [0; 16];
    for (slot, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *slot = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

fn eval_is_uuid(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    Ok(text(call, 0, row, ctx)?.map_or(Value::Null, |t| Value::Int(i64::from(parse_uuid(&t).is_some()))))
}

fn wants_swap(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<bool> {
    Ok(int(call, 1, row, ctx)?.is_some_and(|n| n != 0))
}

fn eval_uuid_to_bin(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let Some(uuid) = parse_uuid(&t) else {
        let shown = String::from_utf8_lossy(&t).into_owned();
        return Err(SqlError::new(
            1411,
            format!("Incorrect string value: '{shown}' for function uuid_to_bin"),
        ));
    };
    if wants_swap(call, row, ctx)? {
        let swapped = [&uuid[6..8], &uuid[4..6], &uuid[0..4], &uuid[8..]].concat();
        return Ok(text_value(swapped));
    }
    Ok(text_value(uuid.to_vec()))
}

fn eval_bin_to_uuid(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    if t.len() != 16 {
        let shown = String::from_utf8_lossy(&t).into_owned();
        return Err(SqlError::new(
            1411,
            format!("Incorrect string value: '{shown}' for function bin_to_uuid"),
        ));
    }
    let bytes = if wants_swap(call, row, ctx)? {
        [&t[4..8], &t[2..4], &t[0..2], &t[8..]].concat()
    } else {
        t.to_vec()
    };
    let h = hex(&bytes);
    Ok(text_value(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])))
}

fn eval_inet_aton(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else {
        return Ok(Value::Null);
    };
    let parts: Option<Vec<u64>> = t
        .split(|b| *b == b'.')
        .map(|p| std::str::from_utf8(p).ok()?.parse::<u8>().ok().map(u64::from))
        .collect();
    // Missing parts in the middle are zeros: 127.1 is 127.0.0.1.
    Ok(match parts.as_deref() {
        Some([a, b, c, d]) => Value::UInt(a << 24 | b << 16 | c << 8 | d),
        Some([a, b, d]) => Value::UInt(a << 24 | b << 16 | d),
        Some([a, d]) => Value::UInt(a << 24 | d),
        Some([d]) => Value::UInt(*d),
        _ => {
            let shown = String::from_utf8_lossy(&t).into_owned();
            return ctx
                .null_with(1411, format!("Incorrect string value: ''{shown}'' for function inet_aton"));
        }
    })
}

fn eval_inet_ntoa(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let address = bits(call, 0, row, ctx)?.and_then(|n| u32::try_from(n).ok());
    Ok(address.map_or(Value::Null, |n| text_value(std::net::Ipv4Addr::from(n).to_string())))
}
