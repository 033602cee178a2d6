//! Tasks of one executor: spawning, counting for shutdown, time, and giving way.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::ExecutorId;
use crate::runtime;
use crate::ticker::{Elapsed, Ticker};

/// What an executor's thread knows of itself.
struct Local {
    id: ExecutorId,
    ticker: Ticker,
    tasks: Cell<usize>,
    /// Woken when the last task has ended.
    idle: RefCell<Option<Waker>>,
}

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

fn local() -> Option<Rc<Local>> {
    LOCAL.with_borrow(Clone::clone)
}

/// Makes the calling thread an executor.
pub(super) fn enter(id: ExecutorId, ticker: Ticker) {
    LOCAL.set(Some(Rc::new(Local { id, ticker, tasks: Cell::new(0), idle: RefCell::new(None) })));
}

/// Undoes [`enter`].
pub(super) fn leave() {
    LOCAL.set(None);
}

/// Ends when no task is left that shutdown waits for.
pub(super) async fn all_tasks_ended() {
    poll_fn(|cx| {
        let Some(local) = local() else { return Poll::Ready(()) };
        if local.tasks.get() == 0 {
            return Poll::Ready(());
        }
        *local.idle.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// The output of a task on the same executor. Dropping it lets the task go on.
pub struct Task<T>(runtime::Spawned<T>);

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

/// Counts a task for as long as it lives.
struct Counted(Option<Rc<Local>>);

impl Counted {
    fn new() -> Self {
        let local = local();
        if let Some(local) = &local {
            local.tasks.set(local.tasks.get() + 1);
        }
        Self(local)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(local) = &self.0 else { return };
        local.tasks.set(local.tasks.get() - 1);
        let waker = if local.tasks.get() == 0 { local.idle.borrow_mut().take() } else { None };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Runs a future on the executor of the caller.
///
/// # Panics
/// On a thread that is not an executor: the caller's mistake.
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    let counted = Counted::new();
    Task(runtime::spawn(async move {
        let output = future.await;
        drop(counted);
        output
    }))
}

/// As [`spawn`], for a task that goes on as long as its executor does, such as a mailbox. Shutdown
/// does not wait for it.
///
/// # Panics
/// As [`spawn`].
pub fn spawn_permanent<F>(future: F)
where
    F: Future<Output = ()> + 'static,
{
    drop(runtime::spawn(future));
}

/// The executor that the caller runs on, `None` on other threads.
#[must_use]
pub fn current() -> Option<ExecutorId> {
    LOCAL.with_borrow(|local| local.as_ref().map(|local| local.id))
}

/// Tasks on the caller's executor that shutdown would wait for.
#[must_use]
pub fn task_count() -> usize {
    LOCAL.with_borrow(|local| local.as_ref().map_or(0, |local| local.tasks.get()))
}

/// The ticker of the caller's executor.
///
/// # Panics
/// On a thread that is not an executor: the caller's mistake.
#[must_use]
pub fn ticker() -> Ticker {
    let local = local().expect("only an executor has a ticker of its own");
    local.ticker.clone()
}

/// Sleeps by the executors' ticker.
///
/// # Panics
/// On a thread that is not an executor: the caller's mistake.
pub async fn sleep(duration: Duration) {
    ticker().sleep(duration).await;
}

/// Runs a future for at most `duration`.
///
/// # Errors
/// [`Elapsed`]; the future is dropped.
///
/// # Panics
/// On a thread that is not an executor: the caller's mistake.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    ticker().timeout(duration, future).await
}

/// Lets everything else that is ready on this executor run first, I/O and messages included. For
/// loops that are long without a real wait; costs about a microsecond, and on epoll up to two
/// milliseconds.
pub async fn yield_now() {
    if current().is_none() {
        yield_once().await;
    } else if !runtime::yield_now().await {
        sleep(Duration::from_micros(1)).await;
    }
}

/// Is pending once and wakes itself.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
