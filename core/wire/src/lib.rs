//! The server's side of the MySQL client/server protocol: bytes in, bytes out.
//!
//! # Where to start
//!
//! * [`Channel`]: the byte layers of one connection. `feed` it what the socket brings, send what
//!   `take_output` gives.
//! * [`Handshake`]: greeting, TLS, login; ends in `Accepted` or `Denied`.
//! * [`Command::parse`]: what a packet asks for; [`StatementParams::decode`]: the parameters of an
//!   execution.
//! * `Channel::write_ok`, `write_error`, `write_columns`, `text_row`, `binary_row`,
//!   `write_result_end`, …: the answers.
//!
//! # Invariants
//!
//! * No input panics, or makes the framing lose its place: after an error that is not
//!   [`WireError::is_fatal`] the next packet is a packet.
//! * Nobody is `Accepted` without a proof of the stored credential.
//! * What is buffered for a connection is bounded by its packet limit, and nothing is when it is idle.
//!
//! What this crate deliberately does not know: sockets, threads, timers (callers bring them), accounts
//! and SQL (the session does), files (but for [`key_files`]).

pub mod auth;
mod channel;
pub mod codec;
mod command;
mod compress;
mod error;
pub mod flags;
mod frame;
mod handshake;
pub mod key_files;
mod keys;
mod packet;
mod params;
pub mod random;
mod response;
pub mod resultset;
mod tls;

pub use auth::{AuthCache, AuthPlugin, CheckedPassword, Credential, PasswordCheck, Salt};
pub use channel::{Channel, LOGIN_PACKET_BYTES_MAX, OutputMark};
pub use command::{Command, MultiStatements};
pub use compress::Algorithm;
pub use error::{WireError, WireResult};
pub use flags::{Capabilities, ColumnFlags, ColumnType, StatusFlags};
pub use handshake::{ChangeUser, Denial, DenyReason, Handshake, HandshakeSettings, Login, Step, Transport};
pub use keys::ServerKeys;
pub use packet::PacketWriter;
pub use params::{ExecuteParams, Param, ParamType, StatementParams, StmtExecute};
pub use response::{OkPacket, ServerState, SessionChanges};
pub use resultset::{BinaryRow, ColumnDef, ColumnsBlock, ResultCharset, TextRow, TypeMeta};
