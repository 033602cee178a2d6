//! Functions that wait or that reach beyond the session: SLEEP, GET_LOCK and its relatives,
//! WAIT_FOR_EXECUTED_GTID_SET.
//!
//! Evaluation of expressions never waits, so the session calls these itself, from left to right, before
//! the statement runs, and puts their results in their places. That is the same thing as long as they
//! are called once: in a SELECT without FROM, and in DO. Elsewhere the planner does not know them.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use aquifer_sql::ast::{AstExpr, FunctionCall, Literal, QueryBody, SelectItem, Statement};
use aquifer_types::{DataType, Lsn, SqlError, SqlResult, Value};

use crate::outcome::Failure;
use crate::output::Output;
use crate::registry::{INTERRUPT_CONNECTION, LockAttempt, UserLocks};
use crate::rows::Protocol;
use crate::session::Session;

const NAMES: [&str; 8] = [
    "SLEEP",
    "GET_LOCK",
    "RELEASE_LOCK",
    "RELEASE_ALL_LOCKS",
    "IS_FREE_LOCK",
    "IS_USED_LOCK",
    "WAIT_FOR_EXECUTED_GTID_SET",
    "MASTER_POS_WAIT",
];

/// Longest wait; a longer one is as good as endless.
const WAIT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Whether a statement calls one of them where the session can do it.
pub(crate) fn has_waiting_calls(statement: &Statement) -> bool {
    let mut copy = match statement {
        Statement::Query(query) => match &query.body {
            QueryBody::Select(select) if select.from.is_none() => statement.clone(),
            _ => return false,
        },
        Statement::Do(_) => statement.clone(),
        _ => return false,
    };
    let mut found = false;
    for_each_call(&mut copy, &mut |_| found = true);
    found
}

/// Visits the calls in the order in which they are written.
fn for_each_call(statement: &mut Statement, visit: &mut dyn FnMut(&mut AstExpr)) {
    match statement {
        Statement::Do(list) => list.iter_mut().for_each(|expr| calls_in(expr, visit)),
        Statement::Query(query) => {
            if let QueryBody::Select(select) = &mut query.body {
                for item in &mut select.items {
                    if let SelectItem::Expr { expr, .. } = item {
                        calls_in(expr, visit);
                    }
                }
                if let Some(filter) = &mut select.filter {
                    calls_in(filter, visit);
                }
            }
        }
        _ => {}
    }
}

fn calls_in(expr: &mut AstExpr, visit: &mut dyn FnMut(&mut AstExpr)) {
    match expr {
        AstExpr::Function(call) if NAMES.iter().any(|name| call.name.eq_ignore_ascii_case(name)) => {
            visit(expr)
        }
        AstExpr::Function(call) => call.args.iter_mut().for_each(|arg| calls_in(arg, visit)),
        AstExpr::Unary(_, operand) | AstExpr::Cast(operand, _) | AstExpr::IsNull(operand, _) => {
            calls_in(operand, visit);
        }
        AstExpr::AssignVariable(_, operand) | AstExpr::IsTruth(operand, _, _) => calls_in(operand, visit),
        AstExpr::Binary(_, left, right) => {
            calls_in(left, visit);
            calls_in(right, visit);
        }
        AstExpr::In(operand, list, _) => {
            calls_in(operand, visit);
            list.iter_mut().for_each(|item| calls_in(item, visit));
        }
        AstExpr::Case(case) => {
            case.operand.iter_mut().for_each(|operand| calls_in(operand, visit));
            for (when, then) in &mut case.branches {
                calls_in(when, visit);
                calls_in(then, visit);
            }
            case.otherwise.iter_mut().for_each(|otherwise| calls_in(otherwise, visit));
        }
        _ => {}
    }
}

impl Session {
    /// Runs a statement with waiting calls.
    ///
    /// # Errors
    /// As [`Session::run_planned`].
    pub(crate) async fn run_waiting(
        &mut self,
        statement: &Statement,
        params: &mut Vec<Value>,
        protocol: Protocol,
        more: bool,
        output: &mut dyn Output,
    ) -> Result<(), Failure> {
        let mut statement = statement.clone();
        let mut calls: Vec<FunctionCall> = Vec::new();
        for_each_call(&mut statement, &mut |expr| {
            if let AstExpr::Function(call) = expr {
                calls.push(FunctionCall::clone(call));
            }
        });
        let limit = self.state.variables.effective().max_execution_time_ms;
        if limit > 0 {
            self.entry.set_deadline(self.host.registry.now_ms().saturating_add(limit));
        }
        let mut values = Vec::with_capacity(calls.len());
        for call in &calls {
            values.push(self.call_waiting(call, params).await?);
        }
        self.entry.set_deadline(0);
        let mut values = values.into_iter();
        for_each_call(&mut statement, &mut |expr| {
            *expr = literal(values.next().flatten());
        });
        let ready = Rc::new(self.make_ready(statement, params.len(), params)?);
        Box::pin(self.run_with(&ready, params, protocol, more, output)).await?.settled()
    }

