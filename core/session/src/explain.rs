//! EXPLAIN FOR CONNECTION (manual 10.8.4): how another session's running statement is executed.
//!
//! The plan is made from the statement's text with that session's database, as it would be made now, with this session's
//! settings.

use std::rc::Rc;

use aquifer_sql::ast::{Explain, ExplainTarget, Statement};
use aquifer_sql::{ParseOptions, parse};
use aquifer_types::{SqlError, SqlResult};

use crate::outcome::Failure;
use crate::output::Output;
use crate::rows::Protocol;
use crate::session::Session;

impl Session {
    /// Explains what a connection runs; nothing when it runs nothing.
    ///
    /// # Errors
    /// 1094 for an unknown connection, 1227 for another user's, 3012 when its statement has no plan.
    pub(crate) async fn explain_connection(
        &mut self,
        id: u64,
        explain: &Explain,
        protocol: Protocol,
        more: bool,
        output: &mut dyn Output,
    ) -> Result<(), Failure> {
        let Some((statement, database)) = self.running_statement(id)? else {
            self.write_ok(&aquifer_sql::result::Done::default(), more);
            return Ok(());
        };
        let target = ExplainTarget::Statement(statement);
        let explain = Statement::Explain(Box::new(Explain { target, ..explain.clone() }));
        let own = std::mem::replace(&mut Rc::make_mut(&mut self.state.facts).database, database);
        let ready = self.make_ready(explain, 0, &[]);
        Rc::make_mut(&mut self.state.facts).database = own;
        let mut ready = ready?;
        // Who may see the statement may see its plan.
        ready.requirements.clear();
        Box::pin(self.run_with(&Rc::new(ready), &mut Vec::new(), protocol, more, output)).await?.settled()
    }

    /// What a connection runs, with its database.
    fn running_statement(&self, id: u64) -> SqlResult<Option<(Statement, Option<String>)>> {
        let found = self.host.registry.connection(id);
        let entry = found.ok_or_else(|| SqlError::new(1094, format!("Unknown thread id: {id}")))?;
        let now = self.host.registry.now_ms();
        let other = entry.view(now);
        if other.user != self.entry.view(now).user {
            self.need_global("PROCESS", "PROCESS")?;
        }
        let refused = || {
            let text =
                "EXPLAIN FOR CONNECTION command is supported only for SELECT/UPDATE/INSERT/DELETE/REPLACE";
            SqlError::new(3012, text)
        };
        let Some(text) = other.info else { return Ok(None) };
        let options = ParseOptions { sql_mode: self.state.variables.effective().sql_mode };
        let parsed = parse(&text, options).map_err(|_| refused())?;
        match parsed.statement {
            Some(
                statement @ (Statement::Query(_)
                | Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)),
            ) if parsed.parameters == 0 => Ok(Some((statement, other.db))),
            _ => Err(refused()),
        }
    }
}
