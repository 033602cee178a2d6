//! COM_QUERY: one or more statements as text.
//!
//! A statement's way to its [`ReadyStatement`]: the text without its literals is looked up in the cache
//! of the executor; when it is not there it is parsed and planned in that form; when that fails, or the
//! statement does not lend itself to it, the text is taken as it is, so that messages quote what the
//! client wrote.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use aquifer_catalog::Catalog;
use aquifer_sql::ast::{AdminStatement, Statement};
use aquifer_sql::plan::param_type;
use aquifer_sql::virtual_tables::InformationSchema;
use aquifer_sql::{ParseOptions, Plan, PlanEnv, PlanKey, VirtualTables, normalise, parse, prepare};
use aquifer_types::collation::Charset;
use aquifer_types::{DataType, Lsn, SqlError, SqlMode, SqlResult, Value};
use aquifer_wire::{Capabilities, WireError};
use bytes::Bytes;

use crate::access;
use crate::binary_literals::as_text;
use crate::classify::{
    changes_all_rows, counter_of, effect_of, fill_collation, is_describe, is_instrument_update,
    lacks_primary_key,
};
use crate::outcome::{ATTEMPTS_MAX, Completion, Failure, Ran, Sink};
use crate::outfile::outfile_of;
use crate::output::Output;
use crate::registry::CommandCounter;
use crate::requirements::Collector;
use crate::rows::Protocol;
use crate::session::{Progress, Session};
use crate::statement::{Body, Effect, ReadyStatement};
use crate::variables::ids;
use crate::waiting::has_waiting_calls;

/// A statement found in a text.
struct Found {
    statement: Rc<ReadyStatement>,
    params: Vec<Value>,
    /// What follows it.
    rest: Bytes,
}

impl Session {
    /// Runs the statements of a COM_QUERY.
    ///
    /// # Errors
    /// Only those after which the connection must be closed.
    pub(crate) async fn run_query(
        &mut self,
        text: Bytes,
        output: &mut dyn Output,
    ) -> Result<Progress, WireError> {
        let mut rest = self.from_client(text);
        if self.run_cached(&rest, output).await? {
            return Ok(self.progress());
        }
        let mut attempts = 1;
        loop {
            // What planning says about tables depends on what the session may know of them.
            self.renew_rights(self.catalog_version());
            let found = match self.find_statement(&rest) {
                Ok(found) => found,
                Err(error) => {
                    self.answer_error(&error);
                    return Ok(Progress::More);
                }
            };
            let more = !found.rest.is_empty();
            let multi = self.channel.capabilities().contains(Capabilities::MULTI_STATEMENTS);
            if more && !multi {
                self.answer_error(&syntax_error(&String::from_utf8_lossy(&found.rest)));
                return Ok(Progress::More);
            }
            let mut params = found.params;
            match self.run_ready(&found.statement, &mut params, more, output).await? {
                Ran::Outdated(_) if attempts < ATTEMPTS_MAX => {
                    attempts += 1;
                    continue;
                }
                Ran::Outdated(error) => {
                    self.answer_error(&error);
                    return Ok(self.progress());
                }
                Ran::Done if more => {}
                Ran::Done | Ran::Failed => return Ok(self.progress()),
            }
            attempts = 1;
            rest = found.rest;
        }
    }

    fn progress(&self) -> Progress {
        if self.state.closing || self.entry.is_killed() { Progress::Close } else { Progress::More }
    }

    /// A text in the client's character set as UTF-8.
    pub(crate) fn from_client(&self, text: Bytes) -> Bytes {
        if text.is_ascii() {
            return text;
        }
        let effective = self.state.variables.effective();
        match effective.client_charset {
            Some(charset) => charset.convert(Charset::Utf8mb4, &text).bytes,
            None => {
                let backslash = !effective.sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
                as_text(text, backslash, effective.sql_mode.contains(SqlMode::ANSI_QUOTES))
            }
        }
    }

    /// Runs a single statement whose plan is in the cache, or can be; `false` when it has to go the long
    /// way.
    async fn run_cached(&mut self, text: &Bytes, output: &mut dyn Output) -> Result<bool, WireError> {
        if !is_cachable(text) {
            return Ok(false);
        }
        let effective = self.state.variables.effective();
        let sql_mode = effective.sql_mode;
        let mut scratch = self.host.take_scratch();
        let found = if normalise(text, sql_mode, &mut scratch) {
            self.look_up(&scratch.text, &scratch.params).or_else(|| {
                let statement = self.make_normalised(&scratch.text, &scratch.params)?;
                Some(statement)
            })
        } else {
            None
        };
        let Some(statement) = found else {
            self.host.give_scratch(scratch);
            return Ok(false);
        };
        let mut params = std::mem::take(&mut scratch.params);
        let result = self.run_ready(&statement, &mut params, false, output).await;
        scratch.params = params;
        self.host.give_scratch(scratch);
        // An outdated one is planned again the long way.
        result.map(|ran| !matches!(ran, Ran::Outdated(_)))
    }

