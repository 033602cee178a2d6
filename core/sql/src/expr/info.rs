//! Functions about the session, and about the types of their arguments.

use aquifer_types::{Collation, DataType, SqlResult, Value};

use super::context::{BindContext, EvalContext};
use super::function::{FunctionDef, bits, def, text_value};
use super::infer::{Family, family, int_type, number, string_of, typed, uint_type};
use super::ir::{Call, Coercibility, Expr, ExprType};

pub(crate) const FUNCTIONS: &[FunctionDef] = &[
    def("version", 0, 0, |_, _| system_text(60, false), |_, _, x| Ok(text_value(x.session.version.clone())))
        .per_statement(),
    def(
        "database",
        0,
        0,
        |_, _| system_text(34, true),
        |_, _, x| Ok(x.session.database.clone().map_or(Value::Null, text_value)),
    )
    .per_statement(),
    def("user", 0, 0, |_, _| system_text(288, false), |_, _, x| Ok(text_value(x.session.user.clone())))
        .per_statement(),
    def(
        "current_user",
        0,
        0,
        |_, _| system_text(288, false),
        |_, _, x| Ok(text_value(x.session.current_user.clone())),
    )
    .per_statement(),
    def(
        "current_role",
        0,
        0,
        |_, _| system_text(4096, false),
        |_, _, x| Ok(text_value(x.session.current_role.clone())),
    )
    .per_statement(),
    def("connection_id", 0, 0, infer_uint, |_, _, x| Ok(Value::UInt(x.session.connection_id)))
        .per_statement(),
    def("last_insert_id", 0, 1, infer_uint, eval_last_insert_id).volatile(),
    def(
        "row_count",
        0,
        0,
        |_, _| Ok(number(int_type(21), false)),
        |_, _, x| Ok(Value::Int(x.session.row_count.get())),
    )
    .per_statement(),
    def("found_rows", 0, 0, infer_uint, |_, _, x| Ok(Value::UInt(x.session.found_rows.get())))
        .per_statement(),
    def(
        "charset",
        1,
        1,
        |_, _| system_text(64, false),
        |c, _, _| Ok(text_value(collation_of(&c.args[0]).charset().name())),
    ),
    def(
        "collation",
        1,
        1,
        |_, _| system_text(64, false),
        |c, _, _| Ok(text_value(collation_of(&c.args[0]).name())),
    ),
    def(
        "coercibility",
        1,
        1,
        |_, _| Ok(number(int_type(10), false)),
        |c, _, _| Ok(Value::Int(i64::from(c.args[0].expr_type().coercibility.0))),
    ),
];

/// Texts of the system are utf8mb3.
fn system_text(length: u32, nullable: bool) -> SqlResult<ExprType> {
    Ok(typed(string_of(length, Collation::UTF8MB3_GENERAL_CI), nullable, Coercibility::SYSTEM))
}

fn infer_uint(_args: &mut [Expr], _bind: &BindContext) -> SqlResult<ExprType> {
    Ok(number(DataType { ..uint_type(21) }, false))
}

fn collation_of(e: &Expr) -> Collation {
    let ty = e.data_type();
    if family(ty) == Family::String { ty.collation } else { Collation::BINARY }
}

/// With an argument it also sets what it returns later.
fn eval_last_insert_id(call: &Call, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    if call.args.is_empty() {
        return Ok(Value::UInt(ctx.session.last_insert_id.get()));
    }
    match bits(call, 0, row, ctx)? {
        Some(n) => {
            ctx.session.last_insert_id.set(n);
            Ok(Value::UInt(n))
        }
        None => {
            ctx.session.last_insert_id.set(0);
            Ok(Value::Null)
        }
    }
}
