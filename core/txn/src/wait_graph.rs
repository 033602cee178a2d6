//! Who waits for whom, over all home cores of a node: finds a deadlock when it arises and says who gives way.
//!
//! Each transaction waits for at most one lock at a time; a lock on a range is asked of every executor, so its
//! wait may get blockers from several of them. Edges are set when the wait begins and stay a superset of the
//! truth until it ends: requests are served in order, so nobody gets ahead of a waiter, and a transaction that
//! has ended is nobody's edge target any more.
//!
//! The victim is the transaction of the cycle that has done least, as InnoDB has it; of several, the one whose
//! wait closed the cycle. Who only stands in the queue before another of the cycle is no candidate: without it the
//! other would wait for the same holders.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aquifer_types::TxnId;

use crate::lock_table::Blocker;

/// Which wait of a transaction: where its answer goes. A transaction's waits differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaitId {
    /// The executor whose session waits.
    pub executor: u16,
    /// Its name for the request.
    pub ticket: u64,
}

/// A wait that must end in vain, because it is part of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Who gives way.
    pub txn: TxnId,
    /// The wait to end.
    pub wait: WaitId,
}

/// A transaction that waits, as reports show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The transaction.
    pub txn: TxnId,
    /// Those that it waits for, the nearest ones.
    pub blockers: Vec<TxnId>,
    /// How much it has done: rows changed and locked.
    pub weight: u64,
    /// The key that it waits for, or the start of the range.
    pub key: Vec<u8>,
}

/// A deadlock that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    /// The transactions of the cycle, each waiting for the next.
    pub cycle: Vec<Waiting>,
    /// Which of them gave way.
    pub victim: TxnId,
}

#[derive(Debug)]
struct Wait {
    id: WaitId,
    blockers: Vec<Blocker>,
    weight: u64,
    key: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    waits: HashMap<TxnId, Wait>,
    /// How often each transaction is a blocker in `waits`; never 0.
    wanted: HashMap<TxnId, u32>,
    found: u64,
    latest: Option<Deadlock>,
}

/// The waits of all transactions. Shared by all threads of a node; touched only to wait.
#[derive(Debug, Default)]
pub struct WaitGraph(Mutex<State>);

impl WaitGraph {
    /// Records that `waiter` waits for all of `blockers`, in addition to those that the same wait was recorded
    /// with before. `weight` is how much the waiter has done, `key` what it wants.
    ///
    /// Returns the waits that must end in vain. If the waiter's own is among them it is the last, and is not
    /// recorded.
    #[must_use]
    pub fn wait(
        &self,
        waiter: TxnId,
        id: WaitId,
        blockers: &[Blocker],
        weight: u64,
        key: &[u8],
    ) -> Vec<Victim> {
        let mut state = self.lock();
        state.want(blockers);
        match state.waits.get_mut(&waiter).filter(|wait| wait.id == id) {
            Some(wait) => wait.blockers.extend_from_slice(blockers),
            None => {
                state.remove(waiter);
                let wait = Wait { id, blockers: blockers.to_vec(), weight, key: key.to_vec() };
                state.waits.insert(waiter, wait);
            }
        }
        state.break_cycles(waiter)
    }

    /// Records that a wait goes on behind others, for whom it waited before through somebody who has left. The
    /// victims are as in [`WaitGraph::wait`]: while who has left was on its way out, somebody may have begun to wait
    /// for the waiter.
    #[must_use]
    pub fn rewire(&self, waiter: TxnId, id: WaitId, blockers: Vec<Blocker>) -> Vec<Victim> {
        let mut state = self.lock();
        let Some(wait) = state.waits.get_mut(&waiter).filter(|wait| wait.id == id) else { return Vec::new() };
        let before = std::mem::replace(&mut wait.blockers, blockers.clone());
        state.want(&blockers);
        state.want_no_more(&before);
        state.break_cycles(waiter)
    }

