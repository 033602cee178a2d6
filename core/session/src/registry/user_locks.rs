//! Locks of GET_LOCK: names that one connection of this node holds. They are not known on other nodes.

use std::collections::HashMap;
use std::sync::Mutex;

use super::lock;

/// Most locks of all connections together.
const LOCKS_MAX: usize = 100_000;

/// Outcome of trying to take a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockAttempt {
    /// It is held now, perhaps once more.
    Taken,
    /// Another connection has it.
    Busy,
}

#[derive(Debug)]
struct Held {
    connection: u64,
    times: u64,
}

/// Names, without case, and who holds them.
#[derive(Debug, Default)]
pub(crate) struct UserLocks(Mutex<HashMap<String, Held>>);

impl UserLocks {
    /// Takes a lock if nobody else has it.
    pub(crate) fn try_take(&self, name: &str, connection: u64) -> LockAttempt {
        let mut locks = lock(&self.0);
        if let Some(held) = locks.get_mut(&name.to_lowercase()) {
            if held.connection != connection {
                return LockAttempt::Busy;
            }
            held.times += 1;
            return LockAttempt::Taken;
        }
        if locks.len() >= LOCKS_MAX {
            return LockAttempt::Busy;
        }
        locks.insert(name.to_lowercase(), Held { connection, times: 1 });
        LockAttempt::Taken
    }

    /// Who holds a lock.
    pub(crate) fn holder(&self, name: &str) -> Option<u64> {
        lock(&self.0).get(&name.to_lowercase()).map(|held| held.connection)
    }

    /// Releases a lock once: `None` when nobody has it, `Some(false)` when another connection has.
    pub(crate) fn release(&self, name: &str, connection: u64) -> Option<bool> {
        let mut locks = lock(&self.0);
        let key = name.to_lowercase();
        let held = locks.get_mut(&key)?;
        if held.connection != connection {
            return Some(false);
        }
        held.times -= 1;
        if held.times == 0 {
            locks.remove(&key);
        }
        Some(true)
    }

    /// Releases all locks of a connection and returns how many there were, counting each time.
    pub(crate) fn release_all(&self, connection: u64) -> u64 {
        let mut locks = lock(&self.0);
        let mut released = 0;
        if locks.is_empty() {
            return 0;
        }
        locks.retain(|_, held| {
            let own = held.connection == connection;
            if own {
                released += held.times;
            }
            !own
        });
        released
    }
}
