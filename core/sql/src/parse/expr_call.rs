//! What stands between operators: literals, names, calls, and forms with their own grammar.

use aquifer_types::{SqlError, SqlMode, SqlResult};

use super::Parser;
use super::lexer::{Kind, Op};
use crate::ast::{AstExpr, CaseExpr, ColumnRef, FunctionCall, Literal, VariableScope};

/// Functions that may be written without parentheses.
const BARE_FUNCTIONS: [&str; 9] = [
    "CURRENT_TIMESTAMP",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_USER",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "UTC_DATE",
    "UTC_TIME",
    "UTC_TIMESTAMP",
];

/// Reserved words that are also names of functions.
const RESERVED_FUNCTIONS: [&str; 32] = [
    "CHAR",
    "DATABASE",
    "SCHEMA",
    "IF",
    "INSERT",
    "INTERVAL",
    "LEFT",
    "MOD",
    "REPEAT",
    "REPLACE",
    "RIGHT",
    "CURRENT_USER",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "UTC_DATE",
    "UTC_TIME",
    "UTC_TIMESTAMP",
    "ROW_NUMBER",
    "RANK",
    "DENSE_RANK",
    "LAG",
    "LEAD",
    "NTILE",
    "FIRST_VALUE",
    "LAST_VALUE",
    "NTH_VALUE",
    "GROUPING",
    "PERCENT_RANK",
    "CUME_DIST",
];

/// A call without modifiers.
pub(super) fn plain_call(name: String, args: Vec<AstExpr>) -> FunctionCall {
    FunctionCall { name, args, distinct: false, star: false, order: Vec::new(), separator: None, over: None }
}

