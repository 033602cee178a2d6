//! The cluster object: who a store belongs to. Created once, never changed.
//!
//! Body: cluster id (16 bytes), creation time in microseconds since 1970 (8 bytes), little-endian.

use bytes::Bytes;

use crate::envelope::{self, Kind, Unverified};
use crate::error::FormatResult;
use crate::wire::Fields;

/// Identity of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Random, chosen when the cluster was created (a version 4 UUID).
    pub uuid: u128,
    /// The format version that the object was written with; ignored by [`Cluster::encode`].
    pub format_version: u16,
    /// When the cluster was created, microseconds since 1970.
    pub created_micros: u64,
}

impl Cluster {
    /// A cluster of this build's format version.
    #[must_use]
    pub fn new(uuid: u128, created_micros: u64) -> Self {
        Self { uuid, format_version: envelope::FORMAT_VERSION, created_micros }
    }

    /// The id in the usual form, lower case with hyphens.
    #[must_use]
    pub fn uuid_text(&self) -> String {
        let hex = format!("{:032x}", self.uuid);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// The whole object.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut object = envelope::open(24);
        object.extend_from_slice(&self.uuid.to_le_bytes());
        object.extend_from_slice(&self.created_micros.to_le_bytes());
        envelope::seal(object, Kind::Cluster)
    }

    /// Verifies and decodes the whole object, naming it in errors.
    ///
    /// # Errors
    /// Every [`crate::FormatError`]; [`crate::FormatError::NewerVersion`] when a newer release made the
    /// store.
    pub fn decode(bytes: Bytes, object: &str) -> FormatResult<Self> {
        Self::decode_unnamed(bytes).map_err(|error| error.with_object(object))
    }

    fn decode_unnamed(bytes: Bytes) -> FormatResult<Self> {
        let verified = Unverified::new(bytes).verify(Kind::Cluster)?;
        let format_version = verified.version();
        let mut fields = Fields::new(verified.into_body());
        let cluster = Self { uuid: fields.u128()?, format_version, created_micros: fields.u64()? };
        fields.finish()?;
        Ok(cluster)
    }
}
