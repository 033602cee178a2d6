//! A future that is dropped on the thread that it was made on, or not at all.
//!
//! The runtime counts wakers as owners of their task. A task that is left over when its executor ends
//! may so be dropped by the foreign thread that held its last waker, although what it holds is not
//! `Send`. Such a future is leaked instead: it can only happen after shutdown gave it up.
//!
//! Unsafe lives here: dropping by hand and projecting the pin.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

/// See the module's text.
pub(crate) struct Bound<F> {
    owner: ThreadId,
    future: ManuallyDrop<F>,
}

impl<F> Bound<F> {
    /// Binds a future to the calling thread.
    pub fn new(future: F) -> Self {
        Self { owner: thread::current().id(), future: ManuallyDrop::new(future) }
    }
}

impl<F: Future> Future for Bound<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is pinned with us: it is never moved out, only dropped in place.
        let future = unsafe { self.map_unchecked_mut(|bound| &mut *bound.future) };
        future.poll(cx)
    }
}

impl<F> Drop for Bound<F> {
    fn drop(&mut self) {
        if thread::current().id() == self.owner {
            // SAFETY: dropped once, here, in place, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.future) }
        }
    }
}
