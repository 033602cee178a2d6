//! Running planned statements.
//!
//! Steps: (1) check privileges and read-only nodes; (2) commit before DDL; (3) find the transaction; (4)
//! execute, writing rows as they come; (5) end the statement's own transaction; (6) write OK or the end
//! of the result. An error takes back what was not flushed yet and becomes an ERR packet.

use std::rc::Rc;
use std::sync::Arc;

use aquifer_sql::exec::{LockedRanges, LockingReads};
use aquifer_sql::expr::EvalContext;
use aquifer_sql::result::Done;
use aquifer_sql::temporary::TemporaryTxn;
use aquifer_sql::txn::Txn;
use aquifer_sql::virtual_tables::InformationSchema;
use aquifer_sql::{
    AffectedRows, Batch, Budget, ExecContext, ForeignKeyChecks, NumberingRules, Outcome, ParseOptions, Plan,
    ResultColumn, RowStream, VirtualTables, execute, parse,
};
use aquifer_types::{SqlError, SqlResult, Value, Warnings};
use aquifer_wire::{Capabilities, Channel, OkPacket, ServerState, StatusFlags};

use crate::access;
use crate::bulk::{BulkRows, Package};
use crate::facts::FactsView;
use crate::host::SessionHost;
use crate::outcome::{Completion, Failure, Sink};
use crate::registry::CommandCounter;
use crate::rows::{Encoding, Protocol, columns_block};
use crate::session::{Session, flush};
use crate::statement::{Body, Effect, ReadyStatement};
use crate::transaction::Scope;
use crate::variables::{Isolation, ids};

/// Rows are given to the socket when there are so many bytes of them.
const STREAM_BYTES: usize = 64 * 1024;

/// A result set on its way.
struct Delivery<'d> {
    channel: &'d mut Channel,
    host: &'d SessionHost,
    statement: &'d ReadyStatement,
    encoding: Encoding,
    server_state: ServerState,
    columns: Arc<[ResultColumn]>,
    limit: u64,
    begun: bool,
    sent: u64,
}

/// Rows from this executor or from the bulk lane.
enum Source<'a> {
    Here(RowStream<'a>),
    Lane(BulkRows),
}

impl<'a> Source<'a> {
    async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Batch>> {
        match self {
            Self::Here(stream) => stream.next(ctx).await,
            Self::Lane(rows) => rows.next(&mut ctx.eval).await,
        }
    }
}

impl Delivery<'_> {
    /// Takes rows until the end or the limit.
    async fn take_all<'a>(
        &mut self,
        mut source: Source<'a>,
        ctx: &mut ExecContext<'a>,
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        if !std::mem::replace(&mut self.begun, true) {
            self.begin(sink);
        }
        while self.sent < self.limit {
            let Some(batch) = source.next(ctx).await? else { break };
            let room = usize::try_from(self.limit - self.sent).unwrap_or(usize::MAX);
            self.sent += u64::try_from(batch.len().min(room)).unwrap_or(0);
            self.take(batch, room, sink).await?;
        }
        if self.sent >= self.limit {
            // The executor counts only to the end of the rows.
            ctx.eval.session.found_rows.set(self.sent);
        }
        Ok(Completion::Rows)
    }

    async fn take_outcome<'a>(
        &mut self,
        outcome: SqlResult<Outcome<'a>>,
        ctx: &mut ExecContext<'a>,
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        match outcome? {
            Outcome::Done(done) => Ok(Completion::Done(done)),
            Outcome::Rows { columns, stream } => {
                self.columns = columns;
                self.take_all(Source::Here(stream), ctx, sink).await
            }
        }
    }

    /// Does an execution again on the bulk lane.
    async fn move_to_lane(
        &mut self,
        package: Option<Package>,
        ctx: &mut ExecContext<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        self.host.count(CommandCounter::LongStatements);
        let rows = package.and_then(|package| package.send(&*self.host.node));
        let full = || SqlError::new(1041, "Too many long statements run; try again when some have ended");
        self.take_all(Source::Lane(rows.ok_or_else(full)?), ctx, sink).await
    }

    fn begin(&mut self, sink: &mut Sink<'_>) {
        match sink {
            Sink::Client { .. } => {
                let charset = self.encoding.charset;
                let columns = &self.columns;
                let block = self.statement.columns_block(charset, || columns_block(columns, charset));
                self.channel.write_columns_block(&block, self.server_state);
            }
            Sink::Memory { columns, .. } => **columns = self.columns.to_vec(),
        }
    }

    async fn take(&mut self, batch: Batch, room: usize, sink: &mut Sink<'_>) -> Result<(), Failure> {
        match sink {
            Sink::Client { output, .. } => {
                self.encoding.write_batch(self.channel, &self.columns, &batch, room)?;
                if self.channel.output_len() > STREAM_BYTES {
                    flush(self.channel, self.host, &mut **output).await?;
                }
                Ok(())
            }
            Sink::Memory { rows, .. } => Ok(self.encoding.collect_batch(&self.columns, batch, rows)?),
        }
    }
}

