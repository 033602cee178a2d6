//! Roles.

use aquifer_types::SqlResult;

use super::Parser;
use super::lexer::Kind;
use crate::ast::{AccountName, AdminStatement, RoleChoice, RoleStatement, Statement};

fn role(statement: RoleStatement) -> SqlResult<Statement> {
    Ok(Statement::Admin(Box::new(AdminStatement::Role(statement))))
}

impl Parser<'_> {
    /// `role` or `role@host`; a role's name is no reserved word unless it is quoted.
    pub(super) fn role_name(&mut self) -> SqlResult<AccountName> {
        let user = match self.token().kind {
            Kind::String => self.string()?,
            _ => self.identifier()?,
        };
        let mut host = "%".to_owned();
        if self.token().kind == Kind::UserVariable {
            host = self.user_variable_name()?;
        }
        Ok(AccountName { user: Some(user), host })
    }

    /// After CREATE ROLE.
    pub(super) fn create_role(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists();
        role(RoleStatement::Create { if_not_exists, roles: self.list(Self::role_name)? })
    }

    /// After DROP ROLE.
    pub(super) fn drop_role(&mut self) -> SqlResult<Statement> {
        let if_exists = self.if_exists();
        role(RoleStatement::Drop { if_exists, roles: self.list(Self::role_name)? })
    }

    /// GRANT or REVOKE of roles: names, then `word` without ON between. `None` leaves all to the privileges.
    pub(super) fn granted_roles(&mut self, word: &str) -> Option<Vec<AccountName>> {
        let start = self.at;
        match self.list(Self::role_name) {
            Ok(roles) if self.eat(word) => Some(roles),
            _ => {
                self.at = start;
                None
            }
        }
    }

    /// After GRANT roles TO.
    pub(super) fn grant_roles(&mut self, roles: Vec<AccountName>) -> SqlResult<Statement> {
        let accounts = self.list(Self::account_name)?;
        let admin_option = self.eat_all(&["WITH", "ADMIN", "OPTION"]);
        role(RoleStatement::Grant { roles, accounts, admin_option })
    }

    /// After REVOKE roles FROM.
    pub(super) fn revoke_roles(&mut self, roles: Vec<AccountName>, if_exists: bool) -> SqlResult<Statement> {
        let accounts = self.list(Self::account_name)?;
        let ignore_unknown = self.eat_all(&["IGNORE", "UNKNOWN", "USER"]);
        role(RoleStatement::Revoke { if_exists, ignore_unknown, roles, accounts })
    }

    /// After SET ROLE.
    pub(super) fn set_role(&mut self) -> SqlResult<Statement> {
        if self.eat("DEFAULT") {
            return role(RoleStatement::Set(RoleChoice::Default));
        }
        let choice = match self.role_choice()? {
            RoleChoice::All if self.eat("EXCEPT") => RoleChoice::AllExcept(self.list(Self::role_name)?),
            choice => choice,
        };
        role(RoleStatement::Set(choice))
    }

    /// After SET DEFAULT ROLE.
    pub(super) fn set_default_role(&mut self) -> SqlResult<Statement> {
        let choice = self.role_choice()?;
        self.expect("TO")?;
        role(RoleStatement::SetDefault { choice, accounts: self.list(Self::account_name)? })
    }

    /// After ALTER USER account DEFAULT ROLE.
    pub(super) fn alter_default_role(&mut self, account: AccountName) -> SqlResult<Statement> {
        role(RoleStatement::SetDefault { choice: self.role_choice()?, accounts: vec![account] })
    }

    /// NONE, ALL or names.
    fn role_choice(&mut self) -> SqlResult<RoleChoice> {
        if self.eat("NONE") {
            return Ok(RoleChoice::None);
        }
        if self.eat("ALL") {
            return Ok(RoleChoice::All);
        }
        Ok(RoleChoice::Listed(self.list(Self::role_name)?))
    }
}
