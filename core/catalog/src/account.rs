//! Accounts and what they may do.

use std::cmp::Ordering;

use crate::model::folded_equal;

/// A set of privileges as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges(pub u64);

/// Names of the privileges in the order of their bits, as SHOW GRANTS prints them.
pub const PRIVILEGE_NAMES: [&str; 34] = [
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
    "ROLE_ADMIN",
    "SET_USER_ID",
];

impl Privileges {
    /// No privilege (USAGE).
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << PRIVILEGE_NAMES.len()) - 1);
    /// Those that there were when the first accounts were written: who has them is shown as having all.
    pub const ALL_AT_FIRST: Self = Self((1 << 32) - 1);
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
    /// Those that can be given on a table.
    pub const ALL_ON_TABLE: Self =
        Self(0b11_1111 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 20 | 1 << 21 | 1 << 26);
    /// Those that can be given on a column: SELECT, INSERT, UPDATE, REFERENCES.
    pub const ALL_ON_COLUMN: Self = Self(0b111 | 1 << 10);

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

    /// What is in both sets.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether at least one of `other` is in this set.
    #[must_use]
    pub const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is in this set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
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

/// Privileges on one column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnGrant {
    /// Name of the column, in any case.
    pub column: String,
    /// What is granted, out of [`Privileges::ALL_ON_COLUMN`].
    pub privileges: Privileges,
}

/// Privileges on one table and on its columns. They stay when the table is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableGrant {
    /// Name of the database, literally.
    pub database: String,
    /// Name of the table or view.
    pub table: String,
    /// What is granted on the whole table.
    pub privileges: Privileges,
    /// WITH GRANT OPTION.
    pub grant_option: bool,
    /// What is granted on columns, by name.
    pub columns: Vec<ColumnGrant>,
    /// Who granted last, as `user@host`.
    pub grantor: String,
    /// When, in seconds since 1970.
    pub changed_unix_s: i64,
}

impl TableGrant {
    /// A grant of nothing.
    #[must_use]
    pub fn new(database: &str, table: &str) -> Self {
        Self {
            database: database.to_owned(),
            table: table.to_owned(),
            privileges: Privileges::NONE,
            grant_option: false,
            columns: Vec::new(),
            grantor: String::new(),
            changed_unix_s: 0,
        }
    }

    /// How the table that it is about stands to another one.
    pub(crate) fn order(&self, database: &str, table: &str) -> Ordering {
        (&*self.database, &*self.table).cmp(&(database, table))
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.privileges.is_empty() && !self.grant_option && self.columns.is_empty()
    }

    /// What is granted on a column alone.
    #[must_use]
    pub fn on_column(&self, name: &str) -> Privileges {
        let found = self.columns.iter().find(|grant| same_column(&grant.column, name));
        found.map_or(Privileges::NONE, |grant| grant.privileges)
    }

    /// What is granted on at least one column.
    #[must_use]
    pub fn on_any_column(&self) -> Privileges {
        self.columns.iter().fold(Privileges::NONE, |all, grant| all.with(grant.privileges))
    }

    /// Grants privileges on a column too.
    pub fn add_column(&mut self, name: &str, privileges: Privileges) {
        match self.columns.iter_mut().find(|grant| same_column(&grant.column, name)) {
            Some(grant) => grant.privileges = grant.privileges.with(privileges),
            None => {
                self.columns.push(ColumnGrant { column: name.to_owned(), privileges });
                self.columns.sort_by_key(|grant| grant.column.to_lowercase());
            }
        }
    }

    /// Takes privileges on columns away: on one, or on all.
    pub fn remove_columns(&mut self, name: Option<&str>, privileges: Privileges) {
        for grant in &mut self.columns {
            if name.is_none_or(|name| same_column(&grant.column, name)) {
                grant.privileges = grant.privileges.without(privileges);
            }
        }
        self.columns.retain(|grant| !grant.privileges.is_empty());
    }
}

/// Column names are compared without case.
fn same_column(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || folded_equal(a, b)
}

/// Name of an account or role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    /// User name.
    pub user: String,
    /// Host pattern.
    pub host: String,
}

/// A role that an account has. Any account can be a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleGrant {
    /// Which.
    pub role: AccountId,
    /// WITH ADMIN OPTION.
    pub admin_option: bool,
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
    /// Privileges on tables and their columns, by database and table.
    pub tables: Vec<TableGrant>,
    /// Roles that it has, by user and host.
    pub roles: Vec<RoleGrant>,
    /// Those of them that are active after a login.
    pub default_roles: Vec<AccountId>,
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
            tables: Vec::new(),
            roles: Vec::new(),
            default_roles: Vec::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> AccountId {
        AccountId { user: self.user.clone(), host: self.host.clone() }
    }

    /// What is granted on a table, and on its columns.
    #[must_use]
    pub fn table_grant(&self, database: &str, table: &str) -> Option<&TableGrant> {
        let place = self.tables.binary_search_by(|grant| grant.order(database, table)).ok()?;
        Some(&self.tables[place])
    }

    /// As [`Account::table_grant`], to be changed; made when there is none.
    pub fn table_grant_mut(&mut self, database: &str, table: &str) -> &mut TableGrant {
        let place = self.tables.binary_search_by(|grant| grant.order(database, table));
        let place = place.unwrap_or_else(|place| {
            self.tables.insert(place, TableGrant::new(database, table));
            place
        });
        &mut self.tables[place]
    }
}
