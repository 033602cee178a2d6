//! ALTER TABLE.

use aquifer_types::SqlResult;

use super::Parser;
use super::create::TableItem;
use crate::ast::{AlterOperation, AlterTable, ColumnPlace, Statement};

impl Parser<'_> {
    /// After ALTER TABLE.
    pub(super) fn alter_table(&mut self) -> SqlResult<Statement> {
        let name = self.table_name()?;
        let mut operations = Vec::new();
        while !self.at_end() {
            self.alter_operation(&mut operations)?;
            if !self.eat_char(b',') && !self.at_end() && !self.option_follows() {
                return self.fail();
            }
        }
        Ok(Statement::AlterTable(Box::new(AlterTable { name, operations })))
    }

    /// Table options may follow one another without commas.
    fn option_follows(&mut self) -> bool {
        let start = self.at;
        let found = matches!(self.table_option(), Ok(Some(_)));
        self.at = start;
        found
    }

    fn alter_operation(&mut self, out: &mut Vec<AlterOperation>) -> SqlResult<()> {
        let operation = if self.eat("ADD") {
            return self.alter_add(out);
        } else if self.eat("DROP") {
            self.alter_drop()?
        } else if self.eat("MODIFY") {
            self.eat("COLUMN");
            let column = self.column_def()?;
            let place = self.column_place()?;
            AlterOperation::ChangeColumn(column.name.clone(), column, place)
        } else if self.eat("CHANGE") {
            self.eat("COLUMN");
            let old = self.identifier()?;
            let column = self.column_def()?;
            AlterOperation::ChangeColumn(old, column, self.column_place()?)
        } else if self.eat("RENAME") {
            self.alter_rename()?
        } else if self.eat("ALTER") {
            self.alter_column()?
        } else if self.is("ORDER") {
            self.order_by()?;
            AlterOperation::Nothing
        } else if self.eat_all(&["CONVERT", "TO"]) {
            if !self.eat("CHARSET") && !self.eat_all(&["CHARACTER", "SET"]) {
                return self.fail();
            }
            let charset = self.name_or_string()?;
            let collate = if self.eat("COLLATE") { Some(self.name_or_string()?) } else { None };
            AlterOperation::ConvertTo(charset, collate)
        } else {
            self.alter_other()?
        };
        out.push(operation);
        Ok(())
    }

    fn alter_other(&mut self) -> SqlResult<AlterOperation> {
        if self.is("ALGORITHM") || self.is("LOCK") {
            self.algorithm_and_lock()?;
            return Ok(AlterOperation::Nothing);
        }
        if self.eat_all(&["DISABLE", "KEYS"]) || self.eat_all(&["ENABLE", "KEYS"]) || self.eat("FORCE") {
            return Ok(AlterOperation::Nothing);
        }
        if self.eat_all(&["WITH", "VALIDATION"]) || self.eat_all(&["WITHOUT", "VALIDATION"]) {
            return Ok(AlterOperation::Nothing);
        }
        if self.is("DISCARD") || self.is("IMPORT") {
            self.skip_rest();
            return Ok(AlterOperation::Refused("TABLESPACE"));
        }
        if self.is("PARTITION") || self.is("REMOVE") || self.is("COALESCE") || self.is("REORGANIZE") {
            self.skip_rest();
            return Ok(AlterOperation::Refused("PARTITION"));
        }
        match self.table_option()? {
            Some(option) => Ok(AlterOperation::Option(option)),
            None => self.fail(),
        }
    }

    fn alter_add(&mut self, out: &mut Vec<AlterOperation>) -> SqlResult<()> {
        if self.is("PARTITION") {
            self.skip_rest();
            out.push(AlterOperation::Refused("PARTITION"));
            return Ok(());
        }
        let explicit = self.eat("COLUMN");
        if self.is_char(b'(') {
            for item in self.parenthesised(Self::table_item)? {
                out.push(add_item(item, ColumnPlace::Unchanged));
            }
            return Ok(());
        }
        let item =
            if explicit { TableItem::Column(Box::new(self.column_def()?)) } else { self.table_item()? };
        let place =
            if matches!(item, TableItem::Column(_)) { self.column_place()? } else { ColumnPlace::Unchanged };
        out.push(add_item(item, place));
        Ok(())
    }

    fn column_place(&mut self) -> SqlResult<ColumnPlace> {
        if self.eat("FIRST") {
            return Ok(ColumnPlace::First);
        }
        if self.eat("AFTER") {
            return Ok(ColumnPlace::After(self.identifier()?));
        }
        Ok(ColumnPlace::Unchanged)
    }

    fn alter_drop(&mut self) -> SqlResult<AlterOperation> {
        if self.eat_all(&["PRIMARY", "KEY"]) {
            return Ok(AlterOperation::DropPrimaryKey);
        }
        if self.eat("INDEX") || self.eat("KEY") {
            return Ok(AlterOperation::DropIndex(self.identifier()?));
        }
        if self.eat_all(&["FOREIGN", "KEY"]) {
            return Ok(AlterOperation::DropForeignKey(self.identifier()?));
        }
        if self.eat("CHECK") {
            return Ok(AlterOperation::DropCheck(self.identifier()?));
        }
        if self.eat("CONSTRAINT") {
            return Ok(AlterOperation::DropConstraint(self.identifier()?));
        }
        if self.is("PARTITION") {
            self.skip_rest();
            return Ok(AlterOperation::Refused("PARTITION"));
        }
        self.eat("COLUMN");
        let column = self.identifier()?;
        let _ = self.eat("RESTRICT") || self.eat("CASCADE");
        Ok(AlterOperation::DropColumn(column))
    }

    fn alter_rename(&mut self) -> SqlResult<AlterOperation> {
        if self.is("COLUMN") || (self.is("INDEX") || self.is("KEY")) && self.is_at(2, "TO") {
            let column = self.eat("COLUMN");
            if !column {
                self.at += 1;
            }
            let old = self.identifier()?;
            self.expect("TO")?;
            let new = self.identifier()?;
            return Ok(if column {
                AlterOperation::RenameColumn(old, new)
            } else {
                AlterOperation::RenameIndex(old, new)
            });
        }
        let _ = self.eat("TO") || self.eat("AS") || self.eat_char(b'=');
        Ok(AlterOperation::Rename(self.table_name()?))
    }

    fn alter_column(&mut self) -> SqlResult<AlterOperation> {
        if self.eat("INDEX") {
            let name = self.identifier()?;
            let invisible = self.eat("INVISIBLE");
            if !invisible {
                self.expect("VISIBLE")?;
            }
            return Ok(AlterOperation::SetIndexInvisible(name, invisible));
        }
        if self.eat("CHECK") || self.eat("CONSTRAINT") {
            let name = self.identifier()?;
            let enforced = !self.eat_all(&["NOT", "ENFORCED"]);
            if enforced {
                self.expect("ENFORCED")?;
            }
            return Ok(AlterOperation::SetCheckEnforced(name, enforced));
        }
        self.eat("COLUMN");
        let name = self.identifier()?;
        if self.eat_all(&["SET", "DEFAULT"]) {
            return Ok(AlterOperation::SetDefault(name, Some(self.default_def()?)));
        }
        if self.eat_all(&["DROP", "DEFAULT"]) {
            return Ok(AlterOperation::SetDefault(name, None));
        }
        if self.eat_all(&["SET", "INVISIBLE"]) {
            return Ok(AlterOperation::SetColumnInvisible(name, true));
        }
        if self.eat_all(&["SET", "VISIBLE"]) {
            return Ok(AlterOperation::SetColumnInvisible(name, false));
        }
        self.fail()
    }

    /// After RENAME TABLE.
    pub(super) fn rename_table(&mut self) -> SqlResult<Statement> {
        let pairs = self.list(|parser| {
            let old = parser.table_name()?;
            parser.expect("TO")?;
            Ok((old, parser.table_name()?))
        })?;
        Ok(Statement::RenameTable(pairs))
    }
}

fn add_item(item: TableItem, place: ColumnPlace) -> AlterOperation {
    match item {
        TableItem::Column(column) => AlterOperation::AddColumn(*column, place),
        TableItem::Index(index) => AlterOperation::AddIndex(index),
        TableItem::ForeignKey(key) => AlterOperation::AddForeignKey(key),
        TableItem::Check(check) => AlterOperation::AddCheck(check),
    }
}
