//! OVER, WINDOW and frames (manual 12.21.2 to 12.21.4).

use aquifer_types::{SqlError, SqlResult};

use super::Parser;
use super::lexer::Kind;
use crate::ast::{Frame, FrameBound, FrameUnit, WindowSpec};

impl Parser<'_> {
    /// FROM FIRST and RESPECT NULLS, which are the default; their opposites are not in MySQL either.
    pub(super) fn window_options(&mut self) -> SqlResult<()> {
        if self.is("FROM") && self.is_at(1, "LAST") && self.is_at(2, "OVER") {
            return Err(SqlError::not_supported("FROM LAST"));
        }
        if self.is("FROM") && self.is_at(1, "FIRST") {
            self.at += 2;
        }
        if self.is("IGNORE") && self.is_at(1, "NULLS") {
            return Err(SqlError::not_supported("IGNORE NULLS"));
        }
        self.eat_all(&["RESPECT", "NULLS"]);
        Ok(())
    }

    /// What follows OVER.
    pub(super) fn over(&mut self) -> SqlResult<WindowSpec> {
        if self.is_char(b'(') {
            return self.window_spec();
        }
        Ok(WindowSpec { name: Some(self.identifier()?), bare: true, ..WindowSpec::default() })
    }

    /// WINDOW name AS (…), ….
    pub(super) fn window_clause(&mut self) -> SqlResult<Vec<(String, WindowSpec)>> {
        self.expect("WINDOW")?;
        self.list(|parser| {
            let name = parser.identifier()?;
            parser.expect("AS")?;
            Ok((name, parser.window_spec()?))
        })
    }

    fn window_spec(&mut self) -> SqlResult<WindowSpec> {
        self.expect_char(b'(')?;
        let mut spec = WindowSpec::default();
        let opens = ["PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS"];
        if self.is_identifier() && !opens.iter().any(|word| self.is(word)) {
            spec.name = Some(self.identifier()?);
        }
        if self.eat_all(&["PARTITION", "BY"]) {
            spec.partition = self.list(Self::expr)?;
        }
        if self.is("ORDER") {
            spec.order = self.order_by()?;
        }
        if self.is("GROUPS") {
            return Err(SqlError::not_supported("GROUPS"));
        }
        let unit = if self.eat("ROWS") {
            Some(FrameUnit::Rows)
        } else if self.eat("RANGE") {
            Some(FrameUnit::Range)
        } else {
            None
        };
        if let Some(unit) = unit {
            spec.frame = Some(self.frame(unit)?);
        }
        self.expect_char(b')')?;
        Ok(spec)
    }

    fn frame(&mut self, unit: FrameUnit) -> SqlResult<Frame> {
        let frame = if self.eat("BETWEEN") {
            let start = self.frame_bound()?;
            self.expect("AND")?;
            Frame { unit, start, end: self.frame_bound()? }
        } else {
            Frame { unit, start: self.frame_bound()?, end: FrameBound::CurrentRow }
        };
        if self.is("EXCLUDE") {
            return Err(SqlError::not_supported("EXCLUDE"));
        }
        Ok(frame)
    }

    fn frame_bound(&mut self) -> SqlResult<FrameBound> {
        if self.eat_all(&["CURRENT", "ROW"]) {
            return Ok(FrameBound::CurrentRow);
        }
        if self.eat_all(&["UNBOUNDED", "PRECEDING"]) {
            return Ok(FrameBound::UnboundedPreceding);
        }
        if self.eat_all(&["UNBOUNDED", "FOLLOWING"]) {
            return Ok(FrameBound::UnboundedFollowing);
        }
        let (distance, unit) = if self.eat("INTERVAL") {
            let amount = self.expr()?;
            (amount, Some(self.interval_unit()?))
        } else {
            match self.token().kind {
                Kind::Integer | Kind::Decimal | Kind::Float | Kind::Param | Kind::UserVariable => {
                    (self.simple()?, None)
                }
                _ => return self.fail(),
            }
        };
        if self.eat("PRECEDING") {
            return Ok(FrameBound::Preceding(distance, unit));
        }
        self.expect("FOLLOWING")?;
        Ok(FrameBound::Following(distance, unit))
    }
}
