//! The table of functions and what they share.

use std::collections::HashMap;
use std::sync::LazyLock;

use aquifer_types::{DateTime, Decimal, SqlError, SqlResult, Time, Value};
use bytes::Bytes;

use super::build::call;
use super::context::{BindContext, EvalContext};
use super::eval::eval_ref;
use super::ir::{Call, Expr, ExprType, Op};
use super::{
    coerce, control, crypt, format_date, hash, info, json, math, misc, net, regexp, string, string_more,
    temporal, temporal_more,
};

/// On what the result of a function depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stability {
    /// Its arguments alone.
    Immutable,
    /// Also the session or the statement: constant within one execution.
    Statement,
    /// Each call may differ.
    Volatile,
}

pub(crate) type Infer = fn(&mut [Expr], &BindContext) -> SqlResult<ExprType>;
pub(crate) type Eval = fn(&Call, &[Value], &mut EvalContext) -> SqlResult<Value>;

/// One function.
pub struct FunctionDef {
    pub(crate) name: &'static str,
    pub(crate) args_min: usize,
    pub(crate) args_max: usize,
    pub(crate) stability: Stability,
    pub(crate) infer: Infer,
    pub(crate) eval: Eval,
}

/// As many arguments as one likes.
pub(crate) const MANY: usize = usize::MAX;

pub(crate) const fn def(
    name: &'static str,
    args_min: usize,
    args_max: usize,
    infer: Infer,
    eval: Eval,
) -> FunctionDef {
    FunctionDef { name, args_min, args_max, stability: Stability::Immutable, infer, eval }
}

impl FunctionDef {
    pub(crate) const fn per_statement(self) -> Self {
        Self { stability: Stability::Statement, ..self }
    }

    pub(crate) const fn volatile(self) -> Self {
        Self { stability: Stability::Volatile, ..self }
    }
}

impl std::fmt::Debug for FunctionDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static FunctionDef>> = LazyLock::new(|| {
    let all = [
        control::FUNCTIONS,
        string::FUNCTIONS,
        string_more::FUNCTIONS,
        regexp::FUNCTIONS,
        math::FUNCTIONS,
        temporal::FUNCTIONS,
        temporal_more::FUNCTIONS,
        format_date::FUNCTIONS,
        hash::FUNCTIONS,
        info::FUNCTIONS,
        net::FUNCTIONS,
        crypt::FUNCTIONS,
        misc::FUNCTIONS,
    ];
    let all = all.into_iter().chain(json::FUNCTIONS.iter().copied());
    all.flatten().map(|def| (def.name, def)).collect()
});

/// Other names of functions.
fn canonical(name: &str) -> &str {
    match name {
        "lcase" => "lower",
        "ucase" => "upper",
        "substr" | "mid" => "substring",
        "octet_length" => "length",
        "character_length" => "char_length",
        "ceil" => "ceiling",
        "power" => "pow",
        "curdate" => "current_date",
        "curtime" => "current_time",
        "current_timestamp" | "localtime" | "localtimestamp" => "now",
        "day" => "dayofmonth",
        "schema" => "database",
        "session_user" | "system_user" => "user",
        "sha" => "sha1",
        "position" => "locate",
        other => other,
    }
}

/// Functions of MySQL 8.0 that are not there yet.
const NOT_YET: &[&str] = &[
    "sleep",
    "get_lock",
    "release_lock",
    "release_all_locks",
    "is_free_lock",
    "is_used_lock",
    "benchmark",
    "load_file",
    "match",
    "extractvalue",
    "updatexml",
    "weight_string",
    "master_pos_wait",
    "wait_for_executed_gtid_set",
    "gtid_subset",
    "gtid_subtract",
    "statement_digest",
    "statement_digest_text",
    "validate_password_strength",
    "current_role",
    "roles_graphml",
    "ps_current_thread_id",
    "ps_thread_id",
    "source_pos_wait",
    "geometrycollection",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "mbrcontains",
    "mbrwithin",
    "icu_version",
];

