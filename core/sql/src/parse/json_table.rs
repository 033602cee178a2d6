//! JSON_TABLE.

use aquifer_types::SqlResult;

use super::Parser;
use crate::ast::{JsonColumn, JsonColumnKind, JsonTable, TableRef};

impl Parser<'_> {
    /// `JSON_TABLE(document, path COLUMNS (…)) [AS] alias`.
    pub(super) fn json_table(&mut self) -> SqlResult<TableRef> {
        self.expect("JSON_TABLE")?;
        self.expect_char(b'(')?;
        let document = self.expr()?;
        self.expect_char(b',')?;
        let path = self.string()?;
        let columns = self.json_columns()?;
        self.expect_char(b')')?;
        let Some(alias) = self.table_alias()? else {
            let text = "Every table function must have an alias.";
            return Err(aquifer_types::SqlError::new(3663, text));
        };
        Ok(TableRef::JsonTable(Box::new(JsonTable { document, path, columns, alias })))
    }

    fn json_columns(&mut self) -> SqlResult<Vec<JsonColumn>> {
        self.expect("COLUMNS")?;
        self.deeper(|parser| parser.parenthesised(Self::json_column))
    }

    fn json_column(&mut self) -> SqlResult<JsonColumn> {
        if self.eat("NESTED") {
            self.eat("PATH");
            let path = self.string()?;
            let columns = self.json_columns()?;
            return Ok(JsonColumn { name: String::new(), kind: JsonColumnKind::Nested(path, columns) });
        }
        let name = self.identifier()?;
        if self.eat_all(&["FOR", "ORDINALITY"]) {
            return Ok(JsonColumn { name, kind: JsonColumnKind::Ordinality });
        }
        let type_def = Box::new(self.type_def()?);
        let exists = self.eat("EXISTS");
        self.expect("PATH")?;
        let path = self.string()?;
        let (on_empty, on_error) =
            if exists { Default::default() } else { self.json_otherwise(Self::simple)? };
        let (on_empty, on_error) = (Box::new(on_empty), Box::new(on_error));
        let kind = JsonColumnKind::Path { type_def, exists, path, on_empty, on_error };
        Ok(JsonColumn { name, kind })
    }
}
