//! XA.

use aquifer_types::{SqlResult, Xid};

use super::Parser;
use super::lexer::Kind;
use crate::ast::{Statement, XaStatement};

impl Parser<'_> {
    pub(super) fn xa(&mut self) -> SqlResult<Statement> {
        if self.eat("RECOVER") {
            let convert = self.eat_all(&["CONVERT", "XID"]);
            return Ok(Statement::Xa(XaStatement::Recover { convert }));
        }
        if self.eat("START") || self.eat("BEGIN") {
            let xid = self.xid()?;
            let is_refused = self.eat("JOIN") || self.eat("RESUME");
            return Ok(Statement::Xa(if is_refused {
                XaStatement::Refused
            } else {
                XaStatement::Start(xid)
            }));
        }
        let statement = if self.eat("END") {
            let xid = self.xid()?;
            if self.eat("SUSPEND") {
                self.eat_all(&["FOR", "MIGRATE"]);
                XaStatement::Refused
            } else {
                XaStatement::End(xid)
            }
        } else if self.eat("PREPARE") {
            XaStatement::Prepare(self.xid()?)
        } else if self.eat("COMMIT") {
            let xid = self.xid()?;
            XaStatement::Commit { xid, one_phase: self.eat_all(&["ONE", "PHASE"]) }
        } else {
            self.expect("ROLLBACK")?;
            XaStatement::Rollback(self.xid()?)
        };
        Ok(Statement::Xa(statement))
    }

    /// 'global' [, 'branch' [, format]].
    fn xid(&mut self) -> SqlResult<Xid> {
        let global = self.xid_part()?;
        let (mut branch, mut format) = (Vec::new(), 1);
        if self.eat_char(b',') {
            branch = self.xid_part()?;
            if self.eat_char(b',') {
                format = self.unsigned_32()?;
            }
        }
        Xid::new(format, global, branch).map_or_else(|| self.fail(), Ok)
    }

    fn xid_part(&mut self) -> SqlResult<Vec<u8>> {
        match self.token().kind {
            Kind::Hex | Kind::Bits => self.radix_bytes(),
            _ => self.string_bytes(),
        }
    }
}
