//! Stored form of accounts.

use crate::account::{Account, AccountId, ColumnGrant, DatabaseGrant, Privileges, RoleGrant, TableGrant};
use crate::proto::{AccountRow, ColumnGrantRow, DatabaseGrantRow, RoleRow, TableGrantRow};

pub(crate) fn account_row(account: &Account) -> AccountRow {
    let database = |grant: &DatabaseGrant| DatabaseGrantRow {
        database: grant.database.clone(),
        privileges: grant.privileges.0,
        grant_option: grant.grant_option,
    };
    let role = |role: &AccountId, admin_option| RoleRow {
        user: role.user.clone(),
        host: role.host.clone(),
        admin_option,
    };
    AccountRow {
        user: account.user.clone(),
        host: account.host.clone(),
        plugin: account.plugin.clone(),
        credential: account.credential.clone(),
        locked: account.locked,
        expired: account.expired,
        global: account.global.0,
        grant_option: account.grant_option,
        databases: account.databases.iter().map(database).collect(),
        tables: account.tables.iter().map(table_row).collect(),
        roles: account.roles.iter().map(|grant| role(&grant.role, grant.admin_option)).collect(),
        default_roles: account.default_roles.iter().map(|id| role(id, false)).collect(),
    }
}

fn table_row(grant: &TableGrant) -> TableGrantRow {
    let column =
        |grant: &ColumnGrant| ColumnGrantRow { column: grant.column.clone(), privileges: grant.privileges.0 };
    TableGrantRow {
        database: grant.database.clone(),
        table: grant.table.clone(),
        privileges: grant.privileges.0,
        grant_option: grant.grant_option,
        columns: grant.columns.iter().map(column).collect(),
        grantor: grant.grantor.clone(),
        changed_unix_s: grant.changed_unix_s,
    }
}

pub(crate) fn account_from(row: AccountRow) -> Account {
    let database = |grant: DatabaseGrantRow| DatabaseGrant {
        database: grant.database,
        privileges: Privileges(grant.privileges),
        grant_option: grant.grant_option,
    };
    let id = |role: RoleRow| AccountId { user: role.user, host: role.host };
    Account {
        user: row.user,
        host: row.host,
        plugin: row.plugin,
        credential: row.credential,
        locked: row.locked,
        expired: row.expired,
        global: Privileges(row.global),
        grant_option: row.grant_option,
        databases: row.databases.into_iter().map(database).collect(),
        tables: row.tables.into_iter().map(table_from).collect(),
        roles: row
            .roles
            .into_iter()
            .map(|role| RoleGrant { admin_option: role.admin_option, role: id(role) })
            .collect(),
        default_roles: row.default_roles.into_iter().map(id).collect(),
    }
}

fn table_from(grant: TableGrantRow) -> TableGrant {
    let column = |grant: ColumnGrantRow| ColumnGrant {
        column: grant.column,
        privileges: Privileges(grant.privileges),
    };
    TableGrant {
        database: grant.database,
        table: grant.table,
        privileges: Privileges(grant.privileges),
        grant_option: grant.grant_option,
        columns: grant.columns.into_iter().map(column).collect(),
        grantor: grant.grantor,
        changed_unix_s: grant.changed_unix_s,
    }
}
