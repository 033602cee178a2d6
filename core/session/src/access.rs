//! Who may come in, and what an account may do.

use std::sync::Arc;

use aquifer_catalog::rights::like;
use aquifer_catalog::{Account, Catalog, Privileges, Rights};
use aquifer_types::{SqlError, SqlResult};

use crate::output::PeerInfo;
use crate::state::Identity;

/// A privilege by its name as `catalog` knows it; unknown names give none.
pub(crate) fn privilege(name: &str) -> Privileges {
    Privileges::named(name).unwrap_or(Privileges::NONE)
}

/// The administrator that a database without accounts has: no password, from this machine only.
pub(crate) fn first_root() -> Account {
    let mut root = Account::new("root", "localhost", "caching_sha2_password", Vec::new());
    root.global = Privileges::ALL;
    root.grant_option = true;
    root
}

/// The account that a client gets, by MySQL's order: the most specific host first, then a named user
/// before the anonymous one (MySQL 8.0 Reference Manual, 6.2.6).
pub(crate) fn find_account(catalog: &Catalog, user: &str, peer: &PeerInfo) -> Option<Arc<Account>> {
    let mut hosts = vec![peer.host()];
    if peer.is_local() {
        hosts.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    }
    let mut any = false;
    let mut best: Option<(&Arc<Account>, (usize, bool))> = None;
    for account in catalog.accounts() {
        any = true;
        let named = account.user == user;
        if !(named || account.user.is_empty()) || !hosts.iter().any(|host| host_matches(&account.host, host))
        {
            continue;
        }
        let rank = (host_vagueness(&account.host), !named);
        if best.is_none_or(|(_, best)| rank < best) {
            best = Some((account, rank));
        }
    }
    if !any && user == "root" && peer.is_local() {
        return Some(Arc::new(first_root()));
    }
    best.map(|(account, _)| Arc::clone(account))
}

/// Order of host patterns: a literal is before any pattern, a longer literal head before a shorter one.
fn host_vagueness(pattern: &str) -> usize {
    match pattern.find(['%', '_']) {
        None => 0,
        Some(head) => 1000 - head.min(999),
    }
}

/// Whether an account's host admits a client's host: LIKE without case, or a network in CIDR or netmask
/// notation.
pub(crate) fn host_matches(pattern: &str, host: &str) -> bool {
    if pattern.is_empty() {
        return true;
    }
    if let Some((network, mask)) = pattern.split_once('/') {
        return in_network(network, mask, host).unwrap_or(false);
    }
    like(&pattern.to_ascii_lowercase(), &host.to_ascii_lowercase())
}

fn in_network(network: &str, mask: &str, host: &str) -> Option<bool> {
    let network: std::net::Ipv4Addr = network.parse().ok()?;
    let host: std::net::Ipv4Addr = host.parse().ok()?;
    let mask = match mask.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => mask.to_bits(),
        Err(_) => {
            let bits: u32 = mask.parse().ok().filter(|bits| *bits <= 32)?;
            u32::MAX.checked_shl(32 - bits).unwrap_or(0)
        }
    };
    Some(network.to_bits() & mask == host.to_bits() & mask)
}

/// Whether an account may know that a database exists.
pub(crate) fn may_see_database(rights: &Rights, database: &str) -> bool {
    database.eq_ignore_ascii_case("information_schema")
        || database.eq_ignore_ascii_case("performance_schema")
        || rights.global.contains(privilege("SHOW DATABASES"))
        || rights.has_any_in_database(database)
}

/// Columns of a table for which a privilege is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NeededColumns {
    /// Their names; with none the privilege on any column will do.
    pub(crate) names: Vec<Arc<str>>,
    /// Whether they were not named, as by `*`: the message does not name them either.
    pub(crate) all: bool,
    /// Whether the statement needs no right on the table as such, as for columns in WHERE of UPDATE: the message
    /// names a column.
    pub(crate) alone: bool,
}

/// One thing that a statement needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// Database; empty for a global privilege.
    pub(crate) schema: String,
    /// Table; empty for the database.
    pub(crate) table: String,
    /// What is needed; of several any one.
    pub(crate) privilege: Privileges,
    /// Its name in messages.
    pub(crate) name: &'static str,
    /// Columns on which rights are as good as one on the table; `None` when only that will do.
    pub(crate) columns: Option<NeededColumns>,
}

