//! A link of a branch's chain: encoding, decoding, and the digest that ties it to the one before it.
//!
//! `core/docs/formats/chain.md` has the layout. A link is an object in the common
//! [envelope](crate::envelope); its body is a fixed header, the branch name, and records, each with one
//! kind byte and a four-byte length. What a record means for a node is decided by whoever replays the
//! chain; this module checks that the records of one link agree with its header.

use std::fmt;

use aquifer_types::{BranchName, Epoch, LinkSeq, Lsn};
use bytes::Bytes;
use prost::Message;

use crate::checkpoint::{ForkMessage, branch_name};
use crate::envelope::{self, ENVELOPE_BYTES, Kind, Unverified};
use crate::error::{FormatError, FormatResult};
use crate::group::{GROUP_BYTES_MAX, GroupView};
use crate::manifest::{ManifestEdit, join_u128, split_u128};
use crate::wire::Fields;

/// A publisher starts the next link rather than let one grow beyond this.
pub const LINK_BYTES_TARGET: usize = 8 << 20;

/// No link is larger. A link above the target holds a single group.
pub const LINK_BYTES_MAX: usize = 64 << 20;

const _: () = assert!(GROUP_BYTES_MAX + LINK_HEADER_BYTES_MAX + LINK_BYTES_TARGET / 2 <= LINK_BYTES_MAX);

/// Envelope, header fields and the longest branch name.
const LINK_HEADER_BYTES_MAX: usize = ENVELOPE_BYTES + 68 + 1 + 64;

const RECORD_HEADER_BYTES: usize = 5;

/// XXH3-128 of a whole link object, envelope included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LinkDigest(pub u128);

impl LinkDigest {
    /// What the first link of a first branch names as its predecessor.
    pub const NONE: Self = Self(0);

    /// The digest of an object's bytes.
    #[must_use]
    pub fn of(object: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(object))
    }
}

impl fmt::Display for LinkDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What every link says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkHeader {
    /// The branch.
    pub branch: BranchName,
    /// The link's number.
    pub seq: LinkSeq,
    /// Epoch of the writer that made it.
    pub epoch: Epoch,
    /// Digest of the link before it; of the parent's link for the first link of a forked branch;
    /// [`LinkDigest::NONE`] for the first link of a first branch.
    pub previous: LinkDigest,
    /// LSN of the first delta; `last_lsn` + 1 when there is none.
    pub first_lsn: Lsn,
    /// Last LSN in the chain up to and with this link, inclusive.
    pub last_lsn: Lsn,
    /// What the writer had committed when it made the link, at least `last_lsn`: so much may be missing
    /// from the chain when this link turns out to be the last.
    pub committed_lsn: Lsn,
    /// When the link was made by the writer's wall clock, microseconds since 1970.
    pub wall_micros: u64,
}

/// A new writer takes over the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRecord {
    /// The new epoch, above every earlier one; equal to the epoch of its link.
    pub epoch: Epoch,
    /// Random id that the writer process chose at its start.
    pub writer: u128,
    /// Where clients and readers reach the writer, for people and for hints; may be empty.
    pub address: String,
}

/// A branch begins. Only in the first link of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkRecord {
    /// The branch it comes from.
    pub parent: BranchName,
    /// The last link of the parent that it shares.
    pub parent_seq: LinkSeq,
    /// The last LSN that it shares, inclusive; may be inside the parent's link.
    pub lsn: Lsn,
}

/// A part of a link's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Committed transactions.
    Group(GroupView),
    /// A change to the manifest.
    Edit(ManifestEdit),
    /// A new writer.
    Epoch(EpochRecord),
    /// The beginning of a branch.
    Fork(ForkRecord),
}

/// Kind bytes of records; never reused.
const GROUP: u8 = 1;
const EDIT: u8 = 2;
const EPOCH: u8 = 3;
const FORK: u8 = 4;

