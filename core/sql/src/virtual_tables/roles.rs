//! Roles: who has which, and what they may do.

use aquifer_catalog::{Account, AccountId, RoleGrant, TableGrant};
use aquifer_types::{SqlResult, Value};

use super::Source;
use super::definition::TableLine;
use super::source::{text, yes_no};
use super::table_privileges::members;

pub(super) const TABLES: &[TableLine] = &[
    (
        "information_schema",
        "APPLICABLE_ROLES",
        "USER:v97? HOST:v256? GRANTEE:v97? GRANTEE_HOST:v256? ROLE_NAME:v255? ROLE_HOST:v255? \
         IS_GRANTABLE:v3 IS_DEFAULT:v3? IS_MANDATORY:v3",
        applicable_roles,
    ),
    (
        "information_schema",
        "ADMINISTRABLE_ROLE_AUTHORIZATIONS",
        "USER:v97? HOST:v256? GRANTEE:v97? GRANTEE_HOST:v256? ROLE_NAME:v255? ROLE_HOST:v255? \
         IS_GRANTABLE:v3 IS_DEFAULT:v3? IS_MANDATORY:v3",
        administrable_roles,
    ),
    (
        "information_schema",
        "ENABLED_ROLES",
        "ROLE_NAME:v255? ROLE_HOST:v255? IS_DEFAULT:v3? IS_MANDATORY:v3",
        enabled_roles,
    ),
    (
        "information_schema",
        "ROLE_TABLE_GRANTS",
        "GRANTOR:v97? GRANTOR_HOST:v256? GRANTEE:v32 GRANTEE_HOST:v255 TABLE_CATALOG:v3 TABLE_SCHEMA:v64 \
         TABLE_NAME:v64 PRIVILEGE_TYPE:v128 IS_GRANTABLE:v3",
        role_table_grants,
    ),
    (
        "information_schema",
        "ROLE_COLUMN_GRANTS",
        "GRANTOR:v97? GRANTOR_HOST:v256? GRANTEE:v32 GRANTEE_HOST:v255 TABLE_CATALOG:v3 TABLE_SCHEMA:v64 \
         TABLE_NAME:v64 COLUMN_NAME:v64 PRIVILEGE_TYPE:v64 IS_GRANTABLE:v3",
        role_column_grants,
    ),
    (
        "mysql",
        "role_edges",
        "FROM_HOST:v255 FROM_USER:v32 TO_HOST:v255 TO_USER:v32 WITH_ADMIN_OPTION:v1",
        role_edges,
    ),
    (
        "mysql",
        "default_roles",
        "HOST:v255 USER:v32 DEFAULT_ROLE_HOST:v255 DEFAULT_ROLE_USER:v32",
        default_roles,
    ),
];

/// The session's own account.
fn own<'a>(source: &'a Source<'_>) -> Option<&'a Account> {
    let (user, host) = source.facts.current_account();
    source.catalog.account(&user, &host).map(|account| &**account)
}

/// A role that the session's account has, and through whom.
struct Applicable<'a> {
    grantee: &'a Account,
    role: AccountId,
    admin_option: bool,
    mandatory: bool,
}

/// Roles of the session's account, then those of its roles, each with whoever has it.
fn applicable<'a>(source: &'a Source<'_>) -> Vec<Applicable<'a>> {
    let Some(account) = own(source) else { return Vec::new() };
    let mandatory = source.facts.mandatory_roles();
    let granted = |grantee: &'a Account, grant: &RoleGrant| Applicable {
        grantee,
        role: grant.role.clone(),
        admin_option: grant.admin_option,
        mandatory: mandatory.contains(&grant.role),
    };
    let mut found: Vec<Applicable<'a>> = account.roles.iter().map(|grant| granted(account, grant)).collect();
    for role in &mandatory {
        let known = found.iter().any(|known| known.role == *role) || *role == account.id();
        if !known && source.catalog.role(role).is_some() {
            found.push(Applicable {
                grantee: account,
                role: role.clone(),
                admin_option: false,
                mandatory: true,
            });
        }
    }
    let direct: Vec<AccountId> = found.iter().map(|known| known.role.clone()).collect();
    for role in source.catalog.roles_within(&direct) {
        found.extend(role.roles.iter().map(|grant| granted(role, grant)));
    }
    found
}

fn role_row(account: &Account, found: &Applicable<'_>) -> Vec<Value> {
    let is_default = account.default_roles.contains(&found.role);
    vec![
        text(&account.user),
        text(&account.host),
        text(&found.grantee.user),
        text(&found.grantee.host),
        text(&found.role.user),
        text(&found.role.host),
        yes_no(found.admin_option),
        yes_no(is_default),
        yes_no(found.mandatory),
    ]
}

fn applicable_roles(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let Some(account) = own(source) else { return Ok(Vec::new()) };
    Ok(applicable(source).iter().map(|found| role_row(account, found)).collect())
}

fn administrable_roles(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let Some(account) = own(source) else { return Ok(Vec::new()) };
    let found = applicable(source);
    let administered = found.iter().filter(|found| found.admin_option);
    Ok(administered.map(|found| role_row(account, found)).collect())
}

/// Roles that are active, and their roles.
fn enabled<'a>(source: &'a Source<'_>) -> Vec<&'a Account> {
    let active = source.facts.active_roles();
    source.catalog.roles_within(active).into_iter().map(|role| &**role).collect()
}

fn enabled_roles(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let account = own(source);
    let mandatory = source.facts.mandatory_roles();
    let row = |role: &Account| {
        let id = role.id();
        let is_default = account.is_some_and(|account| account.default_roles.contains(&id));
        vec![text(&role.user), text(&role.host), yes_no(is_default), yes_no(mandatory.contains(&id))]
    };
    Ok(enabled(source).into_iter().map(row).collect())
}

/// GRANTOR to TABLE_NAME.
fn grant_row(role: &Account, grant: &TableGrant) -> Vec<Value> {
    let (user, host) = grant.grantor.rsplit_once('@').unwrap_or((&grant.grantor, ""));
    vec![
        text(user),
        text(host),
        text(&role.user),
        text(&role.host),
        text("def"),
        text(&grant.database),
        text(&grant.table),
    ]
}

fn role_table_grants(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for role in enabled(source) {
        for grant in role.tables.iter().filter(|grant| !grant.privileges.is_empty()) {
            let mut row = grant_row(role, grant);
            row.extend([members(grant.privileges, false), yes_no(grant.grant_option)]);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn role_column_grants(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for role in enabled(source) {
        for grant in &role.tables {
            for column in &grant.columns {
                let mut row = grant_row(role, grant);
                row.extend([
                    text(&column.column),
                    members(column.privileges, false),
                    yes_no(grant.grant_option),
                ]);
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

fn role_edges(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for account in source.catalog.accounts() {
        rows.extend(account.roles.iter().map(|grant| {
            let option = if grant.admin_option { "Y" } else { "N" };
            let (host, user) = (text(&grant.role.host), text(&grant.role.user));
            vec![host, user, text(&account.host), text(&account.user), text(option)]
        }));
    }
    Ok(rows)
}

fn default_roles(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for account in source.catalog.accounts() {
        let row = |role: &AccountId| {
            vec![text(&account.host), text(&account.user), text(&role.host), text(&role.user)]
        };
        rows.extend(account.default_roles.iter().map(row));
    }
    Ok(rows)
}
