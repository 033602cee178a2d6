//! Lists that are appended to: the longest read of a list is the order of its writers.

use std::collections::{HashMap, HashSet};

use crate::anomaly::{Anomaly, Kind};
use crate::graph::{Edge, Graph};
use crate::history::{Access, Op, Status, Txn};

/// Who appended a value, and whether it was the transaction's last to the list.
#[derive(Clone, Copy)]
struct Appended {
    txn: usize,
    last: bool,
}

/// What is known of the lists of a history.
pub(crate) struct Lists<'h> {
    txns: &'h [Txn],
    appended: HashMap<(u64, u64), Appended>,
    /// The longest read of each list.
    orders: HashMap<u64, &'h [u64]>,
    found: Vec<Anomaly>,
}

impl<'h> Lists<'h> {
    pub(crate) fn new(txns: &'h [Txn]) -> Self {
        let mut lists = Self { txns, appended: HashMap::new(), orders: HashMap::new(), found: Vec::new() };
        lists.collect();
        lists
    }

    /// Adds the edges that lists give, and returns what is wrong without any cycle.
    pub(crate) fn analyse(mut self, graph: &mut Graph) -> Vec<Anomaly> {
        for number in 0..self.txns.len() {
            if self.txns[number].committed() {
                self.reads_of(number, graph);
            }
        }
        self.orders_of_writers(graph);
        self.final_reads();
        self.lost_updates();
        self.found
    }

