//! A checkpoint: the whole manifest as of one link, so that nobody needs to read the chain from its start.
//!
//! The body of the object is one protobuf message; `core/docs/formats/checkpoint.md` has it as `.proto`.

use aquifer_types::{BranchName, Epoch, LinkSeq, Lsn};
use bytes::Bytes;
use prost::Message;

use crate::envelope::{self, Kind, Unverified};
use crate::error::{FormatError, FormatResult};
use crate::link::{ForkRecord, LinkDigest};
use crate::manifest::{SstMeta, join_u128, split_u128};

/// The manifest as of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The branch.
    pub branch: BranchName,
    /// The last link that is accounted for, inclusive.
    pub seq: LinkSeq,
    /// Digest of that link: the next one must name it as its predecessor.
    pub link_digest: LinkDigest,
    /// Last LSN in the chain up to that link, inclusive.
    pub last_lsn: Lsn,
    /// All writes up to here are in `ssts`, inclusive; those after it are to be read from links.
    pub checkpoint_lsn: Lsn,
    /// The link from which on a reader must read deltas to get everything after `checkpoint_lsn`; at
    /// most `seq` + 1.
    pub replay_seq: LinkSeq,
    /// Epoch of the chain at that link.
    pub epoch: Epoch,
    /// The writer of that epoch; 0 when no writer has sealed the chain yet.
    pub writer: u128,
    /// The live tables.
    pub ssts: Vec<SstMeta>,
    /// The number that the next sorted run gets.
    pub next_run: u64,
    /// Where the branch began, unless it is a first branch.
    pub parent: Option<ForkRecord>,
    /// The oldest link that still exists.
    pub retained_seq: LinkSeq,
    /// The oldest LSN that can still be read or branched from.
    pub retained_lsn: Lsn,
    /// When the checkpoint was made, microseconds since 1970.
    pub created_micros: u64,
}

#[derive(Clone, PartialEq, Message)]
struct CheckpointMessage {
    #[prost(string, tag = "1")]
    branch: String,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(fixed64, tag = "3")]
    digest_high: u64,
    #[prost(fixed64, tag = "4")]
    digest_low: u64,
    #[prost(uint64, tag = "5")]
    last_lsn: u64,
    #[prost(uint64, tag = "6")]
    checkpoint_lsn: u64,
    #[prost(uint64, tag = "7")]
    replay_seq: u64,
    #[prost(uint64, tag = "8")]
    epoch: u64,
    #[prost(fixed64, tag = "9")]
    writer_high: u64,
    #[prost(fixed64, tag = "10")]
    writer_low: u64,
    #[prost(message, repeated, tag = "11")]
    ssts: Vec<SstMeta>,
    #[prost(uint64, tag = "12")]
    next_run: u64,
    #[prost(message, optional, tag = "13")]
    parent: Option<ForkMessage>,
    #[prost(uint64, tag = "14")]
    retained_seq: u64,
    #[prost(uint64, tag = "15")]
    retained_lsn: u64,
    #[prost(uint64, tag = "16")]
    created_micros: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ForkMessage {
    #[prost(string, tag = "1")]
    parent: String,
    #[prost(uint64, tag = "2")]
    parent_seq: u64,
    #[prost(uint64, tag = "3")]
    lsn: u64,
}

impl ForkMessage {
    pub(crate) fn new(fork: &ForkRecord) -> Self {
        Self { parent: fork.parent.as_str().to_owned(), parent_seq: fork.parent_seq.0, lsn: fork.lsn.0 }
    }

    pub(crate) fn into_record(self) -> FormatResult<ForkRecord> {
        Ok(ForkRecord {
            parent: branch_name(&self.parent)?,
            parent_seq: LinkSeq(self.parent_seq),
            lsn: Lsn(self.lsn),
        })
    }
}

/// A branch name as it was stored.
pub(crate) fn branch_name(text: &str) -> FormatResult<BranchName> {
    BranchName::new(text).map_err(|_| FormatError::Malformed("an illegal branch name"))
}

impl Checkpoint {
    /// The whole object.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (digest_high, digest_low) = split_u128(self.link_digest.0);
        let (writer_high, writer_low) = split_u128(self.writer);
        let message = CheckpointMessage {
            branch: self.branch.as_str().to_owned(),
            seq: self.seq.0,
            digest_high,
            digest_low,
            last_lsn: self.last_lsn.0,
            checkpoint_lsn: self.checkpoint_lsn.0,
            replay_seq: self.replay_seq.0,
            epoch: self.epoch.0,
            writer_high,
            writer_low,
            ssts: self.ssts.clone(),
            next_run: self.next_run,
            parent: self.parent.as_ref().map(ForkMessage::new),
            retained_seq: self.retained_seq.0,
            retained_lsn: self.retained_lsn.0,
            created_micros: self.created_micros,
        };
        let mut object = envelope::open(message.encoded_len());
        message.encode_raw(&mut object);
        envelope::seal(object, Kind::Checkpoint)
    }

    /// Verifies and decodes the whole object, naming it in errors.
    ///
    /// # Errors
    /// Every [`FormatError`].
    pub fn decode(bytes: Bytes, object: &str) -> FormatResult<Self> {
        Self::decode_unnamed(bytes).map_err(|error| error.with_object(object))
    }

    fn decode_unnamed(bytes: Bytes) -> FormatResult<Self> {
        let body = Unverified::new(bytes).verify(Kind::Checkpoint)?.into_body();
        let message = CheckpointMessage::decode(body)
            .map_err(|_| FormatError::Malformed("a checkpoint is not a protobuf message"))?;
        message.ssts.iter().try_for_each(SstMeta::validate)?;
        let checkpoint = Self {
            branch: branch_name(&message.branch)?,
            seq: LinkSeq(message.seq),
            link_digest: LinkDigest(join_u128(message.digest_high, message.digest_low)),
            last_lsn: Lsn(message.last_lsn),
            checkpoint_lsn: Lsn(message.checkpoint_lsn),
            replay_seq: LinkSeq(message.replay_seq),
            epoch: Epoch(message.epoch),
            writer: join_u128(message.writer_high, message.writer_low),
            ssts: message.ssts,
            next_run: message.next_run,
            parent: message.parent.map(ForkMessage::into_record).transpose()?,
            retained_seq: LinkSeq(message.retained_seq),
            retained_lsn: Lsn(message.retained_lsn),
            created_micros: message.created_micros,
        };
        checkpoint.validate()?;
        Ok(checkpoint)
    }

    fn validate(&self) -> FormatResult<()> {
        if self.checkpoint_lsn > self.last_lsn {
            return Err(FormatError::Malformed("checkpoint LSN above the last LSN"));
        }
        if self.replay_seq.0 > self.seq.0.saturating_add(1) {
            return Err(FormatError::Malformed("replay starts after the link after the checkpoint"));
        }
        Ok(())
    }
}
