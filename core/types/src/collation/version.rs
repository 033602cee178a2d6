//! Forms of sort keys, of which every index has one.

/// The form that the sort keys of an index have. A collation weighs alike in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CollationVersion {
    /// Weights of the Unicode collations take two bytes.
    V1,
    /// Weights of the Unicode collations take one to three bytes (ADR 0153).
    #[default]
    V2,
}

impl CollationVersion {
    /// As the catalog stores it.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The version of that number; `None` when this program does not know it.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }
}