    fn collect(&mut self) {
        for (number, txn) in self.txns.iter().enumerate() {
            let mut last: HashMap<u64, u64> = HashMap::new();
            for op in &txn.ops {
                match op {
                    Op::Append { key, value } => {
                        if let Some(before) = last.insert(*key, *value)
                            && let Some(earlier) = self.appended.get_mut(&(*key, before))
                        {
                            earlier.last = false;
                        }
                        let known =
                            self.appended.insert((*key, *value), Appended { txn: number, last: true });
                        if known.is_some() {
                            self.complain(
                                Kind::Garbage,
                                format!("T{number} appends {value} to {key} once more"),
                            );
                        }
                    }
                    Op::ReadList { key, values, .. } if txn.committed() => {
                        let longest = self.orders.entry(*key).or_insert(values);
                        if values.len() > longest.len() {
                            *longest = values;
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn complain(&mut self, kind: Kind, detail: String) {
        self.found.push(Anomaly::new(kind, detail));
    }

    fn reads_of(&mut self, number: usize, graph: &mut Graph) {
        // What this transaction has read or knows of each list, with its own appends.
        let mut own: HashMap<u64, Vec<u64>> = HashMap::new();
        let mut known: HashMap<u64, Vec<u64>> = HashMap::new();
        let txn = &self.txns[number];
        for op in &txn.ops {
            match op {
                Op::Append { key, value } => {
                    own.entry(*key).or_default().push(*value);
                    if let Some(known) = known.get_mut(key) {
                        known.push(*value);
                    }
                }
                Op::ReadList { key, values, access } => {
                    let mine = own.get(key).map_or(&[][..], Vec::as_slice);
                    if !values.ends_with(mine) {
                        self.complain(
                            Kind::Internal,
                            format!("T{number} does not read its appends to {key}: {values:?}"),
                        );
                        continue;
                    }
                    if known.get(key).is_some_and(|known| known != values) {
                        let kind = if mine.is_empty() { Kind::Internal } else { Kind::Moved };
                        let detail =
                            format!("T{number} reads {key} twice: {:?}, then {values:?}", known[key]);
                        self.complain(kind, detail);
                    }
                    known.insert(*key, values.clone());
                    let foreign = &values[..values.len() - mine.len()];
                    self.read(number, *key, foreign, *access, graph);
                }
                _ => {}
            }
        }
    }

    /// A read of what others appended.
    fn read(&mut self, number: usize, key: u64, values: &[u64], access: Access, graph: &mut Graph) {
        self.check_values(number, key, values);
        let order = self.orders.get(&key).copied().unwrap_or_default();
        if !order.starts_with(values) {
            let detail = format!("T{number} reads {key} as {values:?}, another as {order:?}");
            return self.complain(Kind::IncompatibleOrder, detail);
        }
        if let Some(last) = values.last().and_then(|value| self.appended.get(&(key, *value))) {
            graph.add(last.txn, number, Edge::WriteRead);
        }
        // The next writer that is not this transaction: it may have appended right after what it read.
        let edge = if access == Access::Item { Edge::ReadWrite } else { Edge::PredicateReadWrite };
        let next = order[values.len()..].iter().filter_map(|value| self.appended.get(&(key, *value)));
        if let Some(next) = next.map(|appended| appended.txn).find(|txn| *txn != number) {
            graph.add(number, next, edge);
        }
    }

    fn check_values(&mut self, number: usize, key: u64, values: &[u64]) {
        for (at, value) in values.iter().enumerate() {
            let Some(appended) = self.appended.get(&(key, *value)).copied() else {
                self.complain(
                    Kind::Garbage,
                    format!("T{number} reads {value} in {key}, which nobody appended"),
                );
                continue;
            };
            if self.txns[appended.txn].status == Status::Fail {
                let detail = format!("T{number} reads {value} in {key}, which T{} rolled back", appended.txn);
                self.complain(Kind::G1a, detail);
            }
            if at + 1 == values.len() && !appended.last && appended.txn != number {
                let detail =
                    format!("T{number} reads {key} up to {value}, after which T{} goes on", appended.txn);
                self.complain(Kind::G1b, detail);
            }
        }
        let mut seen = HashSet::new();
        if let Some(twice) = values.iter().find(|value| !seen.insert(**value)) {
            self.complain(Kind::Garbage, format!("T{number} reads {twice} twice in {key}"));
        }
    }

    fn orders_of_writers(&self, graph: &mut Graph) {
        for (key, order) in &self.orders {
            let writers = order.iter().filter_map(|value| self.appended.get(&(*key, *value)));
            let writers: Vec<usize> = writers.map(|appended| appended.txn).collect();
            for pair in writers.windows(2) {
                graph.add(pair[0], pair[1], Edge::WriteWrite);
            }
        }
    }

    /// What was committed is in the final reads.
    fn final_reads(&mut self) {
        let mut last: HashMap<u64, HashSet<u64>> = HashMap::new();
        for txn in self.txns.iter().filter(|txn| txn.status == Status::Final) {
            for op in &txn.ops {
                if let Op::ReadList { key, values, .. } = op {
                    last.insert(*key, values.iter().copied().collect());
                }
            }
        }
        let mut lost = Vec::new();
        for ((key, value), appended) in &self.appended {
            let there = last.get(key).is_none_or(|values| values.contains(value));
            if self.txns[appended.txn].committed() && !there {
                lost.push((appended.txn, *key, *value));
            }
        }
        lost.sort_unstable();
        for (txn, key, value) in lost {
            self.complain(Kind::LostAppend, format!("T{txn} appended {value} to {key}, and it is not there"));
        }
    }

    /// Several transactions read the same version of a list and then appended to it.
    fn lost_updates(&mut self) {
        let mut by_version: HashMap<(u64, Option<u64>), usize> = HashMap::new();
        let mut lost = Vec::new();
        for (number, txn) in self.txns.iter().enumerate().filter(|(_, txn)| txn.committed()) {
            for (at, op) in txn.ops.iter().enumerate() {
                let Op::ReadList { key, values, .. } = op else { continue };
                let writes = |op: &Op| matches!(op, Op::Append { key: other, .. } if other == key);
                if txn.ops[..at].iter().any(writes) || !txn.ops[at..].iter().any(writes) {
                    continue;
                }
                match by_version.insert((*key, values.last().copied()), number) {
                    Some(other) if other != number => lost.push((other, number, *key)),
                    _ => {}
                }
            }
        }
        for (first, second, key) in lost {
            self.complain(
                Kind::LostUpdate,
                format!("T{first} and T{second} read the same version of {key} and both append to it"),
            );
        }
    }
}
