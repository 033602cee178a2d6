//! FROM.

use aquifer_types::{SqlError, SqlResult};

use super::lexer::Kind;
use super::{CHAIN_MAX, Parser, too_deep};
use crate::ast::{Join, JoinCondition, JoinKind, TableRef};

impl Parser<'_> {
    /// Tables separated by commas; a comma is a cross join.
    pub(super) fn table_refs(&mut self) -> SqlResult<TableRef> {
        let mut left = self.joined_table()?;
        for _ in 0..CHAIN_MAX {
            if !self.eat_char(b',') {
                return Ok(left);
            }
            let right = self.joined_table()?;
            left = join(left, right, JoinKind::Inner, JoinCondition::None);
        }
        Err(too_deep())
    }

    /// A table with its alias, without a join.
    pub(super) fn one_table(&mut self) -> SqlResult<TableRef> {
        self.deeper(Self::table_factor)
    }

    fn joined_table(&mut self) -> SqlResult<TableRef> {
        let left = self.deeper(Self::table_factor)?;
        self.joins(left)
    }

    fn joins(&mut self, mut left: TableRef) -> SqlResult<TableRef> {
        for _ in 0..CHAIN_MAX {
            let natural = self.eat("NATURAL");
            let kind = if self.eat_all(&["LEFT", "OUTER", "JOIN"]) || self.eat_all(&["LEFT", "JOIN"]) {
                JoinKind::Left
            } else if self.eat_all(&["RIGHT", "OUTER", "JOIN"]) || self.eat_all(&["RIGHT", "JOIN"]) {
                JoinKind::Right
            } else if self.eat_all(&["INNER", "JOIN"]) || self.eat_all(&["CROSS", "JOIN"]) || self.eat("JOIN")
            {
                JoinKind::Inner
            } else if self.eat("STRAIGHT_JOIN") {
                JoinKind::Straight
            } else if natural {
                return self.fail();
            } else {
                return Ok(left);
            };
            let mut right = self.deeper(Self::table_factor)?;
            // `a JOIN b JOIN c ON x ON y`: the inner condition belongs to the inner join.
            if !natural && self.is_join_start() {
                let outer = matches!(kind, JoinKind::Left | JoinKind::Right);
                if outer || self.nested_join_follows() {
                    right = self.deeper(|parser| parser.joins_until_condition(right))?;
                }
            }
            let condition = if natural { JoinCondition::Natural } else { self.join_condition()? };
            if matches!(kind, JoinKind::Left | JoinKind::Right) && condition == JoinCondition::None {
                return self.fail();
            }
            left = join(left, right, kind, condition);
        }
        Err(too_deep())
    }

    fn is_join_start(&self) -> bool {
        ["JOIN", "INNER", "CROSS", "LEFT", "RIGHT", "STRAIGHT_JOIN"].iter().any(|word| self.is(word))
    }

    /// Whether two ON or USING follow in a row after the next joined table, seen from the tokens: more
    /// conditions than joins are still to come before the clause ends.
    fn nested_join_follows(&self) -> bool {
        let (mut depth, mut joins, mut conditions) = (0_usize, 0_usize, 0_usize);
        for ahead in 0..self.tokens.len() - self.at {
            match self.peek(ahead).kind {
                Kind::Char(b'(') => depth += 1,
                Kind::Char(b')') if depth == 0 => break,
                Kind::Char(b')') => depth -= 1,
                Kind::Char(b',') | Kind::End if depth == 0 => break,
                Kind::Word if depth == 0 => {
                    if self.is_at(ahead, "JOIN") || self.is_at(ahead, "STRAIGHT_JOIN") {
                        joins += 1;
                    } else if self.is_at(ahead, "ON") || self.is_at(ahead, "USING") {
                        conditions += 1;
                    } else if ["WHERE", "GROUP", "ORDER", "LIMIT", "HAVING", "FOR", "UNION", "SET"]
                        .iter()
                        .any(|word| self.is_at(ahead, word))
                    {
                        break;
                    }
                }
                _ => {}
            }
        }
        conditions > joins
    }

    fn joins_until_condition(&mut self, mut left: TableRef) -> SqlResult<TableRef> {
        while self.is_join_start() {
            let kind = if self.eat("LEFT") {
                JoinKind::Left
            } else if self.eat("RIGHT") {
                JoinKind::Right
            } else {
                let _ = self.eat("INNER") || self.eat("CROSS");
                JoinKind::Inner
            };
            self.eat("OUTER");
            if !self.eat("JOIN") {
                self.expect("STRAIGHT_JOIN")?;
            }
            let mut right = self.deeper(Self::table_factor)?;
            if self.is_join_start() {
                right = self.deeper(|parser| parser.joins_until_condition(right))?;
            }
            let condition = self.join_condition()?;
            left = join(left, right, kind, condition);
        }
        Ok(left)
    }

    fn join_condition(&mut self) -> SqlResult<JoinCondition> {
        if self.eat("ON") {
            return Ok(JoinCondition::On(self.expr()?));
        }
        if self.eat("USING") {
            return Ok(JoinCondition::Using(self.parenthesised(Self::identifier)?));
        }
        Ok(JoinCondition::None)
    }

    fn table_factor(&mut self) -> SqlResult<TableRef> {
        let lateral = self.eat("LATERAL");
        if self.is_char(b'(') && (lateral || self.holds_query(1)) {
            return self.derived(lateral);
        }
        if self.eat_char(b'(') {
            let inner = self.table_refs()?;
            self.expect_char(b')')?;
            return Ok(inner);
        }
        if self.is("JSON_TABLE") {
            return self.json_table();
        }
        let name = self.table_name()?;
        if self.is("PARTITION") {
            return Err(SqlError::not_supported("PARTITION"));
        }
        let alias = self.table_alias()?;
        let (mut use_index, mut ignore_index) = (None, Vec::new());
        while self.is("USE") || self.is("FORCE") || self.is("IGNORE") {
            let ignore = self.is("IGNORE");
            self.at += 1;
            let names = self.index_hint()?;
            if ignore {
                ignore_index.extend(names);
            } else {
                use_index.get_or_insert_with(Vec::new).extend(names);
            }
            self.eat_char(b',');
        }
        Ok(TableRef::Table { name, alias, use_index, ignore_index })
    }

    fn derived(&mut self, lateral: bool) -> SqlResult<TableRef> {
        self.expect_char(b'(')?;
        let query = Box::new(self.query()?);
        self.expect_char(b')')?;
        let Some(alias) = self.table_alias()? else {
            return Err(SqlError::new(1248, "Every derived table must have its own alias"));
        };
        let columns = if self.is_char(b'(') { self.parenthesised(Self::identifier)? } else { Vec::new() };
        Ok(TableRef::Derived { lateral, query, alias, columns })
    }

    pub(super) fn table_alias(&mut self) -> SqlResult<Option<String>> {
        if self.eat("AS") {
            return Ok(Some(self.identifier()?));
        }
        if self.is_identifier() { Ok(Some(self.identifier()?)) } else { Ok(None) }
    }

    fn index_hint(&mut self) -> SqlResult<Vec<String>> {
        if !self.eat("INDEX") {
            self.expect("KEY")?;
        }
        if self.eat("FOR") {
            let _ = self.eat("JOIN") || self.eat_all(&["ORDER", "BY"]) || self.eat_all(&["GROUP", "BY"]);
        }
        self.expect_char(b'(')?;
        let mut names = Vec::new();
        while !self.eat_char(b')') {
            names.push(self.any_identifier()?);
            self.eat_char(b',');
        }
        Ok(names)
    }
}

fn join(left: TableRef, right: TableRef, kind: JoinKind, condition: JoinCondition) -> TableRef {
    TableRef::Join(Box::new(Join { left, right, kind, condition }))
}
