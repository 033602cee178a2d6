//! SHOW GRANTS, one line for each level in MySQL's order, and SHOW CREATE USER.

use std::sync::Arc;

use aquifer_catalog::{Account, AccountId, Privileges, Rights, TableGrant};
use aquifer_sql::ast::AccountName;
use aquifer_sql::virtual_tables::create_table::{self, quoted};
use aquifer_sql::virtual_tables::show::Shown;
use aquifer_types::{SqlResult, Value};

use crate::access;
use crate::grants::no_grant;
use crate::roles::{not_granted, quoted_id};
use crate::session::Session;

impl Session {
    /// SHOW GRANTS: the title and the lines.
    ///
    /// # Errors
    /// As [`Session::account_to_show`]; 3530 for a role that the account has not.
    pub(crate) fn grant_lines(
        &self,
        name: Option<&AccountName>,
        using: &[AccountName],
    ) -> SqlResult<(String, Vec<String>)> {
        let account = self.account_to_show(name)?;
        let catalog = self.host.node.catalog();
        let granted = self.granted_roles(&catalog, &account);
        let mut roles: Vec<AccountId> = using.iter().map(|name| self.account_id(name)).collect();
        if let Some(missing) = roles.iter().find(|role| !granted.contains(role)) {
            return Err(not_granted(missing, &account.id()));
        }
        if let (None, [], Some(identity)) = (name, using, &self.state.identity) {
            roles.clone_from(&identity.active);
        }
        let mut lines = lines_of(&account, &catalog.rights(&account, &roles));
        lines.extend(role_lines(&account, &granted));
        Ok((format!("Grants for {}@{}", account.user, account.host), lines))
    }

    /// SHOW CREATE USER.
    ///
    /// # Errors
    /// As [`Session::account_to_show`].
    pub(crate) fn show_create_user(&self, name: Option<&AccountName>) -> SqlResult<Shown> {
        let account = self.account_to_show(name)?;
        let (user, host) = (&account.user, &account.host);
        let mut statement = format!("CREATE USER `{user}`@`{host}` IDENTIFIED WITH '{}'", account.plugin);
        if !account.credential.is_empty() {
            let credential = create_table::string_literal(&String::from_utf8_lossy(&account.credential));
            statement.push_str(&format!(" AS {credential}"));
        }
        let lock = if account.locked { "LOCK" } else { "UNLOCK" };
        let expire = if account.expired { "PASSWORD EXPIRE" } else { "PASSWORD EXPIRE DEFAULT" };
        if !account.default_roles.is_empty() {
            let roles: Vec<String> = account.default_roles.iter().map(quoted_id).collect();
            statement.push_str(&format!(" DEFAULT ROLE {}", roles.join(",")));
        }
        statement.push_str(&format!(
            " REQUIRE NONE {expire} ACCOUNT {lock} PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT \
             PASSWORD REQUIRE CURRENT DEFAULT"
        ));
        Ok(Shown::new(
            &format!("CREATE~USER~for~{user}@{host}:x"),
            vec![vec![Value::Bytes(statement.into())]],
        ))
    }

    /// The account of SHOW GRANTS and SHOW CREATE USER: the session's own unless another is named.
    ///
    /// # Errors
    /// 1141 for an unknown account, 1044 for another account's.
    pub(crate) fn account_to_show(&self, name: Option<&AccountName>) -> SqlResult<Arc<Account>> {
        let own = AccountName { user: None, host: String::new() };
        let (user, host) = self.full_name(name.unwrap_or(&own));
        let identity = self.state.identity.as_ref();
        if self.is_own(&user, &host)
            && let Some(identity) = identity
        {
            return Ok(Arc::clone(&identity.account));
        }
        if let Some(identity) = identity
            && !identity.rights.on_database("mysql").contains(access::privilege("SELECT"))
        {
            return Err(access::no_database(identity, "mysql"));
        }
        let named = AccountName { user: Some(user.clone()), host: host.clone() };
        self.account_named(&self.host.node.catalog(), &named).ok_or_else(|| no_grant(&user, &host))
    }
}

/// The lines of an account with these rights.
fn lines_of(account: &Account, rights: &Rights) -> Vec<String> {
    let name = format!("{}@{}", quoted(&account.user), quoted(&account.host));
    let line = |names: String, target: &str, option: bool| {
        let suffix = if option { " WITH GRANT OPTION" } else { "" };
        format!("GRANT {names} ON {target} TO {name}{suffix}")
    };
    let mut lines = vec![line(names(rights.global, Privileges::ALL_AT_FIRST), "*.*", rights.grant_option)];
    for grant in rights.databases() {
        let target = format!("{}.*", quoted(&grant.database));
        lines.push(line(names(grant.privileges, Privileges::ALL_ON_DATABASE), &target, grant.grant_option));
    }
    for grant in rights.tables() {
        let target = format!("{}.{}", quoted(&grant.database), quoted(&grant.table));
        lines.push(line(table_names(grant), &target, grant.grant_option));
    }
    lines
}

/// Roles, first those without ADMIN OPTION.
fn role_lines(account: &Account, granted: &[AccountId]) -> Vec<String> {
    let with_option =
        |role: &&AccountId| account.roles.iter().any(|grant| grant.admin_option && grant.role == **role);
    let (with, without): (Vec<&AccountId>, Vec<&AccountId>) = granted.iter().partition(with_option);
    let line = |roles: Vec<&AccountId>, suffix: &str| {
        let names: Vec<String> = roles.into_iter().map(quoted_id).collect();
        let all = names.join(",");
        (!names.is_empty()).then(|| format!("GRANT {all} TO {}{suffix}", quoted_id(&account.id())))
    };
    [line(without, ""), line(with, " WITH ADMIN OPTION")].into_iter().flatten().collect()
}

fn names(privileges: Privileges, all: Privileges) -> String {
    if privileges.is_empty() {
        "USAGE".to_owned()
    } else if privileges.contains(all) {
        "ALL PRIVILEGES".to_owned()
    } else {
        privileges.names().collect::<Vec<_>>().join(", ")
    }
}

/// Privileges on a table, each followed by the same on columns.
fn table_names(grant: &TableGrant) -> String {
    if grant.columns.is_empty() {
        return names(grant.privileges, Privileges::ALL_ON_TABLE);
    }
    let mut out = Vec::new();
    for name in grant.privileges.with(grant.on_any_column()).names() {
        let one = access::privilege(name);
        if grant.privileges.contains(one) {
            out.push(name.to_owned());
        }
        let columns: Vec<String> = grant
            .columns
            .iter()
            .filter(|column| column.privileges.contains(one))
            .map(|column| quoted(&column.column))
            .collect();
        if !columns.is_empty() {
            out.push(format!("{name} ({})", columns.join(", ")));
        }
    }
    out.join(", ")
}
