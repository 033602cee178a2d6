//! The type of a column or expression.

use std::sync::Arc;

/// The kind of a type, as `information_schema.COLUMNS.DATA_TYPE` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TypeKind {
    Null,
    TinyInt,
    SmallInt,
    MediumInt,
    Int,
    BigInt,
    Bit,
    Year,
    Float,
    Double,
    Decimal,
    Date,
    Time,
    DateTime,
    Timestamp,
    Char,
    VarChar,
    TinyText,
    Text,
    MediumText,
    LongText,
    Binary,
    VarBinary,
    TinyBlob,
    Blob,
    MediumBlob,
    LongBlob,
    Enum,
    Set,
    Json,
}

/// A MySQL collation by its number (`information_schema.COLLATIONS.ID`); it implies the character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Collation(pub u16);

impl Collation {
    /// `binary`: bytes compared as bytes.
    pub const BINARY: Self = Self(63);
    /// `utf8mb4_0900_ai_ci`, the default.
    pub const UTF8MB4_0900_AI_CI: Self = Self(255);
    /// `utf8mb4_general_ci`.
    pub const UTF8MB4_GENERAL_CI: Self = Self(45);
    /// `utf8mb4_bin`.
    pub const UTF8MB4_BIN: Self = Self(46);
    /// `utf8mb3_general_ci`, which `information_schema` uses.
    pub const UTF8MB3_GENERAL_CI: Self = Self(33);
}

/// A complete type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataType {
    /// Which type.
    pub kind: TypeKind,
    /// Characters of a string, bytes of a binary string, bits of BIT, display width of an integer,
    /// precision of DECIMAL; 0 where the type has none.
    pub length: u32,
    /// Digits after the point: scale of DECIMAL, fraction digits of a temporal type, 31 for
    /// floating point without a fixed scale.
    pub decimals: u8,
    /// UNSIGNED.
    pub unsigned: bool,
    /// ZEROFILL (implies `unsigned`).
    pub zerofill: bool,
    /// Collation of a string type; [`Collation::BINARY`] for all others.
    pub collation: Collation,
    /// Members of an ENUM or SET in order, as UTF-8.
    pub members: Option<Arc<[String]>>,
}

impl DataType {
    /// A type of `kind` with MySQL's default length and no attributes.
    #[must_use]
    pub fn of(kind: TypeKind) -> Self {
        let (length, decimals) = match kind {
            TypeKind::TinyInt => (4, 0),
            TypeKind::SmallInt => (6, 0),
            TypeKind::MediumInt => (9, 0),
            TypeKind::Int => (11, 0),
            TypeKind::BigInt => (20, 0),
            TypeKind::Bit => (1, 0),
            TypeKind::Year => (4, 0),
            TypeKind::Float => (12, 31),
            TypeKind::Double => (22, 31),
            TypeKind::Decimal => (10, 0),
            TypeKind::Char | TypeKind::Binary => (1, 0),
            TypeKind::TinyText | TypeKind::TinyBlob => (255, 0),
            TypeKind::Text | TypeKind::Blob => (65_535, 0),
            TypeKind::MediumText | TypeKind::MediumBlob => (16_777_215, 0),
            TypeKind::LongText | TypeKind::LongBlob | TypeKind::Json => (u32::MAX, 0),
            _ => (0, 0),
        };
        let collation = match kind {
            TypeKind::Char
            | TypeKind::VarChar
            | TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::Enum
            | TypeKind::Set
            | TypeKind::Json => Collation::UTF8MB4_0900_AI_CI,
            _ => Collation::BINARY,
        };
        Self { kind, length, decimals, unsigned: false, zerofill: false, collation, members: None }
    }

    /// VARCHAR of `length` characters in the default collation.
    #[must_use]
    pub fn varchar(length: u32) -> Self {
        Self { length, ..Self::of(TypeKind::VarChar) }
    }

    /// BIGINT UNSIGNED.
    #[must_use]
    pub fn bigint_unsigned() -> Self {
        Self { unsigned: true, ..Self::of(TypeKind::BigInt) }
    }
}
