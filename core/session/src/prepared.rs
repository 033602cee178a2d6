//! Prepared statements of a session, of the protocol and of SQL.

use std::collections::BTreeMap;
use std::rc::Rc;

use aquifer_sql::{ParseOptions, ResultColumn, parse};
use aquifer_types::{SqlError, SqlResult, Value};
use aquifer_wire::{
    ColumnDef, ColumnType, ColumnsBlock, OkPacket, StatementParams, StatusFlags, StmtExecute, WireError,
};
use bytes::Bytes;

use crate::outcome::{ATTEMPTS_MAX, Failure, Ran};
use crate::output::Output;
use crate::query::syntax_error;
use crate::registry::CommandCounter;
use crate::rows::{Protocol, column_defs, columns_block};
use crate::session::Session;
use crate::statement::{Body, ReadyStatement};
use crate::variables::ids;

/// Rows of an open cursor.
struct Cursor {
    columns: Vec<ResultColumn>,
    /// What was not fetched yet, in order.
    rows: std::vec::IntoIter<Vec<Value>>,
}

/// One prepared statement.
struct Prepared {
    text: Bytes,
    database: Option<String>,
    params: StatementParams,
    cursor: Option<Cursor>,
}

/// All of a session.
#[derive(Default)]
pub(crate) struct PreparedStatements {
    last_id: u32,
    by_id: BTreeMap<u32, Prepared>,
    /// PREPARE name FROM ….
    named: BTreeMap<String, (Bytes, usize)>,
}

impl PreparedStatements {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len() + self.named.len()
    }
}

fn unknown(id: u32, command: &str) -> SqlError {
    SqlError::new(1243, format!("Unknown prepared statement handler ({id}) given to {command}"))
}

impl Session {
    /// Error 1461 at `max_prepared_stmt_count`.
    fn check_prepared_limit(&self) -> SqlResult<()> {
        let limit = self.host.registry.globals().get(ids::MAX_PREPARED_STMT_COUNT).as_u64();
        let totals = self.host.registry.totals();
        let open = totals.get(CommandCounter::PreparedOpened);
        let open = open.saturating_sub(totals.get(CommandCounter::PreparedClosed));
        if open < limit {
            return Ok(());
        }
        let text =
            format!("Can't create more than max_prepared_stmt_count statements (current value: {limit})");
        Err(SqlError::new(1461, text))
    }

    /// The statement of a text with `?`, for values of certain types; without values as at PREPARE.
    fn ready_for(&self, text: &[u8], params: Option<&[Value]>) -> SqlResult<Rc<ReadyStatement>> {
        let known = params.unwrap_or_default();
        if params.is_some()
            && let Some(found) = self.look_up(text, known)
        {
            return Ok(found);
        }
        let source = std::str::from_utf8(text)
            .map_err(|_| SqlError::new(1300, "Invalid utf8mb4 character string in a statement"))?;
        let options = ParseOptions { sql_mode: self.state.variables.effective().sql_mode };
        let parsed = parse(source, options)?;
        let statement = parsed.statement.ok_or_else(|| SqlError::new(1065, "Query was empty"))?;
        let rest = source.get(parsed.consumed..).unwrap_or_default();
        if !rest.trim().is_empty() {
            return Err(syntax_error(rest.trim_start()));
        }
        let ready = Rc::new(self.make_ready(statement, parsed.parameters, known)?);
        if params.is_some() {
            self.keep(text, known, &ready);
        }
        Ok(ready)
    }

    /// COM_STMT_PREPARE.
    pub(crate) fn prepare_statement(&mut self, text: Bytes) {
        if let Err(error) = self.try_prepare(text) {
            self.answer_error(&error);
        }
    }

    fn try_prepare(&mut self, text: Bytes) -> SqlResult<()> {
        self.check_prepared_limit()?;
        self.state.clear_warnings();
        let text = Bytes::copy_from_slice(&self.from_client(text));
        self.renew_rights(self.catalog_version());
        let ready = self.ready_for(&text, None)?;
        if ready.parameters > usize::from(u16::MAX) {
            return Err(SqlError::new(1390, "Prepared statement contains too many placeholders"));
        }
        self.check_access(&ready)?;
        let charset = self.encoding(Protocol::Binary).charset;
        let columns = match &ready.body {
            Body::Planned(plan) => {
                plan.columns().map_or_else(ColumnsBlock::default, |columns| columns_block(columns, charset))
            }
            _ => ColumnsBlock::default(),
        };
        let parameters = ColumnsBlock::new(&vec![ColumnDef::parameter(); ready.parameters]);
        let statements = &mut self.state.prepared;
        statements.last_id = statements.last_id.wrapping_add(1).max(1);
        let id = statements.last_id;
        let prepared = Prepared {
            text,
            database: self.state.facts.database.clone(),
            params: StatementParams::new(ready.parameters),
            cursor: None,
        };
        statements.by_id.insert(id, prepared);
        self.host.count(CommandCounter::PreparedOpened);
        let state = self.state.server_state();
        self.channel.write_prepared(id, &parameters, &columns, state);
        Ok(())
    }

