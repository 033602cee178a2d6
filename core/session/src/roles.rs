//! Roles: accounts whose rights others can take on.
//!
//! Which roles an account has is kept with it; which of them are active, with the session. What the roles of a role
//! may do is active with it. Mandatory roles (`mandatory_roles`) are everybody's, as far as they exist.

use aquifer_catalog::{Account, AccountId, Catalog, RoleGrant};
use aquifer_sql::ast::{AccountName, RoleChoice, RoleStatement};
use aquifer_sql::virtual_tables::ServerFacts;
use aquifer_sql::virtual_tables::create_table::quoted;
use aquifer_types::{SqlError, SqlResult};
use aquifer_wire::AuthPlugin;

use crate::access;
use crate::accounts::{failed, shown};
use crate::session::Session;

/// An account as messages about roles show it.
pub(crate) fn quoted_id(id: &AccountId) -> String {
    format!("{}@{}", quoted(&id.user), quoted(&id.host))
}

/// Error 3523.
fn unknown_id(id: &AccountId) -> SqlError {
    SqlError::new(3523, format!("Unknown authorization ID {}", quoted_id(id)))
}

/// Error 3530.
pub(crate) fn not_granted(role: &AccountId, account: &AccountId) -> SqlError {
    SqlError::new(3530, format!("{} is not granted to {}", quoted_id(role), quoted_id(account)))
}

/// The roles that a text names: `role`, `'role'@'host'`, …, separated by commas.
pub(crate) fn named_roles(text: &str) -> Vec<AccountId> {
    let bare = |part: &str| part.trim().trim_matches(['`', '\'', '"']).to_owned();
    let id = |name: &str| {
        let (user, host) = name.rsplit_once('@').unwrap_or((name, "%"));
        AccountId { user: bare(user), host: bare(host) }
    };
    text.split(',').filter(|name| !name.trim().is_empty()).map(id).collect()
}

impl Session {
    /// A statement about roles.
    ///
    /// # Errors
    /// 1227, 1396, 3523, 3530, 3628, 4027.
    pub(crate) async fn run_role(&mut self, statement: &RoleStatement) -> SqlResult<()> {
        match statement {
            RoleStatement::Create { if_not_exists, roles } => self.create_roles(roles, *if_not_exists).await,
            RoleStatement::Drop { if_exists, roles } => {
                self.need_one_of("CREATE USER, DROP ROLE", &["CREATE USER", "DROP ROLE"])?;
                self.drop_accounts("DROP ROLE", roles, *if_exists).await
            }
            RoleStatement::Grant { roles, accounts, admin_option } => {
                self.grant_roles(roles, accounts, *admin_option).await
            }
            RoleStatement::Revoke { if_exists, ignore_unknown, roles, accounts } => {
                self.revoke_roles(roles, accounts, *if_exists, *ignore_unknown).await
            }
            RoleStatement::Set(choice) => self.set_role(choice),
            RoleStatement::SetDefault { choice, accounts } => self.set_default_roles(choice, accounts).await,
        }
    }

    /// An account's full name.
    pub(crate) fn account_id(&self, name: &AccountName) -> AccountId {
        let (user, host) = self.full_name(name);
        AccountId { user, host }
    }

    /// Roles that everybody has.
    pub(crate) fn mandatory_roles(&self) -> Vec<AccountId> {
        self.facts_view().mandatory_roles()
    }

    /// Checks a value of `mandatory_roles`: it gives rights to everybody, and a role has a name.
    ///
    /// # Errors
    /// 1227, 1231.
    pub(crate) fn check_mandatory_roles(&self, text: &str) -> SqlResult<()> {
        self.need_global("SUPER or ROLE_ADMIN", "ROLE_ADMIN")?;
        if named_roles(text).iter().any(|role| role.user.is_empty()) {
            let text = format!("Variable 'mandatory_roles' can't be set to the value of '{text}'");
            return Err(SqlError::new(1231, text));
        }
        Ok(())
    }

