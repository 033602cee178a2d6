//! Deadlines that are met whatever the executors are doing.
//!
//! The executors' own timers run only when no task is ready, so lock-wait timeouts and sleeps hang on
//! one thread of their own. It sleeps until the earliest deadline and costs nothing while there is
//! none. Its resolution is [`RESOLUTION`]: deadlines that are close together are met together.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A deadline may be met this much late.
pub const RESOLUTION: Duration = Duration::from_millis(2);

/// The handle of the ticker's thread; cheap to clone. The thread ends with the last handle.
#[derive(Clone, Debug)]
pub struct Ticker(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By deadline, then by registration.
    waiting: BTreeMap<(Instant, u64), Waker>,
    next_id: u64,
    /// Until when the thread sleeps; `None`: for ever.
    sleeps_until: Option<Instant>,
    closed: bool,
}

/// A registered deadline; dropping it cancels.
#[derive(Debug)]
pub struct Deadline {
    shared: Arc<Shared>,
    at: Instant,
    id: u64,
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the thread cannot be created.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mine = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("ticker".to_owned()).spawn(move || mine.run())?;
        Ok(Self(Arc::new(Owner { shared, thread: Mutex::new(Some(thread)) })))
    }

    /// Has `waker` woken once at about `at`, unless the returned handle is dropped before.
    #[must_use]
    pub fn register(&self, at: Instant, waker: &Waker) -> Deadline {
        let mut state = self.0.shared.state();
        let id = state.next_id;
        state.next_id += 1;
        state.waiting.insert((at, id), waker.clone());
        let sooner = state.sleeps_until.is_none_or(|until| at < until);
        if sooner {
            state.sleeps_until = Some(at);
            drop(state);
            self.0.shared.changed.notify_one();
        }
        Deadline { shared: Arc::clone(&self.0.shared), at, id }
    }

    /// Waits until `at`.
    #[must_use]
    pub fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep { ticker: self.clone(), at, registered: None }
    }

    /// Waits for `duration`.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(Instant::now() + duration)
    }

    /// Deadlines that are waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.shared.state().waiting.len()
    }

    /// Whether none is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id()) {
            // It runs nothing that can panic but wakers; their panic is not ours to report.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut due = Vec::new();
        let mut state = self.state();
        while !state.closed {
            let now = Instant::now();
            while let Some(entry) = state.waiting.first_entry().filter(|e| e.key().0 <= now) {
                due.push(entry.remove());
            }
            if !due.is_empty() {
                drop(state);
                due.drain(..).for_each(Waker::wake);
                state = self.state();
                continue;
            }
            state = self.sleep(state, now);
        }
    }

    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>, now: Instant) -> MutexGuard<'a, State> {
        let next = state.waiting.first_key_value().map(|((at, _), _)| (*at).max(now + RESOLUTION / 2));
        state.sleeps_until = next;
        match next {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(at) => {
                let wait = at.saturating_duration_since(now);
                self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

impl Deadline {
    /// When it is.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }

    fn update(&self, waker: &Waker) {
        let mut state = self.shared.state();
        let replaced = match state.waiting.get_mut(&(self.at, self.id)) {
            Some(old) if !old.will_wake(waker) => Some(std::mem::replace(old, waker.clone())),
            _ => None,
        };
        // The waker is dropped after the lock: its drop may run foreign code.
        drop(state);
        drop(replaced);
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // The waker is dropped after the lock: its drop may run foreign code.
        let removed = self.shared.state().waiting.remove(&(self.at, self.id));
        drop(removed);
    }
}

/// Waits until a moment.
#[derive(Debug)]
pub struct Sleep {
    ticker: Ticker,
    at: Instant,
    registered: Option<Deadline>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            self.registered = None;
            return Poll::Ready(());
        }
        match &self.registered {
            Some(deadline) => deadline.update(cx.waker()),
            None => self.registered = Some(self.ticker.register(self.at, cx.waker())),
        }
        Poll::Pending
    }
}

/// The time was up before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl Ticker {
    /// Runs `future` for at most `duration`.
    ///
    /// # Errors
    /// [`Elapsed`]; the future is dropped.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        let mut sleep = self.sleep(duration);
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed)),
        })
        .await
    }
}
