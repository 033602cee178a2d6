//! A small reader of expressions, so that tests can be written as MySQL text. It understands what tests
//! need and panics on everything else.

use std::rc::Rc;

use aquifer_types::text::to_text;
use aquifer_types::{Collation, Decimal, SqlError, SqlResult};
use bytes::Bytes;

use crate::expr::{
    self, BinaryOp, BindContext, CastTarget, CompareOp, Environment, EvalContext, Expr, IntervalSign,
    IntervalUnit, Negation, TrimSide, Truth, UnaryOp,
};

/// 2024-02-29 12:34:56.789012 UTC, and random numbers that are none.
pub struct FixedEnvironment;

impl Environment for FixedEnvironment {
    fn now_micros(&self) -> i64 {
        1_709_210_096_789_012
    }

    fn random(&self) -> u64 {
        0x0123_4567_89AB_CDEF
    }
}

/// A context at a fixed time.
pub fn context() -> EvalContext {
    let mut ctx = EvalContext::new(Rc::new(FixedEnvironment));
    ctx.session = Rc::new(expr::SessionFacts {
        connection_id: 7,
        user: "u@h".to_owned(),
        current_user: "u@%".to_owned(),
        database: Some("d".to_owned()),
        version: "8.0.36".to_owned(),
        ..expr::SessionFacts::default()
    });
    ctx
}

/// Evaluates an expression without columns and prints its value as MySQL's client does.
pub fn evaluate(text: &str) -> SqlResult<String> {
    evaluate_in(text, &mut context())
}

pub fn evaluate_in(text: &str, ctx: &mut EvalContext) -> SqlResult<String> {
    let bind = BindContext { sql_mode: ctx.sql_mode, ..BindContext::default() };
    let bound = parse(text, &bind)?;
    let value = bound.eval(&[], ctx)?;
    Ok(match to_text(&value, bound.data_type()) {
        None => "NULL".to_owned(),
        Some(b) => String::from_utf8_lossy(&b).into_owned(),
    })
}

pub fn parse(text: &str, bind: &BindContext) -> SqlResult<Expr> {
    parse_with(text, bind, &[])
}

/// As [`parse`]; names of `columns` stand for their expressions.
pub fn parse_with(text: &str, bind: &BindContext, columns: &[(&str, Expr)]) -> SqlResult<Expr> {
    let mut parser = Parser { tokens: tokens(text), at: 0, bind, columns };
    let e = parser.expr(0)?;
    assert_eq!(parser.at, parser.tokens.len(), "{text}: rest {:?}", &parser.tokens[parser.at..]);
    Ok(e)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Number(String),
    Text(Bytes),
    Hex(Bytes),
    Sign(&'static str),
}

const SIGNS: [&str; 25] = [
    "<=>", "<<", ">>", "<=", ">=", "<>", "!=", "||", "&&", ":=", "(", ")", ",", "+", "-", "*", "/", "%", "=",
    "<", ">", "|", "&", "^", "~",
];

fn tokens(text: &str) -> Vec<Token> {
    let b = text.as_bytes();
    let mut out = Vec::new();
    let mut i = 0;
    while i < b.len() {
        let rest = &text[i..];
        if b[i].is_ascii_whitespace() {
            i += 1;
        } else if b[i] == b'\'' {
            let (value, used) = quoted(rest);
            out.push(Token::Text(value));
            i += used;
        } else if matches!(b[i], b'x' | b'X') && b.get(i + 1) == Some(&b'\'') {
            let (value, used) = quoted(&rest[1..]);
            let digits =
                value.chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap());
            out.push(Token::Hex(digits.collect()));
            i += used + 1;
        } else if b[i].is_ascii_digit() || (b[i] == b'.' && b.get(i + 1).is_some_and(u8::is_ascii_digit)) {
            let parsed = aquifer_types::number::parse_double(rest.as_bytes());
            out.push(Token::Number(rest[..parsed.used].to_owned()));
            i += parsed.used;
        } else if b[i].is_ascii_alphabetic() || matches!(b[i], b'_' | b'@') {
            let len =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '@')).unwrap_or(rest.len());
            out.push(Token::Word(rest[..len].to_owned()));
            i += len;
        } else if b[i] == b'!' && b.get(i + 1) != Some(&b'=') {
            out.push(Token::Word("!".to_owned()));
            i += 1;
        } else {
            let sign =
                SIGNS.iter().find(|s| rest.starts_with(**s)).unwrap_or_else(|| panic!("token at {rest}"));
            out.push(Token::Sign(sign));
            i += sign.len();
        }
    }
    out
}