impl Parser<'_> {
    pub(super) fn simple(&mut self) -> SqlResult<AstExpr> {
        let token = self.token();
        match token.kind {
            Kind::Integer | Kind::Decimal | Kind::Float => self.number(),
            Kind::String => Ok(AstExpr::Literal(Literal::String(self.string_bytes()?))),
            Kind::National => {
                self.at += 1;
                let bytes = super::lexer::unquote(&self.slice(token).as_bytes()[1..], true);
                Ok(AstExpr::Literal(Literal::Introduced("utf8mb3".to_owned(), bytes)))
            }
            Kind::Hex | Kind::Bits => Ok(AstExpr::Literal(Literal::Hex(self.radix_bytes()?))),
            Kind::Param => {
                self.at += 1;
                self.parameters += 1;
                Ok(AstExpr::Param(self.parameters - 1))
            }
            Kind::UserVariable => self.user_variable(),
            Kind::SystemAt => self.system_variable(),
            Kind::Char(b'(') => self.parentheses(),
            Kind::Char(b'{') => self.odbc(),
            Kind::Quoted => self.column_or_call(),
            Kind::Word => self.word(),
            _ => self.fail(),
        }
    }

    fn number(&mut self) -> SqlResult<AstExpr> {
        let token = self.advance();
        let text = self.slice(token);
        Ok(AstExpr::Literal(match token.kind {
            Kind::Integer => match text.parse() {
                Ok(number) => Literal::UInt(number),
                Err(_) => Literal::Decimal(text.to_owned()),
            },
            Kind::Decimal => Literal::Decimal(text.to_owned()),
            _ => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Literal::Double(number),
                _ => {
                    return Err(SqlError::new(
                        1367,
                        format!("Illegal double '{text}' value found during parsing"),
                    ));
                }
            },
        }))
    }

    /// Bytes of a hexadecimal or bit literal.
    pub(super) fn radix_bytes(&mut self) -> SqlResult<Vec<u8>> {
        let token = self.token();
        let text = self.slice(token);
        let digits = if text.starts_with('0') { &text[2..] } else { text[2..].trim_end_matches('\'') };
        let quoted = !text.starts_with('0');
        let bytes = match token.kind {
            Kind::Hex if quoted && digits.len() % 2 == 1 => return self.fail(),
            Kind::Hex => radix(digits, 2, 16),
            _ => radix(digits, 8, 2),
        };
        let Some(bytes) = bytes else { return self.fail() };
        self.at += 1;
        Ok(bytes)
    }

    fn user_variable(&mut self) -> SqlResult<AstExpr> {
        let name = self.user_variable_name()?;
        if self.token().kind == Kind::Op(Op::Assign) {
            self.at += 1;
            let value = self.expr()?;
            return Ok(AstExpr::AssignVariable(name, Box::new(value)));
        }
        Ok(AstExpr::UserVariable(name))
    }

    /// `@name` as the name alone.
    pub(super) fn user_variable_name(&mut self) -> SqlResult<String> {
        let token = self.token();
        if token.kind != Kind::UserVariable {
            return self.fail();
        }
        self.at += 1;
        let text = &self.slice(token)[1..];
        Ok(match text.as_bytes().first() {
            Some(b'\'' | b'"' | b'`') => {
                String::from_utf8_lossy(&super::lexer::unquote(text.as_bytes(), true)).into_owned()
            }
            _ => text.to_owned(),
        })
    }

    fn system_variable(&mut self) -> SqlResult<AstExpr> {
        let (scope, name) = self.system_variable_name()?;
        Ok(AstExpr::SystemVariable(scope, name))
    }

    /// `@@scope.name`.
    pub(super) fn system_variable_name(&mut self) -> SqlResult<(VariableScope, String)> {
        self.at += 1;
        let mut scope = VariableScope::Default;
        let mut name = self.any_identifier()?;
        if self.eat_char(b'.') {
            let known = [
                ("GLOBAL", VariableScope::Global),
                ("SESSION", VariableScope::Session),
                ("LOCAL", VariableScope::Session),
                ("PERSIST", VariableScope::Persist),
                ("PERSIST_ONLY", VariableScope::PersistOnly),
            ];
            match known.iter().find(|(word, _)| name.eq_ignore_ascii_case(word)) {
                Some((_, known)) => {
                    scope = *known;
                    name = self.any_identifier()?;
                    if self.eat_char(b'.') {
                        name = format!("{name}.{}", self.any_identifier()?);
                    }
                }
                None => name = format!("{name}.{}", self.any_identifier()?),
            }
        }
        Ok((scope, name.to_ascii_lowercase()))
    }

    fn parentheses(&mut self) -> SqlResult<AstExpr> {
        self.at += 1;
        if self.holds_query(0) {
            let query = self.query()?;
            self.expect_char(b')')?;
            return Ok(AstExpr::Subquery(Box::new(query)));
        }
        let mut items = self.list(Self::expr)?;
        self.expect_char(b')')?;
        match items.pop() {
            Some(only) if items.is_empty() => Ok(only),
            Some(last) => {
                items.push(last);
                Ok(AstExpr::Row(items))
            }
            None => self.fail(),
        }
    }

    /// `{d '…'}`, `{t '…'}`, `{ts '…'}`, `{fn call}`.
    fn odbc(&mut self) -> SqlResult<AstExpr> {
        self.at += 1;
        let kind = self.any_identifier()?.to_ascii_uppercase();
        let value = self.expr()?;
        self.expect_char(b'}')?;
        let text = match &value {
            AstExpr::Literal(Literal::String(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => return Ok(value),
        };
        Ok(AstExpr::Literal(match kind.as_str() {
            "D" => Literal::Date(text),
            "T" => Literal::Time(text),
            "TS" => Literal::Timestamp(text),
            _ => return Ok(value),
        }))
    }

    fn word(&mut self) -> SqlResult<AstExpr> {
        let token = self.token();
        let word = self.slice(token);
        let next = self.peek(1);
        if next.kind == Kind::String
            && let Some(literal) = self.prefixed_literal(word)?
        {
            return Ok(literal);
        }
        if matches!(next.kind, Kind::Hex | Kind::Bits) && word.starts_with('_') {
            let charset = word[1..].to_ascii_lowercase();
            self.at += 1;
            return Ok(AstExpr::Literal(Literal::Introduced(charset, self.radix_bytes()?)));
        }
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "NULL" => return self.literal(Literal::Null),
            "TRUE" => return self.literal(Literal::Bool(true)),
            "FALSE" => return self.literal(Literal::Bool(false)),
            "CASE" => return self.case(),
            "EXISTS" => {
                self.at += 1;
                self.expect_char(b'(')?;
                let query = self.query()?;
                self.expect_char(b')')?;
                return Ok(AstExpr::Exists(Box::new(query), false));
            }
            "INTERVAL" if self.interval_follows() => return self.leading_interval(),
            "ROW" if next.kind == Kind::Char(b'(') => {
                self.at += 1;
                return Ok(AstExpr::Row(self.parenthesised(Self::expr)?));
            }
            "DEFAULT" => {
                self.at += 1;
                if self.eat_char(b'(') {
                    let column = self.column_ref()?;
                    self.expect_char(b')')?;
                    return Ok(AstExpr::DefaultOf(column));
                }
                return Ok(AstExpr::Default);
            }
            _ => {}
        }
        if BARE_FUNCTIONS.contains(&upper.as_str()) && next.kind != Kind::Char(b'(') {
            self.at += 1;
            return Ok(AstExpr::Function(Box::new(plain_call(upper, Vec::new()))));
        }
        if next.kind == Kind::Char(b'(')
            && let Some(special) = self.special_call(&upper)?
        {
            return Ok(special);
        }
        self.column_or_call()
    }

    fn literal(&mut self, literal: Literal) -> SqlResult<AstExpr> {
        self.at += 1;
        Ok(AstExpr::Literal(literal))
    }

    /// `_charset'…'`, `DATE'…'` and its relatives.
    fn prefixed_literal(&mut self, word: &str) -> SqlResult<Option<AstExpr>> {
        if let Some(charset) = word.strip_prefix('_') {
            self.at += 1;
            let bytes = self.string_bytes()?;
            return Ok(Some(AstExpr::Literal(Literal::Introduced(charset.to_ascii_lowercase(), bytes))));
        }
        let make: fn(String) -> Literal = match word.to_ascii_uppercase().as_str() {
            "DATE" => Literal::Date,
            "TIME" => Literal::Time,
            "TIMESTAMP" => Literal::Timestamp,
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(AstExpr::Literal(make(self.string()?))))
    }

    fn case(&mut self) -> SqlResult<AstExpr> {
        self.at += 1;
        let operand = if self.is("WHEN") { None } else { Some(self.expr()?) };
        let mut branches = Vec::new();
        while self.eat("WHEN") {
            let when = self.expr()?;
            self.expect("THEN")?;
            branches.push((when, self.expr()?));
        }
        if branches.is_empty() {
            return self.fail();
        }
        let otherwise = if self.eat("ELSE") { Some(self.expr()?) } else { None };
        self.expect("END")?;
        Ok(AstExpr::Case(Box::new(CaseExpr { operand, branches, otherwise })))
    }

    /// Whether INTERVAL is the operator here and not the function: a unit follows some expression.
    pub(super) fn interval_follows(&self) -> bool {
        if self.peek(1).kind != Kind::Char(b'(') {
            return true;
        }
        let mut depth = 0_usize;
        for ahead in 1..self.tokens.len() - self.at {
            match self.peek(ahead).kind {
                Kind::Char(b'(') => depth += 1,
                Kind::Char(b')') => {
                    depth -= 1;
                    if depth == 0 {
                        let after = self.peek(ahead + 1);
                        return !matches!(
                            after.kind,
                            Kind::Char(b',' | b')' | b'=' | b'<' | b'>') | Kind::End
                        );
                    }
                }
                _ => {}
            }
        }
        true
    }

    /// `INTERVAL n unit + date`.
    fn leading_interval(&mut self) -> SqlResult<AstExpr> {
        self.at += 1;
        let amount = self.expr()?;
        let unit = self.interval_unit()?;
        self.expect_char(b'+')?;
        let date = self.bit_expr(4)?;
        Ok(AstExpr::AddInterval(Box::new(date), Box::new(amount), unit, false))
    }

    pub(super) fn interval_unit(&mut self) -> SqlResult<String> {
        let token = self.token();
        if token.kind != Kind::Word || crate::expr::IntervalUnit::parse(self.slice(token)).is_none() {
            return self.fail();
        }
        self.at += 1;
        Ok(self.slice(token).to_ascii_uppercase())
    }

    /// A column name with up to two qualifiers.
    pub(super) fn column_ref(&mut self) -> SqlResult<ColumnRef> {
        let first = self.identifier()?;
        if !self.eat_char(b'.') {
            return Ok(ColumnRef { schema: None, table: None, name: first });
        }
        let second = self.any_identifier()?;
        if !self.eat_char(b'.') {
            return Ok(ColumnRef { schema: None, table: Some(first), name: second });
        }
        Ok(ColumnRef { schema: Some(first), table: Some(second), name: self.any_identifier()? })
    }

    fn column_or_call(&mut self) -> SqlResult<AstExpr> {
        let token = self.token();
        let is_call = self.peek(1).kind == Kind::Char(b'(');
        let word = self.slice(token).to_ascii_uppercase();
        let callable = token.kind == Kind::Word
            && (RESERVED_FUNCTIONS.contains(&word.as_str()) || !super::reserved::is_reserved(&word));
        if is_call && callable {
            self.at += 1;
            return self.call(word);
        }
        Ok(AstExpr::Column(self.column_ref()?))
    }

    fn call(&mut self, name: String) -> SqlResult<AstExpr> {
        self.expect_char(b'(')?;
        let mut call = plain_call(name, Vec::new());
        if self.eat_char(b'*') {
            call.star = true;
        } else if !self.is_char(b')') {
            call.distinct = self.eat("DISTINCT");
            if !call.distinct {
                self.eat("ALL");
            }
            call.args = self.list(Self::expr)?;
            if self.is("ORDER") {
                call.order = self.order_by()?;
            }
            if self.eat("SEPARATOR") {
                call.separator = Some(self.string_bytes()?);
            }
        }
        self.expect_char(b')')?;
        self.window_options()?;
        if self.eat("OVER") {
            call.over = Some(Box::new(self.over()?));
        }
        Ok(AstExpr::Function(Box::new(call)))
    }

    /// Whether the mode makes double quotes quote identifiers.
    pub(super) fn ansi_quotes(&self) -> bool {
        self.mode.contains(SqlMode::ANSI_QUOTES)
    }
}

/// Digits of a power-of-two radix as bytes, `per_byte` digits to one, the first byte filled with zeros.
fn radix(digits: &str, per_byte: usize, base: u32) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len().div_ceil(per_byte));
    let head = digits.len() % per_byte;
    let (first, rest) = digits.split_at_checked(head)?;
    if head > 0 {
        bytes.push(u8::from_str_radix(first, base).ok()?);
    }
    for chunk in rest.as_bytes().chunks(per_byte) {
        bytes.push(u8::from_str_radix(std::str::from_utf8(chunk).ok()?, base).ok()?);
    }
    Some(bytes)
}
