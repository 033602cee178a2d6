//! In which kind of value two operands are compared (manual 12.3, "Type Conversion in Expression
//! Evaluation").

use aquifer_types::{Collation, DataType, SqlResult, TypeKind, Value};

use super::build::literal;
use super::context::BindContext;
use super::infer::{Family, Numeric, aggregate_collations, family, numeric, to_charset_of};
use super::ir::{CompareDomain, Expr};

/// The domain in which values of a column's type compare among themselves.
pub(crate) fn own_domain(ty: &DataType) -> CompareDomain {
    match (family(ty), ty.kind) {
        (_, TypeKind::Time) => CompareDomain::Time,
        (_, TypeKind::Json) => CompareDomain::Json,
        (Family::Temporal, _) => CompareDomain::DateTime,
        // Keys of ENUM and SET are in the order of their numbers, not of their texts.
        (_, TypeKind::Enum | TypeKind::Set) => CompareDomain::Int,
        (Family::String, _) => CompareDomain::String(ty.collation),
        (Family::Decimal, _) => CompareDomain::Decimal,
        (Family::Double, _) => CompareDomain::Double,
        (Family::Integer | Family::Null, _) => CompareDomain::Int,
    }
}

/// Finds the domain for two operands and prepares them for it.
///
/// # Errors
/// 1267.
pub(crate) fn prepare(
    a: &mut Expr,
    b: &mut Expr,
    what: &str,
    bind: &BindContext,
) -> SqlResult<CompareDomain> {
    fold_number_text(a, b);
    fold_number_text(b, a);
    let domain = domain_of(a, b, what, bind)?;
    if let CompareDomain::String(collation) = domain {
        to_charset_of(a, collation);
        to_charset_of(b, collation);
    }
    if domain == CompareDomain::DateTime {
        fold_datetime_text(a, b);
        fold_datetime_text(b, a);
    }
    Ok(domain)
}

/// A string literal that is a whole number, compared with an integer column, becomes that number.
fn fold_number_text(column: &Expr, other: &mut Expr) {
    let is_column = matches!(column, Expr::Column { .. }) && family(column.data_type()) == Family::Integer;
    let Expr::Literal { value: Value::Bytes(text), ty } = &*other else {
        return;
    };
    if !is_column || ty.data_type.unsigned {
        return;
    }
    let parsed = aquifer_types::number::parse_integer(text);
    let exact = aquifer_types::number::parse_double(text).used == parsed.used;
    if let (true, true, Ok(n)) = (parsed.complete, exact, i64::try_from(parsed.value)) {
        *other = super::build::int_literal(n);
    }
}

/// A string literal that is a moment, compared with a DATE or DATETIME, becomes that moment.
fn fold_datetime_text(temporal: &Expr, other: &mut Expr) {
    let Expr::Literal { value: Value::Bytes(text), .. } = &*other else {
        return;
    };
    if family(temporal.data_type()) != Family::Temporal {
        return;
    }
    let parsed = aquifer_types::temporal::parse_datetime(text);
    let legal = parsed.filter(|p| {
        !p.truncated && p.offset.is_none() && aquifer_types::temporal::DateRules::FUZZY.allow(p.value.date)
    });
    if let Some(p) = legal {
        let ty = DataType { decimals: p.fraction_digits, ..DataType::of(TypeKind::DateTime) };
        *other = literal(Value::DateTime(p.value), ty);
    }
}

fn is_constant(e: &Expr) -> bool {
    e.is_constant()
}

fn domain_of(a: &Expr, b: &Expr, what: &str, bind: &BindContext) -> SqlResult<CompareDomain> {
    let (x, y) = (family(a.data_type()), family(b.data_type()));
    if [a, b].iter().any(|e| e.data_type().kind == TypeKind::Json) {
        return Ok(CompareDomain::Json);
    }
    Ok(match (x, y) {
        (Family::Null, Family::Null) => CompareDomain::Int,
        (Family::Null, _) => plain_domain(b),
        (_, Family::Null) => plain_domain(a),
        (Family::String, Family::String) => {
            let pair = [a.clone(), b.clone()];
            CompareDomain::String(aggregate_collations(&pair, what, bind)?.0)
        }
        (Family::Temporal, Family::Temporal) => temporal_pair(a.data_type(), b.data_type()),
        (Family::Temporal, _) => temporal_with(a, b, bind),
        (_, Family::Temporal) => temporal_with(b, a, bind),
        (Family::String, _) => text_with_number(a, b),
        (_, Family::String) => text_with_number(b, a),
        (Family::Double, _) | (_, Family::Double) => CompareDomain::Double,
        (Family::Decimal, _) | (_, Family::Decimal) => CompareDomain::Decimal,
        (Family::Integer, Family::Integer) => CompareDomain::Int,
    })
}

/// As [`own_domain`], but ENUM and SET are texts.
fn plain_domain(e: &Expr) -> CompareDomain {
    match e.data_type().kind {
        TypeKind::Enum | TypeKind::Set => CompareDomain::String(e.data_type().collation),
        _ => own_domain(e.data_type()),
    }
}

fn temporal_pair(a: &DataType, b: &DataType) -> CompareDomain {
    if a.kind == TypeKind::Time && b.kind == TypeKind::Time {
        CompareDomain::Time
    } else {
        CompareDomain::DateTime
    }
}

fn temporal_with(temporal: &Expr, other: &Expr, bind: &BindContext) -> CompareDomain {
    let is_time = temporal.data_type().kind == TypeKind::Time;
    match family(other.data_type()) {
        Family::String if is_time && is_constant(other) => CompareDomain::Time,
        Family::String if is_constant(other) => CompareDomain::DateTime,
        Family::String if is_constant(temporal) && !is_time => CompareDomain::DateTime,
        Family::String => {
            let ty = other.data_type();
            CompareDomain::String(if ty.collation == Collation::BINARY {
                bind.collation
            } else {
                ty.collation
            })
        }
        _ if is_constant(other) && !is_time => CompareDomain::DateTime,
        Family::Double => CompareDomain::Double,
        _ => CompareDomain::Decimal,
    }
}

/// A number with a text: exactly where the number is a column and the text a constant (so that its
/// index serves), as doubles otherwise.
fn text_with_number(text: &Expr, number: &Expr) -> CompareDomain {
    let ty = text.data_type();
    let exact_column = matches!(number, Expr::Column { .. }) && is_constant(text);
    let by_number = matches!(ty.kind, TypeKind::Enum | TypeKind::Set) || numeric(ty) == Numeric::Unsigned;
    match family(number.data_type()) {
        Family::Integer if by_number || exact_column => CompareDomain::Int,
        Family::Decimal if by_number || exact_column => CompareDomain::Decimal,
        _ => CompareDomain::Double,
    }
}