#[derive(Clone, PartialEq, Message)]
struct EpochMessage {
    #[prost(uint64, tag = "1")]
    epoch: u64,
    #[prost(fixed64, tag = "2")]
    writer_high: u64,
    #[prost(fixed64, tag = "3")]
    writer_low: u64,
    #[prost(string, tag = "4")]
    address: String,
}

/// What a publisher knows of a link before its records.
#[derive(Clone, Debug)]
pub struct LinkPosition {
    /// The branch.
    pub branch: BranchName,
    /// The link's number.
    pub seq: LinkSeq,
    /// Epoch of the writer.
    pub epoch: Epoch,
    /// Digest of the link before it.
    pub previous: LinkDigest,
    /// Last LSN in the chain before this link.
    pub previous_lsn: Lsn,
}

/// Collects the records of a link.
#[derive(Debug)]
pub struct LinkBuilder {
    position: LinkPosition,
    last_lsn: Lsn,
    records: Vec<(u8, Bytes)>,
    records_bytes: usize,
}

impl LinkBuilder {
    /// An empty link.
    #[must_use]
    pub fn new(position: LinkPosition) -> Self {
        let last_lsn = position.previous_lsn;
        Self { position, last_lsn, records: Vec::new(), records_bytes: 0 }
    }

    /// Adds committed transactions, which must follow those before them without a gap, and the edits that add the
    /// tables which they list.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] when they do not.
    pub fn push_group(&mut self, group: &GroupView) -> FormatResult<()> {
        if group.first_lsn() != self.last_lsn.next() {
            return Err(FormatError::Malformed("a group does not follow the one before it"));
        }
        self.last_lsn = group.last_lsn();
        self.push(GROUP, group.bytes().clone());
        group.spilled_edits().iter().for_each(|edit| self.push_edit(edit));
        Ok(())
    }

    /// Adds a change to the manifest.
    pub fn push_edit(&mut self, edit: &ManifestEdit) {
        self.push(EDIT, edit.to_bytes());
    }

    /// Adds the takeover by a new writer.
    pub fn push_epoch(&mut self, record: &EpochRecord) {
        let (writer_high, writer_low) = split_u128(record.writer);
        let address = record.address.clone();
        let message = EpochMessage { epoch: record.epoch.0, writer_high, writer_low, address };
        self.push(EPOCH, Bytes::from(message.encode_to_vec()));
    }

    /// Adds the beginning of the branch.
    pub fn push_fork(&mut self, record: &ForkRecord) {
        self.push(FORK, Bytes::from(ForkMessage::new(record).encode_to_vec()));
    }

    fn push(&mut self, kind: u8, payload: Bytes) {
        self.records_bytes += RECORD_HEADER_BYTES + payload.len();
        self.records.push((kind, payload));
    }

    /// Whether no record was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Last LSN in the chain with what was added so far.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    /// Upper bound of the link's size as it stands.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        LINK_HEADER_BYTES_MAX + self.records_bytes
    }

    /// Whether a record of `bytes` may be added: the link stays within [`LINK_BYTES_TARGET`], or is
    /// empty so far.
    #[must_use]
    pub fn has_room_for(&self, bytes: usize) -> bool {
        let grown = self.encoded_bytes().saturating_add(RECORD_HEADER_BYTES).saturating_add(bytes);
        self.records.is_empty() || grown <= LINK_BYTES_TARGET
    }

    /// The whole object and what the next link must name as its predecessor. `committed_lsn` is raised
    /// to the link's last LSN if it is below it.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] over [`LINK_BYTES_MAX`].
    pub fn finish(self, committed_lsn: Lsn, wall_micros: u64) -> FormatResult<(Bytes, LinkDigest)> {
        let bytes = self.encoded_bytes();
        if bytes > LINK_BYTES_MAX {
            return Err(too_large(bytes));
        }
        let mut object = envelope::open(bytes);
        let position = &self.position;
        object.extend_from_slice(&position.seq.0.to_le_bytes());
        object.extend_from_slice(&position.epoch.0.to_le_bytes());
        object.extend_from_slice(&position.previous.0.to_le_bytes());
        let committed = committed_lsn.max(self.last_lsn);
        for field in [position.previous_lsn.next().0, self.last_lsn.0, committed.0, wall_micros] {
            object.extend_from_slice(&field.to_le_bytes());
        }
        object.extend_from_slice(&length_field(self.records.len())?);
        let name = position.branch.as_str().as_bytes();
        object.push(u8::try_from(name.len()).map_err(|_| too_large(name.len()))?);
        object.extend_from_slice(name);
        for (kind, payload) in &self.records {
            object.push(*kind);
            object.extend_from_slice(&length_field(payload.len())?);
            object.extend_from_slice(payload);
        }
        let object = envelope::seal(object, Kind::Link);
        let digest = LinkDigest::of(&object);
        Ok((object, digest))
    }
}

