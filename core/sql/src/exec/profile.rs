//! What the operators of one execution have done, for EXPLAIN ANALYZE.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;

use aquifer_types::ReadCounts;

use crate::exec::spill::Spilled;
use crate::plan::node::Node;

/// Measures by operator. Nodes are told apart by their place in memory, where an execution leaves them.
#[derive(Default)]
pub(crate) struct Profile(HashMap<*const Node, Measure>);

/// What one operator has done, that of the operators below it included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measure {
    /// How often it was begun.
    pub loops: u64,
    /// Rows that it has given in all.
    pub rows: u64,
    /// Microseconds until the first batch of rows, over all loops.
    pub first_micros: u64,
    /// Microseconds until the end, over all loops.
    pub all_micros: u64,
    /// What it has read, over all loops.
    pub reads: ReadCounts,
    /// What it has put into temporary files, over all loops.
    pub spilled: Spilled,
}

/// Runs a future and tells what it has read.
pub(crate) async fn counted<F: Future>(future: F) -> (F::Output, ReadCounts) {
    let mut future = pin!(future);
    let mut reads = ReadCounts::default();
    let output = poll_fn(|context| {
        let before = ReadCounts::of_thread();
        let polled = future.as_mut().poll(context);
        reads += ReadCounts::of_thread() - before;
        polled
    });
    (output.await, reads)
}

impl Profile {
    /// Adds what a call for rows has done.
    pub(crate) fn add(&mut self, node: &Node, first: bool, call: Measure) {
        let measure = self.0.entry(std::ptr::from_ref(node)).or_default();
        measure.rows += call.rows;
        measure.all_micros += call.all_micros;
        measure.reads += call.reads;
        if first {
            measure.loops += 1;
            measure.first_micros += call.all_micros;
        }
    }

    /// Adds what a call for rows has put into temporary files, from what the operator had put there before and after.
    pub(crate) fn add_spilled(&mut self, node: &Node, before: Spilled, after: Spilled) {
        if after != before {
            let spilled = &mut self.0.entry(std::ptr::from_ref(node)).or_default().spilled;
            spilled.bytes += after.bytes.saturating_sub(before.bytes);
            spilled.parts += after.parts.saturating_sub(before.parts);
            spilled.sorted = after.sorted;
        }
    }

    /// What an operator has done; `None` when it never began.
    pub(crate) fn of(&self, node: &Node) -> Option<Measure> {
        self.0.get(&std::ptr::from_ref(node)).copied()
    }
}
