//! COM_CHANGE_USER: a second login on a connection that is already in use.

use aquifer_types::Collation;
use bytes::Bytes;

use crate::codec::Reader;
use crate::error::WireResult;
use crate::flags::Capabilities;
use crate::handshake::login::{Login, read_attributes, read_plugin_name, read_user};

/// A request to become another user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeUser {
    /// Who the client says it is now.
    pub login: Login,
    /// Its first proof.
    pub(super) proof: Bytes,
}

/// Decodes the body of the command, after its first byte.
pub(crate) fn parse_change_user(mut reader: Reader, capabilities: Capabilities) -> WireResult<ChangeUser> {
    let user = read_user(&mut reader)?;
    let proof = if capabilities.contains(Capabilities::SECURE_CONNECTION) {
        let length = usize::from(reader.u8()?);
        reader.bytes(length)?
    } else {
        reader.nul_bytes()?
    };
    let database = Some(reader.nul_bytes_or_rest()).filter(|name| !name.is_empty());
    let collation = if reader.is_empty() { 0 } else { reader.u16()? };
    let plugin_name = read_plugin_name(&mut reader, capabilities);
    let attributes = read_attributes(&mut reader, capabilities)?;
    let login = Login {
        user,
        database,
        collation: Collation(collation),
        plugin_name,
        attributes,
        packet_bytes_max: 0,
        capabilities,
    };
    Ok(ChangeUser { login, proof })
}
