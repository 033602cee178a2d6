//! Accounts, KILL, FLUSH, LOCK TABLES, maintenance, and what is refused by name.

use aquifer_types::SqlResult;

use super::Parser;
use super::lexer::Kind;
use crate::ast::{
    AccountName, AccountOptions, AdminStatement, Flush, Grant, GrantTarget, GrantedPrivilege, LockTables,
    Statement, TableMaintenance, TableName,
};

fn admin(statement: AdminStatement) -> SqlResult<Statement> {
    Ok(Statement::Admin(Box::new(statement)))
}

impl Parser<'_> {
    /// After the first word of a statement that is none of the common ones.
    pub(super) fn admin(&mut self, word: &str) -> SqlResult<Statement> {
        match word {
            "KILL" => self.kill(),
            "FLUSH" => self.flush(),
            "LOCK" => self.lock_tables(),
            "UNLOCK" => {
                if !self.eat("TABLES") && !self.eat("TABLE") {
                    self.expect("INSTANCE")?;
                }
                admin(AdminStatement::UnlockTables)
            }
            "GRANT" => self.grant(false),
            "REVOKE" => self.grant(true),
            "ANALYZE" => self.maintenance("analyze"),
            "CHECK" => self.maintenance("check"),
            "OPTIMIZE" => self.maintenance("optimize"),
            "REPAIR" => self.maintenance("repair"),
            "CHECKSUM" => self.maintenance("checksum"),
            "LOAD" => self.load(),
            "RESET" => {
                let words = self.rest_upper();
                admin(AdminStatement::Reset(words))
            }
            _ => self.unsupported(word),
        }
    }

    fn unsupported(&mut self, word: &str) -> SqlResult<Statement> {
        const KNOWN: [&str; 19] = [
            "CALL",
            "HANDLER",
            "SIGNAL",
            "RESIGNAL",
            "GET",
            "BINLOG",
            "CACHE",
            "CHANGE",
            "STOP",
            "PURGE",
            "INSTALL",
            "UNINSTALL",
            "CLONE",
            "SHUTDOWN",
            "RESTART",
            "HELP",
            "IMPORT",
            "DECLARE",
            "RETURN",
        ];
        match KNOWN.iter().find(|known| **known == word) {
            Some(known) => {
                self.skip_rest();
                Ok(Statement::Unsupported(known))
            }
            None => {
                self.at -= 1;
                self.fail()
            }
        }
    }

    fn rest_upper(&mut self) -> String {
        let mut words = Vec::new();
        while !self.at_end() {
            let token = self.advance();
            words.push(self.slice(token).to_ascii_uppercase());
        }
        words.join(" ")
    }

    fn kill(&mut self) -> SqlResult<Statement> {
        let query_only = self.eat("QUERY");
        if !query_only {
            self.eat("CONNECTION");
        }
        admin(AdminStatement::Kill { query_only, connection: self.unsigned()? })
    }

    fn flush(&mut self) -> SqlResult<Statement> {
        let _ = self.eat("NO_WRITE_TO_BINLOG") || self.eat("LOCAL");
        let words = self.rest_upper();
        if words.starts_with("TABLE") && words.ends_with("WITH READ LOCK") {
            return admin(AdminStatement::Flush(Flush::TablesWithReadLock));
        }
        if words.is_empty() {
            return self.fail();
        }
        admin(AdminStatement::Flush(Flush::Other(words)))
    }

    fn lock_tables(&mut self) -> SqlResult<Statement> {
        if self.eat("INSTANCE") {
            self.skip_rest();
            return Ok(Statement::Unsupported("LOCK INSTANCE"));
        }
        if !self.eat("TABLES") {
            self.expect("TABLE")?;
        }
        let tables = self.list(|parser| {
            let name = parser.table_name()?;
            let explicit = parser.eat("AS");
            if explicit || !parser.is("READ") && !parser.is("WRITE") && !parser.is("LOW_PRIORITY") {
                parser.identifier()?;
            }
            parser.eat("LOW_PRIORITY");
            if parser.eat("READ") {
                parser.eat("LOCAL");
                return Ok((name, false));
            }
            parser.expect("WRITE")?;
            Ok((name, true))
        })?;
        admin(AdminStatement::LockTables(LockTables(tables)))
    }

    fn maintenance(&mut self, operation: &'static str) -> SqlResult<Statement> {
        let _ = self.eat("NO_WRITE_TO_BINLOG") || self.eat("LOCAL");
        if !self.eat("TABLES") {
            self.expect("TABLE")?;
        }
        let tables = self.list(Self::table_name)?;
        self.skip_rest();
        admin(AdminStatement::Maintenance(TableMaintenance { operation, tables }))
    }

    /// `user@host`, `'user'@'host'` or CURRENT_USER.
    pub(super) fn account_name(&mut self) -> SqlResult<AccountName> {
        if self.eat("CURRENT_USER") {
            if self.eat_char(b'(') {
                self.expect_char(b')')?;
            }
            return Ok(AccountName { user: None, host: String::new() });
        }
        let user = self.name_or_string()?;
        let mut host = "%".to_owned();
        if self.token().kind == Kind::UserVariable {
            host = self.user_variable_name()?;
        }
        Ok(AccountName { user: Some(user), host })
    }

    fn account_with_options(&mut self) -> SqlResult<(AccountName, AccountOptions)> {
        let name = if self.eat("USER") {
            self.expect_char(b'(')?;
            self.expect_char(b')')?;
            AccountName { user: None, host: String::new() }
        } else {
            self.account_name()?
        };
        let mut options = AccountOptions::default();
        if self.eat("IDENTIFIED") {
            if self.eat("WITH") {
                options.plugin = Some(self.name_or_string()?);
            }
            if self.eat("BY") {
                self.eat("PASSWORD");
                options.password = Some(self.string()?);
                if self.eat("REPLACE") {
                    self.string()?;
                }
                self.eat_all(&["RETAIN", "CURRENT", "PASSWORD"]);
            } else if self.eat("AS") {
                options.credential = Some(match self.token().kind {
                    Kind::Hex => self.radix_bytes()?,
                    _ => self.string_bytes()?,
                });
            }
        }
        Ok((name, options))
    }

    /// REQUIRE, WITH limits, PASSWORD, ACCOUNT, COMMENT after the accounts.
    fn account_tail(&mut self, accounts: &mut [(AccountName, AccountOptions)]) -> SqlResult<()> {
        while !self.at_end() {
            if self.eat_all(&["ACCOUNT", "LOCK"]) {
                accounts.iter_mut().for_each(|(_, options)| options.locked = Some(true));
            } else if self.eat_all(&["ACCOUNT", "UNLOCK"]) {
                accounts.iter_mut().for_each(|(_, options)| options.locked = Some(false));
            } else if self.eat_all(&["PASSWORD", "EXPIRE"]) {
                let later = self.eat("NEVER") || self.eat("DEFAULT") || self.eat("INTERVAL");
                if later {
                    while matches!(self.token().kind, Kind::Integer) || self.is("DAY") {
                        self.at += 1;
                    }
                } else {
                    accounts.iter_mut().for_each(|(_, options)| options.expired = Some(true));
                }
            } else if self.is("REQUIRE")
                || self.is("WITH")
                || self.is("PASSWORD")
                || self.is("COMMENT")
                || self.is("ATTRIBUTE")
                || self.is("FAILED_LOGIN_ATTEMPTS")
                || self.is("PASSWORD_LOCK_TIME")
            {
                self.at += 1;
                while !self.at_end() && !self.is("ACCOUNT") && !self.is("PASSWORD") {
                    self.at += 1;
                }
            } else {
                return self.fail();
            }
        }
        Ok(())
    }

    pub(super) fn create_user(&mut self) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists();
        let mut accounts = self.list(Self::account_with_options)?;
        let default_roles =
            if self.eat_all(&["DEFAULT", "ROLE"]) { self.list(Self::role_name)? } else { Vec::new() };
        self.account_tail(&mut accounts)?;
        admin(AdminStatement::CreateUser { if_not_exists, accounts, default_roles })
    }

    pub(super) fn alter_user(&mut self) -> SqlResult<Statement> {
        let if_exists = self.if_exists();
        let mut accounts = self.list(Self::account_with_options)?;
        if let [(account, options)] = &*accounts
            && *options == AccountOptions::default()
            && self.eat_all(&["DEFAULT", "ROLE"])
        {
            return self.alter_default_role(account.clone());
        }
        self.account_tail(&mut accounts)?;
        admin(AdminStatement::AlterUser { if_exists, accounts })
    }

    pub(super) fn drop_user(&mut self) -> SqlResult<Statement> {
        let if_exists = self.if_exists();
        admin(AdminStatement::DropUser { if_exists, accounts: self.list(Self::account_name)? })
    }

    pub(super) fn rename_user(&mut self) -> SqlResult<Statement> {
        let pairs = self.list(|parser| {
            let old = parser.account_name()?;
            parser.expect("TO")?;
            Ok((old, parser.account_name()?))
        })?;
        admin(AdminStatement::RenameUser(pairs))
    }

    fn grant(&mut self, revoke: bool) -> SqlResult<Statement> {
        let if_exists = revoke && self.if_exists();
        if let Some(roles) = self.granted_roles(if revoke { "FROM" } else { "TO" }) {
            return if revoke { self.revoke_roles(roles, if_exists) } else { self.grant_roles(roles) };
        }
        let mut grant_option = false;
        let mut privileges = self.list(Self::privilege)?;
        privileges.retain(|privilege| {
            let is_option = privilege.name == "GRANT OPTION";
            grant_option |= is_option;
            !is_option
        });
        let target = if self.eat("ON") {
            self.grant_target()?
        } else if revoke && grant_option {
            GrantTarget::Everything
        } else {
            return self.fail();
        };
        self.expect(if revoke { "FROM" } else { "TO" })?;
        let accounts = self.list(Self::account_with_options)?;
        let ignore_unknown = revoke && self.eat_all(&["IGNORE", "UNKNOWN", "USER"]);
        if self.eat("WITH") {
            grant_option |= self.eat_all(&["GRANT", "OPTION"]);
            self.skip_rest();
        } else if self.is("AS") || self.is("REQUIRE") {
            self.skip_rest();
        }
        admin(AdminStatement::Grant(Grant {
            revoke,
            if_exists,
            ignore_unknown,
            privileges,
            target,
            accounts,
            grant_option,
        }))
    }

    /// One privilege: words up to a comma, a list of columns, ON, TO or FROM.
    fn privilege(&mut self) -> SqlResult<GrantedPrivilege> {
        let mut words = Vec::new();
        while self.token().kind == Kind::Word && !["ON", "TO", "FROM"].iter().any(|word| self.is(word)) {
            let token = self.advance();
            words.push(self.slice(token).to_ascii_uppercase());
        }
        if words.is_empty() {
            return self.fail();
        }
        if words[0] == "ALL" {
            words.truncate(1);
        }
        let name = words.join(" ");
        let on_columns = ["SELECT", "INSERT", "UPDATE", "REFERENCES"].contains(&&*name);
        let mut columns = Vec::new();
        if on_columns && self.eat_char(b'(') {
            columns = self.list(Self::any_identifier)?;
            self.expect_char(b')')?;
        }
        Ok(GrantedPrivilege { name, columns })
    }

    fn grant_target(&mut self) -> SqlResult<GrantTarget> {
        if self.eat("PROCEDURE") || self.eat("FUNCTION") {
            self.table_name()?;
            return Ok(GrantTarget::Routine);
        }
        self.eat("TABLE");
        if self.eat_char(b'*') {
            if self.eat_char(b'.') {
                self.expect_char(b'*')?;
                return Ok(GrantTarget::Global);
            }
            return Ok(GrantTarget::Database(None));
        }
        let first = self.identifier()?;
        if !self.eat_char(b'.') {
            return Ok(GrantTarget::Table(TableName { schema: None, name: first }));
        }
        if self.eat_char(b'*') {
            return Ok(GrantTarget::Database(Some(first)));
        }
        Ok(GrantTarget::Table(TableName { schema: Some(first), name: self.any_identifier()? }))
    }
}
