//! Transactions that are committed together: the payload of one commit log entry, and a record of a link.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | CRC32C of bytes 4 to 32 |
//! | 4 | 1 | version of this record, 1 |
//! | 5 | 3 | zero |
//! | 8 | 4 | number of deltas, at least 1 |
//! | 12 | 4 | length of all deltas |
//! | 16 | 8 | LSN of the first delta, at least 1 |
//! | 24 | 8 | epoch of the writer that committed them |
//! | 32 | | the deltas, back to back |
//!
//! The checksum covers the header only: each delta carries its own, computed on its session's core, so that
//! making a group costs nothing but 32 bytes. The i-th delta, from 0, has LSN first + i.

use aquifer_types::{Epoch, Lsn};
use bytes::Bytes;

use crate::delta::{self, DeltaFlags, DeltaView};
use crate::error::{FormatError, FormatResult};
use crate::manifest::ManifestEdit;
use crate::wire::{u32_at, u64_at};

/// Bytes before the first delta.
pub const GROUP_HEADER_BYTES: usize = 32;

/// Largest group.
pub const GROUP_BYTES_MAX: usize = 56 << 20;

const _: () = assert!(delta::DELTA_BYTES_MAX + GROUP_HEADER_BYTES <= GROUP_BYTES_MAX);

const VERSION: u8 = 1;

/// Collects encoded deltas under consecutive LSNs.
#[derive(Debug)]
pub struct GroupBuilder {
    first_lsn: Lsn,
    epoch: Epoch,
    deltas: Vec<Bytes>,
    deltas_bytes: usize,
}

impl GroupBuilder {
    /// An empty group whose first delta is to have `first_lsn`.
    #[must_use]
    pub fn new(first_lsn: Lsn, epoch: Epoch) -> Self {
        Self { first_lsn, epoch, deltas: Vec::new(), deltas_bytes: 0 }
    }

    /// Adds a delta as [`crate::DeltaBuilder::finish`] made it and says which LSN it got. The bytes are
    /// not looked at.
    pub fn push(&mut self, delta: Bytes) -> Lsn {
        let lsn = self.next_lsn();
        self.deltas_bytes += delta.len();
        self.deltas.push(delta);
        lsn
    }

    /// The LSN that the next delta gets.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + self.deltas.len() as u64)
    }

    /// How many deltas were added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deltas.len()
    }

    /// Whether no delta was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    /// Bytes of the group as it stands.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        GROUP_HEADER_BYTES + self.deltas_bytes
    }

    /// Whether a further delta of `bytes` fits into [`GROUP_BYTES_MAX`].
    #[must_use]
    pub fn has_room_for(&self, bytes: usize) -> bool {
        self.encoded_bytes().saturating_add(bytes) <= GROUP_BYTES_MAX
    }

    /// The group as parts to be written one after the other: its header, then the deltas, uncopied.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] over [`GROUP_BYTES_MAX`]; [`FormatError::Malformed`] without a delta or
    /// at LSN 0.
    pub fn finish_parts(self) -> FormatResult<Vec<Bytes>> {
        let header = self.header()?;
        let mut parts = Vec::with_capacity(1 + self.deltas.len());
        parts.push(Bytes::copy_from_slice(&header));
        parts.extend(self.deltas);
        Ok(parts)
    }

    /// The group as one piece.
    ///
    /// # Errors
    /// As [`GroupBuilder::finish_parts`].
    pub fn finish(self) -> FormatResult<Bytes> {
        let mut bytes = Vec::with_capacity(self.encoded_bytes());
        bytes.extend_from_slice(&self.header()?);
        for delta in &self.deltas {
            bytes.extend_from_slice(delta);
        }
        Ok(Bytes::from(bytes))
    }

    fn header(&self) -> FormatResult<[u8; GROUP_HEADER_BYTES]> {
        let too_large = FormatError::TooLarge {
            what: "a group of deltas",
            bytes: self.encoded_bytes() as u64,
            bytes_max: GROUP_BYTES_MAX as u64,
        };
        if !self.has_room_for(0) {
            return Err(too_large);
        }
        if self.deltas.is_empty() || self.first_lsn == Lsn(0) {
            return Err(FormatError::Malformed("a group without deltas or at LSN 0"));
        }
        let sizes = u32::try_from(self.deltas.len()).ok().zip(u32::try_from(self.deltas_bytes).ok());
        let (count, bytes) = sizes.ok_or(too_large)?;
        let mut header = [0; GROUP_HEADER_BYTES];
        header[4] = VERSION;
        header[8..12].copy_from_slice(&count.to_le_bytes());
        header[12..16].copy_from_slice(&bytes.to_le_bytes());
        header[16..24].copy_from_slice(&self.first_lsn.0.to_le_bytes());
        header[24..32].copy_from_slice(&self.epoch.0.to_le_bytes());
        let crc = crc32c::crc32c(&header[4..]);
        header[..4].copy_from_slice(&crc.to_le_bytes());
        Ok(header)
    }
}

