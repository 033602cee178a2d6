//! INSERT, REPLACE, UPDATE, DELETE.

use aquifer_types::{SqlError, SqlResult};

use super::Parser;
use super::lexer::{Kind, Op};
use crate::ast::{
    Assignment, AstExpr, Delete, Insert, InsertMode, InsertRows, OnConflict, Statement, TableName, Update,
    WithClause,
};

impl Parser<'_> {
    fn skip_priority(&mut self) {
        while self.eat("LOW_PRIORITY")
            || self.eat("HIGH_PRIORITY")
            || self.eat("DELAYED")
            || self.eat("QUICK")
        {}
    }

    /// After INSERT or REPLACE.
    pub(super) fn insert(&mut self, mode: InsertMode) -> SqlResult<Statement> {
        self.skip_priority();
        let ignore = self.eat("IGNORE");
        self.eat("INTO");
        let table = self.table_name()?;
        if self.is("PARTITION") {
            return Err(SqlError::not_supported("PARTITION"));
        }
        let mut columns = None;
        let mut row_alias = None;
        let rows = if self.eat("SET") {
            let (names, values) = self.insert_set()?;
            columns = Some(names);
            InsertRows::Values(vec![values])
        } else {
            if self.is_char(b'(') && !self.is_query_start() {
                columns = Some(self.insert_columns()?);
            }
            self.insert_rows()?
        };
        if self.eat("AS") {
            let alias = self.identifier()?;
            let names = if self.is_char(b'(') { self.parenthesised(Self::identifier)? } else { Vec::new() };
            row_alias = Some((alias, names));
        }
        let mut on_conflict = if ignore { OnConflict::Ignore } else { OnConflict::Error };
        if self.eat("ON") {
            if !self.eat_all(&["DUPLICATE", "KEY", "UPDATE"]) {
                return self.fail();
            }
            on_conflict = OnConflict::Update(self.assignments()?);
        }
        if self.is("RETURNING") {
            return self.fail();
        }
        Ok(Statement::Insert(Box::new(Insert { mode, ignore, table, columns, rows, row_alias, on_conflict })))
    }

    fn insert_set(&mut self) -> SqlResult<(Vec<String>, Vec<AstExpr>)> {
        let assignments = self.assignments()?;
        Ok(assignments.into_iter().map(|a| (a.column.name, a.value)).unzip())
    }

    fn insert_columns(&mut self) -> SqlResult<Vec<String>> {
        self.expect_char(b'(')?;
        if self.eat_char(b')') {
            return Ok(Vec::new());
        }
        let names = self.list(|parser| Ok(parser.column_ref()?.name))?;
        self.expect_char(b')')?;
        Ok(names)
    }

    fn insert_rows(&mut self) -> SqlResult<InsertRows> {
        let values = self.is("VALUE") || self.is("VALUES") && !self.is_at(1, "ROW");
        if !values {
            if !self.is_query_start() {
                return self.fail();
            }
            return Ok(InsertRows::Query(Box::new(self.query()?)));
        }
        self.at += 1;
        let rows = self.list(|parser| {
            parser.expect_char(b'(')?;
            if parser.eat_char(b')') {
                return Ok(Vec::new());
            }
            let row = parser.list(Self::expr)?;
            parser.expect_char(b')')?;
            Ok(row)
        })?;
        Ok(InsertRows::Values(rows))
    }

    pub(super) fn assignments(&mut self) -> SqlResult<Vec<Assignment>> {
        self.list(|parser| {
            let column = parser.column_ref()?;
            if !parser.eat_char(b'=') {
                if parser.token().kind != Kind::Op(Op::Assign) {
                    return parser.fail();
                }
                parser.at += 1;
            }
            Ok(Assignment { column, value: parser.expr()? })
        })
    }

    /// After [WITH …] UPDATE.
    pub(super) fn update(&mut self, with: Option<WithClause>) -> SqlResult<Statement> {
        self.skip_priority();
        let ignore = self.eat("IGNORE");
        let table = self.table_refs()?;
        self.expect("SET")?;
        let assignments = self.assignments()?;
        let filter = if self.eat("WHERE") { Some(self.expr()?) } else { None };
        let order = if self.is("ORDER") { self.order_by()? } else { Vec::new() };
        let limit = if self.eat("LIMIT") { Some(self.limit_value()?) } else { None };
        Ok(Statement::Update(Box::new(Update { with, ignore, table, assignments, filter, order, limit })))
    }

    /// After [WITH …] DELETE.
    pub(super) fn delete(&mut self, with: Option<WithClause>) -> SqlResult<Statement> {
        self.skip_priority();
        let ignore = self.eat("IGNORE");
        let mut targets = Vec::new();
        if !self.eat("FROM") {
            targets = self.list(Self::delete_target)?;
            self.expect("FROM")?;
        } else if self.delete_using_follows() {
            targets = self.list(Self::delete_target)?;
            self.expect("USING")?;
        }
        let several = !targets.is_empty();
        let from = if several { self.table_refs()? } else { self.one_table()? };
        let filter = if self.eat("WHERE") { Some(self.expr()?) } else { None };
        let order = if self.is("ORDER") && !several { self.order_by()? } else { Vec::new() };
        let limit = if !several && self.eat("LIMIT") { Some(self.limit_value()?) } else { None };
        if self.is("RETURNING") {
            return self.fail();
        }
        Ok(Statement::Delete(Box::new(Delete { with, ignore, targets, from, filter, order, limit })))
    }

    fn delete_target(&mut self) -> SqlResult<TableName> {
        let name = self.table_name_or_star()?;
        if self.eat_char(b'.') {
            self.expect_char(b'*')?;
        }
        Ok(name)
    }

    /// `t`, `d.t` or `t.*`.
    fn table_name_or_star(&mut self) -> SqlResult<TableName> {
        let first = self.identifier()?;
        if self.is_char(b'.') && self.peek(1).kind == Kind::Char(b'*') {
            self.at += 2;
            return Ok(TableName { schema: None, name: first });
        }
        if self.eat_char(b'.') {
            return Ok(TableName { schema: Some(first), name: self.any_identifier()? });
        }
        Ok(TableName { schema: None, name: first })
    }

    fn delete_using_follows(&self) -> bool {
        let mut ahead = 0;
        loop {
            match self.peek(ahead).kind {
                Kind::Word if self.is_at(ahead, "USING") => return true,
                Kind::Word if super::reserved::is_reserved(self.slice(self.peek(ahead))) => return false,
                Kind::Word | Kind::Quoted | Kind::Char(b'.' | b',' | b'*') => ahead += 1,
                _ => return false,
            }
        }
    }
}