impl FactsView<'_> {
    /// Takes over to an execution what the session's variables say about locks, rules and memory.
    pub(crate) fn settings(&self, ctx: &mut ExecContext<'_>, isolation: Isolation) {
        let effective = self.state.variables.effective();
        ctx.lock_wait = effective.innodb_lock_wait_timeout;
        ctx.ddl_wait = effective.lock_wait_timeout;
        ctx.foreign_key_checks =
            if effective.foreign_key_checks { ForeignKeyChecks::On } else { ForeignKeyChecks::Off };
        ctx.spill.place.clone_from(&self.host.spill);
        ctx.spill.memory = effective.spill_memory;
        ctx.spill.disk_max = effective.spill_disk;
        let (increment, offset) = effective.auto_increment;
        ctx.numbering = NumberingRules { increment, offset, locks: self.host.registry.value_locks() };
        ctx.locked_ranges = if isolation.renews_view() { LockedRanges::None } else { LockedRanges::Read };
    }
}

impl Session {
    /// How values are encoded.
    pub(crate) fn encoding(&self, protocol: Protocol) -> Encoding {
        let effective = self.state.variables.effective();
        Encoding {
            protocol,
            charset: effective.result_charset,
            target: effective.result_target,
            time_zone: effective.time_zone,
        }
    }

    /// Whether the session may run a statement here.
    ///
    /// # Errors
    /// 1142, 1044, 1227; 1290 on a read-only node; 1792 in a READ ONLY transaction.
    pub(crate) fn check_allowed(&self, statement: &ReadyStatement) -> SqlResult<()> {
        self.check_access(statement)?;
        if statement.commits_implicitly {
            self.check_outside_xa()?;
        } else if statement.touches_tables {
            self.check_xa_active()?;
        }
        let writes = statement.effect == Effect::Write;
        self.check_locked_tables(&statement.requirements, writes)?;
        if statement.effect == Effect::Local {
            if matches!(&statement.body, Body::Planned(plan) if plan.is_definition()) {
                self.check_temporary_definition()?;
            }
        } else if !writes {
            return Ok(());
        } else {
            self.check_read_only()?;
        }
        let effective = self.state.variables.effective();
        if statement.changes_all_rows && effective.safe_updates {
            let text = "You are using safe update mode and you tried to update a table without a WHERE that uses \
                        a KEY column. ";
            return Err(SqlError::new(1175, text));
        }
        if writes && statement.lacks_primary_key && effective.require_primary_key {
            let text = "Unable to create or change a table without a primary key, when the system variable \
                        'sql_require_primary_key' is set. Add a primary key to the table or unset this variable to \
                        avoid this message. Note that tables without a primary key can cause performance problems \
                        in row-based replication, so please consult your DBA before changing this setting.";
            return Err(SqlError::new(3750, text));
        }
        Ok(())
    }

    /// Error 1290 on a reader node or when `read_only` is set.
    pub(crate) fn check_read_only(&self) -> SqlResult<()> {
        let globals = self.host.registry.globals();
        let admin = || {
            let identity = self.state.identity.as_ref();
            identity.is_some_and(|identity| {
                identity.rights.global.contains(access::privilege("CONNECTION_ADMIN"))
            })
        };
        let option = if self.host.node.is_reader() {
            "--read-only"
        } else if globals.get(ids::SUPER_READ_ONLY).is_on() {
            "--super-read-only"
        } else if globals.get(ids::READ_ONLY).is_on() && !admin() {
            "--read-only"
        } else {
            return Ok(());
        };
        let text = format!(
            "The MySQL server is running with the {option} option so it cannot execute this statement"
        );
        Err(SqlError::new(1290, text))
    }

