//! Statements about roles.

use super::AccountName;

/// Which roles are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleChoice {
    /// None.
    None,
    /// All that the account has.
    All,
    /// All that it has but these.
    AllExcept(Vec<AccountName>),
    /// Its default roles.
    Default,
    /// These.
    Listed(Vec<AccountName>),
}

/// A statement about roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleStatement {
    /// CREATE ROLE.
    Create {
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// Roles.
        roles: Vec<AccountName>,
    },
    /// DROP ROLE.
    Drop {
        /// IF EXISTS.
        if_exists: bool,
        /// Roles.
        roles: Vec<AccountName>,
    },
    /// GRANT role TO account.
    Grant {
        /// Roles.
        roles: Vec<AccountName>,
        /// Who gets them.
        accounts: Vec<AccountName>,
        /// WITH ADMIN OPTION.
        admin_option: bool,
    },
    /// REVOKE role FROM account.
    Revoke {
        /// IF EXISTS: what is not there is a warning.
        if_exists: bool,
        /// IGNORE UNKNOWN USER.
        ignore_unknown: bool,
        /// Roles.
        roles: Vec<AccountName>,
        /// Who loses them.
        accounts: Vec<AccountName>,
    },
    /// SET ROLE.
    Set(RoleChoice),
    /// SET DEFAULT ROLE, ALTER USER … DEFAULT ROLE.
    SetDefault {
        /// Which, out of none, all and a list.
        choice: RoleChoice,
        /// Whose.
        accounts: Vec<AccountName>,
    },
}
