//! Just enough of the MySQL protocol to ask a running node for its counters.
//!
//! Passwords go by `caching_sha2_password` or `mysql_native_password`; the first, when the node does not know the
//! password yet, under the node's public key. No TLS, no prepared statements, nothing but text rows.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_types::ErrorKind;
use aquifer_wire::Capabilities;
use aquifer_wire::codec::{Reader, put_lenenc_bytes};
use bytes::Bytes;
use rsa::pkcs8::DecodePublicKey;
use sha1::{Digest, Sha1};
use sha2::Sha256;

const PATIENCE: Duration = Duration::from_secs(10);
const PACKET_BYTES_MAX: u32 = 16 << 20;
const UTF8MB4: u8 = 45;
const SALT_BYTES: usize = 20;
const SHA2: &str = "caching_sha2_password";
const NATIVE: &str = "mysql_native_password";

/// Who asks.
pub struct Login {
    /// The account's name.
    pub user: String,
    /// Its password; empty for none.
    pub password: String,
}

/// A connection.
pub struct Client {
    socket: TcpStream,
    sequence: u8,
    salt: Vec<u8>,
    address: String,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// `Unavailable` when nobody answers, `Invalid` when the login is refused.
    pub fn connect(address: &str, login: &Login) -> NodeResult<Self> {
        let failed = |error: io::Error| {
            NodeError::new(ErrorKind::Unavailable, format!("no node answers at {address}: {error}"))
        };
        let socket = TcpStream::connect(address).map_err(failed)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        socket.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut client = Self { socket, sequence: 0, salt: Vec::new(), address: address.to_owned() };
        client.log_in(login)?;
        Ok(client)
    }

    /// The rows of a query, as texts; NULL is empty.
    ///
    /// # Errors
    /// What the node answers; `Unavailable` when it does not.
    pub fn query(&mut self, sql: &str) -> NodeResult<Vec<Vec<String>>> {
        self.sequence = 0;
        self.write(&[&[0x03], sql.as_bytes()].concat())?;
        let columns = self.answer()?;
        let count = Reader::new(columns).lenenc().map_err(|error| self.broken(&error.to_string()))?;
        for _ in 0..=count {
            // The columns, which are known, and the end of their list.
            self.answer()?;
        }
        let mut rows = Vec::new();
        loop {
            let packet = self.answer()?;
            if packet[0] == 0xfe && packet.len() < 9 {
                return Ok(rows);
            }
            rows.push(self.row(packet, count)?);
        }
    }

    fn row(&self, packet: Bytes, count: u64) -> NodeResult<Vec<String>> {
        let mut reader = Reader::new(packet.clone());
        let mut row = Vec::new();
        for _ in 0..count {
            if packet.get(packet.len() - reader.remaining()) == Some(&0xfb) {
                reader.u8().map_err(|error| self.broken(&error.to_string()))?;
                row.push(String::new());
                continue;
            }
            let text = reader.lenenc_bytes().map_err(|error| self.broken(&error.to_string()))?;
            row.push(String::from_utf8_lossy(&text).into_owned());
        }
        Ok(row)
    }

    fn log_in(&mut self, login: &Login) -> NodeResult<()> {
        let greeting = self.answer()?;
        self.salt = salt_of(&greeting).ok_or_else(|| self.broken("it is no MySQL server"))?;
        let capabilities = Capabilities::LONG_PASSWORD
            | Capabilities::PROTOCOL_41
            | Capabilities::SECURE_CONNECTION
            | Capabilities::PLUGIN_AUTH
            | Capabilities::PLUGIN_AUTH_LENENC_DATA
            | Capabilities::TRANSACTIONS;
        let mut body = capabilities.bits().to_le_bytes().to_vec();
        body.extend_from_slice(&PACKET_BYTES_MAX.to_le_bytes());
        body.push(UTF8MB4);
        body.extend_from_slice(&[0; 23]);
        body.extend_from_slice(login.user.as_bytes());
        body.push(0);
        put_lenenc_bytes(&mut body, &self.proof(SHA2, &login.password));
        body.extend_from_slice(SHA2.as_bytes());
        body.push(0);
        self.write(&body)?;
        self.authenticate(login)
    }

