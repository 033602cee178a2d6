//! Which roles an account has through which, and what it may do with them.

use std::sync::Arc;

use crate::account::{Account, AccountId};
use crate::rights::Rights;
use crate::snapshot::Catalog;

impl Catalog {
    /// The account or role of a name.
    #[must_use]
    pub fn role(&self, id: &AccountId) -> Option<&Arc<Account>> {
        self.account(&id.user, &id.host)
    }

    /// These roles and those that they have, each once; what does not exist is left out.
    #[must_use]
    pub fn roles_within<'a>(&self, start: impl IntoIterator<Item = &'a AccountId>) -> Vec<&Arc<Account>> {
        let mut found: Vec<&Arc<Account>> = start.into_iter().filter_map(|id| self.role(id)).collect();
        let mut at = 0;
        while let Some(account) = found.get(at) {
            at += 1;
            for grant in &account.roles {
                let is_known =
                    |known: &&Arc<Account>| known.user == grant.role.user && known.host == grant.role.host;
                if let Some(role) = self.role(&grant.role).filter(|_| !found.iter().any(is_known)) {
                    found.push(role);
                }
            }
        }
        found
    }

    /// Whether giving a role to an account would make it a role of itself.
    #[must_use]
    pub fn would_loop(&self, role: &AccountId, account: &AccountId) -> bool {
        self.roles_within([role]).iter().any(|found| found.id() == *account)
    }

    /// What an account may do with these roles active.
    #[must_use]
    pub fn rights(&self, account: &Account, active: &[AccountId]) -> Rights {
        let mut rights = Rights::of(account);
        for role in self.roles_within(active) {
            rights.add(role);
        }
        rights
    }
}
