//! From the ranges of a plan to ranges of key bytes.

use std::ops::Range;

use aquifer_types::convert::{self, Strictness};
use aquifer_types::key::{KeyColumn, KeyEncoder, KeyOrder, successor};
use aquifer_types::{DataType, SqlMode, SqlResult, TypeKind, Value, Warnings};
use bytes::Bytes;

use crate::expr::{EvalContext, Expr};
use crate::plan::node::{Bound, RangeSpec, Scan};
use crate::plan::table_info::IndexInfo;

/// Keys to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyRange {
    /// One entry of a unique index.
    Point(Bytes),
    /// From the first key, which is in, to the last, which is not.
    Span(Range<Bytes>),
}

impl KeyRange {
    fn start(&self) -> &Bytes {
        match self {
            Self::Point(key) => key,
            Self::Span(range) => &range.start,
        }
    }
}

/// A constant as a value of a key column.
enum Fitted {
    Value(Value),
    /// Below or above every value that the column can have.
    Below,
    Above,
    Null,
}

/// Ranges in ascending order without overlaps.
pub(crate) fn ranges(scan: &Scan, row: &[Value], eval: &mut EvalContext) -> SqlResult<Vec<KeyRange>> {
    let index = &scan.table.indexes[scan.access.index];
    ranges_of(index, &scan.access.ranges, scan.access.point, row, eval)
}

/// All keys of an index.
pub(crate) fn whole(index: &IndexInfo) -> Range<Bytes> {
    let start = KeyEncoder::new(index.id).finish();
    let end = successor(&start);
    start..end
}

/// Ranges of an index whose ends refer to no row; `None` when they cannot be evaluated.
pub(crate) fn spans(
    index: &IndexInfo,
    specs: &[RangeSpec],
    point: bool,
    eval: &mut EvalContext,
) -> Option<Vec<Range<Bytes>>> {
    let ranges = ranges_of(index, specs, point, &[], eval).ok()?;
    let span = |range| match range {
        KeyRange::Point(key) => key.clone()..successor(&key),
        KeyRange::Span(range) => range,
    };
    Some(ranges.into_iter().map(span).collect())
}

fn ranges_of(
    index: &IndexInfo,
    specs: &[RangeSpec],
    point: bool,
    row: &[Value],
    eval: &mut EvalContext,
) -> SqlResult<Vec<KeyRange>> {
    let mut out = Vec::with_capacity(specs.len());
    for spec in specs {
        if let Some(range) = range(index, spec, point, row, eval)? {
            out.push(range);
        }
    }
    if out.len() > 1 {
        out.sort_by(|a, b| a.start().cmp(b.start()));
        merge(&mut out);
    }
    Ok(out)
}

fn merge(ranges: &mut Vec<KeyRange>) {
    ranges.dedup_by(|next, last| match (&mut *last, &*next) {
        (KeyRange::Point(a), KeyRange::Point(b)) => a == b,
        (KeyRange::Span(a), KeyRange::Span(b)) if b.start < a.end => {
            if b.end > a.end {
                a.end = b.end.clone();
            }
            true
        }
        _ => false,
    });
}

fn range(
    index: &IndexInfo,
    spec: &RangeSpec,
    point: bool,
    row: &[Value],
    eval: &mut EvalContext,
) -> SqlResult<Option<KeyRange>> {
    let mut encoder = KeyEncoder::new(index.id);
    for (number, expr) in spec.equal.iter().enumerate() {
        let key = &index.keys[number];
        match fitted(expr, key, row, eval)? {
            Fitted::Value(value) => encoder.push(key, &value)?,
            Fitted::Null if spec.null_safe[number] => encoder.push(key, &Value::Null)?,
            _ => return Ok(None),
        }
    }
    if point {
        return Ok(Some(KeyRange::Point(encoder.finish())));
    }
    let prefix = encoder.finish();
    let whole = prefix.clone()..successor(&prefix);
    let Some(key) = index.keys.get(spec.equal.len()) else { return Ok(Some(KeyRange::Span(whole))) };
    if let Some(pattern) = &spec.like {
        return like_range(pattern, key, whole, row, eval);
    }
    if spec.low.is_none() && spec.high.is_none() {
        return Ok(Some(KeyRange::Span(whole)));
    }
    bounded(spec, key, whole, row, eval)
}

/// The bytes of `prefix` followed by one more value.
fn followed(prefix: &[u8], key: &KeyColumn, value: &Value) -> SqlResult<Bytes> {
    let mut encoder = KeyEncoder::from_prefix(prefix);
    encoder.push(key, value)?;
    Ok(encoder.finish())
}

