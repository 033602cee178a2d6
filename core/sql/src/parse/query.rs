//! Queries.

use aquifer_types::{SqlError, SqlResult};

use super::lexer::Kind;
use super::{CHAIN_MAX, DEPTH_MAX, Parser, too_deep};
use crate::ast::{
    AstExpr, CommonTable, IntoTarget, Limit, Literal, Locking, OrderItem, Query, QueryBody, Select,
    SelectItem, SetOperator, TableName, WithClause,
};

/// What follows the body of a query.
#[derive(Default)]
struct Tail {
    order: Vec<OrderItem>,
    limit: Option<Limit>,
    locking: Option<Locking>,
    into: Option<IntoTarget>,
}

impl Parser<'_> {
    /// Whether a query begins here, parentheses before it included.
    pub(super) fn is_query_start(&self) -> bool {
        let mut ahead = 0;
        while self.peek(ahead).kind == Kind::Char(b'(') {
            ahead += 1;
        }
        self.is_at(ahead, "SELECT")
            || self.is_at(ahead, "WITH")
            || self.is_at(ahead, "TABLE")
            || self.is_at(ahead, "VALUES") && self.is_at(ahead + 1, "ROW")
    }

    /// Whether the parenthesis that has been opened `ahead` tokens before holds a query up to its end:
    /// `(SELECT 1) UNION …` and not `(SELECT 1) + 1`.
    pub(super) fn holds_query(&self, ahead: usize) -> bool {
        let mut opened = 0_usize;
        while self.peek(ahead + opened).kind == Kind::Char(b'(') {
            opened += 1;
        }
        if !self.is_query_start() {
            return false;
        }
        let mut depth = opened;
        for at in ahead + opened..self.tokens.len() - self.at {
            if opened == 0 {
                return true;
            }
            match self.peek(at).kind {
                Kind::Char(b'(') => depth += 1,
                Kind::Char(b')') => {
                    depth -= 1;
                    if depth < opened {
                        if !self.goes_on_as_query(at + 1) {
                            return false;
                        }
                        opened = depth;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Whether what follows a query in parentheses leaves it a query.
    fn goes_on_as_query(&self, ahead: usize) -> bool {
        const WORDS: [&str; 9] =
            ["UNION", "EXCEPT", "MINUS", "INTERSECT", "ORDER", "LIMIT", "FOR", "LOCK", "INTO"];
        self.peek(ahead).kind == Kind::Char(b')') || WORDS.iter().any(|word| self.is_at(ahead, word))
    }

    /// A query with everything that belongs to it.
    pub(super) fn query(&mut self) -> SqlResult<Query> {
        let with = if self.is("WITH") { Some(self.deeper(Self::with_clause)?) } else { None };
        self.query_after(with)
    }

    /// What follows the WITH of a query.
    pub(super) fn query_after(&mut self, with: Option<WithClause>) -> SqlResult<Query> {
        self.deeper(|parser| {
            let mut tail = Tail::default();
            let body = parser.set_operation(0, &mut tail)?;
            parser.tail(&mut tail)?;
            Ok(Query {
                with,
                body,
                order: tail.order,
                limit: tail.limit,
                locking: tail.locking,
                into: tail.into,
            })
        })
    }

    pub(super) fn with_clause(&mut self) -> SqlResult<WithClause> {
        self.expect("WITH")?;
        let recursive = self.eat("RECURSIVE");
        let tables = self.list(|parser| {
            let name = parser.identifier()?;
            let columns =
                if parser.is_char(b'(') { parser.parenthesised(Self::identifier)? } else { Vec::new() };
            parser.expect("AS")?;
            parser.expect_char(b'(')?;
            let query = parser.query()?;
            parser.expect_char(b')')?;
            Ok(CommonTable { name, columns, query })
        })?;
        Ok(WithClause { recursive, tables })
    }

    /// UNION and EXCEPT (precedence 0) bind looser than INTERSECT (1).
    fn set_operation(&mut self, least: u8, tail: &mut Tail) -> SqlResult<QueryBody> {
        let mut left = self.query_primary(tail)?;
        let mut kind = None;
        let mut turns = 0;
        for _ in 0..CHAIN_MAX {
            let (operator, precedence) = if self.is("UNION") {
                (SetOperator::Union, 0)
            } else if self.is("EXCEPT") || self.is("MINUS") {
                (SetOperator::Except, 0)
            } else if self.is("INTERSECT") {
                (SetOperator::Intersect, 1)
            } else {
                return Ok(left);
            };
            if precedence < least {
                return Ok(left);
            }
            self.at += 1;
            let all = self.eat("ALL");
            if !all {
                self.eat("DISTINCT");
            }
            // A run of the same UNION is one list of parts; everything else nests.
            turns += usize::from(operator != SetOperator::Union || kind != Some(all));
            kind = Some(all);
            if turns > DEPTH_MAX {
                return Err(too_deep());
            }
            let right = self.set_operation(precedence + 1, tail)?;
            left = QueryBody::Set { operator, all, left: Box::new(left), right: Box::new(right) };
        }
        Err(too_deep())
    }

    fn query_primary(&mut self, tail: &mut Tail) -> SqlResult<QueryBody> {
        if self.eat_char(b'(') {
            let query = self.query()?;
            self.expect_char(b')')?;
            return Ok(QueryBody::Nested(Box::new(query)));
        }
        if self.eat("SELECT") {
            return Ok(QueryBody::Select(Box::new(self.select(tail)?)));
        }
        if self.eat("TABLE") {
            let name = self.table_name()?;
            let from =
                crate::ast::TableRef::Table { name, alias: None, use_index: None, ignore_index: Vec::new() };
            let select =
                Select { items: vec![SelectItem::Wildcard(None)], from: Some(from), ..empty_select() };
            return Ok(QueryBody::Select(Box::new(select)));
        }
        if self.eat("VALUES") {
            let rows = self.list(|parser| {
                parser.expect("ROW")?;
                parser.parenthesised(Self::expr)
            })?;
            return Ok(QueryBody::Values(rows));
        }
        self.fail()
    }

    fn select(&mut self, tail: &mut Tail) -> SqlResult<Select> {
        let mut select = empty_select();
        self.select_options(&mut select);
        select.items = self.list(Self::select_item)?;
        if self.is("INTO") {
            tail.into = Some(self.into_target()?);
        }
        if self.eat("FROM") && !self.eat("DUAL") {
            select.from = Some(self.table_refs()?);
        }
        if self.eat("WHERE") {
            select.filter = Some(self.expr()?);
        }
        if self.eat_all(&["GROUP", "BY"]) {
            select.group = self.list(|parser| {
                let expr = parser.expr()?;
                let _ = parser.eat("ASC") || parser.eat("DESC");
                Ok(expr)
            })?;
            select.rollup = self.eat_all(&["WITH", "ROLLUP"]);
        }
        if self.eat("HAVING") {
            select.having = Some(self.expr()?);
        }
        if self.is("WINDOW") {
            select.windows = self.window_clause()?;
        }
        Ok(select)
    }

    fn select_options(&mut self, select: &mut Select) {
        loop {
            if self.eat("DISTINCT") || self.eat("DISTINCTROW") {
                select.distinct = true;
            } else if self.eat("SQL_CALC_FOUND_ROWS") {
                select.calc_found_rows = true;
            } else if self.eat("STRAIGHT_JOIN") {
                select.straight_join = true;
            } else if ![
                "ALL",
                "HIGH_PRIORITY",
                "SQL_SMALL_RESULT",
                "SQL_BIG_RESULT",
                "SQL_BUFFER_RESULT",
                "SQL_NO_CACHE",
                "SQL_CACHE",
            ]
            .iter()
            .any(|word| self.eat(word))
            {
                return;
            }
        }
    }

    fn select_item(&mut self) -> SqlResult<SelectItem> {
        if self.eat_char(b'*') {
            return Ok(SelectItem::Wildcard(None));
        }
        if self.is_identifier() && self.peek(1).kind == Kind::Char(b'.') {
            let star = Kind::Char(b'*');
            if self.peek(2).kind == star {
                let name = self.identifier()?;
                self.at += 2;
                return Ok(SelectItem::Wildcard(Some(TableName { schema: None, name })));
            }
            if self.peek(3).kind == Kind::Char(b'.') && self.peek(4).kind == star {
                let schema = Some(self.identifier()?);
                self.at += 1;
                let name = self.any_identifier()?;
                self.at += 2;
                return Ok(SelectItem::Wildcard(Some(TableName { schema, name })));
            }
        }
        let from = self.at;
        let expr = self.expr()?;
        let text = match &expr {
            AstExpr::Literal(Literal::String(bytes) | Literal::Introduced(_, bytes)) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            _ => self.text_from(from).to_owned(),
        };
        Ok(SelectItem::Expr { expr, alias: self.alias()?, text })
    }

    /// `[AS] name`, also as a string.
    pub(super) fn alias(&mut self) -> SqlResult<Option<String>> {
        if self.eat("AS") {
            return Ok(Some(match self.token().kind {
                Kind::String => self.string()?,
                _ => self.identifier()?,
            }));
        }
        match self.token().kind {
            Kind::String if !self.ansi_quotes() => Ok(Some(self.string()?)),
            _ if self.is_identifier() => Ok(Some(self.identifier()?)),
            _ => Ok(None),
        }
    }

    fn tail(&mut self, tail: &mut Tail) -> SqlResult<()> {
        if self.is("ORDER") {
            tail.order = self.order_by()?;
        }
        if self.is("LIMIT") {
            tail.limit = self.limit()?;
        }
        if self.eat("PROCEDURE") {
            return Err(SqlError::not_supported("PROCEDURE ANALYSE"));
        }
        loop {
            if self.is("INTO") {
                tail.into = Some(self.into_target()?);
            } else if self.is("FOR") || self.is("LOCK") {
                tail.locking = Some(self.locking()?);
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn order_by(&mut self) -> SqlResult<Vec<OrderItem>> {
        self.expect("ORDER")?;
        self.expect("BY")?;
        self.list(|parser| {
            let expr = parser.expr()?;
            let descending = parser.eat("DESC");
            if !descending {
                parser.eat("ASC");
            }
            Ok(OrderItem { expr, descending })
        })
    }

    fn limit(&mut self) -> SqlResult<Option<Limit>> {
        self.expect("LIMIT")?;
        let first = self.limit_value()?;
        if self.eat_char(b',') {
            return Ok(Some(Limit { offset: Some(first), count: self.limit_value()? }));
        }
        let offset = if self.eat("OFFSET") { Some(self.limit_value()?) } else { None };
        Ok(Some(Limit { offset, count: first }))
    }

    pub(super) fn limit_value(&mut self) -> SqlResult<AstExpr> {
        match self.token().kind {
            Kind::Integer | Kind::Param => self.simple(),
            _ => self.fail(),
        }
    }

    fn into_target(&mut self) -> SqlResult<IntoTarget> {
        self.expect("INTO")?;
        if self.is("OUTFILE") || self.is("DUMPFILE") {
            return Ok(IntoTarget::File(Box::new(self.out_file()?)));
        }
        Ok(IntoTarget::Variables(self.list(Self::user_variable_name)?))
    }

    fn locking(&mut self) -> SqlResult<Locking> {
        let mut locking = Locking { shared: true, of: Vec::new(), nowait: false, skip_locked: false };
        if self.eat("LOCK") {
            if !self.eat_all(&["IN", "SHARE", "MODE"]) {
                return self.fail();
            }
            return Ok(locking);
        }
        self.expect("FOR")?;
        if !self.eat("SHARE") {
            self.expect("UPDATE")?;
            locking.shared = false;
        }
        if self.eat("OF") {
            locking.of = self.list(Self::identifier)?;
        }
        locking.nowait = self.eat("NOWAIT");
        locking.skip_locked = self.eat_all(&["SKIP", "LOCKED"]);
        Ok(locking)
    }
}

fn empty_select() -> Select {
    Select {
        distinct: false,
        calc_found_rows: false,
        straight_join: false,
        items: Vec::new(),
        from: None,
        filter: None,
        group: Vec::new(),
        rollup: false,
        having: None,
        windows: Vec::new(),
    }
}
