//! An edit that is in force on a writer and waits for the store: `<local>/outbox/<number>.edit`.
//!
//! `core/docs/formats/outbox.md` has the layout. Whether such an edit can still be used is decided by the
//! writer's recovery; this module only says what it is.

use bytes::Bytes;

use crate::envelope::{self, Kind, Unverified};
use crate::error::{FormatError, FormatResult};
use crate::manifest::ManifestEdit;
use crate::wire::Fields;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEdit {
    /// The commit log that it goes with.
    pub log_id: u128,
    /// Its place in the order of edits.
    pub number: u64,
    /// For each table that the edit adds, in its order: the CRC32C of its file, `None` if it is in the store
    /// already.
    pub files: Vec<Option<u32>>,
    /// The edit.
    pub edit: ManifestEdit,
}

impl OutboxEdit {
    /// The whole file.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let edit = self.edit.to_bytes();
        let mut file = envelope::open(28 + 5 * self.files.len() + edit.len());
        file.extend_from_slice(&self.log_id.to_le_bytes());
        file.extend_from_slice(&self.number.to_le_bytes());
        let count = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        file.extend_from_slice(&count.to_le_bytes());
        for checksum in &self.files {
            file.push(u8::from(checksum.is_some()));
            file.extend_from_slice(&checksum.unwrap_or(0).to_le_bytes());
        }
        file.extend_from_slice(&edit);
        envelope::seal(file, Kind::Outbox)
    }

    /// Verifies and decodes a whole file, naming it in errors.
    ///
    /// # Errors
    /// Every [`FormatError`].
    pub fn decode(bytes: Bytes, file: &str) -> FormatResult<Self> {
        Self::decode_unnamed(bytes).map_err(|error| error.with_object(file))
    }

    fn decode_unnamed(bytes: Bytes) -> FormatResult<Self> {
        let mut fields = Fields::new(Unverified::new(bytes).verify(Kind::Outbox)?.into_body());
        let log_id = fields.u128()?;
        let number = fields.u64()?;
        let count = fields.u32()?;
        let mut files = Vec::new();
        for _ in 0..count {
            files.push(match (fields.u8()?, fields.u32()?) {
                (1, checksum) => Some(checksum),
                (0, 0) => None,
                _ => return Err(FormatError::Malformed("a file of an outbox edit is neither here nor away")),
            });
        }
        let edit = ManifestEdit::decode_verified(fields.rest())?;
        if edit.added.len() != files.len() {
            return Err(FormatError::Malformed("an outbox edit names another number of tables than it adds"));
        }
        if edit.checkpoint_lsn.is_none() {
            return Err(FormatError::Malformed("an outbox edit without a checkpoint LSN"));
        }
        Ok(Self { log_id, number, files, edit })
    }
}
