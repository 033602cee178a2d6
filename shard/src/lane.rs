//! The bulk lane: background jobs and long statements, on threads of low priority.
//!
//! A job is a future that may hold what is not `Send`; it is made and runs on one of the lane's
//! threads. The threads carry glommio executors, and where glommio cannot start, plain ones.
//!
//! Foreign threads (the S3 lane above all) complete what jobs wait for. They must never touch a task
//! that may end, so a job is polled with a waker of ours ([`JobWake`]): waking it puts it on its
//! thread's list and rings one bell, at which one permanent mailbox task listens; that task wakes the
//! job on its own thread, if the job still exists. A job's waker therefore owns nothing but the list.

mod glommio_thread;
mod plain_thread;

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::{ArrayQueue, SegQueue};
use futures_channel::oneshot;

use crate::affinity;
use crate::doorbell::Doorbell;

/// Jobs that may wait for one thread to take them.
pub const JOBS_MAX: usize = 16_384;
/// A job gives way to others after running for so long.
pub const SLICE: Duration = Duration::from_millis(5);

/// What carries the lane's jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// glommio executors, or plain threads where glommio cannot start.
    Auto,
    /// glommio executors.
    Glommio,
    /// Plain threads.
    Plain,
}

/// How the lane's time is shared out among jobs that want it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobClass {
    /// Flush: writers wait for it when it lags.
    Flush,
    /// Long statements: a client waits.
    Statement,
    /// Compaction, collection, archive: nobody waits.
    Background,
}

/// Settings of the lane.
#[derive(Clone, Debug)]
pub struct LaneOptions {
    /// Threads.
    pub threads: usize,
    /// What carries the jobs.
    pub kind: LaneKind,
    /// Their niceness: 0 is as urgent as executors, 19 the least. Default 10, a tenth of the weight.
    pub niceness: i32,
    /// Memory that a glommio thread registers for its rings; the locked-memory limit applies.
    pub ring_memory_bytes: usize,
}

impl LaneOptions {
    /// Defaults with a number of threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { threads, kind: LaneKind::Auto, niceness: 10, ring_memory_bytes: 1 << 20 }
    }
}

/// The bulk lane; cheap to clone. Its threads run until [`BulkLane::shutdown`].
#[derive(Clone)]
pub struct BulkLane(Arc<Lane>);

struct Lane {
    kind: LaneKind,
    threads: Vec<Arc<ThreadShared>>,
    handles: Mutex<Vec<thread::JoinHandle<()>>>,
}

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A job on its way to its thread.
struct Job {
    class: JobClass,
    make: Box<dyn FnOnce() -> LocalFuture + Send>,
}

/// What other threads see of one of the lane's threads.
struct ThreadShared {
    bell: Doorbell,
    jobs: ArrayQueue<Job>,
    woken: SegQueue<Arc<JobWake>>,
    /// Jobs that have been sent here and have not ended.
    load: AtomicUsize,
    stopping: AtomicBool,
}

/// The waker of one job. See the module's text.
struct JobWake {
    thread: Arc<ThreadShared>,
    id: u64,
    /// Whether it is on the list already.
    listed: AtomicBool,
}

impl Wake for JobWake {
    fn wake(self: Arc<Self>) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            let thread = Arc::clone(&self.thread);
            thread.woken.push(self);
            thread.bell.ring();
        }
    }
}

/// What the permanent mailbox task of a thread finds.
enum Found {
    Job(Job),
    Woken(u64),
    End,
}

impl ThreadShared {
    fn new() -> Self {
        Self {
            bell: Doorbell::new(),
            jobs: ArrayQueue::new(JOBS_MAX),
            woken: SegQueue::new(),
            load: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    /// Something to do, if there is. Wake-ups come before new jobs.
    fn next(&self) -> Option<Found> {
        if let Some(wake) = self.woken.pop() {
            // Taken off the list before the job runs: a wake-up during its run counts. A swap, so that
            // what a waker stored that found it still listed is seen by the run.
            wake.listed.swap(false, Ordering::AcqRel);
            return Some(Found::Woken(wake.id));
        }
        if let Some(job) = self.jobs.pop() {
            return Some(Found::Job(job));
        }
        // Sequentially consistent with `spawn_as`: either it sees `stopping` or this sees its load.
        let ended = self.stopping.load(Ordering::SeqCst) && self.load.load(Ordering::SeqCst) == 0;
        ended.then_some(Found::End)
    }

    fn job_ended(&self) {
        self.load.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The job will not run, or has not ended: the lane is closed, or [`JOBS_MAX`] jobs wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneClosed;

impl fmt::Display for LaneClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bulk lane is closed or full")
    }
}

impl std::error::Error for LaneClosed {}

/// The output of a job; may be awaited on any thread. Dropping it lets the job go on.
#[derive(Debug)]
pub struct JobHandle<T>(oneshot::Receiver<T>);

impl<T> Future for JobHandle<T> {
    type Output = Result<T, LaneClosed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| LaneClosed)
    }
}

