//! Which statement it is.

use aquifer_types::SqlResult;

use super::Parser;
use super::lexer::Kind;
use crate::ast::{
    AstExpr, DropDatabase, DropIndex, DropTable, Explain, ExplainFormat, ExplainTarget, IndexDefKind,
    InsertMode, IsolationLevel, Statement, TableName, TransactionCharacteristics, TransactionStatement,
};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> SqlResult<Statement> {
        if self.is("WITH") {
            let with = Some(self.with_clause()?);
            return match (self.eat("UPDATE"), self.eat("DELETE")) {
                (true, _) => self.update(with),
                (_, true) => self.delete(with),
                _ => Ok(Statement::Query(Box::new(self.query_after(with)?))),
            };
        }
        if self.is_query_start() {
            return Ok(Statement::Query(Box::new(self.query()?)));
        }
        if self.token().kind != Kind::Word {
            return self.fail();
        }
        let word = self.slice(self.token()).to_ascii_uppercase();
        self.at += 1;
        match word.as_str() {
            "INSERT" => self.insert(InsertMode::Insert),
            "REPLACE" => self.insert(InsertMode::Replace),
            "UPDATE" => self.update(None),
            "DELETE" => self.delete(None),
            "SET" => self.set(),
            "SHOW" => self.show(),
            "USE" => Ok(Statement::Use(self.identifier()?)),
            "CREATE" => self.create(),
            "ALTER" => self.alter(),
            "DROP" => self.drop(),
            "TRUNCATE" => {
                self.eat("TABLE");
                Ok(Statement::Truncate(self.table_name()?))
            }
            "RENAME" => self.rename(),
            "DO" => Ok(Statement::Do(self.list(Self::expr)?)),
            "EXPLAIN" | "DESCRIBE" | "DESC" => self.explain(),
            "PREPARE" | "EXECUTE" | "DEALLOCATE" => self.prepared(&word),
            "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => self.transaction(&word),
            "XA" => self.xa(),
            _ => self.admin(&word),
        }
    }

    fn rename(&mut self) -> SqlResult<Statement> {
        if self.eat("USER") {
            return self.rename_user();
        }
        if !self.eat("TABLES") {
            self.expect("TABLE")?;
        }
        self.rename_table()
    }

    fn create(&mut self) -> SqlResult<Statement> {
        if self.eat("TEMPORARY") {
            self.expect("TABLE")?;
            return self.create_table(true);
        }
        if self.eat("TABLE") {
            return self.create_table(false);
        }
        if self.eat("DATABASE") || self.eat("SCHEMA") {
            return Ok(Statement::CreateDatabase(self.database_def()?));
        }
        for (word, kind) in [
            ("UNIQUE", IndexDefKind::Unique),
            ("FULLTEXT", IndexDefKind::Fulltext),
            ("SPATIAL", IndexDefKind::Spatial),
        ] {
            if self.eat(word) {
                self.expect("INDEX")?;
                return self.create_index(kind);
            }
        }
        if self.eat("INDEX") {
            return self.create_index(IndexDefKind::Plain);
        }
        if self.eat("USER") {
            return self.create_user();
        }
        if self.eat("ROLE") {
            return self.create_role();
        }
        if let Some(view) = self.view(false)? {
            return Ok(view);
        }
        self.unsupported_object("CREATE")
    }

    /// CREATE, ALTER or DROP of what Aquifer does not have.
    fn unsupported_object(&mut self, verb: &'static str) -> SqlResult<Statement> {
        const OBJECTS: [(&str, &str, &str, &str); 10] = [
            ("VIEW", "CREATE VIEW", "ALTER VIEW", "DROP VIEW"),
            ("PROCEDURE", "CREATE PROCEDURE", "ALTER PROCEDURE", "DROP PROCEDURE"),
            ("FUNCTION", "CREATE FUNCTION", "ALTER FUNCTION", "DROP FUNCTION"),
            ("TRIGGER", "CREATE TRIGGER", "ALTER TRIGGER", "DROP TRIGGER"),
            ("EVENT", "CREATE EVENT", "ALTER EVENT", "DROP EVENT"),
            ("SERVER", "CREATE SERVER", "ALTER SERVER", "DROP SERVER"),
            ("TABLESPACE", "CREATE TABLESPACE", "ALTER TABLESPACE", "DROP TABLESPACE"),
            ("LOGFILE", "CREATE LOGFILE GROUP", "ALTER LOGFILE GROUP", "DROP LOGFILE GROUP"),
            ("INSTANCE", "CREATE INSTANCE", "ALTER INSTANCE", "DROP INSTANCE"),
            ("RESOURCE", "CREATE RESOURCE GROUP", "ALTER RESOURCE GROUP", "DROP RESOURCE GROUP"),
        ];
        // OR REPLACE, DEFINER = …, ALGORITHM = …, SQL SECURITY … come before the object.
        for ahead in 0..14 {
            for (word, create, alter, drop) in OBJECTS {
                if self.is_at(ahead, word) {
                    self.skip_rest();
                    return Ok(Statement::Unsupported(match verb {
                        "CREATE" => create,
                        "ALTER" => alter,
                        _ => drop,
                    }));
                }
            }
        }
        self.fail()
    }

    fn alter(&mut self) -> SqlResult<Statement> {
        if self.eat("TABLE") {
            return self.alter_table();
        }
        if self.eat("DATABASE") || self.eat("SCHEMA") {
            return Ok(Statement::AlterDatabase(self.database_def()?));
        }
        if self.eat("USER") {
            return self.alter_user();
        }
        if let Some(view) = self.view(true)? {
            return Ok(view);
        }
        self.unsupported_object("ALTER")
    }

    fn drop(&mut self) -> SqlResult<Statement> {
        if self.eat("DATABASE") || self.eat("SCHEMA") {
            let if_exists = self.if_exists();
            return Ok(Statement::DropDatabase(DropDatabase { if_exists, name: self.identifier()? }));
        }
        if self.eat("INDEX") {
            let name = self.identifier()?;
            self.expect("ON")?;
            let table = self.table_name()?;
            self.algorithm_and_lock()?;
            return Ok(Statement::DropIndex(DropIndex { table, name }));
        }
        if self.eat("USER") {
            return self.drop_user();
        }
        if self.eat("ROLE") {
            return self.drop_role();
        }
        let temporary = self.eat("TEMPORARY");
        let views = self.eat("VIEW");
        if views || self.eat("TABLE") || self.eat("TABLES") {
            let if_exists = self.if_exists();
            let names = self.list(Self::table_name)?;
            let _ = self.eat("RESTRICT") || self.eat("CASCADE");
            return Ok(Statement::DropTable(DropTable { temporary, if_exists, views, names }));
        }
        self.unsupported_object("DROP")
    }

    fn explain(&mut self) -> SqlResult<Statement> {
        let analyze = self.eat("ANALYZE");
        let mut format = ExplainFormat::Traditional;
        if self.eat("FORMAT") {
            self.expect_char(b'=')?;
            format = match self.any_identifier()?.to_ascii_uppercase().as_str() {
                "TREE" => ExplainFormat::Tree,
                "JSON" => ExplainFormat::Json,
                "TRADITIONAL" => ExplainFormat::Traditional,
                other => {
                    let text = format!("Unknown EXPLAIN format name: '{other}'");
                    return Err(aquifer_types::SqlError::new(1791, text));
                }
            };
        }
        let _ = self.eat("EXTENDED") || self.eat("PARTITIONS");
        let statement = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "TABLE", "VALUES"]
            .iter()
            .any(|word| self.is(word));
        let target = if !analyze && self.eat_all(&["FOR", "CONNECTION"]) {
            ExplainTarget::Connection(self.unsigned()?)
        } else if statement || self.is_char(b'(') {
            ExplainTarget::Statement(self.statement()?)
        } else {
            let name = self.table_name()?;
            let pattern = match self.token().kind {
                Kind::String => Some(self.string()?),
                Kind::Word | Kind::Quoted => Some(self.any_identifier()?),
                _ => None,
            };
            ExplainTarget::Table(name, pattern)
        };
        Ok(Statement::Explain(Box::new(Explain { target, format, analyze })))
    }

    fn prepared(&mut self, word: &str) -> SqlResult<Statement> {
        if word == "DEALLOCATE" {
            self.expect("PREPARE")?;
            return Ok(Statement::Deallocate(self.identifier()?));
        }
        let name = self.identifier()?;
        if word == "PREPARE" {
            self.expect("FROM")?;
            let source = match self.token().kind {
                Kind::String => AstExpr::Literal(crate::ast::Literal::String(self.string_bytes()?)),
                Kind::UserVariable => AstExpr::UserVariable(self.user_variable_name()?),
                _ => return self.fail(),
            };
            return Ok(Statement::Prepare { name, source });
        }
        let using = if self.eat("USING") { self.list(Self::user_variable_name)? } else { Vec::new() };
        Ok(Statement::Execute { name, using })
    }

    fn transaction(&mut self, word: &str) -> SqlResult<Statement> {
        let statement = match word {
            "BEGIN" => {
                self.eat("WORK");
                TransactionStatement::Begin(TransactionCharacteristics::default())
            }
            "START" => {
                if self.is("SLAVE") || self.is("REPLICA") || self.is("GROUP_REPLICATION") {
                    self.skip_rest();
                    return Ok(Statement::Unsupported("START REPLICA"));
                }
                self.expect("TRANSACTION")?;
                TransactionStatement::Begin(self.start_transaction()?)
            }
            "COMMIT" => {
                self.eat("WORK");
                let (chain, release) = self.completion();
                TransactionStatement::Commit { chain, release }
            }
            "ROLLBACK" => {
                self.eat("WORK");
                if self.eat("TO") {
                    self.eat("SAVEPOINT");
                    TransactionStatement::RollbackTo(self.identifier()?)
                } else {
                    let (chain, release) = self.completion();
                    TransactionStatement::Rollback { chain, release }
                }
            }
            "SAVEPOINT" => TransactionStatement::Savepoint(self.identifier()?),
            _ => {
                self.expect("SAVEPOINT")?;
                TransactionStatement::Release(self.identifier()?)
            }
        };
        Ok(Statement::Transaction(statement))
    }

    fn start_transaction(&mut self) -> SqlResult<TransactionCharacteristics> {
        let mut characteristics = TransactionCharacteristics::default();
        loop {
            if self.eat_all(&["WITH", "CONSISTENT", "SNAPSHOT"]) {
                characteristics.consistent_snapshot = true;
            } else if self.eat_all(&["READ", "ONLY"]) {
                characteristics.read_only = Some(true);
            } else if self.eat_all(&["READ", "WRITE"]) {
                characteristics.read_only = Some(false);
            } else {
                return Ok(characteristics);
            }
            self.eat_char(b',');
        }
    }

    /// `[AND [NO] CHAIN] [[NO] RELEASE]`.
    fn completion(&mut self) -> (bool, bool) {
        let chain = self.eat_all(&["AND", "CHAIN"]);
        if !chain {
            self.eat_all(&["AND", "NO", "CHAIN"]);
        }
        let release = self.eat("RELEASE");
        if !release {
            self.eat_all(&["NO", "RELEASE"]);
        }
        (chain, release)
    }

    /// After SET [scope] TRANSACTION.
    pub(super) fn transaction_characteristics(&mut self) -> SqlResult<TransactionCharacteristics> {
        let mut characteristics = TransactionCharacteristics::default();
        loop {
            if self.eat_all(&["ISOLATION", "LEVEL"]) {
                characteristics.isolation = Some(self.isolation_level()?);
            } else if self.eat_all(&["READ", "ONLY"]) {
                characteristics.read_only = Some(true);
            } else if self.eat_all(&["READ", "WRITE"]) {
                characteristics.read_only = Some(false);
            } else {
                return self.fail();
            }
            if !self.eat_char(b',') {
                return Ok(characteristics);
            }
        }
    }

    fn isolation_level(&mut self) -> SqlResult<IsolationLevel> {
        for (words, level) in [
            (&["READ", "UNCOMMITTED"][..], IsolationLevel::ReadUncommitted),
            (&["READ", "COMMITTED"], IsolationLevel::ReadCommitted),
            (&["REPEATABLE", "READ"], IsolationLevel::RepeatableRead),
            (&["SERIALIZABLE"], IsolationLevel::Serializable),
        ] {
            if self.eat_all(words) {
                return Ok(level);
            }
        }
        self.fail()
    }

    /// A table name for SHOW: `t`, `d.t`, or `t FROM d`.
    pub(super) fn table_from_database(&mut self) -> SqlResult<TableName> {
        let mut name = self.table_name()?;
        if self.eat("FROM") || self.eat("IN") {
            name.schema = Some(self.identifier()?);
        }
        Ok(name)
    }
}
