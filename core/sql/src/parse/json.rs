//! JSON_VALUE with its clauses.

use aquifer_types::SqlResult;

use super::Parser;
use crate::ast::{AstExpr, JsonOtherwise, JsonValueCall};

impl Parser<'_> {
    /// After `JSON_VALUE(`, before its end.
    pub(super) fn json_value(&mut self) -> SqlResult<AstExpr> {
        let document = self.expr()?;
        self.expect_char(b',')?;
        let path = self.expr()?;
        let returning = if self.eat("RETURNING") { Some(self.cast_type()?) } else { None };
        let (on_empty, on_error) = self.json_otherwise(Self::expr)?;
        Ok(AstExpr::JsonValue(Box::new(JsonValueCall { document, path, returning, on_empty, on_error })))
    }

    /// `{NULL | ERROR | DEFAULT value} ON EMPTY`, then the same ON ERROR; each may be missing.
    pub(super) fn json_otherwise(
        &mut self,
        value: fn(&mut Self) -> SqlResult<AstExpr>,
    ) -> SqlResult<(JsonOtherwise, JsonOtherwise)> {
        let (mut empty, mut error) = (JsonOtherwise::Null, JsonOtherwise::Null);
        for _ in 0..2 {
            let found = if self.is("NULL") && self.is_at(1, "ON") {
                self.at += 1;
                JsonOtherwise::Null
            } else if self.is("ERROR") && self.is_at(1, "ON") {
                self.at += 1;
                JsonOtherwise::Error
            } else if self.eat("DEFAULT") {
                JsonOtherwise::Default(value(self)?)
            } else {
                break;
            };
            self.expect("ON")?;
            if self.eat("EMPTY") {
                empty = found;
            } else {
                self.expect("ERROR")?;
                error = found;
                break;
            }
        }
        Ok((empty, error))
    }
}