impl BulkLane {
    /// Starts a lane with the usual settings.
    ///
    /// # Errors
    /// As [`BulkLane::start_with`].
    pub fn start(threads: usize) -> io::Result<Self> {
        Self::start_with(&LaneOptions::new(threads))
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// When a thread cannot be made, or glommio was demanded and cannot start.
    pub fn start_with(options: &LaneOptions) -> io::Result<Self> {
        let glommio = match options.kind {
            LaneKind::Plain => None,
            LaneKind::Glommio => Some(start_threads(options, LaneKind::Glommio)?),
            LaneKind::Auto => start_threads(options, LaneKind::Glommio).ok(),
        };
        if glommio.is_none() && options.kind == LaneKind::Auto {
            eprintln!("bulk lane: glommio cannot start here; using plain threads");
        }
        let (kind, started) = match glommio {
            Some(started) => (LaneKind::Glommio, started),
            None => (LaneKind::Plain, start_threads(options, LaneKind::Plain)?),
        };
        let (threads, handles) = started.into_iter().unzip();
        Ok(Self(Arc::new(Lane { kind, threads, handles: Mutex::new(handles) })))
    }

    /// What carries the jobs: [`LaneKind::Glommio`] or [`LaneKind::Plain`].
    #[must_use]
    pub fn kind(&self) -> LaneKind {
        self.0.kind
    }

    /// Jobs that have not ended.
    #[must_use]
    pub fn load(&self) -> usize {
        self.0.threads.iter().map(|thread| thread.load.load(Ordering::Relaxed)).sum()
    }

    /// Runs the future that `job` makes on the lane's thread with the fewest jobs.
    pub fn spawn<J, Fut, T>(&self, job: J) -> JobHandle<T>
    where
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        self.spawn_as(JobClass::Background, job)
    }

    /// As [`BulkLane::spawn`], with a class that decides over its share of the time.
    pub fn spawn_as<J, Fut, T>(&self, class: JobClass, job: J) -> JobHandle<T>
    where
        J: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let (answer, handle) = oneshot::channel();
        let make = Box::new(move || -> LocalFuture {
            let future = job();
            Box::pin(async move {
                // Nobody may be waiting any more.
                let _ = answer.send(future.await);
            })
        });
        let least = self.0.threads.iter().min_by_key(|t| t.load.load(Ordering::Relaxed));
        if let Some(thread) = least {
            thread.load.fetch_add(1, Ordering::SeqCst);
            let refused =
                thread.stopping.load(Ordering::SeqCst) || thread.jobs.push(Job { class, make }).is_err();
            if refused {
                thread.job_ended();
            }
            thread.bell.ring();
        }
        JobHandle(handle)
    }

    /// Lets running jobs end, refuses new ones, and joins the threads. Blocks; not for executors.
    pub fn shutdown(&self) {
        for thread in &self.0.threads {
            thread.stopping.store(true, Ordering::SeqCst);
            thread.bell.ring();
        }
        let handles = std::mem::take(&mut *self.0.handles.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            // A thread that has panicked has reported that itself.
            let _ = handle.join();
        }
    }
}

impl fmt::Debug for BulkLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkLane")
            .field("kind", &self.kind())
            .field("threads", &self.0.threads.len())
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

type Started = (Arc<ThreadShared>, thread::JoinHandle<()>);

fn start_threads(options: &LaneOptions, kind: LaneKind) -> io::Result<Vec<Started>> {
    (0..options.threads.max(1)).map(|number| start_thread(options, kind, number)).collect()
}

fn start_thread(options: &LaneOptions, kind: LaneKind, number: usize) -> io::Result<Started> {
    let shared = Arc::new(ThreadShared::new());
    let (mine, niceness, memory) = (Arc::clone(&shared), options.niceness, options.ring_memory_bytes);
    let (started, starts) = mpsc::channel();
    let body = move || {
        // Not fatal: the lane then competes on equal terms.
        let _ = affinity::set_niceness(niceness);
        match kind {
            LaneKind::Plain => plain_thread::run(&mine, &started),
            LaneKind::Glommio | LaneKind::Auto => glommio_thread::run(&mine, memory, &started),
        }
    };
    let handle = thread::Builder::new().name(format!("bulk-{number}")).spawn(body)?;
    match starts.recv() {
        Ok(Ok(())) => Ok((shared, handle)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("a thread of the bulk lane has died at its start")),
    }
}

thread_local! {
    /// When the present poll of a job began; `None` on threads that are not the lane's.
    static SLICE_BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Notes that a job is being polled from now on.
fn begin_slice() {
    SLICE_BEGAN.set(Some(Instant::now()));
}

/// For long loops: lets others run when the job has run for [`SLICE`]. On an executor it yields at once,
/// so call it there once in a few hundred microseconds of work; elsewhere it does nothing.
pub async fn yield_if_needed() {
    match SLICE_BEGAN.get() {
        Some(began) if began.elapsed() < SLICE => {}
        Some(_) => yield_once().await,
        None if crate::executor::current().is_some() => crate::executor::yield_now().await,
        None => {}
    }
}

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