    fn key<'k>(&'k self, text: &'k [u8], params: &'k [Value]) -> PlanKey<'k> {
        let effective = self.state.variables.effective();
        PlanKey {
            text,
            database: self.state.database().unwrap_or_default(),
            sql_mode: effective.sql_mode.bits(),
            collation: effective.collation_connection,
            params,
            catalog: self.catalog_version(),
        }
    }

    /// A statement of the cache.
    pub(crate) fn look_up(&self, text: &[u8], params: &[Value]) -> Option<Rc<ReadyStatement>> {
        let key = self.key(text, params);
        let found = self.cached_statement(&key).filter(|statement| !self.is_stale(statement));
        let counter =
            if found.is_some() { CommandCounter::PlanCacheHits } else { CommandCounter::PlanCacheMisses };
        self.host.count(counter);
        found
    }

    /// Whether a statement has to be planned anew, because the data that its plan was made for may have become others.
    /// Plans that do not depend on that are never stale: a point select does not look at the clock.
    fn is_stale(&self, statement: &ReadyStatement) -> bool {
        statement.follows_statistics()
            && self.host.node.now_micros().saturating_sub(statement.made_micros) > ESTIMATED_PLAN_AGE_MICROS
    }

    /// Keeps a statement in the cache.
    pub(crate) fn keep(&self, text: &[u8], params: &[Value], statement: &Rc<ReadyStatement>) {
        self.cache_statement(&self.key(text, params), statement);
    }

    /// Parses and plans a text without literals; `None` leaves it to the long way, which finds the right
    /// message.
    fn make_normalised(&self, text: &[u8], params: &[Value]) -> Option<Rc<ReadyStatement>> {
        let source = std::str::from_utf8(text).ok()?;
        let options = ParseOptions { sql_mode: self.state.variables.effective().sql_mode };
        let parsed = parse(source, options).ok()?;
        let statement = parsed.statement.filter(Statement::is_planned)?;
        if has_waiting_calls(&statement)
            || outfile_of(&statement).is_some()
            || is_instrument_update(&statement)
        {
            return None;
        }
        if parsed.parameters != params.len() {
            return None;
        }
        let ready = Rc::new(self.make_ready(statement, parsed.parameters, params).ok()?);
        self.keep(text, params, &ready);
        Some(ready)
    }

    /// Parses and plans the first statement of a text.
    fn find_statement(&self, text: &Bytes) -> SqlResult<Found> {
        let source = std::str::from_utf8(text).map_err(|error| {
            let bad: String =
                text[error.valid_up_to()..].iter().take(6).map(|b| format!("\\x{b:02X}")).collect();
            SqlError::new(1300, format!("Invalid utf8mb4 character string: '{bad}'"))
        })?;
        let options = ParseOptions { sql_mode: self.state.variables.effective().sql_mode };
        let parsed = parse(source, options)?;
        let statement = parsed.statement.ok_or_else(|| SqlError::new(1065, "Query was empty"))?;
        if parsed.parameters > 0 {
            let at = source.find('?').unwrap_or(0);
            return Err(syntax_error(&source[at..]));
        }
        let rest = self.next_statement(text, parsed.consumed, options);
        let statement = Rc::new(self.make_ready(statement, 0, &[])?);
        Ok(Found { statement, params: Vec::new(), rest })
    }

    /// What follows a statement, without leading space; empty when nothing but comments is left.
    fn next_statement(&self, text: &Bytes, consumed: usize, options: ParseOptions) -> Bytes {
        let rest = text.slice(consumed.min(text.len())..);
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b';').count();
        let rest = rest.slice(blank..);
        let only_comments = matches!(rest.first(), Some(b'#' | b'-' | b'/'))
            && std::str::from_utf8(&rest)
                .ok()
                .and_then(|source| parse(source, options).ok())
                .is_some_and(|parsed| parsed.statement.is_none());
        if only_comments { Bytes::new() } else { rest }
    }

    /// Plans a statement, or keeps it for the session, with what has to be checked before it runs.
    ///
    /// # Errors
    /// Those of planning.
    pub(crate) fn make_ready(
        &self,
        mut statement: Statement,
        parameters: usize,
        params: &[Value],
    ) -> SqlResult<ReadyStatement> {
        let counter = counter_of(&statement);
        let own = !statement.is_planned()
            || is_describe(&statement)
            || outfile_of(&statement).is_some()
            || is_instrument_update(&statement)
            || has_waiting_calls(&statement);
        if own {
            let mut ready = ReadyStatement::new(Body::Direct(statement), counter);
            if let Body::Direct(statement) = &ready.body {
                ready.commits_implicitly = statement.commits_implicitly();
            }
            ready.parameters = parameters;
            ready.catalog = self.catalog_version();
            return Ok(ready);
        }
        self.check_virtual_schema(&statement)?;
        fill_collation(&mut statement, self.state.variables.get(ids::COLLATION_SERVER).as_str());
        let is_temporary = |schema: &str, name: &str| self.is_temporary(schema, name);
        let mut collector = Collector::collect(&statement, self.state.database(), &is_temporary);
        let catalog = self.catalog_version();
        let view = self.facts_view();
        let plan = match self.plan_with(&statement, parameters, params, &InformationSchema::new(&view)) {
            Ok(plan) => plan,
            Err(error) => {
                // Who may not use a table does not learn whether it exists.
                if let Some(identity) = &self.state.identity {
                    access::check(identity, &collector.into_least_requirements())?;
                }
                return Err(error);
            }
        };
        collector.changes(plan.joined_targets());
        let view_needs = collector.add_uses(plan.uses());
        let local = plan.changes_only_temporary();
        let mut ready = ReadyStatement::new(Body::Planned(plan), counter);
        ready.touches_tables = collector.touches_tables;
        ready.shows_locks = collector.shows_locks;
        ready.requirements = collector.into_requirements();
        ready.requirements.extend(self.definer_requirement(&statement));
        ready.view_needs = view_needs;
        ready.effect = if local { Effect::Local } else { effect_of(&statement) };
        ready.commits_implicitly = statement.commits_implicitly();
        ready.changes_all_rows = changes_all_rows(&statement);
        ready.lacks_primary_key = lacks_primary_key(&statement);
        if let Statement::DropDatabase(drop) = &statement {
            ready.drops_database = Some(drop.name.clone());
        }
        ready.parameters = parameters;
        ready.catalog = catalog;
        ready.made_micros = self.host.node.now_micros();
        if let Statement::Query(query) = &statement {
            ready.takes_default_limit = query.limit.is_none();
        }
        Ok(ready)
    }

    /// Plans a statement over certain virtual tables, for an execution with these parameters.
    ///
    /// # Errors
    /// Those of planning.
    pub(crate) fn plan_with(
        &self,
        statement: &Statement,
        parameters: usize,
        params: &[Value],
        virtual_tables: &dyn VirtualTables,
    ) -> SqlResult<Arc<Plan>> {
        let catalog = self.planning_catalog();
        let bind = self.state.bind_context();
        let view = self.facts_view();
        let user_variables = self.state.user_variables.borrow();
        let types: Vec<DataType> = params.iter().map(param_type).collect();
        let first = RefCell::new(self.eval_context(params.to_vec()));
        let env = PlanEnv {
            catalog: &catalog,
            bind: &bind,
            variables: &view,
            user_variables: &user_variables,
            virtual_tables,
            param_types: &types,
            statistics: self.host.node.statistics(),
            first: Some(&first),
        };
        prepare(statement, parameters, &env)
    }

    pub(crate) fn catalog_version(&self) -> Lsn {
        match &self.state.transaction {
            Some(open) => open.txn.catalog().version(),
            None => self.host.node.catalog_version(),
        }
    }

    /// The catalog that a statement sees: that of the open transaction, or the newest.
    pub(crate) fn planning_catalog(&self) -> Arc<Catalog> {
        match &self.state.transaction {
            Some(open) => self.with_temporary(open.txn.catalog()),
            None => self.with_temporary(self.host.node.catalog()),
        }
    }

    /// Runs a statement and answers it, unless it has to be planned again.
    ///
    /// # Errors
    /// Only those after which the connection must be closed.
    pub(crate) async fn run_ready(
        &mut self,
        statement: &ReadyStatement,
        params: &mut Vec<Value>,
        more: bool,
        output: &mut dyn Output,
    ) -> Result<Ran, WireError> {
        self.run_with(statement, params, Protocol::Text, more, output).await
    }

    /// As [`Session::run_ready`] for either protocol.
    pub(crate) async fn run_with(
        &mut self,
        statement: &ReadyStatement,
        params: &mut Vec<Value>,
        protocol: Protocol,
        more: bool,
        output: &mut dyn Output,
    ) -> Result<Ran, WireError> {
        self.host.count(CommandCounter::Queries);
        if let Some(counter) = statement.counter {
            self.host.count(counter);
        }
        self.renew_rights(statement.catalog);
        if let Err(error) = self.check_password_age(statement) {
            self.answer_error(&error);
            return Ok(Ran::Failed);
        }
        let result = match &statement.body {
            Body::Planned(plan) => {
                let plan = Arc::clone(plan);
                let sink = Sink::Client { protocol, more, output };
                self.run_planned(statement, &plan, params, sink).await.map(|_| ())
            }
            Body::Direct(direct) => self.run_direct(statement, direct, params, protocol, more, output).await,
        };
        match result {
            Ok(()) => Ok(Ran::Done),
            Err(Failure::Statement(error)) => {
                self.answer_error(&error);
                Ok(Ran::Failed)
            }
            Err(Failure::Connection(error)) => Err(error),
            Err(Failure::Outdated(error)) => Ok(Ran::Outdated(error)),
        }
    }

    /// Runs a planned statement into memory.
    ///
    /// # Errors
    /// Those of the statement.
    pub(crate) async fn collect(
        &mut self,
        statement: &ReadyStatement,
        params: &mut Vec<Value>,
    ) -> Result<(Vec<aquifer_sql::ResultColumn>, Vec<Vec<Value>>), Failure> {
        let Body::Planned(plan) = &statement.body else {
            return Err(SqlError::not_supported("this statement here").into());
        };
        let plan = Arc::clone(plan);
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        let sink = Sink::Memory { columns: &mut columns, rows: &mut rows };
        let completion = self.run_planned(statement, &plan, params, sink).await?;
        if let Completion::Done(_) = completion {
            return Err(SqlError::not_supported("a statement without a result here").into());
        }
        Ok((columns, rows))
    }

    /// Writes an error packet and keeps the error for SHOW WARNINGS.
    pub(crate) fn answer_error(&mut self, error: &SqlError) {
        self.state.changes = None;
        self.state.clear_warnings();
        self.state.record_error(error);
        if error.kind() == aquifer_types::ErrorKind::Bug {
            self.host.node.log_event(&format!("ERROR session {}: {error}", self.entry.id()));
        }
        self.channel.write_error(error);
    }

    /// Error 1820: an account with an expired password may only get a new one.
    fn check_password_age(&self, statement: &ReadyStatement) -> SqlResult<()> {
        let expired = self.state.identity.as_ref().is_some_and(|identity| identity.account.expired);
        let allowed = || match &statement.body {
            Body::Direct(Statement::Set(_)) => true,
            Body::Direct(Statement::Admin(admin)) => matches!(**admin, AdminStatement::AlterUser { .. }),
            _ => false,
        };
        if !expired || allowed() {
            return Ok(());
        }
        let text = "You must reset your password using ALTER USER statement before executing this statement.";
        Err(SqlError::new(1820, text))
    }

    /// Databases that are computed cannot be created, dropped or written to.
    fn check_virtual_schema(&self, statement: &Statement) -> SqlResult<()> {
        let name = match statement {
            Statement::CreateDatabase(create) | Statement::AlterDatabase(create) => &create.name,
            Statement::DropDatabase(drop) => &drop.name,
            Statement::CreateTable(create) => match create.name.schema.as_deref().or(self.state.database()) {
                Some(schema) => schema,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        match (aquifer_sql::virtual_tables::schema_name(name), &self.state.identity) {
            (Some(schema), Some(identity)) => Err(access::no_database(identity, schema)),
            _ => Ok(()),
        }
    }
}

/// Whether a text may be a single statement that the planner's crate carries out.
fn is_cachable(text: &[u8]) -> bool {
    let start = text.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(text.len());
    let end =
        text.iter().rposition(|byte| !byte.is_ascii_whitespace() && *byte != b';').map_or(0, |at| at + 1);
    let Some(text) = text.get(start..end) else { return false };
    let starts = |word: &[u8]| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    let verbs: [&[u8]; 8] = [b"select", b"insert", b"update", b"delete", b"replace", b"with", b"(", b"/*"];
    text.len() <= NORMALISED_BYTES_MAX && verbs.iter().any(|verb| starts(verb)) && !text.contains(&b';')
}

/// Age at which a plan that was made by statistics is made anew, in microseconds.
const ESTIMATED_PLAN_AGE_MICROS: i64 = 10_000_000;

/// Longest text that is normalised, in bytes: a longer one is not likely to come again.
const NORMALISED_BYTES_MAX: usize = 64 * 1024;

/// Error 1064 at a place in a text.
pub(crate) fn syntax_error(near: &str) -> SqlError {
    let near: String = near.chars().take(80).collect();
    let text = format!(
        "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for \
         the right syntax to use near '{near}' at line 1"
    );
    SqlError::new(1064, text)
}