    /// Calls one function; `None` is NULL.
    async fn call_waiting(&mut self, call: &FunctionCall, params: &[Value]) -> Result<Option<i64>, Failure> {
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.evaluate(arg, params).await?);
        }
        let text = |at: usize| args.get(at).and_then(|(value, ty)| shown(value, ty));
        let seconds = |at: usize| text(at).and_then(|text| text.trim().parse::<f64>().ok());
        let name = call.name.to_ascii_uppercase();
        let wrong = || {
            SqlError::new(1582, format!("Incorrect parameter count in the call to native function '{name}'"))
        };
        let id = self.entry.id();
        let locks = self.host.registry.user_locks();
        Ok(match (name.as_str(), args.len()) {
            ("SLEEP", 1) => match seconds(0) {
                Some(seconds) if seconds >= 0.0 => Some(self.sleep(duration(seconds)).await?),
                _ => return Err(SqlError::new(1210, "Incorrect arguments to sleep.").into()),
            },
            ("GET_LOCK", 2) => {
                let lock = lock_name(text(0))?;
                self.get_lock(&lock, seconds(1).unwrap_or(0.0)).await?
            }
            ("RELEASE_LOCK", 1) => locks.release(&lock_name(text(0))?, id).map(i64::from),
            ("RELEASE_ALL_LOCKS", 0) => {
                Some(i64::try_from(self.host.registry.release_user_locks(id)).unwrap_or(i64::MAX))
            }
            ("IS_FREE_LOCK", 1) => Some(i64::from(locks.holder(&lock_name(text(0))?).is_none())),
            ("IS_USED_LOCK", 1) => {
                let holder = locks.holder(&lock_name(text(0))?);
                holder.map(|holder| i64::try_from(holder).unwrap_or(i64::MAX))
            }
            ("WAIT_FOR_EXECUTED_GTID_SET", 1 | 2) => {
                let lsn = last_of_gtid_set(&text(0).unwrap_or_default())?;
                let wait = seconds(1).filter(|seconds| *seconds > 0.0).map_or(WAIT_MAX, duration);
                let reached = self.host.node.wait_visible(lsn, wait).await;
                Some(i64::from(!reached))
            }
            ("MASTER_POS_WAIT", _) => None,
            _ => return Err(wrong().into()),
        })
    }

    /// SLEEP: 1 when KILL QUERY or the time limit ended it.
    async fn sleep(&self, duration: Duration) -> SqlResult<i64> {
        let interrupt = self.entry.interrupt();
        self.host.node.sleep(duration, interrupt).await;
        match interrupt.state.load(Ordering::Relaxed) {
            0 => Ok(0),
            INTERRUPT_CONNECTION => Err(SqlError::new(1317, "Query execution was interrupted")),
            seen => {
                let _ = interrupt.state.compare_exchange(seen, 0, Ordering::Relaxed, Ordering::Relaxed);
                Ok(1)
            }
        }
    }

    async fn get_lock(&self, name: &str, seconds: f64) -> SqlResult<Option<i64>> {
        let wait = if seconds < 0.0 { WAIT_MAX } else { duration(seconds) };
        let locks = self.host.registry.user_locks();
        let id = self.entry.id();
        match locks.ask(name, id) {
            LockAttempt::Taken => return Ok(Some(1)),
            LockAttempt::Full => return Ok(None),
            LockAttempt::Queued => {}
            LockAttempt::Deadlock => {
                let text = "Deadlock found when trying to get user-level lock; try rolling back \
                            transaction/releasing locks and restarting lock acquisition.";
                return Err(SqlError::new(3058, text));
            }
        }
        // Whatever ends the wait, also the end of the session, the connection leaves the queue.
        let place = Place { locks, id };
        let interrupt = self.entry.interrupt();
        let mut sleep = self.host.node.sleep(wait, interrupt);
        std::future::poll_fn(|cx| {
            if locks.poll_taken(id, cx) { Poll::Ready(()) } else { sleep.as_mut().poll(cx) }
        })
        .await;
        if place.leave() {
            return Ok(Some(1));
        }
        match interrupt.state.load(Ordering::Relaxed) {
            0 => Ok(Some(0)),
            _ => Err(SqlError::new(1317, "Query execution was interrupted")),
        }
    }
}

/// A place in a queue for a lock.
struct Place<'l> {
    locks: &'l UserLocks,
    id: u64,
}

impl Place<'_> {
    /// Whether the lock was had.
    fn leave(self) -> bool {
        self.locks.withdraw(self.id)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.locks.withdraw(self.id);
    }
}

fn literal(value: Option<i64>) -> AstExpr {
    AstExpr::Literal(match value {
        None => Literal::Null,
        Some(value) => u64::try_from(value).map_or(Literal::Null, Literal::UInt),
    })
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX).min(WAIT_MAX)
}

fn shown(value: &Value, data_type: &DataType) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let mut text = Vec::new();
    aquifer_types::text::write_text(value, data_type, &mut text);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// A lock's name: 1 to 64 characters.
fn lock_name(name: Option<String>) -> SqlResult<String> {
    let name = name.unwrap_or_default();
    if name.is_empty() {
        return Err(SqlError::new(3057, "Incorrect user-level lock name 'NULL'."));
    }
    if name.chars().count() > 64 {
        return Err(SqlError::new(3057, format!("Incorrect user-level lock name '{name}'.")));
    }
    Ok(name)
}

/// The largest LSN of a set such as `uuid:1-5:7`.
fn last_of_gtid_set(set: &str) -> SqlResult<Lsn> {
    let malformed = || SqlError::new(1772, format!("Malformed GTID set specification '{set}'."));
    let mut last = 0;
    for member in set.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let (_, intervals) = member.split_once(':').ok_or_else(malformed)?;
        for interval in intervals.split(':') {
            let end = interval.rsplit('-').next().unwrap_or(interval);
            last = last.max(end.trim().parse().map_err(|_| malformed())?);
        }
    }
    Ok(Lsn(last))
}
