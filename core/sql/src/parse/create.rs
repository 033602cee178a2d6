//! CREATE TABLE, CREATE DATABASE, CREATE INDEX and their parts.

use aquifer_types::{SqlError, SqlResult};

use super::Parser;
use super::lexer::Kind;
use crate::ast::{
    CheckDef, ColumnDef, CreateDatabase, CreateTable, DefaultDef, ForeignKeyDef, IndexDef, Statement,
    TableOption, TypeDef,
};

/// An entry of a table's definition.
pub(super) enum TableItem {
    Column(Box<ColumnDef>),
    Index(IndexDef),
    ForeignKey(ForeignKeyDef),
    Check(CheckDef),
}

impl Parser<'_> {
    /// After CREATE [TEMPORARY] TABLE.
    pub(super) fn create_table(&mut self, temporary: bool) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.table_name()?;
        let mut create = CreateTable {
            temporary,
            if_not_exists,
            name,
            like: None,
            columns: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            refused: None,
            options: Vec::new(),
            query: None,
        };
        if self.eat("LIKE") {
            create.like = Some(self.table_name()?);
            return Ok(Statement::CreateTable(Box::new(create)));
        }
        if self.is_char(b'(') && self.is_at(1, "LIKE") {
            self.at += 2;
            create.like = Some(self.table_name()?);
            self.expect_char(b')')?;
            return Ok(Statement::CreateTable(Box::new(create)));
        }
        if self.is_char(b'(') && !self.is_query_start() {
            for item in self.parenthesised(Self::table_item)? {
                match item {
                    TableItem::Column(column) => create.columns.push(*column),
                    TableItem::Index(index) => create.indexes.push(index),
                    TableItem::ForeignKey(key) => create.foreign_keys.push(key),
                    TableItem::Check(check) => create.checks.push(check),
                }
            }
        }
        create.options = self.table_options()?;
        if self.eat("PARTITION") {
            create.refused = Some("PARTITION BY");
            self.skip_rest();
        }
        let _ = self.eat("IGNORE") || self.eat("REPLACE");
        self.eat("AS");
        if self.is_query_start() {
            create.query = Some(Box::new(self.query()?));
        }
        Ok(Statement::CreateTable(Box::new(create)))
    }

    pub(super) fn table_item(&mut self) -> SqlResult<TableItem> {
        let constraint = if self.eat("CONSTRAINT") {
            let named = !["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"].iter().any(|word| self.is(word));
            if named { Some(self.identifier()?) } else { None }
        } else {
            None
        };
        if self.is("FOREIGN") {
            return Ok(TableItem::ForeignKey(self.foreign_key(constraint)?));
        }
        if self.is("CHECK") {
            return Ok(TableItem::Check(self.check(constraint, None)?));
        }
        if let Some(mut index) = self.index_def()? {
            index.name = index.name.or(constraint);
            return Ok(TableItem::Index(index));
        }
        Ok(TableItem::Column(Box::new(self.column_def()?)))
    }

    pub(super) fn column_def(&mut self) -> SqlResult<ColumnDef> {
        let name = self.identifier()?;
        self.column_def_named(name)
    }

    pub(super) fn column_def_named(&mut self, name: String) -> SqlResult<ColumnDef> {
        let serial = self.is("SERIAL");
        let type_def = self.type_def()?;
        let mut column = ColumnDef {
            name,
            type_def,
            nullable: None,
            default: None,
            on_update: None,
            auto_increment: false,
            primary: false,
            unique: false,
            comment: String::new(),
            invisible: false,
            generated: None,
            checks: Vec::new(),
        };
        if serial {
            column.nullable = Some(false);
            column.auto_increment = true;
            column.unique = true;
        }
        while self.column_attribute(&mut column)? {}
        Ok(column)
    }

    fn column_attribute(&mut self, column: &mut ColumnDef) -> SqlResult<bool> {
        if self.eat_all(&["NOT", "NULL"]) {
            column.nullable = Some(false);
        } else if self.eat("NULL") {
            column.nullable = Some(true);
        } else if self.eat("DEFAULT") {
            column.default = Some(self.default_def()?);
        } else if self.eat_all(&["ON", "UPDATE"]) {
            column.on_update = Some(self.current_timestamp()?.ok_or_else(|| self.error())?);
        } else if self.eat("AUTO_INCREMENT") {
            column.auto_increment = true;
        } else if self.eat_all(&["PRIMARY", "KEY"]) || self.eat("KEY") || self.eat("PRIMARY") {
            column.primary = true;
        } else if self.eat("UNIQUE") {
            self.eat("KEY");
            column.unique = true;
        } else if self.eat("COMMENT") {
            column.comment = self.string()?;
        } else if self.eat("COLLATE") {
            column.type_def.collate = Some(self.name_or_string()?);
        } else if self.eat("INVISIBLE") {
            column.invisible = true;
        } else if self.eat("VISIBLE") {
            column.invisible = false;
        } else if self.eat("COLUMN_FORMAT") || self.eat("STORAGE") || self.eat("ENGINE_ATTRIBUTE") {
            self.advance();
        } else if self.is("REFERENCES") {
            // Inline references are parsed and ignored, as MySQL does.
            self.references()?;
        } else {
            return self.constraint_attribute(column);
        }
        Ok(true)
    }

    pub(super) fn default_def(&mut self) -> SqlResult<DefaultDef> {
        if let Some(fsp) = self.current_timestamp()? {
            return Ok(DefaultDef::CurrentTimestamp(fsp));
        }
        if self.eat_char(b'(') {
            let from = self.at;
            let expr = self.expr()?;
            let text = self.text_from(from).to_owned();
            self.expect_char(b')')?;
            return Ok(DefaultDef::Expression(expr, text));
        }
        Ok(DefaultDef::Value(self.unary()?))
    }

    /// CURRENT_TIMESTAMP and its synonyms with fraction digits; `None` when something else stands here.
    fn current_timestamp(&mut self) -> SqlResult<Option<u8>> {
        if !["CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"].iter().any(|word| self.eat(word)) {
            return Ok(None);
        }
        let mut fsp = 0;
        if self.eat_char(b'(') {
            if !self.is_char(b')') {
                fsp = u8::try_from(self.unsigned()?).unwrap_or(u8::MAX);
            }
            self.expect_char(b')')?;
        }
        Ok(Some(fsp))
    }

    /// A type with its attributes.
    pub(super) fn type_def(&mut self) -> SqlResult<TypeDef> {
        let mut name = self.type_name()?;
        let mut def = TypeDef {
            name: String::new(),
            length: None,
            decimals: None,
            unsigned: false,
            zerofill: false,
            charset: None,
            collate: None,
            binary: false,
            members: Vec::new(),
        };
        if name == "SERIAL" {
            name = "BIGINT".to_owned();
            def.unsigned = true;
        }
        if name == "ENUM" || name == "SET" {
            def.members = self.parenthesised(Self::string_bytes)?;
        } else if self.eat_char(b'(') {
            def.length = Some(self.unsigned_32()?);
            if self.eat_char(b',') {
                def.decimals = Some(u8::try_from(self.unsigned()?).unwrap_or(u8::MAX));
            }
            self.expect_char(b')')?;
        }
        def.name = name;
        self.type_attributes(&mut def)?;
        Ok(def)
    }

    fn type_name(&mut self) -> SqlResult<String> {
        if self.token().kind != Kind::Word {
            return self.fail();
        }
        let first = self.any_identifier()?.to_ascii_uppercase();
        Ok(match first.as_str() {
            "DOUBLE" => {
                self.eat("PRECISION");
                first
            }
            "NATIONAL" => {
                let varying = self.eat("VARCHAR") || self.eat("VARCHARACTER");
                let _ = self.eat("CHARACTER") || self.eat("CHAR");
                if self.eat("VARYING") || varying { "NVARCHAR".to_owned() } else { "NCHAR".to_owned() }
            }
            "CHAR" | "CHARACTER" if self.eat("VARYING") => "VARCHAR".to_owned(),
            "CHAR" | "CHARACTER" if self.eat("BYTE") => "BINARY".to_owned(),
            "LONG" => {
                if self.eat("VARBINARY") || self.eat("BYTE") {
                    "MEDIUMBLOB".to_owned()
                } else {
                    self.eat("VARCHAR");
                    "MEDIUMTEXT".to_owned()
                }
            }
            _ => first,
        })
    }

    fn type_attributes(&mut self, def: &mut TypeDef) -> SqlResult<()> {
        loop {
            if self.eat("UNSIGNED") {
                def.unsigned = true;
            } else if self.eat("ZEROFILL") {
                def.zerofill = true;
                def.unsigned = true;
            } else if self.eat_all(&["CHARACTER", "SET"])
                || self.eat("CHARSET")
                || self.eat_all(&["CHAR", "SET"])
            {
                def.charset = Some(self.name_or_string()?);
            } else if self.eat("ASCII") {
                def.charset = Some("latin1".to_owned());
            } else if self.eat("UNICODE") {
                def.charset = Some("ucs2".to_owned());
            } else if self.eat("COLLATE") {
                def.collate = Some(self.name_or_string()?);
            } else if self.eat("BINARY") {
                def.binary = true;
            } else if !self.eat("SIGNED") {
                return Ok(());
            }
        }
    }

    /// Table options up to something else.
    pub(super) fn table_options(&mut self) -> SqlResult<Vec<TableOption>> {
        let mut options = Vec::new();
        while let Some(option) = self.table_option()? {
            options.push(option);
            self.eat_char(b',');
        }
        Ok(options)
    }

    pub(super) fn table_option(&mut self) -> SqlResult<Option<TableOption>> {
        const NAMES: [&str; 24] = [
            "ENGINE",
            "AUTO_INCREMENT",
            "AVG_ROW_LENGTH",
            "CHECKSUM",
            "COMMENT",
            "COMPRESSION",
            "CONNECTION",
            "DELAY_KEY_WRITE",
            "ENCRYPTION",
            "INSERT_METHOD",
            "KEY_BLOCK_SIZE",
            "MAX_ROWS",
            "MIN_ROWS",
            "PACK_KEYS",
            "PASSWORD",
            "ROW_FORMAT",
            "STATS_AUTO_RECALC",
            "STATS_PERSISTENT",
            "STATS_SAMPLE_PAGES",
            "TYPE",
            "TABLESPACE",
            "UNION",
            "STORAGE",
            "AUTOEXTEND_SIZE",
        ];
        let start = self.at;
        self.eat("DEFAULT");
        let name = if self.eat_all(&["CHARACTER", "SET"]) || self.eat("CHARSET") {
            "CHARSET"
        } else if self.eat("COLLATE") {
            "COLLATE"
        } else if self.eat_all(&["DATA", "DIRECTORY"]) || self.eat_all(&["INDEX", "DIRECTORY"]) {
            "DIRECTORY"
        } else if let Some(name) = NAMES.iter().find(|name| self.eat(name)) {
            name
        } else {
            self.at = start;
            return Ok(None);
        };
        self.eat_char(b'=');
        if name == "UNION" {
            return Err(SqlError::not_supported("UNION of MERGE tables"));
        }
        let token = self.token();
        let value = match token.kind {
            Kind::String => self.string()?,
            Kind::Word | Kind::Quoted => self.any_identifier()?,
            Kind::Integer => {
                self.at += 1;
                self.slice(token).to_owned()
            }
            _ => return self.fail(),
        };
        Ok(Some(TableOption { name: name.to_owned(), value }))
    }

    /// After CREATE DATABASE or (`alter`) ALTER DATABASE.
    pub(super) fn database_def(&mut self) -> SqlResult<CreateDatabase> {
        let if_not_exists = self.if_not_exists();
        let named = self.is_identifier() && !self.is("CHARSET");
        let name = if named { self.identifier()? } else { String::new() };
        let mut def = CreateDatabase { if_not_exists, name, charset: None, collate: None };
        loop {
            self.eat("DEFAULT");
            if self.eat_all(&["CHARACTER", "SET"]) || self.eat("CHARSET") {
                self.eat_char(b'=');
                def.charset = Some(self.name_or_string()?);
            } else if self.eat("COLLATE") {
                self.eat_char(b'=');
                def.collate = Some(self.name_or_string()?);
            } else if self.eat("ENCRYPTION") {
                self.eat_char(b'=');
                self.string()?;
            } else {
                return Ok(def);
            }
        }
    }
}
