//! SET.

use aquifer_types::SqlResult;

use super::Parser;
use super::lexer::{Kind, Op};
use crate::ast::{AstExpr, Literal, SetItem, SetScope, SetStatement, Statement, VariableScope};

impl Parser<'_> {
    /// After SET.
    pub(super) fn set(&mut self) -> SqlResult<Statement> {
        let scoped =
            [("GLOBAL", SetScope::Global), ("SESSION", SetScope::Session), ("LOCAL", SetScope::Session)];
        for (word, scope) in scoped {
            if self.is(word) && self.is_at(1, "TRANSACTION") {
                self.at += 2;
                return Ok(Statement::Set(SetStatement::Transaction(
                    scope,
                    self.transaction_characteristics()?,
                )));
            }
        }
        if self.is("TRANSACTION") && (self.is_at(1, "ISOLATION") || self.is_at(1, "READ")) {
            self.at += 1;
            let characteristics = self.transaction_characteristics()?;
            return Ok(Statement::Set(SetStatement::Transaction(SetScope::Next, characteristics)));
        }
        if self.eat("PASSWORD") {
            return self.set_password();
        }
        if self.is("ROLE") && self.peek(1).kind != Kind::Char(b'=') {
            self.at += 1;
            return self.set_role();
        }
        if self.eat_all(&["DEFAULT", "ROLE"]) {
            return self.set_default_role();
        }
        Ok(Statement::Set(SetStatement::Variables(self.list(Self::set_item)?)))
    }

    fn set_password(&mut self) -> SqlResult<Statement> {
        let account = if self.eat("FOR") { Some(self.account_name()?) } else { None };
        self.expect_char(b'=')?;
        let wrapped = self.eat("PASSWORD");
        if wrapped {
            self.expect_char(b'(')?;
        }
        let password = self.string()?;
        if wrapped {
            self.expect_char(b')')?;
        }
        Ok(Statement::Set(SetStatement::Password(account, password)))
    }

    fn set_item(&mut self) -> SqlResult<SetItem> {
        if self.eat("NAMES") {
            if self.eat("DEFAULT") {
                return Ok(SetItem::Names(None));
            }
            let charset = self.name_or_string()?;
            let collation = if self.eat("COLLATE") { Some(self.name_or_string()?) } else { None };
            return Ok(SetItem::Names(Some((charset, collation))));
        }
        if self.eat_all(&["CHARACTER", "SET"]) || self.is("CHARSET") && self.peek(1).kind != Kind::Char(b'=')
        {
            self.eat("CHARSET");
            if self.eat("DEFAULT") {
                return Ok(SetItem::CharacterSet(None));
            }
            return Ok(SetItem::CharacterSet(Some(self.name_or_string()?)));
        }
        if self.token().kind == Kind::UserVariable {
            let name = self.user_variable_name()?;
            self.assignment_sign()?;
            return Ok(SetItem::User(name, self.expr()?));
        }
        let (scope, name) = self.set_target()?;
        self.assignment_sign()?;
        Ok(SetItem::System(scope, name, self.set_value()?))
    }

    fn set_target(&mut self) -> SqlResult<(VariableScope, String)> {
        if self.token().kind == Kind::SystemAt {
            return self.system_variable_name();
        }
        let scopes = [
            ("GLOBAL", VariableScope::Global),
            ("SESSION", VariableScope::Session),
            ("LOCAL", VariableScope::Session),
            ("PERSIST", VariableScope::Persist),
            ("PERSIST_ONLY", VariableScope::PersistOnly),
        ];
        let mut scope = VariableScope::Default;
        let next = self.peek(1).kind;
        if !matches!(next, Kind::Char(b'=') | Kind::Op(Op::Assign)) {
            for (word, known) in scopes {
                if self.eat(word) {
                    scope = known;
                    break;
                }
            }
        }
        let mut name = self.any_identifier()?;
        if self.eat_char(b'.') {
            name = format!("{name}.{}", self.any_identifier()?);
        }
        Ok((scope, name.to_ascii_lowercase()))
    }

    fn assignment_sign(&mut self) -> SqlResult<()> {
        if self.token().kind == Kind::Op(Op::Assign) {
            self.at += 1;
            return Ok(());
        }
        self.expect_char(b'=')
    }

    /// A value; a bare word such as ON, utf8mb4 or READ-COMMITTED's first part is a string.
    fn set_value(&mut self) -> SqlResult<Option<AstExpr>> {
        if self.is("DEFAULT") && self.peek(1).kind != Kind::Char(b'(') {
            self.at += 1;
            return Ok(None);
        }
        let token = self.token();
        let ends = matches!(self.peek(1).kind, Kind::End | Kind::Char(b','));
        let bare = token.kind == Kind::Word && ends;
        let constant = ["NULL", "TRUE", "FALSE"].iter().any(|word| self.is(word));
        if bare && !constant {
            self.at += 1;
            return Ok(Some(AstExpr::Literal(Literal::String(self.slice(token).as_bytes().to_vec()))));
        }
        Ok(Some(self.expr()?))
    }
}
