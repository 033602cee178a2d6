//! The first packet: what the server says of itself (`HandshakeV10`).

use std::sync::Arc;

use aquifer_types::Collation;

use crate::auth::{AuthPlugin, Salt};
use crate::channel::Channel;
use crate::codec::len_u64;
use crate::flags::{Capabilities, StatusFlags};
use crate::keys::ServerKeys;

const PROTOCOL_VERSION: u8 = 10;
/// The salt travels in two parts, the first of this length.
const SALT_HEAD_BYTES: usize = 8;

/// What all logins of a server have in common.
#[derive(Clone, Debug)]
pub struct HandshakeSettings {
    /// What VERSION() says.
    pub version: String,
    /// What is offered; `SSL` only counts when there are keys. See
    /// [`Capabilities::ALL_SUPPORTED`].
    pub capabilities: Capabilities,
    /// The default collation.
    pub collation: Collation,
    /// The plugin that clients should begin with, and that unknown users are led through.
    pub default_plugin: AuthPlugin,
    /// Without keys there is no TLS, and `caching_sha2_password` needs a local socket or a cached
    /// digest.
    pub keys: Option<Arc<ServerKeys>>,
}

impl HandshakeSettings {
    /// What is offered indeed.
    #[must_use]
    pub fn offered(&self) -> Capabilities {
        let offered = self.capabilities & Capabilities::ALL_SUPPORTED;
        match self.keys {
            Some(_) => offered,
            None => offered.without(Capabilities::SSL),
        }
    }

    pub(super) fn write_greeting(&self, connection_id: u32, salt: &Salt, channel: &mut Channel) {
        let [low, mid, high, top] = self.offered().bits().to_le_bytes();
        let (head, tail) = salt.as_bytes().split_at(SALT_HEAD_BYTES);
        let [collation, _] = self.collation.0.to_le_bytes();
        // The count includes the salt's final NUL.
        let [salt_bytes, ..] = len_u64(Salt::BYTES + 1).to_le_bytes();
        let mut packet = channel.packet();
        packet.u8(PROTOCOL_VERSION);
        packet.nul_bytes(self.version.as_bytes());
        packet.u32(connection_id);
        packet.nul_bytes(head);
        packet.bytes(&[low, mid]);
        packet.u8(collation);
        packet.u16(StatusFlags::AUTOCOMMIT.bits());
        packet.bytes(&[high, top]);
        packet.u8(salt_bytes);
        packet.bytes(&[0; 10]);
        packet.nul_bytes(tail);
        packet.nul_bytes(self.default_plugin.name().as_bytes());
        packet.finish();
    }
}