    /// Roles that an account can make active: those that it was given and those that all have.
    pub(crate) fn granted_roles(&self, catalog: &Catalog, account: &Account) -> Vec<AccountId> {
        let mut granted: Vec<AccountId> = account.roles.iter().map(|grant| grant.role.clone()).collect();
        for role in self.mandatory_roles() {
            if role != account.id() && !granted.contains(&role) {
                granted.push(role);
            }
        }
        granted.retain(|role| catalog.role(role).is_some());
        granted
    }

    /// Error 3628 for a role that everybody has.
    pub(crate) fn refuse_mandatory(&self, role: &AccountId) -> SqlResult<()> {
        if !self.mandatory_roles().contains(role) {
            return Ok(());
        }
        let text = format!(
            "The role {} is a mandatory role and can't be revoked or dropped. The restriction can be lifted by \
             excluding the role identifier from the global variable mandatory_roles.",
            quoted_id(role)
        );
        Err(SqlError::new(3628, text))
    }

    fn need_one_of(&self, shown: &str, privileges: &[&str]) -> SqlResult<()> {
        let met = privileges.iter().any(|name| self.need_global(shown, name).is_ok());
        if met { Ok(()) } else { Err(access::need_global(shown)) }
    }

    /// CREATE ROLE: an account that nobody can log in as.
    async fn create_roles(&mut self, roles: &[AccountName], if_not_exists: bool) -> SqlResult<()> {
        self.need_one_of("CREATE USER, CREATE ROLE", &["CREATE USER", "CREATE ROLE"])?;
        let catalog = self.host.node.catalog();
        let (mut made, mut existing) = (Vec::new(), Vec::new());
        for name in roles {
            let AccountId { user, host } = self.account_id(name);
            let twice = made.iter().any(|role: &Account| role.user == user && role.host == host);
            if twice || self.account_named(&catalog, name).is_some() {
                existing.push(shown(&user, &host));
                continue;
            }
            let mut role = Account::new(&user, &host, AuthPlugin::CachingSha2.name(), Vec::new());
            role.locked = true;
            role.expired = true;
            made.push(role);
        }
        if !existing.is_empty() && !if_not_exists {
            return Err(failed("CREATE ROLE", &existing));
        }
        for name in &existing {
            self.state.warnings.note(3163, format!("Authorization ID {name} already exists."));
        }
        self.put_accounts(&catalog, made).await
    }

    /// Error 1227 unless the session may give and take a role.
    fn may_pass_on(&self, catalog: &Catalog, role: &AccountId) -> SqlResult<()> {
        const NEEDED: &str = "WITH ADMIN, ROLE_ADMIN, SUPER";
        if self.need_global(NEEDED, "ROLE_ADMIN").is_ok() {
            return Ok(());
        }
        let Some(identity) = &self.state.identity else { return Ok(()) };
        let administers =
            |account: &Account| account.roles.iter().any(|grant| grant.admin_option && grant.role == *role);
        let active = catalog.roles_within(&identity.active);
        if administers(&identity.account) || active.iter().any(|account| administers(account)) {
            return Ok(());
        }
        Err(access::need_global(NEEDED))
    }

    /// Roles by name that exist and that the session may give.
    ///
    /// # Errors
    /// 3523, 1227.
    pub(crate) fn roles_to_give(
        &self,
        catalog: &Catalog,
        names: &[AccountName],
    ) -> SqlResult<Vec<AccountId>> {
        let ids: Vec<AccountId> = names.iter().map(|name| self.account_id(name)).collect();
        ids.iter().try_for_each(|role| self.may_pass_on(catalog, role))?;
        match ids.iter().find(|role| catalog.role(role).is_none()) {
            Some(missing) => Err(unknown_id(missing)),
            None => Ok(ids),
        }
    }

