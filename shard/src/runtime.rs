//! The one module that knows which runtime the executors use: monoio.
//!
//! What the rest of the crate relies on: a future can be spawned on the calling thread's runtime; a
//! waker may be used from any thread and wakes a sleeping runtime; the runtime goes to sleep only after
//! it has taken in what foreign threads woke. monoio takes foreign wake-ups in only when no task is
//! ready, so a task must never keep itself ready: [`yield_now`] waits for the ring instead.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

use crate::bound::Bound;

/// A runtime that has been built and not yet run.
pub(crate) enum Built {
    Uring(Runtime<IoUringDriver>),
    Epoll(Runtime<LegacyDriver>),
}

/// Entries of an executor's submission queue.
const RING_ENTRIES: u32 = 1024;

impl Built {
    /// A runtime on io_uring.
    pub fn uring() -> io::Result<Self> {
        if !monoio::utils::detect_uring() {
            return Err(io::Error::other("io_uring is not available to this process"));
        }
        RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES).build().map(Self::Uring)
    }

    /// A runtime on epoll.
    pub fn epoll() -> io::Result<Self> {
        RuntimeBuilder::<LegacyDriver>::new().build().map(Self::Epoll)
    }

    pub fn is_uring(&self) -> bool {
        matches!(self, Self::Uring(_))
    }

    /// Runs the calling thread's tasks until `main` ends.
    pub fn block_on<F: Future>(&mut self, main: F) -> F::Output {
        match self {
            Self::Uring(runtime) => runtime.block_on(main),
            Self::Epoll(runtime) => runtime.block_on(main),
        }
    }
}

/// What [`spawn`] returns: a future of the output.
pub(crate) type Spawned<T> = monoio::task::JoinHandle<T>;

/// Spawns on the calling thread's runtime.
pub(crate) fn spawn<F>(future: F) -> Spawned<F::Output>
where
    F: Future + 'static,
{
    monoio::spawn(Bound::new(future))
}

thread_local! {
    /// A socket that is always readable, and the other end that keeps it so.
    static ALWAYS_READY: RefCell<Option<Rc<Ready>>> = const { RefCell::new(None) };
}

struct Ready {
    readable: monoio::net::UnixStream,
    _other_end: UnixStream,
}

fn always_ready() -> io::Result<Rc<Ready>> {
    ALWAYS_READY.with_borrow_mut(|slot| {
        if let Some(ready) = slot {
            return Ok(Rc::clone(ready));
        }
        let (mut other, mine) = UnixStream::pair()?;
        other.write_all(&[1])?;
        mine.set_nonblocking(true)?;
        let readable = monoio::net::UnixStream::from_std(mine)?;
        let ready = Rc::new(Ready { readable, _other_end: other });
        *slot = Some(Rc::clone(&ready));
        Ok(ready)
    })
}

/// Lets everything that is ready run first, by going once through the ring. `false`: there is no ring
/// to go through, and the caller must find another way to wait.
pub(crate) async fn yield_now() -> bool {
    if monoio::utils::is_legacy() {
        return false;
    }
    match always_ready() {
        Ok(ready) => ready.readable.readable(true).await.is_ok(),
        Err(_) => false,
    }
}

/// Forgets what [`yield_now`] keeps; to be called before the runtime goes.
pub(crate) fn tear_down() {
    ALWAYS_READY.with_borrow_mut(Option::take);
}