fn length_field(length: usize) -> FormatResult<[u8; 4]> {
    u32::try_from(length).map(u32::to_le_bytes).map_err(|_| too_large(length))
}

fn too_large(bytes: usize) -> FormatError {
    FormatError::TooLarge { what: "a link", bytes: bytes as u64, bytes_max: LINK_BYTES_MAX as u64 }
}

/// A link that has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it says of itself.
    pub header: LinkHeader,
    /// Its records in order.
    pub records: Vec<Record>,
    /// Its own digest, which the next link must name.
    pub digest: LinkDigest,
}

impl Link {
    /// Verifies and decodes a whole object, naming it in errors. Whether it follows the link before it
    /// is for [`Link::follows`].
    ///
    /// # Errors
    /// Every [`FormatError`].
    pub fn decode(bytes: Bytes, object: &str) -> FormatResult<Self> {
        Self::decode_unnamed(bytes).map_err(|error| error.with_object(object))
    }

    fn decode_unnamed(bytes: Bytes) -> FormatResult<Self> {
        let verified = Unverified::new(bytes.clone()).verify(Kind::Link)?;
        let digest = LinkDigest::of(&bytes);
        let mut fields = Fields::new(verified.into_body());
        let (header, count) = decode_header(&mut fields)?;
        let mut records = Vec::new();
        for _ in 0..count {
            records.push(decode_record(&mut fields)?);
        }
        fields.finish()?;
        let link = Self { header, records, digest };
        link.validate()?;
        Ok(link)
    }

    /// The groups in LSN order.
    pub fn groups(&self) -> impl Iterator<Item = &GroupView> {
        self.records.iter().filter_map(|record| match record {
            Record::Group(group) => Some(group),
            _ => None,
        })
    }

    /// The edits in order.
    pub fn edits(&self) -> impl Iterator<Item = &ManifestEdit> {
        self.records.iter().filter_map(|record| match record {
            Record::Edit(edit) => Some(edit),
            _ => None,
        })
    }

    /// The takeover, if the link is one.
    #[must_use]
    pub fn epoch_record(&self) -> Option<&EpochRecord> {
        self.records.iter().find_map(|record| match record {
            Record::Epoch(epoch) => Some(epoch),
            _ => None,
        })
    }

    /// The beginning of the branch, if the link is one.
    #[must_use]
    pub fn fork_record(&self) -> Option<&ForkRecord> {
        self.records.iter().find_map(|record| match record {
            Record::Fork(fork) => Some(fork),
            _ => None,
        })
    }

    /// Whether this link is the one at `position`: right branch and number, predecessor as known, LSNs
    /// without a gap, epoch not lower (equal to or above `position.epoch`, above it only with an epoch
    /// record).
    ///
    /// # Errors
    /// [`FormatError::Malformed`] with the rule that is broken.
    pub fn follows(&self, position: &LinkPosition) -> FormatResult<()> {
        let header = &self.header;
        let broken = if header.branch != position.branch {
            Some("a link of another branch")
        } else if header.seq != position.seq {
            Some("a link with another number than its key")
        } else if header.previous != position.previous {
            Some("a link whose predecessor is not the link before it")
        } else if header.first_lsn != position.previous_lsn.next() {
            Some("a link whose LSNs do not follow the link before it")
        } else if header.epoch < position.epoch {
            Some("a link of a lower epoch than the link before it")
        } else if header.epoch > position.epoch && self.epoch_record().is_none() {
            Some("a link of a higher epoch without an epoch record")
        } else {
            None
        };
        broken.map_or(Ok(()), |rule| Err(FormatError::Malformed(rule)))
    }

