//! Accounts and what they may do: the PRIVILEGES tables, `mysql.user` and `mysql.db`.

use std::sync::Arc;

use aquifer_catalog::{Account, Privileges};
use aquifer_types::{SqlResult, Value};

use super::Source;
use super::definition::TableLine;
use super::source::{text, uint, yes_no};

pub(super) const TABLES: &[TableLine] = &[
    (
        "information_schema",
        "USER_PRIVILEGES",
        "GRANTEE:v292 TABLE_CATALOG:v512 PRIVILEGE_TYPE:v64 IS_GRANTABLE:v3",
        user_privileges,
    ),
    (
        "information_schema",
        "SCHEMA_PRIVILEGES",
        "GRANTEE:v292 TABLE_CATALOG:v512 TABLE_SCHEMA:v64 PRIVILEGE_TYPE:v64 IS_GRANTABLE:v3",
        schema_privileges,
    ),
    ("information_schema", "USER_ATTRIBUTES", "USER:v32 HOST:v255 ATTRIBUTE:x?", user_attributes),
    (
        "mysql",
        "user",
        "Host:v255 User:v32 Select_priv:v1 Insert_priv:v1 Update_priv:v1 Delete_priv:v1 Create_priv:v1 \
         Drop_priv:v1 Reload_priv:v1 Shutdown_priv:v1 Process_priv:v1 File_priv:v1 Grant_priv:v1 \
         References_priv:v1 Index_priv:v1 Alter_priv:v1 Show_db_priv:v1 Super_priv:v1 \
         Create_tmp_table_priv:v1 Lock_tables_priv:v1 Execute_priv:v1 Repl_slave_priv:v1 \
         Repl_client_priv:v1 Create_view_priv:v1 Show_view_priv:v1 Create_routine_priv:v1 \
         Alter_routine_priv:v1 Create_user_priv:v1 Event_priv:v1 Trigger_priv:v1 Create_tablespace_priv:v1 \
         ssl_type:v9 ssl_cipher:l x509_issuer:l x509_subject:l max_questions:m max_updates:m \
         max_connections:m max_user_connections:m plugin:v64 authentication_string:x? password_expired:v1 \
         password_last_changed:t? password_lifetime:m? account_locked:v1 Create_role_priv:v1 \
         Drop_role_priv:v1 Password_reuse_history:m? Password_reuse_time:m? \
         Password_require_current:v1? User_attributes:j?",
        mysql_user,
    ),
    (
        "mysql",
        "db",
        "Host:v255 Db:v64 User:v32 Select_priv:v1 Insert_priv:v1 Update_priv:v1 Delete_priv:v1 \
         Create_priv:v1 Drop_priv:v1 Grant_priv:v1 References_priv:v1 Index_priv:v1 Alter_priv:v1 \
         Create_tmp_table_priv:v1 Lock_tables_priv:v1 Create_view_priv:v1 Show_view_priv:v1 \
         Create_routine_priv:v1 Alter_routine_priv:v1 Execute_priv:v1 Event_priv:v1 Trigger_priv:v1",
        mysql_db,
    ),
];

/// Privileges of the columns of `mysql.user` in their order; `GRANT` is the grant option.
const USER_COLUMNS: [&str; 29] = [
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
    "GRANT",
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
];

/// Privileges of the columns of `mysql.db` in their order.
const DB_COLUMNS: [&str; 19] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "GRANT",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EXECUTE",
    "EVENT",
    "TRIGGER",
];

/// Accounts that the session sees in `information_schema`: its own, or all.
pub(super) fn accounts<'a>(source: &'a Source<'_>) -> impl Iterator<Item = &'a Account> {
    let all = source.facts.may_see_accounts();
    let (user, host) = source.facts.current_account();
    let seen = move |account: &&Arc<Account>| all || (account.user == user && account.host == host);
    source.catalog.accounts().filter(seen).map(|account| &**account)
}

pub(super) fn grantee(account: &Account) -> Value {
    text(&format!("'{}'@'{}'", account.user, account.host))
}

fn user_privileges(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for account in accounts(source) {
        let mut names: Vec<&str> = account.global.names().collect();
        if names.is_empty() {
            names.push("USAGE");
        }
        for name in names {
            rows.push(vec![grantee(account), text("def"), text(name), yes_no(account.grant_option)]);
        }
    }
    Ok(rows)
}

fn schema_privileges(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for account in accounts(source) {
        for grant in &account.databases {
            for name in grant.privileges.names() {
                rows.push(vec![
                    grantee(account),
                    text("def"),
                    text(&grant.database),
                    text(name),
                    yes_no(grant.grant_option),
                ]);
            }
        }
    }
    Ok(rows)
}

fn user_attributes(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |account: &Account| vec![text(&account.user), text(&account.host), Value::Null];
    Ok(accounts(source).map(row).collect())
}

fn letter(condition: bool) -> Value {
    text(if condition { "Y" } else { "N" })
}

fn letters(columns: &[&str], privileges: Privileges, grant_option: bool) -> Vec<Value> {
    let one = |name: &&str| match Privileges::named(name) {
        Some(privilege) => letter(privileges.contains(privilege)),
        None => letter(*name == "GRANT" && grant_option),
    };
    columns.iter().map(one).collect()
}

fn mysql_user(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let role = |account: &Account, name| {
        letter(Privileges::named(name).is_some_and(|privilege| account.global.contains(privilege)))
    };
    let mut rows = Vec::new();
    for account in source.catalog.accounts() {
        let mut row = vec![text(&account.host), text(&account.user)];
        row.extend(letters(&USER_COLUMNS, account.global, account.grant_option));
        row.extend([text(""), text(""), text(""), text("")]);
        row.extend([uint(0), uint(0), uint(0), uint(0)]);
        row.push(text(&account.plugin));
        row.push(text(&String::from_utf8_lossy(&account.credential)));
        row.extend([letter(account.expired), Value::Null, Value::Null, letter(account.locked)]);
        row.extend([role(account, "CREATE ROLE"), role(account, "DROP ROLE")]);
        row.extend([Value::Null, Value::Null, Value::Null, Value::Null]);
        rows.push(row);
    }
    Ok(rows)
}

fn mysql_db(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for account in source.catalog.accounts() {
        for grant in &account.databases {
            let mut row = vec![text(&account.host), text(&grant.database), text(&account.user)];
            row.extend(letters(&DB_COLUMNS, grant.privileges, grant.grant_option));
            rows.push(row);
        }
    }
    Ok(rows)
}
