//! Calls with words between their arguments: CAST, CONVERT, EXTRACT, TRIM, SUBSTRING and so on.

use aquifer_types::{SqlError, SqlResult};

use super::Parser;
use super::expr_call::plain_call;
use crate::ast::{AstExpr, CastType};

impl Parser<'_> {
    /// Calls with words between their arguments.
    pub(super) fn special_call(&mut self, upper: &str) -> SqlResult<Option<AstExpr>> {
        let start = self.at;
        self.at += 2;
        let result = match upper {
            "CAST" => {
                let value = self.expr()?;
                self.expect("AS")?;
                AstExpr::Cast(Box::new(value), self.cast_type()?)
            }
            "CONVERT" => self.convert()?,
            "EXTRACT" => {
                let unit = self.interval_unit()?;
                self.expect("FROM")?;
                AstExpr::Extract(unit, Box::new(self.expr()?))
            }
            "TRIM" => self.trim()?,
            "SUBSTRING" | "SUBSTR" | "MID" => self.substring()?,
            "POSITION" => {
                let what = self.bit_expr(0)?;
                self.expect("IN")?;
                let within = self.expr()?;
                AstExpr::Function(Box::new(plain_call("LOCATE".to_owned(), vec![what, within])))
            }
            "TIMESTAMPADD" | "TIMESTAMPDIFF" => {
                let unit = self.interval_unit()?;
                self.expect_char(b',')?;
                let first = Box::new(self.expr()?);
                self.expect_char(b',')?;
                let second = Box::new(self.expr()?);
                if upper == "TIMESTAMPADD" {
                    AstExpr::TimestampAdd(unit, first, second)
                } else {
                    AstExpr::TimestampDiff(unit, first, second)
                }
            }
            "DATE_ADD" | "DATE_SUB" | "ADDDATE" | "SUBDATE" => self.date_arithmetic(upper.contains("SUB"))?,
            "GET_FORMAT" => {
                let kind = self.any_identifier()?.to_ascii_uppercase();
                self.expect_char(b',')?;
                AstExpr::GetFormat(kind, Box::new(self.expr()?))
            }
            "VALUES" => AstExpr::Values(self.column_ref()?),
            "MATCH" => return Err(SqlError::not_supported("MATCH ... AGAINST")),
            "CHAR" => self.char_call()?,
            "JSON_VALUE" => self.json_value()?,
            _ => {
                self.at = start;
                return Ok(None);
            }
        };
        self.expect_char(b')')?;
        Ok(Some(result))
    }

    fn char_call(&mut self) -> SqlResult<AstExpr> {
        let args = self.list(Self::expr)?;
        let call = AstExpr::Function(Box::new(plain_call("CHAR".to_owned(), args)));
        if self.eat("USING") {
            return Ok(AstExpr::ConvertUsing(Box::new(call), self.name_or_string()?));
        }
        Ok(call)
    }

    fn convert(&mut self) -> SqlResult<AstExpr> {
        let value = Box::new(self.expr()?);
        if self.eat("USING") {
            return Ok(AstExpr::ConvertUsing(value, self.name_or_string()?));
        }
        self.expect_char(b',')?;
        Ok(AstExpr::Cast(value, self.cast_type()?))
    }

    pub(super) fn cast_type(&mut self) -> SqlResult<CastType> {
        let mut name = self.any_identifier()?.to_ascii_uppercase();
        match name.as_str() {
            "SIGNED" | "UNSIGNED" => {
                let _ = self.eat("INTEGER") || self.eat("INT");
            }
            "NATIONAL" => {
                self.expect("CHAR")?;
                name = "NCHAR".to_owned();
            }
            "DOUBLE" => {
                self.eat("PRECISION");
            }
            "DEC" => name = "DECIMAL".to_owned(),
            "SIGNED_INTEGER" | "BINARY" | "CHAR" | "CHARACTER" | "NCHAR" | "DATE" | "TIME" | "DATETIME"
            | "YEAR" | "DECIMAL" | "FLOAT" | "REAL" | "JSON" => {}
            _ => {
                self.at -= 1;
                return self.fail();
            }
        }
        let mut cast = CastType { name, length: None, decimals: None, charset: None };
        if self.eat_char(b'(') {
            cast.length = Some(self.unsigned_32()?);
            if self.eat_char(b',') {
                cast.decimals = Some(u8::try_from(self.unsigned()?).unwrap_or(u8::MAX));
            }
            self.expect_char(b')')?;
        }
        if self.eat_all(&["CHARACTER", "SET"]) || self.eat("CHARSET") {
            cast.charset = Some(self.name_or_string()?);
        }
        if self.eat("ARRAY") {
            return Err(SqlError::not_supported("CAST(... AS ... ARRAY)"));
        }
        Ok(cast)
    }

    fn trim(&mut self) -> SqlResult<AstExpr> {
        let side = ["BOTH", "LEADING", "TRAILING"].into_iter().find(|side| self.eat(side));
        if side.is_some() && self.eat("FROM") {
            let from = self.expr()?;
            return Ok(AstExpr::Trim(side.unwrap_or("BOTH").to_owned(), None, Box::new(from)));
        }
        let first = self.expr()?;
        if self.eat("FROM") {
            let from = self.expr()?;
            let side = side.unwrap_or("BOTH").to_owned();
            return Ok(AstExpr::Trim(side, Some(Box::new(first)), Box::new(from)));
        }
        Ok(AstExpr::Trim("BOTH".to_owned(), None, Box::new(first)))
    }

    fn substring(&mut self) -> SqlResult<AstExpr> {
        let mut args = vec![self.expr()?];
        if self.eat("FROM") {
            args.push(self.expr()?);
            if self.eat("FOR") {
                args.push(self.expr()?);
            }
        } else {
            while self.eat_char(b',') {
                args.push(self.expr()?);
            }
        }
        Ok(AstExpr::Function(Box::new(plain_call("SUBSTRING".to_owned(), args))))
    }

    fn date_arithmetic(&mut self, subtract: bool) -> SqlResult<AstExpr> {
        let date = Box::new(self.expr()?);
        self.expect_char(b',')?;
        if self.is("INTERVAL") && self.interval_follows() {
            self.at += 1;
            let amount = Box::new(self.expr()?);
            let unit = self.interval_unit()?;
            return Ok(AstExpr::AddInterval(date, amount, unit, subtract));
        }
        let days = Box::new(self.expr()?);
        Ok(AstExpr::AddInterval(date, days, "DAY".to_owned(), subtract))
    }
}
