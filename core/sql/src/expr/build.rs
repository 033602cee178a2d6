//! Constructors of literals, columns and operators: they check arguments and infer types. Those of
//! CASE, IN, CAST and temporal expressions are in [`super::build_more`].

use aquifer_types::{Collation, DataType, Decimal, SqlMode, SqlResult, TypeKind, Value};
use bytes::Bytes;

use super::context::BindContext;
use super::domain::prepare;
use super::infer::{
    Family, Numeric, any_nullable, decimal_type, digits, double_type, family, int_type, number, numeric,
    string_of, text_length, typed, uint_type, unify_texts,
};
use super::ir::{BinaryOp, Call, Coercibility, CompareOp, Expr, ExprType, Negation, Op, Truth, UnaryOp};

pub(crate) fn call(op: Op, args: Vec<Expr>, ty: ExprType) -> Expr {
    Expr::Call(Box::new(Call { op, args, ty }))
}

/// A constant of a given type.
#[must_use]
pub fn literal(value: Value, data_type: DataType) -> Expr {
    let nullable = value.is_null();
    let coercibility = match family(&data_type) {
        _ if nullable => Coercibility::NULL,
        Family::String => Coercibility::LITERAL,
        _ => Coercibility::NUMERIC,
    };
    Expr::Literal { value, ty: typed(data_type, nullable, coercibility) }
}

fn digits_of(n: u64) -> u32 {
    n.checked_ilog10().map_or(1, |d| d + 1)
}

/// A signed integer constant.
#[must_use]
pub fn int_literal(value: i64) -> Expr {
    // One more character than digits: a place for the sign.
    literal(Value::Int(value), int_type(digits_of(value.unsigned_abs()) + 1))
}

/// An integer constant too large for BIGINT.
#[must_use]
pub fn uint_literal(value: u64) -> Expr {
    literal(Value::UInt(value), uint_type(digits_of(value)))
}

/// A constant with a decimal point.
#[must_use]
pub fn decimal_literal(value: Decimal) -> Expr {
    let scale = u32::from(value.scale());
    let precision = u32::from(value.integer_digits()).max(1) + scale;
    literal(Value::Decimal(value), decimal_type(precision, scale))
}

/// A constant with an exponent.
#[must_use]
pub fn double_literal(value: f64) -> Expr {
    literal(Value::Double(value), double_type())
}

/// A quoted string in the character set of `collation`.
#[must_use]
pub fn string_literal(value: Bytes, collation: Collation) -> Expr {
    let chars = u32::try_from(collation.charset().char_count(&value)).unwrap_or(u32::MAX);
    literal(Value::Bytes(value), string_of(chars, collation))
}

/// `x'…'`, `0x…`, `b'…'`: bytes that count as a number in numeric context. Their type is VARBINARY
/// UNSIGNED, which no column has.
#[must_use]
pub fn hex_literal(value: Bytes) -> Expr {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let ty = DataType { length, unsigned: true, ..DataType::of(TypeKind::VarBinary) };
    literal(Value::Bytes(value), ty)
}

/// TRUE or FALSE.
#[must_use]
pub fn bool_literal(value: bool) -> Expr {
    literal(Value::Int(i64::from(value)), int_type(1))
}

/// NULL.
#[must_use]
pub fn null_literal() -> Expr {
    literal(Value::Null, DataType::of(TypeKind::Null))
}

/// Column `index` of the input row.
#[must_use]
pub fn column(index: usize, data_type: DataType, nullable: bool) -> Expr {
    let coercibility =
        if family(&data_type) == Family::String { Coercibility::IMPLICIT } else { Coercibility::NUMERIC };
    Expr::Column { index, ty: typed(data_type, nullable, coercibility) }
}

/// Parameter `index`; strings of the client come in `collation_connection`.
#[must_use]
pub fn param(index: usize, data_type: DataType) -> Expr {
    let coercibility = match family(&data_type) {
        Family::String => Coercibility::LITERAL,
        Family::Null => Coercibility::NULL,
        _ => Coercibility::NUMERIC,
    };
    Expr::Param { index, ty: typed(data_type, true, coercibility) }
}