fn bounded(
    spec: &RangeSpec,
    key: &KeyColumn,
    whole: Range<Bytes>,
    row: &[Value],
    eval: &mut EvalContext,
) -> SqlResult<Option<KeyRange>> {
    let prefix = whole.start.clone();
    // NULL satisfies no comparison: it is the least value of the part.
    let null = followed(&prefix, key, &Value::Null)?;
    let (mut low_bytes, mut high_bytes) = (None, None);
    if let Some(bound) = &spec.low {
        match end(bound, key, row, eval)? {
            (Fitted::Null | Fitted::Above, _) => return Ok(None),
            (Fitted::Below, _) => {}
            (Fitted::Value(value), inclusive) => {
                low_bytes = Some((followed(&prefix, key, &value)?, inclusive))
            }
        }
    }
    if let Some(bound) = &spec.high {
        match end(bound, key, row, eval)? {
            (Fitted::Null | Fitted::Below, _) => return Ok(None),
            (Fitted::Above, _) => {}
            (Fitted::Value(value), inclusive) => {
                high_bytes = Some((followed(&prefix, key, &value)?, inclusive))
            }
        }
    }
    let range = if key.order == KeyOrder::Ascending {
        let start = match low_bytes {
            Some((bytes, true)) => bytes,
            Some((bytes, false)) => successor(&bytes),
            None => successor(&null),
        };
        let end = match high_bytes {
            Some((bytes, true)) => successor(&bytes),
            Some((bytes, false)) => bytes,
            None => whole.end,
        };
        start..end
    } else {
        let start = match high_bytes {
            Some((bytes, true)) => bytes,
            Some((bytes, false)) => successor(&bytes),
            None => whole.start,
        };
        let end = match low_bytes {
            Some((bytes, true)) => successor(&bytes),
            Some((bytes, false)) => bytes,
            None => null,
        };
        start..end
    };
    Ok((range.start < range.end).then_some(KeyRange::Span(range)))
}

/// One end of a range: a value that does not fit exactly makes the end inclusive, because it was rounded.
fn end(bound: &Bound, key: &KeyColumn, row: &[Value], eval: &mut EvalContext) -> SqlResult<(Fitted, bool)> {
    let exact = crate::plan::is_exact_pair(bound.value.data_type(), &key.data_type);
    let fitted = fitted(&bound.value, key, row, eval)?;
    let inclusive = bound.inclusive || !exact || key.prefix_length.is_some();
    Ok((fitted, inclusive))
}

/// The keys that can match a LIKE pattern: those that begin as it does up to its first wildcard.
fn like_range(
    pattern: &Expr,
    key: &KeyColumn,
    whole: Range<Bytes>,
    row: &[Value],
    eval: &mut EvalContext,
) -> SqlResult<Option<KeyRange>> {
    let text = match pattern.eval(row, eval)? {
        Value::Bytes(text) => text,
        Value::Null => return Ok(None),
        _ => return Ok(Some(KeyRange::Span(whole))),
    };
    let fixed = text.iter().position(|byte| matches!(byte, b'%' | b'_' | b'\\')).unwrap_or(text.len());
    let descending = key.order == KeyOrder::Descending;
    if fixed == 0 || descending || key.prefix_length.is_some() || key.data_type.kind == TypeKind::Enum {
        return Ok(Some(KeyRange::Span(whole)));
    }
    let mut encoder = KeyEncoder::from_prefix(&whole.start);
    encoder.push_string_prefix(key, &text[..fixed])?;
    let start = encoder.finish();
    let end = successor(&start);
    Ok(Some(KeyRange::Span(start..end)))
}

/// A constant converted to a key column's type.
fn fitted(expr: &Expr, key: &KeyColumn, row: &[Value], eval: &mut EvalContext) -> SqlResult<Fitted> {
    let value = expr.eval(row, eval)?;
    if value.is_null() {
        return Ok(Fitted::Null);
    }
    if let Some(fitted) = fitted_integer(&value, &key.data_type) {
        return Ok(fitted);
    }
    let from = expr.data_type();
    let value = stored_value(value, from, &key.data_type, eval)?;
    Ok(Fitted::Value(value))
}

fn stored_value(value: Value, from: &DataType, to: &DataType, eval: &EvalContext) -> SqlResult<Value> {
    let mut warnings = Warnings::with_capacity(0);
    let mut store = convert::StoreContext {
        strictness: Strictness::Lenient,
        sql_mode: SqlMode::ALLOW_INVALID_DATES,
        time_zone: eval.time_zone,
        column: "",
        row_number: 1,
        warnings: &mut warnings,
    };
    let value = convert::store(value, from, to, &mut store)?;
    Ok(match value {
        Value::DateTime(local) if to.kind == TypeKind::Timestamp => {
            Value::DateTime(eval.time_zone.to_utc(local))
        }
        other => other,
    })
}

/// Integers for integer columns, without loss.
fn fitted_integer(value: &Value, to: &DataType) -> Option<Fitted> {
    let number = match value {
        Value::Int(n) => i128::from(*n),
        Value::UInt(n) => i128::from(*n),
        _ => return None,
    };
    let bits = match to.kind {
        TypeKind::TinyInt => 8,
        TypeKind::SmallInt => 16,
        TypeKind::MediumInt => 24,
        TypeKind::Int => 32,
        TypeKind::BigInt => 64,
        _ => return None,
    };
    let (low, high) = if to.unsigned {
        (0, (1_i128 << bits) - 1)
    } else {
        (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1)
    };
    Some(if number < low {
        Fitted::Below
    } else if number > high {
        Fitted::Above
    } else if to.unsigned {
        Fitted::Value(u64::try_from(number).map_or(Value::Null, Value::UInt))
    } else {
        Fitted::Value(i64::try_from(number).map_or(Value::Null, Value::Int))
    })
}
