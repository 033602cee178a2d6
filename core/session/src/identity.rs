//! Who a session is and what it may do, kept up with the catalog.
//!
//! Rights are worked out at the login and again when a statement meets a catalog in which accounts have changed;
//! otherwise a statement compares one number. A GRANT or REVOKE of somebody else is so in force with the next
//! statement, as MySQL has it for tables and columns (MySQL 8.0 Reference Manual, 6.2.13). Whose account was dropped
//! keeps what he has until he leaves.

use std::rc::Rc;
use std::sync::Arc;

use aquifer_catalog::{Account, AccountId, Catalog, Rights};
use aquifer_sql::WithinView;
use aquifer_sql::ast::{Statement, TableName};
use aquifer_sql::virtual_tables;
use aquifer_types::{Lsn, SqlError, SqlResult};

use crate::access::{self, Requirement};
use crate::roles::quoted_id;
use crate::session::Session;
use crate::state::{Identity, NO_ROLE};
use crate::statement::{ReadyStatement, ViewNeeds};
use crate::variables::ids;

impl Session {
    /// Somebody who has just come in, with the roles that a login makes active.
    pub(crate) fn identity_of(&self, host: String, account: &Arc<Account>) -> Identity {
        let catalog = self.host.node.catalog();
        let granted = self.granted_roles(&catalog, account);
        let all = self.host.registry.globals().get(ids::ACTIVATE_ALL_ROLES_ON_LOGIN).is_on();
        let is_default = |role: &AccountId| all || account.default_roles.contains(role);
        let active: Vec<AccountId> = granted.into_iter().filter(is_default).collect();
        Identity {
            host,
            account: Arc::clone(account),
            rights: catalog.rights(account, &active),
            active,
            seen: catalog.version(),
            accounts: catalog.accounts_version(),
        }
    }

    /// Takes over what has changed in accounts; `catalog` is the version that a statement was planned by. In a
    /// transaction that is the one it began with, and the newest is looked at.
    pub(crate) fn renew_rights(&mut self, catalog: Lsn) {
        let newest =
            if self.state.transaction.is_some() { self.host.node.catalog_version() } else { catalog };
        let Some(identity) = &mut self.state.identity else { return };
        if identity.seen == newest {
            return;
        }
        identity.seen = newest;
        let catalog = self.host.node.catalog();
        if identity.accounts == catalog.accounts_version() {
            return;
        }
        identity.accounts = catalog.accounts_version();
        let Some(account) = catalog.account(&identity.account.user, &identity.account.host) else { return };
        identity.account = Arc::clone(account);
        let active = std::mem::take(&mut identity.active);
        let granted = self.granted_roles(&catalog, account);
        self.activate(&catalog, active.into_iter().filter(|role| granted.contains(role)).collect());
    }

    /// Makes roles active that the session's account has.
    pub(crate) fn activate(&mut self, catalog: &Catalog, active: Vec<AccountId>) {
        let Some(identity) = &mut self.state.identity else { return };
        identity.rights = catalog.rights(&identity.account, &active);
        identity.active = active;
        self.note_roles();
    }

    /// Takes the active roles over to CURRENT_ROLE().
    pub(crate) fn note_roles(&mut self) {
        let Some(identity) = &self.state.identity else { return };
        let names: Vec<String> = identity.active.iter().map(quoted_id).collect();
        let shown = if names.is_empty() { NO_ROLE.to_owned() } else { names.join(",") };
        if self.state.facts.current_role != shown {
            Rc::make_mut(&mut self.state.facts).current_role = shown;
        }
    }

    /// Checks what a statement needs.
    ///
    /// # Errors
    /// As [`access::check`]; 1356 and 1449 for what views read.
    pub(crate) fn check_access(&self, statement: &ReadyStatement) -> SqlResult<()> {
        let Some(identity) = &self.state.identity else { return Ok(()) };
        access::check(identity, &statement.requirements)?;
        statement.view_needs.iter().try_for_each(|needs| self.check_view_needs(identity, needs))
    }

    /// Whether the one with whose rights a view reads its tables has them.
    fn check_view_needs(&self, identity: &Identity, needs: &ViewNeeds) -> SqlResult<()> {
        // A definer has his default roles, whatever the session has made active.
        let own = |id: &str| {
            let account = &identity.account;
            id.rsplit_once('@') == Some((&account.user, &account.host))
                && identity.active == account.default_roles
        };
        let allowed = match &needs.within.definer {
            Some(definer) if !own(definer) => {
                let rights = rights_of_definer(&self.host.node.catalog(), definer)?;
                access::has_all(&rights, &needs.requirements)
            }
            _ => access::has_all(&identity.rights, &needs.requirements),
        };
        if allowed { Ok(()) } else { Err(invalid_view(&needs.within)) }
    }
}

impl Session {
    /// Error 1142 unless all these privileges are there on a table, or on a column of it.
    ///
    /// # Errors
    /// 1142.
    pub(crate) fn need_on_table(&self, name: &TableName, privileges: &[&'static str]) -> SqlResult<()> {
        let (Some(identity), Some(schema)) =
            (&self.state.identity, name.schema.as_deref().or(self.state.database()))
        else {
            return Ok(());
        };
        let is_ours =
            matches!(virtual_tables::schema_name(schema), Some("information_schema" | "performance_schema"));
        if is_ours || self.is_temporary(schema, &name.name) {
            return Ok(());
        }
        let has = identity.rights.on_any_column(schema, &name.name);
        let lacks = privileges.iter().filter(|name| !has.contains(access::privilege(name)));
        let lacks: Vec<&str> = lacks.copied().collect();
        if lacks.is_empty() { Ok(()) } else { Err(access::no_table(identity, &lacks.join(", "), &name.name)) }
    }

    /// What a view with another definer needs: its query will be run with that account's rights.
    pub(crate) fn definer_requirement(&self, statement: &Statement) -> Option<Requirement> {
        let Statement::CreateView(create) = statement else { return None };
        let (definer, identity) = (create.definer.as_ref()?, self.state.identity.as_ref()?);
        let own = (&*identity.account.user, &*identity.account.host);
        let may = ["SUPER", "SET_USER_ID"].map(access::privilege);
        let allowed = may.into_iter().any(|privilege| identity.rights.global.contains(privilege));
        (definer.rsplit_once('@') != Some(own) && !allowed)
            .then(|| Requirement::global("SUPER", "SUPER or SET_USER_ID"))
    }
}

/// What the definer of a view may do.
fn rights_of_definer(catalog: &Catalog, definer: &str) -> SqlResult<Rights> {
    let (user, host) = definer.rsplit_once('@').unwrap_or((definer, "%"));
    if let Some(account) = catalog.account(user, host) {
        return Ok(catalog.rights(account, &account.default_roles));
    }
    let root = access::first_root();
    if catalog.accounts().next().is_none() && root.user == user && root.host == host {
        return Ok(Rights::of(&root));
    }
    let text = format!("The user specified as a definer ('{user}'@'{host}') does not exist");
    Err(SqlError::new(1449, text))
}

fn invalid_view(within: &WithinView) -> SqlError {
    let text = format!(
        "View '{}.{}' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack \
         rights to use them",
        within.schema, within.view
    );
    SqlError::new(1356, text)
}
