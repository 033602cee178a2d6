//! The bulk lane: background jobs at low priority.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What carries the lane's jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// glommio executors.
    Glommio,
    /// Plain threads, where glommio cannot start.
    Plain,
}

/// The bulk lane; cheap to clone.
#[derive(Clone, Debug)]
pub struct BulkLane {}

/// The lane has been shut down before the job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneClosed;

/// The output of a job; may be awaited on any thread. Dropping it lets the job go on.
pub struct JobHandle<T>(std::marker::PhantomData<T>);

impl<T> Future for JobHandle<T> {
    type Output = Result<T, LaneClosed>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl BulkLane {
    pub fn start(threads: usize) -> io::Result<Self> {
        todo!()
    }
    pub fn kind(&self) -> LaneKind {
        todo!()
    }
    /// Runs the future that `job` makes on one of the lane's threads.
    pub fn spawn<J, Fut, T>(&self, job: J) -> JobHandle<T>
    where
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        todo!()
    }
    /// Lets running jobs end and joins the threads.
    pub fn shutdown(&self) {
        todo!()
    }
}

/// For long loops in a job: gives way to other jobs when the job has run for long enough.
pub async fn yield_if_needed() {
    todo!()
}
