//! OK, EOF and ERR packets, session state tracking, and the small answers.
//!
//! Layouts: MySQL 8.0 "Protocol Basics: Generic Response Packets". All are methods of [`Channel`], which
//! knows what the client understands: callers say what happened, not how it is encoded.

use aquifer_types::SqlError;

use crate::channel::Channel;
use crate::codec::put_lenenc_bytes;
use crate::flags::{Capabilities, StatusFlags};

/// Longest error text that is sent, in bytes (MySQL's `MYSQL_ERRMSG_SIZE`).
const ERROR_TEXT_BYTES_MAX: usize = 512;

/// What every OK and EOF says: where the session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerState {
    /// Status flags; the tracking flag is set by the encoder.
    pub status: StatusFlags,
    /// Number of warnings of the statement.
    pub warnings: u16,
}

/// Session changes for clients that track them (`session_track_*`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionChanges {
    /// Names and new values of changed system variables.
    pub system_variables: Vec<(String, String)>,
    /// The new default schema; empty when there is none any more.
    pub schema: Option<String>,
    /// Whether `session_track_state_change` is on and anything changed.
    pub state_changed: bool,
    /// GTIDs of the committed transactions.
    pub gtids: Option<String>,
    /// Statements that would start a transaction like the present one.
    pub transaction_characteristics: Option<String>,
    /// Eight characters of transaction state, such as `T_______`.
    pub transaction_state: Option<String>,
}

impl SessionChanges {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in &self.system_variables {
            let mut pair = Vec::new();
            put_lenenc_bytes(&mut pair, name.as_bytes());
            put_lenenc_bytes(&mut pair, value.as_bytes());
            put_entry(&mut out, 0, &pair);
        }
        if let Some(schema) = &self.schema {
            put_entry(&mut out, 1, &lenenc(schema.as_bytes()));
        }
        if self.state_changed {
            put_entry(&mut out, 2, &lenenc(b"1"));
        }
        if let Some(gtids) = &self.gtids {
            let mut entry = vec![0];
            put_lenenc_bytes(&mut entry, gtids.as_bytes());
            put_entry(&mut out, 3, &entry);
        }
        if let Some(text) = &self.transaction_characteristics {
            put_entry(&mut out, 4, &lenenc(text.as_bytes()));
        }
        if let Some(text) = &self.transaction_state {
            put_entry(&mut out, 5, &lenenc(text.as_bytes()));
        }
        out
    }
}

fn lenenc(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 9);
    put_lenenc_bytes(&mut out, text);
    out
}

fn put_entry(out: &mut Vec<u8>, kind: u8, entry: &[u8]) {
    out.push(kind);
    put_lenenc_bytes(out, entry);
}

/// Contents of an OK packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct OkPacket<'a> {
    /// Rows changed (or found).
    pub affected_rows: u64,
    /// The first generated AUTO_INCREMENT value, or what LAST_INSERT_ID(n) set.
    pub last_insert_id: u64,
    /// Status and warnings.
    pub state: ServerState,
    /// Text such as `Records: 3  Duplicates: 0  Warnings: 0`.
    pub info: &'a str,
    /// Session changes to report; sent only to clients that track them.
    pub changes: Option<&'a SessionChanges>,
}

impl Channel {
    /// Writes an OK packet.
    pub fn write_ok(&mut self, ok: &OkPacket<'_>) {
        self.write_ok_with_header(0x00, ok);
    }

    /// Ends a result set: an OK packet with header 0xFE for clients that deprecate EOF, else EOF.
    /// `affected_rows` and `last_insert_id` of `ok` should be 0.
    pub fn write_result_end(&mut self, ok: &OkPacket<'_>) {
        if self.capabilities().contains(Capabilities::DEPRECATE_EOF) {
            self.write_ok_with_header(0xfe, ok);
        } else {
            self.write_eof(ok.state);
        }
    }

    /// Writes an EOF packet, whatever the client prefers (COM_SET_OPTION, COM_DEBUG are answered by
    /// [`Channel::write_result_end`]).
    pub fn write_eof(&mut self, state: ServerState) {
        let mut packet = self.packet();
        packet.u8(0xfe);
        packet.u16(state.warnings);
        packet.u16(state.status.bits());
        packet.finish();
    }

    fn write_ok_with_header(&mut self, header: u8, ok: &OkPacket<'_>) {
        let tracks = self.capabilities().contains(Capabilities::SESSION_TRACK);
        let changes = ok.changes.filter(|changes| tracks && !changes.is_empty());
        let mut status = ok.state.status.without(StatusFlags::SESSION_STATE_CHANGED);
        if changes.is_some() {
            status |= StatusFlags::SESSION_STATE_CHANGED;
        }
        let mut packet = self.packet();
        packet.u8(header);
        packet.lenenc(ok.affected_rows);
        packet.lenenc(ok.last_insert_id);
        packet.u16(status.bits());
        packet.u16(ok.state.warnings);
        // Length-encoded for all clients: MySQL's server does so, whatever its manual says of older ones.
        if changes.is_some() || !ok.info.is_empty() {
            packet.lenenc_bytes(ok.info.as_bytes());
        }
        if let Some(changes) = changes {
            packet.lenenc_bytes(&changes.encode());
        }
        packet.finish();
    }

    /// Writes an ERR packet. Before the login packet was read it has no SQLSTATE, as MySQL does it.
    pub fn write_error(&mut self, error: &SqlError) {
        let has_state = self.capabilities().contains(Capabilities::PROTOCOL_41);
        let text = truncated(error.message(), ERROR_TEXT_BYTES_MAX);
        let mut packet = self.packet();
        packet.u8(0xff);
        packet.u16(error.code());
        if has_state {
            packet.u8(b'#');
            packet.bytes(error.state().as_bytes());
        }
        packet.bytes(text.as_bytes());
        packet.finish();
    }

    /// Writes a packet that is nothing but text (COM_STATISTICS).
    pub fn write_text(&mut self, text: &str) {
        let mut packet = self.packet();
        packet.bytes(text.as_bytes());
        packet.finish();
    }

    /// Asks the client for the contents of one of its files (LOAD DATA LOCAL). Its packets then come
    /// through [`Channel::next_packet`]; an empty one is the end.
    pub fn write_local_infile(&mut self, file_name: &str) {
        let mut packet = self.packet();
        packet.u8(0xfb);
        packet.bytes(file_name.as_bytes());
        packet.finish();
    }
}

/// At most `bytes_max` bytes of `text`, cut between characters.
fn truncated(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
