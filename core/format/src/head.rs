//! The head object: where to start looking for the newest checkpoint and link.
//!
//! It is overwritten by plain PUTs, may be stale, and may be lost: everything it says can be found by a
//! listing. A damaged head is therefore treated as an absent one.
//!
//! Body: sequence number of the newest checkpoint, 0 for none (8 bytes), of the newest link (8 bytes),
//! epoch of the writer (8 bytes), writing time in microseconds since 1970 (8 bytes), little-endian.

use aquifer_types::{Epoch, LinkSeq};
use bytes::Bytes;

use crate::envelope::{self, Kind, Unverified};
use crate::error::FormatResult;
use crate::wire::Fields;

/// A hint at the end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest checkpoint's link; 0 for none.
    pub checkpoint_seq: LinkSeq,
    /// The newest link; a reader probes forward from it.
    pub link_seq: LinkSeq,
    /// Epoch of the writer at that link.
    pub epoch: Epoch,
    /// When the head was written, microseconds since 1970.
    pub written_micros: u64,
}

impl Head {
    /// The whole object.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut object = envelope::open(32);
        for field in [self.checkpoint_seq.0, self.link_seq.0, self.epoch.0, self.written_micros] {
            object.extend_from_slice(&field.to_le_bytes());
        }
        envelope::seal(object, Kind::Head)
    }

    /// The head, or `None` when it is damaged or of a newer version: the caller then lists.
    #[must_use]
    pub fn decode(bytes: Bytes) -> Option<Self> {
        Self::try_decode(bytes).ok()
    }

    /// As [`Head::decode`], saying what is wrong.
    ///
    /// # Errors
    /// Every [`crate::FormatError`].
    pub fn try_decode(bytes: Bytes) -> FormatResult<Self> {
        let mut fields = Fields::new(Unverified::new(bytes).verify(Kind::Head)?.into_body());
        let head = Self {
            checkpoint_seq: LinkSeq(fields.u64()?),
            link_seq: LinkSeq(fields.u64()?),
            epoch: Epoch(fields.u64()?),
            written_micros: fields.u64()?,
        };
        fields.finish()?;
        Ok(head)
    }
}
