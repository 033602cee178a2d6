//! `sql_mode`: the switches that change what statements mean.

use std::fmt;

use crate::{SqlError, SqlResult};

/// A set of `sql_mode` flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SqlMode(u32);

/// Flags in the order in which MySQL prints them.
const NAMES: [(&str, SqlMode); 18] = [
    ("REAL_AS_FLOAT", SqlMode::REAL_AS_FLOAT),
    ("PIPES_AS_CONCAT", SqlMode::PIPES_AS_CONCAT),
    ("ANSI_QUOTES", SqlMode::ANSI_QUOTES),
    ("IGNORE_SPACE", SqlMode::IGNORE_SPACE),
    ("ONLY_FULL_GROUP_BY", SqlMode::ONLY_FULL_GROUP_BY),
    ("NO_UNSIGNED_SUBTRACTION", SqlMode::NO_UNSIGNED_SUBTRACTION),
    ("ANSI", SqlMode::ANSI),
    ("NO_AUTO_VALUE_ON_ZERO", SqlMode::NO_AUTO_VALUE_ON_ZERO),
    ("NO_BACKSLASH_ESCAPES", SqlMode::NO_BACKSLASH_ESCAPES),
    ("STRICT_TRANS_TABLES", SqlMode::STRICT_TRANS_TABLES),
    ("STRICT_ALL_TABLES", SqlMode::STRICT_ALL_TABLES),
    ("NO_ZERO_IN_DATE", SqlMode::NO_ZERO_IN_DATE),
    ("NO_ZERO_DATE", SqlMode::NO_ZERO_DATE),
    ("ALLOW_INVALID_DATES", SqlMode::ALLOW_INVALID_DATES),
    ("ERROR_FOR_DIVISION_BY_ZERO", SqlMode::ERROR_FOR_DIVISION_BY_ZERO),
    ("TRADITIONAL", SqlMode::TRADITIONAL),
    ("HIGH_NOT_PRECEDENCE", SqlMode::HIGH_NOT_PRECEDENCE),
    ("NO_ENGINE_SUBSTITUTION", SqlMode::NO_ENGINE_SUBSTITUTION),
];

/// Flags that MySQL prints after those of [`NAMES`].
const NAMES_LATE: [(&str, SqlMode); 2] = [
    ("PAD_CHAR_TO_FULL_LENGTH", SqlMode::PAD_CHAR_TO_FULL_LENGTH),
    ("TIME_TRUNCATE_FRACTIONAL", SqlMode::TIME_TRUNCATE_FRACTIONAL),
];

#[allow(missing_docs)]
impl SqlMode {
    pub const NONE: Self = Self(0);
    pub const REAL_AS_FLOAT: Self = Self(1);
    pub const PIPES_AS_CONCAT: Self = Self(1 << 1);
    pub const ANSI_QUOTES: Self = Self(1 << 2);
    pub const IGNORE_SPACE: Self = Self(1 << 3);
    pub const ONLY_FULL_GROUP_BY: Self = Self(1 << 5);
    pub const NO_UNSIGNED_SUBTRACTION: Self = Self(1 << 6);
    pub const ANSI: Self = Self((1 << 18) | 0b10_1111);
    pub const NO_AUTO_VALUE_ON_ZERO: Self = Self(1 << 19);
    pub const NO_BACKSLASH_ESCAPES: Self = Self(1 << 20);
    pub const STRICT_TRANS_TABLES: Self = Self(1 << 21);
    pub const STRICT_ALL_TABLES: Self = Self(1 << 22);
    pub const NO_ZERO_IN_DATE: Self = Self(1 << 23);
    pub const NO_ZERO_DATE: Self = Self(1 << 24);
    pub const ALLOW_INVALID_DATES: Self = Self(1 << 25);
    pub const ERROR_FOR_DIVISION_BY_ZERO: Self = Self(1 << 26);
    pub const TRADITIONAL: Self = Self((1 << 27) | (3 << 21) | (3 << 23) | (1 << 26) | (1 << 30));
    pub const HIGH_NOT_PRECEDENCE: Self = Self(1 << 29);
    pub const NO_ENGINE_SUBSTITUTION: Self = Self(1 << 30);
    pub const PAD_CHAR_TO_FULL_LENGTH: Self = Self(1 << 31);
    pub const TIME_TRUNCATE_FRACTIONAL: Self = Self(1 << 17);
}

impl Default for SqlMode {
    fn default() -> Self {
        Self::ONLY_FULL_GROUP_BY
            .with(Self::STRICT_TRANS_TABLES)
            .with(Self::NO_ZERO_IN_DATE)
            .with(Self::NO_ZERO_DATE)
            .with(Self::ERROR_FOR_DIVISION_BY_ZERO)
            .with(Self::NO_ENGINE_SUBSTITUTION)
    }
}

impl SqlMode {
    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set less the flags of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether wrong input to a table is an error (one of the two STRICT flags).
    #[must_use]
    pub const fn is_strict(self) -> bool {
        self.0 & (Self::STRICT_TRANS_TABLES.0 | Self::STRICT_ALL_TABLES.0) != 0
    }

    /// Parses a list such as `STRICT_TRANS_TABLES,ANSI`, in any case; empty parts are skipped.
    ///
    /// # Errors
    /// 1231 naming the first unknown flag.
    pub fn parse(list: &str) -> SqlResult<Self> {
        let mut mode = Self::NONE;
        for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let known = NAMES.iter().chain(&NAMES_LATE).find(|(name, _)| name.eq_ignore_ascii_case(part));
            match known {
                Some((_, flag)) => mode = mode.with(*flag),
                None => {
                    let text = format!("Variable 'sql_mode' can't be set to the value of '{part}'");
                    return Err(SqlError::new(1231, text));
                }
            }
        }
        Ok(mode)
    }

    /// A number that identifies the set (not the one that MySQL shows for `@@sql_mode + 0`).
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The modes that [`SqlMode::bits`] told.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl fmt::Display for SqlMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (name, flag) in NAMES.iter().chain(&NAMES_LATE) {
            if self.contains(*flag) {
                if !first {
                    f.write_str(",")?;
                }
                f.write_str(name)?;
                first = false;
            }
        }
        Ok(())
    }
}
