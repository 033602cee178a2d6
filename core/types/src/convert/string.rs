//! Conversion to strings, ENUM, SET and JSON.

use bytes::Bytes;

use super::{Problem, StoreContext, Stored, escaped, to_integer};
use crate::collation::Charset;
use crate::text::to_text;
use crate::{Collation, DataType, SqlError, SqlResult, TypeKind, Value};

/// The character set that the text of a value has: strings that of their type, ENUM and SET that of
/// their members, everything else ASCII.
fn charset_of(from: &DataType) -> Charset {
    match from.kind {
        TypeKind::Enum | TypeKind::Set | TypeKind::Json => Charset::Utf8mb4,
        TypeKind::Bit => Charset::Binary,
        _ if is_string(from.kind) => from.collation.charset(),
        _ => Charset::Ascii,
    }
}

fn is_string(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::Char
            | TypeKind::VarChar
            | TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::Binary
            | TypeKind::VarBinary
            | TypeKind::TinyBlob
            | TypeKind::Blob
            | TypeKind::MediumBlob
            | TypeKind::LongBlob
    )
}

/// The most a string column holds.
enum Limit {
    Chars(usize),
    Bytes(usize),
}

fn limit_of(to: &DataType) -> Limit {
    let length = usize::try_from(to.length).unwrap_or(usize::MAX);
    match to.kind {
        TypeKind::Char | TypeKind::VarChar => Limit::Chars(length),
        TypeKind::Binary | TypeKind::VarBinary => Limit::Bytes(length),
        TypeKind::TinyText | TypeKind::TinyBlob => Limit::Bytes(255),
        TypeKind::Text | TypeKind::Blob => Limit::Bytes(65_535),
        TypeKind::MediumText | TypeKind::MediumBlob => Limit::Bytes(16_777_215),
        _ => Limit::Bytes(usize::try_from(u32::MAX).unwrap_or(usize::MAX)),
    }
}

pub(super) fn store_string(
    value: &Value,
    from: &DataType,
    to: &DataType,
    ctx: &StoreContext<'_>,
) -> SqlResult<Stored> {
    let (source, target) = (charset_of(from), to.collation.charset());
    let given = to_text(value, from).unwrap_or_default();
    let mut problem = None;
    let mut text = given.clone();
    if source != target {
        let converted = source.convert(target, &given);
        text = converted.bytes;
        if let Some(at) = converted.first_lost {
            bad_character(&given, at, ctx)?;
            problem = Some(Problem::TruncatedNote);
        }
    }
    let unchecked = source == Charset::Binary || source == target;
    if let Some(at) = target.find_invalid(&text).filter(|_| unchecked) {
        bad_character(&text, at, ctx)?;
        text.truncate(at);
    }
    let cut = match limit_of(to) {
        _ if text.len() <= usize::try_from(to.length).unwrap_or(usize::MAX) => text.len(),
        Limit::Chars(n) => target.char_offset(&text, n),
        Limit::Bytes(n) => whole_chars(target, &text, n),
    };
    if cut < text.len() {
        let only_spaces = text[cut..].iter().all(|b| *b == b' ') && target != Charset::Binary;
        problem = match (only_spaces, to.kind) {
            (true, TypeKind::Char) => problem,
            (true, _) => Some(Problem::TruncatedNote),
            (false, _) => Some(Problem::TooLong),
        };
        text.truncate(cut);
    }
    Ok(Stored { value: Value::Bytes(finish(text, to)), problem })
}

/// Where to cut so that at most `limit` bytes remain and no character is torn.
fn whole_chars(charset: Charset, text: &[u8], limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    let mut cut = limit;
    while cut > 0 && charset.maxlen() > 1 && text[cut] & 0xC0 == 0x80 {
        cut -= 1;
    }
    cut
}

/// CHAR loses the spaces at its end, BINARY is filled with zeros.
fn finish(text: Bytes, to: &DataType) -> Bytes {
    match to.kind {
        TypeKind::Char => {
            let end = text.iter().rposition(|b| *b != b' ').map_or(0, |i| i + 1);
            text.slice(..end)
        }
        TypeKind::Binary => {
            let length = usize::try_from(to.length).unwrap_or(0);
            if text.len() >= length {
                return text;
            }
            let mut padded = text.to_vec();
            padded.resize(length, 0);
            Bytes::from(padded)
        }
        _ => text,
    }
}

/// 1366 in strict mode, naming the bytes from the wrong one on.
fn bad_character(text: &[u8], at: usize, ctx: &StoreContext<'_>) -> SqlResult<()> {
    if ctx.strictness == super::Strictness::Lenient {
        return Ok(());
    }
    let tail = &text[at..];
    let mut bytes = escaped(&tail[..tail.len().min(6)]);
    if tail.len() > 6 {
        bytes.push_str("...");
    }
    let (column, row) = (ctx.column, ctx.row_number);
    let message = format!("Incorrect string value: '{bytes}' for column '{column}' at row {row}");
    Err(SqlError::new(1366, message))
}

