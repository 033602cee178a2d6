//! From the graph to the cycles in it: which kinds there are, with a witness of each.
//!
//! Linear in the graph: strongly connected components say where cycles are, and a vector clock over sessions says
//! whether one transaction is in another's past, because the transactions of a session are a chain. A cycle is
//! walked only to be shown.

use std::collections::{HashMap, VecDeque};

use crate::anomaly::{Anomaly, Kind, Readers};
use crate::graph::{Edge, Graph};
use crate::history::Txn;

/// Witnesses of one kind that are shown.
const SHOWN_MAX: usize = 5;

/// A cycle: each edge with where it begins.
type Cycle = Vec<(usize, Edge)>;

/// Cycles of all kinds.
pub(crate) fn cycles(graph: &Graph, txns: &[Txn]) -> Vec<Anomaly> {
    let mut found = of_information(graph);
    // Without cycles of writes and reads, what is left has an order, and clocks make sense.
    if found.is_empty() {
        found = torn_snapshots(graph, txns);
        for readers in [Readers::ReadOnly, Readers::Writing] {
            // What is wrong among readers alone is wrong among all.
            let known = found.iter().any(|anomaly| anomaly.readers <= readers);
            if !known {
                found.extend(long_forks(graph, txns, readers));
            }
        }
    }
    if found.is_empty() {
        found = skews(graph);
    }
    found
}

/// G0 and G1c.
fn of_information(graph: &Graph) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let writes = |edge: Edge| edge == Edge::WriteWrite;
    for component in graph.components(writes).iter().take(SHOWN_MAX) {
        let cycle = path(graph, component[0], component[0], &writes);
        found.extend(cycle.map(|cycle| Anomaly::cycle(Kind::G0, Readers::Writing, &cycle)));
    }
    if found.is_empty() {
        let information = |edge: Edge| !edge.is_read_write();
        for component in graph.components(information).iter().take(SHOWN_MAX) {
            let cycle = path(graph, component[0], component[0], &information);
            found.extend(cycle.map(|cycle| Anomaly::cycle(Kind::G1c, Readers::Writing, &cycle)));
        }
    }
    found
}

/// G-single: who overwrote a read is in the reader's past.
fn torn_snapshots(graph: &Graph, txns: &[Txn]) -> Vec<Anomaly> {
    let clocks = Clocks::new(graph, txns);
    let mut found = Vec::new();
    let mut shown = HashMap::new();
    for reader in 0..graph.len() {
        for (writer, edge) in graph.from(reader).iter().filter(|(_, edge)| edge.is_read_write()) {
            if !clocks.in_past_of(*writer, reader, txns) {
                continue;
            }
            let back = || path(graph, *writer, reader, &|edge: Edge| !edge.is_read_write());
            // Whose outcome nobody knows is not part of its session's chain.
            if !txns[*writer].committed() && back().is_none() {
                continue;
            }
            let readers = if txns[reader].read_only() { Readers::ReadOnly } else { Readers::Writing };
            let count = shown.entry(readers).or_insert(0);
            *count += 1;
            if *count <= SHOWN_MAX {
                let cycle: Cycle =
                    std::iter::once((reader, *edge)).chain(back().unwrap_or_default()).collect();
                found.push(Anomaly::cycle(Kind::GSingle, readers, &cycle));
            }
        }
    }
    found
}

/// For each transaction, how far into each session its past reaches.
struct Clocks {
    sessions: HashMap<u64, usize>,
    /// Place of each transaction in its session, from one.
    places: Vec<u32>,
    clocks: Vec<u32>,
}

impl Clocks {
    fn new(graph: &Graph, txns: &[Txn]) -> Self {
        let mut sessions = HashMap::new();
        let mut lengths: Vec<u32> = Vec::new();
        let mut places = Vec::with_capacity(txns.len());
        for txn in txns {
            let next = sessions.len();
            let session = *sessions.entry(txn.session).or_insert(next);
            if session == lengths.len() {
                lengths.push(0);
            }
            lengths[session] += 1;
            places.push(lengths[session]);
        }
        let mut clocks = Self { clocks: vec![0; txns.len() * sessions.len()], sessions, places };
        clocks.spread(graph, txns);
        clocks
    }

