//! The frame around every whole object: what kind it is, which format version, how long, and intact.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic, one for each kind |
//! | 4 | 2 | format version |
//! | 6 | 2 | zero |
//! | 8 | 8 | length of the body |
//! | 16 | 4 | CRC32C of bytes 0 to 16 and the body |
//! | 20 | | body, up to the end of the object |
//!
//! These 20 bytes stay as they are in every future version, so that a build can tell a newer object from a
//! damaged one: the checksum is verified first, then the version is judged.

use bytes::Bytes;

use crate::error::{FormatError, FormatResult};
use crate::wire::{u16_at, u32_at, u64_at};

/// The newest format that this build writes and reads. Each step of the ladder says what it brought; a
/// build reads every version up to its own and refuses newer ones with [`FormatError::NewerVersion`].
///
/// * 1: links, checkpoints, heads, cluster objects and tables as described in `core/docs/formats`.
pub const FORMAT_VERSION: u16 = 1;

/// Bytes before the body.
pub const ENVELOPE_BYTES: usize = 20;

const CHECKSUM_AT: usize = 16;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `cluster`
    Cluster,
    /// `chain/<seq>`
    Link,
    /// `checkpoint/<seq>`
    Checkpoint,
    /// `head`
    Head,
    /// An edit in a writer's outbox
    Outbox,
    /// `pin/<name>`
    Pin,
}

impl Kind {
    /// The first four bytes of such an object.
    #[must_use]
    pub const fn magic(self) -> [u8; 4] {
        match self {
            Self::Cluster => *b"AQCL",
            Self::Link => *b"AQLK",
            Self::Checkpoint => *b"AQCP",
            Self::Head => *b"AQHD",
            Self::Outbox => *b"AQOB",
            Self::Pin => *b"AQPN",
        }
    }
}

/// Bytes as they came from a store or a disk. Nothing can be read from them but by verifying them.
#[derive(Clone, Debug)]
pub struct Unverified(Bytes);

/// Bytes whose checksum matched.
#[derive(Clone, Debug)]
pub struct Verified {
    version: u16,
    body: Bytes,
}

impl Unverified {
    /// Marks bytes as not yet verified.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Checks the envelope of a whole object.
    ///
    /// # Errors
    /// [`FormatError::BadMagic`], [`FormatError::Truncated`], [`FormatError::Checksum`],
    /// [`FormatError::NewerVersion`], [`FormatError::Malformed`] in this order.
    pub fn verify(self, kind: Kind) -> FormatResult<Verified> {
        let bytes = self.0;
        let found: [u8; 4] = bytes
            .get(..4)
            .and_then(|magic| magic.try_into().ok())
            .ok_or_else(|| truncated(ENVELOPE_BYTES, &bytes))?;
        if found != kind.magic() {
            return Err(FormatError::BadMagic { expected: kind.magic(), found });
        }
        let (version, reserved, stored) = head_fields(&bytes)?;
        let body = bytes.slice(ENVELOPE_BYTES..);
        if checksum(&bytes[..CHECKSUM_AT], &body) != stored {
            return Err(FormatError::Checksum);
        }
        if version > FORMAT_VERSION {
            return Err(FormatError::NewerVersion { found: version, supported: FORMAT_VERSION });
        }
        if version == 0 || reserved != 0 {
            return Err(FormatError::Malformed("version or reserved field of the envelope"));
        }
        Ok(Verified { version, body })
    }
}

impl Verified {
    /// The format version that the object was written with, 1 to [`FORMAT_VERSION`].
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// What follows the envelope.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// As [`Verified::body`], by value.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.body
    }
}

/// Version, reserved field and stored checksum, once the length is known to be right.
fn head_fields(bytes: &Bytes) -> FormatResult<(u16, u16, u32)> {
    let short = || truncated(ENVELOPE_BYTES, bytes);
    let body_bytes = u64_at(bytes, 8).ok_or_else(short)?;
    let stored = u32_at(bytes, CHECKSUM_AT).ok_or_else(short)?;
    let version = u16_at(bytes, 4).ok_or_else(short)?;
    let reserved = u16_at(bytes, 6).ok_or_else(short)?;
    let have = bytes.len() as u64;
    let needed = body_bytes.saturating_add(ENVELOPE_BYTES as u64);
    if have < needed {
        return Err(FormatError::Truncated { needed, have });
    }
    if have > needed {
        return Err(FormatError::Malformed("bytes follow the end of the object"));
    }
    Ok((version, reserved, stored))
}

fn truncated(needed: usize, bytes: &Bytes) -> FormatError {
    FormatError::Truncated { needed: needed as u64, have: bytes.len() as u64 }
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), body)
}

/// Fills in the envelope of an object whose body was appended to [`open`]'s bytes.
pub(crate) fn seal(mut object: Vec<u8>, kind: Kind) -> Bytes {
    let body_bytes = (object.len() - ENVELOPE_BYTES) as u64;
    object[..4].copy_from_slice(&kind.magic());
    object[4..6].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    object[6..8].copy_from_slice(&[0; 2]);
    object[8..16].copy_from_slice(&body_bytes.to_le_bytes());
    let crc = checksum(&object[..CHECKSUM_AT], &object[ENVELOPE_BYTES..]);
    object[16..20].copy_from_slice(&crc.to_le_bytes());
    Bytes::from(object)
}

/// Room for an envelope, with `capacity` bytes for a body to follow.
pub(crate) fn open(capacity: usize) -> Vec<u8> {
    let mut object = Vec::with_capacity(ENVELOPE_BYTES + capacity);
    object.resize(ENVELOPE_BYTES, 0);
    object
}
