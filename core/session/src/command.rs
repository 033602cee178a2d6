//! What each command of the protocol does.

use std::time::Duration;

use aquifer_sql::Done;
use aquifer_types::SqlError;
use aquifer_wire::{Command, MultiStatements, OkPacket, WireError};
use bytes::Bytes;

use crate::login::text;
use crate::output::Output;
use crate::registry::{CommandCounter, EntryCommand};
use crate::session::{Progress, Session};

impl Session {
    /// Runs one command.
    ///
    /// # Errors
    /// Only those after which the connection must be closed.
    pub(crate) async fn run_command(
        &mut self,
        packet: Bytes,
        output: &mut dyn Output,
    ) -> Result<Progress, WireError> {
        if self.entry.is_killed() {
            return Ok(Progress::Close);
        }
        self.host.count(CommandCounter::Questions);
        let command = match Command::parse(packet, self.channel.capabilities()) {
            Ok(command) => command,
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                self.answer_error(&error.into());
                return Ok(Progress::More);
            }
        };
        self.begin_command(&command);
        let progress = self.dispatch(command, output).await;
        let took_ms = self.entry.end(self.host.registry.now_ms());
        if Duration::from_millis(took_ms) > self.state.variables.effective().long_query_time {
            self.host.count(CommandCounter::SlowQueries);
        }
        progress
    }

    fn begin_command(&self, command: &Command) {
        let (kind, info): (EntryCommand, &[u8]) = match command {
            Command::Query { text, .. } => (EntryCommand::Query, text),
            Command::StmtPrepare(text) => (EntryCommand::Prepare, text),
            Command::StmtExecute(_) => (EntryCommand::Execute, &[]),
            Command::StmtFetch { .. } => (EntryCommand::Fetch, &[]),
            Command::InitDb(name) => (EntryCommand::InitDb, name),
            Command::FieldList { .. } => (EntryCommand::FieldList, &[]),
            Command::Statistics => (EntryCommand::Statistics, &[]),
            Command::ChangeUser(_) => (EntryCommand::ChangeUser, &[]),
            Command::ResetConnection => (EntryCommand::ResetConnection, &[]),
            Command::StmtReset(_) => (EntryCommand::ResetStatement, &[]),
            Command::StmtClose(_) => (EntryCommand::CloseStatement, &[]),
            Command::StmtSendLongData { .. } => (EntryCommand::LongData, &[]),
            Command::SetOption(_) => (EntryCommand::SetOption, &[]),
            Command::ProcessKill(_) => (EntryCommand::Kill, &[]),
            Command::Quit => (EntryCommand::Quit, &[]),
            _ => (EntryCommand::Ping, &[]),
        };
        self.entry.begin(kind, info, self.host.registry.now_ms());
    }

    async fn dispatch(&mut self, command: Command, output: &mut dyn Output) -> Result<Progress, WireError> {
        if matches!(command, Command::Query { .. } | Command::StmtExecute(_))
            && self.state.transaction.is_none()
            && let Some(fresh) = self.host.node.freshen()
        {
            fresh.await;
        }
        match command {
            Command::Quit => return Ok(Progress::Close),
            Command::Query { text, .. } => return self.run_query(text, output).await,
            Command::ProcessInfo => {
                return self.run_query(Bytes::from_static(b"SHOW FULL PROCESSLIST"), output).await;
            }
            Command::ChangeUser(request) => {
                return Box::pin(self.change_user(*request)).await;
            }
            Command::StmtExecute(execute) => {
                self.host.count(CommandCounter::StmtExecute);
                self.execute_statement(&execute, output).await?;
            }
            other => self.dispatch_short(other),
        }
        Ok(Progress::More)
    }

    /// Commands that wait for nothing.
    fn dispatch_short(&mut self, command: Command) {
        match command {
            Command::InitDb(name) => match self.use_database(&text(&name)) {
                Ok(()) => self.write_ok(&Done::default(), false),
                Err(error) => self.answer_error(&error),
            },
            Command::FieldList { table, wildcard } => self.list_fields(&text(&table), &text(&wildcard)),
            Command::Statistics => {
                let line = crate::status::statistics_line(&self.host);
                self.channel.write_text(&line);
            }
            Command::ProcessKill(id) => {
                match self.kill(u64::from(id), crate::admin::KillTarget::Connection) {
                    Ok(()) => self.write_ok(&Done::default(), false),
                    Err(error) => self.answer_error(&error),
                }
            }
            Command::Ping => self.write_ok(&Done::default(), false),
            Command::Debug => self.write_eof_answer(),
            Command::ResetConnection => {
                self.reset_connection();
                self.write_ok(&Done::default(), false);
            }
            Command::SetOption(option) => self.set_option(option),
            Command::StmtPrepare(text) => {
                self.host.count(CommandCounter::StmtPrepare);
                self.prepare_statement(text);
            }
            Command::StmtSendLongData { statement_id, parameter, data } => {
                self.host.count(CommandCounter::StmtLongData);
                self.append_long_data(statement_id, parameter, &data);
            }
            Command::StmtClose(id) => {
                self.host.count(CommandCounter::StmtClose);
                self.close_statement(id);
            }
            Command::StmtReset(id) => {
                self.host.count(CommandCounter::StmtReset);
                self.reset_statement(id);
            }
            Command::StmtFetch { statement_id, rows } => {
                self.host.count(CommandCounter::StmtFetch);
                self.fetch(statement_id, rows);
            }
            _ => self.answer_error(&SqlError::new(1047, "Unknown command")),
        }
    }

    fn set_option(&mut self, option: MultiStatements) {
        self.channel.set_multi_statements(option);
        self.write_eof_answer();
    }

    fn write_eof_answer(&mut self) {
        let state = self.state.server_state();
        self.channel.write_result_end(&OkPacket { state, ..OkPacket::default() });
    }
}
