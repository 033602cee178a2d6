//! The bulk lane: background jobs and long statements, on threads of low priority.
//!
//! A job is a future that may hold what is not `Send`; it is made and runs on one of the lane's
//! threads. Each thread shares its time out among the classes of jobs ([`JobClass::shares`]); within a
//! class jobs take turns in the order in which they became ready.
//!
//! Foreign threads (the S3 lane above all) complete what jobs wait for. Waking a job puts it on its
//! thread's list and rings one bell ([`JobWake`]); the thread polls it if it still exists. A job's waker
//! therefore owns nothing but the list, and may outlive the job.
//!
//! Threads and not a runtime: ADR 0056.

mod turns;
mod worker;

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::SegQueue;
use futures_channel::oneshot;

use crate::affinity::{self, Urgency};
use crate::doorbell::Doorbell;

/// Jobs that one thread may have.
pub const JOBS_MAX: usize = 16_384;
/// A job gives way to others after running for so long.
pub const SLICE: Duration = Duration::from_millis(5);

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

impl JobClass {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// All of them, by [`JobClass::index`].
    pub const ALL: [Self; Self::COUNT] = [Self::Flush, Self::Statement, Self::Background];

    /// The part of a thread's time that a class gets while others want it too, in relation to theirs.
    #[must_use]
    pub const fn shares(self) -> u64 {
        match self {
            Self::Flush => 6,
            Self::Statement => 3,
            Self::Background => 1,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Flush => 0,
            Self::Statement => 1,
            Self::Background => 2,
        }
    }
}

/// The bulk lane; cheap to clone. Its threads run until [`BulkLane::shutdown`].
#[derive(Clone)]
pub struct BulkLane(Arc<Lane>);

struct Lane {
    threads: Vec<Arc<ThreadShared>>,
    handles: Mutex<Vec<thread::JoinHandle<()>>>,
}

/// A job at work.
pub type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Makes a job's future on the job's thread.
pub type MakeJob = Box<dyn FnOnce() -> LocalFuture + Send>;

/// What other threads see of one of the lane's threads.
struct ThreadShared {
    bell: Doorbell,
    /// What is to be polled, by class.
    ready: [SegQueue<Ready>; JobClass::COUNT],
    /// Jobs that have been sent here and have not ended.
    load: AtomicUsize,
    stopping: AtomicBool,
}

/// A job that is to be polled.
enum Ready {
    /// It has not begun.
    New(MakeJob),
    /// It was woken. It may have ended already.
    Woken(Arc<JobWake>),
}

/// The waker of one job. See the module's text.
struct JobWake {
    thread: Arc<ThreadShared>,
    id: u64,
    class: JobClass,
    /// Whether it is on the list already.
    listed: AtomicBool,
}

impl Wake for JobWake {
    fn wake(self: Arc<Self>) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            let thread = Arc::clone(&self.thread);
            thread.ready[self.class.index()].push(Ready::Woken(self));
            thread.bell.ring();
        }
    }
}

impl ThreadShared {
    fn new() -> Self {
        Self {
            bell: Doorbell::new(),
            ready: [const { SegQueue::new() }; JobClass::COUNT],
            load: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    /// Whether no job is left and none will come.
    fn ended(&self) -> bool {
        // Sequentially consistent with `spawn_as`: either it sees `stopping` or this sees its load.
        self.stopping.load(Ordering::SeqCst) && self.load.load(Ordering::SeqCst) == 0
    }

    /// Whether a job is taken on; if so it counts until [`ThreadShared::job_ended`].
    fn admit(&self) -> bool {
        let before = self.load.fetch_add(1, Ordering::SeqCst);
        let refused = self.stopping.load(Ordering::SeqCst) || before >= JOBS_MAX;
        if refused {
            self.job_ended();
            // The thread may have seen the load that was none.
            self.bell.ring();
        }
        !refused
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
    /// Starts the threads, at least one.
    ///
    /// # Errors
    /// When a thread cannot be made.
    pub fn start(threads: usize) -> io::Result<Self> {
        let started: io::Result<Vec<_>> = (0..threads.max(1)).map(start_thread).collect();
        let (threads, handles) = started?.into_iter().unzip();
        Ok(Self(Arc::new(Lane { threads, handles: Mutex::new(handles) })))
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
        let make: MakeJob = Box::new(move || -> LocalFuture {
            let future = job();
            Box::pin(async move {
                // Nobody may be waiting any more.
                let _ = answer.send(future.await);
            })
        });
        let _ = self.send(class, make);
        JobHandle(handle)
    }

    /// Runs a job whose outcome nobody awaits.
    ///
    /// # Errors
    /// Gives the job back when the lane is closed or full.
    pub fn spawn_detached(&self, class: JobClass, job: MakeJob) -> Result<(), MakeJob> {
        self.send(class, job)
    }

    fn send(&self, class: JobClass, make: MakeJob) -> Result<(), MakeJob> {
        let least = self.0.threads.iter().min_by_key(|t| t.load.load(Ordering::Relaxed));
        match least {
            Some(thread) if thread.admit() => {
                thread.ready[class.index()].push(Ready::New(make));
                thread.bell.ring();
                Ok(())
            }
            _ => Err(make),
        }
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
            .field("threads", &self.0.threads.len())
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

fn start_thread(number: usize) -> io::Result<(Arc<ThreadShared>, thread::JoinHandle<()>)> {
    let shared = Arc::new(ThreadShared::new());
    let mine = Arc::clone(&shared);
    let body = move || {
        affinity::set_urgency(Urgency::Background);
        worker::run(&mine);
    };
    let handle = thread::Builder::new().name(format!("bulk-{number}")).spawn(body)?;
    Ok((shared, handle))
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
