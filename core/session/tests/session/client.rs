//! A client on bytes: login, commands, decoding of answers.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use aquifer_session::node::LocalFuture;
use aquifer_session::{
    Output, PeerInfo, Session, SessionFlow, SessionHost, SessionRegistry, SessionSettings,
};
use bytes::BytesMut;
use sha1::{Digest, Sha1};

use crate::memory_node::MemoryNode;

/// Polls a future that never really waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// A node with what its sessions share.
pub struct Server {
    pub node: Rc<MemoryNode>,
    pub registry: Arc<SessionRegistry>,
    pub host: Rc<SessionHost>,
}

impl Server {
    pub fn new() -> Self {
        Self::with(&SessionSettings::default())
    }

    pub fn with(settings: &SessionSettings) -> Self {
        let node = MemoryNode::new();
        let registry = SessionRegistry::new(settings).expect("settings are legal");
        let host = SessionHost::new(node.clone(), Arc::clone(&registry));
        Self { node, registry, host }
    }

    /// A client that has logged in as root.
    pub fn root(&self) -> Client {
        let mut client = self.connect(Ipv4Addr::LOCALHOST);
        let answer = client.log_in("root", "", None);
        assert!(matches!(answer, Answer::Ok(_)), "{answer:?}");
        client
    }

    pub fn connect(&self, address: Ipv4Addr) -> Client {
        let closed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closed);
        let closer = Arc::new(move || flag.store(true, Ordering::Relaxed));
        let peer = PeerInfo { address: Some(IpAddr::V4(address)), port: 4000, closer };
        let mut session = Session::new(&self.host, peer);
        let mut out = Vec::new();
        let flow = session.initial_bytes(&mut out);
        Client { session, received: out, streamed: Sink::default(), flow, closed, capabilities: CAPABILITIES }
    }
}

/// LONG_PASSWORD, LONG_FLAG, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION,
/// MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH, SESSION_TRACK.
pub const CAPABILITIES: u32 = 1 | 4 | 8 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 23;

/// What a large result was streamed into.
#[derive(Default)]
pub struct Sink(Vec<u8>);

impl Output for Sink {
    fn flush(&mut self, bytes: Vec<u8>) -> LocalFuture<'_, io::Result<Vec<u8>>> {
        self.0.extend_from_slice(&bytes);
        Box::pin(async move { Ok(Vec::new()) })
    }
}

/// An OK packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OkAnswer {
    pub affected: u64,
    pub insert_id: u64,
    pub status: u16,
    pub warnings: u16,
    pub rest: Vec<u8>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Ok(OkAnswer),
    Error(u16, String),
    Rows { columns: Vec<String>, types: Vec<u8>, rows: Vec<Vec<Option<String>>>, status: u16 },
    Other(Vec<u8>),
}

impl Answer {
    pub fn columns(self) -> Vec<String> {
        match self {
            Self::Rows { columns, .. } => columns,
            other => panic!("no rows but {other:?}"),
        }
    }

    pub fn ok(self) -> OkAnswer {
        match self {
            Self::Ok(ok) => ok,
            other => panic!("not OK but {other:?}"),
        }
    }

    pub fn error(self) -> (u16, String) {
        match self {
            Self::Error(code, message) => (code, message),
            other => panic!("no error but {other:?}"),
        }
    }
}

pub struct Client {
    pub session: Session,
    received: Vec<u8>,
    pub streamed: Sink,
    pub flow: SessionFlow,
    pub closed: Arc<AtomicBool>,
    pub capabilities: u32,
}

