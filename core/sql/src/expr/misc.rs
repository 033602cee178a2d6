//! Functions that belong nowhere else: NAME_CONST, UUID_SHORT, FORMAT_BYTES, FORMAT_PICO_TIME.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aquifer_types::{Collation, SqlError, SqlResult, Value};

use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, def, double, text_value, value};
use super::infer::{number, string_of, typed, uint_type};
use super::ir::{Call, Coercibility, Expr, ExprType};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("name_const", 2, 2, infer_name_const, |c, r, x| value(c, 1, r, x)),
    def("uuid_short", 0, 0, |_, _| Ok(number(uint_type(21), false)), eval_uuid_short).volatile(),
    def("format_bytes", 1, 1, infer_text, eval_format_bytes),
    def("format_pico_time", 1, 1, infer_text, eval_format_pico_time),
];

fn infer_text(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    let ty = string_of(17, Collation::UTF8MB3_GENERAL_CI);
    Ok(typed(ty, args[0].nullable(), Coercibility::LITERAL))
}

fn infer_name_const(args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    if !args.iter().all(Expr::is_immutable) {
        return Err(SqlError::new(1210, "Incorrect arguments to NAME_CONST"));
    }
    Ok(args[1].expr_type().clone())
}

/// 8 bits for the node, 32 for the second in which it gave the first, 24 that count on.
fn eval_uuid_short(_call: &Call, _row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        let node = ctx.environment.random() & 0xFF;
        let seconds = u64::try_from(ctx.environment.now_micros() / 1_000_000).unwrap_or(0) & 0xFFFF_FFFF;
        AtomicU64::new(node << 56 | seconds << 24)
    });
    Ok(Value::UInt(next.fetch_add(1, Ordering::Relaxed)))
}

/// A number with the largest unit of which there is at least one.
fn with_unit(n: f64, units: &[(f64, &str)], smallest: &str, width: usize) -> String {
    let found = units.iter().rev().find(|(size, _)| n.abs() >= *size);
    match found {
        None => format!("{:>width$} {smallest}", n.trunc()),
        Some((size, unit)) => {
            let share = n / size;
            if share.abs() >= 100_000.0 {
                format!("{share:.2e} {unit}")
            } else {
                format!("{share:.2} {unit}")
            }
        }
    }
}

fn eval_format_bytes(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    const KIB: f64 = 1024.0;
    let units = [
        (KIB, "KiB"),
        (KIB * KIB, "MiB"),
        (KIB * KIB * KIB, "GiB"),
        (KIB * KIB * KIB * KIB, "TiB"),
        (KIB * KIB * KIB * KIB * KIB, "PiB"),
        (KIB * KIB * KIB * KIB * KIB * KIB, "EiB"),
    ];
    Ok(double(call, 0, row, ctx)?.map_or(Value::Null, |n| text_value(with_unit(n, &units, "bytes", 4))))
}

fn eval_format_pico_time(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    const SECOND: f64 = 1e12;
    let units = [
        (1e3, "ns"),
        (1e6, "us"),
        (1e9, "ms"),
        (SECOND, "s"),
        (60.0 * SECOND, "min"),
        (3600.0 * SECOND, "h"),
        (86_400.0 * SECOND, "d"),
    ];
    Ok(double(call, 0, row, ctx)?.map_or(Value::Null, |n| text_value(with_unit(n, &units, "ps", 3))))
}
