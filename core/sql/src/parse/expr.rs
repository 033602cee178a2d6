//! Operators, by precedence from the loosest.

use aquifer_types::{SqlMode, SqlResult};

use super::lexer::{Kind, Op};
use super::{CHAIN_MAX, Parser, too_deep};
use crate::ast::{AstBinary, AstExpr, AstUnary, Quantifier, TruthTest};

/// Operands of an associative operator as a tree whose depth is the logarithm of their number, so that a
/// thousand conditions need no deep stack.
fn balanced(op: AstBinary, mut operands: Vec<AstExpr>) -> AstExpr {
    while operands.len() > 1 {
        let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary(op, left, right),
                None => left,
            });
        }
        operands = pairs;
    }
    operands.pop().unwrap_or(AstExpr::Default)
}

fn binary(op: AstBinary, left: AstExpr, right: AstExpr) -> AstExpr {
    AstExpr::Binary(op, Box::new(left), Box::new(right))
}

impl Parser<'_> {
    /// Any expression.
    pub(super) fn expr(&mut self) -> SqlResult<AstExpr> {
        self.deeper(Self::or_expr)
    }

    fn or_expr(&mut self) -> SqlResult<AstExpr> {
        let mut operands = vec![self.xor_expr()?];
        loop {
            let pipes =
                self.token().kind == Kind::Op(Op::Or) && !self.mode.contains(SqlMode::PIPES_AS_CONCAT);
            if !pipes && !self.is("OR") {
                return Ok(balanced(AstBinary::Or, operands));
            }
            self.at += 1;
            operands.push(self.xor_expr()?);
        }
    }

    fn xor_expr(&mut self) -> SqlResult<AstExpr> {
        let mut operands = vec![self.and_expr()?];
        while self.eat("XOR") {
            operands.push(self.and_expr()?);
        }
        Ok(balanced(AstBinary::Xor, operands))
    }

    fn and_expr(&mut self) -> SqlResult<AstExpr> {
        let mut operands = vec![self.not_expr()?];
        while self.token().kind == Kind::Op(Op::And) || self.is("AND") {
            self.at += 1;
            operands.push(self.not_expr()?);
        }
        Ok(balanced(AstBinary::And, operands))
    }

    fn not_expr(&mut self) -> SqlResult<AstExpr> {
        if self.is("NOT") && !self.mode.contains(SqlMode::HIGH_NOT_PRECEDENCE) {
            self.at += 1;
            let operand = self.deeper(Self::not_expr)?;
            return Ok(AstExpr::Unary(AstUnary::Not, Box::new(operand)));
        }
        self.comparison()
    }

    fn comparison_operator(&self) -> Option<AstBinary> {
        Some(match self.token().kind {
            Kind::Char(b'=') => AstBinary::Eq,
            Kind::Char(b'<') => AstBinary::Lt,
            Kind::Char(b'>') => AstBinary::Gt,
            Kind::Op(Op::NullSafeEq) => AstBinary::NullSafeEq,
            Kind::Op(Op::Le) => AstBinary::Le,
            Kind::Op(Op::Ge) => AstBinary::Ge,
            Kind::Op(Op::Ne) => AstBinary::Ne,
            _ => return None,
        })
    }

    fn comparison(&mut self) -> SqlResult<AstExpr> {
        let mut left = self.predicate()?;
        for _ in 0..CHAIN_MAX {
            if self.eat("IS") {
                left = self.is_test(left)?;
                continue;
            }
            let Some(op) = self.comparison_operator() else { return Ok(left) };
            self.at += 1;
            let quantifier = if self.is("ALL") && self.peek(1).kind == Kind::Char(b'(') {
                Some(Quantifier::All)
            } else if (self.is("ANY") || self.is("SOME")) && self.peek(1).kind == Kind::Char(b'(') {
                Some(Quantifier::Any)
            } else {
                None
            };
            left = match quantifier {
                Some(quantifier) => {
                    self.at += 1;
                    self.expect_char(b'(')?;
                    let query = self.query()?;
                    self.expect_char(b')')?;
                    AstExpr::Quantified(op, Box::new(left), quantifier, Box::new(query))
                }
                None => binary(op, left, self.predicate()?),
            };
        }
        Err(too_deep())
    }

    fn is_test(&mut self, left: AstExpr) -> SqlResult<AstExpr> {
        let negated = self.eat("NOT");
        let left = Box::new(left);
        if self.eat("NULL") {
            return Ok(AstExpr::IsNull(left, negated));
        }
        for (word, test) in
            [("TRUE", TruthTest::True), ("FALSE", TruthTest::False), ("UNKNOWN", TruthTest::Unknown)]
        {
            if self.eat(word) {
                return Ok(AstExpr::IsTruth(left, test, negated));
            }
        }
        self.fail()
    }

    fn predicate(&mut self) -> SqlResult<AstExpr> {
        let left = self.bit_expr(0)?;
        let negated = self.is("NOT")
            && ["IN", "BETWEEN", "LIKE", "REGEXP", "RLIKE"].iter().any(|word| self.is_at(1, word));
        if negated {
            self.at += 1;
        }
        let left_box = |left| Box::new(left);
        if self.eat("IN") {
            return self.in_list(left, negated);
        }
        if self.eat("BETWEEN") {
            let low = self.bit_expr(0)?;
            self.expect("AND")?;
            let high = self.predicate()?;
            return Ok(AstExpr::Between(left_box(left), Box::new(low), Box::new(high), negated));
        }
        if self.eat("LIKE") {
            let pattern = self.unary()?;
            let escape = if self.eat("ESCAPE") { Some(Box::new(self.unary()?)) } else { None };
            return Ok(AstExpr::Like(left_box(left), Box::new(pattern), escape, negated));
        }
        if self.eat("REGEXP") || self.eat("RLIKE") {
            let pattern = self.bit_expr(0)?;
            return Ok(AstExpr::Regexp(left_box(left), Box::new(pattern), negated));
        }
        if self.eat_all(&["SOUNDS", "LIKE"]) {
            let right = self.bit_expr(0)?;
            return Ok(binary(AstBinary::Eq, call("SOUNDEX", left), call("SOUNDEX", right)));
        }
        if self.is("MEMBER") && self.is_at(1, "OF") {
            self.at += 2;
            self.expect_char(b'(')?;
            let array = self.expr()?;
            self.expect_char(b')')?;
            let call = super::expr_call::plain_call("MEMBER OF".to_owned(), vec![left, array]);
            return Ok(AstExpr::Function(Box::new(call)));
        }
        Ok(left)
    }

    fn in_list(&mut self, left: AstExpr, negated: bool) -> SqlResult<AstExpr> {
        self.expect_char(b'(')?;
        let result = if self.holds_query(0) {
            AstExpr::InSubquery(Box::new(left), Box::new(self.query()?), negated)
        } else {
            AstExpr::In(Box::new(left), self.list(Self::expr)?, negated)
        };
        self.expect_char(b')')?;
        Ok(result)
    }

    /// Operators between values; `least` is the loosest precedence taken.
    pub(super) fn bit_expr(&mut self, least: u8) -> SqlResult<AstExpr> {
        let mut left = self.unary()?;
        for _ in 0..CHAIN_MAX {
            let Some((op, precedence)) = self.bit_operator() else { return Ok(left) };
            if precedence < least {
                return Ok(left);
            }
            let minus = op == AstBinary::Minus;
            self.at += 1;
            if matches!(op, AstBinary::Plus | AstBinary::Minus)
                && self.is("INTERVAL")
                && self.interval_follows()
            {
                self.at += 1;
                let amount = self.expr()?;
                let unit = self.interval_unit()?;
                left = AstExpr::AddInterval(Box::new(left), Box::new(amount), unit, minus);
                continue;
            }
            let right = self.deeper(|parser| parser.bit_expr(precedence + 1))?;
            left = binary(op, left, right);
        }
        Err(too_deep())
    }

    fn bit_operator(&self) -> Option<(AstBinary, u8)> {
        Some(match self.token().kind {
            Kind::Char(b'|') => (AstBinary::BitOr, 0),
            Kind::Char(b'&') => (AstBinary::BitAnd, 1),
            Kind::Op(Op::ShiftLeft) => (AstBinary::ShiftLeft, 2),
            Kind::Op(Op::ShiftRight) => (AstBinary::ShiftRight, 2),
            Kind::Char(b'+') => (AstBinary::Plus, 3),
            Kind::Char(b'-') => (AstBinary::Minus, 3),
            Kind::Char(b'*') => (AstBinary::Multiply, 4),
            Kind::Char(b'/') => (AstBinary::Divide, 4),
            Kind::Char(b'%') => (AstBinary::Modulo, 4),
            Kind::Char(b'^') => (AstBinary::BitXor, 5),
            Kind::Op(Op::Or) if self.mode.contains(SqlMode::PIPES_AS_CONCAT) => (AstBinary::Concat, 6),
            Kind::Word if self.is("DIV") => (AstBinary::IntDivide, 4),
            Kind::Word if self.is("MOD") => (AstBinary::Modulo, 4),
            _ => return None,
        })
    }

    /// Prefix operators.
    pub(super) fn unary(&mut self) -> SqlResult<AstExpr> {
        let op = match self.token().kind {
            Kind::Char(b'-') => AstUnary::Minus,
            Kind::Char(b'+') => AstUnary::Plus,
            Kind::Char(b'~') => AstUnary::BitNot,
            Kind::Char(b'!') => AstUnary::Not,
            Kind::Word if self.is("BINARY") => AstUnary::Binary,
            Kind::Word if self.is("NOT") && self.mode.contains(SqlMode::HIGH_NOT_PRECEDENCE) => AstUnary::Not,
            _ => return self.collated(),
        };
        self.at += 1;
        let operand = self.deeper(Self::unary)?;
        Ok(AstExpr::Unary(op, Box::new(operand)))
    }

    fn collated(&mut self) -> SqlResult<AstExpr> {
        let mut expr = self.simple()?;
        loop {
            match self.token().kind {
                Kind::Word if self.is("COLLATE") => {
                    self.at += 1;
                    expr = AstExpr::Collate(Box::new(expr), self.name_or_string()?);
                }
                Kind::Op(op @ (Op::Arrow | Op::LongArrow)) => {
                    self.at += 1;
                    let path = self.simple()?;
                    let op = if op == Op::Arrow { AstBinary::JsonExtract } else { AstBinary::JsonUnquote };
                    expr = binary(op, expr, path);
                }
                _ => return Ok(expr),
            }
        }
    }
}

/// A call with one argument.
fn call(name: &str, arg: AstExpr) -> AstExpr {
    AstExpr::Function(Box::new(super::expr_call::plain_call(name.to_owned(), vec![arg])))
}
