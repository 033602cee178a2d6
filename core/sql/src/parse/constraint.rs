//! FOREIGN KEY, CHECK and GENERATED ALWAYS AS.

use aquifer_types::SqlResult;

use super::Parser;
use crate::ast::{CheckDef, ColumnDef, ForeignKeyDef, GeneratedDef, ReferentialActionDef, TableName};

/// What follows REFERENCES.
pub(super) struct References {
    parent: TableName,
    parent_columns: Vec<String>,
    on_delete: ReferentialActionDef,
    on_update: ReferentialActionDef,
}

impl Parser<'_> {
    /// `FOREIGN KEY … REFERENCES …`, at FOREIGN.
    pub(super) fn foreign_key(&mut self, name: Option<String>) -> SqlResult<ForeignKeyDef> {
        self.expect("FOREIGN")?;
        self.expect("KEY")?;
        let index_name = if self.is_char(b'(') { None } else { Some(self.identifier()?) };
        let columns = self.parenthesised(Self::identifier)?;
        let References { parent, parent_columns, on_delete, on_update } = self.references()?;
        Ok(ForeignKeyDef { name, index_name, columns, parent, parent_columns, on_delete, on_update })
    }

    /// At REFERENCES.
    pub(super) fn references(&mut self) -> SqlResult<References> {
        self.expect("REFERENCES")?;
        let parent = self.table_name()?;
        let parent_columns =
            if self.is_char(b'(') { self.parenthesised(Self::identifier)? } else { Vec::new() };
        if self.eat("MATCH") {
            self.any_identifier()?;
        }
        let mut references = References {
            parent,
            parent_columns,
            on_delete: ReferentialActionDef::NoAction,
            on_update: ReferentialActionDef::NoAction,
        };
        while self.is("ON") && (self.is_at(1, "DELETE") || self.is_at(1, "UPDATE")) {
            let delete = self.is_at(1, "DELETE");
            self.at += 2;
            let action = self.referential_action()?;
            if delete {
                references.on_delete = action;
            } else {
                references.on_update = action;
            }
        }
        Ok(references)
    }

    fn referential_action(&mut self) -> SqlResult<ReferentialActionDef> {
        for (words, action) in [
            (&["RESTRICT"][..], ReferentialActionDef::Restrict),
            (&["CASCADE"], ReferentialActionDef::Cascade),
            (&["SET", "NULL"], ReferentialActionDef::SetNull),
            (&["SET", "DEFAULT"], ReferentialActionDef::SetDefault),
            (&["NO", "ACTION"], ReferentialActionDef::NoAction),
        ] {
            if self.eat_all(words) {
                return Ok(action);
            }
        }
        self.fail()
    }

    /// `CHECK (…) [[NOT] ENFORCED]`, at CHECK.
    pub(super) fn check(&mut self, name: Option<String>, column: Option<String>) -> SqlResult<CheckDef> {
        self.expect("CHECK")?;
        self.expect_char(b'(')?;
        let expr = self.expr()?;
        self.expect_char(b')')?;
        let enforced = !self.eat_all(&["NOT", "ENFORCED"]);
        if enforced {
            self.eat("ENFORCED");
        }
        Ok(CheckDef { name, expr, enforced, column })
    }

    /// GENERATED ALWAYS AS and CHECK of a column; `false` when something else stands here.
    pub(super) fn constraint_attribute(&mut self, column: &mut ColumnDef) -> SqlResult<bool> {
        if self.eat_all(&["GENERATED", "ALWAYS"]) || self.is("AS") {
            self.expect("AS")?;
            self.expect_char(b'(')?;
            let expr = self.expr()?;
            self.expect_char(b')')?;
            let stored = self.eat("STORED") || self.eat("PERSISTENT");
            if !stored {
                self.eat("VIRTUAL");
            }
            column.generated = Some(GeneratedDef { expr, stored });
        } else if self.is("CHECK") || self.is("CONSTRAINT") {
            let mut name = None;
            if self.eat("CONSTRAINT") && !self.is("CHECK") {
                name = Some(self.identifier()?);
            }
            let check = self.check(name, Some(column.name.clone()))?;
            column.checks.push(check);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}
