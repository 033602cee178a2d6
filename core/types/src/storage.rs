//! How a value of each type is stored: the part that rows and keys share.

use crate::decimal::fixed_width;
use crate::{DataType, TypeKind};

/// The stored form of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Signed integer of so many bytes.
    Int(u8),
    /// Unsigned integer of so many bytes: integers, BIT, ENUM, SET.
    UInt(u8),
    /// One byte: 0, or the year less 1900.
    Year,
    Float,
    Double,
    /// Precision and scale.
    Decimal(u8, u8),
    Date,
    Time,
    DateTime,
    /// A string of any length.
    Variable,
}

impl Storage {
    pub(crate) fn of(ty: &DataType) -> Self {
        let int = |width: u8| if ty.unsigned { Self::UInt(width) } else { Self::Int(width) };
        match ty.kind {
            TypeKind::TinyInt => int(1),
            TypeKind::SmallInt => int(2),
            TypeKind::MediumInt => int(3),
            TypeKind::Int => int(4),
            TypeKind::BigInt => int(8),
            TypeKind::Bit => Self::UInt(u8::try_from(ty.length.clamp(1, 64).div_ceil(8)).unwrap_or(8)),
            TypeKind::Year => Self::Year,
            TypeKind::Float => Self::Float,
            TypeKind::Double => Self::Double,
            TypeKind::Decimal => Self::Decimal(u8::try_from(ty.length.min(65)).unwrap_or(65), ty.decimals),
            TypeKind::Date => Self::Date,
            TypeKind::Time => Self::Time,
            TypeKind::DateTime | TypeKind::Timestamp => Self::DateTime,
            TypeKind::Enum => Self::UInt(2),
            TypeKind::Set => Self::UInt(8),
            _ => Self::Variable,
        }
    }

    /// Bytes of a stored value; `None` for strings.
    pub(crate) fn width(self) -> Option<usize> {
        Some(match self {
            Self::Int(w) | Self::UInt(w) => usize::from(w),
            Self::Year => 1,
            Self::Float => 4,
            Self::Double | Self::DateTime => 8,
            Self::Decimal(precision, _) => fixed_width(precision),
            Self::Date => 3,
            Self::Time => 6,
            Self::Variable => return None,
        })
    }
}
