//! Executors: one pinned thread a core, each with a single-threaded runtime.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::ticker::{Elapsed, Ticker};

/// Which executor: 0 to `count - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutorId(pub u16);

/// Whether executors stay on their core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinning {
    /// Executor n runs on the n-th core that the process may use.
    Cores,
    /// The kernel chooses.
    None,
}

/// How executors wait for I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// io_uring where the kernel allows it, otherwise epoll.
    Auto,
    /// io_uring.
    IoUring,
    /// epoll.
    Epoll,
}

/// Settings of the executors.
#[derive(Clone, Debug)]
pub struct ExecutorOptions {
    /// How many; `None`: one for each core that the process may use.
    pub count: Option<usize>,
    /// Whether they are pinned.
    pub pinning: Pinning,
    /// How they wait.
    pub driver: DriverKind,
    /// Room for closures sent by [`ExecutorsHandle::spawn_on`] to one executor.
    pub jobs_max: usize,
    /// How long [`Executors::shutdown`] waits for tasks to end.
    pub grace: Duration,
}

impl Default for ExecutorOptions {
    fn default() -> Self {
        Self {
            count: None,
            pinning: Pinning::Cores,
            driver: DriverKind::Auto,
            jobs_max: 1024,
            grace: Duration::from_secs(10),
        }
    }
}

/// The running executors. Dropping them without [`Executors::shutdown`] leaves them running.
#[derive(Debug)]
pub struct Executors {}

/// Reaches the executors from any thread.
#[derive(Clone, Debug)]
pub struct ExecutorsHandle {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Executors {
    /// Starts the threads; on each, `init` is called and its future spawned.
    pub fn start<F, Fut>(options: ExecutorOptions, init: F) -> io::Result<Self>
    where
        F: Fn(ExecutorId) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        todo!()
    }
    pub fn handle(&self) -> ExecutorsHandle {
        todo!()
    }
    pub fn shutdown(self) -> io::Result<()> {
        todo!()
    }
}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl ExecutorsHandle {
    pub fn count(&self) -> usize {
        todo!()
    }
    pub fn driver(&self) -> DriverKind {
        todo!()
    }
    pub fn ticker(&self) -> &Ticker {
        todo!()
    }
    /// Whether shutdown has begun.
    pub fn is_stopping(&self) -> bool {
        todo!()
    }
    /// Ends when shutdown begins.
    pub async fn stopping(&self) {
        todo!()
    }
    /// Runs the future that `job` makes on an executor. Waits while its mailbox is full.
    pub async fn spawn_on<J, Fut>(&self, executor: ExecutorId, job: J) -> Result<(), Stopped>
    where
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        todo!()
    }
    /// As `spawn_on`, from a thread that may block.
    pub fn spawn_on_blocking<J, Fut>(&self, executor: ExecutorId, job: J) -> Result<(), Stopped>
    where
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        todo!()
    }
}

/// The executors have stopped or are stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// The output of a task on the same executor. Dropping it lets the task go on.
pub struct Task<T>(std::marker::PhantomData<T>);

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        todo!()
    }
}

/// Runs a future on the executor of the caller.
pub fn spawn<F>(_future: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    todo!()
}

/// The executor that the caller runs on, `None` on other threads.
#[must_use]
pub fn current() -> Option<ExecutorId> {
    todo!()
}

/// Sleeps by the executors' ticker; only on an executor.
pub async fn sleep(_duration: Duration) {
    todo!()
}

/// Runs a future for at most `duration`; only on an executor.
///
/// # Errors
/// [`Elapsed`]; the future is dropped.
pub async fn timeout<F: Future>(_duration: Duration, _future: F) -> Result<F::Output, Elapsed> {
    todo!()
}

/// Lets everything else that is ready on this executor run first, I/O included.
pub async fn yield_now() {
    todo!()
}
