//! Constructors of expressions: they check arguments and infer types.

use aquifer_types::{Collation, DataType, Decimal, SqlError, SqlResult, Value};
use bytes::Bytes;

use super::context::BindContext;
use super::ir::{
    BinaryOp, CastTarget, CompareOp, Expr, IntervalSign, IntervalUnit, Negation, TrimSide, Truth, UnaryOp,
};

fn later() -> SqlResult<Expr> {
    Err(SqlError::not_supported("expression"))
}

/// A constant of a given type.
#[must_use]
pub fn literal(value: Value, data_type: DataType) -> Expr { let _ = (value, data_type); null_literal() }
/// A signed integer constant.
#[must_use]
pub fn int_literal(value: i64) -> Expr { let _ = value; null_literal() }
/// An integer constant too large for BIGINT.
#[must_use]
pub fn uint_literal(value: u64) -> Expr { let _ = value; null_literal() }
/// A constant with a decimal point.
#[must_use]
pub fn decimal_literal(value: Decimal) -> Expr { let _ = value; null_literal() }
/// A constant with an exponent.
#[must_use]
pub fn double_literal(value: f64) -> Expr { let _ = value; null_literal() }
/// A quoted string in the character set of `collation`.
#[must_use]
pub fn string_literal(value: Bytes, collation: Collation) -> Expr { let _ = (value, collation); null_literal() }
/// `x'…'`, `0x…`, `b'…'`: bytes that count as a number in numeric context.
#[must_use]
pub fn hex_literal(value: Bytes) -> Expr { let _ = value; null_literal() }
/// TRUE or FALSE.
#[must_use]
pub fn bool_literal(value: bool) -> Expr { let _ = value; null_literal() }
/// NULL.
#[must_use]
pub fn null_literal() -> Expr { unimplemented!() }
/// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`: which one is said by `target`.
///
/// # Errors
/// 1525 for a wrong value.
pub fn date_literal(target: &CastTarget, text: &str, bind: &BindContext) -> SqlResult<Expr> { let _ = (target, text, bind); later() }
/// Column `index` of the input row.
#[must_use]
pub fn column(index: usize, data_type: DataType, nullable: bool) -> Expr { let _ = (index, data_type, nullable); null_literal() }
/// Parameter `index`; strings of the client come in `collation_connection`.
#[must_use]
pub fn param(index: usize, data_type: DataType) -> Expr { let _ = (index, data_type); null_literal() }
/// `l op r`.
///
/// # Errors
/// 1267 for an illegal mix of collations.
pub fn binary(op: BinaryOp, l: Expr, r: Expr, bind: &BindContext) -> SqlResult<Expr> { let _ = (op, l, r, bind); later() }
/// `op x`.
///
/// # Errors
/// None today; reserved for type checks.
pub fn unary(op: UnaryOp, x: Expr, bind: &BindContext) -> SqlResult<Expr> { let _ = (op, x, bind); later() }
/// A function by its name, in any case.
///
/// # Errors
/// 1305 for an unknown function, 1582 for a wrong number of arguments, 1235 for a MySQL function that
/// Aquifer does not have.
pub fn function(name: &str, args: Vec<Expr>, bind: &BindContext) -> SqlResult<Expr> { let _ = (name, args, bind); later() }
/// CAST or CONVERT to a type.
///
/// # Errors
/// 1425, 1426, 1427 for precision or scale out of bounds.
pub fn cast(x: Expr, target: CastTarget, bind: &BindContext) -> SqlResult<Expr> { let _ = (x, target, bind); later() }
/// `CONVERT(x USING charset)`.
///
/// # Errors
/// 1115 for an unknown character set.
pub fn convert_using(x: Expr, charset: &str, bind: &BindContext) -> SqlResult<Expr> { let _ = (x, charset, bind); later() }
/// `x COLLATE name`.
///
/// # Errors
/// 1253 when the collation is not of the expression's character set, 1273 when it is unknown.
pub fn collate(x: Expr, name: &str, bind: &BindContext) -> SqlResult<Expr> { let _ = (x, name, bind); later() }
/// `CASE [operand] WHEN … THEN … [ELSE …] END`.
///
/// # Errors
/// 1267.
pub fn case(operand: Option<Expr>, branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>, bind: &BindContext) -> SqlResult<Expr> { let _ = (operand, branches, otherwise, bind); later() }
/// `x [NOT] IN (members)`.
///
/// # Errors
/// 1267.
pub fn in_list(x: Expr, members: Vec<Expr>, negation: Negation, bind: &BindContext) -> SqlResult<Expr> { let _ = (x, members, negation, bind); later() }
/// `x [NOT] BETWEEN low AND high`.
///
/// # Errors
/// 1267.
pub fn between(x: Expr, low: Expr, high: Expr, negation: Negation, bind: &BindContext) -> SqlResult<Expr> { let _ = (x, low, high, negation, bind); later() }
/// `x [NOT] LIKE pattern [ESCAPE escape]`.
///
/// # Errors
/// 1210 for an escape of more than one character, 1267.
pub fn like(x: Expr, pattern: Expr, escape: Option<Expr>, negation: Negation, bind: &BindContext) -> SqlResult<Expr> { let _ = (x, pattern, escape, negation, bind); later() }
/// `x [NOT] REGEXP pattern`.
///
/// # Errors
/// 1267.
pub fn regexp(x: Expr, pattern: Expr, negation: Negation, bind: &BindContext) -> SqlResult<Expr> { let _ = (x, pattern, negation, bind); later() }
/// `x IS [NOT] NULL`.
#[must_use]
pub fn is_null(x: Expr, negation: Negation) -> Expr { let _ = (x, negation); null_literal() }
/// `x IS [NOT] TRUE | FALSE | UNKNOWN`.
#[must_use]
pub fn is_truth(x: Expr, truth: Truth, negation: Negation) -> Expr { let _ = (x, truth, negation); null_literal() }
/// `(a, b) op (c, d)`.
///
/// # Errors
/// 1241 when the sides have different lengths, 1267.
pub fn row_compare(op: CompareOp, left: Vec<Expr>, right: Vec<Expr>, bind: &BindContext) -> SqlResult<Expr> { let _ = (op, left, right, bind); later() }
/// `(a, b) [NOT] IN ((c, d), …)`.
///
/// # Errors
/// 1241, 1267.
pub fn row_in_list(left: Vec<Expr>, members: Vec<Vec<Expr>>, negation: Negation, bind: &BindContext) -> SqlResult<Expr> { let _ = (left, members, negation, bind); later() }
/// `x ± INTERVAL amount unit`; also DATE_ADD, DATE_SUB, ADDDATE, SUBDATE.
///
/// # Errors
/// None today.
pub fn add_interval(x: Expr, amount: Expr, unit: IntervalUnit, sign: IntervalSign, bind: &BindContext) -> SqlResult<Expr> { let _ = (x, amount, unit, sign, bind); later() }
/// `EXTRACT(unit FROM x)`.
///
/// # Errors
/// None today.
pub fn extract(unit: IntervalUnit, x: Expr, bind: &BindContext) -> SqlResult<Expr> { let _ = (unit, x, bind); later() }
/// `TIMESTAMPADD(unit, amount, x)`.
///
/// # Errors
/// None today.
pub fn timestamp_add(unit: IntervalUnit, amount: Expr, x: Expr, bind: &BindContext) -> SqlResult<Expr> { let _ = (unit, amount, x, bind); later() }
/// `TIMESTAMPDIFF(unit, a, b)`.
///
/// # Errors
/// None today.
pub fn timestamp_diff(unit: IntervalUnit, a: Expr, b: Expr, bind: &BindContext) -> SqlResult<Expr> { let _ = (unit, a, b, bind); later() }
/// `TRIM([side] [what FROM] x)`.
///
/// # Errors
/// 1267.
pub fn trim(side: TrimSide, what: Option<Expr>, x: Expr, bind: &BindContext) -> SqlResult<Expr> { let _ = (side, what, x, bind); later() }
/// `@name`; `data_type` is that of its present value, or text if it was never set.
#[must_use]
pub fn user_variable(name: &str, data_type: DataType) -> Expr { let _ = (name, data_type); null_literal() }
/// `@name := x`.
#[must_use]
pub fn set_user_variable(name: &str, x: Expr) -> Expr { let _ = (name, x); null_literal() }
