//! Text to statements.
//!
//! A recursive descent parser over the tokens of [`lexer`], in the order of precedence of the MySQL manual
//! (section 12.4.1). It knows MySQL's grammar only, keeps the text of select list items (it names result
//! columns), and reports errors as MySQL does (why it is ours: ADR 0070).

mod admin;
mod alter;
mod constraint;
mod create;
mod dml;
mod expr;
mod expr_call;
mod expr_forms;
mod index_def;
mod json;
mod json_table;
pub(crate) mod lexer;
mod load;
mod query;
mod reserved;
mod role;
mod set;
mod show;
mod statement;
mod table_ref;
mod view;
mod window;
mod xa;

use aquifer_types::{SqlError, SqlMode, SqlResult};

use crate::ast::{AstExpr, Statement, TableName};
use lexer::{Kind, Token};

/// Settings that change how text is read.
#[derive(Clone, Copy, Debug)]
pub struct ParseOptions {
    /// ANSI_QUOTES, PIPES_AS_CONCAT, NO_BACKSLASH_ESCAPES, HIGH_NOT_PRECEDENCE, IGNORE_SPACE matter.
    pub sql_mode: SqlMode,
}

/// One parsed statement.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The statement; `None` when the text holds only comments and space (error 1065 for the client).
    pub statement: Option<Statement>,
    /// Bytes of the text up to and including the semicolon; the rest is the next statement.
    pub consumed: usize,
    /// Number of `?`.
    pub parameters: usize,
}

/// Deepest nesting of expressions and queries, a bound on the stack.
const DEPTH_MAX: usize = 64;

/// Most operators of one precedence in a row, whose tree leans to the left. AND and OR have no such limit.
const CHAIN_MAX: usize = 256;

/// Parses the first statement of a text.
///
/// # Errors
/// 1064 with the text that could not be understood.
pub fn parse(text: &str, options: ParseOptions) -> SqlResult<Parsed> {
    let lexed = lexer::lex(text, options.sql_mode)?;
    let mut parser =
        Parser { text, tokens: lexed.tokens, at: 0, parameters: 0, depth: 0, mode: options.sql_mode };
    let statement = if parser.at_end() { None } else { Some(parser.statement()?) };
    if !parser.at_end() && !matches!(statement, Some(Statement::Unsupported(_))) {
        return Err(parser.error());
    }
    Ok(Parsed { statement, consumed: lexed.consumed, parameters: parser.parameters })
}

/// Parses a text that is one expression, such as a stored DEFAULT.
///
/// # Errors
/// 1064.
pub(crate) fn parse_expression(text: &str, mode: SqlMode) -> SqlResult<AstExpr> {
    let lexed = lexer::lex(text, mode)?;
    let mut parser = Parser { text, tokens: lexed.tokens, at: 0, parameters: 0, depth: 0, mode };
    let expr = parser.expr()?;
    if parser.at_end() { Ok(expr) } else { Err(parser.error()) }
}

/// Error 1436, before the stack really overruns.
fn too_deep() -> SqlError {
    SqlError::new(1436, "Thread stack overrun: the statement is nested too deeply")
}

/// Where the parser is.
struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    parameters: usize,
    depth: usize,
    mode: SqlMode,
}

impl<'a> Parser<'a> {
    fn token(&self) -> Token {
        self.peek(0)
    }

    fn peek(&self, ahead: usize) -> Token {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens[(self.at + ahead).min(last)]
    }

