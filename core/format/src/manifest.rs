//! Changes to the manifest, and what the manifest says of a table.
//!
//! These are protobuf messages (the `.proto` text is in `core/docs/formats/checkpoint.md`), written here by
//! hand so that a build needs no protoc. Field numbers are never reused. What an edit does to a manifest is
//! decided in `lsm`; this module only checks that it makes sense in itself.

use aquifer_types::SstId;
use bytes::Bytes;
use prost::Message;

use crate::error::{FormatError, FormatResult};

/// One sorted table as the manifest knows it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SstMeta {
    /// Upper half of the table's id.
    #[prost(fixed64, tag = "1")]
    pub id_high: u64,
    /// Lower half of the table's id.
    #[prost(fixed64, tag = "2")]
    pub id_low: u64,
    /// 0 is the newest level.
    #[prost(uint32, tag = "3")]
    pub level: u32,
    /// The sorted run within its level that the table belongs to; tables of one run do not overlap, and
    /// a higher run of the same level is newer.
    #[prost(uint64, tag = "4")]
    pub run: u64,
    /// Size of the object.
    #[prost(uint64, tag = "5")]
    pub object_bytes: u64,
    /// First user key in the table, inclusive.
    #[prost(bytes = "bytes", tag = "6")]
    pub smallest_key: Bytes,
    /// Last user key in the table, inclusive.
    #[prost(bytes = "bytes", tag = "7")]
    pub largest_key: Bytes,
    /// Lowest LSN of an entry, inclusive.
    #[prost(uint64, tag = "8")]
    pub min_lsn: u64,
    /// Highest LSN of an entry, inclusive.
    #[prost(uint64, tag = "9")]
    pub max_lsn: u64,
    /// Entries, tombstones included.
    #[prost(uint64, tag = "10")]
    pub entries: u64,
    /// Entries that are deletions.
    #[prost(uint64, tag = "11")]
    pub tombstones: u64,
    /// Keys and values before compression.
    #[prost(uint64, tag = "12")]
    pub raw_bytes: u64,
    /// Where the index starts in the object.
    #[prost(uint64, tag = "13")]
    pub index_offset: u64,
    /// Length of the index.
    #[prost(uint64, tag = "14")]
    pub index_bytes: u64,
    /// Where the filter starts in the object.
    #[prost(uint64, tag = "15")]
    pub filter_offset: u64,
    /// Length of the filter; 0 without one.
    #[prost(uint64, tag = "16")]
    pub filter_bytes: u64,
    /// When the table was written, in microseconds since 1970.
    #[prost(uint64, tag = "17")]
    pub created_micros: u64,
    /// 0, or the LSN that all entries have instead of the one stored with them: the table holds the
    /// writes of one large transaction, written before it was given its LSN.
    #[prost(uint64, tag = "18")]
    pub commit_lsn: u64,
}

impl SstMeta {
    /// The table's id.
    #[must_use]
    pub fn sst_id(&self) -> SstId {
        join_id(self.id_high, self.id_low)
    }

    /// Sets the table's id.
    #[must_use]
    pub fn with_id(mut self, id: SstId) -> Self {
        (self.id_high, self.id_low) = split_id(id);
        self
    }

    /// The table as an edit refers to it when it is removed.
    #[must_use]
    pub fn to_ref(&self) -> SstRef {
        SstRef { id_high: self.id_high, id_low: self.id_low, level: self.level }
    }

    /// Whether the fields agree with each other.
    ///
    /// # Errors
    /// [`FormatError::Malformed`].
    pub fn validate(&self) -> FormatResult<()> {
        let range_is_inside =
            |offset: u64, bytes: u64| offset.checked_add(bytes).is_some_and(|end| end <= self.object_bytes);
        if self.smallest_key > self.largest_key {
            return Err(FormatError::Malformed("smallest key of a table is after its largest"));
        }
        if self.min_lsn > self.max_lsn {
            return Err(FormatError::Malformed("lowest LSN of a table is above its highest"));
        }
        if self.tombstones > self.entries {
            return Err(FormatError::Malformed("a table with more tombstones than entries"));
        }
        if !range_is_inside(self.index_offset, self.index_bytes)
            || !range_is_inside(self.filter_offset, self.filter_bytes)
        {
            return Err(FormatError::Malformed("index or filter reaches past the end of its table"));
        }
        Ok(())
    }
}

/// A table that an edit removes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct SstRef {
    /// Upper half of the table's id.
    #[prost(fixed64, tag = "1")]
    pub id_high: u64,
    /// Lower half of the table's id.
    #[prost(fixed64, tag = "2")]
    pub id_low: u64,
    /// The level it is removed from.
    #[prost(uint32, tag = "3")]
    pub level: u32,
}

impl SstRef {
    /// Names table `id` on `level`.
    #[must_use]
    pub fn new(id: SstId, level: u32) -> Self {
        let (id_high, id_low) = split_id(id);
        Self { id_high, id_low, level }
    }

    /// The table's id.
    #[must_use]
    pub fn sst_id(&self) -> SstId {
        join_id(self.id_high, self.id_low)
    }
}

/// One atomic change to the manifest. Removals take effect before additions, so that a table can move to
/// another level in one edit.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ManifestEdit {
    /// Tables that appear.
    #[prost(message, repeated, tag = "1")]
    pub added: Vec<SstMeta>,
    /// Tables that go; their objects stay until nothing can reach them.
    #[prost(message, repeated, tag = "2")]
    pub removed: Vec<SstRef>,
    /// All writes up to this LSN are in tables from here on; never moves back.
    #[prost(uint64, optional, tag = "3")]
    pub checkpoint_lsn: Option<u64>,
    /// The number that the next sorted run gets; never moves back.
    #[prost(uint64, optional, tag = "4")]
    pub next_run: Option<u64>,
}

impl ManifestEdit {
    /// The edit that adds the tables of one large transaction.
    #[must_use]
    pub fn of_spilled(tables: Vec<SstMeta>) -> Self {
        let next_run = tables.iter().map(|table| table.run.saturating_add(1)).max();
        Self { added: tables, next_run, ..Self::default() }
    }

    /// Whether the edit changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The message as bytes, without a checksum: a link or a checkpoint around it has one.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(self.encode_to_vec())
    }

    /// Decodes bytes that have been verified, and checks each table.
    ///
    /// # Errors
    /// [`FormatError::Malformed`].
    pub fn decode_verified(bytes: Bytes) -> FormatResult<Self> {
        let edit = <Self as Message>::decode(bytes)
            .map_err(|_| FormatError::Malformed("an edit is not a protobuf message"))?;
        edit.added.iter().try_for_each(SstMeta::validate)?;
        Ok(edit)
    }
}

const HALF_BITS: u32 = 64;

pub(crate) fn split_u128(value: u128) -> (u64, u64) {
    let bytes = value.to_be_bytes();
    let (high, low) = bytes.split_at(8);
    let half = |part: &[u8]| part.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
    (half(high), half(low))
}

pub(crate) fn join_u128(high: u64, low: u64) -> u128 {
    (u128::from(high) << HALF_BITS) | u128::from(low)
}

fn split_id(id: SstId) -> (u64, u64) {
    split_u128(id.0)
}

fn join_id(high: u64, low: u64) -> SstId {
    SstId(join_u128(high, low))
}
