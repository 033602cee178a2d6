//! GRANT and REVOKE of privileges.

use aquifer_catalog::{Account, DatabaseGrant, Privileges};
use aquifer_sql::VirtualTables;
use aquifer_sql::ast::{Grant, GrantTarget};
use aquifer_sql::virtual_tables::{self, InformationSchema};
use aquifer_types::{SqlError, SqlResult};

use crate::access;
use crate::accounts::{change, shown};
use crate::session::Session;
use crate::state::Identity;

/// On what privileges are given, with names in full.
enum Level {
    Global,
    Database(String),
    Table(String, String),
}

/// What is given or taken.
struct Asked {
    privileges: Privileges,
    columns: Vec<(String, Privileges)>,
    option: bool,
}

impl Level {
    /// What can be given here.
    fn grantable(&self) -> Privileges {
        match self {
            Self::Global => Privileges::ALL,
            Self::Database(_) => Privileges::ALL_ON_DATABASE,
            Self::Table(..) => Privileges::ALL_ON_TABLE,
        }
    }

    /// Error for what cannot.
    fn refuse(&self) -> SqlError {
        match self {
            Self::Table(..) => illegal_grant(),
            _ => SqlError::new(1221, "Incorrect usage of DB GRANT and GLOBAL PRIVILEGES"),
        }
    }

    fn asked(&self, grant: &Grant) -> SqlResult<Asked> {
        let mut asked =
            Asked { privileges: Privileges::NONE, columns: Vec::new(), option: grant.grant_option };
        for named in &grant.privileges {
            let name = named.name.trim();
            if name == "ALL" {
                asked.privileges = asked.privileges.with(self.grantable());
            } else if let Some(privilege) = Privileges::named(name) {
                if named.columns.is_empty() {
                    asked.privileges = asked.privileges.with(privilege);
                }
                asked.columns.extend(named.columns.iter().map(|column| (column.clone(), privilege)));
            } else if is_dynamic(name) {
                if !matches!(self, Self::Global) {
                    let text = format!("Illegal privilege level specified for {name}");
                    return Err(SqlError::new(3619, text));
                }
            } else {
                return Err(SqlError::not_supported(&format!("the privilege {name}")));
            }
        }
        if !matches!(self, Self::Table(..)) && !asked.columns.is_empty() {
            return Err(illegal_grant());
        }
        if self.grantable().contains(asked.privileges) { Ok(asked) } else { Err(self.refuse()) }
    }

    /// Takes or gives.
    fn apply(&self, account: &mut Account, asked: &Asked, revoke: bool) -> SqlResult<()> {
        match (self, revoke) {
            (Self::Global, true) => {
                account.global = account.global.without(asked.privileges);
                account.grant_option &= !asked.option;
            }
            (Self::Global, false) => {
                account.global = account.global.with(asked.privileges);
                account.grant_option |= asked.option;
            }
            (Self::Database(name), true) => revoke_on_database(account, name, asked)?,
            (Self::Database(name), false) => grant_on_database(account, name, asked),
            (Self::Table(database, table), true) => revoke_on_table(account, database, table, asked)?,
            (Self::Table(database, table), false) => {
                let grant = account.table_grant_mut(database, table);
                grant.privileges = grant.privileges.with(asked.privileges);
                grant.grant_option |= asked.option;
                for (column, privileges) in &asked.columns {
                    grant.add_column(column, *privileges);
                }
            }
        }
        account.tables.retain(|grant| !grant.is_empty());
        Ok(())
    }
}

fn grant_on_database(account: &mut Account, name: &str, asked: &Asked) {
    match account.databases.iter_mut().find(|known| known.database == name) {
        Some(known) => {
            known.privileges = known.privileges.with(asked.privileges);
            known.grant_option |= asked.option;
        }
        None => account.databases.push(DatabaseGrant {
            database: name.to_owned(),
            privileges: asked.privileges,
            grant_option: asked.option,
        }),
    }
    account.databases.retain(|known| !known.privileges.is_empty() || known.grant_option);
}

fn revoke_on_database(account: &mut Account, name: &str, asked: &Asked) -> SqlResult<()> {
    let Some(known) = account.databases.iter_mut().find(|known| known.database == name) else {
        return Err(no_grant(&account.user, &account.host));
    };
    known.privileges = known.privileges.without(asked.privileges);
    known.grant_option &= !asked.option;
    account.databases.retain(|known| !known.privileges.is_empty() || known.grant_option);
    Ok(())
}

