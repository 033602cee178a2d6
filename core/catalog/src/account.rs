//! Accounts and what they may do.

/// A set of privileges as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges(pub u64);

/// Names of the privileges in the order of their bits, as SHOW GRANTS prints them.
pub const PRIVILEGE_NAMES: [&str; 32] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "RELOAD",
    "SHUTDOWN",
    "PROCESS",
    "FILE",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "SHOW DATABASES",
    "SUPER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "EXECUTE",
    "REPLICATION SLAVE",
    "REPLICATION CLIENT",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "CREATE USER",
    "EVENT",
    "TRIGGER",
    "CREATE TABLESPACE",
    "CREATE ROLE",
    "DROP ROLE",
    "SYSTEM_VARIABLES_ADMIN",
    "CONNECTION_ADMIN",
];

impl Privileges {
    /// No privilege (USAGE).
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << PRIVILEGE_NAMES.len()) - 1);
    /// Those that can be given on a database.
    pub const ALL_ON_DATABASE: Self = Self(
        0b11_1111
            | 1 << 10
            | 1 << 11
            | 1 << 12
            | 1 << 15
            | 1 << 16
            | 1 << 17
            | 1 << 20
            | 1 << 21
            | 1 << 22
            | 1 << 23
            | 1 << 25
            | 1 << 26,
    );

    /// The privilege of a name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("USAGE") {
            return Some(Self::NONE);
        }
        PRIVILEGE_NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|bit| Self(1 << bit))
    }

    /// Whether all of `other` are in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set less the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Names of the members, in order of bits.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        PRIVILEGE_NAMES
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| *name)
    }
}

/// Privileges on one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseGrant {
    /// Name of the database; `%` and `_` are wildcards.
    pub database: String,
    /// What is granted.
    pub privileges: Privileges,
    /// WITH GRANT OPTION.
    pub grant_option: bool,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User name; empty is the anonymous user.
    pub user: String,
    /// Host pattern.
    pub host: String,
    /// Authentication plugin.
    pub plugin: String,
    /// What the plugin verifies against (`authentication_string`).
    pub credential: Vec<u8>,
    /// ACCOUNT LOCK.
    pub locked: bool,
    /// PASSWORD EXPIRE.
    pub expired: bool,
    /// Privileges on `*.*`.
    pub global: Privileges,
    /// GRANT OPTION on `*.*`.
    pub grant_option: bool,
    /// Privileges on databases.
    pub databases: Vec<DatabaseGrant>,
}

impl Account {
    /// An account without privileges.
    #[must_use]
    pub fn new(user: &str, host: &str, plugin: &str, credential: Vec<u8>) -> Self {
        Self {
            user: user.to_owned(),
            host: host.to_owned(),
            plugin: plugin.to_owned(),
            credential,
            locked: false,
            expired: false,
            global: Privileges::NONE,
            grant_option: false,
            databases: Vec::new(),
        }
    }
}
