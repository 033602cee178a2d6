//! Statements about accounts, and writes to the catalog that the session makes itself.
//!
//! Each runs in a transaction of its own that locks the rows it changes. The administrator that a new
//! database has by itself ([`access::first_root`]) is stored with the first of them, so that it does not
//! vanish when there are accounts.

use std::sync::Arc;

use aquifer_catalog::{Account, Catalog, RoleGrant, Write, rows};
use aquifer_sql::ast::{AccountName, AccountOptions};
use aquifer_sql::txn::{LockMode, LockWait};
use aquifer_types::{SqlError, SqlResult};
use aquifer_wire::{AuthPlugin, Credential};

use crate::access;
use crate::node::BeginOptions;
use crate::session::Session;
use crate::variables::Isolation;

impl Session {
    /// Commits writes to the catalog in a transaction of their own.
    ///
    /// # Errors
    /// 1290, 1205, those of the commit.
    async fn write_catalog(&mut self, writes: Vec<Write>) -> SqlResult<()> {
        self.check_read_only()?;
        let txn = self.host.node.begin(BeginOptions {
            read_only: false,
            connection_id: self.entry.id(),
            isolation: Isolation::RepeatableRead.sql_name(),
            interrupt: Arc::clone(self.entry.interrupt()),
            locked_tables: self.passed_tables(),
        });
        let wait = LockWait::Timeout(self.state.variables.effective().innodb_lock_wait_timeout);
        let result = async {
            txn.check_writable()?;
            for (key, value) in writes {
                txn.lock(&key, LockMode::Exclusive, wait).await?;
                match value {
                    Some(value) => txn.put(key, value)?,
                    None => txn.delete(key)?,
                }
            }
            Ok(())
        };
        match result.await {
            Ok(()) => txn.commit().await.map(|_| ()),
            Err(error) => {
                txn.rollback();
                Err(error)
            }
        }
    }

    /// SET PERSIST.
    ///
    /// # Errors
    /// As [`Session::write_catalog`].
    pub(crate) async fn persist_variable(&mut self, name: &str, value: &str) -> SqlResult<()> {
        self.write_catalog(rows::put_variable(name, value)).await
    }

    /// Writes changed accounts, with the first administrator when there were none.
    pub(crate) async fn put_accounts(&mut self, catalog: &Catalog, changed: Vec<Account>) -> SqlResult<()> {
        let mut writes = Vec::new();
        let root = access::first_root();
        let has_root = changed.iter().any(|account| account.user == root.user && account.host == root.host);
        if catalog.accounts().next().is_none() && !has_root {
            writes.extend(rows::put_account(&root));
        }
        for account in &changed {
            writes.extend(rows::put_account(account));
        }
        self.write_catalog(writes).await?;
        self.host.registry.auth_cache().clear();
        Ok(())
    }

    /// An account by name; the session's own when no user is named.
    pub(crate) fn account_named(&self, catalog: &Catalog, name: &AccountName) -> Option<Arc<Account>> {
        let (user, host) = self.full_name(name);
        if let Some(account) = catalog.account(&user, &host) {
            return Some(Arc::clone(account));
        }
        let root = access::first_root();
        let first = catalog.accounts().next().is_none() && root.user == user && root.host == host;
        first.then(|| Arc::new(root))
    }

    pub(crate) fn full_name(&self, name: &AccountName) -> (String, String) {
        match (&name.user, &self.state.identity) {
            (Some(user), _) => (user.clone(), name.host.clone()),
            (None, Some(identity)) => (identity.account.user.clone(), identity.account.host.clone()),
            (None, None) => (String::new(), String::new()),
        }
    }

    /// CREATE USER.
    ///
    /// # Errors
    /// 1227, 1396, 1524.
    pub(crate) async fn create_users(
        &mut self,
        accounts: &[(AccountName, AccountOptions)],
        default_roles: &[AccountName],
        if_not_exists: bool,
    ) -> SqlResult<()> {
        self.need_global("CREATE USER", "CREATE USER")?;
        let catalog = self.host.node.catalog();
        let default_roles = self.roles_to_give(&catalog, default_roles)?;
        let (mut made, mut existing) = (Vec::new(), Vec::new());
        for (name, options) in accounts {
            let (user, host) = self.full_name(name);
            let twice = made.iter().any(|account: &Account| account.user == user && account.host == host);
            if twice || self.account_named(&catalog, name).is_some() {
                existing.push(shown(&user, &host));
                continue;
            }
            let mut account = Account::new(&user, &host, AuthPlugin::CachingSha2.name(), Vec::new());
            change(&mut account, options)?;
            account.roles = default_roles
                .iter()
                .map(|role| RoleGrant { role: role.clone(), admin_option: false })
                .collect();
            account.default_roles.clone_from(&default_roles);
            made.push(account);
        }
        if !existing.is_empty() && !if_not_exists {
            return Err(failed("CREATE USER", &existing));
        }
        for name in &existing {
            self.state.warnings.note(3163, format!("Authorization ID {name} already exists."));
        }
        self.put_accounts(&catalog, made).await
    }

    /// ALTER USER.
    ///
    /// # Errors
    /// 1227, 1396, 1524.
    pub(crate) async fn alter_users(
        &mut self,
        accounts: &[(AccountName, AccountOptions)],
        if_exists: bool,
    ) -> SqlResult<()> {
        let catalog = self.host.node.catalog();
        let (mut changed, mut missing) = (Vec::new(), Vec::new());
        for (name, options) in accounts {
            let (user, host) = self.full_name(name);
            if !self.is_own(&user, &host) {
                self.need_global("CREATE USER", "CREATE USER")?;
            }
            match self.account_named(&catalog, name) {
                Some(account) => {
                    let mut account = Account::clone(&account);
                    change(&mut account, options)?;
                    changed.push(account);
                }
                None => missing.push(shown(&user, &host)),
            }
        }
        if !missing.is_empty() && !if_exists {
            return Err(failed("ALTER USER", &missing));
        }
        for name in &missing {
            self.state.warnings.note(3162, format!("Authorization ID {name} does not exist."));
        }
        self.put_accounts(&catalog, changed).await
    }