/// What is taken from a table is taken from its columns too.
fn revoke_on_table(account: &mut Account, database: &str, table: &str, asked: &Asked) -> SqlResult<()> {
    let missing = || {
        let (user, host) = (&account.user, &account.host);
        let text =
            format!("There is no such grant defined for user '{user}' on host '{host}' on table '{table}'");
        SqlError::new(1147, text)
    };
    let known = account.table_grant(database, table).ok_or_else(missing)?;
    if asked.columns.iter().any(|(column, _)| known.on_column(column).is_empty()) {
        return Err(missing());
    }
    let grant = account.table_grant_mut(database, table);
    grant.privileges = grant.privileges.without(asked.privileges);
    grant.grant_option &= !asked.option;
    grant.remove_columns(None, asked.privileges);
    for (column, privileges) in &asked.columns {
        grant.remove_columns(Some(column), *privileges);
    }
    Ok(())
}

/// Error 1144.
fn illegal_grant() -> SqlError {
    let text = "Illegal GRANT/REVOKE command; please consult the manual to see which privileges can be used";
    SqlError::new(1144, text)
}

/// Error 1141.
pub(crate) fn no_grant(user: &str, host: &str) -> SqlError {
    SqlError::new(1141, format!("There is no such grant defined for user '{user}' on host '{host}'"))
}

/// Dynamic privileges of MySQL 8.0 that tools grant and that guard nothing here.
fn is_dynamic(name: &str) -> bool {
    const KNOWN: [&str; 11] = [
        "APPLICATION_PASSWORD_ADMIN",
        "BACKUP_ADMIN",
        "BINLOG_ADMIN",
        "FLUSH_TABLES",
        "PERSIST_RO_VARIABLES_ADMIN",
        "REPLICATION_APPLIER",
        "REPLICATION_SLAVE_ADMIN",
        "SESSION_VARIABLES_ADMIN",
        "SHOW_ROUTINE",
        "SYSTEM_USER",
        "XA_RECOVER_ADMIN",
    ];
    KNOWN.contains(&name)
}

impl Session {
    /// GRANT and REVOKE of privileges.
    ///
    /// # Errors
    /// 1410, 1141, 1147, 1144, 1221, 1146, 1054; 1044, 1045 and 1142 for who has not got what he gives; 1235 for
    /// routines.
    pub(crate) async fn run_grant(&mut self, grant: &Grant) -> SqlResult<()> {
        let level = match &grant.target {
            GrantTarget::Everything => return self.revoke_everything(grant).await,
            GrantTarget::Routine => return Err(SqlError::not_supported("privileges on routines")),
            GrantTarget::Global => Level::Global,
            GrantTarget::Database(name) => Level::Database(self.database_to_grant(name.as_deref())?),
            GrantTarget::Table(name) => {
                Level::Table(self.database_to_grant(name.schema.as_deref())?, name.name.clone())
            }
        };
        let asked = level.asked(grant)?;
        self.may_grant(&level, &asked)?;
        if let (Level::Table(database, table), false) = (&level, grant.revoke) {
            self.check_granted_table(database, table, &asked)?;
        }
        let catalog = self.host.node.catalog();
        let mut changed: Vec<Account> = Vec::new();
        for (name, options) in &grant.accounts {
            let (user, host) = self.full_name(name);
            let Some(account) = self.account_named(&catalog, name) else {
                if !grant.revoke {
                    return Err(SqlError::new(1410, "You are not allowed to create a user with GRANT"));
                }
                self.tolerate(grant.ignore_unknown, no_grant(&user, &host))?;
                continue;
            };
            let mut account = Account::clone(&account);
            change(&mut account, options)?;
            match level.apply(&mut account, &asked, grant.revoke) {
                Ok(()) => changed.push(account),
                Err(error) => self.tolerate(grant.if_exists, error)?,
            }
        }
        if let Level::Table(database, table) = &level {
            changed.iter_mut().for_each(|account| self.sign(account, database, table));
        }
        self.put_accounts(&catalog, changed).await
    }

    /// Makes an error a warning under IF EXISTS or IGNORE UNKNOWN USER.
    pub(crate) fn tolerate(&mut self, tolerated: bool, error: SqlError) -> SqlResult<()> {
        if !tolerated {
            return Err(error);
        }
        self.state.warnings.warn(error.code(), error.message().to_owned());
        Ok(())
    }

    /// Notes who changed a grant on a table, and when.
    fn sign(&self, account: &mut Account, database: &str, table: &str) {
        if account.table_grant(database, table).is_none() {
            return;
        }
        let grant = account.table_grant_mut(database, table);
        if let Some(identity) = &self.state.identity {
            grant.grantor = format!("{}@{}", identity.account.user, identity.host);
        }
        grant.changed_unix_s = self.host.node.now_micros() / 1_000_000;
    }

