//! Comparison of values in a domain.

use std::cmp::Ordering;

use aquifer_types::collation::CollationVersion;
use aquifer_types::{DataType, SqlError, SqlResult, TypeKind, Value, json};

use super::coerce;
use super::context::EvalContext;
use super::eval::eval_ref;
use super::ir::{CompareDomain, CompareOp, Expr};

/// Order of two values that are compared in `domain`; `None` when one is NULL (or becomes NULL).
#[inline]
pub(crate) fn order(
    domain: CompareDomain,
    (a, a_type): (&Value, &DataType),
    (b, b_type): (&Value, &DataType),
    ctx: &mut EvalContext,
) -> SqlResult<Option<Ordering>> {
    match order_as_they_are(domain, a, b) {
        Some(order) => Ok(order),
        None => order_converted(domain, (a, a_type), (b, b_type), ctx),
    }
}

/// As [`order`], of a value and an expression: a parameter is not copied for it.
#[inline]
pub(crate) fn order_with<'e>(
    domain: CompareDomain,
    (a, a_type): (&Value, &DataType),
    b: &'e Expr,
    row: &'e [Value],
    ctx: &mut EvalContext,
) -> SqlResult<Option<Ordering>> {
    if let Expr::Param { index, .. } = b
        && let Some(value) = ctx.params.get(*index)
        && let Some(order) = order_as_they_are(domain, a, value)
    {
        return Ok(order);
    }
    let value = eval_ref(b, row, ctx)?;
    order(domain, (a, a_type), (&value, b.data_type()), ctx)
}

/// The order of values that need no conversion in `domain`; the inner `None` when one is NULL.
#[inline]
fn order_as_they_are(domain: CompareDomain, a: &Value, b: &Value) -> Option<Option<Ordering>> {
    Some(match (domain, a, b) {
        (_, Value::Null, _) | (_, _, Value::Null) => None,
        (CompareDomain::Int, Value::Int(x), Value::Int(y)) => Some(x.cmp(y)),
        (CompareDomain::String(c), Value::Bytes(x), Value::Bytes(y)) => Some(c.compare(x, y)),
        (CompareDomain::Double, Value::Double(x), Value::Double(y)) => x.partial_cmp(y),
        (CompareDomain::DateTime, Value::DateTime(x), Value::DateTime(y)) => Some(x.cmp(y)),
        (CompareDomain::DateTime, Value::Date(x), Value::Date(y)) => Some(x.cmp(y)),
        (CompareDomain::Decimal, Value::Decimal(x), Value::Decimal(y)) => Some(x.cmp(y)),
        _ => return None,
    })
}

fn order_converted(
    domain: CompareDomain,
    (a, a_type): (&Value, &DataType),
    (b, b_type): (&Value, &DataType),
    ctx: &mut EvalContext,
) -> SqlResult<Option<Ordering>> {
    Ok(match domain {
        // A text that is compared with an integer may have a fraction.
        CompareDomain::Int if matches!(a, Value::Bytes(_)) || matches!(b, Value::Bytes(_)) => {
            Some(coerce::decimal(a, a_type, ctx)?.cmp(&coerce::decimal(b, b_type, ctx)?))
        }
        CompareDomain::Json => {
            let json = |v, ty| json::from_sql(v, ty).map_err(|at| SqlError::new(3157, at.what));
            Some(json(a, a_type)?.order(&json(b, b_type)?))
        }
        CompareDomain::Int => Some(coerce::integer(a, a_type, ctx)?.cmp(&coerce::integer(b, b_type, ctx)?)),
        CompareDomain::Decimal => {
            Some(coerce::decimal(a, a_type, ctx)?.cmp(&coerce::decimal(b, b_type, ctx)?))
        }
        CompareDomain::Double => {
            coerce::double(a, a_type, ctx)?.partial_cmp(&coerce::double(b, b_type, ctx)?)
        }
        CompareDomain::String(c) => Some(c.compare(&coerce::text(a, a_type), &coerce::text(b, b_type))),
        CompareDomain::DateTime => {
            match (coerce::datetime(a, a_type, ctx)?, coerce::datetime(b, b_type, ctx)?) {
                (Some(x), Some(y)) => Some(x.cmp(&y)),
                _ => None,
            }
        }
        CompareDomain::Time => match (coerce::time(a, a_type, ctx)?, coerce::time(b, b_type, ctx)?) {
            (Some(x), Some(y)) => Some(x.cmp(&y)),
            _ => None,
        },
    })
}

