//! Locks of GET_LOCK: names that one connection of this node holds. They are not known on other nodes.
//!
//! Who waits stands in a queue and is handed the lock when it is free: first come, first served, and nothing is
//! polled. A connection waits for one lock at a time, so a deadlock is a ring that is found by walking it.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::task::{Context, Waker};

use super::lock;

/// Most locks of all connections together.
const LOCKS_MAX: usize = 100_000;

/// Outcome of asking for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockAttempt {
    /// It is held now, perhaps once more.
    Taken,
    /// Another connection has it; this one stands in the queue.
    Queued,
    /// Waiting would never end.
    Deadlock,
    /// There are too many locks.
    Full,
}

#[derive(Debug)]
struct Held {
    connection: u64,
    times: u64,
    queue: VecDeque<u64>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<String, Held>,
    /// What a connection waits for, and how to wake it.
    waits: HashMap<u64, (String, Option<Waker>)>,
}

/// Names, without case, and who holds them.
#[derive(Debug, Default)]
pub(crate) struct UserLocks(Mutex<State>);

impl UserLocks {
    /// Takes a lock, or gets in line.
    pub(crate) fn ask(&self, name: &str, connection: u64) -> LockAttempt {
        let mut state = lock(&self.0);
        let name = name.to_lowercase();
        let count = state.held.len();
        let Some(held) = state.held.get_mut(&name) else {
            if count >= LOCKS_MAX {
                return LockAttempt::Full;
            }
            state.held.insert(name, Held { connection, times: 1, queue: VecDeque::new() });
            return LockAttempt::Taken;
        };
        if held.connection == connection {
            held.times += 1;
            return LockAttempt::Taken;
        }
        if state.waits_for(&name, connection) {
            return LockAttempt::Deadlock;
        }
        if let Some(held) = state.held.get_mut(&name) {
            held.queue.push_back(connection);
        }
        state.waits.insert(connection, (name, None));
        LockAttempt::Queued
    }

    /// Whether a connection that stood in a queue has its lock now; otherwise `cx` is woken when it has.
    pub(crate) fn poll_taken(&self, connection: u64, cx: &Context<'_>) -> bool {
        let mut state = lock(&self.0);
        match state.waits.get_mut(&connection) {
            None => true,
            Some((_, waker)) => {
                *waker = Some(cx.waker().clone());
                false
            }
        }
    }

    /// Leaves the queue. Whether the connection had been handed its lock already.
    pub(crate) fn withdraw(&self, connection: u64) -> bool {
        let mut state = lock(&self.0);
        let Some((name, _)) = state.waits.remove(&connection) else { return true };
        if let Some(held) = state.held.get_mut(&name) {
            held.queue.retain(|waiting| *waiting != connection);
        }
        false
    }

    /// Who holds a lock.
    pub(crate) fn holder(&self, name: &str) -> Option<u64> {
        lock(&self.0).held.get(&name.to_lowercase()).map(|held| held.connection)
    }

    /// Releases a lock once: `None` when nobody has it, `Some(false)` when another connection has.
    pub(crate) fn release(&self, name: &str, connection: u64) -> Option<bool> {
        let mut state = lock(&self.0);
        let name = name.to_lowercase();
        let held = state.held.get_mut(&name)?;
        if held.connection != connection {
            return Some(false);
        }
        held.times -= 1;
        if held.times == 0 {
            state.hand_over(&name);
        }
        Some(true)
    }

    /// Releases all locks of a connection and returns how many there were, counting each time.
    pub(crate) fn release_all(&self, connection: u64) -> u64 {
        let mut state = lock(&self.0);
        if state.held.is_empty() {
            return 0;
        }
        let own = state.held.iter().filter(|(_, held)| held.connection == connection);
        let own: Vec<(String, u64)> = own.map(|(name, held)| (name.clone(), held.times)).collect();
        for (name, _) in &own {
            state.hand_over(name);
        }
        own.iter().map(|(_, times)| times).sum()
    }
}

impl State {
    /// Whether the holder of `name` waits, over others perhaps, for a lock of `connection`.
    fn waits_for(&self, name: &str, connection: u64) -> bool {
        let mut name = name;
        // A ring is no longer than there are waits.
        for _ in 0..=self.waits.len() {
            let Some(held) = self.held.get(name) else { return false };
            if held.connection == connection {
                return true;
            }
            match self.waits.get(&held.connection) {
                Some((next, _)) => name = next,
                None => return false,
            }
        }
        true
    }

    /// Gives a lock to the next in line.
    fn hand_over(&mut self, name: &str) {
        let Some(held) = self.held.get_mut(name) else { return };
        let Some(next) = held.queue.pop_front() else {
            self.held.remove(name);
            return;
        };
        held.connection = next;
        held.times = 1;
        if let Some((_, Some(waker))) = self.waits.remove(&next) {
            waker.wake();
        }
    }
}