    /// REVOKE ALL PRIVILEGES, GRANT OPTION: all but roles.
    async fn revoke_everything(&mut self, grant: &Grant) -> SqlResult<()> {
        self.need_global("CREATE USER", "CREATE USER")?;
        let catalog = self.host.node.catalog();
        let mut changed = Vec::new();
        for (name, _) in &grant.accounts {
            let Some(account) = self.account_named(&catalog, name) else {
                let text = "Can't revoke all privileges for one or more of the requested users";
                let (user, host) = self.full_name(name);
                let tolerated = grant.if_exists || grant.ignore_unknown;
                let error = if tolerated {
                    SqlError::new(3162, format!("Authorization ID {} does not exist.", shown(&user, &host)))
                } else {
                    SqlError::new(1269, text)
                };
                self.tolerate(tolerated, error)?;
                continue;
            };
            changed.push(Account {
                global: Privileges::NONE,
                grant_option: false,
                databases: Vec::new(),
                tables: Vec::new(),
                ..Account::clone(&account)
            });
        }
        self.put_accounts(&catalog, changed).await
    }

    /// The database that a grant names, or the current one.
    fn database_to_grant(&self, name: Option<&str>) -> SqlResult<String> {
        let name = name.or(self.state.database());
        let name = name.ok_or_else(|| SqlError::new(1046, "No database selected"))?;
        match (virtual_tables::schema_name(name), &self.state.identity) {
            (Some("information_schema"), Some(identity)) => {
                Err(access::no_database(identity, "information_schema"))
            }
            (Some(known), _) => Ok(known.to_owned()),
            (None, _) => Ok(name.to_owned()),
        }
    }

    /// A table must exist unless the right to make it is given; columns must.
    fn check_granted_table(&self, database: &str, table: &str, asked: &Asked) -> SqlResult<()> {
        let view = self.facts_view();
        let own = InformationSchema::new(&view).table(database, table);
        let catalog = self.host.node.catalog();
        let stored = catalog.stored_table(database, table);
        if own.is_none() && stored.is_none() {
            if asked.columns.is_empty() && asked.privileges.contains(access::privilege("CREATE")) {
                return Ok(());
            }
            return Err(SqlError::new(1146, format!("Table '{database}.{table}' doesn't exist")));
        }
        let is_known = |name: &str| match (stored, &own) {
            (Some(table), _) => table.column_position(name).is_some(),
            (None, own) => own
                .iter()
                .flat_map(|own| own.columns.iter())
                .any(|column| column.name.eq_ignore_ascii_case(name)),
        };
        match asked.columns.iter().find(|(name, _)| !is_known(name)) {
            None => Ok(()),
            Some((name, _)) => Err(SqlError::new(1054, format!("Unknown column '{name}' in '{table}'"))),
        }
    }

    /// Nobody gives what he has not got.
    fn may_grant(&self, level: &Level, asked: &Asked) -> SqlResult<()> {
        let Some(identity) = &self.state.identity else { return Ok(()) };
        let rights = &identity.rights;
        let (has, option) = match level {
            Level::Global => (rights.global, rights.grant_option),
            Level::Database(name) => (rights.on_database(name), rights.may_grant_on_database(name)),
            Level::Table(database, table) => return may_grant_on_table(identity, database, table, asked),
        };
        if has.contains(asked.privileges) && option {
            return Ok(());
        }
        let (user, host) = (&identity.account.user, &identity.account.host);
        Err(match level {
            Level::Database(name) => access::no_database(identity, name),
            _ => {
                SqlError::new(1045, format!("Access denied for user '{user}'@'{host}' (using password: YES)"))
            }
        })
    }
}

/// A right on a column may be passed on by who has it there.
fn may_grant_on_table(identity: &Identity, database: &str, table: &str, asked: &Asked) -> SqlResult<()> {
    let rights = &identity.rights;
    let mut lacks = asked.privileges.without(rights.on_table(database, table));
    for (column, privilege) in &asked.columns {
        lacks = lacks.with(privilege.without(rights.on_column(database, table, column)));
    }
    let option = rights.may_grant_on_table(database, table);
    if lacks.is_empty() && option {
        return Ok(());
    }
    let mut names: Vec<&str> = lacks.names().collect();
    if !option {
        // GRANT OPTION has its place among the others (MySQL 8.0 Reference Manual, 6.2.2).
        let after = ["REFERENCES", "INDEX", "ALTER", "CREATE VIEW", "SHOW VIEW", "TRIGGER"];
        let place = names.iter().position(|name| after.contains(name)).unwrap_or(names.len());
        names.insert(place, "GRANT");
    }
    Err(access::no_table(identity, &names.join(", "), table))
}