impl CompareOp {
    /// The operator with its sides exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }

    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq | Self::NullSafeEq => order == Ordering::Equal,
            Self::Ne => order != Ordering::Equal,
            Self::Lt => order == Ordering::Less,
            Self::Le => order != Ordering::Greater,
            Self::Gt => order == Ordering::Greater,
            Self::Ge => order != Ordering::Less,
        }
    }

    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NullSafeEq => "<=>",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// Order of two values of one type for ORDER BY, MIN, MAX and sorting: NULL first. Both values must be
/// of the type.
#[must_use]
pub fn sort_order(a: &Value, b: &Value, ty: &DataType) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Int(x), Value::Int(y)) => x.cmp(y),
        (Value::UInt(x), Value::UInt(y)) => x.cmp(y),
        (Value::Int(x), Value::UInt(y)) => i128::from(*x).cmp(&i128::from(*y)),
        (Value::UInt(x), Value::Int(y)) => i128::from(*x).cmp(&i128::from(*y)),
        (Value::Float(x), Value::Float(y)) => x.partial_cmp(y).unwrap_or(Ordering::Equal),
        (Value::Double(x), Value::Double(y)) => x.partial_cmp(y).unwrap_or(Ordering::Equal),
        (Value::Decimal(x), Value::Decimal(y)) => x.cmp(y),
        (Value::Bytes(x), Value::Bytes(y)) if ty.kind == TypeKind::Json => json::compare_text(x, y),
        (Value::Bytes(x), Value::Bytes(y)) => ty.collation.compare(x, y),
        (Value::Date(x), Value::Date(y)) => x.cmp(y),
        (Value::Time(x), Value::Time(y)) => x.cmp(y),
        (Value::DateTime(x), Value::DateTime(y)) => x.cmp(y),
        _ => {
            let number = |v: &Value| aquifer_types::convert::to_double(v, ty).0;
            number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal)
        }
    }
}

/// Appends bytes that are equal for values that GROUP BY and DISTINCT take as equal, and that (but for JSON)
/// order as [`sort_order`] does. Values must be of the type.
pub fn write_group_key(value: &Value, ty: &DataType, out: &mut Vec<u8>) {
    if value.is_null() {
        out.push(0);
        return;
    }
    out.push(1);
    match value {
        Value::Null => {}
        Value::Int(n) => {
            out.push(u8::from(*n >= 0));
            out.extend_from_slice(&n.cast_unsigned().to_be_bytes());
        }
        Value::UInt(n) => {
            out.push(if *n > i64::MAX.unsigned_abs() { 2 } else { 1 });
            out.extend_from_slice(&n.to_be_bytes());
        }
        Value::Float(x) => put_double(f64::from(*x), out),
        Value::Double(x) => put_double(*x, out),
        Value::Decimal(d) => d.write_sort_key(out),
        Value::Bytes(b) => {
            let from = out.len();
            if ty.kind == TypeKind::Json {
                json::write_equality_key(b, out);
            } else {
                ty.collation.sort_key(CollationVersion::default(), b, out);
            }
            escape_zeros(from, out);
            out.extend_from_slice(&[0, 1]);
        }
        Value::Date(d) => out.extend_from_slice(&d.pack().to_be_bytes()),
        Value::Time(t) => out.extend_from_slice(&t.pack().to_be_bytes()),
        Value::DateTime(t) => out.extend_from_slice(&t.pack().to_be_bytes()),
    }
}

fn put_double(x: f64, out: &mut Vec<u8>) {
    let bits = (x + 0.0).to_bits();
    let ordered = if bits >> 63 == 0 { bits ^ 1 << 63 } else { !bits };
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn escape_zeros(from: usize, out: &mut Vec<u8>) {
    if out[from..].contains(&0) {
        let tail = out.split_off(from);
        for b in tail {
            out.push(b);
            if b == 0 {
                out.push(0xFF);
            }
        }
    }
}