    /// COM_STMT_EXECUTE.
    ///
    /// # Errors
    /// Only those after which the connection must be closed.
    pub(crate) async fn execute_statement(
        &mut self,
        execute: &StmtExecute,
        output: &mut dyn Output,
    ) -> Result<(), WireError> {
        let (mut ready, mut params) = match self.decode_execution(execute) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.answer_error(&error);
                return Ok(());
            }
        };
        let returns_rows = matches!(&ready.body, Body::Planned(plan) if plan.columns().is_some());
        if execute.wants_cursor() && returns_rows {
            return self.open_cursor(execute.statement_id, &ready, &mut params).await;
        }
        let mut attempts = 1;
        while let Ran::Outdated(error) =
            self.run_with(&ready, &mut params, Protocol::Binary, false, output).await?
        {
            // What the first run has added to the parameters is its own.
            params.truncate(ready.parameters);
            attempts += 1;
            let again = if attempts > ATTEMPTS_MAX { Err(error) } else { self.ready_again(execute, &params) };
            ready = match again {
                Ok(again) => again,
                Err(error) => {
                    self.answer_error(&error);
                    return Ok(());
                }
            };
        }
        Ok(())
    }

    fn ready_again(&mut self, execute: &StmtExecute, params: &[Value]) -> SqlResult<Rc<ReadyStatement>> {
        let id = execute.statement_id;
        let prepared =
            self.state.prepared.by_id.get(&id).ok_or_else(|| unknown(id, "mysqld_stmt_execute"))?;
        let (text, database) = (prepared.text.clone(), prepared.database.clone());
        self.ready_in(database, &text, params)
    }

    /// A statement keeps the database that it was prepared in.
    fn ready_in(
        &mut self,
        database: Option<String>,
        text: &[u8],
        params: &[Value],
    ) -> SqlResult<Rc<ReadyStatement>> {
        let current = self.state.facts.database.clone();
        if database == current {
            return self.ready_for(text, Some(params));
        }
        self.set_facts_database(database);
        let ready = self.ready_for(text, Some(params));
        self.set_facts_database(current);
        ready
    }

    fn decode_execution(&mut self, execute: &StmtExecute) -> SqlResult<(Rc<ReadyStatement>, Vec<Value>)> {
        let capabilities = self.channel.capabilities();
        let id = execute.statement_id;
        let found = self.state.prepared.by_id.get_mut(&id);
        let prepared = found.ok_or_else(|| unknown(id, "mysqld_stmt_execute"))?;
        prepared.cursor = None;
        let decoded = prepared.params.decode(execute, capabilities).map_err(SqlError::from)?;
        let text = prepared.text.clone();
        let database = prepared.database.clone();
        let params =
            decoded.params.into_iter().map(|param| self.from_client_param(param)).collect::<Vec<_>>();
        Ok((self.ready_in(database, &text, &params)?, params))
    }

    fn set_facts_database(&mut self, database: Option<String>) {
        Rc::make_mut(&mut self.state.facts).database = database;
    }

    /// A parameter's text as UTF-8.
    fn from_client_param(&self, param: aquifer_wire::Param) -> Value {
        let is_text =
            matches!(param.column_type, ColumnType::VARCHAR | ColumnType::VAR_STRING | ColumnType::STRING);
        match param.value {
            Value::Bytes(text) if is_text => Value::Bytes(self.from_client(text)),
            other => other,
        }
    }

    async fn open_cursor(
        &mut self,
        id: u32,
        ready: &ReadyStatement,
        params: &mut Vec<Value>,
    ) -> Result<(), WireError> {
        self.host.count(CommandCounter::Queries);
        if let Some(counter) = ready.counter {
            self.host.count(counter);
        }
        let (columns, rows) = match self.collect(ready, params).await {
            Ok(collected) => collected,
            Err(Failure::Connection(error)) => return Err(error),
            Err(Failure::Statement(error) | Failure::Outdated(error)) => {
                self.answer_error(&error);
                return Ok(());
            }
        };
        let mut state = self.state.server_state();
        state.status |= StatusFlags::CURSOR_EXISTS;
        let charset = self.encoding(Protocol::Binary).charset;
        let defs = column_defs(&columns, charset);
        self.channel.write_columns(&defs, state);
        // Clients that want no EOF after the definitions still need to see that a cursor is open.
        if self.channel.capabilities().contains(aquifer_wire::Capabilities::DEPRECATE_EOF) {
            self.channel.write_result_end(&OkPacket { state, ..OkPacket::default() });
        }
        if let Some(prepared) = self.state.prepared.by_id.get_mut(&id) {
            prepared.cursor = Some(Cursor { columns, rows: rows.into_iter() });
        }
        Ok(())
    }

    /// COM_STMT_FETCH.
    pub(crate) fn fetch(&mut self, id: u32, count: u32) {
        let encoding = self.encoding(Protocol::Binary);
        let mut state = self.state.server_state();
        let Some(prepared) = self.state.prepared.by_id.get_mut(&id) else {
            return self.answer_error(&unknown(id, "mysqld_stmt_fetch"));
        };
        let Some(cursor) = &mut prepared.cursor else {
            let text = format!("The statement ({id}) has no open cursor.");
            return self.answer_error(&SqlError::new(1421, text));
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for row in cursor.rows.by_ref().take(count) {
            encoding.write_values(&mut self.channel, &cursor.columns, &row);
        }
        state.status |= StatusFlags::CURSOR_EXISTS;
        if cursor.rows.len() == 0 {
            state.status |= StatusFlags::LAST_ROW_SENT;
            state.status = state.status.without(StatusFlags::CURSOR_EXISTS);
            prepared.cursor = None;
        }
        self.channel.write_result_end(&OkPacket { state, ..OkPacket::default() });
    }

    /// COM_STMT_SEND_LONG_DATA.
    pub(crate) fn append_long_data(&mut self, id: u32, parameter: u16, data: &[u8]) {
        let limit = self.state.variables.effective().max_allowed_packet;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(prepared) = self.state.prepared.by_id.get_mut(&id) {
            prepared.params.append_long_data(parameter, data, limit);
        }
    }

    /// COM_STMT_RESET.
    pub(crate) fn reset_statement(&mut self, id: u32) {
        match self.state.prepared.by_id.get_mut(&id) {
            Some(prepared) => {
                prepared.params.reset();
                prepared.cursor = None;
                self.write_ok(&aquifer_sql::Done::default(), false);
            }
            None => self.answer_error(&unknown(id, "mysqld_stmt_reset")),
        }
    }

    /// COM_STMT_CLOSE.
    pub(crate) fn close_statement(&mut self, id: u32) {
        if self.state.prepared.by_id.remove(&id).is_some() {
            self.host.count(CommandCounter::PreparedClosed);
        }
    }

    /// PREPARE name FROM text.
    ///
    /// # Errors
    /// Those of planning, 1461.
    pub(crate) fn prepare_named(&mut self, name: &str, text: &str) -> SqlResult<()> {
        self.deallocate(name).ok();
        self.check_prepared_limit()?;
        let ready = self.ready_for(text.as_bytes(), None)?;
        let entry = (Bytes::copy_from_slice(text.as_bytes()), ready.parameters);
        self.state.prepared.named.insert(name.to_lowercase(), entry);
        self.host.count(CommandCounter::PreparedOpened);
        Ok(())
    }

    /// EXECUTE name USING …: the statement with its values.
    ///
    /// # Errors
    /// 1243, 1210, those of planning.
    pub(crate) fn named_statement(
        &self,
        name: &str,
        using: &[String],
    ) -> SqlResult<(Rc<ReadyStatement>, Vec<Value>)> {
        let found = self.state.prepared.named.get(&name.to_lowercase());
        let (text, parameters) = found.ok_or_else(|| {
            SqlError::new(1243, format!("Unknown prepared statement handler ({name}) given to EXECUTE"))
        })?;
        if *parameters != using.len() {
            return Err(SqlError::new(1210, "Incorrect arguments to EXECUTE"));
        }
        let variables = self.state.user_variables.borrow();
        let value = |name: &String| variables.get(name).map_or(Value::Null, |(value, _)| value.clone());
        let params: Vec<Value> = using.iter().map(value).collect();
        drop(variables);
        Ok((self.ready_for(text, Some(&params))?, params))
    }

    /// DEALLOCATE PREPARE.
    ///
    /// # Errors
    /// 1243.
    pub(crate) fn deallocate(&mut self, name: &str) -> SqlResult<()> {
        match self.state.prepared.named.remove(&name.to_lowercase()) {
            Some(_) => {
                self.host.count(CommandCounter::PreparedClosed);
                Ok(())
            }
            None => {
                let text = format!("Unknown prepared statement handler ({name}) given to DEALLOCATE PREPARE");
                Err(SqlError::new(1243, text))
            }
        }
    }
}