    fn slice(&self, token: Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    fn at_end(&self) -> bool {
        self.token().kind == Kind::End
    }

    fn advance(&mut self) -> Token {
        let token = self.token();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    /// Error 1064 at the present token.
    fn error(&self) -> SqlError {
        let token = self.token();
        let at = if token.kind == Kind::End { self.text.len() } else { token.start };
        lexer::syntax_error(self.text, at)
    }

    fn fail<T>(&self) -> SqlResult<T> {
        Err(self.error())
    }

    /// Whether the present token is this keyword.
    fn is(&self, keyword: &str) -> bool {
        self.is_at(0, keyword)
    }

    fn is_at(&self, ahead: usize, keyword: &str) -> bool {
        let token = self.peek(ahead);
        token.kind == Kind::Word
            && token.end - token.start == keyword.len()
            && self.slice(token).eq_ignore_ascii_case(keyword)
    }

    /// Takes this keyword if it is there.
    fn eat(&mut self, keyword: &str) -> bool {
        let found = self.is(keyword);
        if found {
            self.at += 1;
        }
        found
    }

    /// Takes these keywords if all are there.
    fn eat_all(&mut self, keywords: &[&str]) -> bool {
        let found = keywords.iter().enumerate().all(|(ahead, keyword)| self.is_at(ahead, keyword));
        if found {
            self.at += keywords.len();
        }
        found
    }

    fn expect(&mut self, keyword: &str) -> SqlResult<()> {
        if self.eat(keyword) { Ok(()) } else { self.fail() }
    }

    fn is_char(&self, byte: u8) -> bool {
        self.token().kind == Kind::Char(byte)
    }

    fn eat_char(&mut self, byte: u8) -> bool {
        let found = self.is_char(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect_char(&mut self, byte: u8) -> SqlResult<()> {
        if self.eat_char(byte) { Ok(()) } else { self.fail() }
    }

    /// Items separated by commas.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_char(b',') {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Items separated by commas, in parentheses.
    fn parenthesised<T>(&mut self, item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        self.expect_char(b'(')?;
        let items = self.list(item)?;
        self.expect_char(b')')?;
        Ok(items)
    }

    /// Runs `body` one level deeper.
    fn deeper<T>(&mut self, body: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        if self.depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        let result = body(self);
        self.depth -= 1;
        result
    }

    fn quoted_text(&self, token: Token) -> String {
        let bytes = lexer::unquote(self.slice(token).as_bytes(), false);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the present token can be an identifier.
    fn is_identifier(&self) -> bool {
        let token = self.token();
        match token.kind {
            Kind::Quoted => true,
            Kind::Word => !reserved::is_reserved(self.slice(token)),
            _ => false,
        }
    }

    /// An identifier: quoted, or a word that is not reserved.
    fn identifier(&mut self) -> SqlResult<String> {
        if !self.is_identifier() {
            return self.fail();
        }
        self.any_identifier()
    }

    /// An identifier where reserved words are allowed too (after a point).
    fn any_identifier(&mut self) -> SqlResult<String> {
        let token = self.token();
        let name = match token.kind {
            Kind::Quoted => self.quoted_text(token),
            Kind::Word => self.slice(token).to_owned(),
            _ => return self.fail(),
        };
        if name.is_empty() {
            return self.fail();
        }
        self.at += 1;
        Ok(name)
    }

    /// An identifier or a string, as names of character sets may be written.
    fn name_or_string(&mut self) -> SqlResult<String> {
        match self.token().kind {
            Kind::String => self.string(),
            _ => self.any_identifier(),
        }
    }

    fn table_name(&mut self) -> SqlResult<TableName> {
        let first = self.identifier()?;
        if self.eat_char(b'.') {
            return Ok(TableName { schema: Some(first), name: self.any_identifier()? });
        }
        Ok(TableName { schema: None, name: first })
    }

    /// Bytes of a string literal; adjacent ones are joined.
    fn string_bytes(&mut self) -> SqlResult<Vec<u8>> {
        if self.token().kind != Kind::String {
            return self.fail();
        }
        let backslash = !self.mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
        let token = self.advance();
        let mut bytes = lexer::unquote(self.slice(token).as_bytes(), backslash);
        while self.token().kind == Kind::String {
            let token = self.advance();
            bytes.extend(lexer::unquote(self.slice(token).as_bytes(), backslash));
        }
        Ok(bytes)
    }

    fn string(&mut self) -> SqlResult<String> {
        Ok(String::from_utf8_lossy(&self.string_bytes()?).into_owned())
    }

    fn unsigned(&mut self) -> SqlResult<u64> {
        let token = self.token();
        if token.kind != Kind::Integer {
            return self.fail();
        }
        let number = self.slice(token).parse().map_err(|_| self.error())?;
        self.at += 1;
        Ok(number)
    }

    fn unsigned_32(&mut self) -> SqlResult<u32> {
        let number = self.unsigned()?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn if_exists(&mut self) -> bool {
        self.eat_all(&["IF", "EXISTS"])
    }

    fn if_not_exists(&mut self) -> bool {
        self.eat_all(&["IF", "NOT", "EXISTS"])
    }

    /// The text between the start of token number `from` and the end of the last token taken.
    fn text_from(&self, from: usize) -> &'a str {
        let end = self.at.checked_sub(1).map_or(0, |last| self.tokens[last].end);
        self.text.get(self.tokens[from].start..end).unwrap_or_default()
    }

    /// Passes over everything, for statements that are only recognised.
    fn skip_rest(&mut self) {
        self.at = self.tokens.len().saturating_sub(1);
    }
}
