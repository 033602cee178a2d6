//! SHOW.

use aquifer_types::SqlResult;

use super::Parser;
use super::lexer::Kind;
use crate::ast::{Show, ShowFilter, Statement};

impl Parser<'_> {
    /// After SHOW.
    pub(super) fn show(&mut self) -> SqlResult<Statement> {
        let extended = self.eat("EXTENDED");
        let full = self.eat("FULL");
        let word = self.any_identifier()?.to_ascii_uppercase();
        let show = match word.as_str() {
            "DATABASES" | "SCHEMAS" => Show::Databases(self.show_filter()?),
            "TABLES" => {
                let database = self.show_database()?;
                Show::Tables { full, database, filter: self.show_filter()? }
            }
            "TABLE" if self.eat("STATUS") => {
                let database = self.show_database()?;
                Show::TableStatus { database, filter: self.show_filter()? }
            }
            "COLUMNS" | "FIELDS" => {
                self.from_or_in()?;
                let table = self.table_from_database()?;
                Show::Columns { full: full || extended, table, filter: self.show_filter()? }
            }
            "INDEX" | "INDEXES" | "KEYS" => {
                self.from_or_in()?;
                let table = self.table_from_database()?;
                Show::Index { table, filter: self.show_filter()? }
            }
            "CREATE" => self.show_create()?,
            "GLOBAL" | "SESSION" | "LOCAL" => self.show_scoped(word == "GLOBAL")?,
            "VARIABLES" => Show::Variables { global: false, filter: self.show_filter()? },
            "STATUS" => Show::Status { global: false, filter: self.show_filter()? },
            "WARNINGS" => Show::Warnings(self.show_limit()?),
            "ERRORS" => Show::Errors(self.show_limit()?),
            "COUNT" => self.show_count()?,
            "PROCESSLIST" => Show::Processlist { full },
            _ => return self.show_server(&word),
        };
        Ok(Statement::Show(Box::new(show)))
    }

    fn show_server(&mut self, word: &str) -> SqlResult<Statement> {
        let show = match word {
            "ENGINES" => Show::Engines,
            "STORAGE" if self.eat("ENGINES") => Show::Engines,
            "CHARSET" => Show::CharacterSet(self.show_filter()?),
            "CHARACTER" if self.eat("SET") => Show::CharacterSet(self.show_filter()?),
            "COLLATION" => Show::Collation(self.show_filter()?),
            "GRANTS" => {
                let account = if self.eat("FOR") { Some(self.account_name()?) } else { None };
                let using = if self.eat("USING") { self.list(Self::role_name)? } else { Vec::new() };
                Show::Grants(account.filter(|account| account.user.is_some()), using)
            }
            "PRIVILEGES" => Show::Privileges,
            "PLUGINS" => Show::Plugins,
            "TRIGGERS" => {
                let database = self.show_database()?;
                Show::Triggers { database, filter: self.show_filter()? }
            }
            "EVENTS" => {
                let database = self.show_database()?;
                Show::Events { database, filter: self.show_filter()? }
            }
            "PROCEDURE" if self.eat("STATUS") => Show::RoutineStatus("PROCEDURE", self.show_filter()?),
            "FUNCTION" if self.eat("STATUS") => Show::RoutineStatus("FUNCTION", self.show_filter()?),
            "OPEN" if self.eat("TABLES") => {
                self.show_database()?;
                Show::OpenTables(self.show_filter()?)
            }
            "MASTER" if self.eat("STATUS") => Show::MasterStatus,
            "MASTER" | "BINARY" if self.eat("LOGS") => Show::BinaryLogs,
            "BINARY" if self.eat_all(&["LOG", "STATUS"]) => Show::MasterStatus,
            "SLAVE" | "REPLICA" if self.eat("STATUS") => {
                self.skip_rest();
                Show::ReplicaStatus
            }
            "ALL" if self.eat_all(&["SLAVES", "STATUS"]) => Show::ReplicaStatus,
            "SLAVE" if self.eat("HOSTS") => Show::Replicas,
            "REPLICAS" => Show::Replicas,
            "ENGINE" => {
                let name = self.any_identifier()?;
                let _ = self.eat("STATUS") || self.eat("MUTEX") || self.eat("LOGS");
                Show::EngineStatus(name)
            }
            "AQUIFER" if self.eat_all(&["STORAGE", "COST"]) => Show::StorageCost,
            "PROFILES" => Show::Profiles,
            "PROFILE" => {
                self.skip_rest();
                Show::Profiles
            }
            _ => {
                self.at -= 1;
                return self.fail();
            }
        };
        Ok(Statement::Show(Box::new(show)))
    }

    fn show_scoped(&mut self, global: bool) -> SqlResult<Show> {
        if self.eat("VARIABLES") {
            return Ok(Show::Variables { global, filter: self.show_filter()? });
        }
        self.expect("STATUS")?;
        Ok(Show::Status { global, filter: self.show_filter()? })
    }

    fn show_create(&mut self) -> SqlResult<Show> {
        let word = self.any_identifier()?.to_ascii_uppercase();
        Ok(match word.as_str() {
            "TABLE" => Show::CreateTable(self.table_name()?),
            "VIEW" => Show::CreateView(self.table_name()?),
            "DATABASE" | "SCHEMA" => {
                let if_not_exists = self.if_not_exists();
                Show::CreateDatabase { if_not_exists, name: self.identifier()? }
            }
            "PROCEDURE" => Show::CreateRoutine("PROCEDURE", self.table_name()?),
            "FUNCTION" => Show::CreateRoutine("FUNCTION", self.table_name()?),
            "TRIGGER" => Show::CreateRoutine("TRIGGER", self.table_name()?),
            "EVENT" => Show::CreateRoutine("EVENT", self.table_name()?),
            "USER" => Show::CreateUser(Some(self.account_name()?).filter(|account| account.user.is_some())),
            _ => {
                self.at -= 1;
                return self.fail();
            }
        })
    }

    fn show_count(&mut self) -> SqlResult<Show> {
        self.expect_char(b'(')?;
        self.expect_char(b'*')?;
        self.expect_char(b')')?;
        let errors = self.eat("ERRORS");
        if !errors {
            self.expect("WARNINGS")?;
        }
        Ok(Show::DiagnosticsCount { errors })
    }

    fn show_limit(&mut self) -> SqlResult<Option<(u64, u64)>> {
        if !self.eat("LIMIT") {
            return Ok(None);
        }
        let first = self.unsigned()?;
        if self.eat_char(b',') {
            return Ok(Some((first, self.unsigned()?)));
        }
        Ok(Some((0, first)))
    }

    fn from_or_in(&mut self) -> SqlResult<()> {
        if self.eat("FROM") || self.eat("IN") { Ok(()) } else { self.fail() }
    }

    fn show_database(&mut self) -> SqlResult<Option<String>> {
        if self.eat("FROM") || self.eat("IN") { Ok(Some(self.identifier()?)) } else { Ok(None) }
    }

    fn show_filter(&mut self) -> SqlResult<ShowFilter> {
        if self.eat("LIKE") {
            if self.token().kind != Kind::String {
                return self.fail();
            }
            return Ok(ShowFilter::Like(self.string_bytes()?));
        }
        if self.eat("WHERE") {
            let from = self.at;
            let expr = self.expr()?;
            return Ok(ShowFilter::Where(expr, self.text_from(from).to_owned()));
        }
        Ok(ShowFilter::All)
    }
}
