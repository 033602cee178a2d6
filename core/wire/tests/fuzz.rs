//! Broken and hostile bytes: recorded conversations with mutations, and bytes without any sense.
//!
//! Every case is decided by its seed, which a failure prints. What must hold: no panic, no memory beyond
//! the limits, nobody in without the proof, and framing that keeps its place.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use aquifer_wire::auth::NativeVerifier;
use aquifer_wire::{
    AuthCache, AuthPlugin, Capabilities, Command, Credential, HandshakeSettings, Salt, StatementParams,
    StmtExecute, Transport,
};
use support::client::{Client, Compression, Options, put_text};
use support::server::{Accounts, Server};

const PACKET_BYTES_MAX: usize = 256 * 1024;
/// The answer to a ping: OK with autocommit.
const PONG: [u8; 11] = [7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0];

/// A small deterministic generator (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 10] = [0, 1, 2, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfe, 0xff];
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.next() as u8 }
    }
}

/// One to four changes at `from` and after.
fn mutate(bytes: &mut Vec<u8>, from: usize, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.len() <= from {
            return;
        }
        let at = from + random.below(bytes.len() - from);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.byte(),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.byte()),
            4 => drop(bytes.remove(at)),
            _ => {
                let end = bytes.len().min(at + random.below(40));
                let copy = bytes[at..end].to_vec();
                let to = from + random.below(bytes.len() - from);
                bytes.splice(to..to, copy);
            }
        }
    }
}

fn check_each(cases: u64, case: impl Fn(&mut Random)) {
    for seed in 0..cases {
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&mut Random::new(seed))));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

struct World {
    settings: Arc<HandshakeSettings>,
    accounts: Arc<Accounts>,
    cache: Arc<AuthCache>,
    salt: Salt,
}

impl World {
    fn new(user: &str, credential: Credential) -> Self {
        Self {
            settings: support::settings(AuthPlugin::CachingSha2, Some(support::keys())),
            accounts: Arc::new([(user.to_owned(), credential)].into()),
            cache: Arc::new(AuthCache::new()),
            salt: Salt::from_entropy([3; 20]),
        }
    }

    fn native() -> Self {
        Self::new("native", Credential::Native(Some(NativeVerifier::from_password(b"secret"))))
    }

    fn server(&self) -> Server {
        let (settings, accounts, cache) = (self.settings.clone(), self.accounts.clone(), self.cache.clone());
        let mut server = Server::new(settings, Transport::Network, accounts, cache, self.salt);
        server.packet_bytes_max = PACKET_BYTES_MAX;
        server
    }
}

/// Feeds bytes in random pieces, as a socket loop does.
fn feed(server: &mut Server, mut bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut answer = server.exchange(&[]);
    while !bytes.is_empty() && !server.closing {
        let count = if random.below(2) == 0 { bytes.len() } else { 1 + random.below(bytes.len()) };
        let (piece, rest) = bytes.split_at(count);
        answer.extend(server.exchange(piece));
        let held = server.channel.allocated();
        assert!(held < 2 * PACKET_BYTES_MAX + 4 * piece.len(), "{held} bytes held");
        bytes = rest;
    }
    answer
}

/// What a client sent to log in and to use each kind of command.
fn record(options: &Options) -> (Vec<u8>, usize) {
    let world = World::native();
    let mut client = Client::connect(world.server(), options).unwrap();
    let login: Vec<u8> = client.sent.concat();
    client.query("rows 3").unwrap();
    client.query("two").unwrap();
    client.command(0x16, b"SELECT ?, ?");
    while client.try_read_packet().is_some() {}
    client.command(0x18, b"\x01\0\0\0\x01\0long data");
    let mut body = b"\x01\0\0\0\0\x01\0\0\0\0\x01\x08\0\xfc\0".to_vec();
    body.extend_from_slice(&[9; 8]);
    client.command(0x17, &body);
    while client.try_read_packet().is_some() {}
    client.command(0x1c, b"\x01\0\0\0\x05\0\0\0");
    while client.try_read_packet().is_some() {}
    for (code, body) in [
        (0x02, &b"shop"[..]),
        (0x04, b"t\0%"),
        (0x0e, b""),
        (0x1b, b"\x01\0"),
        (0x1f, b""),
        (0x19, b"\x01\0\0\0"),
    ] {
        client.command(code, body);
        while client.try_read_packet().is_some() {}
    }
    client.command(3, b"infile x");
    client.write_packet(b"contents");
    let bytes = client.sent.concat();
    (bytes, login.len())
}

#[test]
fn mutated_commands_neither_panic_nor_hoard() {
    for (compression, cases) in
        [(Compression::None, 40_000), (Compression::Zlib, 8_000), (Compression::Zstd, 8_000)]
    {
        let options = Options { compression, ..Options::new("native", "secret", "mysql_native_password") };
        let (bytes, login) = record(&options);
        let world = World::native();
        check_each(cases, |random| {
            let mut bytes = bytes.clone();
            mutate(&mut bytes, login, random);
            let mut server = world.server();
            feed(&mut server, &bytes, random);
        });
    }
}

