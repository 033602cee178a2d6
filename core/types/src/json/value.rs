//! Between SQL values and JSON.

use bytes::Bytes;

use super::{Json, NotJson, parse_stored};
use crate::collation::Charset;
use crate::text::to_text;
use crate::{Collation, DataType, TypeKind, Value};

/// An SQL value as JSON: texts become strings, moments strings with six digits of fraction, bytes a string
/// that names their type.
///
/// # Errors
/// For a JSON value whose text is none (nested too deeply).
pub fn from_sql(value: &Value, ty: &DataType) -> Result<Json, NotJson> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bytes(text) if ty.kind == TypeKind::Json => parse_stored(text)?,
        Value::UInt(_) if ty.kind == TypeKind::Bit => opaque(16, &to_text(value, ty).unwrap_or_default()),
        Value::UInt(_) if matches!(ty.kind, TypeKind::Enum | TypeKind::Set) => string(value, ty),
        Value::Int(n) if ty.unsigned => u64::try_from(*n).map_or(Json::Int(*n), Json::UInt),
        Value::Int(n) => Json::Int(*n),
        Value::UInt(n) => Json::UInt(*n),
        Value::Float(x) => Json::Double(f64::from(*x)),
        Value::Double(x) => Json::Double(*x),
        Value::Decimal(d) if d.scale() > ty.decimals && ty.kind == TypeKind::Decimal => {
            Json::Decimal(d.round(i32::from(ty.decimals)))
        }
        Value::Decimal(d) => Json::Decimal(*d),
        Value::Bytes(bytes) if ty.collation == Collation::BINARY => opaque(type_number(ty.kind), bytes),
        Value::Bytes(_) => string(value, ty),
        Value::Date(_) | Value::Time(_) | Value::DateTime(_) => {
            let fine = DataType { decimals: 6, ..ty.clone() };
            string(value, &fine)
        }
    })
}

fn string(value: &Value, ty: &DataType) -> Json {
    let text = to_text(value, ty).unwrap_or_default();
    let source = match ty.kind {
        TypeKind::Enum | TypeKind::Set => Charset::Utf8mb4,
        _ if matches!(value, Value::Bytes(_)) => ty.collation.charset(),
        _ => Charset::Ascii,
    };
    let text = source.convert(Charset::Utf8mb4, &text).bytes;
    Json::String(String::from_utf8_lossy(&text).into_owned())
}

/// The number of a type in the protocol, which MySQL shows for bytes within JSON.
fn type_number(kind: TypeKind) -> u8 {
    match kind {
        TypeKind::TinyBlob => 249,
        TypeKind::MediumBlob => 250,
        TypeKind::LongBlob => 251,
        TypeKind::Blob => 252,
        TypeKind::Binary => 254,
        _ => 15,
    }
}

fn opaque(number: u8, bytes: &[u8]) -> Json {
    let mut text = format!("base64:type{number}:");
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_usize, |n, b| n << 8 | usize::from(*b)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[bits >> (18 - 6 * place) & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    Json::String(text)
}

/// The text of a JSON value without its quotation marks if it is a string.
#[must_use]
pub fn scalar_text(text: &Bytes) -> Bytes {
    if text.first() != Some(&b'"') {
        return text.clone();
    }
    match parse_stored(text) {
        Ok(Json::String(s)) => Bytes::from(s.into_bytes()),
        _ => text.clone(),
    }
}

/// What numeric conversion reads of a JSON value: `true` is 1, `false` 0, a string its content; `None` for what
/// is no scalar.
#[must_use]
pub fn to_number_text(text: &Bytes) -> Option<Bytes> {
    match text.first() {
        Some(b't') => Some(Bytes::from_static(b"1")),
        Some(b'f') => Some(Bytes::from_static(b"0")),
        Some(b'"') => Some(scalar_text(text)),
        Some(b'n' | b'[' | b'{') | None => None,
        Some(_) => Some(text.clone()),
    }
}