/// Text of a value as UTF-8, without spaces at the end.
fn member_text(value: &Value, from: &DataType) -> Bytes {
    let given = to_text(value, from).unwrap_or_default();
    let text = charset_of(from).convert(Charset::Utf8mb4, &given).bytes;
    let end = text.iter().rposition(|b| *b != b' ').map_or(0, |i| i + 1);
    text.slice(..end)
}

/// The collation in which members, which are UTF-8, are looked up.
fn member_collation(to: &DataType) -> Collation {
    match to.collation.charset() {
        Charset::Utf8mb4 | Charset::Utf8mb3 => to.collation,
        Charset::Binary => Collation::UTF8MB4_BIN,
        _ if to.collation.is_binary() => Collation::UTF8MB4_BIN,
        _ => Collation::UTF8MB4_GENERAL_CI,
    }
}

fn find_member(text: &[u8], to: &DataType) -> Option<usize> {
    let collation = member_collation(to);
    to.members.as_deref()?.iter().position(|m| collation.equal(m.as_bytes(), text))
}

pub(super) fn store_enum(value: &Value, from: &DataType, to: &DataType) -> Stored {
    let count = to.members.as_deref().map_or(0, <[String]>::len);
    let by_number = |n: i128, least: i128| {
        let legal = n >= least && usize::try_from(n).is_ok_and(|n| n <= count);
        if legal { u64::try_from(n).ok() } else { None }
    };
    let bad = || Stored::with(Value::UInt(0), Problem::Truncated);
    let text_like = matches!(value, Value::Bytes(_)) || matches!(from.kind, TypeKind::Enum | TypeKind::Set);
    if !text_like {
        return by_number(to_integer(value, from).0, 1).map_or_else(bad, |n| Stored::good(Value::UInt(n)));
    }
    let text = member_text(value, from);
    if let Some(found) = find_member(&text, to) {
        return Stored::good(Value::UInt(found as u64 + 1));
    }
    let (number, complete) = to_integer(&Value::Bytes(text.clone()), &DataType::varchar(0));
    match by_number(number, 1) {
        Some(n) if complete => Stored::good(Value::UInt(n)),
        _ => bad(),
    }
}

pub(super) fn store_set(value: &Value, from: &DataType, to: &DataType) -> Stored {
    let count = to.members.as_deref().map_or(0, <[String]>::len).min(64);
    let all = if count == 64 { u64::MAX } else { (1 << count) - 1 };
    let checked = |bits: u64| match bits & all == bits {
        true => Stored::good(Value::UInt(bits)),
        false => Stored::with(Value::UInt(bits & all), Problem::Truncated),
    };
    let text_like = matches!(value, Value::Bytes(_)) || matches!(from.kind, TypeKind::Enum | TypeKind::Set);
    if !text_like {
        return checked(u64::try_from(to_integer(value, from).0).unwrap_or(u64::MAX));
    }
    let text = member_text(value, from);
    if text.is_empty() {
        return Stored::good(Value::UInt(0));
    }
    let mut bits = 0;
    let mut unknown = false;
    for part in text.split(|b| *b == b',') {
        match find_member(part, to) {
            Some(i) if i < 64 => bits |= 1 << i,
            _ => unknown = true,
        }
    }
    if !unknown {
        return Stored::good(Value::UInt(bits));
    }
    let (number, complete) = to_integer(&Value::Bytes(text.clone()), &DataType::varchar(0));
    match u64::try_from(number) {
        Ok(n) if complete && n & all == n => Stored::good(Value::UInt(n)),
        _ => Stored::with(Value::UInt(bits), Problem::Truncated),
    }
}

/// JSON is kept as normalised text (ADR 0120). Numbers and moments are no JSON texts: they need a CAST.
pub(super) fn store_json(value: &Value, from: &DataType, ctx: &StoreContext<'_>) -> SqlResult<Stored> {
    let given = to_text(value, from).unwrap_or_default();
    if from.kind == TypeKind::Json {
        return Ok(Stored::good(Value::Bytes(given)));
    }
    let bad = |what: &str, position: usize| {
        let message = format!(
            "Invalid JSON text: \"{what}\" at position {position} in value for column '{}'.",
            ctx.column
        );
        SqlError::new(3140, message)
    };
    if charset_of(from) == Charset::Binary {
        let message = "Cannot create a JSON value from a string with CHARACTER SET 'binary'.";
        return Err(SqlError::new(3144, message));
    }
    if !is_string(from.kind) && !matches!(from.kind, TypeKind::Enum | TypeKind::Set) {
        return Err(bad("not a JSON text, may need CAST", 0));
    }
    let text = charset_of(from).convert(Charset::Utf8mb4, &given).bytes;
    let document = crate::json::parse(&text).map_err(|at| bad(at.what, at.position))?;
    Ok(Stored::good(Value::Bytes(document.to_text().into())))
}
