//! How values of an expression are ordered and told apart, for sorting, grouping, DISTINCT and hash joins.

use std::cmp::Ordering;
use std::hash::Hasher;

use aquifer_types::collation::CollationVersion;
use aquifer_types::{Collation, DataType, Decimal, TypeKind, Value};

/// The order of values of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortType {
    collation: Collation,
    /// JSON texts, which are compared as documents.
    json: bool,
    /// Digits after the point to which decimals are rounded first.
    scale: Option<u8>,
}

impl SortType {
    /// The order of a type's values.
    pub(crate) fn of(data_type: &DataType) -> Self {
        let text = !matches!(data_type.kind, TypeKind::Enum | TypeKind::Set | TypeKind::Json);
        Self {
            collation: if text { data_type.collation } else { Collation::BINARY },
            json: data_type.kind == TypeKind::Json,
            scale: None,
        }
    }

    /// As [`SortType::of`] for values that are told apart by what is shown of them: a quotient has more digits
    /// than its type says, and MySQL groups by those of the type.
    pub(crate) fn shown(data_type: &DataType) -> Self {
        let scale = (data_type.kind == TypeKind::Decimal).then_some(data_type.decimals);
        Self { scale, ..Self::of(data_type) }
    }

    fn cut(self, decimal: &Decimal) -> Decimal {
        match self.scale {
            Some(scale) if decimal.scale() > scale => decimal.round(i32::from(scale)),
            _ => *decimal,
        }
    }

    /// Whether equality of two types is the same as equality of what [`SortType::encode`] writes.
    pub(crate) fn hashable(a: &DataType, b: &DataType) -> bool {
        let class = |t: &DataType| match t.kind {
            TypeKind::TinyInt
            | TypeKind::SmallInt
            | TypeKind::MediumInt
            | TypeKind::Int
            | TypeKind::BigInt
            | TypeKind::Year => 1,
            TypeKind::Date => 2,
            TypeKind::DateTime | TypeKind::Timestamp => 3,
            TypeKind::Time => 4,
            TypeKind::Decimal => 5,
            TypeKind::Double => 6,
            TypeKind::Char
            | TypeKind::VarChar
            | TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::Binary
            | TypeKind::VarBinary
            | TypeKind::Blob
            | TypeKind::TinyBlob
            | TypeKind::MediumBlob
            | TypeKind::LongBlob => 7,
            _ => 0,
        };
        class(a) != 0 && class(a) == class(b) && (class(a) != 7 || a.collation == b.collation)
    }

    /// NULL first, then by value.
    pub(crate) fn compare(self, a: &Value, b: &Value) -> Ordering {
        match (a, b) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::UInt(a), Value::UInt(b)) => a.cmp(b),
            (Value::Int(a), Value::UInt(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Value::UInt(a), Value::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Value::Bytes(a), Value::Bytes(b)) if self.json => aquifer_types::json::compare_text(a, b),
            (Value::Bytes(a), Value::Bytes(b)) => self.collation.compare(a, b),
            (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Time(a), Value::Time(b)) => a.cmp(b),
            (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => self.cut(a).cmp(&self.cut(b)),
            (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
            (Value::Double(a), Value::Double(b)) => plus_zero(*a).total_cmp(&plus_zero(*b)),
            _ => match (as_decimal(a), as_decimal(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => as_double(a).total_cmp(&as_double(b)),
            },
        }
    }

    /// Whether two values are the same; NULL is the same as NULL.
    pub(crate) fn equal(self, a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Bytes(a), Value::Bytes(b)) if !self.json => self.collation.equal(a, b),
            _ => self.compare(a, b) == Ordering::Equal,
        }
    }

    /// Feeds a hasher so that the same values hash equally.
    pub(crate) fn hash(self, value: &Value, state: &mut impl Hasher) {
        match value {
            Value::Bytes(text) if !self.json => self.collation.hash(text, state),
            Value::Int(n) => state.write(&i128::from(*n).to_le_bytes()),
            Value::UInt(n) => state.write(&i128::from(*n).to_le_bytes()),
            Value::Date(d) => state.write(&d.pack().to_le_bytes()),
            other => {
                let mut bytes = Vec::new();
                self.encode(other, &mut bytes);
                match bytes.split_first() {
                    // A whole DECIMAL is written as an integer.
                    Some((1, number)) => state.write(number),
                    _ => state.write(&bytes),
                }
            }
        }
    }

    /// Appends bytes that are equal exactly when the values are.
    pub(crate) fn encode(self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Null => out.push(0),
            Value::Int(n) => {
                out.push(1);
                out.extend(i128::from(*n).to_le_bytes());
            }
            Value::UInt(n) => {
                out.push(1);
                out.extend(i128::from(*n).to_le_bytes());
            }
            Value::Float(f) => {
                out.push(2);
                out.extend(plus_zero(f64::from(*f)).to_bits().to_le_bytes());
            }
            Value::Double(f) => {
                out.push(2);
                out.extend(plus_zero(*f).to_bits().to_le_bytes());
            }
            Value::Decimal(d) => {
                let d = self.cut(d);
                match d.to_i64().filter(|n| Decimal::from_i64(*n) == d) {
                    Some(n) => {
                        out.push(1);
                        out.extend(i128::from(n).to_le_bytes());
                    }
                    None => {
                        out.push(3);
                        let mut text = Vec::new();
                        d.normalized().write(&mut text);
                        framed(&text, out);
                    }
                }
            }
            Value::Bytes(text) => {
                out.push(4);
                if self.json {
                    let mut key = Vec::with_capacity(text.len());
                    aquifer_types::json::write_equality_key(text, &mut key);
                    framed(&key, out);
                } else if self.collation.is_binary() {
                    framed(text, out);
                } else {
                    let mut key = Vec::with_capacity(text.len() * 2);
                    self.collation.sort_key(CollationVersion::default(), text, &mut key);
                    framed(&key, out);
                }
            }
            Value::Date(d) => {
                out.push(5);
                out.extend(d.pack().to_le_bytes());
            }
            Value::Time(t) => {
                out.push(6);
                out.extend(t.micros.to_le_bytes());
            }
            Value::DateTime(t) => {
                out.push(7);
                out.extend(t.pack().to_le_bytes());
            }
        }
    }
}

/// Bytes after their length.
fn framed(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

fn plus_zero(f: f64) -> f64 {
    if f == 0.0 { 0.0 } else { f }
}

fn as_decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(n) => Some(Decimal::from_i64(*n)),
        Value::UInt(n) => Some(Decimal::from_u64(*n)),
        Value::Decimal(d) => Some(*d),
        _ => None,
    }
}

#[allow(clippy::cast_precision_loss)]
fn as_double(value: &Value) -> f64 {
    match value {
        Value::Int(n) => *n as f64,
        Value::UInt(n) => *n as f64,
        Value::Float(f) => f64::from(*f),
        Value::Double(f) => *f,
        Value::Decimal(d) => d.to_f64(),
        _ => 0.0,
    }
}
