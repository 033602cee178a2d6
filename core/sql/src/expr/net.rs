//! Network addresses (manual 12.24): IPv6 and tests of both kinds.

use std::net::{Ipv4Addr, Ipv6Addr};

use aquifer_types::{Collation, SqlResult, Value};

use super::build::bool_type;
use super::context::{BindContext, EvalContext};
use super::eval::truth_value;
use super::function::{FunctionDef, def, text, text_value};
use super::infer::{string_of, typed};
use super::ir::{Call, Coercibility, Expr, ExprType};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("inet6_aton", 1, 1, infer_bytes, eval_aton),
    def("inet6_ntoa", 1, 1, infer_text, eval_ntoa),
    def("is_ipv4", 1, 1, |_, _| Ok(bool_type(true)), |c, r, x| test(c, r, x, |t| ipv4(t).is_some())),
    def("is_ipv6", 1, 1, |_, _| Ok(bool_type(true)), |c, r, x| test(c, r, x, |t| ipv6(t).is_some())),
    def("is_ipv4_compat", 1, 1, |_, _| Ok(bool_type(true)), |c, r, x| test(c, r, x, is_compat)),
    def("is_ipv4_mapped", 1, 1, |_, _| Ok(bool_type(true)), |c, r, x| test(c, r, x, is_mapped)),
];

fn infer_bytes(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(typed(string_of(16, Collation::BINARY), true, Coercibility::LITERAL))
}

fn infer_text(_args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    Ok(typed(string_of(39, bind.collation), true, Coercibility::LITERAL))
}

fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn eval_aton(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(t) = text(call, 0, row, ctx)? else { return Ok(Value::Null) };
    if let Some(address) = ipv4(&t) {
        return Ok(text_value(address.octets().to_vec()));
    }
    match ipv6(&t) {
        Some(address) => Ok(text_value(address.octets().to_vec())),
        None => {
            let shown = String::from_utf8_lossy(&t).into_owned();
            ctx.null_with(1411, format!("Incorrect string value: '{shown}' for function inet6_aton"))
        }
    }
}

fn eval_ntoa(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    let Some(bytes) = text(call, 0, row, ctx)? else { return Ok(Value::Null) };
    if let Ok(four) = <[u8; 4]>::try_from(&bytes[..]) {
        return Ok(text_value(Ipv4Addr::from(four).to_string()));
    }
    match <[u8; 16]>::try_from(&bytes[..]) {
        Ok(sixteen) => Ok(text_value(shown(sixteen))),
        Err(_) => {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            ctx.null_with(1411, format!("Incorrect string value: '{shown}' for function inet6_ntoa"))
        }
    }
}

/// Addresses that hold one of version 4 show it with points.
fn shown(bytes: [u8; 16]) -> String {
    if is_compat(&bytes) {
        return format!("::{}", Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]));
    }
    Ipv6Addr::from(bytes).to_string()
}

/// `::a.b.c.d`, but for `::` and `::1` and their like.
fn is_compat(bytes: &[u8]) -> bool {
    bytes.len() == 16 && bytes[..12].iter().all(|b| *b == 0) && bytes[12..14].iter().any(|b| *b != 0)
}

/// `::ffff:a.b.c.d`.
fn is_mapped(bytes: &[u8]) -> bool {
    bytes.len() == 16 && bytes[..10].iter().all(|b| *b == 0) && bytes[10..12] == [0xFF, 0xFF]
}

fn test(call: &Call, row: &[Value], ctx: &mut EvalContext, holds: fn(&[u8]) -> bool) -> SqlResult<Value> {
    Ok(truth_value(text(call, 0, row, ctx)?.map(|t| holds(&t))))
}
