//! What is granted on tables and columns.

use aquifer_catalog::{Account, ColumnGrant, Privileges, TableGrant};
use aquifer_types::{SqlResult, Value};

use super::Source;
use super::definition::TableLine;
use super::privileges::{accounts, grantee};
use super::source::{datetime, text, yes_no};

pub(super) const TABLES: &[TableLine] = &[
    (
        "information_schema",
        "TABLE_PRIVILEGES",
        "GRANTEE:v292 TABLE_CATALOG:v512 TABLE_SCHEMA:v64 TABLE_NAME:v64 PRIVILEGE_TYPE:v64 IS_GRANTABLE:v3",
        table_privileges,
    ),
    (
        "information_schema",
        "COLUMN_PRIVILEGES",
        "GRANTEE:v292 TABLE_CATALOG:v512 TABLE_SCHEMA:v64 TABLE_NAME:v64 COLUMN_NAME:v64 \
         PRIVILEGE_TYPE:v64 IS_GRANTABLE:v3",
        column_privileges,
    ),
    (
        "mysql",
        "tables_priv",
        "Host:v255 Db:v64 User:v32 Table_name:v64 Grantor:v288 Timestamp:t Table_priv:v128 Column_priv:v64",
        tables_priv,
    ),
    (
        "mysql",
        "columns_priv",
        "Host:v255 Db:v64 User:v32 Table_name:v64 Column_name:v64 Timestamp:t Column_priv:v64",
        columns_priv,
    ),
];

/// Members of `Table_priv` in their order, by the privileges that they stand for; `GRANT` is the grant option.
const TABLE_PRIV: [(&str, &str); 13] = [
    ("SELECT", "Select"),
    ("INSERT", "Insert"),
    ("UPDATE", "Update"),
    ("DELETE", "Delete"),
    ("CREATE", "Create"),
    ("DROP", "Drop"),
    ("GRANT", "Grant"),
    ("REFERENCES", "References"),
    ("INDEX", "Index"),
    ("ALTER", "Alter"),
    ("CREATE VIEW", "Create View"),
    ("SHOW VIEW", "Show view"),
    ("TRIGGER", "Trigger"),
];

/// Privileges as the members of a SET column.
pub(super) fn members(privileges: Privileges, grant_option: bool) -> Value {
    let has = |name: &str| match Privileges::named(name) {
        Some(privilege) => privileges.contains(privilege),
        None => grant_option,
    };
    let names = TABLE_PRIV.iter().filter(|(name, _)| has(name)).map(|(_, member)| *member);
    text(&names.collect::<Vec<_>>().join(","))
}

/// Each grant on a table with its account.
fn grants<'a>(
    accounts: impl Iterator<Item = &'a Account>,
) -> impl Iterator<Item = (&'a Account, &'a TableGrant)> {
    accounts.flat_map(|account| account.tables.iter().map(move |grant| (account, grant)))
}

fn table_privileges(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for (account, grant) in grants(accounts(source)) {
        let mut names: Vec<&str> = grant.privileges.names().collect();
        if names.is_empty() {
            names.push("USAGE");
        }
        rows.extend(names.into_iter().map(|name| {
            let (database, table) = (text(&grant.database), text(&grant.table));
            vec![grantee(account), text("def"), database, table, text(name), yes_no(grant.grant_option)]
        }));
    }
    Ok(rows)
}

fn column_privileges(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for (account, grant) in grants(accounts(source)) {
        let row = |column: &ColumnGrant, name: &str| {
            vec![
                grantee(account),
                text("def"),
                text(&grant.database),
                text(&grant.table),
                text(&column.column),
                text(name),
                yes_no(grant.grant_option),
            ]
        };
        for column in &grant.columns {
            rows.extend(column.privileges.names().map(|name| row(column, name)));
        }
    }
    Ok(rows)
}

fn tables_priv(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |(account, grant): (&Account, &TableGrant)| {
        vec![
            text(&account.host),
            text(&grant.database),
            text(&account.user),
            text(&grant.table),
            text(&grant.grantor),
            datetime(grant.changed_unix_s),
            members(grant.privileges, grant.grant_option),
            members(grant.on_any_column(), false),
        ]
    };
    Ok(grants(source.catalog.accounts().map(|account| &**account)).map(row).collect())
}

fn columns_priv(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for (account, grant) in grants(source.catalog.accounts().map(|account| &**account)) {
        let row = |column: &ColumnGrant| {
            vec![
                text(&account.host),
                text(&grant.database),
                text(&account.user),
                text(&grant.table),
                text(&column.column),
                datetime(grant.changed_unix_s),
                members(column.privileges, false),
            ]
        };
        rows.extend(grant.columns.iter().map(row));
    }
    Ok(rows)
}
