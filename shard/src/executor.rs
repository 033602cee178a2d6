//! Executors: one pinned thread a core, each with a single-threaded runtime.
//!
//! A task lives and ends on the executor that it was spawned on; nothing that it holds need be `Send`.
//! Other threads reach an executor by messages ([`crate::queue`]) or, seldom, by
//! [`ExecutorsHandle::spawn_on`]. Nothing on an executor may block its thread.
//!
//! Time on an executor comes from the [`Ticker`], never from the runtime's own timers, which run only
//! when no task is ready.
//!
//! Shutdown: [`Executors::shutdown`] raises a flag that tasks wait for or look at, then waits for all
//! tasks made by [`spawn`] to end, at most for a grace period. Tasks made by [`spawn_permanent`]
//! (mailboxes) are not waited for.

mod task;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::affinity::{self, Urgency};
use crate::disk_reads;
use crate::queue::{self, PushError, Receiver, Sender};
use crate::runtime::{self, Built};
use crate::stop::{Stop, Stopping};
use crate::ticker::Ticker;

pub use task::{Task, current, sleep, spawn, spawn_permanent, task_count, ticker, timeout, yield_now};

/// Which executor: 0 to `count - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutorId(pub u16);

/// Whether executors stay on their core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinning {
    /// Executor n runs on the n-th core that the process may use, if there is one for each executor.
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

/// What is sent to an executor's own mailbox.
enum Job {
    /// Makes a future and spawns it.
    Run(Box<dyn FnOnce() + Send>),
    /// Shutdown has begun.
    Stop,
}

/// The running executors. Dropping them without [`Executors::shutdown`] leaves them running.
#[derive(Debug)]
pub struct Executors {
    handle: ExecutorsHandle,
    threads: Vec<thread::JoinHandle<()>>,
}

/// Reaches the executors from any thread; cheap to clone.
#[derive(Clone)]
pub struct ExecutorsHandle(Arc<Shared>);

struct Shared {
    jobs: Vec<Sender<Job>>,
    driver: DriverKind,
    ticker: Ticker,
    stop: Stop,
}

/// What a thread needs to become an executor.
struct Seat {
    id: ExecutorId,
    core: Option<usize>,
    driver: DriverKind,
    jobs: Receiver<Job>,
    ticker: Ticker,
    grace: Duration,
    started: mpsc::Sender<io::Result<DriverKind>>,
}

impl Executors {
    /// Starts the threads; on each, `init` is called and its future spawned as a task that shutdown
    /// does not wait for. Returns when all threads run.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be made. Executors that have started already then end.
    pub fn start<F, Fut>(options: ExecutorOptions, init: F) -> io::Result<Self>
    where
        F: Fn(ExecutorId) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let (cores, count) = plan(&options);
        let (senders, receivers) = queue::mailboxes(count, options.jobs_max);
        let ticker = Ticker::start()?;
        let init = Arc::new(init);
        let (started, starts) = mpsc::channel();
        let mut threads = Vec::with_capacity(count);
        for ((id, jobs), core) in (0_u16..).zip(receivers).zip(cores) {
            let seat = Seat {
                id: ExecutorId(id),
                core,
                driver: options.driver,
                jobs,
                ticker: ticker.clone(),
                grace: options.grace,
                started: started.clone(),
            };
            let init = Arc::clone(&init);
            let body = move || seat.run(move |id| init(id));
            threads.push(thread::Builder::new().name(format!("executor-{id}")).spawn(body)?);
        }
        let mut driver = DriverKind::IoUring;
        for _ in 0..count {
            let one = starts.recv().map_err(io::Error::other)??;
            if one == DriverKind::Epoll {
                driver = one;
            }
        }
        if driver == DriverKind::Epoll && options.driver == DriverKind::Auto {
            eprintln!("executors: io_uring is not available to this process; using epoll, which is slower");
        }
        let shared = Shared { jobs: senders, driver, ticker, stop: Stop::default() };
        Ok(Self { handle: ExecutorsHandle(Arc::new(shared)), threads })
    }

    /// The handle for other threads.
    #[must_use]
    pub fn handle(&self) -> ExecutorsHandle {
        self.handle.clone()
    }

    /// Tells everybody, waits for tasks to end (at most for the grace period), and joins the threads.
    ///
    /// # Errors
    /// When an executor's thread has panicked.
    pub fn shutdown(self) -> io::Result<()> {
        self.handle.0.stop.raise();
        for sender in &self.handle.0.jobs {
            // An executor that has ended already needs no telling.
            let _ = sender.push_blocking(Job::Stop);
        }
        for thread in self.threads {
            thread.join().map_err(|_| io::Error::other("an executor's thread has panicked"))?;
        }
        Ok(())
    }
}