    pub(crate) fn eval_context(&self, params: Vec<Value>) -> EvalContext {
        let effective = self.state.variables.effective();
        let mut eval = self.host.evaluator.clone();
        eval.sql_mode = effective.sql_mode;
        eval.time_zone = effective.time_zone;
        eval.now_micros = effective.timestamp_micros.unwrap_or_else(|| self.host.node.now_micros());
        eval.params = params;
        if effective.max_error_count != Warnings::DEFAULT_MAX {
            eval.warnings = Warnings::with_capacity(effective.max_error_count);
        }
        eval.session = Rc::clone(&self.state.facts);
        eval.user_variables = Rc::clone(&self.state.user_variables);
        eval.max_allowed_packet = effective.max_allowed_packet;
        eval.group_concat_max_len = effective.group_concat_max_len;
        eval.default_week_format = effective.default_week_format;
        eval
    }

    /// Runs a planned statement. Gives the parameters' memory back for the next one.
    ///
    /// # Errors
    /// `Statement`: nothing of it happened, and nothing is written for the client unless rows are on
    /// their way already. `Connection`: close.
    pub(crate) async fn run_planned(
        &mut self,
        statement: &ReadyStatement,
        plan: &Arc<Plan>,
        params: &mut Vec<Value>,
        mut sink: Sink<'_>,
    ) -> Result<Completion, Failure> {
        self.check_allowed(statement)?;
        if statement.shows_locks {
            self.need_global("PROCESS", "PROCESS")?;
            self.state.lock_report = Some(self.host.node.lock_report().await);
        }
        if statement.commits_implicitly {
            self.commit_open().await?;
        }
        if statement.effect == Effect::Local {
            self.prepare_temporary();
        }
        let mark = self.channel.mark_output();
        let scope = self.scope_of(statement);
        let limit = self.state.variables.effective().max_execution_time_ms;
        let timed = limit > 0 && statement.effect == Effect::Read;
        if timed {
            self.entry.set_deadline(self.host.registry.now_ms().saturating_add(limit).max(1));
        }
        let given = std::mem::take(params);
        let result = self.run_in(&scope, statement, plan, given, params, &mut sink).await;
        if timed {
            self.entry.set_deadline(0);
        }
        let is_outdated = matches!(result, Err(Failure::Outdated(_)));
        let (completion, ended) = match result {
            Ok(completion) => (Some(completion), Ok(())),
            Err(Failure::Statement(error) | Failure::Outdated(error)) => (None, Err(error)),
            Err(Failure::Connection(error)) => {
                self.rollback_open();
                if scope.alone {
                    scope.txn.rollback();
                    self.rollback_temporary();
                }
                return Err(error.into());
            }
        };
        if let Err(error) = self.settle(scope, ended).await {
            if error.code() == 3024 {
                self.host.count(CommandCounter::MaxExecutionTimeExceeded);
            }
            self.channel.undo_output(mark);
            return Err(if is_outdated { Failure::Outdated(error) } else { error.into() });
        }
        let completion = completion.unwrap_or(Completion::Rows);
        self.note_completion(&completion);
        if let Some(dropped) = &statement.drops_database {
            self.leave_database(dropped);
        }
        if let Sink::Client { more, .. } = sink {
            self.write_completion(&completion, more);
        }
        Ok(completion)
    }

