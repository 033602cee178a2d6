//! From a history to its anomalies.

use std::collections::HashMap;

use crate::anomaly::Anomaly;
use crate::append::Lists;
use crate::graph::{Edge, Graph};
use crate::history::Txn;
use crate::{register, witness};

/// Everything that is wrong with a history, at whatever level.
#[must_use]
pub fn anomalies(txns: &[Txn]) -> Vec<Anomaly> {
    let mut graph = Graph::new(txns.len());
    let mut found = Lists::new(txns).analyse(&mut graph);
    found.extend(register::analyse(txns, &mut graph));
    sessions(txns, &mut graph);
    found.extend(witness::cycles(&graph, txns));
    found
}

/// A session's transactions come one after the other, as far as they are known to have ended.
fn sessions(txns: &[Txn], graph: &mut Graph) {
    let mut last: HashMap<u64, usize> = HashMap::new();
    for (number, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.committed()) {
        if let Some(before) = last.insert(txn.session, number) {
            graph.add(before, number, Edge::Session);
        }
    }
}
