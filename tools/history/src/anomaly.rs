//! Kinds of anomalies, and which level forbids which.

use std::fmt;

use crate::graph::Edge;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A read that contradicts what the same transaction read or wrote before.
    Internal,
    /// A read that shows what others wrote since an earlier read of the same transaction, which has itself written
    /// the key in between.
    Moved,
    /// A value that nobody wrote, or one value twice in a list.
    Garbage,
    /// Reads of one key that fit no order of its versions.
    IncompatibleOrder,
    /// A committed append that a final read does not show.
    LostAppend,
    /// A cycle of writes.
    G0,
    /// A read of what was rolled back.
    G1a,
    /// A read of a value that its writer changed again.
    G1b,
    /// A cycle of writes and reads of them.
    G1c,
    /// Two transactions read one version and both wrote the next.
    LostUpdate,
    /// A cycle with exactly one overwritten read: a torn snapshot.
    GSingle,
    /// A cycle with several overwritten reads, no two in a row: two readers see two writers in different order.
    LongFork,
    /// A cycle with overwritten reads of items: write skew.
    G2Item,
    /// A cycle with overwritten reads by condition: a phantom.
    G2,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Internal => "internal",
            Self::Moved => "moved",
            Self::Garbage => "garbage",
            Self::IncompatibleOrder => "incompatible-order",
            Self::LostAppend => "lost-append",
            Self::G0 => "G0",
            Self::G1a => "G1a",
            Self::G1b => "G1b",
            Self::G1c => "G1c",
            Self::LostUpdate => "lost-update",
            Self::GSingle => "G-single",
            Self::LongFork => "long-fork",
            Self::G2Item => "G2-item",
            Self::G2 => "G2",
        })
    }
}

/// Whose reads were overwritten in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Readers {
    /// Only those of transactions that write nothing.
    ReadOnly,
    /// Also those of transactions that write.
    Writing,
}

/// Something that went wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// What.
    pub kind: Kind,
    /// Who.
    pub readers: Readers,
    /// In words; transactions are named by their number, counted from zero.
    pub detail: String,
}

impl Anomaly {
    pub(crate) fn new(kind: Kind, detail: String) -> Self {
        Self { kind, readers: Readers::Writing, detail }
    }

    /// A cycle: each edge with where it begins.
    pub(crate) fn cycle(kind: Kind, readers: Readers, cycle: &[(usize, Edge)]) -> Self {
        let mut detail = String::new();
        for (from, edge) in cycle {
            detail.push_str(&format!("T{from} -{edge}-> "));
        }
        if let Some((first, _)) = cycle.first() {
            detail.push_str(&format!("T{first}"));
        }
        Self { kind, readers, detail }
    }
}

/// What a database promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// No dirty writes.
    ReadUncommitted,
    /// No dirty reads.
    ReadCommitted,
    /// MySQL's: READ COMMITTED, and transactions that only read see one snapshot. Transactions that write change
    /// the newest rows, which their snapshot may not show.
    RepeatableRead,
    /// One snapshot, and the first committer wins.
    Snapshot,
    /// As if one after the other.
    Serializable,
}

impl Level {
    /// The level of a name as SQL has it, with a hyphen for the space.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "read-uncommitted" => Self::ReadUncommitted,
            "read-committed" => Self::ReadCommitted,
            "repeatable-read" => Self::RepeatableRead,
            "snapshot" => Self::Snapshot,
            "serializable" => Self::Serializable,
            _ => return None,
        })
    }

    /// Whether the level excludes the anomaly.
    #[must_use]
    pub fn forbids(self, anomaly: &Anomaly) -> bool {
        match anomaly.kind {
            Kind::Garbage | Kind::IncompatibleOrder | Kind::LostAppend | Kind::G0 => true,
            Kind::G1a | Kind::G1b | Kind::G1c => self != Self::ReadUncommitted,
            Kind::Internal => !matches!(self, Self::ReadUncommitted | Self::ReadCommitted),
            Kind::GSingle | Kind::LongFork => match self {
                Self::ReadUncommitted | Self::ReadCommitted => false,
                Self::RepeatableRead => anomaly.readers == Readers::ReadOnly,
                Self::Snapshot | Self::Serializable => true,
            },
            Kind::LostUpdate | Kind::Moved => matches!(self, Self::Snapshot | Self::Serializable),
            Kind::G2Item | Kind::G2 => self == Self::Serializable,
        }
    }
}
