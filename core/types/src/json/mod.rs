//! JSON documents (manual 11.5): in memory as a tree, at rest and between operators as normalised text.
//!
//! Normalised means: members of an object ordered by the length of their names, then by their bytes, the last of
//! several equal names kept; `", "` and `": "` between parts; numbers as MySQL prints them. The text of a JSON
//! value of the server is therefore canonical, which is why a fraction that is not the shortest text of a
//! double can be told to be a DECIMAL when it is read back (ADR 0120).

mod compare;
mod contain;
mod edit;
mod merge;
mod parse;
mod path;
mod search;
mod value;
mod write;

pub use compare::{compare_text, write_equality_key};
pub use contain::{contains, overlaps};
pub use edit::{Change, array_append, array_insert, change, remove};
pub use merge::{merge_patch, merge_preserve};
pub use parse::{NotJson, parse, parse_stored};
pub use path::{Path, PathError};
pub use search::{Like, search};
pub use value::{from_sql, scalar_text, to_number_text};

use crate::Decimal;

/// Deepest nesting that MySQL takes.
pub const DEPTH_MAX: usize = 100;

/// A document or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// An integer within BIGINT.
    Int(i64),
    /// An integer beyond it, within BIGINT UNSIGNED, or one from an unsigned SQL value.
    UInt(u64),
    /// Any other number of a text.
    Double(f64),
    /// An SQL DECIMAL.
    Decimal(Decimal),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; names ordered by length, then bytes, each once.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// JSON_TYPE().
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "BOOLEAN",
            Self::Int(_) => "INTEGER",
            Self::UInt(_) => "UNSIGNED INTEGER",
            Self::Double(_) => "DOUBLE",
            Self::Decimal(_) => "DECIMAL",
            Self::String(_) => "STRING",
            Self::Array(_) => "ARRAY",
            Self::Object(_) => "OBJECT",
        }
    }

    /// JSON_DEPTH(): 1 for scalars and empty containers.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// JSON_LENGTH(): 1 for scalars.
    #[must_use]
    pub fn length(&self) -> usize {
        match self {
            Self::Array(items) => items.len(),
            Self::Object(members) => members.len(),
            _ => 1,
        }
    }

    /// A member of an object.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => find(members, name).ok().map(|at| &members[at].1),
            _ => None,
        }
    }

    /// An object of members in any order; of equal names the last one counts.
    #[must_use]
    pub fn object(members: Vec<(String, Self)>) -> Self {
        let ordered = members.windows(2).all(|pair| name_order(&pair[0].0, &pair[1].0).is_lt());
        if ordered {
            return Self::Object(members);
        }
        let mut members = members;
        members.sort_by(|a, b| name_order(&a.0, &b.0));
        let mut unique: Vec<(String, Self)> = Vec::with_capacity(members.len());
        for member in members {
            match unique.last_mut() {
                Some(last) if last.0 == member.0 => *last = member,
                _ => unique.push(member),
            }
        }
        Self::Object(unique)
    }

    /// The value in an array, unless it is one already.
    #[must_use]
    pub fn into_array(self) -> Vec<Self> {
        match self {
            Self::Array(items) => items,
            other => vec![other],
        }
    }
}

/// The order of names within an object.
fn name_order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// Where a name is among members, or where it would be.
fn find(members: &[(String, Json)], name: &str) -> Result<usize, usize> {
    members.binary_search_by(|(known, _)| name_order(known, name))
}