    async fn grant_roles(
        &mut self,
        roles: &[AccountName],
        accounts: &[AccountName],
        admin_option: bool,
    ) -> SqlResult<()> {
        let catalog = self.host.node.catalog();
        let roles = self.roles_to_give(&catalog, roles)?;
        let mut changed = Vec::new();
        for name in accounts {
            let id = self.account_id(name);
            let account = self.account_named(&catalog, name).ok_or_else(|| unknown_id(&id))?;
            let mut account = Account::clone(&account);
            for role in &roles {
                if catalog.would_loop(role, &id) {
                    let text = format!(
                        "User account {} is directly or indirectly granted to the role {}. The GRANT would create a \
                         loop",
                        quoted_id(&id),
                        quoted_id(role)
                    );
                    return Err(SqlError::new(4027, text));
                }
                match account.roles.iter_mut().find(|grant| grant.role == *role) {
                    Some(grant) => grant.admin_option |= admin_option,
                    None => account.roles.push(RoleGrant { role: role.clone(), admin_option }),
                }
            }
            account.roles.sort_by(|a, b| a.role.cmp(&b.role));
            changed.push(account);
        }
        self.put_accounts(&catalog, changed).await
    }

    async fn revoke_roles(
        &mut self,
        roles: &[AccountName],
        accounts: &[AccountName],
        if_exists: bool,
        ignore_unknown: bool,
    ) -> SqlResult<()> {
        let catalog = self.host.node.catalog();
        let mut taken = Vec::new();
        for name in roles {
            let role = self.account_id(name);
            self.may_pass_on(&catalog, &role)?;
            self.refuse_mandatory(&role)?;
            match catalog.role(&role) {
                Some(_) => taken.push(role),
                None => self.tolerate(if_exists, unknown_id(&role))?,
            }
        }
        let mut changed = Vec::new();
        for name in accounts {
            let Some(account) = self.account_named(&catalog, name) else {
                self.tolerate(ignore_unknown, unknown_id(&self.account_id(name)))?;
                continue;
            };
            let mut account = Account::clone(&account);
            account.roles.retain(|grant| !taken.contains(&grant.role));
            account.default_roles.retain(|role| !taken.contains(role));
            changed.push(account);
        }
        self.put_accounts(&catalog, changed).await
    }

    /// The roles that are meant, out of those that an account has.
    fn chosen(&self, catalog: &Catalog, account: &Account, choice: &RoleChoice) -> SqlResult<Vec<AccountId>> {
        let granted = self.granted_roles(catalog, account);
        let ids = |names: &[AccountName]| -> Vec<AccountId> {
            names.iter().map(|name| self.account_id(name)).collect()
        };
        let mut listed = match choice {
            RoleChoice::None => Vec::new(),
            RoleChoice::All => granted.clone(),
            RoleChoice::AllExcept(names) => {
                let left_out = ids(names);
                granted.iter().filter(|role| !left_out.contains(role)).cloned().collect()
            }
            RoleChoice::Default => account.default_roles.clone(),
            RoleChoice::Listed(names) => ids(names),
        };
        if let Some(missing) = listed.iter().find(|role| !granted.contains(role)) {
            return Err(not_granted(missing, &account.id()));
        }
        listed.sort();
        listed.dedup();
        Ok(listed)
    }

    fn set_role(&mut self, choice: &RoleChoice) -> SqlResult<()> {
        let Some(identity) = &self.state.identity else { return Ok(()) };
        let catalog = self.host.node.catalog();
        let active = self.chosen(&catalog, &identity.account, choice)?;
        self.activate(&catalog, active);
        Ok(())
    }

    async fn set_default_roles(&mut self, choice: &RoleChoice, accounts: &[AccountName]) -> SqlResult<()> {
        let catalog = self.host.node.catalog();
        if let RoleChoice::Listed(names) = choice {
            let mut ids = names.iter().map(|name| self.account_id(name));
            if let Some(missing) = ids.find(|role| catalog.role(role).is_none()) {
                return Err(unknown_id(&missing));
            }
        }
        let mut changed = Vec::new();
        for name in accounts {
            let id = self.account_id(name);
            if !self.is_own(&id.user, &id.host) {
                self.need_global("CREATE USER", "CREATE USER")?;
            }
            let account = self.account_named(&catalog, name).ok_or_else(|| unknown_id(&id))?;
            let default_roles = self.chosen(&catalog, &account, choice)?;
            changed.push(Account { default_roles, ..Account::clone(&account) });
        }
        self.put_accounts(&catalog, changed).await
    }
}
