//! Definitions of indexes, in CREATE TABLE, ALTER TABLE and CREATE INDEX.

use aquifer_types::SqlResult;

use super::Parser;
use crate::ast::{CreateIndex, IndexDef, IndexDefKind, IndexPartDef, Statement};

impl Parser<'_> {
    /// PRIMARY KEY, UNIQUE, KEY, FULLTEXT, SPATIAL; `None` when something else stands here.
    pub(super) fn index_def(&mut self) -> SqlResult<Option<IndexDef>> {
        let kind = if self.eat_all(&["PRIMARY", "KEY"]) {
            IndexDefKind::Primary
        } else if self.eat("UNIQUE") {
            let _ = self.eat("KEY") || self.eat("INDEX");
            IndexDefKind::Unique
        } else if self.eat("FULLTEXT") {
            let _ = self.eat("KEY") || self.eat("INDEX");
            IndexDefKind::Fulltext
        } else if self.eat("SPATIAL") {
            let _ = self.eat("KEY") || self.eat("INDEX");
            IndexDefKind::Spatial
        } else if self.eat("KEY") || self.eat("INDEX") {
            IndexDefKind::Plain
        } else {
            return Ok(None);
        };
        let name = if self.is_char(b'(') || self.is("USING") { None } else { Some(self.identifier()?) };
        Ok(Some(self.index_rest(kind, name)?))
    }

    /// After the name of an index.
    pub(super) fn index_rest(&mut self, kind: IndexDefKind, name: Option<String>) -> SqlResult<IndexDef> {
        self.using()?;
        let parts = self.parenthesised(Self::index_part)?;
        let mut index = IndexDef { kind, name, parts, comment: String::new(), invisible: false };
        self.index_options(&mut index)?;
        Ok(index)
    }

    fn using(&mut self) -> SqlResult<()> {
        if self.eat("USING") {
            self.any_identifier()?;
        }
        Ok(())
    }

    pub(super) fn index_options(&mut self, index: &mut IndexDef) -> SqlResult<()> {
        loop {
            if self.is("USING") {
                self.using()?;
            } else if self.eat("COMMENT") {
                index.comment = self.string()?;
            } else if self.eat("INVISIBLE") {
                index.invisible = true;
            } else if self.eat("VISIBLE") {
                index.invisible = false;
            } else if self.eat("KEY_BLOCK_SIZE") {
                self.eat_char(b'=');
                self.unsigned()?;
            } else if self.eat_all(&["WITH", "PARSER"]) {
                self.identifier()?;
            } else {
                return Ok(());
            }
        }
    }

    fn index_part(&mut self) -> SqlResult<IndexPartDef> {
        let mut part =
            IndexPartDef { column: String::new(), prefix: None, descending: false, expression: None };
        if self.eat_char(b'(') {
            part.expression = Some(self.expr()?);
            self.expect_char(b')')?;
        } else {
            part.column = self.identifier()?;
            if self.eat_char(b'(') {
                part.prefix = Some(self.unsigned_32()?);
                self.expect_char(b')')?;
            }
        }
        part.descending = self.eat("DESC");
        if !part.descending {
            self.eat("ASC");
        }
        Ok(part)
    }

    /// After CREATE [UNIQUE | FULLTEXT | SPATIAL] INDEX.
    pub(super) fn create_index(&mut self, kind: IndexDefKind) -> SqlResult<Statement> {
        let name = self.identifier()?;
        self.using()?;
        self.expect("ON")?;
        let table = self.table_name()?;
        let index = self.index_rest(kind, Some(name))?;
        self.algorithm_and_lock()?;
        Ok(Statement::CreateIndex(Box::new(CreateIndex { table, index })))
    }

    /// ALGORITHM = …, LOCK = …: accepted, there is one way.
    pub(super) fn algorithm_and_lock(&mut self) -> SqlResult<()> {
        while self.eat("ALGORITHM") || self.eat("LOCK") {
            self.eat_char(b'=');
            self.any_identifier()?;
        }
        Ok(())
    }
}