/// How many executors, and the core of each.
fn plan(options: &ExecutorOptions) -> (Vec<Option<usize>>, usize) {
    let cores = affinity::usable_cores();
    let parallel = thread::available_parallelism().map_or(1, usize::from);
    let count = options.count.unwrap_or(parallel).clamp(1, usize::from(u16::MAX));
    // Under a CPU quota that is smaller than the machine, neighbours would pin to the same first cores.
    let pinned = options.pinning == Pinning::Cores && count <= cores.len() && parallel >= cores.len();
    let place = |n: usize| if pinned { cores.get(n).copied() } else { None };
    ((0..count).map(place).collect(), count)
}

impl Seat {
    fn run<F, Fut>(self, init: F)
    where
        F: FnOnce(ExecutorId) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        affinity::set_urgency(Urgency::Executor);
        if let Some(core) = self.core {
            // Not fatal: the kernel then places the thread.
            let _ = affinity::pin_to(core);
        }
        let built = match self.driver {
            DriverKind::IoUring => Built::uring(),
            DriverKind::Epoll => Built::epoll(),
            DriverKind::Auto => Built::uring().or_else(|_| Built::epoll()),
        };
        let mut runtime = match built {
            Ok(runtime) => runtime,
            Err(error) => {
                // The receiver waits for one answer of each thread.
                let _ = self.started.send(Err(error));
                return;
            }
        };
        let kind = if runtime.is_uring() { DriverKind::IoUring } else { DriverKind::Epoll };
        let Self { id, jobs, ticker, grace, started, .. } = self;
        task::enter(id, ticker);
        runtime.block_on(async move {
            if kind == DriverKind::IoUring {
                disk_reads::install();
            }
            spawn_permanent(async move { init(id).await });
            let _ = started.send(Ok(kind));
            drop(started);
            serve_jobs(&jobs).await;
            let _ = timeout(grace, task::all_tasks_ended()).await;
            disk_reads::tear_down();
            runtime::tear_down();
        });
        task::leave();
    }
}

async fn serve_jobs(jobs: &Receiver<Job>) {
    let mut batch = Vec::new();
    while jobs.recv_batch(&mut batch, queue::BATCH_MAX).await {
        for job in batch.drain(..) {
            match job {
                Job::Run(make) => make(),
                Job::Stop => return,
            }
        }
    }
}

impl ExecutorsHandle {
    /// How many executors there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.jobs.len()
    }

    /// All of them.
    pub fn ids(&self) -> impl Iterator<Item = ExecutorId> + use<> {
        (0..u16::try_from(self.count()).unwrap_or(u16::MAX)).map(ExecutorId)
    }

    /// How they wait: [`DriverKind::IoUring`] or [`DriverKind::Epoll`].
    #[must_use]
    pub fn driver(&self) -> DriverKind {
        self.0.driver
    }

    /// Their clock.
    #[must_use]
    pub fn ticker(&self) -> &Ticker {
        &self.0.ticker
    }

    /// Whether shutdown has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stop.is_raised()
    }

    /// Ends when shutdown begins.
    #[must_use]
    pub fn stopping(&self) -> Stopping {
        self.0.stop.wait()
    }

    /// Runs the future that `job` makes on an executor. Waits while its mailbox is full.
    ///
    /// # Errors
    /// [`Stopped`]; also for an executor that does not exist.
    pub async fn spawn_on<J, Fut>(&self, executor: ExecutorId, job: J) -> Result<(), Stopped>
    where
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let sender = self.sender(executor)?;
        sender.push(boxed(job)).await.map_err(|_| Stopped)
    }

    /// As [`ExecutorsHandle::spawn_on`], from a thread that may block.
    ///
    /// # Errors
    /// As [`ExecutorsHandle::spawn_on`].
    pub fn spawn_on_blocking<J, Fut>(&self, executor: ExecutorId, job: J) -> Result<(), Stopped>
    where
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.sender(executor)?.push_blocking(boxed(job)).map_err(|_| Stopped)
    }

    /// As [`ExecutorsHandle::spawn_on`], if there is room now.
    ///
    /// # Errors
    /// `Some` job back: no room; `None`: stopped.
    pub fn try_spawn_on<J, Fut>(&self, executor: ExecutorId, job: J) -> Result<(), NoRoom>
    where
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let sender = self.sender(executor).map_err(|Stopped| NoRoom::Stopped)?;
        sender.try_push(boxed(job)).map_err(|error| match error {
            PushError::Full(_) => NoRoom::Full,
            PushError::Closed(_) => NoRoom::Stopped,
        })
    }

    fn sender(&self, executor: ExecutorId) -> Result<&Sender<Job>, Stopped> {
        if self.is_stopping() {
            return Err(Stopped);
        }
        self.0.jobs.get(usize::from(executor.0)).ok_or(Stopped)
    }
}

impl fmt::Debug for ExecutorsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorsHandle")
            .field("count", &self.count())
            .field("driver", &self.driver())
            .finish_non_exhaustive()
    }
}

fn boxed<J, Fut>(job: J) -> Job
where
    J: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    Job::Run(Box::new(move || drop(spawn(job()))))
}

/// The executors have stopped or are stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Why [`ExecutorsHandle::try_spawn_on`] refused; the job is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The executor's mailbox is full.
    Full,
    /// The executors have stopped or are stopping.
    Stopped,
}