/// Whether the executor or session runs this function itself because it waits or acts: SLEEP, locks,
/// waiting for a GTID.
#[must_use]
pub fn is_special(name: &str) -> bool {
    const SPECIAL: [&str; 9] = [
        "sleep",
        "get_lock",
        "release_lock",
        "release_all_locks",
        "is_free_lock",
        "is_used_lock",
        "benchmark",
        "wait_for_executed_gtid_set",
        "load_file",
    ];
    SPECIAL.iter().any(|s| s.eq_ignore_ascii_case(name))
}

/// A function by its name, in any case.
///
/// # Errors
/// 1305 for an unknown function, 1582 for a wrong number of arguments, 1235 for a MySQL function that
/// Aquifer does not have.
pub fn function(name: &str, args: Vec<Expr>, bind: &BindContext) -> SqlResult<Expr> {
    let lower = name.to_ascii_lowercase();
    if lower == "nullif"
        && let [a, b] = &args[..]
    {
        return control::nullif(a.clone(), b.clone(), bind);
    }
    let Some(def) = BY_NAME.get(canonical(&lower)).copied() else {
        return Err(unknown(&lower, name, bind));
    };
    if args.len() < def.args_min || args.len() > def.args_max {
        return Err(wrong_count(name));
    }
    let mut args = args;
    let ty = (def.infer)(&mut args, bind)?;
    Ok(call(Op::Function(def), args, ty))
}

fn wrong_count(name: &str) -> SqlError {
    SqlError::new(1582, format!("Incorrect parameter count in the call to native function '{name}'"))
}

fn unknown(lower: &str, name: &str, bind: &BindContext) -> SqlError {
    if lower == "nullif" {
        return wrong_count(name);
    }
    if super::window::is_window_only(lower) {
        let text = format!(
            "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for \
             the right syntax to use near '{name}': OVER is missing"
        );
        return SqlError::new(1064, text);
    }
    let known = NOT_YET.contains(&lower) || lower.starts_with("json_") || lower.starts_with("st_");
    if known {
        return SqlError::not_supported(&format!("{}()", name.to_ascii_uppercase()));
    }
    match &bind.database {
        Some(database) => SqlError::new(1305, format!("FUNCTION {database}.{name} does not exist")),
        None => SqlError::new(1305, format!("FUNCTION {name} does not exist")),
    }
}

/// Argument `i` of a call, evaluated. The conversions give `None` for NULL.
pub(crate) fn value(call: &Call, i: usize, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
    match call.args.get(i) {
        Some(arg) => arg.eval(row, ctx),
        None => Ok(Value::Null),
    }
}

macro_rules! typed_argument {
    ($(#[$doc:meta])* $name:ident, $out:ty, $convert:expr) => {
        $(#[$doc])*
        pub(crate) fn $name(call: &Call, i: usize, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<$out>> {
            let Some(arg) = call.args.get(i) else {
                return Ok(None);
            };
            let value = eval_ref(arg, row, ctx)?;
            if value.is_null() {
                return Ok(None);
            }
            $convert(&*value, arg.data_type(), ctx)
        }
    };
}

typed_argument!(
    /// As text.
    text, Bytes, |v, ty, _ctx| Ok(Some(coerce::text(v, ty)))
);
typed_argument!(
    /// As a whole number, cut to 64 signed bits.
    int, i64, |v, ty, ctx| coerce::int64(v, ty, ctx).map(Some)
);
typed_argument!(
    /// As a double.
    double, f64, |v, ty, ctx| coerce::double(v, ty, ctx).map(Some)
);
typed_argument!(
    /// As a decimal.
    decimal, Decimal, |v, ty, ctx| coerce::decimal(v, ty, ctx).map(Some)
);
typed_argument!(
    /// As 64 bits.
    bits, u64, |v, ty, ctx| coerce::bits64(v, ty, ctx).map(Some)
);
typed_argument!(
    /// As a date with time; zero parts pass; `None` with a warning when it is none.
    datetime, DateTime, coerce::datetime
);
typed_argument!(
    /// As a duration; `None` with a warning when it is none.
    time, Time, coerce::time
);

/// A text as a value.
pub(crate) fn text_value(text: impl Into<Bytes>) -> Value {
    Value::Bytes(text.into())
}
