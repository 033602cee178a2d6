//! Each object by itself: verified to the last byte, and what it says kept for the references.

use std::collections::BTreeMap;

use aquifer_format::link::LinkPosition;
use aquifer_format::{Checkpoint, Cluster, ForkRecord, Head, Link, ObjectKey, Pin, SstMeta};
use aquifer_objstore::{ObjectInfo, StoreResult};
use aquifer_shard::error::NodeResult;
use aquifer_types::{BranchName, LinkSeq, SstId};
use bytes::Bytes;

/// What an object turned out to be.
pub enum Verified {
    /// The cluster object.
    Cluster,
    /// A link.
    Link(BranchName, Box<LinkFacts>),
    /// A checkpoint.
    Checkpoint(Box<Checkpoint>),
    /// A head.
    Head(BranchName, Head),
    /// A pin, by its name.
    Pin(BranchName, Pin),
    /// A table of this length.
    Table(SstId, u64),
    /// Not Aquifer's, or of a format with checksums of its own.
    Unknown,
    /// Deleted since it was listed.
    Gone,
    /// Something is wrong with it.
    Damaged(String),
}

/// What is needed of a link.
pub struct LinkFacts {
    /// Its number.
    pub seq: LinkSeq,
    /// Where it says that it belongs.
    pub link: Link,
    /// Where the next one belongs.
    pub next: LinkPosition,
}

/// Everything that was verified.
#[derive(Default)]
pub struct Facts {
    /// Links by branch and number, without their transactions.
    pub links: BTreeMap<BranchName, BTreeMap<LinkSeq, LinkFacts>>,
    /// Checkpoints by branch and number.
    pub checkpoints: BTreeMap<BranchName, BTreeMap<LinkSeq, Checkpoint>>,
    /// Heads.
    pub heads: BTreeMap<BranchName, Head>,
    /// Pins by name.
    pub pins: BTreeMap<BranchName, Pin>,
    /// Length of each table.
    pub tables: BTreeMap<SstId, u64>,
    /// What is wrong, each naming its object.
    pub damaged: Vec<String>,
    /// Objects and bytes by kind.
    counts: BTreeMap<&'static str, (u64, u64)>,
}

/// Verifies the answer of a read.
///
/// # Errors
/// When the store does not answer.
pub fn verify(key: &str, read: StoreResult<Bytes>) -> NodeResult<Verified> {
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(Verified::Gone),
        Err(error) => return Err(error.into()),
    };
    Ok(decode(key, bytes).unwrap_or_else(Verified::Damaged))
}

fn decode(key: &str, bytes: Bytes) -> Result<Verified, String> {
    let text = |error: aquifer_format::FormatError| error.with_object(key).to_string();
    let misplaced = || format!("{key}: is another object than its key says");
    let Some(kind) = ObjectKey::parse("", key) else { return Ok(Verified::Unknown) };
    Ok(match kind {
        ObjectKey::Cluster => Cluster::decode(bytes, key).map(|_| Verified::Cluster).map_err(text)?,
        ObjectKey::Link(branch, seq) => {
            let mut link = Link::decode(bytes, key).map_err(text)?;
            if (&link.header.branch, link.header.seq) != (&branch, seq) {
                return Err(misplaced());
            }
            let next = link.next_position();
            link.records.retain(|record| !matches!(record, aquifer_format::Record::Group(_)));
            Verified::Link(branch, Box::new(LinkFacts { seq, link, next }))
        }
        ObjectKey::Checkpoint(branch, seq) => {
            let checkpoint = Checkpoint::decode(bytes, key).map_err(text)?;
            if (&checkpoint.branch, checkpoint.seq) != (&branch, seq) {
                return Err(misplaced());
            }
            Verified::Checkpoint(Box::new(checkpoint))
        }
        ObjectKey::Head(branch) => Verified::Head(branch, Head::try_decode(bytes).map_err(text)?),
        ObjectKey::Pin(name) => Verified::Pin(name, Pin::decode(bytes, key).map_err(text)?),
        ObjectKey::Archive(_) => Verified::Unknown,
        ObjectKey::Sst(id) => {
            let length = bytes.len() as u64;
            aquifer_lsm::verify::verify(id, &bytes).map_err(|error| error.to_string())?;
            Verified::Table(id, length)
        }
    })
}

impl LinkFacts {
    /// The tables that the link adds.
    pub fn added(&self) -> impl Iterator<Item = &SstMeta> {
        self.link.edits().flat_map(|edit| &edit.added)
    }

    /// Where the branch began, in its first link.
    pub fn fork(&self) -> Option<&ForkRecord> {
        self.link.fork_record()
    }
}

impl Facts {
    /// Takes what an object turned out to be.
    pub fn note(&mut self, object: &ObjectInfo, verified: Verified) {
        let kind = match verified {
            Verified::Cluster => "cluster object",
            Verified::Link(branch, facts) => {
                self.links.entry(branch).or_default().insert(facts.seq, *facts);
                "links"
            }
            Verified::Checkpoint(checkpoint) => {
                let branch = self.checkpoints.entry(checkpoint.branch.clone()).or_default();
                branch.insert(checkpoint.seq, *checkpoint);
                "checkpoints"
            }
            Verified::Head(branch, head) => {
                self.heads.insert(branch, head);
                "heads"
            }
            Verified::Pin(name, pin) => {
                self.pins.insert(name, pin);
                "pins"
            }
            Verified::Table(id, bytes) => {
                self.tables.insert(id, bytes);
                "tables"
            }
            Verified::Unknown => "not checked: not Aquifer's",
            Verified::Gone => "deleted meanwhile",
            Verified::Damaged(problem) => {
                self.damaged.push(problem);
                "damaged"
            }
        };
        let count = self.counts.entry(kind).or_default();
        *count = (count.0 + 1, count.1 + object.size);
    }

    /// Objects and bytes by kind, as text.
    pub fn summary(&self) -> String {
        use crate::inspect::text::{Align, Columns, bytes};
        let mut columns =
            Columns::new(&[("objects", Align::Right), ("size", Align::Right), ("", Align::Left)]);
        for (kind, (objects, size)) in &self.counts {
            columns.row(vec![objects.to_string(), bytes(*size), (*kind).to_owned()]);
        }
        let all = self.counts.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let damaged = self.damaged.len();
        columns.row(vec![all.0.to_string(), bytes(all.1), format!("all, {damaged} damaged")]);
        columns.print()
    }
}
