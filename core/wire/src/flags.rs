//! The bit sets of the protocol and the numbers of its column types.
//!
//! Values and names are those of the MySQL 8.0 protocol documentation ("Capabilities Flags",
//! "SERVER_STATUS_flags_enum", "Column Definition Flags").

macro_rules! flag_set {
    ($(#[$doc:meta])* $name:ident : $int:ty { $($(#[$flag_doc:meta])* $flag:ident = $value:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self($value);)*

            /// No flag.
            #[must_use]
            pub const fn empty() -> Self {
                Self(0)
            }

            /// The set as the wire has it.
            #[must_use]
            pub const fn bits(self) -> $int {
                self.0
            }

            /// Whether every flag of `other` is set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Flags of either.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Flags of this one that `other` does not have.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                self.with(other)
            }
        }

        impl std::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl std::ops::BitAnd for $name {
            type Output = Self;

            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }
    };
}

flag_set! {
    /// What client and server can do, 32 bits.
    Capabilities: u32 {
        /// The old protocol's long passwords; always set.
        LONG_PASSWORD = 1;
        /// Affected rows counts found rows, not changed ones.
        FOUND_ROWS = 1 << 1;
        /// Two bytes of column flags.
        LONG_FLAG = 1 << 2;
        /// The login names a schema.
        CONNECT_WITH_DB = 1 << 3;
        /// `db.table.column` is refused.
        NO_SCHEMA = 1 << 4;
        /// zlib protocol compression.
        COMPRESS = 1 << 5;
        /// An ODBC client; nothing changes.
        ODBC = 1 << 6;
        /// LOAD DATA LOCAL is understood.
        LOCAL_FILES = 1 << 7;
        /// Spaces before `(` are ignored.
        IGNORE_SPACE = 1 << 8;
        /// The protocol of MySQL 4.1 and later; required.
        PROTOCOL_41 = 1 << 9;
        /// `interactive_timeout` instead of `wait_timeout`.
        INTERACTIVE = 1 << 10;
        /// The connection switches to TLS.
        SSL = 1 << 11;
        /// Old client flag; nothing changes.
        IGNORE_SIGPIPE = 1 << 12;
        /// Status flags are sent.
        TRANSACTIONS = 1 << 13;
        /// Old name for the 4.1 protocol; nothing changes.
        RESERVED = 1 << 14;
        /// Authentication answers carry their length.
        SECURE_CONNECTION = 1 << 15;
        /// One COM_QUERY may hold several statements.
        MULTI_STATEMENTS = 1 << 16;
        /// One COM_QUERY may bring several result sets.
        MULTI_RESULTS = 1 << 17;
        /// One COM_STMT_EXECUTE may bring several result sets.
        PS_MULTI_RESULTS = 1 << 18;
        /// Authentication plugins are named.
        PLUGIN_AUTH = 1 << 19;
        /// The login carries connection attributes.
        CONNECT_ATTRS = 1 << 20;
        /// The authentication answer's length is length-encoded.
        PLUGIN_AUTH_LENENC_DATA = 1 << 21;
        /// The client copes with an expired password.
        CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22;
        /// OK packets carry session state changes.
        SESSION_TRACK = 1 << 23;
        /// Result sets end with an OK packet, column definitions with nothing.
        DEPRECATE_EOF = 1 << 24;
        /// Result set metadata may be left out.
        OPTIONAL_RESULTSET_METADATA = 1 << 25;
        /// zstd protocol compression.
        ZSTD_COMPRESSION = 1 << 26;
        /// Statements carry attributes.
        QUERY_ATTRIBUTES = 1 << 27;
        /// More than one authentication factor.
        MULTI_FACTOR_AUTHENTICATION = 1 << 28;
    }
}

impl Capabilities {
    /// All that this crate implements, TLS and compression included. A server offers it or less.
    pub const ALL_SUPPORTED: Self = Self(
        Self::LONG_PASSWORD.0
            | Self::FOUND_ROWS.0
            | Self::LONG_FLAG.0
            | Self::CONNECT_WITH_DB.0
            | Self::NO_SCHEMA.0
            | Self::COMPRESS.0
            | Self::ODBC.0
            | Self::LOCAL_FILES.0
            | Self::IGNORE_SPACE.0
            | Self::PROTOCOL_41.0
            | Self::INTERACTIVE.0
            | Self::SSL.0
            | Self::IGNORE_SIGPIPE.0
            | Self::TRANSACTIONS.0
            | Self::RESERVED.0
            | Self::SECURE_CONNECTION.0
            | Self::MULTI_STATEMENTS.0
            | Self::MULTI_RESULTS.0
            | Self::PS_MULTI_RESULTS.0
            | Self::PLUGIN_AUTH.0
            | Self::CONNECT_ATTRS.0
            | Self::PLUGIN_AUTH_LENENC_DATA.0
            | Self::CAN_HANDLE_EXPIRED_PASSWORDS.0
            | Self::SESSION_TRACK.0
            | Self::DEPRECATE_EOF.0
            | Self::ZSTD_COMPRESSION.0
            | Self::QUERY_ATTRIBUTES.0,
    );
}

