//! The login packet (`HandshakeResponse41`) and the request for TLS that may precede it.

use aquifer_types::Collation;
use bytes::Bytes;

use crate::auth::AuthPlugin;
use crate::codec::Reader;
use crate::compress::Algorithm;
use crate::error::{WireError, WireResult};
use crate::flags::Capabilities;

/// Length of a request for TLS: a login that ends before the user name.
const TLS_REQUEST_BYTES: usize = 32;
/// MySQL's limit on connection attributes.
const ATTRIBUTES_BYTES_MAX: usize = 64 * 1024;
/// Longest user name, in bytes: 32 characters.
const USER_BYTES_MAX: usize = 32 * 4;
const FILLER_BYTES: usize = 23;
const ZSTD_LEVEL_DEFAULT: u8 = 3;

/// Who a client says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user name, in the client's character set.
    pub user: Bytes,
    /// The default schema, if the client names one; in the client's character set.
    pub database: Option<Bytes>,
    /// The client's collation; number 0 when COM_CHANGE_USER names none.
    pub collation: Collation,
    /// The plugin's name, as the client gave it.
    pub plugin_name: Bytes,
    /// Connection attributes: `_client_name`, `program_name`, …
    pub attributes: Vec<(Bytes, Bytes)>,
    /// Longest packet that the client takes; MySQL ignores it, and so may you.
    pub packet_bytes_max: u32,
    /// What client and server agreed on.
    pub capabilities: Capabilities,
}

impl Login {
    /// The plugin, if it is one that this crate knows. Clients that name none use
    /// `mysql_native_password`.
    pub(super) fn plugin(&self) -> Option<AuthPlugin> {
        if self.plugin_name.is_empty() {
            return Some(AuthPlugin::Native);
        }
        AuthPlugin::from_name(&self.plugin_name)
    }
}

/// A login packet, decoded.
pub(super) struct ParsedLogin {
    pub(super) login: Login,
    /// What the client announced, offered or not.
    pub(super) capabilities: Capabilities,
    pub(super) proof: Bytes,
    pub(super) zstd_level: u8,
}

/// Whether the packet asks for TLS. Only its first 32 bytes are looked at: whatever else a client has
/// put into it before TLS is not trusted.
pub(super) fn is_tls_request(packet: &Bytes) -> WireResult<bool> {
    let capabilities = Capabilities(Reader::new(packet.clone()).u32().map_err(bad_handshake)?);
    Ok(capabilities.contains(Capabilities::SSL) && packet.len() >= TLS_REQUEST_BYTES)
}

/// Decodes a login. Its layout follows what the client announces.
pub(super) fn parse(packet: Bytes) -> WireResult<ParsedLogin> {
    parse_body(Reader::new(packet)).map_err(bad_handshake)
}

fn bad_handshake(error: WireError) -> WireError {
    match error {
        WireError::Malformed(what) => WireError::BadHandshake(what),
        other => other,
    }
}

fn parse_body(mut reader: Reader) -> WireResult<ParsedLogin> {
    let capabilities = Capabilities(reader.u32()?);
    if !capabilities.contains(Capabilities::PROTOCOL_41) {
        return Err(WireError::BadHandshake("the client is older than MySQL 4.1"));
    }
    let packet_bytes_max = reader.u32()?;
    let collation = Collation(u16::from(reader.u8()?));
    reader.bytes(FILLER_BYTES)?;
    let user = read_user(&mut reader)?;
    let proof = read_proof(&mut reader, capabilities)?;
    let database = match capabilities.contains(Capabilities::CONNECT_WITH_DB) {
        true => Some(reader.nul_bytes_or_rest()).filter(|name| !name.is_empty()),
        false => None,
    };
    let plugin_name = read_plugin_name(&mut reader, capabilities);
    let attributes = read_attributes(&mut reader, capabilities)?;
    let zstd_level = match capabilities.contains(Capabilities::ZSTD_COMPRESSION) {
        true if !reader.is_empty() => reader.u8()?,
        _ => ZSTD_LEVEL_DEFAULT,
    };
    let login = Login { user, database, collation, plugin_name, attributes, packet_bytes_max, capabilities };
    Ok(ParsedLogin { login, capabilities, proof, zstd_level })
}

/// Also for COM_CHANGE_USER.
pub(super) fn read_user(reader: &mut Reader) -> WireResult<Bytes> {
    let user = reader.nul_bytes()?;
    if user.len() > USER_BYTES_MAX {
        return Err(WireError::Malformed("the user name is too long"));
    }
    Ok(user)
}

fn read_proof(reader: &mut Reader, capabilities: Capabilities) -> WireResult<Bytes> {
    if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC_DATA) {
        return reader.lenenc_bytes();
    }
    if capabilities.contains(Capabilities::SECURE_CONNECTION) {
        let length = usize::from(reader.u8()?);
        return reader.bytes(length);
    }
    Ok(reader.nul_bytes_or_rest())
}

/// Also for COM_CHANGE_USER. Some clients leave out what they announced, or the final NUL.
pub(super) fn read_plugin_name(reader: &mut Reader, capabilities: Capabilities) -> Bytes {
    if capabilities.contains(Capabilities::PLUGIN_AUTH) { reader.nul_bytes_or_rest() } else { Bytes::new() }
}

/// Also for COM_CHANGE_USER.
pub(super) fn read_attributes(
    reader: &mut Reader,
    capabilities: Capabilities,
) -> WireResult<Vec<(Bytes, Bytes)>> {
    let mut attributes = Vec::new();
    if !capabilities.contains(Capabilities::CONNECT_ATTRS) || reader.is_empty() {
        return Ok(attributes);
    }
    let body = reader.lenenc_bytes()?;
    if body.len() > ATTRIBUTES_BYTES_MAX {
        return Err(WireError::Malformed("too many connection attributes"));
    }
    let mut body = Reader::new(body);
    while !body.is_empty() {
        attributes.push((body.lenenc_bytes()?, body.lenenc_bytes()?));
    }
    Ok(attributes)
}

/// What the connection is compressed with; zlib where both are agreed, as in MySQL.
pub(super) fn compression(agreed: Capabilities, zstd_level: u8) -> Option<Algorithm> {
    if agreed.contains(Capabilities::COMPRESS) {
        return Some(Algorithm::Zlib);
    }
    agreed.contains(Capabilities::ZSTD_COMPRESSION).then(|| Algorithm::Zstd(zstd_level.clamp(1, 22)))
}
