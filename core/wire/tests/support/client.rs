//! A client, written from the protocol's description and not from the server's code.

use std::io::{Read, Write};
use std::sync::Arc;

use aquifer_wire::Capabilities;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::server::Server;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    None,
    Zlib,
    Zstd,
}

#[derive(Clone)]
pub struct Options {
    pub user: String,
    pub password: String,
    pub plugin: String,
    pub tls: bool,
    pub compression: Compression,
    pub deprecate_eof: bool,
    pub capabilities: Capabilities,
    pub attributes: Vec<(String, String)>,
    /// Show the password without TLS: the socket is local.
    pub local: bool,
    /// Ask for the public key, or be in possession of it already.
    pub public_key: Option<String>,
}

impl Options {
    pub fn new(user: &str, password: &str, plugin: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            plugin: plugin.to_owned(),
            tls: false,
            compression: Compression::None,
            deprecate_eof: true,
            capabilities: Capabilities::empty(),
            attributes: vec![("_client_name".into(), "tests".into())],
            local: false,
            public_key: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: u16,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResultSet {
    pub columns: Vec<Vec<u8>>,
    pub rows: Vec<Vec<u8>>,
    pub status: u16,
}

pub struct Client {
    pub server: Server,
    tls: Option<Box<rustls::ClientConnection>>,
    compression: Option<Compression>,
    /// Bytes from the server, decrypted.
    frames: Vec<u8>,
    /// Bytes from the server, decrypted and decompressed.
    plain: Vec<u8>,
    sequence: u8,
    frame_sequence: u8,
    pub capabilities: Capabilities,
    salt: Vec<u8>,
    /// All bytes sent, for replaying.
    pub sent: Vec<Vec<u8>>,
    pub used_full_authentication: bool,
}

impl Client {
    pub fn connect(server: Server, options: &Options) -> Result<Self, Failure> {
        let mut client = Self {
            server,
            tls: None,
            compression: None,
            frames: Vec::new(),
            plain: Vec::new(),
            sequence: 0,
            frame_sequence: 0,
            capabilities: Capabilities::empty(),
            salt: Vec::new(),
            sent: Vec::new(),
            used_full_authentication: false,
        };
        client.login(options).map(|()| client)
    }

    fn login(&mut self, options: &Options) -> Result<(), Failure> {
        self.deliver(&[]);
        let greeting = self.read_packet();
        let version_end = 1 + greeting[1..].iter().position(|&b| b == 0).unwrap();
        let rest = &greeting[version_end + 1 + 4..];
        self.salt = [&rest[..8], &rest[27..27 + 12]].concat();
        let mut capabilities = Capabilities::LONG_PASSWORD
            | Capabilities::PROTOCOL_41
            | Capabilities::SECURE_CONNECTION
            | Capabilities::PLUGIN_AUTH
            | Capabilities::PLUGIN_AUTH_LENENC_DATA
            | Capabilities::CONNECT_ATTRS
            | Capabilities::CONNECT_WITH_DB
            | Capabilities::MULTI_STATEMENTS
            | Capabilities::MULTI_RESULTS
            | Capabilities::TRANSACTIONS
            | options.capabilities;
        if options.deprecate_eof {
            capabilities |= Capabilities::DEPRECATE_EOF;
        }
        match options.compression {
            Compression::None => {}
            Compression::Zlib => capabilities |= Capabilities::COMPRESS,
            Compression::Zstd => capabilities |= Capabilities::ZSTD_COMPRESSION,
        }
        if options.tls {
            capabilities |= Capabilities::SSL;
        }
        self.capabilities = capabilities;
        let mut head = capabilities.bits().to_le_bytes().to_vec();
        head.extend_from_slice(&(16u32 << 20).to_le_bytes());
        head.push(255);
        head.extend_from_slice(&[0; 23]);
        if options.tls {
            self.write_packet(&head);
            self.start_tls();
        }
        let mut login = head;
        login.extend_from_slice(options.user.as_bytes());
        login.push(0);
        let proof = self.proof(&options.plugin, &options.password);
        login.push(proof.len() as u8);
        login.extend_from_slice(&proof);
        login.extend_from_slice(b"shop\0");
        login.extend_from_slice(options.plugin.as_bytes());
        login.push(0);
        let mut attributes = Vec::new();
        for (name, value) in &options.attributes {
            put_text(&mut attributes, name.as_bytes());
            put_text(&mut attributes, value.as_bytes());
        }
        put_text(&mut login, &attributes);
        if options.compression == Compression::Zstd {
            login.push(5);
        }
        self.write_packet(&login);
        self.authenticate(options)?;
        if options.compression != Compression::None {
            self.compression = Some(options.compression);
        }
        Ok(())
    }

    pub fn change_user(&mut self, options: &Options) -> Result<(), Failure> {
        self.sequence = 0;
        self.frame_sequence = 0;
        let mut body = vec![0x11];
        body.extend_from_slice(options.user.as_bytes());
        body.push(0);
        let proof = self.proof(&options.plugin, &options.password);
        body.push(proof.len() as u8);
        body.extend_from_slice(&proof);
        body.extend_from_slice(b"shop\0");
        body.extend_from_slice(&[45, 0]);
        body.extend_from_slice(options.plugin.as_bytes());
        body.push(0);
        put_text(&mut body, b"");
        self.write_packet(&body);
        self.authenticate(options)
    }

    fn authenticate(&mut self, options: &Options) -> Result<(), Failure> {
        loop {
            let packet = self.read_packet();
            match packet.first() {
                Some(0x00) => return Ok(()),
                Some(0xff) => return Err(failure(&packet, self.capabilities)),
                Some(0xfe) => {
                    let mut parts = packet[1..].split(|&b| b == 0);
                    let plugin = String::from_utf8(parts.next().unwrap().to_vec()).unwrap();
                    self.salt = parts.next().unwrap().to_vec();
                    assert_eq!(self.salt.len(), 20);
                    let proof = self.proof(&plugin, &options.password);
                    self.write_packet(&proof);
                }
                Some(0x01) if packet[1..] == [3] => {}
                Some(0x01) if packet[1..] == [4] => self.show_password(options),
                other => panic!("unexpected packet {other:?} {packet:?}"),
            }
        }
    }

    fn show_password(&mut self, options: &Options) {
        self.used_full_authentication = true;
        let mut text = options.password.as_bytes().to_vec();
        text.push(0);
        if self.tls.is_some() || options.local {
            return self.write_packet(&text);
        }
        let pem = options.public_key.clone().unwrap_or_else(|| {
            self.write_packet(&[2]);
            let packet = self.read_packet();
            assert_eq!(packet[0], 1);
            String::from_utf8(packet[1..].to_vec()).unwrap()
        });
        let masked: Vec<u8> = text.iter().zip(self.salt.iter().cycle()).map(|(a, b)| a ^ b).collect();
        use rsa::pkcs8::DecodePublicKey;
        let key = rsa::RsaPublicKey::from_public_key_pem(&pem).unwrap();
        let padding = rsa::Oaep::new::<Sha1>();
        let ciphertext = key.encrypt(&mut rsa::rand_core::OsRng, padding, &masked).unwrap();
        self.write_packet(&ciphertext);
    }

    fn proof(&self, plugin: &str, password: &str) -> Vec<u8> {
        if password.is_empty() {
            return if plugin == "caching_sha2_password" { vec![0] } else { Vec::new() };
        }
        match plugin {
            "mysql_native_password" => {
                let stage1 = Sha1::digest(password);
                let stage2 = Sha1::digest(stage1);
                let mask = Sha1::new().chain_update(&self.salt).chain_update(stage2).finalize();
                stage1.iter().zip(mask).map(|(a, b)| a ^ b).collect()
            }
            _ => {
                let stage1 = Sha256::digest(password);
                let stage2 = Sha256::digest(stage1);
                let mask = Sha256::new().chain_update(stage2).chain_update(&self.salt).finalize();
                stage1.iter().zip(mask).map(|(a, b)| a ^ b).collect()
            }
        }
    }

    fn start_tls(&mut self) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAll))
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        self.tls = Some(Box::new(rustls::ClientConnection::new(Arc::new(config), name).unwrap()));
        while self.tls.as_ref().unwrap().is_handshaking() {
            self.send_plain(&[]);
        }
    }

    /// Sends packets of a body of any length.
    pub fn write_packet(&mut self, body: &[u8]) {
        let mut framed = Vec::with_capacity(body.len() + 4);
        let mut rest = body;
        loop {
            let (part, tail) = rest.split_at(rest.len().min(0xff_ffff));
            framed.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
            framed.push(self.sequence);
            framed.extend_from_slice(part);
            self.sequence = self.sequence.wrapping_add(1);
            rest = tail;
            if part.len() < 0xff_ffff {
                break;
            }
        }
        self.send_framed(&framed);
    }

    /// Sends bytes that are packets already.
    pub fn send_framed(&mut self, framed: &[u8]) {
        let Some(compression) = self.compression else { return self.send_plain(framed) };
        let mut sealed = Vec::new();
        for chunk in framed.chunks(10_000_000) {
            let body = match compression {
                _ if chunk.len() < 50 => chunk.to_vec(),
                Compression::Zstd => zstd::bulk::compress(chunk, 3).unwrap(),
                _ => {
                    let mut encoder =
                        flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                    encoder.write_all(chunk).unwrap();
                    encoder.finish().unwrap()
                }
            };
            let plain = if chunk.len() < 50 { 0 } else { chunk.len() as u32 };
            sealed.extend_from_slice(&(body.len() as u32).to_le_bytes()[..3]);
            sealed.push(self.frame_sequence);
            sealed.extend_from_slice(&plain.to_le_bytes()[..3]);
            sealed.extend_from_slice(&body);
            self.frame_sequence = self.frame_sequence.wrapping_add(1);
        }
        self.send_plain(&sealed);
    }

    fn send_plain(&mut self, bytes: &[u8]) {
        let wire = match &mut self.tls {
            None => bytes.to_vec(),
            Some(tls) => {
                let mut wire = Vec::new();
                for chunk in bytes.chunks(16_384) {
                    tls.writer().write_all(chunk).unwrap();
                    while tls.wants_write() {
                        tls.write_tls(&mut wire).unwrap();
                    }
                }
                while tls.wants_write() {
                    tls.write_tls(&mut wire).unwrap();
                }
                wire
            }
        };
        self.deliver(&wire);
    }

    /// Hands bytes to the server and takes its answer.
    pub fn deliver(&mut self, wire: &[u8]) {
        self.sent.push(wire.to_vec());
        let mut answer = Vec::new();
        // As sockets do: in pieces.
        for piece in wire.chunks(64 * 1024) {
            answer.extend(self.server.exchange(piece));
        }
        if wire.is_empty() {
            answer = self.server.exchange(&[]);
        }
        match &mut self.tls {
            None => self.frames.extend_from_slice(&answer),
            Some(tls) => {
                let mut rest = &answer[..];
                while !rest.is_empty() {
                    tls.read_tls(&mut rest).unwrap();
                    tls.process_new_packets().unwrap();
                    let mut plain = Vec::new();
                    let _ = tls.reader().read_to_end(&mut plain);
                    self.frames.extend_from_slice(&plain);
                }
            }
        }
    }

    /// Whether the server has sent something that was not read.
    pub fn has_input(&self) -> bool {
        !self.frames.is_empty() || !self.plain.is_empty()
    }

    fn open_frames(&mut self) {
        let Some(compression) = self.compression else {
            self.plain.append(&mut self.frames);
            return;
        };
        while self.frames.len() >= 7 {
            let length = u24(&self.frames[0..3]);
            if self.frames.len() < 7 + length {
                break;
            }
            assert_eq!(self.frames[3], self.frame_sequence, "number of a frame");
            self.frame_sequence = self.frame_sequence.wrapping_add(1);
            let plain = u24(&self.frames[4..7]);
            let body = &self.frames[7..7 + length];
            let opened = match compression {
                _ if plain == 0 => body.to_vec(),
                Compression::Zstd => zstd::bulk::decompress(body, plain).unwrap(),
                _ => {
                    let mut out = Vec::new();
                    flate2::read::ZlibDecoder::new(body).read_to_end(&mut out).unwrap();
                    out
                }
            };
            assert!(plain == 0 || opened.len() == plain);
            self.plain.extend_from_slice(&opened);
            self.frames.drain(..7 + length);
        }
    }

    pub fn read_packet(&mut self) -> Vec<u8> {
        self.try_read_packet().expect("a packet")
    }

    pub fn try_read_packet(&mut self) -> Option<Vec<u8>> {
        self.open_frames();
        let mut body = Vec::new();
        loop {
            if self.plain.len() < 4 {
                return None;
            }
            let length = u24(&self.plain[0..3]);
            assert!(self.plain.len() >= 4 + length, "packet is not whole");
            if self.compression.is_none() {
                assert_eq!(self.plain[3], self.sequence, "number of a packet");
            }
            self.sequence = self.plain[3].wrapping_add(1);
            body.extend_from_slice(&self.plain[4..4 + length]);
            self.plain.drain(..4 + length);
            if length < 0xff_ffff {
                return Some(body);
            }
        }
    }

    /// Expects this number next.
    pub fn sequence_for_test(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// Sends and expects this frame number next.
    pub fn frame_sequence_for_test(&mut self, sequence: u8) {
        self.frame_sequence = sequence;
    }

    /// The next packet, whatever its number.
    pub fn read_packet_any(&mut self) -> Vec<u8> {
        self.open_frames();
        self.sequence = self.plain[3];
        self.read_packet()
    }

    /// Sends a command.
    pub fn command(&mut self, code: u8, body: &[u8]) {
        self.sequence = 0;
        self.frame_sequence = 0;
        let mut packet = vec![code];
        packet.extend_from_slice(body);
        self.write_packet(&packet);
    }

    pub fn query(&mut self, text: &str) -> Result<Vec<ResultSet>, Failure> {
        let mut body = Vec::new();
        if self.capabilities.contains(Capabilities::QUERY_ATTRIBUTES) {
            body.extend_from_slice(&[0, 1]);
        }
        body.extend_from_slice(text.as_bytes());
        self.command(3, &body);
        self.read_results()
    }

    pub fn read_results(&mut self) -> Result<Vec<ResultSet>, Failure> {
        let mut sets = Vec::new();
        loop {
            let set = self.read_result()?;
            let more = set.status & 8 != 0;
            sets.push(set);
            if !more {
                return Ok(sets);
            }
        }
    }

    fn read_result(&mut self) -> Result<ResultSet, Failure> {
        let first = self.read_packet();
        match first[0] {
            0x00 => return Ok(ResultSet { status: ok_status(&first), ..ResultSet::default() }),
            0xff => return Err(failure(&first, self.capabilities)),
            _ => {}
        }
        let count = first[0] as usize;
        let columns = (0..count).map(|_| self.read_packet()).collect();
        if !self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            assert_eq!(self.read_packet()[0], 0xfe);
        }
        let (rows, status) = self.read_rows();
        Ok(ResultSet { columns, rows, status })
    }

    /// Rows up to the end of the result.
    pub fn read_rows(&mut self) -> (Vec<Vec<u8>>, u16) {
        let mut rows = Vec::new();
        loop {
            let packet = self.read_packet();
            if packet[0] == 0xfe && packet.len() < 0xff_ffff {
                let status = if self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
                    ok_status(&packet)
                } else {
                    assert_eq!(packet.len(), 5);
                    u16::from_le_bytes([packet[3], packet[4]])
                };
                return (rows, status);
            }
            rows.push(packet);
        }
    }
}

fn ok_status(packet: &[u8]) -> u16 {
    // Affected rows and insert id are below 251 in the tests.
    u16::from_le_bytes([packet[3], packet[4]])
}

pub fn failure(packet: &[u8], capabilities: Capabilities) -> Failure {
    let code = u16::from_le_bytes([packet[1], packet[2]]);
    let has_state = packet.get(3) == Some(&b'#') && capabilities.contains(Capabilities::PROTOCOL_41);
    let text = if has_state { &packet[9..] } else { &packet[3..] };
    Failure { code, text: String::from_utf8_lossy(text).into_owned() }
}

fn u24(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16
}

/// A length-encoded string.
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        length @ 0..251 => out.push(length as u8),
        length @ 251..65_536 => {
            out.push(0xfc);
            out.extend_from_slice(&(length as u16).to_le_bytes());
        }
        length => {
            out.push(0xfd);
            out.extend_from_slice(&(length as u32).to_le_bytes()[..3]);
        }
    }
    out.extend_from_slice(text);
}

#[derive(Debug)]
struct TrustAll;

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