    fn authenticate(&mut self, login: &Login) -> NodeResult<()> {
        loop {
            let packet = self.answer()?;
            match (packet[0], packet.get(1)) {
                (0x00, _) => return Ok(()),
                (0xfe, Some(_)) => {
                    let mut reader = Reader::new(packet.slice(1..));
                    let plugin = reader.nul_bytes_or_rest();
                    self.salt = reader.nul_bytes_or_rest().to_vec();
                    let proof = self.proof(&String::from_utf8_lossy(&plugin), &login.password);
                    self.write(&proof)?;
                }
                // The node knows the password: OK follows.
                (0x01, Some(3)) => {}
                (0x01, Some(4)) => self.show_password(&login.password)?,
                _ => return Err(self.broken("it asks for a way to log in that is not known here")),
            }
        }
    }

    fn proof(&self, plugin: &str, password: &str) -> Vec<u8> {
        let mix = |left: &[u8], right: &[u8]| left.iter().zip(right).map(|(a, b)| a ^ b).collect();
        match plugin {
            _ if password.is_empty() => Vec::new(),
            NATIVE => {
                let once = Sha1::digest(password);
                let mask = Sha1::new().chain_update(&self.salt).chain_update(Sha1::digest(once)).finalize();
                mix(&once, &mask)
            }
            _ => {
                let once = Sha256::digest(password);
                let mask =
                    Sha256::new().chain_update(Sha256::digest(once)).chain_update(&self.salt).finalize();
                mix(&once, &mask)
            }
        }
    }

    /// The password itself, which only the holder of the private key can read.
    fn show_password(&mut self, password: &str) -> NodeResult<()> {
        self.write(&[2])?;
        let pem = self.answer()?;
        let text = String::from_utf8_lossy(pem.get(1..).unwrap_or_default()).into_owned();
        let key = rsa::RsaPublicKey::from_public_key_pem(&text);
        let key = key.map_err(|error| self.broken(&format!("its public key: {error}")))?;
        let plain = [password.as_bytes(), &[0]].concat();
        let masked: Vec<u8> = plain.iter().zip(self.salt.iter().cycle()).map(|(a, b)| a ^ b).collect();
        let sealed = key.encrypt(&mut rsa::rand_core::OsRng, rsa::Oaep::new::<Sha1>(), &masked);
        let sealed = sealed.map_err(|error| self.broken(&format!("its public key: {error}")))?;
        self.write(&sealed)
    }

    fn write(&mut self, body: &[u8]) -> NodeResult<()> {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut packet = length[..3].to_vec();
        packet.push(self.sequence);
        packet.extend_from_slice(body);
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.write_all(&packet).map_err(|error| self.broken(&error.to_string()))
    }

    /// The next packet, which is not empty and no error.
    fn answer(&mut self) -> NodeResult<Bytes> {
        let packet = self.read().map_err(|error| self.broken(&error.to_string()))?;
        match packet.first() {
            None => Err(self.broken("an empty answer")),
            Some(0xff) => {
                let text = String::from_utf8_lossy(packet.get(3..).unwrap_or_default()).into_owned();
                let text = text.get(6..).filter(|_| text.starts_with('#')).unwrap_or(&text);
                Err(NodeError::new(ErrorKind::Invalid, format!("the node at {}: {text}", self.address)))
            }
            Some(_) => Ok(packet),
        }
    }

    fn read(&mut self) -> io::Result<Bytes> {
        let mut head = [0; 4];
        self.socket.read_exact(&mut head)?;
        self.sequence = head[3].wrapping_add(1);
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let mut body = Vec::new();
        (&mut self.socket).take(u64::from(length)).read_to_end(&mut body)?;
        if body.len() as u64 != u64::from(length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(body.into())
    }

    fn broken(&self, detail: &str) -> NodeError {
        NodeError::new(ErrorKind::Unavailable, format!("the node at {}: {detail}", self.address))
    }
}

/// The salt of a greeting: 8 bytes behind version and connection id, 12 further on.
fn salt_of(greeting: &Bytes) -> Option<Vec<u8>> {
    let mut reader = Reader::new(greeting.clone());
    let protocol = reader.u8().ok()?;
    let _version = reader.nul_bytes().ok()?;
    let _connection = reader.u32().ok()?;
    let mut salt = reader.bytes(8).ok()?.to_vec();
    // Filler, capabilities (2), character set, status (2), capabilities (2), salt's length, filler (10).
    reader.bytes(19).ok()?;
    salt.extend_from_slice(&reader.bytes(SALT_BYTES - 8).ok()?);
    (protocol == 10).then_some(salt)
}
