//! A pin: a promise that one state of a branch stays readable (ADR 0104).
//!
//! Body: link (8 bytes), LSN (8 bytes), time in microseconds since 1970 (8 bytes), length of the branch's name (1
//! byte) and the name; little-endian.

use aquifer_types::{BranchName, LinkSeq, Lsn};
use bytes::Bytes;

use crate::envelope::{self, Kind, Unverified};
use crate::error::{FormatError, FormatResult};
use crate::wire::Fields;

/// A state that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The branch.
    pub branch: BranchName,
    /// Its state as of this link.
    pub seq: LinkSeq,
    /// The last LSN in it.
    pub lsn: Lsn,
    /// When the pin was made, microseconds since 1970.
    pub created_micros: u64,
}

impl Pin {
    /// The whole object.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let name = self.branch.as_str().as_bytes();
        let mut object = envelope::open(25 + name.len());
        for field in [self.seq.0, self.lsn.0, self.created_micros] {
            object.extend_from_slice(&field.to_le_bytes());
        }
        object.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        object.extend_from_slice(name);
        envelope::seal(object, Kind::Pin)
    }

    /// Verifies and decodes the whole object, naming it in errors.
    ///
    /// # Errors
    /// Every [`FormatError`].
    pub fn decode(bytes: Bytes, object: &str) -> FormatResult<Self> {
        Self::decode_unnamed(bytes).map_err(|error| error.with_object(object))
    }

    fn decode_unnamed(bytes: Bytes) -> FormatResult<Self> {
        let mut fields = Fields::new(Unverified::new(bytes).verify(Kind::Pin)?.into_body());
        let (seq, lsn, created_micros) = (LinkSeq(fields.u64()?), Lsn(fields.u64()?), fields.u64()?);
        let length = usize::from(fields.u8()?);
        let name = fields.bytes(length)?;
        fields.finish()?;
        let name = std::str::from_utf8(&name).ok().and_then(|name| BranchName::new(name).ok());
        let branch = name.ok_or(FormatError::Malformed("a pin's branch has no legal name"))?;
        Ok(Self { branch, seq, lsn, created_micros })
    }
}
