//! What an account may do, with the roles that are active, worked out once so that a statement only looks it up.
//!
//! Rights add up: what is granted on everything holds in every database, what is granted on a database holds on its
//! tables, what is granted on a table holds on its columns (MySQL 8.0 Reference Manual, 6.2.2). Names of databases
//! in grants on databases are patterns; those in grants on tables are not.

use crate::account::{Account, DatabaseGrant, Privileges, TableGrant};

/// Rights of an account and its active roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// On everything.
    pub global: Privileges,
    /// GRANT OPTION on everything.
    pub grant_option: bool,
    databases: Vec<DatabaseGrant>,
    /// By database and table.
    tables: Vec<TableGrant>,
}

impl Rights {
    /// What is granted to an account itself.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        Self {
            global: account.global,
            grant_option: account.grant_option,
            databases: account.databases.clone(),
            tables: account.tables.clone(),
        }
    }

    /// Adds what is granted to a role.
    pub fn add(&mut self, role: &Account) {
        self.global = self.global.with(role.global);
        self.grant_option |= role.grant_option;
        for grant in &role.databases {
            match self.databases.iter_mut().find(|known| known.database == grant.database) {
                Some(known) => {
                    known.privileges = known.privileges.with(grant.privileges);
                    known.grant_option |= grant.grant_option;
                }
                None => self.databases.push(grant.clone()),
            }
        }
        for grant in &role.tables {
            match self.tables.binary_search_by(|known| known.order(&grant.database, &grant.table)) {
                Ok(place) => add_table(&mut self.tables[place], grant),
                Err(place) => self.tables.insert(place, grant.clone()),
            }
        }
    }

    /// What is granted on databases, by their patterns.
    #[must_use]
    pub fn databases(&self) -> &[DatabaseGrant] {
        &self.databases
    }

    /// What is granted on tables and columns.
    #[must_use]
    pub fn tables(&self) -> &[TableGrant] {
        &self.tables
    }

    /// What may be done in a database, and so with all its tables.
    #[must_use]
    pub fn on_database(&self, database: &str) -> Privileges {
        let granted = self.databases.iter().filter(|grant| like(&grant.database, database));
        granted.fold(self.global, |all, grant| all.with(grant.privileges))
    }

    /// What is granted on a table itself and on its columns.
    #[must_use]
    pub fn table(&self, database: &str, table: &str) -> Option<&TableGrant> {
        let place = self.tables.binary_search_by(|grant| grant.order(database, table)).ok()?;
        self.tables.get(place)
    }

    /// What may be done with a table, and so with all its columns.
    #[must_use]
    pub fn on_table(&self, database: &str, table: &str) -> Privileges {
        let own = self.table(database, table).map_or(Privileges::NONE, |grant| grant.privileges);
        self.on_database(database).with(own)
    }

    /// What may be done with a column.
    #[must_use]
    pub fn on_column(&self, database: &str, table: &str, column: &str) -> Privileges {
        let own = self.table(database, table).map_or(Privileges::NONE, |grant| grant.on_column(column));
        self.on_table(database, table).with(own)
    }

    /// What may be done with at least one column of a table.
    #[must_use]
    pub fn on_any_column(&self, database: &str, table: &str) -> Privileges {
        let own = self.table(database, table).map_or(Privileges::NONE, TableGrant::on_any_column);
        self.on_table(database, table).with(own)
    }

    /// Whether rights on a database may be passed on.
    #[must_use]
    pub fn may_grant_on_database(&self, database: &str) -> bool {
        self.grant_option
            || self.databases.iter().any(|grant| grant.grant_option && like(&grant.database, database))
    }

    /// Whether rights on a table may be passed on.
    #[must_use]
    pub fn may_grant_on_table(&self, database: &str, table: &str) -> bool {
        self.may_grant_on_database(database)
            || self.table(database, table).is_some_and(|grant| grant.grant_option)
    }

    /// Whether there is any right on a database or on something in it.
    #[must_use]
    pub fn has_any_in_database(&self, database: &str) -> bool {
        !self.on_database(database).common(Privileges::ALL_ON_DATABASE).is_empty()
            || self.may_grant_on_database(database)
            || self.tables.iter().any(|grant| grant.database == database)
    }

    /// Whether there is any right on a table or on a column of it.
    #[must_use]
    pub fn has_any_on_table(&self, database: &str, table: &str) -> bool {
        !self.on_database(database).common(Privileges::ALL_ON_TABLE).is_empty()
            || self.table(database, table).is_some()
    }
}

fn add_table(known: &mut TableGrant, more: &TableGrant) {
    known.privileges = known.privileges.with(more.privileges);
    known.grant_option |= more.grant_option;
    for grant in &more.columns {
        known.add_column(&grant.column, grant.privileges);
    }
}

/// LIKE with `%`, `_` and `\`, on bytes.
#[must_use]
pub fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let (literal, width) = match pattern.get(p) {
            Some(b'\\') if p + 1 < pattern.len() => (Some(pattern[p + 1]), 2),
            Some(b'%') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'_') => (Some(text[t]), 1),
            Some(byte) => (Some(*byte), 1),
            None => (None, 0),
        };
        if literal == Some(text[t]) {
            p += width;
            t += 1;
        } else if let Some((after, from)) = retry {
            p = after;
            t = from + 1;
            retry = Some((after, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'%')
}
