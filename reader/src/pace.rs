//! How often a reader asks for the next link, and what makes it ask at once (ADR 0102).
//!
//! Every probe costs a request. So a reader probes fast while links come, at least every `staleness_max` while
//! clients run statements, and after a minute without either ever more slowly, down to [`IDLE_PAUSE`]. A
//! statement that finds the reader asleep wakes it and waits for one probe: whatever the pause was, what it
//! reads is not older than the store's answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::tailer::TailOptions;

/// The longest pause between probes. With a look at the head after each it makes eight requests an hour.
pub const IDLE_PAUSE: Duration = Duration::from_secs(15 * 60);

/// A statement or a link keeps a reader attentive for so long.
const ATTENTIVE: Duration = Duration::from_secs(60);

/// A reader that has heard nothing from the store for so long asks the head whether it was passed by.
pub const GAP: Duration = Duration::from_secs(60);

/// Time as the tailer sees it; a test gives its own.
pub trait Clock: Send {
    /// Time since some moment.
    fn now(&self) -> Duration;

    /// Sleeps, but not on when the bell is rung.
    fn sleep(&self, pause: Duration, bell: &Bell);
}

/// The clock of a running node.
#[derive(Debug)]
pub struct RealClock(Instant);

impl RealClock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, pause: Duration, bell: &Bell) {
        bell.wait(pause);
    }
}

/// Between the statements of a reader and its tailer.
#[derive(Debug, Default)]
pub struct Bell {
    /// A statement has run since the tailer looked last.
    active: AtomicBool,
    /// The tailer is in a pause that a statement should not wait out.
    asleep: AtomicBool,
    state: Mutex<BellState>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct BellState {
    rung: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Bell {
    /// A statement begins. `Some`: what is here may be old; ready when the store has been asked.
    pub fn statement(&self) -> Option<oneshot::Receiver<()>> {
        self.note_activity();
        if !self.asleep.load(Ordering::Acquire) {
            return None;
        }
        let (sender, asked) = oneshot::channel();
        self.state().waiting.push(sender);
        self.ring();
        Some(asked)
    }

    /// A statement runs.
    pub fn note_activity(&self) {
        // The common case is one load of a line that nobody writes.
        if !self.active.load(Ordering::Relaxed) {
            self.active.store(true, Ordering::Relaxed);
        }
    }

    /// Ends the tailer's pause.
    pub fn ring(&self) {
        self.state().rung = true;
        self.rung.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, BellState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, pause: Duration) {
        let state = self.state();
        let still = |state: &mut BellState| !state.rung;
        drop(self.rung.wait_timeout_while(state, pause, still).unwrap_or_else(PoisonError::into_inner));
    }

    /// The tailer goes to sleep or is awake again.
    pub(crate) fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Ordering::Release);
    }

    /// Those that a probe which begins now will answer.
    pub(crate) fn take_waiting(&self) -> Vec<oneshot::Sender<()>> {
        let mut state = self.state();
        state.rung = false;
        std::mem::take(&mut state.waiting)
    }

    fn take_active(&self) -> bool {
        self.active.swap(false, Ordering::Relaxed)
    }
}

/// The pauses between probes.
#[derive(Debug)]
pub struct Pace {
    min: Duration,
    staleness_max: Duration,
    pause: Duration,
    attentive_until: Duration,
}

impl Pace {
    /// The pace of a reader that has just started.
    #[must_use]
    pub fn new(options: &TailOptions, now: Duration) -> Self {
        let (min, staleness_max) = (options.probe_interval_min, options.staleness_max);
        Self { min, staleness_max, pause: min, attentive_until: now + ATTENTIVE }
    }

    /// A link has come.
    pub fn link(&mut self, now: Duration) {
        self.pause = self.min;
        self.attentive_until = now + ATTENTIVE;
    }

    /// The pause after a probe that found none.
    pub fn pause(&mut self, now: Duration, bell: &Bell) -> Duration {
        if bell.take_active() {
            self.attentive_until = now + ATTENTIVE;
        }
        let pause = self.pause;
        if now < self.attentive_until {
            self.pause = (pause * 2).min(self.staleness_max).max(self.min);
            return pause.min(self.staleness_max);
        }
        self.pause = (pause * 4).min(IDLE_PAUSE);
        pause
    }

    /// Whether a statement that comes during a pause has to wake the tailer.
    #[must_use]
    pub fn is_long(&self, pause: Duration) -> bool {
        pause > self.staleness_max
    }
}