/// A group whose header and deltas have all been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    bytes: Bytes,
    first_lsn: Lsn,
    epoch: Epoch,
    count: u32,
    /// Whether a delta lists tables.
    is_spilled: bool,
}

impl GroupView {
    /// Verifies exactly one group.
    ///
    /// # Errors
    /// [`FormatError::Truncated`], [`FormatError::Checksum`], [`FormatError::NewerVersion`],
    /// [`FormatError::Malformed`].
    pub fn parse(bytes: Bytes) -> FormatResult<Self> {
        let mut group = Self::parse_header(bytes)?;
        let mut at = GROUP_HEADER_BYTES;
        for _ in 0..group.count {
            let rest = &group.bytes[at..];
            let length = delta::framed_bytes(rest)?;
            delta::verify(&rest[..length])?;
            group.is_spilled |= delta::flags_of(rest).contains(DeltaFlags::SPILLED);
            at += length;
        }
        if at != group.bytes.len() {
            return Err(FormatError::Malformed("bytes follow the last delta of a group"));
        }
        Ok(group)
    }

    fn parse_header(bytes: Bytes) -> FormatResult<Self> {
        let short = |needed: u64| FormatError::Truncated { needed, have: bytes.len() as u64 };
        let header = bytes.first_chunk::<GROUP_HEADER_BYTES>();
        let header = *header.ok_or_else(|| short(GROUP_HEADER_BYTES as u64))?;
        if u32_at(&header, 0) != Some(crc32c::crc32c(&header[4..])) {
            return Err(FormatError::Checksum);
        }
        if header[4] > VERSION {
            let (found, supported) = (u16::from(header[4]), u16::from(VERSION));
            return Err(FormatError::NewerVersion { found, supported });
        }
        let field = |at| u64_at(&header, at).unwrap_or(0);
        let small = |at| u32_at(&header, at).unwrap_or(0);
        let (count, deltas_bytes, first_lsn) = (small(8), small(12), field(16));
        let end = first_lsn.checked_add(u64::from(count));
        if header[4] != VERSION || header[5..8] != [0; 3] || count == 0 || first_lsn == 0 || end.is_none() {
            return Err(FormatError::Malformed("header of a group"));
        }
        let needed = u64::from(deltas_bytes) + GROUP_HEADER_BYTES as u64;
        if (bytes.len() as u64) < needed {
            return Err(short(needed));
        }
        if bytes.len() as u64 > needed {
            return Err(FormatError::Malformed("bytes follow the end of a group"));
        }
        Ok(Self { bytes, first_lsn: Lsn(first_lsn), epoch: Epoch(field(24)), count, is_spilled: false })
    }

    /// For each delta that lists tables, in LSN order, the edit that adds them: it belongs into the link that has
    /// the group.
    #[must_use]
    pub fn spilled_edits(&self) -> Vec<ManifestEdit> {
        if !self.is_spilled {
            return Vec::new();
        }
        let tables = self.iter().map(|(lsn, delta)| delta.spilled(lsn).collect::<Vec<_>>());
        tables.filter(|tables| !tables.is_empty()).map(ManifestEdit::of_spilled).collect()
    }

    /// The group as it was encoded.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// LSN of the first delta.
    #[must_use]
    pub fn first_lsn(&self) -> Lsn {
        self.first_lsn
    }

    /// LSN of the last delta, inclusive.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + u64::from(self.count) - 1)
    }

    /// Epoch of the writer that committed the group.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many deltas there are, at least 1.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Never: a group has a delta.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The deltas with their LSNs, ascending, sharing the group's bytes.
    #[must_use]
    pub fn iter(&self) -> Deltas {
        Deltas { bytes: self.bytes.slice(GROUP_HEADER_BYTES..), lsn: self.first_lsn }
    }
}

impl IntoIterator for &GroupView {
    type Item = (Lsn, DeltaView);
    type IntoIter = Deltas;

    fn into_iter(self) -> Deltas {
        self.iter()
    }
}

/// The deltas of a group; see [`GroupView::iter`].
#[derive(Debug)]
pub struct Deltas {
    bytes: Bytes,
    lsn: Lsn,
}

impl Iterator for Deltas {
    type Item = (Lsn, DeltaView);

    fn next(&mut self) -> Option<Self::Item> {
        let length = delta::framed_bytes(&self.bytes).ok()?;
        let delta = DeltaView::from_verified(self.bytes.split_to(length));
        let lsn = self.lsn;
        self.lsn = Lsn(lsn.0.saturating_add(1));
        Some((lsn, delta))
    }
}
