//! What can go wrong on the wire, and which MySQL error the client is told.

use std::fmt;

use aquifer_types::{ErrorKind, SqlError};

/// A failure of the protocol. All but [`WireError::Malformed`] end the connection, see
/// [`WireError::is_fatal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The login packets are not what the protocol says (1043).
    BadHandshake(&'static str),
    /// A packet is longer than allowed (1153). None of its body was kept.
    PacketTooLarge {
        /// What its header announced, in bytes, together with the parts before it.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A packet's sequence number is not the next one (1156).
    OutOfOrder {
        /// The next number.
        expected: u8,
        /// What the packet had.
        found: u8,
    },
    /// The body of a packet cannot be decoded (1835); framing is intact.
    Malformed(&'static str),
    /// A compressed packet cannot be decompressed (1157).
    Uncompress(&'static str),
    /// TLS failed.
    Tls(String),
    /// Parameter data sent ahead of an execute is longer than allowed (1105).
    LongDataTooLarge {
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// A key or certificate file cannot be read, written or used.
    Keys(String),
    /// A method was called out of its order.
    Misuse(&'static str),
}

/// What this crate's decoders return.
pub type WireResult<T> = Result<T, WireError>;

impl WireError {
    /// Whether the byte stream cannot be trusted any more: tell the client, then close.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Malformed(_) | Self::LongDataTooLarge { .. })
    }

    /// The MySQL error number.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::BadHandshake(_) | Self::Tls(_) => 1043,
            Self::PacketTooLarge { .. } => 1153,
            Self::OutOfOrder { .. } => 1156,
            Self::Malformed(_) => 1835,
            Self::Uncompress(_) => 1157,
            Self::LongDataTooLarge { .. } | Self::Keys(_) | Self::Misuse(_) => 1105,
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadHandshake(what) => write!(f, "bad handshake: {what}"),
            Self::PacketTooLarge { length, limit } => {
                write!(f, "packet of {length} bytes exceeds the limit of {limit}")
            }
            Self::OutOfOrder { expected, found } => {
                write!(f, "packet has sequence number {found} instead of {expected}")
            }
            Self::Malformed(what) => write!(f, "malformed packet: {what}"),
            Self::Uncompress(what) => write!(f, "compressed packet: {what}"),
            Self::Tls(what) => write!(f, "TLS: {what}"),
            Self::LongDataTooLarge { limit } => {
                write!(f, "parameter sent ahead is longer than {limit} bytes")
            }
            Self::Keys(what) => write!(f, "keys: {what}"),
            Self::Misuse(what) => write!(f, "protocol engine misused: {what}"),
        }
    }
}

impl std::error::Error for WireError {}

impl From<WireError> for SqlError {
    fn from(error: WireError) -> Self {
        let code = error.code();
        match error {
            WireError::BadHandshake(_) | WireError::Tls(_) => Self::new(code, "Bad handshake"),
            WireError::PacketTooLarge { .. } => {
                Self::new(code, "Got a packet bigger than 'max_allowed_packet' bytes")
            }
            WireError::OutOfOrder { .. } => Self::new(code, "Got packets out of order"),
            WireError::Malformed(_) => Self::new(code, "Malformed communication packet."),
            WireError::Uncompress(_) => Self::new(code, "Couldn't uncompress communication packet"),
            WireError::LongDataTooLarge { .. } => Self::new(
                code,
                "Parameter of prepared statement which is set through mysql_send_long_data() is \
                 longer than 'max_allowed_packet' bytes",
            ),
            WireError::Keys(_) | WireError::Misuse(_) => {
                Self::with_kind(code, ErrorKind::Bug, error.to_string())
            }
        }
    }
}