/// The type of conditions.
pub(crate) fn bool_type(nullable: bool) -> ExprType {
    number(int_type(1), nullable)
}

/// `l op r`.
///
/// # Errors
/// 1267 for an illegal mix of collations.
pub fn binary(op: BinaryOp, l: Expr, r: Expr, bind: &BindContext) -> SqlResult<Expr> {
    let nullable = l.nullable() || r.nullable();
    let logic = match op {
        BinaryOp::And => Some(Op::And),
        BinaryOp::Or => Some(Op::Or),
        BinaryOp::Xor => Some(Op::Xor),
        _ => None,
    };
    if let Some(op) = logic {
        return Ok(call(op, vec![l, r], bool_type(nullable)));
    }
    if let BinaryOp::Compare(compare) = op {
        return comparison(compare, l, r, bind);
    }
    let ty = arithmetic_type(op, l.data_type(), r.data_type(), bind);
    // A division by zero is NULL.
    let nullable = nullable || matches!(op, BinaryOp::Div | BinaryOp::IntDiv | BinaryOp::Rem);
    Ok(call(Op::Binary(op), vec![l, r], number(ty, nullable)))
}

fn comparison(op: CompareOp, l: Expr, r: Expr, bind: &BindContext) -> SqlResult<Expr> {
    let (mut l, mut r) = (l, r);
    let domain = prepare(&mut l, &mut r, op.symbol(), bind)?;
    let nullable = op != CompareOp::NullSafeEq && (l.nullable() || r.nullable());
    Ok(call(Op::Compare(op, domain), vec![l, r], bool_type(nullable)))
}

fn arithmetic_type(op: BinaryOp, l: &DataType, r: &DataType, bind: &BindContext) -> DataType {
    let (a, b) = (numeric(l), numeric(r));
    let either = |n: Numeric| a == n || b == n;
    match op {
        BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => uint_type(21),
        BinaryOp::IntDiv if either(Numeric::Unsigned) => uint_type(21),
        BinaryOp::IntDiv => int_type(21),
        _ if either(Numeric::Double) => double_type(),
        BinaryOp::Div => {
            let ((i, s), (_, other)) = (digits(l), digits(r));
            let increment = u32::from(bind.div_precision_increment);
            decimal_type(i + s + other + increment, (s + increment).min(30))
        }
        _ if either(Numeric::Decimal) => decimal_result(op, digits(l), digits(r)),
        _ => integer_result(op, (l, a), (r, b), bind),
    }
}

fn decimal_result(op: BinaryOp, (i, s): (u32, u32), (j, t): (u32, u32)) -> DataType {
    match op {
        BinaryOp::Mul => decimal_type(i + s + j + t, s + t),
        BinaryOp::Rem => decimal_type(i.max(j) + s.max(t), s.max(t)),
        _ => decimal_type(i.max(j) + 1 + s.max(t), s.max(t)),
    }
}

fn integer_result(
    op: BinaryOp,
    (l, a): (&DataType, Numeric),
    (r, b): (&DataType, Numeric),
    bind: &BindContext,
) -> DataType {
    let unsigned = match op {
        BinaryOp::Rem => a == Numeric::Unsigned,
        BinaryOp::Sub if bind.sql_mode.contains(SqlMode::NO_UNSIGNED_SUBTRACTION) => false,
        _ => a == Numeric::Unsigned || b == Numeric::Unsigned,
    };
    let ((i, _), (j, _)) = (digits(l), digits(r));
    let length = match op {
        BinaryOp::Mul => i + j,
        BinaryOp::Rem => i.max(j),
        _ => i.max(j) + 1,
    };
    if unsigned { uint_type(length.min(21)) } else { int_type((length + 1).min(21)) }
}