flag_set! {
    /// What OK and EOF packets say about the session.
    StatusFlags: u16 {
        /// A transaction is open.
        IN_TRANS = 1;
        /// `autocommit` is on.
        AUTOCOMMIT = 1 << 1;
        /// Another result follows.
        MORE_RESULTS_EXISTS = 1 << 3;
        /// The query used no good index.
        NO_GOOD_INDEX_USED = 1 << 4;
        /// The query used no index.
        NO_INDEX_USED = 1 << 5;
        /// COM_STMT_EXECUTE opened a cursor.
        CURSOR_EXISTS = 1 << 6;
        /// COM_STMT_FETCH sent the last row.
        LAST_ROW_SENT = 1 << 7;
        /// A schema was dropped.
        DB_DROPPED = 1 << 8;
        /// `NO_BACKSLASH_ESCAPES` is in `sql_mode`.
        NO_BACKSLASH_ESCAPES = 1 << 9;
        /// A statement's metadata changed since it was prepared.
        METADATA_CHANGED = 1 << 10;
        /// The statement was slower than `long_query_time`.
        QUERY_WAS_SLOW = 1 << 11;
        /// The result set holds OUT parameters.
        PS_OUT_PARAMS = 1 << 12;
        /// The open transaction is READ ONLY.
        IN_TRANS_READONLY = 1 << 13;
        /// The OK packet carries session state changes.
        SESSION_STATE_CHANGED = 1 << 14;
    }
}

flag_set! {
    /// Attributes of a column in a result set.
    ColumnFlags: u16 {
        /// Cannot be NULL.
        NOT_NULL = 1;
        /// Part of the primary key.
        PRI_KEY = 1 << 1;
        /// Part of a unique key.
        UNIQUE_KEY = 1 << 2;
        /// Part of a key with several equal values.
        MULTIPLE_KEY = 1 << 3;
        /// BLOB or TEXT.
        BLOB = 1 << 4;
        /// UNSIGNED.
        UNSIGNED = 1 << 5;
        /// ZEROFILL.
        ZEROFILL = 1 << 6;
        /// A binary string, or a `_bin` collation, or a temporal column.
        BINARY = 1 << 7;
        /// ENUM.
        ENUM = 1 << 8;
        /// AUTO_INCREMENT.
        AUTO_INCREMENT = 1 << 9;
        /// TIMESTAMP that sets itself.
        TIMESTAMP = 1 << 10;
        /// SET.
        SET = 1 << 11;
        /// Has no default.
        NO_DEFAULT_VALUE = 1 << 12;
        /// Has ON UPDATE CURRENT_TIMESTAMP.
        ON_UPDATE_NOW = 1 << 13;
        /// Part of some key.
        PART_KEY = 1 << 14;
        /// A number; clients set it for themselves, a server need not.
        NUM = 1 << 15;
    }
}

/// The type byte of a column or parameter (`enum_field_types`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ColumnType(pub u8);

#[allow(missing_docs)]
impl ColumnType {
    pub const DECIMAL: Self = Self(0x00);
    pub const TINY: Self = Self(0x01);
    pub const SHORT: Self = Self(0x02);
    pub const LONG: Self = Self(0x03);
    pub const FLOAT: Self = Self(0x04);
    pub const DOUBLE: Self = Self(0x05);
    pub const NULL: Self = Self(0x06);
    pub const TIMESTAMP: Self = Self(0x07);
    pub const LONG_LONG: Self = Self(0x08);
    pub const INT24: Self = Self(0x09);
    pub const DATE: Self = Self(0x0a);
    pub const TIME: Self = Self(0x0b);
    pub const DATETIME: Self = Self(0x0c);
    pub const YEAR: Self = Self(0x0d);
    pub const NEW_DATE: Self = Self(0x0e);
    pub const VARCHAR: Self = Self(0x0f);
    pub const BIT: Self = Self(0x10);
    pub const TIMESTAMP2: Self = Self(0x11);
    pub const DATETIME2: Self = Self(0x12);
    pub const TIME2: Self = Self(0x13);
    pub const BOOL: Self = Self(0xf4);
    pub const JSON: Self = Self(0xf5);
    pub const NEW_DECIMAL: Self = Self(0xf6);
    pub const ENUM: Self = Self(0xf7);
    pub const SET: Self = Self(0xf8);
    pub const TINY_BLOB: Self = Self(0xf9);
    pub const MEDIUM_BLOB: Self = Self(0xfa);
    pub const LONG_BLOB: Self = Self(0xfb);
    pub const BLOB: Self = Self(0xfc);
    pub const VAR_STRING: Self = Self(0xfd);
    pub const STRING: Self = Self(0xfe);
    pub const GEOMETRY: Self = Self(0xff);
}
