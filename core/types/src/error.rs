//! Errors that reach a client: MySQL number, SQLSTATE and text, and the kind that tells the node what
//! to do about them.

use std::fmt;

/// What the node, not the client, does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Bad input: the statement fails, the session goes on.
    Invalid,
    /// Lost against another transaction: deadlock, lock wait timeout, duplicate key.
    Conflict,
    /// Another writer owns the branch: stop serving.
    Fenced,
    /// Not now: the store is away, a limit is reached. Trying again may help.
    Unavailable,
    /// Bytes at rest failed their checksum: an error, never a row.
    Corrupt,
    /// The statement was killed or the session is closing.
    Interrupted,
    /// A broken invariant.
    Bug,
}

/// An error as MySQL tells it to its client.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: u16,
    state: [u8; 5],
    kind: ErrorKind,
    message: String,
}

/// What a statement's parts return.
pub type SqlResult<T> = Result<T, SqlError>;

impl SqlError {
    /// An error of kind [`ErrorKind::Invalid`] with a MySQL number; the SQLSTATE comes from
    /// [`sql_state`].
    #[must_use]
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self::with_kind(code, kind_of(code), message)
    }

    /// An error with its kind given.
    #[must_use]
    pub fn with_kind(code: u16, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, state: *sql_state(code), kind, message: message.into() }))
    }

    /// Error 1235: a statement or feature that Aquifer does not have.
    #[must_use]
    pub fn not_supported(what: &str) -> Self {
        Self::new(1235, format!("This version of Aquifer doesn't yet support '{what}'"))
    }

    /// Stored bytes that cannot be what they should be.
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::with_kind(1034, ErrorKind::Corrupt, what)
    }

    /// A broken invariant.
    #[must_use]
    pub fn bug(what: impl Into<String>) -> Self {
        Self::with_kind(1105, ErrorKind::Bug, what)
    }

    /// The MySQL error number.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// The five characters of the SQLSTATE.
    #[must_use]
    pub fn state(&self) -> &str {
        std::str::from_utf8(&self.0.state).unwrap_or("HY000")
    }

    /// What the node does about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The text for the client.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Debug for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERROR {} ({}): {}", self.code(), self.state(), self.message())
    }
}

impl std::error::Error for SqlError {}

/// The kind that a MySQL number implies.
fn kind_of(code: u16) -> ErrorKind {
    match code {
        1205 | 1213 | 1062 | 1451 | 1452 | 3572 => ErrorKind::Conflict,
        1317 | 3024 => ErrorKind::Interrupted,
        1040 | 1290 | 1836 => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

/// The SQLSTATE that MySQL 8.0 gives with an error number (MySQL 8.0 Error Message Reference).
#[must_use]
pub fn sql_state(code: u16) -> &'static [u8; 5] {
    match code {
        1022 | 1048 | 1052 | 1062 | 1169 | 1216 | 1217 | 1451 | 1452 | 1557 | 1761 | 1762 => b"23000",
        1037 | 1038 => b"HY001",
        1040 | 1042 | 1043 | 1047 | 1053 | 1080..=1081 | 1152..=1161 | 1184 | 1189 | 1190 | 1218 => b"08S01",
        1044 | 1049 | 1102 | 1142 | 1143 | 1227 | 1370 => b"42000",
        1045 | 1698 => b"28000",
        1046 => b"3D000",
        1050 => b"42S01",
        1051 | 1109 | 1146 => b"42S02",
        1054 | 1247 => b"42S22",
        1055
        | 1056
        | 1057
        | 1059
        | 1061
        | 1063..=1075
        | 1083
        | 1084
        | 1090
        | 1091
        | 1101
        | 1103
        | 1104
        | 1106
        | 1107
        | 1110
        | 1112
        | 1113
        | 1115
        | 1118
        | 1120
        | 1121
        | 1131..=1133
        | 1138
        | 1139
        | 1140
        | 1141
        | 1144..=1145
        | 1147..=1149
        | 1162..=1167
        | 1170..=1173
        | 1176..=1178
        | 1203
        | 1211
        | 1221
        | 1226
        | 1230..=1232
        | 1234..=1235
        | 1239
        | 1248..=1250
        | 1252..=1253
        | 1280..=1281
        | 1286
        | 1304
        | 1305
        | 1318
        | 1461
        | 1463
        | 1582
        | 1583
        | 3065 => b"42000",
        1058 | 1136 => b"21S01",
        1060 => b"42S21",
        1082 => b"42S12",
        1179 => b"25000",
        1205 => b"HY000",
        1207 => b"25000",
        1213 => b"40001",
        1397 => b"XAE04",
        1398 => b"XAE05",
        1399 => b"XAE07",
        1400 => b"XAE09",
        1401 => b"XAE03",
        1402 => b"XA100",
        1440 => b"XAE08",
        1613 => b"XA106",
        1614 => b"XA102",
        1222 => b"21000",
        1241 | 1242 => b"21000",
        1258 | 1260 => b"HY000",
        1264 | 1416 | 1690 => b"22003",
        1265 => b"01000",
        1292 | 1366 | 1411 => b"22007",
        1317 => b"70100",
        1329 => b"02000",
        1365 => b"22012",
        1406 => b"22001",
        1568 => b"25001",
        1792 => b"25006",
        3143 | 3148 | 3149 | 3152..=3154 | 3165 => b"42000",
        3140..=3151 | 3157 | 3158 => b"22032",
        3155 => b"22003",
        3966 => b"22035",
        3967 => b"22034",
        3819 => b"HY000",
        _ => b"HY000",
    }
}