/// `op x`.
///
/// # Errors
/// None today; reserved for type checks.
pub fn unary(op: UnaryOp, x: Expr, bind: &BindContext) -> SqlResult<Expr> {
    let _ = bind;
    let nullable = x.nullable();
    let ty = match op {
        UnaryOp::Plus => return Ok(x),
        UnaryOp::Not => bool_type(nullable),
        UnaryOp::BitNot => number(uint_type(21), nullable),
        UnaryOp::Binary => {
            typed(string_of(text_length(x.data_type()), Collation::BINARY), nullable, Coercibility::IMPLICIT)
        }
        UnaryOp::Minus => {
            if let Some(folded) = negative_literal(&x) {
                return Ok(folded);
            }
            let data_type = match numeric(x.data_type()) {
                Numeric::Double => double_type(),
                Numeric::Decimal => {
                    let (i, s) = digits(x.data_type());
                    decimal_type(i + s, s)
                }
                _ => int_type((digits(x.data_type()).0 + 1).min(21)),
            };
            number(data_type, nullable)
        }
    };
    Ok(call(Op::Unary(op), vec![x], ty))
}

/// A number with a minus before it is a literal as well: indexes serve it.
fn negative_literal(x: &Expr) -> Option<Expr> {
    let Expr::Literal { value, .. } = x else {
        return None;
    };
    match value {
        Value::Int(n) => n.checked_neg().map(int_literal),
        Value::UInt(n) if *n == 1 << 63 => Some(int_literal(i64::MIN)),
        Value::UInt(n) => Some(decimal_literal(Decimal::from_u64(*n).neg())),
        Value::Decimal(d) => Some(decimal_literal(d.neg())),
        Value::Double(d) => Some(double_literal(-d)),
        _ => None,
    }
}

/// `x IS [NOT] NULL`.
#[must_use]
pub fn is_null(x: Expr, negation: Negation) -> Expr {
    call(Op::IsNull(negation), vec![x], bool_type(false))
}

/// `x IS [NOT] TRUE | FALSE | UNKNOWN`.
#[must_use]
pub fn is_truth(x: Expr, truth: Truth, negation: Negation) -> Expr {
    call(Op::IsTruth(truth, negation), vec![x], bool_type(false))
}

/// `@name`; `data_type` is that of its present value, or text if it was never set.
#[must_use]
pub fn user_variable(name: &str, data_type: DataType) -> Expr {
    let coercibility =
        if family(&data_type) == Family::String { Coercibility::IMPLICIT } else { Coercibility::NUMERIC };
    call(Op::UserVariable(name.to_owned()), Vec::new(), typed(data_type, true, coercibility))
}

/// `@name := x`.
#[must_use]
pub fn set_user_variable(name: &str, x: Expr) -> Expr {
    let ty = x.expr_type().clone();
    call(Op::SetUserVariable(name.to_owned()), vec![x], ty)
}

/// Text converted to the character set of a collation.
pub(crate) fn convert_charset(x: Expr, collation: Collation) -> Expr {
    if let Expr::Literal { value, ty } = &x {
        let converted = super::cast::to_charset(value, &ty.data_type, collation);
        let length = text_length(&ty.data_type);
        return Expr::Literal {
            value: converted,
            ty: typed(string_of(length, collation), ty.nullable, ty.coercibility),
        };
    }
    let strength = x.expr_type().coercibility;
    let ty = typed(string_of(text_length(x.data_type()), collation), x.nullable(), strength);
    call(Op::ConvertCharset(collation), vec![x], ty)
}

/// Texts of one operation, brought to one collation; the type of its result is BIGINT of one digit.
pub(crate) fn text_condition(
    op: impl FnOnce(Collation) -> Op,
    args: Vec<Expr>,
    what: &str,
    bind: &BindContext,
) -> SqlResult<Expr> {
    let mut args = args;
    let (collation, _) = unify_texts(&mut args, what, bind)?;
    let nullable = any_nullable(&args);
    Ok(call(op(collation), args, bool_type(nullable)))
}
