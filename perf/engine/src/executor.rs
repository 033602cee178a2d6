//! Running a measurement where a node runs its short statements: on an executor.

use std::future::Future;
use std::sync::mpsc;

use aquifer_shard::executor::{ExecutorId, ExecutorOptions, Executors, Pinning};

use crate::tree::{Outcome, text};

/// One executor. Beside its thread there is the one that keeps its time.
pub struct Executor(Executors);

impl Executor {
    /// Starts it.
    pub fn start() -> Outcome<Self> {
        let options =
            ExecutorOptions { count: Some(1), pinning: Pinning::None, ..ExecutorOptions::default() };
        Executors::start(options, |_| async {}).map(Self).map_err(text)
    }

    /// Runs the future that `job` makes, and waits for what it brings.
    pub fn run<T, J, Fut>(&self, job: J) -> Outcome<T>
    where
        T: Send + 'static,
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Outcome<T>> + 'static,
    {
        let (sender, answer) = mpsc::channel();
        let run = move || async move {
            // Nobody has gone: the receiver waits below.
            let _ = sender.send(job().await);
        };
        self.0.handle().spawn_on_blocking(ExecutorId(0), run).map_err(|_| "the executor has ended")?;
        answer.recv().map_err(|_| "the executor has panicked".to_owned())?
    }

    /// Ends it.
    pub fn stop(self) -> Outcome<()> {
        self.0.shutdown().map_err(text)
    }
}
