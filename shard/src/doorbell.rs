//! Waking a receiver from other threads, only when it sleeps.
//!
//! One task waits at a doorbell; any thread rings it. Ringing costs a fence and a load while the
//! receiver is awake. Steps that keep a wake-up from being lost:
//!
//! 1. A sender makes its message visible (pushes it), then calls [`Doorbell::ring`], which fences and
//!    then looks at `sleeping`.
//! 2. The receiver finds nothing, sets `sleeping`, fences, and looks for messages again; only if there
//!    are still none it stays asleep.
//!
//! Whichever of the two fences comes second sees what the other thread did before the first.
//!
//! The waker is used and taken back under a lock, so that no foreign thread holds it once
//! [`Doorbell::close`] has returned: the task may then end. The lock is taken only to ring a sleeper
//! and to arm with another waker.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A bell with one listener. See the module's text.
#[derive(Debug, Default)]
pub struct Doorbell {
    sleeping: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Doorbell {
    /// A bell at which nobody waits yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the listener if it sleeps. What it is to see must have been stored before.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        let sleeping = self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel);
        if sleeping && let Some(waker) = self.waker().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Waits until `ready` returns something; it is asked again after each ring.
    pub async fn wait<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        poll_fn(|cx| self.poll_wait(cx, &mut ready)).await
    }

    /// As [`Doorbell::wait`], for a task that polls by hand.
    pub fn poll_wait<T>(&self, cx: &mut Context<'_>, mut ready: impl FnMut() -> Option<T>) -> Poll<T> {
        if let Some(found) = ready() {
            return Poll::Ready(found);
        }
        self.store_waker(cx.waker());
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        match ready() {
            Some(found) => {
                self.sleeping.store(false, Ordering::Relaxed);
                Poll::Ready(found)
            }
            None => Poll::Pending,
        }
    }

    /// Takes the listener's waker back. No ring reaches the listener after this.
    pub fn close(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
        *self.waker() = None;
    }

    fn store_waker(&self, waker: &Waker) {
        let mut slot = self.waker();
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
