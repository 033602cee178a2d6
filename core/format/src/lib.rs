//! Every byte that Aquifer keeps, in a store or on a disk: links, checkpoints, heads, the cluster object,
//! tables, and the transactions inside commit log entries.
//!
//! This crate owns how these are laid out, under which key they are stored, and how they change between
//! versions. It is pure: bytes in, values out. It does no I/O, holds no clock, and does not know what an
//! edit does to a manifest (see `lsm`) or when a link is written (see `writer`).
//!
//! Invariants:
//! * Nothing is interpreted before its checksum has been verified. Bytes that have not been are
//!   [`Unverified`]; a [`Verified`] or a view ([`DeltaView`], [`GroupView`], [`Link`]) exists only for
//!   bytes that have. A flipped bit anywhere is an error.
//! * A decoder never panics and never allocates more than a small multiple of its input.
//! * What was once written decodes forever: `tests/golden` holds a sample of every version.
//!
//! The pages in `core/docs/formats` describe each layout.

pub mod checkpoint;
pub mod cluster;
pub mod delta;
pub mod envelope;
pub mod error;
pub mod group;
pub mod head;
pub mod key;
pub mod link;
pub mod manifest;
pub mod outbox;
pub mod pin;
pub mod sst;
mod wire;

pub use checkpoint::Checkpoint;
pub use cluster::Cluster;
pub use delta::{DeltaBuilder, DeltaFlags, DeltaView, Op, encode_delta};
pub use envelope::{FORMAT_VERSION, Kind, Unverified, Verified};
pub use error::{FormatError, FormatResult};
pub use group::{GroupBuilder, GroupView};
pub use head::Head;
pub use key::{ObjectKey, checkpoint_key, cluster_key, head_key, link_key, pin_key, sst_key};
pub use link::{EpochRecord, ForkRecord, Link, LinkBuilder, LinkDigest, LinkHeader, Record};
pub use manifest::{ManifestEdit, SstMeta, SstRef};
pub use outbox::OutboxEdit;
pub use pin::Pin;
