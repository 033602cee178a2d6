//! CREATE VIEW and ALTER VIEW.

use aquifer_catalog::{ViewAlgorithm, ViewCheck};
use aquifer_types::SqlResult;

use super::Parser;
use crate::ast::{CreateView, Statement};

/// What may come before VIEW.
struct Preamble {
    algorithm: ViewAlgorithm,
    definer: Option<String>,
    invoker: bool,
}

impl Parser<'_> {
    /// After CREATE (`alter`: ALTER); `None`, with nothing taken, when another object is made.
    pub(super) fn view(&mut self, alter: bool) -> SqlResult<Option<Statement>> {
        let start = self.at;
        let replace = !alter && self.eat_all(&["OR", "REPLACE"]);
        let preamble = match self.view_preamble() {
            Ok(preamble) if self.eat("VIEW") => preamble,
            _ => {
                self.at = start;
                return Ok(None);
            }
        };
        let if_not_exists = self.if_not_exists();
        let name = self.table_name()?;
        let columns = if self.is_char(b'(') { self.parenthesised(Self::identifier)? } else { Vec::new() };
        self.expect("AS")?;
        let from = self.at;
        let query = self.query()?;
        let text = self.text_from(from).to_owned();
        let check_option = self.check_option()?;
        let Preamble { algorithm, definer, invoker } = preamble;
        Ok(Some(Statement::CreateView(Box::new(CreateView {
            replace,
            alter,
            if_not_exists,
            name,
            columns,
            query: Box::new(query),
            text,
            sql_mode: self.mode,
            algorithm,
            definer,
            invoker,
            check_option,
        }))))
    }

    fn view_preamble(&mut self) -> SqlResult<Preamble> {
        let mut preamble = Preamble { algorithm: ViewAlgorithm::Undefined, definer: None, invoker: false };
        if self.eat("ALGORITHM") {
            self.expect_char(b'=')?;
            preamble.algorithm = match self.any_identifier()?.to_ascii_uppercase().as_str() {
                "UNDEFINED" => ViewAlgorithm::Undefined,
                "MERGE" => ViewAlgorithm::Merge,
                "TEMPTABLE" => ViewAlgorithm::TempTable,
                _ => return self.fail(),
            };
        }
        if self.eat("DEFINER") {
            self.expect_char(b'=')?;
            let account = self.account_name()?;
            preamble.definer = account.user.map(|user| format!("{user}@{}", account.host));
        }
        if self.eat_all(&["SQL", "SECURITY"]) {
            preamble.invoker = self.eat("INVOKER");
            if !preamble.invoker {
                self.expect("DEFINER")?;
            }
        }
        Ok(preamble)
    }

    fn check_option(&mut self) -> SqlResult<ViewCheck> {
        if !self.eat("WITH") {
            return Ok(ViewCheck::None);
        }
        let local = self.eat("LOCAL");
        if !local {
            self.eat("CASCADED");
        }
        self.expect("CHECK")?;
        self.expect("OPTION")?;
        Ok(if local { ViewCheck::Local } else { ViewCheck::Cascaded })
    }
}
