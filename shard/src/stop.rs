//! A flag that is raised once, and futures that wait for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The flag; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    raised: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

impl Stop {
    /// Whether it has been raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Raises it and wakes everybody who waits.
    pub fn raise(&self) {
        let wakers = {
            let mut waiting = self.0.waiting();
            self.0.raised.store(true, Ordering::Release);
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }

    /// Ends when it is raised.
    #[must_use]
    pub fn wait(&self) -> Stopping {
        Stopping { shared: Arc::clone(&self.0), id: None }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`Stop::wait`] returns.
#[derive(Debug)]
pub struct Stopping {
    shared: Arc<Shared>,
    id: Option<u64>,
}

impl Future for Stopping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.shared);
        let mut waiting = shared.waiting();
        // Raised under the lock, so it cannot slip through here.
        if shared.raised.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            waiting.next += 1;
            waiting.next
        });
        waiting.wakers.insert(id, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let removed = self.shared.waiting().wakers.remove(&id);
            drop(removed);
        }
    }
}