#[test]
fn mutated_logins_without_the_proof_let_nobody_in() {
    let options = Options::new("native", "wrong", "mysql_native_password");
    let world = World::native();
    // A login that was right on another connection, and one that was never right.
    let (mut replayed, end) = record(&Options { password: "secret".to_owned(), ..options.clone() });
    replayed.truncate(end);
    let other = World { salt: Salt::from_entropy([4; 20]), ..World::native() };
    let wrong = wrong_login("native", "mysql_native_password");
    check_each(50_000, |random| {
        let mut bytes = if random.below(2) == 0 { replayed.clone() } else { wrong.clone() };
        if random.below(10) != 0 {
            mutate(&mut bytes, 0, random);
        }
        let mut server = other.server();
        feed(&mut server, &bytes, random);
        assert!(!server.authenticated);
    });
    assert!(Client::connect(world.server(), &options).is_err());
}

#[test]
fn mutated_sha2_logins_without_the_proof_let_nobody_in() {
    let credential = Credential::from_password(AuthPlugin::CachingSha2, b"secret").unwrap();
    let world = World::new("sha2", credential);
    let wrong = wrong_login("sha2", "caching_sha2_password");
    check_each(1_500, |random| {
        let mut bytes = wrong.clone();
        // Then a request for the key, or what could be a password, encrypted or not.
        let mut tail = Vec::new();
        for number in 3..4 + random.below(3) as u8 {
            let length = [0, 1, 7, 256][random.below(4)];
            let body: Vec<u8> = (0..length).map(|_| random.byte() % 5).collect();
            tail.extend_from_slice(&[length as u8, (length >> 8) as u8, 0, number]);
            tail.extend_from_slice(&body);
        }
        bytes.extend(tail);
        mutate(&mut bytes, 0, random);
        let mut server = world.server();
        feed(&mut server, &bytes, random);
        assert!(!server.authenticated);
    });
}

/// A login packet with a proof of nothing.
fn wrong_login(user: &str, plugin: &str) -> Vec<u8> {
    let flags = Capabilities::ALL_SUPPORTED
        .without(Capabilities::SSL)
        .without(Capabilities::COMPRESS)
        .without(Capabilities::ZSTD_COMPRESSION);
    let mut body = flags.bits().to_le_bytes().to_vec();
    body.resize(32, 0);
    body.extend_from_slice(user.as_bytes());
    body.push(0);
    put_text(&mut body, &[0x5a; 32][..if plugin.starts_with("caching") { 32 } else { 20 }]);
    body.extend_from_slice(b"shop\0");
    body.extend_from_slice(plugin.as_bytes());
    body.push(0);
    put_text(&mut body, b"\x03key\x05value");
    [&[body.len() as u8, 0, 0, 1], &body[..]].concat()
}

#[test]
fn senseless_bodies_never_cost_the_framing_its_place() {
    let options = Options::new("native", "secret", "mysql_native_password");
    let (bytes, login) = record(&options);
    let world = World::native();
    check_each(40_000, |random| {
        let mut server = world.server();
        feed(&mut server, &bytes[..login], random);
        assert!(server.authenticated);
        feed(&mut server, b"\x04\0\0\0\x16??x", random);
        let code = random.below(0x22) as u8;
        if matches!(code, 0x01 | 0x11) {
            return;
        }
        let body: Vec<u8> = (0..random.below(60)).map(|_| random.byte()).collect();
        let mut packet = vec![body.len() as u8 + 1, 0, 0, 0, code];
        packet.extend_from_slice(&body);
        packet.extend_from_slice(&[1, 0, 0, 0, 0x0e]);
        let answer = feed(&mut server, &packet, random);
        assert!(!server.closing);
        assert!(answer.ends_with(&PONG), "{answer:?}");
    });
}

#[test]
fn senseless_parameters_are_refused_or_decoded() {
    check_each(100_000, |random| {
        let count = random.below(5);
        let body: Vec<u8> = (0..random.below(50)).map(|_| random.byte()).collect();
        let flags = if random.below(2) == 0 { 0 } else { StmtExecute::PARAMETER_COUNT_AVAILABLE };
        let execute = StmtExecute { statement_id: 1, flags, body: body.into() };
        let mut params = StatementParams::new(count);
        if let Ok(decoded) = params.decode(&execute, Capabilities::ALL_SUPPORTED) {
            assert_eq!(decoded.params.len(), count);
        }
        let packet: Vec<u8> = (0..random.below(80)).map(|_| random.byte()).collect();
        let _ = Command::parse(packet.into(), Capabilities::ALL_SUPPORTED);
    });
}

#[test]
fn senseless_streams_neither_panic_nor_hoard() {
    let world = World::native();
    check_each(20_000, |random| {
        let mut server = world.server();
        let bytes: Vec<u8> = (0..random.below(400)).map(|_| random.byte()).collect();
        feed(&mut server, &bytes, random);
        assert!(!server.authenticated);
    });
}

#[test]
fn mutated_tls_streams_neither_panic_nor_let_in() {
    let world = World::native();
    let options = Options { tls: true, ..Options::new("native", "secret", "mysql_native_password") };
    let client = Client::connect(world.server(), &options).unwrap();
    let bytes = client.sent.concat();
    check_each(1_000, |random| {
        let mut bytes = bytes.clone();
        mutate(&mut bytes, 0, random);
        let mut server = world.server();
        feed(&mut server, &bytes, random);
        assert!(!server.authenticated);
    });
}
