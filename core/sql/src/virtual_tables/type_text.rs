//! Types as SHOW CREATE TABLE and `information_schema.COLUMNS` write them.

use aquifer_types::{DataType, TypeKind};

use super::charset;

/// DATA_TYPE: the bare name.
#[must_use]
pub fn data_type_name(kind: TypeKind) -> &'static str {
    match kind {
        TypeKind::Null => "null",
        TypeKind::TinyInt => "tinyint",
        TypeKind::SmallInt => "smallint",
        TypeKind::MediumInt => "mediumint",
        TypeKind::Int => "int",
        TypeKind::BigInt => "bigint",
        TypeKind::Bit => "bit",
        TypeKind::Year => "year",
        TypeKind::Float => "float",
        TypeKind::Double => "double",
        TypeKind::Decimal => "decimal",
        TypeKind::Date => "date",
        TypeKind::Time => "time",
        TypeKind::DateTime => "datetime",
        TypeKind::Timestamp => "timestamp",
        TypeKind::Char => "char",
        TypeKind::VarChar => "varchar",
        TypeKind::TinyText => "tinytext",
        TypeKind::Text => "text",
        TypeKind::MediumText => "mediumtext",
        TypeKind::LongText => "longtext",
        TypeKind::Binary => "binary",
        TypeKind::VarBinary => "varbinary",
        TypeKind::TinyBlob => "tinyblob",
        TypeKind::Blob => "blob",
        TypeKind::MediumBlob => "mediumblob",
        TypeKind::LongBlob => "longblob",
        TypeKind::Enum => "enum",
        TypeKind::Set => "set",
        TypeKind::Json => "json",
    }
}

/// COLUMN_TYPE: with length, members, UNSIGNED and ZEROFILL. Display widths of integers are shown as
/// MySQL 8.0.19 and later do: only for `tinyint(1)` and ZEROFILL.
#[must_use]
pub fn column_type(data_type: &DataType) -> String {
    let mut out = data_type_name(data_type.kind).to_owned();
    match data_type.kind {
        kind if is_integer(kind) => {
            let shown = data_type.zerofill
                || (kind == TypeKind::TinyInt && data_type.length == 1 && !data_type.unsigned);
            if shown {
                out.push_str(&format!("({})", data_type.length));
            }
        }
        TypeKind::Decimal => out.push_str(&format!("({},{})", data_type.length, data_type.decimals)),
        TypeKind::Float | TypeKind::Double if data_type.decimals < 31 => {
            out.push_str(&format!("({},{})", data_type.length, data_type.decimals));
        }
        TypeKind::Bit | TypeKind::Char | TypeKind::VarChar | TypeKind::Binary | TypeKind::VarBinary => {
            out.push_str(&format!("({})", data_type.length));
        }
        TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp if data_type.decimals > 0 => {
            out.push_str(&format!("({})", data_type.decimals));
        }
        TypeKind::Enum | TypeKind::Set => {
            let members = data_type.members.as_deref().unwrap_or_default();
            let quoted: Vec<String> = members.iter().map(|member| quote_member(member)).collect();
            out.push_str(&format!("({})", quoted.join(",")));
        }
        _ => {}
    }
    if data_type.unsigned && data_type.kind != TypeKind::Bit && data_type.kind != TypeKind::Year {
        out.push_str(" unsigned");
    }
    if data_type.zerofill {
        out.push_str(" zerofill");
    }
    out
}

fn quote_member(member: &str) -> String {
    format!("'{}'", member.replace('\'', "''"))
}

/// TINYINT to BIGINT.
#[must_use]
pub fn is_integer(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::MediumInt | TypeKind::Int | TypeKind::BigInt
    )
}

/// Strings that have a character set.
#[must_use]
pub fn has_collation(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::Char
            | TypeKind::VarChar
            | TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::Enum
            | TypeKind::Set
    )
}

/// CHARACTER_MAXIMUM_LENGTH and CHARACTER_OCTET_LENGTH.
#[must_use]
pub fn character_lengths(data_type: &DataType) -> Option<(u64, u64)> {
    let width = u64::from(charset::charset_of(data_type.collation).max_length);
    let length = u64::from(data_type.length);
    match data_type.kind {
        TypeKind::Char | TypeKind::VarChar => Some((length, length * width)),
        TypeKind::Binary | TypeKind::VarBinary => Some((length, length)),
        TypeKind::TinyText | TypeKind::Text | TypeKind::MediumText | TypeKind::LongText => {
            let octets = blob_length(data_type.kind);
            Some((octets, octets))
        }
        TypeKind::TinyBlob | TypeKind::Blob | TypeKind::MediumBlob | TypeKind::LongBlob => {
            Some((blob_length(data_type.kind), blob_length(data_type.kind)))
        }
        TypeKind::Enum | TypeKind::Set => {
            let characters = member_length(data_type);
            Some((characters, characters * width))
        }
        _ => None,
    }
}

fn blob_length(kind: TypeKind) -> u64 {
    match kind {
        TypeKind::TinyText | TypeKind::TinyBlob => 255,
        TypeKind::Text | TypeKind::Blob => 65_535,
        TypeKind::MediumText | TypeKind::MediumBlob => 16_777_215,
        _ => u64::from(u32::MAX),
    }
}

/// The longest ENUM member, or all SET members with commas.
fn member_length(data_type: &DataType) -> u64 {
    let members = data_type.members.as_deref().unwrap_or_default();
    let lengths = members.iter().map(|member| member.chars().count());
    let length = if data_type.kind == TypeKind::Set {
        lengths.sum::<usize>() + members.len().saturating_sub(1)
    } else {
        lengths.max().unwrap_or(0)
    };
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// NUMERIC_PRECISION and NUMERIC_SCALE.
#[must_use]
pub fn numeric_precision(data_type: &DataType) -> Option<(u64, Option<u64>)> {
    let unsigned = data_type.unsigned;
    match data_type.kind {
        TypeKind::TinyInt => Some((3, Some(0))),
        TypeKind::SmallInt => Some((5, Some(0))),
        TypeKind::MediumInt => Some((7, Some(0))),
        TypeKind::Int => Some((10, Some(0))),
        TypeKind::BigInt => Some((if unsigned { 20 } else { 19 }, Some(0))),
        TypeKind::Decimal => Some((u64::from(data_type.length), Some(u64::from(data_type.decimals)))),
        TypeKind::Bit => Some((u64::from(data_type.length), None)),
        TypeKind::Float | TypeKind::Double => {
            let scale = (data_type.decimals < 31).then(|| u64::from(data_type.decimals));
            let natural = if data_type.kind == TypeKind::Float { 12 } else { 22 };
            let precision = if scale.is_some() { u64::from(data_type.length) } else { natural };
            Some((precision, scale))
        }
        _ => None,
    }
}

/// DATETIME_PRECISION.
#[must_use]
pub fn datetime_precision(data_type: &DataType) -> Option<u64> {
    matches!(data_type.kind, TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp)
        .then(|| u64::from(data_type.decimals))
}
