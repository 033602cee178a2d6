//! The clock of a simulation.
//!
//! In virtual time a sleep is a deadline. Whoever holds the earliest one moves the clock there, but only after
//! everybody else on the lane has had a turn and no new deadline has come: so requests that begin together overlap.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Whose time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimTime {
    /// Sleeps take as long as they say.
    Real,
    /// Sleeps take no time; the clock goes on by them.
    Virtual,
    /// As `Virtual`, but the clock stands still until for so long (in real time) no request has come or gone:
    /// long enough for another thread to send everything that it wants to be under way together.
    VirtualAfter(Duration),
}

/// Turns that everybody else gets before the clock moves. More than one, because a request that ends may begin
/// the next one from another thread's queue.
const TURNS: u32 = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Timeline {
    kind: SimTime,
    started: Instant,
    state: Mutex<TimeState>,
}

#[derive(Debug, Default)]
struct TimeState {
    now: Duration,
    /// Who sleeps until when.
    deadlines: BTreeMap<(Duration, u64), ()>,
    next_id: u64,
    /// Changes with every deadline that comes or goes.
    changes: u64,
}

impl Timeline {
    pub(super) fn new(kind: SimTime) -> Self {
        Self { kind, started: Instant::now(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, TimeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        match self.kind {
            SimTime::Real => self.started.elapsed(),
            SimTime::Virtual | SimTime::VirtualAfter(_) => self.state().now,
        }
    }

    pub(super) async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        match self.kind {
            SimTime::Real => tokio::time::sleep(duration).await,
            SimTime::Virtual | SimTime::VirtualAfter(_) => VirtualSleep::begin(self, duration).await,
        }
    }
}

struct VirtualSleep<'a> {
    timeline: &'a Timeline,
    at: (Duration, u64),
    seen_changes: u64,
    turns: u32,
    /// When the last change was seen, in real time.
    changed: Instant,
}

impl<'a> VirtualSleep<'a> {
    fn begin(timeline: &'a Timeline, duration: Duration) -> Self {
        let mut state = timeline.state();
        let at = (state.now + duration, state.next_id);
        state.next_id += 1;
        state.changes += 1;
        state.deadlines.insert(at, ());
        let seen_changes = state.changes;
        drop(state);
        Self { timeline, at, seen_changes, turns: 0, changed: Instant::now() }
    }
}

impl Future for VirtualSleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timeline = self.timeline;
        let mut state = timeline.state();
        if state.now >= self.at.0 {
            return Poll::Ready(());
        }
        if state.changes != self.seen_changes {
            self.seen_changes = state.changes;
            self.turns = 0;
            self.changed = Instant::now();
        }
        self.turns += 1;
        let is_earliest = state.deadlines.first_key_value().is_some_and(|(first, ())| *first == self.at);
        let is_quiet = match timeline.kind {
            SimTime::VirtualAfter(patience) => self.changed.elapsed() >= patience,
            SimTime::Real | SimTime::Virtual => true,
        };
        if is_earliest && is_quiet && self.turns > TURNS {
            state.now = self.at.0;
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for VirtualSleep<'_> {
    fn drop(&mut self) {
        let mut state = self.timeline.state();
        state.deadlines.remove(&self.at);
        state.changes += 1;
    }
}