    /// Where the link after this one belongs.
    #[must_use]
    pub fn next_position(&self) -> LinkPosition {
        LinkPosition {
            branch: self.header.branch.clone(),
            seq: self.header.seq.next(),
            epoch: self.header.epoch,
            previous: self.digest,
            previous_lsn: self.header.last_lsn,
        }
    }

    fn validate(&self) -> FormatResult<()> {
        let header = &self.header;
        if header.seq == LinkSeq(0) {
            return Err(FormatError::Malformed("a link with number 0"));
        }
        let mut next = header.first_lsn.0;
        for group in self.groups() {
            if group.epoch() > header.epoch {
                return Err(FormatError::Malformed("a group of a later epoch than its link"));
            }
            if group.first_lsn().0 != next {
                return Err(FormatError::Malformed("groups of a link leave a gap"));
            }
            next = group.last_lsn().0.checked_add(1).ok_or(FormatError::Malformed("LSN overflow"))?;
        }
        if header.last_lsn.0.checked_add(1) != Some(next) {
            return Err(FormatError::Malformed("groups of a link do not end at its last LSN"));
        }
        if header.committed_lsn < header.last_lsn {
            return Err(FormatError::Malformed("committed LSN below the last LSN"));
        }
        if self.epoch_record().is_some_and(|record| record.epoch != header.epoch) {
            return Err(FormatError::Malformed("an epoch record of another epoch than its link"));
        }
        if self.fork_record().is_some() && header.seq != LinkSeq(1) {
            return Err(FormatError::Malformed("a fork record outside a first link"));
        }
        Ok(())
    }
}

fn decode_header(fields: &mut Fields) -> FormatResult<(LinkHeader, u32)> {
    let seq = LinkSeq(fields.u64()?);
    let epoch = Epoch(fields.u64()?);
    let previous = LinkDigest(fields.u128()?);
    let first_lsn = Lsn(fields.u64()?);
    let last_lsn = Lsn(fields.u64()?);
    let committed_lsn = Lsn(fields.u64()?);
    let wall_micros = fields.u64()?;
    let count = fields.u32()?;
    let name_bytes = usize::from(fields.u8()?);
    let name = fields.bytes(name_bytes)?;
    let branch = branch_name(std::str::from_utf8(&name).unwrap_or_default())?;
    let header = LinkHeader { branch, seq, epoch, previous, first_lsn, last_lsn, committed_lsn, wall_micros };
    Ok((header, count))
}

fn decode_record(fields: &mut Fields) -> FormatResult<Record> {
    let kind = fields.u8()?;
    let length = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
    let payload = fields.bytes(length)?;
    match kind {
        GROUP => Ok(Record::Group(GroupView::parse(payload)?)),
        EDIT => Ok(Record::Edit(ManifestEdit::decode_verified(payload)?)),
        EPOCH => {
            let message = EpochMessage::decode(payload)
                .map_err(|_| FormatError::Malformed("an epoch record is not a protobuf message"))?;
            Ok(Record::Epoch(EpochRecord {
                epoch: Epoch(message.epoch),
                writer: join_u128(message.writer_high, message.writer_low),
                address: message.address,
            }))
        }
        FORK => ForkMessage::decode(payload)
            .map_err(|_| FormatError::Malformed("a fork record is not a protobuf message"))?
            .into_record()
            .map(Record::Fork),
        _ => Err(FormatError::Malformed("a record of unknown kind")),
    }
}