    /// Hands each transaction's past on to those after it, in the order of the edges.
    fn spread(&mut self, graph: &Graph, txns: &[Txn]) {
        let width = self.sessions.len();
        let information = |edge: &Edge| !edge.is_read_write();
        let mut before = vec![0_usize; graph.len()];
        for node in 0..graph.len() {
            for (to, _) in graph.from(node).iter().filter(|(_, edge)| information(edge)) {
                before[*to] += 1;
            }
        }
        let mut ready: Vec<usize> = (0..graph.len()).filter(|node| before[*node] == 0).collect();
        while let Some(node) = ready.pop() {
            let own = node * width + self.session(node, txns);
            self.clocks[own] = self.clocks[own].max(self.places[node]);
            for (to, _) in graph.from(node).iter().filter(|(_, edge)| information(edge)) {
                for at in 0..width {
                    self.clocks[to * width + at] =
                        self.clocks[to * width + at].max(self.clocks[node * width + at]);
                }
                before[*to] -= 1;
                if before[*to] == 0 {
                    ready.push(*to);
                }
            }
        }
    }

    fn session(&self, node: usize, txns: &[Txn]) -> usize {
        self.sessions.get(&txns[node].session).copied().unwrap_or(0)
    }

    /// Whether `earlier`, if it has committed, is in the past of `later`.
    fn in_past_of(&self, earlier: usize, later: usize, txns: &[Txn]) -> bool {
        let reached = self.clocks[later * self.sessions.len() + self.session(earlier, txns)];
        reached >= self.places[earlier]
    }
}

/// Cycles in which no overwritten read follows another: cycles in a graph whose nodes also say whether they were
/// come to by one.
fn long_forks(graph: &Graph, txns: &[Txn], readers: Readers) -> Vec<Anomaly> {
    let counts = |node: usize| readers == Readers::Writing || txns[node].read_only();
    let mut states = Graph::new(graph.len() * 2);
    for node in 0..graph.len() {
        for (to, edge) in graph.from(node) {
            if !edge.is_read_write() {
                states.add_any(node * 2, to * 2, *edge);
                states.add_any(node * 2 + 1, to * 2, *edge);
            } else if counts(node) {
                states.add_any(node * 2, to * 2 + 1, *edge);
            }
        }
    }
    let mut found = Vec::new();
    for component in states.components(|_| true) {
        let Some(start) = component.iter().find(|state| *state % 2 == 1) else { continue };
        if let Some(cycle) = path(&states, *start, *start, &|_| true) {
            let cycle: Cycle = cycle.into_iter().map(|(state, edge)| (state / 2, edge)).collect();
            found.push(Anomaly::cycle(Kind::LongFork, readers, &cycle));
        }
        if found.len() == SHOWN_MAX {
            break;
        }
    }
    found
}

/// G2-item and G2: any other cycle.
fn skews(graph: &Graph) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let items = |edge: Edge| edge != Edge::PredicateReadWrite;
    for component in graph.components(items).iter().take(SHOWN_MAX) {
        let cycle = path(graph, component[0], component[0], &items);
        found.extend(cycle.map(|cycle| Anomaly::cycle(Kind::G2Item, Readers::Writing, &cycle)));
    }
    if found.is_empty() {
        for component in graph.components(|_| true).iter().take(SHOWN_MAX) {
            let cycle = path(graph, component[0], component[0], &|_| true);
            found.extend(cycle.map(|cycle| Anomaly::cycle(Kind::G2, Readers::Writing, &cycle)));
        }
    }
    found
}

/// A shortest way from `start` to `goal` of at least one edge.
fn path(graph: &Graph, start: usize, goal: usize, wanted: &impl Fn(Edge) -> bool) -> Option<Cycle> {
    let mut from: HashMap<usize, (usize, Edge)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for (to, edge) in graph.from(node).iter().filter(|(_, edge)| wanted(*edge)) {
            if from.contains_key(to) {
                continue;
            }
            from.insert(*to, (node, *edge));
            if *to == goal {
                return Some(walk_back(&from, start, goal));
            }
            queue.push_back(*to);
        }
    }
    None
}

fn walk_back(from: &HashMap<usize, (usize, Edge)>, start: usize, goal: usize) -> Cycle {
    let mut way = Vec::new();
    let mut at = goal;
    while let Some((before, edge)) = from.get(&at) {
        way.push((*before, *edge));
        at = *before;
        if at == start {
            break;
        }
    }
    way.reverse();
    way
}
