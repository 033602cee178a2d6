//! Identifiers and log positions, each its own type so that none can be taken for another.

use std::fmt;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id_type!(
    /// Number of a committed transaction: dense, in commit order. 0 is before the first.
    Lsn,
    u64
);
id_type!(
    /// The fencing token: raised by each new writer of a branch, checked at each publish.
    Epoch,
    u64
);
id_type!(
    /// Position of a link in its branch's chain. The first link is 1; 0 is before it.
    LinkSeq,
    u64
);
id_type!(
    /// A table of the catalog.
    TableId,
    u32
);
id_type!(
    /// A primary or secondary index; the first four bytes of each of its keys, big-endian.
    IndexId,
    u32
);
id_type!(
    /// The number of a table's schema, kept in each row so that metadata-only DDL is O(1).
    SchemaVersion,
    u32
);
id_type!(
    /// An SST object: never reused, shared by all branches. Unique because it holds random bits
    /// chosen by the node that wrote it.
    SstId,
    u128
);
id_type!(
    /// A transaction that runs on this node; not stored anywhere.
    TxnId,
    u64
);

impl Lsn {
    /// Reads at this position see the newest committed version of everything.
    pub const MAX: Self = Self(u64::MAX);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The lowest number of temporary tables and of their indexes; stored ones have lower numbers. Each session
/// counts its own from here, so these numbers mean nothing outside of it.
pub const TEMPORARY_ID_MIN: u32 = 1 << 30;

/// The bit that is set in derived numbers, as in those of counters of hidden keys.
pub const DERIVED_ID_BIT: u32 = 1 << 31;

impl TableId {
    /// Whether the table is a session's temporary one.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        self.0 & !DERIVED_ID_BIT >= TEMPORARY_ID_MIN
    }
}

impl IndexId {
    /// Whether the index is one of a temporary table.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        self.0 & !DERIVED_ID_BIT >= TEMPORARY_ID_MIN
    }

    /// The index of a key.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Option<Self> {
        key.first_chunk::<4>().map(|id| Self(u32::from_be_bytes(*id)))
    }
}

impl LinkSeq {
    /// The number of the link that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The name of a branch: 1 to 64 of `a-z`, `0-9`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchName(String);

impl BranchName {
    /// The branch that a new database starts with.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// Checks a name.
    ///
    /// # Errors
    /// A sentence for the user when the name has other characters or another length.
    pub fn new(name: &str) -> Result<Self, String> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
            return Err(format!("branch name {name:?} is not 1 to 64 characters of a-z, 0-9, '-' and '_'"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
