//! Collations and character sets (manual 10): comparing, sort keys, hashing, case, LIKE.
//!
//! For every collation that may be stored ([`Collation::is_supported`]), `compare(a, b)`, the byte order
//! of `sort_key(a)` and `sort_key(b)`, and equality of `hash` agree. Their weights are part of the format
//! of keys at rest: they must never change for a collation number and a [`CollationVersion`] once released.

mod case;
mod charset;
mod compact;
mod compare;
mod ducet;
mod latin1;
mod like;
mod sort_key;
mod table;
mod uca_old;
mod version;

pub use charset::{Charset, Converted};
pub use like::like;
pub use table::{CollationInfo, PadAttribute};
pub use version::CollationVersion;

use table::{Algorithm, COLLATIONS};

use crate::Collation;

impl Collation {
    /// All collations that have a name here, by name.
    #[must_use]
    pub fn all() -> Vec<&'static CollationInfo> {
        let mut all: Vec<_> = COLLATIONS.iter().collect();
        all.sort_by_key(|c| c.name);
        all
    }

    /// The collation of that name, in any case; `utf8_` stands for `utf8mb3_`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let full = lower.strip_prefix("utf8_").map_or(lower.clone(), |rest| format!("utf8mb3_{rest}"));
        COLLATIONS.iter().find(|c| c.name == full).map(|c| c.id)
    }

    /// What is known of it; an unknown number counts as `binary`.
    #[must_use]
    #[inline]
    pub fn info(self) -> &'static CollationInfo {
        match self.0 {
            255 => &COLLATIONS[13],
            63 => &COLLATIONS[7],
            _ => COLLATIONS.iter().find(|c| c.id == self).unwrap_or(&COLLATIONS[7]),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Its character set.
    #[must_use]
    pub fn charset(self) -> Charset {
        self.info().charset
    }

    /// Whether it is `binary` or a `_bin` collation.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self.info().algorithm, Algorithm::Bytes)
    }

    /// Whether columns may have it: its weights are exactly MySQL's, which holds for all that have a name here.
    #[must_use]
    pub fn is_supported(self) -> bool {
        COLLATIONS.iter().any(|c| c.id == self)
    }
}
