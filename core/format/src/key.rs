//! Under which key each object is stored.
//!
//! ```text
//! <prefix>/cluster
//! <prefix>/b/<branch>/chain/<seq, 20 digits>
//! <prefix>/b/<branch>/checkpoint/<seq, 20 digits>
//! <prefix>/b/<branch>/head
//! <prefix>/sst/<id, 32 hex digits>
//! <prefix>/archive/<id, 32 hex digits>.parquet
//! <prefix>/pin/<name>
//! ```
//!
//! Numbers are padded so that a listing is in their order. Table ids start with random digits, which
//! spreads them over a store's partitions. An empty prefix leaves out its slash.

use aquifer_types::{BranchName, LinkSeq, SstId};

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectKey {
    /// Identity of the cluster.
    Cluster,
    /// A link of a branch's chain.
    Link(BranchName, LinkSeq),
    /// The checkpoint as of a link.
    Checkpoint(BranchName, LinkSeq),
    /// The advisory pointer to the newest checkpoint and link.
    Head(BranchName),
    /// A sorted table.
    Sst(SstId),
    /// A columnar file.
    Archive(SstId),
    /// A pin by its name, for which the rules are those of branches.
    Pin(BranchName),
}

impl ObjectKey {
    /// The key under `prefix`.
    #[must_use]
    pub fn to_key(&self, prefix: &str) -> String {
        let tail = match self {
            Self::Cluster => "cluster".to_owned(),
            Self::Link(branch, seq) => format!("b/{branch}/chain/{:020}", seq.0),
            Self::Checkpoint(branch, seq) => format!("b/{branch}/checkpoint/{:020}", seq.0),
            Self::Head(branch) => format!("b/{branch}/head"),
            Self::Sst(id) => format!("sst/{:032x}", id.0),
            Self::Archive(id) => format!("archive/{:032x}.parquet", id.0),
            Self::Pin(name) => format!("pin/{name}"),
        };
        under(prefix, &tail)
    }

    /// What `key` stands for; `None` for a key that is not under `prefix` or that Aquifer never writes.
    #[must_use]
    pub fn parse(prefix: &str, key: &str) -> Option<Self> {
        let tail = strip(prefix, key)?;
        if tail == "cluster" {
            return Some(Self::Cluster);
        }
        let (area, rest) = tail.split_once('/')?;
        match area {
            "sst" => Some(Self::Sst(SstId(hex_id(rest)?))),
            "archive" => Some(Self::Archive(SstId(hex_id(rest.strip_suffix(".parquet")?)?))),
            "b" => parse_branch(rest),
            "pin" => Some(Self::Pin(BranchName::new(rest).ok()?)),
            _ => None,
        }
    }
}

fn parse_branch(rest: &str) -> Option<ObjectKey> {
    let (name, rest) = rest.split_once('/')?;
    let branch = BranchName::new(name).ok()?;
    if rest == "head" {
        return Some(ObjectKey::Head(branch));
    }
    let (area, digits) = rest.split_once('/')?;
    let seq = LinkSeq(padded_number(digits)?);
    match area {
        "chain" => Some(ObjectKey::Link(branch, seq)),
        "checkpoint" => Some(ObjectKey::Checkpoint(branch, seq)),
        _ => None,
    }
}

fn padded_number(digits: &str) -> Option<u64> {
    let legal = digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
    legal.then(|| digits.parse().ok())?
}

fn hex_id(digits: &str) -> Option<u128> {
    let lower = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    let legal = digits.len() == 32 && digits.bytes().all(lower);
    legal.then(|| u128::from_str_radix(digits, 16).ok())?
}

fn under(prefix: &str, tail: &str) -> String {
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() { tail.to_owned() } else { format!("{prefix}/{tail}") }
}

fn strip<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() { Some(key) } else { key.strip_prefix(prefix)?.strip_prefix('/') }
}

/// Key of the cluster object.
#[must_use]
pub fn cluster_key(prefix: &str) -> String {
    ObjectKey::Cluster.to_key(prefix)
}

/// Key of a link.
#[must_use]
pub fn link_key(prefix: &str, branch: &BranchName, seq: LinkSeq) -> String {
    ObjectKey::Link(branch.clone(), seq).to_key(prefix)
}

/// Key of a checkpoint.
#[must_use]
pub fn checkpoint_key(prefix: &str, branch: &BranchName, seq: LinkSeq) -> String {
    ObjectKey::Checkpoint(branch.clone(), seq).to_key(prefix)
}

/// Key of a branch's head.
#[must_use]
pub fn head_key(prefix: &str, branch: &BranchName) -> String {
    ObjectKey::Head(branch.clone()).to_key(prefix)
}

/// Key of a sorted table.
#[must_use]
pub fn sst_key(prefix: &str, id: SstId) -> String {
    ObjectKey::Sst(id).to_key(prefix)
}

/// Key of a pin.
#[must_use]
pub fn pin_key(prefix: &str, name: &BranchName) -> String {
    ObjectKey::Pin(name.clone()).to_key(prefix)
}

/// What the keys of all pins start with, for a listing.
#[must_use]
pub fn pins_prefix(prefix: &str) -> String {
    under(prefix, "pin/")
}

/// What the keys of all sorted tables start with, for a listing.
#[must_use]
pub fn sst_prefix(prefix: &str) -> String {
    under(prefix, "sst/")
}

/// What the keys of all branches start with, for a listing.
#[must_use]
pub fn branches_prefix(prefix: &str) -> String {
    under(prefix, "b/")
}

/// What the keys of a branch's links start with, for a listing.
#[must_use]
pub fn chain_prefix(prefix: &str, branch: &BranchName) -> String {
    under(prefix, &format!("b/{branch}/chain/"))
}

/// What the keys of a branch's checkpoints start with, for a listing.
#[must_use]
pub fn checkpoint_prefix(prefix: &str, branch: &BranchName) -> String {
    under(prefix, &format!("b/{branch}/checkpoint/"))
}