/// A quoted text and the bytes it takes.
fn quoted(text: &str) -> (Bytes, usize) {
    let b = text.as_bytes();
    let mut out = Vec::new();
    let mut i = 1;
    loop {
        match b[i] {
            b'\'' if b.get(i + 1) == Some(&b'\'') => {
                out.push(b'\'');
                i += 2;
            }
            b'\'' => return (out.into(), i + 1),
            b'\\' => {
                match b[i + 1] {
                    b'n' => out.push(b'\n'),
                    b't' => out.push(b'\t'),
                    b'0' => out.push(0),
                    c @ (b'%' | b'_') => out.extend_from_slice(&[b'\\', c]),
                    c => out.push(c),
                }
                i += 2;
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    bind: &'a BindContext,
    columns: &'a [(&'a str, Expr)],
}

impl Parser<'_> {
    fn word(&self) -> String {
        self.word_at(0)
    }

    fn word_at(&self, ahead: usize) -> String {
        match self.tokens.get(self.at + ahead) {
            Some(Token::Word(w)) => w.to_ascii_uppercase(),
            Some(Token::Sign(s)) => (*s).to_owned(),
            _ => String::new(),
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, word: &str) {
        assert!(self.take(word), "expected {word} at {:?}", &self.tokens[self.at..]);
    }

    fn negation(&mut self) -> Negation {
        if self.take("NOT") { Negation::Negated } else { Negation::Plain }
    }

    fn expr(&mut self, level: u8) -> SqlResult<Expr> {
        let mut left = self.prefix()?;
        loop {
            let (op, strength) = match self.word().as_str() {
                "||" | "OR" => (BinaryOp::Or, 1),
                "XOR" => (BinaryOp::Xor, 2),
                "&&" | "AND" => (BinaryOp::And, 3),
                "=" => (BinaryOp::Compare(CompareOp::Eq), 5),
                "<=>" => (BinaryOp::Compare(CompareOp::NullSafeEq), 5),
                "<>" | "!=" => (BinaryOp::Compare(CompareOp::Ne), 5),
                "<" => (BinaryOp::Compare(CompareOp::Lt), 5),
                "<=" => (BinaryOp::Compare(CompareOp::Le), 5),
                ">" => (BinaryOp::Compare(CompareOp::Gt), 5),
                ">=" => (BinaryOp::Compare(CompareOp::Ge), 5),
                "|" => (BinaryOp::BitOr, 6),
                "&" => (BinaryOp::BitAnd, 7),
                "<<" => (BinaryOp::ShiftLeft, 8),
                ">>" => (BinaryOp::ShiftRight, 8),
                "+" => (BinaryOp::Add, 9),
                "-" => (BinaryOp::Sub, 9),
                "*" => (BinaryOp::Mul, 10),
                "/" => (BinaryOp::Div, 10),
                "%" | "MOD" => (BinaryOp::Rem, 10),
                "DIV" => (BinaryOp::IntDiv, 10),
                "^" => (BinaryOp::BitXor, 11),
                "IS" | "IN" | "LIKE" | "REGEXP" | "BETWEEN" | "NOT" if level < 5 => {
                    left = self.predicate(left)?;
                    continue;
                }
                "COLLATE" => {
                    self.at += 1;
                    let name = self.word().to_ascii_lowercase();
                    self.at += 1;
                    left = expr::collate(left, &name, self.bind)?;
                    continue;
                }
                _ => return Ok(left),
            };
            if strength <= level {
                return Ok(left);
            }
            self.at += 1;
            if matches!(op, BinaryOp::Add | BinaryOp::Sub)
                && self.word() == "INTERVAL"
                && self.word_at(1) != "("
            {
                let sign = if op == BinaryOp::Add { IntervalSign::Add } else { IntervalSign::Subtract };
                let (amount, unit) = self.interval()?;
                left = expr::add_interval(left, amount, unit, sign, self.bind)?;
                continue;
            }
            let right = self.expr(strength)?;
            left = expr::binary(op, left, right, self.bind)?;
        }
    }

    fn predicate(&mut self, left: Expr) -> SqlResult<Expr> {
        if self.take("IS") {
            let negation = self.negation();
            let word = self.word();
            self.at += 1;
            return Ok(match word.as_str() {
                "NULL" => expr::is_null(left, negation),
                "TRUE" => expr::is_truth(left, Truth::True, negation),
                "FALSE" => expr::is_truth(left, Truth::False, negation),
                _ => expr::is_truth(left, Truth::Unknown, negation),
            });
        }
        let negation = self.negation();
        if self.take("IN") {
            self.expect("(");
            let members = self.list()?;
            return expr::in_list(left, members, negation, self.bind);
        }
        if self.take("BETWEEN") {
            let low = self.expr(5)?;
            self.expect("AND");
            let high = self.expr(5)?;
            return expr::between(left, low, high, negation, self.bind);
        }
        if self.take("REGEXP") {
            let pattern = self.expr(5)?;
            return expr::regexp(left, pattern, negation, self.bind);
        }
        self.expect("LIKE");
        let pattern = self.expr(5)?;
        let escape = if self.take("ESCAPE") { Some(self.expr(5)?) } else { None };
        expr::like(left, pattern, escape, negation, self.bind)
    }

    fn interval(&mut self) -> SqlResult<(Expr, IntervalUnit)> {
        self.expect("INTERVAL");
        let amount = self.expr(0)?;
        let unit = IntervalUnit::parse(&self.word()).unwrap();
        self.at += 1;
        Ok((amount, unit))
    }

    /// Expressions up to the closing parenthesis.
    fn list(&mut self) -> SqlResult<Vec<Expr>> {
        let mut out = Vec::new();
        if self.take(")") {
            return Ok(out);
        }
        loop {
            out.push(self.expr(0)?);
            if self.take(")") {
                return Ok(out);
            }
            self.expect(",");
        }
    }

    fn prefix(&mut self) -> SqlResult<Expr> {
        let token = self.tokens.get(self.at).cloned().unwrap_or_else(|| panic!("end of text"));
        self.at += 1;
        match token {
            Token::Text(b) => Ok(expr::string_literal(b, self.bind.collation)),
            Token::Hex(b) => Ok(expr::hex_literal(b)),
            Token::Number(n) => Ok(number(&n)),
            Token::Sign("-") => expr::unary(UnaryOp::Minus, self.expr(11)?, self.bind),
            Token::Sign("+") => self.expr(11),
            Token::Sign("~") => expr::unary(UnaryOp::BitNot, self.expr(11)?, self.bind),
            Token::Sign("(") => self.parenthesis(),
            Token::Sign(s) => panic!("unexpected {s}"),
            Token::Word(w) => self.named(&w),
        }
    }

    fn parenthesis(&mut self) -> SqlResult<Expr> {
        let mut all = self.list()?;
        if all.len() == 1 {
            return Ok(all.remove(0));
        }
        let op = match self.word().as_str() {
            "=" => CompareOp::Eq,
            "<" => CompareOp::Lt,
            "<=" => CompareOp::Le,
            ">" => CompareOp::Gt,
            ">=" => CompareOp::Ge,
            "<>" => CompareOp::Ne,
            other => panic!("row operator {other}"),
        };
        self.at += 1;
        self.expect("(");
        let right = self.list()?;
        expr::row_compare(op, all, right, self.bind)
    }

    fn named(&mut self, word: &str) -> SqlResult<Expr> {
        if let Some((_, e)) = self.columns.iter().find(|(name, _)| *name == word) {
            return Ok(e.clone());
        }
        if let Some(name) = word.strip_prefix('@') {
            if self.take(":=") {
                return Ok(expr::set_user_variable(name, self.expr(0)?));
            }
            return Ok(expr::user_variable(name, aquifer_types::DataType::varchar(100)));
        }
        let upper = word.to_ascii_uppercase();
        let literal = matches!(self.tokens.get(self.at), Some(Token::Text(_)));
        match upper.as_str() {
            "NULL" => return Ok(expr::null_literal()),
            "TRUE" => return Ok(expr::bool_literal(true)),
            "FALSE" => return Ok(expr::bool_literal(false)),
            "NOT" => return expr::unary(UnaryOp::Not, self.expr(4)?, self.bind),
            "!" => return expr::unary(UnaryOp::Not, self.expr(11)?, self.bind),
            "BINARY" => return expr::unary(UnaryOp::Binary, self.expr(11)?, self.bind),
            "CASE" => return self.case(),
            "DATE" | "TIME" | "TIMESTAMP" if literal => return self.temporal_literal(&upper),
            "_LATIN1" | "_UTF8MB4" | "_BINARY" if literal => return self.introduced(&upper),
            _ => {}
        }
        self.expect("(");
        self.call(&upper)
    }

    fn temporal_literal(&mut self, what: &str) -> SqlResult<Expr> {
        let Some(Token::Text(text)) = self.tokens.get(self.at).cloned() else { panic!("literal") };
        self.at += 1;
        let target = match what {
            "DATE" => CastTarget::Date,
            "TIME" => CastTarget::Time(0),
            _ => CastTarget::DateTime(0),
        };
        expr::date_literal(&target, std::str::from_utf8(&text).unwrap(), self.bind)
    }

    fn introduced(&mut self, charset: &str) -> SqlResult<Expr> {
        let Some(Token::Text(text)) = self.tokens.get(self.at).cloned() else { panic!("literal") };
        self.at += 1;
        let collation = match charset {
            "_LATIN1" => Collation(8),
            "_BINARY" => Collation::BINARY,
            _ => Collation::UTF8MB4_0900_AI_CI,
        };
        Ok(expr::string_literal(text, collation))
    }

    fn case(&mut self) -> SqlResult<Expr> {
        let operand = if self.word() == "WHEN" { None } else { Some(self.expr(0)?) };
        let mut branches = Vec::new();
        while self.take("WHEN") {
            let when = self.expr(0)?;
            self.expect("THEN");
            branches.push((when, self.expr(0)?));
        }
        let otherwise = if self.take("ELSE") { Some(self.expr(0)?) } else { None };
        self.expect("END");
        expr::case(operand, branches, otherwise, self.bind)
    }

    /// The rest of a call after its opening parenthesis.
    fn call(&mut self, name: &str) -> SqlResult<Expr> {
        match name {
            "CAST" | "CONVERT" => self.cast(),
            "EXTRACT" => {
                let unit = IntervalUnit::parse(&self.word()).unwrap();
                self.at += 1;
                self.expect("FROM");
                let x = self.expr(0)?;
                self.expect(")");
                expr::extract(unit, x, self.bind)
            }
            "TIMESTAMPDIFF" | "TIMESTAMPADD" => {
                let unit = IntervalUnit::parse(&self.word()).unwrap();
                self.at += 1;
                self.expect(",");
                let mut args = self.list()?;
                let (second, first) = (args.pop().unwrap(), args.pop().unwrap());
                if name == "TIMESTAMPDIFF" {
                    expr::timestamp_diff(unit, first, second, self.bind)
                } else {
                    expr::timestamp_add(unit, first, second, self.bind)
                }
            }
            "TRIM" => self.trim(),
            "DATE_ADD" | "ADDDATE" | "DATE_SUB" | "SUBDATE" => {
                let x = self.expr(0)?;
                self.expect(",");
                if self.word() == "INTERVAL" {
                    let (amount, unit) = self.interval()?;
                    self.expect(")");
                    let sign = if name.contains("ADD") { IntervalSign::Add } else { IntervalSign::Subtract };
                    return expr::add_interval(x, amount, unit, sign, self.bind);
                }
                let mut args = vec![x];
                args.extend(self.list()?);
                expr::function(name, args, self.bind)
            }
            _ => {
                let args = self.list()?;
                expr::function(name, args, self.bind)
            }
        }
    }

    fn trim(&mut self) -> SqlResult<Expr> {
        let side = match self.word().as_str() {
            "LEADING" => TrimSide::Leading,
            "TRAILING" => TrimSide::Trailing,
            _ => TrimSide::Both,
        };
        if matches!(self.word().as_str(), "LEADING" | "TRAILING" | "BOTH") {
            self.at += 1;
        }
        let first = if self.word() == "FROM" { None } else { Some(self.expr(0)?) };
        let e = if self.take("FROM") {
            let x = self.expr(0)?;
            expr::trim(side, first, x, self.bind)
        } else {
            expr::trim(side, None, first.ok_or_else(|| SqlError::bug("TRIM"))?, self.bind)
        };
        self.expect(")");
        e
    }

    fn cast(&mut self) -> SqlResult<Expr> {
        let x = self.expr(0)?;
        if self.take("USING") {
            let charset = self.word().to_ascii_lowercase();
            self.at += 1;
            self.expect(")");
            return expr::convert_using(x, &charset, self.bind);
        }
        if !self.take("AS") {
            self.expect(",");
        }
        let name = self.word();
        self.at += 1;
        let mut sizes = Vec::new();
        if self.take("(") {
            loop {
                let Some(Token::Number(n)) = self.tokens.get(self.at) else { panic!("size") };
                sizes.push(n.parse::<u8>().unwrap());
                self.at += 1;
                if self.take(")") {
                    break;
                }
                self.expect(",");
            }
        }
        self.take("INTEGER");
        self.expect(")");
        let first = sizes.first().copied();
        let target = match name.as_str() {
            "SIGNED" => CastTarget::Signed,
            "UNSIGNED" => CastTarget::Unsigned,
            "CHAR" => CastTarget::Char(first.map(u32::from), self.bind.collation),
            "BINARY" => CastTarget::Binary(first.map(u32::from)),
            "DATE" => CastTarget::Date,
            "TIME" => CastTarget::Time(first.unwrap_or(0)),
            "DATETIME" => CastTarget::DateTime(first.unwrap_or(0)),
            "DECIMAL" => CastTarget::Decimal(first.unwrap_or(10), sizes.get(1).copied().unwrap_or(0)),
            "DOUBLE" => CastTarget::Double,
            "FLOAT" => CastTarget::Float,
            "YEAR" => CastTarget::Year,
            "JSON" => CastTarget::Json,
            other => panic!("cast to {other}"),
        };
        expr::cast(x, target, self.bind)
    }
}

fn number(text: &str) -> Expr {
    if text.contains(['e', 'E']) {
        return expr::double_literal(text.parse().unwrap());
    }
    match (text.parse::<i64>(), text.parse::<u64>()) {
        (Ok(n), _) => expr::int_literal(n),
        (_, Ok(n)) => expr::uint_literal(n),
        _ => expr::decimal_literal(Decimal::parse(text.as_bytes()).unwrap()),
    }
}
