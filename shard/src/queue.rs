//! Bounded mailboxes between threads.
//!
//! Many senders, one receiver, a lock-free ring between them and a [`Doorbell`] that is rung only when
//! the receiver sleeps. A full ring is backpressure: [`Sender::push`] waits, [`Sender::try_push`] says
//! so. Messages of one sender arrive in order; a sender that waits for room keeps its place only
//! against itself.
//!
//! Senders that wait leave their waker in a list behind a lock, which the receiver looks at only when
//! a counter says that somebody waits.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crossbeam_queue::ArrayQueue;

use crate::doorbell::Doorbell;

/// Messages that [`Receiver::run`] handles before it lets other tasks of its executor run.
pub const BATCH_MAX: usize = 64;

#[derive(Debug)]
struct Shared<T> {
    ring: ArrayQueue<T>,
    bell: Doorbell,
    senders: AtomicUsize,
    closed: AtomicBool,
    blocked: AtomicUsize,
    blocked_wakers: Mutex<Vec<Waker>>,
}

/// The message could not be delivered.
#[derive(Debug, PartialEq, Eq)]
pub enum PushError<T> {
    /// There is no room now.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

/// The sending end.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// The receiving end. Dropping it discards what is still in the ring.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

/// A mailbox with room for `capacity` messages (at least 1).
#[must_use]
pub fn mailbox<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        ring: ArrayQueue::new(capacity.max(1)),
        bell: Doorbell::new(),
        senders: AtomicUsize::new(1),
        closed: AtomicBool::new(false),
        blocked: AtomicUsize::new(0),
        blocked_wakers: Mutex::new(Vec::new()),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// One mailbox for each of `count` receivers; the senders are indexed as the receivers are.
#[must_use]
pub fn mailboxes<T: Send>(count: usize, capacity: usize) -> (Vec<Sender<T>>, Vec<Receiver<T>>) {
    (0..count).map(|_| mailbox(capacity)).unzip()
}

impl<T: Send> Sender<T> {
    /// Delivers a message if there is room.
    ///
    /// # Errors
    /// [`PushError::Full`] or [`PushError::Closed`], with the message.
    pub fn try_push(&self, message: T) -> Result<(), PushError<T>> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(PushError::Closed(message));
        }
        match self.0.ring.push(message) {
            Ok(()) => {
                self.0.bell.ring();
                Ok(())
            }
            Err(message) => Err(PushError::Full(message)),
        }
    }

    /// Delivers a message, waiting for room.
    ///
    /// # Errors
    /// The message, when the receiver is gone.
    pub async fn push(&self, message: T) -> Result<(), T> {
        let mut waiting = Some(message);
        poll_fn(|cx| self.poll_push(cx, &mut waiting)).await
    }

    fn poll_push(&self, cx: &mut Context<'_>, waiting: &mut Option<T>) -> Poll<Result<(), T>> {
        // First without, then with our waker in the list: as at a doorbell.
        for armed in [false, true] {
            if armed {
                let mut list = self.0.blocked_wakers();
                list.push(cx.waker().clone());
                self.0.blocked.store(list.len(), Ordering::Relaxed);
                drop(list);
                fence(Ordering::SeqCst);
            }
            let Some(message) = waiting.take() else { return Poll::Ready(Ok(())) };
            match self.try_push(message) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(PushError::Closed(message)) => return Poll::Ready(Err(message)),
                Err(PushError::Full(message)) => *waiting = Some(message),
            }
        }
        Poll::Pending
    }

    /// Delivers a message, blocking the thread until there is room. For threads that are not
    /// executors.
    ///
    /// # Errors
    /// The message, when the receiver is gone.
    pub fn push_blocking(&self, message: T) -> Result<(), T> {
        let mut message = message;
        let mut pause = std::time::Duration::from_micros(20);
        loop {
            match self.try_push(message) {
                Ok(()) => return Ok(()),
                Err(PushError::Closed(back)) => return Err(back),
                Err(PushError::Full(back)) => message = back,
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(std::time::Duration::from_millis(1));
        }
    }

    /// Messages that wait to be handled; a moment's view.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.ring.len()
    }

    /// Whether none waits; a moment's view.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.ring.is_empty()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.bell.ring();
        }
    }
}

impl<T: Send> Receiver<T> {
    /// Takes a message if there is one.
    #[must_use]
    pub fn try_pop(&self) -> Option<T> {
        let message = self.0.ring.pop()?;
        self.0.release_blocked();
        Some(message)
    }

    /// Appends up to `max` messages to `batch`, waiting for the first. `false`: all senders are gone
    /// and nothing is left.
    pub async fn recv_batch(&self, batch: &mut Vec<T>, max: usize) -> bool {
        let first = self.0.bell.wait(|| self.next_or_end()).await;
        let Some(first) = first else { return false };
        batch.push(first);
        while batch.len() < max {
            let Some(message) = self.0.ring.pop() else { break };
            batch.push(message);
        }
        self.0.release_blocked();
        true
    }

    /// `Some(None)` at the end, `None` when it has to wait.
    fn next_or_end(&self) -> Option<Option<T>> {
        if let Some(message) = self.0.ring.pop() {
            return Some(Some(message));
        }
        if self.0.senders.load(Ordering::Acquire) > 0 {
            return None;
        }
        // The last sender may have pushed between the two looks.
        Some(self.0.ring.pop())
    }

    /// The permanent mailbox task: hands each message to `handler` until all senders are gone.
    pub async fn run(self, handler: impl FnMut(T)) {
        self.run_turns(handler, || ()).await;
    }

    /// As [`Receiver::run`]. A turn is a number of messages that are handled without a pause; `turn_ended` is called
    /// after each.
    pub async fn run_turns(self, mut handler: impl FnMut(T), mut turn_ended: impl FnMut()) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.recv_batch(&mut batch, BATCH_MAX).await {
            let full = batch.len() == BATCH_MAX;
            for message in batch.drain(..) {
                handler(message);
            }
            turn_ended();
            if full {
                crate::executor::yield_now().await;
            }
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.bell.close();
        fence(Ordering::SeqCst);
        while self.0.ring.pop().is_some() {}
        self.0.release_blocked();
    }
}

impl<T> Shared<T> {
    fn release_blocked(&self) {
        fence(Ordering::SeqCst);
        if self.blocked.load(Ordering::Relaxed) == 0 {
            return;
        }
        let wakers = {
            let mut list = self.blocked_wakers();
            self.blocked.store(0, Ordering::Relaxed);
            std::mem::take(&mut *list)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    fn blocked_wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.blocked_wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