/// What is missing.
enum Missing<'r> {
    /// The privilege on all that the requirement is about.
    Whole,
    /// The privilege on a column.
    Column(&'r str),
}

impl Requirement {
    /// A global privilege; `shown` names it in messages.
    pub(crate) fn global(name: &str, shown: &'static str) -> Self {
        let (schema, table) = (String::new(), String::new());
        Self { schema, table, privilege: privilege(name), name: shown, columns: None }
    }

    /// What lacks; rights on everything and on databases are looked at first, because most accounts have those.
    fn lack(&self, rights: &Rights) -> Option<Missing<'_>> {
        let has = if self.schema.is_empty() { rights.global } else { rights.on_database(&self.schema) };
        if has.has_any(self.privilege) {
            return None;
        }
        let granted = rights.table(&self.schema, &self.table);
        let Some(granted) = granted.filter(|_| !self.table.is_empty()) else { return Some(self.unmet()) };
        let has = has.with(granted.privileges);
        if has.has_any(self.privilege) {
            return None;
        }
        let Some(columns) = &self.columns else { return Some(Missing::Whole) };
        let on_columns = granted.on_any_column();
        if !on_columns.has_any(self.privilege) {
            return Some(self.unmet());
        }
        let lacks = |name: &&Arc<str>| !has.with(granted.on_column(name)).has_any(self.privilege);
        let column = columns.names.iter().find(lacks)?;
        Some(if columns.all { Missing::Whole } else { Missing::Column(column) })
    }

    /// What lacks of somebody who has no such right on any column.
    fn unmet(&self) -> Missing<'_> {
        let alone = self.columns.as_ref().filter(|columns| columns.alone);
        alone.and_then(|columns| columns.names.first()).map_or(Missing::Whole, |name| Missing::Column(name))
    }
}

/// Checks what a statement needs.
///
/// # Errors
/// 1143 for a column, 1142 for a table, 1044 for a database, 1227 for a global privilege.
pub(crate) fn check(identity: &Identity, requirements: &[Requirement]) -> SqlResult<()> {
    for requirement in requirements {
        if let Some(missing) = requirement.lack(&identity.rights) {
            return Err(denied(identity, requirement, &missing));
        }
    }
    Ok(())
}

/// Whether somebody has all these rights.
pub(crate) fn has_all(rights: &Rights, requirements: &[Requirement]) -> bool {
    requirements.iter().all(|requirement| requirement.lack(rights).is_none())
}

fn denied(identity: &Identity, requirement: &Requirement, missing: &Missing<'_>) -> SqlError {
    let (name, table) = (requirement.name, &requirement.table);
    if requirement.schema.is_empty() {
        return need_global(name);
    }
    if table.is_empty() {
        return no_database(identity, &requirement.schema);
    }
    match missing {
        Missing::Whole => no_table(identity, name, table),
        Missing::Column(column) => {
            let (user, host) = (&identity.account.user, &identity.host);
            let text = format!(
                "{name} command denied to user '{user}'@'{host}' for column '{column}' in table '{table}'"
            );
            SqlError::new(1143, text)
        }
    }
}

/// Error 1044.
pub(crate) fn no_database(identity: &Identity, database: &str) -> SqlError {
    let (user, host) = (&identity.account.user, &identity.account.host);
    SqlError::new(1044, format!("Access denied for user '{user}'@'{host}' to database '{database}'"))
}

/// Error 1142; the host is the one that the client came from.
pub(crate) fn no_table(identity: &Identity, privilege: &str, table: &str) -> SqlError {
    let (user, host) = (&identity.account.user, &identity.host);
    SqlError::new(1142, format!("{privilege} command denied to user '{user}'@'{host}' for table '{table}'"))
}

/// Error 1227.
pub(crate) fn need_global(name: &str) -> SqlError {
    let text =
        format!("Access denied; you need (at least one of) the {name} privilege(s) for this operation");
    SqlError::new(1227, text)
}
