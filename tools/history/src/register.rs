//! Registers: a transaction that read one value and then wrote another says which came first; so does the fact
//! that nothing comes before the first write.

use std::collections::{HashMap, HashSet};

use crate::anomaly::{Anomaly, Kind};
use crate::graph::{Edge, Graph};
use crate::history::{Op, Status, Txn};

#[derive(Clone, Copy)]
struct Written {
    txn: usize,
    last: bool,
}

/// Adds the edges that registers give, and returns what is wrong without any cycle.
pub(crate) fn analyse(txns: &[Txn], graph: &mut Graph) -> Vec<Anomaly> {
    let mut registers = Registers { txns, written: HashMap::new(), after: HashMap::new(), found: Vec::new() };
    registers.collect();
    let mut reads = Vec::new();
    for (number, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.committed()) {
        registers.txn(number, txn, graph, &mut reads);
    }
    registers.orders(graph, &reads);
    registers.found
}

struct Registers<'h> {
    txns: &'h [Txn],
    written: HashMap<(u64, u64), Written>,
    /// For each version, `None` being the one before all writes, the values known to come later.
    after: HashMap<(u64, Option<u64>), Vec<u64>>,
    found: Vec<Anomaly>,
}

/// A read of what others wrote: transaction, key, value.
type Read = (usize, u64, Option<u64>);

impl Registers<'_> {
    fn complain(&mut self, kind: Kind, detail: String) {
        self.found.push(Anomaly::new(kind, detail));
    }

    fn collect(&mut self) {
        for (number, txn) in self.txns.iter().enumerate() {
            let mut last: HashMap<u64, u64> = HashMap::new();
            for op in &txn.ops {
                let Op::Write { key, value } = op else { continue };
                if let Some(before) = last.insert(*key, *value)
                    && let Some(earlier) = self.written.get_mut(&(*key, before))
                {
                    earlier.last = false;
                }
                if self.written.insert((*key, *value), Written { txn: number, last: true }).is_some() {
                    self.complain(Kind::Garbage, format!("T{number} writes {value} to {key} once more"));
                }
            }
        }
    }

    fn txn(&mut self, number: usize, txn: &Txn, graph: &mut Graph, reads: &mut Vec<Read>) {
        let mut own: HashMap<u64, u64> = HashMap::new();
        let mut seen: HashMap<u64, Option<u64>> = HashMap::new();
        for op in &txn.ops {
            match op {
                Op::ReadRegister { key, value } => {
                    if let Some(mine) = own.get(key) {
                        if *value != Some(*mine) {
                            self.complain(
                                Kind::Internal,
                                format!("T{number} wrote {mine} to {key} and reads {value:?}"),
                            );
                        }
                        continue;
                    }
                    if seen.get(key).is_some_and(|before| before != value) {
                        self.complain(
                            Kind::Internal,
                            format!("T{number} reads {key} as {:?} and {value:?}", seen[key]),
                        );
                    }
                    seen.insert(*key, *value);
                    self.read(number, *key, *value, graph);
                    reads.push((number, *key, *value));
                }
                Op::Write { key, value } => {
                    if !own.contains_key(key)
                        && let Some(before) = seen.get(key)
                    {
                        self.after.entry((*key, *before)).or_default().push(*value);
                    }
                    own.insert(*key, *value);
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, number: usize, key: u64, value: Option<u64>, graph: &mut Graph) {
        let Some(value) = value else { return };
        let Some(written) = self.written.get(&(key, value)).copied() else {
            return self
                .complain(Kind::Garbage, format!("T{number} reads {value} from {key}, which nobody wrote"));
        };
        if self.txns[written.txn].status == Status::Fail {
            self.complain(
                Kind::G1a,
                format!("T{number} reads {value} from {key}, which T{} rolled back", written.txn),
            );
        }
        if !written.last && written.txn != number {
            self.complain(
                Kind::G1b,
                format!("T{number} reads {value} from {key}, which T{} overwrites", written.txn),
            );
        }
        graph.add(written.txn, number, Edge::WriteRead);
    }

    /// Version orders: from what was read and then overwritten, and from nothing to each first version.
    fn orders(&mut self, graph: &mut Graph, reads: &[Read]) {
        let overwriting: HashSet<(u64, u64)> = self
            .after
            .iter()
            .flat_map(|((key, _), later)| later.iter().map(|value| (*key, *value)))
            .collect();
        let firsts: Vec<(u64, u64)> =
            self.seen_writes(reads).filter(|write| !overwriting.contains(write)).collect();
        for (key, value) in firsts {
            self.after.entry((key, None)).or_default().push(value);
        }
        for ((key, before), later) in &self.after {
            let writer = before.and_then(|value| self.written.get(&(*key, value)));
            for next in later.iter().filter_map(|value| self.written.get(&(*key, *value))) {
                if let Some(writer) = writer {
                    graph.add(writer.txn, next.txn, Edge::WriteWrite);
                }
            }
        }
        for (reader, key, value) in reads {
            for later in self.after.get(&(*key, *value)).into_iter().flatten() {
                if let Some(writer) = self.written.get(&(*key, *later)) {
                    graph.add(*reader, writer.txn, Edge::ReadWrite);
                }
            }
        }
        self.lost_updates();
    }

    /// Writes that certainly took effect.
    fn seen_writes<'r>(&'r self, reads: &'r [Read]) -> impl Iterator<Item = (u64, u64)> + 'r {
        let read: HashSet<(u64, u64)> =
            reads.iter().filter_map(|(_, key, value)| Some((*key, (*value)?))).collect();
        self.written
            .iter()
            .filter(move |(write, written)| self.txns[written.txn].committed() || read.contains(*write))
            .map(|(write, _)| *write)
    }

    fn lost_updates(&mut self) {
        let mut lost = Vec::new();
        for ((key, before), later) in &self.after {
            let Some(version) = before else { continue };
            let mut writers: Vec<usize> =
                later.iter().filter_map(|value| self.written.get(&(*key, *value))).map(|w| w.txn).collect();
            writers.sort_unstable();
            writers.dedup();
            if writers.len() > 1 {
                lost.push(format!(
                    "T{} and T{} read {version} from {key} and both overwrite it",
                    writers[0], writers[1]
                ));
            }
        }
        lost.sort();
        for detail in lost {
            self.complain(Kind::LostUpdate, detail);
        }
    }
}