    async fn run_in(
        &mut self,
        scope: &Scope,
        statement: &ReadyStatement,
        plan: &Arc<Plan>,
        params: Vec<Value>,
        params_back: &mut Vec<Value>,
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        let encoding = self.encoding(sink.protocol());
        let eval = self.eval_context(params);
        let server_state = self.state.server_state();
        let limit = self.row_limit(statement);
        let found = self.channel.capabilities().contains(Capabilities::FOUND_ROWS);
        // A reader's snapshot is a prefix of the commits, which is as good as locks for who only reads.
        let shared =
            scope.isolation == Isolation::Serializable && !scope.alone && !self.host.node.is_reader();
        let temporary = self.state.temporary.clone();
        let both = temporary.as_ref().map(|own| TemporaryTxn::new(scope.txn.as_txn(), &own.tables));
        let txn: &dyn Txn = both.as_ref().map_or(scope.txn.as_txn(), |both| both);
        let Self { host, entry, state, channel, .. } = self;
        let view = FactsView { host, entry, state };
        let schema = InformationSchema::new(&view);
        let mut ctx = ExecContext::new(txn, eval, &schema);
        view.settings(&mut ctx, scope.isolation);
        ctx.affected = if found { AffectedRows::Found } else { AffectedRows::Changed };
        ctx.locking_reads = if shared { LockingReads::Shared } else { LockingReads::Plain };
        let may_move = !shared
            && !plan.uses_temporary()
            && plan.is_repeatable()
            && host.node.has_bulk_lane()
            && scope.txn.has_reader();
        ctx.budget = if may_move { Budget::of_executor() } else { Budget::endless() };
        let columns = plan.columns().cloned().unwrap_or_default();
        let mut delivery = Delivery {
            channel,
            host,
            statement,
            encoding,
            server_state,
            columns,
            limit,
            begun: false,
            sent: 0,
        };
        let mut result = delivery.take_outcome(execute(plan, &mut ctx).await, &mut ctx, sink).await;
        if ctx.budget.is_spent() {
            let warnings_max = view.state.variables.effective().max_error_count;
            let package = Package::new(plan, &*scope.txn, &ctx, warnings_max, delivery.sent);
            result = delivery.move_to_lane(package, &mut ctx, sink).await;
        }
        if ctx.is_outdated {
            result = result.map_err(|failure| match failure {
                Failure::Statement(error) => Failure::Outdated(error),
                other => other,
            });
        }
        let warnings = std::mem::take(&mut ctx.eval.warnings);
        *params_back = std::mem::take(&mut ctx.eval.params);
        drop(ctx);
        self.state.warnings = warnings;
        result
    }

    /// Runs a query over rows in memory, for WHERE of SHOW.
    ///
    /// # Errors
    /// Those of the query.
    pub(crate) async fn query_virtual(
        &mut self,
        text: &str,
        tables: &dyn VirtualTables,
    ) -> SqlResult<Vec<Vec<Value>>> {
        let options = ParseOptions { sql_mode: self.state.variables.effective().sql_mode };
        let parsed = parse(text, options)?;
        let statement = parsed.statement.ok_or_else(|| SqlError::new(1065, "Query was empty"))?;
        let plan = self.plan_with(&statement, 0, &[], tables)?;
        let txn = self.begin_txn(true, Isolation::RepeatableRead);
        let encoding = self.encoding(Protocol::Text);
        let mut ctx = ExecContext::new(txn.as_txn(), self.eval_context(Vec::new()), tables);
        let mut rows = Vec::new();
        if let Outcome::Rows { columns, mut stream } = execute(&plan, &mut ctx).await? {
            while let Some(batch) = stream.next(&mut ctx).await? {
                encoding.collect_batch(&columns, batch, &mut rows)?;
            }
        }
        drop(ctx);
        txn.rollback();
        Ok(rows)
    }

    /// Most rows of a result: `sql_select_limit` for a SELECT without LIMIT.
    fn row_limit(&self, statement: &ReadyStatement) -> u64 {
        let limit = self.state.variables.effective().sql_select_limit;
        if statement.takes_default_limit { limit } else { u64::MAX }
    }

    /// What ROW_COUNT() says from now on; the executor sets FOUND_ROWS().
    fn note_completion(&mut self, completion: &Completion) {
        let rows = match completion {
            Completion::Rows => -1,
            Completion::Done(done) => i64::try_from(done.affected).unwrap_or(i64::MAX),
        };
        self.state.facts.row_count.set(rows);
    }

    /// OK, or the end of a result set.
    pub(crate) fn write_completion(&mut self, completion: &Completion, more: bool) {
        match completion {
            Completion::Rows => self.write_result_end(more),
            Completion::Done(done) => self.write_ok(done, more),
        }
    }

    pub(crate) fn write_ok(&mut self, done: &Done, more: bool) {
        let changes = self.state.changes.take();
        let mut state = self.state.server_state();
        if more {
            state.status |= StatusFlags::MORE_RESULTS_EXISTS;
        }
        self.channel.write_ok(&OkPacket {
            affected_rows: done.affected,
            last_insert_id: done.last_insert_id,
            state,
            info: &done.info,
            changes: changes.as_deref(),
        });
    }

    pub(crate) fn write_result_end(&mut self, more: bool) {
        let changes = self.state.changes.take();
        let mut state = self.state.server_state();
        if more {
            state.status |= StatusFlags::MORE_RESULTS_EXISTS;
        }
        self.channel.write_result_end(&OkPacket {
            state,
            changes: changes.as_deref(),
            ..OkPacket::default()
        });
    }
}
