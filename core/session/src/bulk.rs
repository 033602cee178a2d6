//! Long queries, run on the bulk lane.
//!
//! A query that has spent its budget on the executor is done again there, at the same snapshot, by a plan
//! that is repeatable. Steps: (1) the session packs what the execution depends on and that may change threads
//! ([`Package`]); (2) the lane's thread unpacks it, executes, leaves out the rows that the client has already,
//! and sends batches through a bounded channel; (3) the session encodes them as they come. A client that goes
//! away drops the receiving end, which ends the job.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aquifer_sql::exec::SpillPlace;
use aquifer_sql::expr::{Environment, EvalContext, SessionFacts, UserVariables};
use aquifer_sql::temporary_space::TemporarySpace;
use aquifer_sql::{Batch, Budget, ExecContext, NoVirtualTables, Outcome, Plan, execute_again};
use aquifer_types::temporal::TimeZone;
use aquifer_types::{ErrorKind, SqlError, SqlMode, SqlResult, Value, Warnings};
use futures_channel::mpsc;

use crate::node::{MakeReader, Node, NodeTxn, system_micros, system_random};

/// Batches that wait for a slow client.
const BATCHES_WAITING: usize = 4;

/// What a query depends on, without anything that is tied to its thread.
pub(crate) struct Package {
    plan: Arc<Plan>,
    reader: MakeReader,
    /// Rows that the client has already.
    skip: u64,
    sql_mode: SqlMode,
    time_zone: TimeZone,
    now_micros: i64,
    params: Vec<Value>,
    warnings_max: usize,
    session: SessionFacts,
    user_variables: UserVariables,
    max_allowed_packet: u64,
    group_concat_max_len: u64,
    default_week_format: u8,
    space: Option<Arc<dyn TemporarySpace>>,
    spill_memory: usize,
    spill_disk: u64,
}

/// What comes back.
enum Message {
    Rows(Batch),
    End(Box<End>),
}

struct End {
    result: SqlResult<()>,
    warnings: Warnings,
    found_rows: u64,
}

/// The session's end of a query on the lane.
pub(crate) struct BulkRows {
    messages: mpsc::Receiver<Message>,
    given_up: Arc<AtomicBool>,
}

impl Package {
    /// Packs an execution whose budget is spent; `None` when it has to stay where it is.
    pub(crate) fn new(
        plan: &Arc<Plan>,
        txn: &dyn NodeTxn,
        ctx: &ExecContext<'_>,
        warnings_max: usize,
        skip: u64,
    ) -> Option<Self> {
        let (eval, spill) = (&ctx.eval, &ctx.spill);
        let mut params = eval.params.clone();
        params.truncate(plan.parameters());
        Some(Self {
            plan: Arc::clone(plan),
            reader: txn.reader()?,
            skip,
            sql_mode: eval.sql_mode,
            time_zone: eval.time_zone,
            now_micros: eval.now_micros,
            params,
            warnings_max,
            session: SessionFacts::clone(&eval.session),
            user_variables: eval.user_variables.borrow().clone(),
            max_allowed_packet: eval.max_allowed_packet,
            group_concat_max_len: eval.group_concat_max_len,
            default_week_format: eval.default_week_format,
            space: spill.place.as_ref().map(|place| Arc::clone(&place.space)),
            spill_memory: spill.memory,
            spill_disk: spill.disk_max,
        })
    }

    /// Hands it to the lane; `None` when the lane takes no more.
    pub(crate) fn send(self, node: &dyn Node) -> Option<BulkRows> {
        let (sender, messages) = mpsc::channel(BATCHES_WAITING);
        let given_up = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&given_up);
        node.spawn_bulk(Box::new(move || Box::pin(self.run(sender, flag)))).ok()?;
        Some(BulkRows { messages, given_up })
    }

    fn unpack(&mut self) -> EvalContext {
        let mut eval = EvalContext::new(Rc::new(LaneEnvironment));
        eval.sql_mode = self.sql_mode;
        eval.time_zone = self.time_zone;
        eval.now_micros = self.now_micros;
        eval.params = std::mem::take(&mut self.params);
        eval.warnings = Warnings::with_capacity(self.warnings_max);
        eval.session = Rc::new(self.session.clone());
        eval.user_variables = Rc::new(RefCell::new(std::mem::take(&mut self.user_variables)));
        eval.max_allowed_packet = self.max_allowed_packet;
        eval.group_concat_max_len = self.group_concat_max_len;
        eval.default_week_format = self.default_week_format;
        eval
    }

    async fn run(mut self, mut sender: mpsc::Sender<Message>, given_up: Arc<AtomicBool>) {
        let eval = self.unpack();
        let Self { plan, reader, skip, space, .. } = self;
        let txn = reader(given_up);
        let mut ctx = ExecContext::new(&*txn, eval, &NoVirtualTables);
        ctx.budget = Budget::endless();
        ctx.spill.place = space.map(|space| Rc::new(SpillPlace { space, offload: None }));
        ctx.spill.memory = self.spill_memory;
        ctx.spill.disk_max = self.spill_disk;
        let result = deliver(&plan, skip, &mut ctx, &mut sender).await;
        let warnings = std::mem::take(&mut ctx.eval.warnings);
        let found_rows = ctx.eval.session.found_rows.get();
        // Nobody may be waiting any more.
        let _ = send(&mut sender, Message::End(Box::new(End { result, warnings, found_rows }))).await;
    }
}

async fn deliver<'a>(
    plan: &'a Plan,
    skip: u64,
    ctx: &mut ExecContext<'a>,
    sender: &mut mpsc::Sender<Message>,
) -> SqlResult<()> {
    let Outcome::Rows { mut stream, .. } = execute_again(plan, ctx).await? else {
        return Err(SqlError::with_kind(1105, ErrorKind::Bug, "a long statement that gives no rows"));
    };
    let mut skip = usize::try_from(skip).unwrap_or(usize::MAX);
    while let Some(mut batch) = stream.next(ctx).await? {
        let skipped = skip.min(batch.len());
        skip -= skipped;
        batch.drop_first(skipped);
        if !batch.is_empty() {
            send(sender, Message::Rows(batch)).await?;
        }
    }
    Ok(())
}

async fn send(sender: &mut mpsc::Sender<Message>, message: Message) -> SqlResult<()> {
    let gone = |_| SqlError::new(1317, "Query execution was interrupted");
    poll_fn(|cx| sender.poll_ready(cx)).await.map_err(gone)?;
    sender.start_send(message).map_err(gone)
}

impl BulkRows {
    /// The next rows; `None` at the end, when warnings and FOUND_ROWS() of the whole query are in `eval`.
    ///
    /// # Errors
    /// Those of the query.
    pub(crate) async fn next(&mut self, eval: &mut EvalContext) -> SqlResult<Option<Batch>> {
        use futures_util::StreamExt;
        match self.messages.next().await {
            Some(Message::Rows(batch)) => Ok(Some(batch)),
            Some(Message::End(end)) => {
                eval.warnings = end.warnings;
                eval.session.found_rows.set(end.found_rows);
                end.result.map(|()| None)
            }
            None => Err(SqlError::with_kind(1053, ErrorKind::Unavailable, "Server shutdown in progress")),
        }
    }
}

impl Drop for BulkRows {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Release);
    }
}

/// Time and randomness on the lane.
struct LaneEnvironment;

impl Environment for LaneEnvironment {
    fn now_micros(&self) -> i64 {
        system_micros()
    }

    fn random(&self) -> u64 {
        system_random()
    }
}
