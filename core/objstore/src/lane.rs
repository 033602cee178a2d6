//! The S3 lane: one thread with a tokio runtime that all requests run on.
//!
//! A job is a boxed future that sends its own answer. The queue and the number of jobs under way are
//! bounded; a caller waits when both are full. The thread ends when the last handle is dropped and the
//! last job is done.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_channel::oneshot;
use tokio::sync::{Semaphore, mpsc};

use crate::error::{StoreError, StoreResult};

/// Jobs that wait for the lane to take them.
const QUEUE_MAX: usize = 1024;

/// Requests under way at once.
const IN_FLIGHT_MAX: usize = 256;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle to the lane.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    jobs: mpsc::Sender<Job>,
}

impl Lane {
    /// Starts the thread.
    pub(crate) fn start() -> StoreResult<Self> {
        let failed = |error: std::io::Error| {
            StoreError::unavailable(format!("cannot start the object store's thread: {error}"))
        };
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("aquifer-s3".to_owned())
            .spawn(move || runtime.block_on(serve(queue)))
            .map_err(failed)?;
        Ok(Self { jobs })
    }

    /// Runs `work` on the lane once the returned future is polled. Dropping the future does not stop
    /// work that has begun.
    pub(crate) fn run<T, W>(&self, work: W) -> impl Future<Output = StoreResult<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: Future<Output = StoreResult<T>> + Send + 'static,
    {
        let jobs = self.jobs.clone();
        async move {
            let stopped = || StoreError::unavailable("the object store's thread has stopped");
            let (answer, answered) = oneshot::channel();
            let job: Job = Box::pin(async move {
                // The caller may have gone; then nobody wants the answer.
                let _ = answer.send(work.await);
            });
            jobs.send(job).await.map_err(|_| stopped())?;
            answered.await.map_err(|_| stopped())?
        }
    }
}

async fn serve(mut queue: mpsc::Receiver<Job>) {
    let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    while let Some(job) = queue.recv().await {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        tokio::spawn(async move {
            job.await;
            drop(slot);
        });
    }
    // All slots are free again when the last job has sent its answer.
    let all = u32::try_from(IN_FLIGHT_MAX).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}