    pub(crate) fn is_own(&self, user: &str, host: &str) -> bool {
        let identity = self.state.identity.as_ref();
        identity.is_some_and(|identity| identity.account.user == user && identity.account.host == host)
    }

    /// SET PASSWORD.
    ///
    /// # Errors
    /// 1227, 1133.
    pub(crate) async fn set_password(&mut self, name: Option<&AccountName>, password: &str) -> SqlResult<()> {
        let own = AccountName { user: None, host: String::new() };
        let name = name.unwrap_or(&own);
        let options = AccountOptions { password: Some(password.to_owned()), ..AccountOptions::default() };
        let catalog = self.host.node.catalog();
        if self.account_named(&catalog, name).is_none() {
            return Err(SqlError::new(1133, "Can't find any matching row in the user table"));
        }
        self.alter_users(&[(name.clone(), options)], false).await
    }

    /// DROP USER and DROP ROLE: whoever had one as a role has it no more.
    ///
    /// # Errors
    /// 1396, 3628.
    pub(crate) async fn drop_accounts(
        &mut self,
        operation: &str,
        accounts: &[AccountName],
        if_exists: bool,
    ) -> SqlResult<()> {
        let catalog = self.host.node.catalog();
        let (mut dropped, mut missing) = (Vec::new(), Vec::new());
        for name in accounts {
            let id = self.account_id(name);
            self.refuse_mandatory(&id)?;
            match catalog.role(&id) {
                Some(_) => dropped.push(id),
                None => missing.push(shown(&id.user, &id.host)),
            }
        }
        if !missing.is_empty() && !if_exists {
            return Err(failed(operation, &missing));
        }
        for name in &missing {
            self.state.warnings.note(3162, format!("Authorization ID {name} does not exist."));
        }
        if dropped.len() >= catalog.accounts().count() && !dropped.is_empty() {
            let text = "the last account cannot be dropped: nobody could log in any more";
            return Err(SqlError::new(1396, format!("Operation {operation} failed: {text}")));
        }
        let mut writes: Vec<Write> =
            dropped.iter().flat_map(|id| rows::drop_account(&id.user, &id.host)).collect();
        for account in catalog.accounts().filter(|account| !dropped.contains(&account.id())) {
            if account.roles.iter().any(|grant| dropped.contains(&grant.role)) {
                let mut account = Account::clone(account);
                account.roles.retain(|grant| !dropped.contains(&grant.role));
                account.default_roles.retain(|role| !dropped.contains(role));
                writes.extend(rows::put_account(&account));
            }
        }
        self.write_catalog(writes).await?;
        self.host.registry.auth_cache().clear();
        Ok(())
    }

    /// RENAME USER.
    ///
    /// # Errors
    /// 1227, 1396, 3532.
    pub(crate) async fn rename_users(&mut self, pairs: &[(AccountName, AccountName)]) -> SqlResult<()> {
        self.need_global("CREATE USER", "CREATE USER")?;
        let catalog = self.host.node.catalog();
        let mut writes = Vec::new();
        for (old, new) in pairs {
            let (old_user, old_host) = self.full_name(old);
            let (user, host) = self.full_name(new);
            let account = self.account_named(&catalog, old);
            let is_it = |grant: &RoleGrant| grant.role.user == old_user && grant.role.host == old_host;
            if catalog.accounts().any(|account| account.roles.iter().any(is_it)) {
                return Err(SqlError::new(3532, "Renaming of a role identifier is forbidden"));
            }
            let free = catalog.account(&user, &host).is_none();
            let Some(account) = account.filter(|_| free) else {
                return Err(failed("RENAME USER", &[shown(&old_user, &old_host)]));
            };
            let renamed = Account { user, host, ..Account::clone(&account) };
            writes.extend(rows::drop_account(&old_user, &old_host));
            writes.extend(rows::put_account(&renamed));
        }
        self.write_catalog(writes).await
    }
}

/// An account as messages show it.
pub(crate) fn shown(user: &str, host: &str) -> String {
    format!("'{user}'@'{host}'")
}

/// Error 1396.
pub(crate) fn failed(operation: &str, names: &[String]) -> SqlError {
    SqlError::new(1396, format!("Operation {operation} failed for {}", names.join(",")))
}

/// Applies IDENTIFIED, LOCK and EXPIRE.
pub(crate) fn change(account: &mut Account, options: &AccountOptions) -> SqlResult<()> {
    if let Some(name) = &options.plugin {
        let plugin = AuthPlugin::from_name(name.as_bytes())
            .ok_or_else(|| SqlError::new(1524, format!("Plugin '{name}' is not loaded")))?;
        account.plugin = plugin.name().to_owned();
        account.credential = Vec::new();
    }
    if let Some(password) = &options.password {
        let plugin = AuthPlugin::from_name(account.plugin.as_bytes()).unwrap_or(AuthPlugin::CachingSha2);
        account.credential =
            Credential::from_password(plugin, password.as_bytes())?.to_authentication_string();
        account.expired = false;
    }
    if let Some(credential) = &options.credential {
        Credential::parse(&account.plugin, credential)
            .map_err(|_| SqlError::new(1827, "The password hash doesn't have the expected format."))?;
        account.credential.clone_from(credential);
    }
    account.locked = options.locked.unwrap_or(account.locked);
    account.expired = options.expired.unwrap_or(account.expired);
    Ok(())
}