    /// Records that a wait is over.
    pub fn done(&self, waiter: TxnId, id: WaitId) {
        let mut state = self.lock();
        if state.waits.get(&waiter).is_some_and(|wait| wait.id == id) {
            state.remove(waiter);
        }
    }

    /// Number of transactions that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waits.len()
    }

    /// All waits now.
    #[must_use]
    pub fn waits(&self) -> Vec<Waiting> {
        let state = self.lock();
        state.waits.keys().filter_map(|txn| state.shown(*txn)).collect()
    }

    /// The deadlock that was found last, and how many there were.
    #[must_use]
    pub fn latest_deadlock(&self) -> (u64, Option<Deadlock>) {
        let state = self.lock();
        (state.found, state.latest.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends waits until no cycle goes through `waiter`.
    fn break_cycles(&mut self, waiter: TxnId) -> Vec<Victim> {
        let mut victims = Vec::new();
        if !self.wanted.contains_key(&waiter) {
            // Nobody waits for it.
            return victims;
        }
        while let Some(cycle) = cycle_through(&self.waits, waiter) {
            let victim = lightest(&self.waits, &cycle);
            self.report(&cycle, victim);
            let Some(wait) = self.remove(victim) else { break };
            victims.push(Victim { txn: victim, wait: wait.id });
            if victim == waiter {
                break;
            }
        }
        victims
    }

    fn want(&mut self, blockers: &[Blocker]) {
        for blocker in blockers {
            *self.wanted.entry(blocker.txn).or_insert(0) += 1;
        }
    }

    fn want_no_more(&mut self, blockers: &[Blocker]) {
        for blocker in blockers {
            if let Entry::Occupied(mut count) = self.wanted.entry(blocker.txn) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }

    fn remove(&mut self, waiter: TxnId) -> Option<Wait> {
        let wait = self.waits.remove(&waiter)?;
        self.want_no_more(&wait.blockers);
        Some(wait)
    }

    fn shown(&self, txn: TxnId) -> Option<Waiting> {
        let wait = self.waits.get(&txn)?;
        let blockers = wait.blockers.iter().map(|blocker| blocker.txn).collect();
        Some(Waiting { txn, blockers, weight: wait.weight, key: wait.key.clone() })
    }

    fn report(&mut self, cycle: &[TxnId], victim: TxnId) {
        let cycle = cycle.iter().filter_map(|txn| self.shown(*txn)).collect();
        self.found += 1;
        self.latest = Some(Deadlock { cycle, victim });
    }
}

/// The transactions of a cycle that `start` is part of, beginning with it.
fn cycle_through(waits: &HashMap<TxnId, Wait>, start: TxnId) -> Option<Vec<TxnId>> {
    let mut path = vec![start];
    // For each transaction of the path, which of its blockers comes next.
    let mut next = vec![0_usize];
    let mut seen = HashSet::from([start]);
    while let (Some(txn), Some(at)) = (path.last(), next.last_mut()) {
        let blocker = waits.get(txn).and_then(|wait| wait.blockers.get(*at)).map(|blocker| blocker.txn);
        *at += 1;
        match blocker {
            None => {
                path.pop();
                next.pop();
            }
            Some(blocker) if blocker == start => return Some(path),
            Some(blocker) if seen.insert(blocker) => {
                path.push(blocker);
                next.push(0);
            }
            Some(_) => {}
        }
    }
    None
}

fn lightest(waits: &HashMap<TxnId, Wait>, cycle: &[TxnId]) -> TxnId {
    let weight = |txn: &TxnId| waits.get(txn).map_or(0, |wait| wait.weight);
    let before = |at: usize| cycle[(at + cycle.len() - 1) % cycle.len()];
    let holds = |at: usize| {
        let wait = waits.get(&before(at));
        wait.is_some_and(|wait| wait.blockers.iter().any(|b| b.holds && b.txn == cycle[at]))
    };
    let holders = (0..cycle.len()).filter(|at| holds(*at)).map(|at| cycle[at]);
    // The first of equal ones is taken, and the cycle begins with the one that closed it.
    holders.min_by_key(weight).unwrap_or(cycle[0])
}