impl Client {
    /// Sends raw bytes and keeps the answer.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let mut input = BytesMut::from(bytes);
        let mut out = Vec::new();
        self.flow = block_on(self.session.on_bytes(&mut input, &mut out, &mut self.streamed));
        assert!(input.is_empty());
        self.received.append(&mut self.streamed.0);
        self.received.append(&mut out);
    }

    pub fn send(&mut self, sequence: u8, body: &[u8]) {
        self.send_raw(&packet(sequence, body));
    }

    /// Everything received since the last call, as packets.
    pub fn packets(&mut self) -> Vec<Vec<u8>> {
        let bytes = std::mem::take(&mut self.received);
        let mut at = 0;
        let mut packets = Vec::new();
        while at < bytes.len() {
            let length =
                usize::from(bytes[at]) | usize::from(bytes[at + 1]) << 8 | usize::from(bytes[at + 2]) << 16;
            packets.push(bytes[at + 4..at + 4 + length].to_vec());
            at += 4 + length;
        }
        packets
    }

    /// Answers the greeting with a native password.
    pub fn log_in(&mut self, user: &str, password: &str, database: Option<&str>) -> Answer {
        let greeting = self.packets().remove(0);
        assert_eq!(greeting[0], 10, "{greeting:?}");
        let salt = salt_of(&greeting);
        let proof = native_proof(password, &salt);
        let mut body = Vec::new();
        body.extend_from_slice(&self.capabilities.to_le_bytes());
        body.extend_from_slice(&[0, 0, 0, 1, 255]);
        body.extend_from_slice(&[0; 23]);
        body.extend_from_slice(user.as_bytes());
        body.push(0);
        body.push(u8::try_from(proof.len()).expect("short"));
        body.extend_from_slice(&proof);
        body.extend_from_slice(database.unwrap_or_default().as_bytes());
        body.push(0);
        body.extend_from_slice(b"mysql_native_password\0");
        self.send(1, &body);
        let mut packets = self.packets();
        let mut last = packets.pop().expect("an answer");
        if last[0] == 0xfe {
            // A switch of the plugin: empty passwords are the same in all.
            let reply = if password.is_empty() { Vec::new() } else { native_proof(password, &salt) };
            self.send(3, &reply);
            last = self.packets().pop().expect("an answer");
        }
        if last == [1, 4] {
            // The server wants the password itself: ask for its key, which it does not have.
            self.send(5, &[2]);
            last = self.packets().pop().expect("an answer");
        }
        decode_simple(&last)
    }

    /// COM_QUERY with one answer.
    pub fn query(&mut self, text: &str) -> Answer {
        let mut answers = self.queries(text);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    /// COM_QUERY with any number of answers.
    pub fn queries(&mut self, text: &str) -> Vec<Answer> {
        let mut body = vec![3];
        body.extend_from_slice(text.as_bytes());
        self.send(0, &body);
        decode_all(&self.packets())
    }

    /// A query that must succeed without rows.
    pub fn run(&mut self, text: &str) -> OkAnswer {
        match self.query(text) {
            Answer::Ok(ok) => ok,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// A query's rows.
    pub fn rows(&mut self, text: &str) -> Vec<Vec<String>> {
        let rows = match self.query(text) {
            Answer::Rows { rows, .. } => rows,
            other => panic!("{text}: {other:?}"),
        };
        let shown = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
        rows.into_iter().map(|row| row.into_iter().map(shown).collect()).collect()
    }

    /// A query's only value.
    pub fn value(&mut self, text: &str) -> String {
        let rows = self.rows(text);
        assert_eq!(rows.len(), 1, "{text}: {rows:?}");
        rows[0][0].clone()
    }

    pub fn error(&mut self, text: &str) -> (u16, String) {
        match self.query(text) {
            Answer::Error(code, message) => (code, message),
            other => panic!("{text}: {other:?}"),
        }
    }
}

pub fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_le_bytes();
    let mut out = vec![length[0], length[1], length[2], sequence];
    out.extend_from_slice(body);
    out
}

fn salt_of(greeting: &[u8]) -> Vec<u8> {
    let version_end = greeting.iter().position(|byte| *byte == 0).expect("a version");
    let head = version_end + 5;
    let tail = head + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10;
    let mut salt = greeting[head..head + 8].to_vec();
    salt.extend_from_slice(&greeting[tail..tail + 12]);
    salt
}

fn native_proof(password: &str, salt: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let stage1 = Sha1::digest(password.as_bytes());
    let stage2 = Sha1::digest(stage1);
    let mut hasher = Sha1::new();
    hasher.update(salt);
    hasher.update(stage2);
    hasher.finalize().iter().zip(stage1).map(|(a, b)| a ^ b).collect()
}

fn lenenc(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = bytes[*at];
    *at += 1;
    let width = match first {
        0xfb => return None,
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        short => return Some(u64::from(short)),
    };
    let mut value = 0;
    for shift in 0..width {
        value |= u64::from(bytes[*at + shift]) << (8 * shift);
    }
    *at += width;
    Some(value)
}

pub fn lenenc_text(bytes: &[u8], at: &mut usize) -> Option<String> {
    let length = usize::try_from(lenenc(bytes, at)?).expect("short");
    let text = String::from_utf8_lossy(&bytes[*at..*at + length]).into_owned();
    *at += length;
    Some(text)
}

/// An OK or ERR packet.
pub fn decode_simple(packet: &[u8]) -> Answer {
    match packet[0] {
        0x00 => {
            let mut at = 1;
            let affected = lenenc(packet, &mut at).expect("affected rows");
            let insert_id = lenenc(packet, &mut at).expect("insert id");
            let status = u16::from_le_bytes([packet[at], packet[at + 1]]);
            let warnings = u16::from_le_bytes([packet[at + 2], packet[at + 3]]);
            Answer::Ok(OkAnswer { affected, insert_id, status, warnings, rest: packet[at + 4..].to_vec() })
        }
        0xff => {
            let code = u16::from_le_bytes([packet[1], packet[2]]);
            let text = if packet.get(3) == Some(&b'#') { &packet[9..] } else { &packet[3..] };
            Answer::Error(code, String::from_utf8_lossy(text).into_owned())
        }
        _ => Answer::Other(packet.to_vec()),
    }
}

/// Answers of COM_QUERY for a client that wants EOF packets.
pub fn decode_all(packets: &[Vec<u8>]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut at = 0;
    while at < packets.len() {
        let first = &packets[at];
        at += 1;
        if matches!(first[0], 0x00 | 0xff) {
            answers.push(decode_simple(first));
            continue;
        }
        let count = usize::from(first[0]);
        let (mut columns, mut types) = (Vec::new(), Vec::new());
        for definition in &packets[at..at + count] {
            let mut position = 0;
            let texts: Vec<Option<String>> = (0..6).map(|_| lenenc_text(definition, &mut position)).collect();
            columns.push(texts[4].clone().expect("a name"));
            types.push(definition[position + 1 + 2 + 4]);
        }
        at += count + 1;
        let mut rows = Vec::new();
        loop {
            let packet = &packets[at];
            at += 1;
            if packet[0] == 0xfe && packet.len() < 9 {
                let status = u16::from_le_bytes([packet[3], packet[4]]);
                answers.push(Answer::Rows { columns, types, rows, status });
                break;
            }
            if packet[0] == 0xff {
                answers.push(decode_simple(packet));
                break;
            }
            let mut position = 0;
            rows.push((0..count).map(|_| lenenc_text(packet, &mut position)).collect());
        }
    }
    answers
}
