//! Who waits for whom, over all home cores of a node: finds a deadlock when it arises.
//!
//! Each transaction waits for at most one lock at a time. Its edges are set when the wait begins and
//! stay a superset of the truth until it ends: requests are served in order, so nobody gets ahead of
//! a waiter, and a transaction that has ended is nobody's edge target any more.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aquifer_types::TxnId;

/// The edges of all waiting transactions. Shared by all threads of a node; touched only to wait.
#[derive(Debug, Default)]
pub struct WaitGraph {
    edges: Mutex<HashMap<TxnId, Vec<TxnId>>>,
}

impl WaitGraph {
    /// Records that `waiter` waits for all of `blockers`.
    ///
    /// # Errors
    /// [`Deadlock`] when this closes a cycle; then nothing was recorded and the waiter must give up.
    pub fn wait(&self, waiter: TxnId, blockers: Vec<TxnId>) -> Result<(), Deadlock> {
        let mut edges = self.lock();
        if reaches(&edges, &blockers, waiter) {
            return Err(Deadlock);
        }
        edges.insert(waiter, blockers);
        Ok(())
    }

    /// Records that `waiter` waits no more.
    pub fn done(&self, waiter: TxnId) {
        self.lock().remove(&waiter);
    }

    /// Number of transactions that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TxnId, Vec<TxnId>>> {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waiting would never end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlock;

/// Whether `target` can be reached from any of `starts`.
fn reaches(edges: &HashMap<TxnId, Vec<TxnId>>, starts: &[TxnId], target: TxnId) -> bool {
    let mut stack = starts.to_vec();
    let mut seen = HashSet::new();
    while let Some(txn) = stack.pop() {
        if txn == target {
            return true;
        }
        if seen.insert(txn)
            && let Some(next) = edges.get(&txn)
        {
            stack.extend_from_slice(next);
        }
    }
    false
}
