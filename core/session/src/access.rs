//! Who may come in, and what an account may do.

use std::sync::Arc;

use aquifer_catalog::{Account, Catalog, Privileges};
use aquifer_types::{SqlError, SqlResult};

use crate::output::PeerInfo;

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

/// LIKE with `%`, `_` and `\`, on bytes.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
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

/// What an account may do in a database, its global privileges included.
pub(crate) fn privileges_on(account: &Account, database: &str) -> Privileges {
    let granted = account.databases.iter().filter(|grant| like(&grant.database, database));
    granted.fold(account.global, |all, grant| all.with(grant.privileges))
}

/// Whether an account may know that a database exists.
pub(crate) fn may_see_database(account: &Account, database: &str) -> bool {
    if database.eq_ignore_ascii_case("information_schema")
        || account.global.contains(privilege("SHOW DATABASES"))
    {
        return true;
    }
    database.eq_ignore_ascii_case("performance_schema")
        || privileges_on(account, database) != Privileges::NONE
}

/// One thing that a statement needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// Database; empty for a global privilege.
    pub(crate) schema: String,
    /// Table; empty for the database.
    pub(crate) table: String,
    /// What is needed.
    pub(crate) privilege: Privileges,
    /// Its name in messages.
    pub(crate) name: &'static str,
}

/// Checks what a statement needs; `host` is where the client is, for messages.
///
/// # Errors
/// 1142 for a table, 1044 for a database, 1227 for a global privilege.
pub(crate) fn check(account: &Account, host: &str, requirements: &[Requirement]) -> SqlResult<()> {
    for requirement in requirements {
        let has = if requirement.schema.is_empty() {
            account.global
        } else {
            privileges_on(account, &requirement.schema)
        };
        if !has.contains(requirement.privilege) {
            return Err(denied(account, host, requirement));
        }
    }
    Ok(())
}

fn denied(account: &Account, client: &str, requirement: &Requirement) -> SqlError {
    let (user, host) = (&account.user, &account.host);
    if requirement.schema.is_empty() {
        return need_global(requirement.name);
    }
    if requirement.table.is_empty() {
        let database = &requirement.schema;
        return SqlError::new(
            1044,
            format!("Access denied for user '{user}'@'{host}' to database '{database}'"),
        );
    }
    let (name, table) = (requirement.name, &requirement.table);
    SqlError::new(1142, format!("{name} command denied to user '{user}'@'{client}' for table '{table}'"))
}

/// Error 1227.
pub(crate) fn need_global(name: &str) -> SqlError {
    let text =
        format!("Access denied; you need (at least one of) the {name} privilege(s) for this operation");
    SqlError::new(1227, text)
}
